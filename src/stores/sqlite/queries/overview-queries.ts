import type { Database } from 'better-sqlite3';
import { accountFromRow, type AccountRow } from '../../_shared/account-row.ts';
import { eventFromRow, type EventRow } from '../../_shared/journal-rows.ts';
import { countsBy, overviewSql, talliesOf } from '../../_shared/overview-sql.ts';
import type { Queries } from '../messages.ts';

/** The statements of the overview. */
export const OVERVIEW_SQL = overviewSql({
  by: (index) => ` INDEXED BY ${index}`,
  since: '?',
  isOverLimit: 'is_over_limit = 1',
  text: (column, field) => `json_extract(${column}, '$.${field}')`,
  whole: (column, field) => `json_extract(${column}, '$.${field}')`,
});

/** The query of the overview, prepared on a reading connection. */
export function makeOverviewQueries(db: Database): Pick<Queries, 'overview'> {
  const prepare = <R>(text: string) => db.prepare<unknown[], R>(text);
  const counted = <N extends string>(text: string) => prepare<{ [K in N]: string | null } & { count: number }>(text);
  const count = (text: string) => prepare<number>(text).pluck();
  const accounts = (text: string) => prepare<AccountRow>(text).safeIntegers();
  const tallies = counted<'name'>(OVERVIEW_SQL.tallies);
  const overLimit = count(OVERVIEW_SQL.overLimit);
  const withDebt = count(OVERVIEW_SQL.withDebt);
  const overLimitBudgets = accounts(OVERVIEW_SQL.overLimitBudgets);
  const debtBudgets = accounts(OVERVIEW_SQL.debtBudgets);
  const webhooks = counted<'status'>(OVERVIEW_SQL.webhooks);
  const failing = count(OVERVIEW_SQL.failing);
  const failingWebhooks = prepare<{ webhook_id: string; url: string; failures: number; last_failure_at_ms: number | null }>(
    OVERVIEW_SQL.failingWebhooks,
  );
  const events = counted<'type'>(OVERVIEW_SQL.events);
  const denialReasons = counted<'reason'>(OVERVIEW_SQL.denialReasons);
  const denials = prepare<EventRow>(OVERVIEW_SQL.denials);
  const expiries = prepare<EventRow>(OVERVIEW_SQL.expiries);
  return {
    // In one snapshot, so that counts and lists are of one moment.
    overview: db.transaction(({ sinceMs }: { readonly sinceMs: number }) => ({
      ...talliesOf(countsBy(tallies.all(), 'name')),
      overLimit: overLimit.get() ?? 0,
      withDebt: withDebt.get() ?? 0,
      overLimitBudgets: overLimitBudgets.all().map(accountFromRow),
      debtBudgets: debtBudgets.all().map(accountFromRow),
      webhooks: countsBy(webhooks.all(), 'status'),
      failing: failing.get() ?? 0,
      failingWebhooks: failingWebhooks
        .all()
        .map((row) => ({ id: row.webhook_id, url: row.url, failures: row.failures, lastFailureAtMs: row.last_failure_at_ms })),
      events: countsBy(events.all(sinceMs), 'type'),
      denialReasons: countsBy(denialReasons.all(sinceMs), 'reason'),
      denials: denials.all(sinceMs).map((row) => eventFromRow(row).event),
      expiries: expiries.all(sinceMs).map((row) => eventFromRow(row).event),
    })),
  };
}
