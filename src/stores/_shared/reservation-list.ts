import type { MomentRange, ReservationQuery, ReservationSortKey } from '../../core/cycles/reservation-query.ts';
import type { ScopeCondition } from '../../core/cycles/scope.ts';
import type { ReservationState } from '../../core/ledger/reservation.ts';

/** A value that a statement binds. */
export type BoundValue = string | number | bigint;

/** What differs between the databases: how a value is bound, and where one text stands in another (0: nowhere). */
export interface ReservationDialect {
  /** Adds a value to those of the statement, and gives its place in the text. */
  readonly bind: (value: BoundValue, type: 'text' | 'bigint') => string;
  readonly positionIn: (haystack: string, needle: string) => string;
}

const STATES: readonly ReservationState[] = ['ACTIVE', 'COMMITTED', 'EXPIRED', 'RELEASED'];

/** The column of each order. By tenant there is one value alone, so the id decides. */
const COLUMNS: Readonly<Record<ReservationSortKey, string>> = {
  reservation_id: 'id',
  tenant: 'id',
  scope_path: 'scope_path',
  status: 'state',
  reserved: 'held',
  created_at_ms: 'created_at_ms',
  expires_at_ms: 'expires_at_ms',
};

function scopeCondition({ kind, text }: ScopeCondition, { bind, positionIn }: ReservationDialect): string {
  // `0` is the character after `/`.
  const below = (): string => `(scope_path > ${bind(`${text}/`, 'text')} AND scope_path < ${bind(`${text}0`, 'text')})`;
  switch (kind) {
    case 'within':
      return `(scope_path = ${bind(text, 'text')} OR ${below()})`;
    case 'below':
      return below();
    case 'segment':
      return `${positionIn(`'/' || scope_path || '/'`, bind(`/${text}/`, 'text'))} > 0`;
    case 'level':
      return `${positionIn(`'/' || scope_path`, bind(`/${text}`, 'text'))} > 0`;
  }
}

function rangeConditions(column: string, range: MomentRange | undefined, { bind }: ReservationDialect): string[] {
  return [
    ...(range?.from === undefined ? [] : [`${column} >= ${bind(range.from, 'bigint')}`]),
    ...(range?.to === undefined ? [] : [`${column} <= ${bind(range.to, 'bigint')}`]),
  ];
}

/** What comes behind the last one of the page before. */
function behind({ sortBy, descending, after }: ReservationQuery, { bind }: ReservationDialect): string[] {
  if (after === null) return [];
  const column = COLUMNS[sortBy];
  const sign = descending ? '<' : '>';
  if (column === 'id') return [`id ${sign} ${bind(after.id, 'text')}`];
  const isText = column === 'scope_path' || column === 'state';
  const value = isText ? bind(String(after.value), 'text') : bind(BigInt(after.value), 'bigint');
  return [`(${column}, id) ${sign} (${value}, ${bind(after.id, 'text')})`];
}

/** The order of a list, in the words of an index. */
export function orderOf({ sortBy, descending }: ReservationQuery): string {
  const direction = descending ? ' DESC' : '';
  const column = COLUMNS[sortBy];
  return column === 'id' ? `ORDER BY id${direction}` : `ORDER BY ${column}${direction}, id${direction}`;
}

/** The states that may match: what has no end by somebody's act has no moment of it. */
function statesOf({ state, finalized }: ReservationQuery): readonly ReservationState[] {
  const states = finalized === undefined ? STATES : STATES.filter((each) => each === 'COMMITTED' || each === 'RELEASED');
  return state === undefined ? states : states.filter((each) => each === state);
}

/** One part of a list: what it selects from `reservations`, in order and as far as the page needs. */
function part(columns: string, query: ReservationQuery, options: { state: ReservationState | null; dialect: ReservationDialect }): string {
  const { state, dialect } = options;
  const { bind } = dialect;
  const conditions = [`purpose = 'budget'`, `tenant_id = ${bind(query.tenantId, 'text')}`];
  // Written out and not bound, as the planner sees which part of the index it is. They are ours.
  if (state !== null) conditions.push(`state = '${state}'`);
  else conditions.push(`state IN ('${statesOf(query).join(`', '`)}')`);
  if (query.requestKey !== undefined) conditions.push(`request_key = ${bind(query.requestKey, 'text')}`);
  conditions.push(
    ...rangeConditions('created_at_ms', query.created, dialect),
    ...rangeConditions('expires_at_ms', query.expires, dialect),
    ...rangeConditions('finalized_at_ms', query.finalized, dialect),
  );
  for (const list of query.scopes) conditions.push(`(${list.map((condition) => scopeCondition(condition, dialect)).join(' OR ')})`);
  conditions.push(...behind(query, dialect));
  return `SELECT ${columns} FROM reservations WHERE ${conditions.join(' AND ')} ${orderOf(query)} LIMIT ${query.limit}`;
}

/**
 * The statement of a page; null where nothing can match.
 *
 * By reservations_of_request where a key is given. By creation or expiry, by reservations_listed or reservations_expiring: each state is a
 * range of the index that gives the order as well, and a list of several states takes a page of each, so it costs the same however many
 * there are. Another order is sorted, from all of the tenant's.
 */
export function reservationPageSql(columns: string, query: ReservationQuery, dialect: ReservationDialect): string | null {
  const states = statesOf(query);
  if (states.length === 0) return null;
  const hasIndex = query.sortBy === 'created_at_ms' || query.sortBy === 'expires_at_ms';
  if (query.requestKey !== undefined || !hasIndex) return part(columns, query, { state: null, dialect });
  const parts = states.map((state) => `SELECT * FROM (${part(columns, query, { state, dialect })}) AS of_state`);
  if (parts.length === 1) return parts[0] ?? null;
  return `SELECT * FROM (${parts.join(' UNION ALL ')}) AS found ${orderOf(query)} LIMIT ${query.limit}`;
}
