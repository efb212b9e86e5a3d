import { cyclesEvent } from '../../../core/cycles/event-object.ts';
import { categoryOf, isEventType } from '../../../core/cycles/event-types.ts';
import type { DomainEvent } from '../../../core/effects.ts';
import { remainingOf, type Account } from '../../../core/ledger/account.ts';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import type { OverviewRows } from '../../../ports/governance-reads.ts';
import type { GovernanceMount } from '../governance-deps.ts';
import { present } from '../objects.ts';

/** How far back recent events go. Source: Cycles governance, `event_window_seconds`; an hour, as the reference servers have it. */
const WINDOW_SECONDS = 3600;

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** Counts added up by what a name belongs to. */
function addUp(entries: readonly (readonly [string, number])[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const [name, count] of entries) sums.set(name, (sums.get(name) ?? 0) + count);
  return Object.fromEntries(sums);
}

function budgetCounts({ budgets, overLimit, withDebt }: OverviewRows) {
  const byStatus = addUp(budgets.map(({ status, count }) => [status, count]));
  return {
    total: sum(budgets.map(({ count }) => count)),
    active: byStatus['ACTIVE'] ?? 0,
    frozen: byStatus['FROZEN'] ?? 0,
    closed: byStatus['CLOSED'] ?? 0,
    over_limit: overLimit,
    with_debt: withDebt,
    by_unit: addUp(budgets.map(({ unit, count }) => [unit, count])),
  };
}

const overLimitScope = (account: Account) => ({
  scope: account.scope,
  unit: account.unit,
  allocated: account.allocated ?? 0n,
  remaining: remainingOf(account) ?? 0n,
  debt: account.debt,
});

const debtScope = ({ scope, unit, debt, overdraftLimit }: Account) => ({ scope, unit, debt, overdraft_limit: overdraftLimit });

const shownEvents = (events: readonly DomainEvent[]): object[] =>
  events.flatMap((event) => (isEventType(event.type) ? [cyclesEvent({ ...event, type: event.type })] : []));

const categories = (events: OverviewRows['events']): Record<string, number> =>
  addUp(Object.entries(events).map(([type, count]) => [isEventType(type) ? categoryOf(type) : type, count]));

/** `/v1/admin/overview`. */
export const mountOverview: GovernanceMount = (app, { clock, records }) => {
  app.get('/v1/admin/overview', { config: { credential: 'operator' } }, async () => {
    const nowMs = clock.nowMs();
    const rows = await records.overview({ sinceMs: nowMs - WINDOW_SECONDS * 1000 });
    const { tenants, webhooks, events } = rows;
    return {
      as_of: formatRfc3339(nowMs),
      event_window_seconds: WINDOW_SECONDS,
      tenant_counts: {
        total: sum(Object.values(tenants)),
        active: tenants.ACTIVE ?? 0,
        suspended: tenants.SUSPENDED ?? 0,
        closed: tenants.CLOSED ?? 0,
      },
      budget_counts: budgetCounts(rows),
      over_limit_scopes: rows.overLimitBudgets.map(overLimitScope),
      debt_scopes: rows.debtBudgets.map(debtScope),
      webhook_counts: {
        total: sum(Object.values(webhooks)),
        active: webhooks['ACTIVE'] ?? 0,
        disabled: webhooks['DISABLED'] ?? 0,
        with_failures: rows.failing,
      },
      failing_webhooks: rows.failingWebhooks.map(({ id, url, failures, lastFailureAtMs }) =>
        present({
          subscription_id: id,
          url,
          consecutive_failures: failures,
          last_failure_at: lastFailureAtMs === null ? undefined : formatRfc3339(lastFailureAtMs),
        }),
      ),
      event_counts: { total_recent: sum(Object.values(events)), by_category: categories(events) },
      recent_denials: shownEvents(rows.denials),
      recent_expiries: shownEvents(rows.expiries),
      recent_denials_by_reason: rows.denialReasons,
    };
  });
};
