import type { GovernanceReads } from '../../ports/governance-reads.ts';
import { accountFromRow, type AccountRow } from '../_shared/account-row.ts';
import { eventFromRow, type EventRow } from '../_shared/journal-rows.ts';
import { countsBy, overviewSql, talliesOf } from '../_shared/overview-sql.ts';
import type { Reader } from './reader.ts';

const SQL = overviewSql({
  by: () => '',
  since: '$1',
  isOverLimit: 'is_over_limit',
  text: (column, field) => `(${column} ->> '${field}')`,
  whole: (column, field) => `(${column} ->> '${field}')::bigint`,
});

// Counts and lists of one moment.
const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

interface FailingRow {
  readonly webhook_id: string;
  readonly url: string;
  readonly failures: bigint;
  readonly last_failure_at_ms: bigint | null;
}

/** Makes the read of the overview. */
export const makeOverviewReads = (reader: Reader): Pick<GovernanceReads, 'overview'> => ({
  overview: ({ sinceMs }) =>
    reader.transaction(BEGIN, async (query) => {
      const rows = async <R>(text: string): Promise<R[]> => (await query(text, text.includes('$1') ? [sinceMs] : [])) as R[];
      const count = async (text: string): Promise<number> => Number((await rows<{ count: bigint }>(text))[0]?.count ?? 0n);
      const counts = async <N extends string>(text: string, name: N): Promise<Record<string, number>> =>
        countsBy(await rows<{ [K in N]: string | null } & { count: bigint }>(text), name);
      const failing = await rows<FailingRow>(SQL.failingWebhooks);
      return {
        ...talliesOf(await counts(SQL.tallies, 'name')),
        overLimit: await count(SQL.overLimit),
        withDebt: await count(SQL.withDebt),
        overLimitBudgets: (await rows<AccountRow>(SQL.overLimitBudgets)).map(accountFromRow),
        debtBudgets: (await rows<AccountRow>(SQL.debtBudgets)).map(accountFromRow),
        webhooks: await counts(SQL.webhooks, 'status'),
        failing: await count(SQL.failing),
        failingWebhooks: failing.map((row) => ({
          id: row.webhook_id,
          url: row.url,
          failures: Number(row.failures),
          lastFailureAtMs: row.last_failure_at_ms === null ? null : Number(row.last_failure_at_ms),
        })),
        events: await counts(SQL.events, 'type'),
        denialReasons: await counts(SQL.denialReasons, 'reason'),
        denials: (await rows<EventRow>(SQL.denials)).map((row) => eventFromRow(row).event),
        expiries: (await rows<EventRow>(SQL.expiries)).map((row) => eventFromRow(row).event),
      };
    }),
});
