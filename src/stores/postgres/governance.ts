import type { GovernanceReads, OpenKind } from '../../ports/governance-reads.ts';
import { makeGovernanceSql, type BoundSql } from '../_shared/governance-sql.ts';
import { recordFromBody } from '../_shared/record-tables.ts';
import { ACCOUNT_ID, arrayText } from './columns.ts';
import type { Reader } from './reader.ts';
import type { Statement } from './statement.ts';

// What a tenant still has open, $2: which of it is passed over.
const OPEN: Readonly<Record<OpenKind, Statement>> = {
  // Index: reservations_expiry. What is ACTIVE is little beside what is settled.
  reservation: {
    name: 'open_reservations',
    text: `
      SELECT id FROM reservations
      WHERE state = 'ACTIVE' AND purpose = 'budget' AND tenant_id = $1 AND id <> ALL ($2::text[])
      ORDER BY expires_at_ms + grace_ms, reservations.id LIMIT $3`,
  },
  // Index: accounts_id, whose entries of one tenant's budgets stand together; ~ is the last of the characters that an id may hold.
  budget: {
    name: 'open_budgets',
    text: `
      SELECT ${ACCOUNT_ID} AS id FROM accounts
      WHERE ${ACCOUNT_ID} > $1 || '|budget|' AND ${ACCOUNT_ID} < $1 || '|budget|~' AND status <> 'CLOSED'
        AND ${ACCOUNT_ID} <> ALL ($2::text[]) LIMIT $3`,
  },
  // Index: webhooks_of_tenant.
  webhook: {
    name: 'open_webhooks',
    text: `SELECT id FROM webhooks WHERE tenant_id = $1 AND body ->> 'status' <> 'DISABLED' AND id <> ALL ($2::text[]) LIMIT $3`,
  },
  // Index: api_keys_of_tenant.
  key: {
    name: 'open_keys',
    text: 'SELECT id FROM api_keys WHERE tenant_id = $1 AND deleted_at_ms IS NULL AND id <> ALL ($2::text[]) LIMIT $3',
  },
};

// Index: key_uses_pkey.
const KEY_USES: Statement = { name: 'key_uses', text: 'SELECT key_id, last_used_at_ms FROM key_uses WHERE key_id = ANY ($1::text[])' };

const sql = makeGovernanceSql({
  placeholder: (position) => `$${position}`,
  text: (field) => `(body ->> '${field}') COLLATE "C"`,
  whole: (field) => `((body ->> '${field}')::bigint)`,
  contains: (text, part) => `position(${part} IN lower(${text} COLLATE "C")) > 0`,
});

/** Makes the reads of the governance surface. */
export function makeGovernanceReads(reader: Reader): Omit<GovernanceReads, 'overview'> {
  // The texts differ by what is asked for; each has its name, under which a connection prepares it once.
  const names = new Map<string, string>();
  const rows = <R extends object>({ text, values }: BoundSql): Promise<R[]> => {
    const name = names.get(text) ?? `governance_${names.size}`;
    names.set(text, name);
    return reader.rows<R>({ name, text }, values);
  };
  return {
    tenantPage: async (query) => (await rows<{ body: string }>(sql.tenantPage(query))).map(({ body }) => recordFromBody<'tenant'>(body)),
    tenantCount: async (filter) => Number((await rows<{ found: bigint }>(sql.tenantCount(filter)))[0]?.found ?? 0n),
    tenantKeyPage: async (query) => (await rows<{ body: string }>(sql.tenantKeyPage(query))).map(({ body }) => recordFromBody<'key'>(body)),
    keyUses: async (ids) => {
      const found = await reader.rows<{ key_id: string; last_used_at_ms: bigint }>(KEY_USES, [arrayText(ids)]);
      return new Map(found.map((row) => [row.key_id, Number(row.last_used_at_ms)]));
    },
    openThings: async ({ kind, tenantId, except, limit }) => {
      const found = await reader.rows<{ id: string }>(OPEN[kind], [tenantId, arrayText(except), limit]);
      return found.map(({ id }) => id);
    },
  };
}
