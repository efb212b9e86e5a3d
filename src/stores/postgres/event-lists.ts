import type { StoredEvent } from '../../ports/record-store.ts';
import type { EventQuery } from '../../ports/webhook-store.ts';
import {
  behind,
  eventConditions,
  eventGroups,
  MAX_SORTED_SCOPE,
  orderBy,
  orderColumns,
  scopeRange,
  type EventDialect,
  type EventGroup,
  type ListValue,
} from '../_shared/event-list.ts';
import { eventFromRow, type EventRow } from '../_shared/journal-rows.ts';
import { arrayText } from './columns.ts';
import type { Reader } from './reader.ts';
import type { Statement } from './statement.ts';

const DIALECT: EventDialect = {
  find: (text, sought) => `strpos(lower(${text}), ${sought})`,
  category: "split_part(type, '.', 1)",
  scope: "coalesce(scope, '')",
};

/** The columns of an event. */
export const EVENT_FIELDS = 'seq, id, type, tenant_id, at_ms, data, scope, about';

/** A statement with its values. */
export interface ListStatement {
  readonly text: string;
  readonly values: readonly ListValue[];
}

/** Collects values as a statement is written. Numbers are given their type: the server must not guess it from a comparison. */
function writing(): { readonly values: ListValue[]; readonly param: (value: ListValue) => string } {
  const values: ListValue[] = [];
  return {
    values,
    param: (value) => {
      values.push(value);
      return `$${values.length}${typeof value === 'number' ? '::bigint' : '::text'}`;
    },
  };
}

/**
 * The next events of several types, merged by time: of each the first few, by events_of_tenant_by_type or events_by_type, which give the
 * order as well. What else narrows the list must not be found by an index, or a page would be sorted out of all that it finds.
 *
 * Type, time and number are compared and ordered together. If the type stood there alone and as equal, the planner would take the order to be
 * that of time, and walk all events by events_age where few are of the type.
 */
function groupStatement(query: EventQuery, group: EventGroup): ListStatement {
  const { values, param } = writing();
  const { descending, fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, ...rest } = query;
  const types = param(arrayText(group.types));
  const { after } = group;
  const first = descending || after === null ? { atMs: fromMs, seq: -1 } : after;
  const last = !descending || after === null ? { atMs: toMs, seq: Number.MAX_SAFE_INTEGER } : after;
  const conditions = [
    `(type, at_ms, seq) > (wanted.type, ${param(first.atMs)}, ${param(first.seq)})`,
    `(type, at_ms, seq) < (wanted.type, ${param(last.atMs)}, ${param(last.seq)})`,
    ...eventConditions({ ...rest, descending }, param, { ...DIALECT, scope: `${DIALECT.scope} || ''` }),
  ];
  const limit = param(query.limit);
  const text = `
    SELECT ${EVENT_FIELDS} FROM events WHERE seq = ANY (ARRAY(
      SELECT first.seq FROM unnest(${types.replace('::text', '::text[]')}) AS wanted(type) CROSS JOIN LATERAL (
        SELECT seq, at_ms FROM events WHERE ${conditions.join(' AND ')}
        ORDER BY ${orderBy(['type', 'at_ms', 'seq'], descending)} LIMIT ${limit}
      ) AS first ORDER BY ${orderBy(['first.at_ms', 'first.seq'], descending)} LIMIT ${limit}
    )) ORDER BY ${orderBy(['at_ms', 'seq'], descending)}`;
  return { text, values };
}

/**
 * The events that meet the conditions, sorted: found by events_of_request, events_of_trace, events_of_correlation or events_by_scope; by
 * events_by_tenant and events_by_scope in their order.
 */
function narrowStatement(query: EventQuery): ListStatement {
  const { values, param } = writing();
  const types = param(arrayText(query.types)).replace('::text', '::text[]');
  // Not by an index on types: the planner knows nothing of how many of them there are.
  const conditions = [`type || '' = ANY (${types})`, ...eventConditions(query, param, DIALECT)];
  if (query.after !== null) conditions.push(behind(query, query.after, param, DIALECT));
  const order = orderBy(orderColumns(query.sortBy, DIALECT), query.descending);
  const text = `SELECT ${EVENT_FIELDS} FROM events WHERE ${conditions.join(' AND ')} ORDER BY ${order} LIMIT ${param(query.limit)}`;
  return { text, values };
}

/** How many events a scope and what lies below it have, counted up to a limit. Index: events_by_scope. */
const SCOPE_COUNT: Statement = {
  name: 'events_scope_count',
  text: `SELECT count(*) AS found FROM (
    SELECT 1 FROM events WHERE ${DIALECT.scope} >= $1 AND ${DIALECT.scope} < $2 LIMIT ${MAX_SORTED_SCOPE + 1}) AS few`,
};

const EVENT_BY_ID: Statement = { name: 'event_by_id', text: `SELECT ${EVENT_FIELDS} FROM events WHERE id = $1` };

/** Reads lists of events. Statements are many by their shape, so they have no names: each is planned for its values. */
export function makeEventReads(reader: Reader) {
  const run = async ({ text, values }: ListStatement): Promise<StoredEvent[]> =>
    (await reader.rows<EventRow>({ name: '', text }, values)).map(eventFromRow);
  const isFewInScope = async (scope: string): Promise<boolean> => {
    const [row] = await reader.rows<{ found: bigint }>(SCOPE_COUNT, scopeRange(scope));
    return Number(row?.found ?? 0n) <= MAX_SORTED_SCOPE;
  };
  const grouped = async (query: EventQuery): Promise<StoredEvent[]> => {
    const found: StoredEvent[] = [];
    for (const group of eventGroups(query)) {
      found.push(...(await run(groupStatement({ ...query, limit: query.limit - found.length }, group))));
      if (found.length >= query.limit) break;
    }
    return found;
  };
  return {
    listEvents: async (query: EventQuery): Promise<StoredEvent[]> => {
      const { requestId, traceId, correlationId, sortBy, scope } = query;
      const isNarrow = (requestId ?? traceId ?? correlationId) !== undefined || sortBy === 'scope' || sortBy === 'tenant_id';
      return isNarrow || (scope !== undefined && (await isFewInScope(scope))) ? run(narrowStatement(query)) : grouped(query);
    },
    event: async (id: string): Promise<StoredEvent | undefined> => {
      const [row] = await reader.rows<EventRow>(EVENT_BY_ID, [id]);
      return row === undefined ? undefined : eventFromRow(row);
    },
  };
}
