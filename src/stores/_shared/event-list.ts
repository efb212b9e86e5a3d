import type { EventPosition, EventQuery } from '../../ports/webhook-store.ts';

/** A value that goes into a statement. */
export type ListValue = string | number;

/** How a dialect writes what both need. `param` takes a value and gives its place in the statement. */
export interface EventDialect {
  /** Where a text that is in lower case begins in another, from 1 on; 0 where it is not in it. */
  readonly find: (text: string, sought: string) => string;
  /** The category of an event, its type up to the first dot. */
  readonly category: string;
  /** The scope as text, in the words of its index. */
  readonly scope: string;
}

/** Matches of one scope that are sorted; where there are more, the events are walked in their order and looked at one by one. */
export const MAX_SORTED_SCOPE = 2000;

/** Types whose events a page goes through together, by time. `key` is what the list is sorted by, null for the time itself. */
export interface EventGroup {
  readonly key: string | null;
  readonly types: readonly string[];
  /** Where the group is to be entered; null: at its beginning. */
  readonly after: EventPosition | null;
}

/** The groups of a list that is sorted by time, type or category, in their order, from where the page before ended. */
export function eventGroups(query: EventQuery): EventGroup[] {
  const { types, sortBy, descending, after } = query;
  if (sortBy === 'timestamp') return [{ key: null, types, after }];
  const byKey = Map.groupBy(types, (type) => (sortBy === 'event_type' ? type : categoryText(type)));
  const keys = [...byKey.keys()].toSorted();
  if (descending) keys.reverse();
  const first = after === null ? 0 : keys.findIndex((key) => (descending ? key <= (after.key ?? '') : key >= (after.key ?? '')));
  if (first < 0) return [];
  return keys.slice(first).map((key) => ({ key, types: byKey.get(key) ?? [], after: after !== null && key === after.key ? after : null }));
}

/** The category of a type of events. */
const categoryText = (type: string): string => type.slice(0, type.indexOf('.'));

/** The next text after all that begin with `prefix/`: the character that follows the slash. */
const afterChildren = (prefix: string): string => `${prefix}0`;

/** The range that holds a scope and all below it, and a few others: {@link eventConditions} leaves those out. */
export const scopeRange = (scope: string): readonly [from: string, before: string] => [scope, afterChildren(scope)];

/** What narrows a list, but for types and where it begins. */
export function eventConditions(query: EventQuery, param: (value: ListValue) => string, dialect: EventDialect): string[] {
  const conditions: string[] = [];
  const add = (text: string, value: ListValue | undefined): void => {
    if (value !== undefined) conditions.push(`${text} ${param(value)}`);
  };
  add('tenant_id =', query.tenantId);
  add('at_ms >=', query.fromMs);
  add('at_ms <=', query.toMs);
  add('request_id =', query.requestId);
  add('trace_id =', query.traceId);
  add('correlation_id =', query.correlationId);
  if (query.scope !== undefined) {
    const { scope } = query;
    const [from, before] = scopeRange(scope);
    conditions.push(`${dialect.scope} >= ${param(from)}`, `${dialect.scope} < ${param(before)}`);
    conditions.push(`(${dialect.scope} = ${param(scope)} OR ${dialect.scope} >= ${param(`${scope}/`)})`);
  }
  if (query.search !== undefined) {
    const [inScope, inCorrelation] = [
      dialect.find(dialect.scope, param(query.search)),
      dialect.find("coalesce(correlation_id, '')", param(query.search)),
    ];
    conditions.push(`(${inScope} > 0 OR ${inCorrelation} > 0)`);
  }
  return conditions;
}

/** The columns that a list is ordered by, where it is read by one index and sorted. */
export function orderColumns(sortBy: EventQuery['sortBy'], dialect: EventDialect): string[] {
  switch (sortBy) {
    case 'timestamp':
      return ['at_ms', 'seq'];
    case 'event_type':
      return ['type', 'at_ms', 'seq'];
    case 'category':
      return [dialect.category, 'at_ms', 'seq'];
    case 'scope':
      return [dialect.scope, 'seq'];
    case 'tenant_id':
      return ['tenant_id', 'seq'];
  }
}

/** The condition that a row lies behind a position, in the order of {@link orderColumns}. */
export function behind(
  query: Pick<EventQuery, 'sortBy' | 'descending'>,
  after: EventPosition,
  param: (value: ListValue) => string,
  dialect: EventDialect,
): string {
  const { sortBy, descending } = query;
  const columns = orderColumns(sortBy, dialect);
  const values = columns.map((column) => param(column === 'seq' ? after.seq : column === 'at_ms' ? after.atMs : (after.key ?? '')));
  return `(${columns.join(', ')}) ${descending ? '<' : '>'} (${values.join(', ')})`;
}

/** An ORDER BY of these columns. */
export const orderBy = (columns: readonly string[], descending: boolean): string =>
  columns.map((column) => `${column} ${descending ? 'DESC' : 'ASC'}`).join(', ');
