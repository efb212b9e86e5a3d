import type { OverviewRows } from '../../ports/governance-reads.ts';
import { EVENT_TYPES } from '../../core/cycles/event-types.ts';

/** How the two dialects say what the overview needs. */
interface OverviewDialect {
  readonly since: string;
  readonly isOverLimit: string;
  /** A field of a JSON column as text, and as a whole number. */
  readonly text: (column: string, field: string) => string;
  readonly whole: (column: string, field: string) => string;
  /** Which index to use, where the planner is told. */
  readonly by: (index: string) => string;
}

const BUDGETS = `kind = 'budget' AND allocated IS NOT NULL`;
const TYPES = EVENT_TYPES.map((type) => `'${type}'`).join(', ');
const TOP = 10;

/** The statements of the overview, with the index that each relies on. */
export const overviewSql = ({ since, isOverLimit, text, whole, by }: OverviewDialect) => ({
  /** All rows of a small table. */
  tallies: 'SELECT name, sum(count) AS count FROM tallies GROUP BY name',
  /** By budgets_over_limit and budgets_owing, which hold no others. */
  overLimit: `SELECT count(*) AS count FROM accounts${by('budgets_over_limit')} WHERE ${BUDGETS} AND ${isOverLimit}`,
  withDebt: `SELECT count(*) AS count FROM accounts${by('budgets_owing')} WHERE ${BUDGETS} AND debt > 0`,
  /** By budgets_over_limit, then sorted: they are few. */
  overLimitBudgets: `SELECT * FROM accounts${by('budgets_over_limit')} WHERE ${BUDGETS} AND ${isOverLimit}
    ORDER BY debt DESC, tenant_id, scope, unit LIMIT ${TOP}`,
  /** By budgets_by_debt, which gives the order as well. */
  debtBudgets: `SELECT * FROM accounts${by('budgets_by_debt')} WHERE ${BUDGETS} AND debt > 0 ORDER BY debt DESC LIMIT ${TOP}`,
  webhooks: `SELECT ${text('body', 'status')} AS status, count(*) AS count FROM webhooks GROUP BY 1`,
  /** By primary key of the webhooks: health is kept of few. */
  failing: 'SELECT count(*) AS count FROM webhook_health JOIN webhooks ON webhooks.id = webhook_id WHERE failures > 0',
  failingWebhooks: `SELECT webhook_id, ${text('body', 'url')} AS url, failures, last_failure_at_ms
    FROM webhook_health JOIN webhooks ON webhooks.id = webhook_id WHERE failures > 0 ORDER BY failures DESC, webhook_id LIMIT ${TOP}`,
  /** By events_by_type, from that moment on. */
  events: `SELECT type, count(*) AS count FROM events WHERE type IN (${TYPES}) AND at_ms >= ${since} GROUP BY type`,
  denialReasons: `SELECT ${text('data', 'reason_code')} AS reason, sum(coalesce(${whole('data', 'count')}, 1)) AS count
    FROM events WHERE type = 'reservation.denied' AND at_ms >= ${since} GROUP BY 1`,
  denials: latest('reservation.denied', since),
  expiries: latest('reservation.expired', since),
});

/** By events_by_type, which gives the order as well. */
const latest = (type: string, since: string): string => `SELECT seq, id, type, tenant_id, at_ms, data, scope, about
  FROM events WHERE type = '${type}' AND at_ms >= ${since} ORDER BY at_ms DESC, seq DESC LIMIT ${TOP}`;

/** A row with a name and how often it was counted; drivers differ in how they show integers. */
type Counted<N extends string> = { readonly [K in N]: string | null } & { readonly count: bigint | number | string };

/** Counts by name; what has no name is left out. */
export const countsBy = <N extends string>(rows: readonly Counted<N>[], name: N): Record<string, number> =>
  Object.fromEntries(rows.flatMap((row): [string, number][] => (row[name] === null ? [] : [[row[name], Number(row.count)]])));

/** What the tallies say of tenants, by status, and of budgets, by status and unit; what there is none of is left out. */
export function talliesOf(counts: Readonly<Record<string, number>>): Pick<OverviewRows, 'tenants' | 'budgets'> {
  const named = Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => ({ words: name.split(' '), count }));
  const of = (what: string) => named.filter(({ words }) => words[0] === what);
  return {
    tenants: Object.fromEntries(of('tenant').map(({ words, count }) => [words[1] ?? '', count])),
    budgets: of('budget').map(({ words, count }) => ({ status: words[1] ?? '', unit: words[2] ?? '', count })),
  };
}
