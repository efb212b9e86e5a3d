import { ALL_KEYS, ALL_TIME_LEVEL_MS, DAY_LEVEL_MS } from '../../core/usage/rollups.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { Reader } from './reader.ts';
import type { Statement } from './statement.ts';

// A range of usage_rollups_pkey, and the tail, which is short; one statement reads both, hence one snapshot.
const CHARGES: Statement = {
  name: 'usage_charges',
  text: `
    SELECT key_id, model, sum(requests)::bigint AS requests, sum(prompt_tokens)::bigint AS prompt_tokens,
           sum(completion_tokens)::bigint AS completion_tokens, sum(charge_microcents)::bigint AS charge_microcents
    FROM (
      SELECT key_id, model, requests, prompt_tokens, completion_tokens, charge_microcents FROM usage_rollups
      WHERE tenant_id = $1 AND level_ms = ${DAY_LEVEL_MS} AND bucket_ms >= $2::bigint AND bucket_ms < $3::bigint AND key_id > '${ALL_KEYS}'
      UNION ALL
      SELECT key_id, model, requests, prompt_tokens, completion_tokens, charge_microcents FROM usage_tail
      WHERE tenant_id = $1 AND at_ms >= $2::bigint AND at_ms < $3::bigint
    ) AS both_parts
    GROUP BY key_id, model ORDER BY key_id, model`,
};

// Index: usage_rollups_pkey; the tail is short.
const CHARGED: Statement = {
  name: 'charged_microcents',
  text: `
    SELECT coalesce(sum(charge_microcents), 0)::bigint AS charged FROM (
      SELECT charge_microcents FROM usage_rollups
      WHERE tenant_id = $1 AND level_ms = ${ALL_TIME_LEVEL_MS} AND bucket_ms = 0 AND key_id = '${ALL_KEYS}'
      UNION ALL SELECT charge_microcents FROM usage_tail WHERE tenant_id = $1
    ) AS both_parts`,
};

// The first bucket is one look-up in usage_rollups_pkey.
const FIRST: Statement = {
  name: 'first_usage',
  text: `
    SELECT least(
      (SELECT bucket_ms FROM usage_rollups WHERE tenant_id = $1 AND level_ms = ${DAY_LEVEL_MS} ORDER BY bucket_ms LIMIT 1),
      (SELECT min(at_ms) FROM usage_tail WHERE tenant_id = $1)
    ) AS first_ms`,
};

interface ChargeRow {
  readonly key_id: string;
  readonly model: string;
  readonly requests: bigint;
  readonly prompt_tokens: bigint;
  readonly completion_tokens: bigint;
  readonly charge_microcents: bigint;
}

/** Makes the reads that bills are made from. */
export function makeBillReads(reader: Reader): Pick<RecordStore, 'usageCharges' | 'firstUsageMs' | 'chargedMicrocents'> {
  return {
    async usageCharges({ tenantId, fromMs, toMs }) {
      const rows = await reader.rows<ChargeRow>(CHARGES, [tenantId, fromMs, toMs]);
      return rows.map((row) => ({
        keyId: row.key_id,
        model: row.model,
        requests: Number(row.requests),
        promptTokens: Number(row.prompt_tokens),
        completionTokens: Number(row.completion_tokens),
        chargeMicrocents: row.charge_microcents,
      }));
    },
    async chargedMicrocents(tenantId) {
      const [row] = await reader.rows<{ charged: bigint }>(CHARGED, [tenantId]);
      return row?.charged ?? 0n;
    },
    async firstUsageMs(tenantId) {
      const [row] = await reader.rows<{ first_ms: bigint | null }>(FIRST, [tenantId]);
      return typeof row?.first_ms === 'bigint' ? Number(row.first_ms) : null;
    },
  };
}
