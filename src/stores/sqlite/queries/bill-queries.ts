import type { Database } from 'better-sqlite3';
import type { UsageCharge } from '../../../core/bills/make-statement.ts';
import { ALL_KEYS, ALL_TIME_LEVEL_MS, DAY_LEVEL_MS } from '../../../core/usage/rollups.ts';
import type { Queries } from '../messages.ts';

/**
 * The statements of the reads that bills are made from: a range of usage_rollups' primary key, and the tail, which is short. One statement
 * reads both, hence one snapshot: an event is in exactly one of the two.
 */
export const BILL_SQL = {
  charges: `
    SELECT key_id, model, sum(requests) AS requests, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
      sum(charge_microcents) AS charge_microcents
    FROM (
      SELECT key_id, model, requests, prompt_tokens, completion_tokens, charge_microcents FROM usage_rollups
      WHERE tenant_id = @tenantId AND level_ms = ${DAY_LEVEL_MS} AND bucket_ms >= @fromMs AND bucket_ms < @toMs AND key_id > '${ALL_KEYS}'
      UNION ALL
      SELECT key_id, model, requests, prompt_tokens, completion_tokens, charge_microcents FROM usage_tail
      WHERE tenant_id = @tenantId AND at_ms >= @fromMs AND at_ms < @toMs
    ) GROUP BY key_id, model ORDER BY key_id, model`,
  charged: `
    SELECT sum(charge_microcents) FROM (
      SELECT charge_microcents FROM usage_rollups
      WHERE tenant_id = @tenantId AND level_ms = ${ALL_TIME_LEVEL_MS} AND bucket_ms = 0 AND key_id = '${ALL_KEYS}'
      UNION ALL SELECT charge_microcents FROM usage_tail WHERE tenant_id = @tenantId
    )`,
  first: `
    SELECT min(first_ms) FROM (
      SELECT min(bucket_ms) AS first_ms FROM usage_rollups WHERE tenant_id = @tenantId AND level_ms = ${DAY_LEVEL_MS}
      UNION ALL SELECT min(at_ms) FROM usage_tail WHERE tenant_id = @tenantId
    )`,
} as const;

interface ChargeRow {
  readonly key_id: string;
  readonly model: string;
  readonly requests: bigint;
  readonly prompt_tokens: bigint;
  readonly completion_tokens: bigint;
  readonly charge_microcents: bigint;
}

/** Queries that bills are made from, prepared on a reading connection. */
export function makeBillQueries(db: Database): Pick<Queries, 'usageCharges' | 'firstUsageMs' | 'chargedMicrocents'> {
  const charges = db.prepare<[{ tenantId: string; fromMs: number; toMs: number }], ChargeRow>(BILL_SQL.charges).safeIntegers();
  const charged = db.prepare<[{ tenantId: string }], bigint | null>(BILL_SQL.charged).pluck().safeIntegers();
  const first = db.prepare<[{ tenantId: string }], number | null>(BILL_SQL.first).pluck();
  return {
    usageCharges: (query) =>
      charges.all(query).map((row): UsageCharge => ({
        keyId: row.key_id,
        model: row.model,
        requests: Number(row.requests),
        promptTokens: Number(row.prompt_tokens),
        completionTokens: Number(row.completion_tokens),
        chargeMicrocents: row.charge_microcents,
      })),
    chargedMicrocents: (tenantId) => charged.get({ tenantId }) ?? 0n,
    firstUsageMs: (tenantId) => first.get({ tenantId }) ?? null,
  };
}
