import type { Database, Statement } from 'better-sqlite3';
import type { StoredEvent } from '../../../ports/record-store.ts';
import type { EventQuery } from '../../../ports/webhook-store.ts';
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
} from '../../_shared/event-list.ts';
import { eventFromRow, type EventRow } from '../../_shared/journal-rows.ts';
import type { Queries } from '../messages.ts';

const DIALECT: EventDialect = {
  find: (text, sought) => `instr(lower(${text}), ${sought})`,
  category: "substr(type, 1, instr(type, '.') - 1)",
  scope: "coalesce(scope, '')",
};

/** A statement with its values. */
export interface ListStatement {
  readonly sql: string;
  readonly values: readonly ListValue[];
}

/** Collects values as a statement is written. */
function writing(): { readonly values: ListValue[]; readonly param: (value: ListValue) => string } {
  const values: ListValue[] = [];
  return {
    values,
    param: (value) => {
      values.push(value);
      return '?';
    },
  };
}

/** The next events of one type, by events_of_tenant_by_type or events_by_type, which give the order as well. */
function typeStatement(query: EventQuery, type: string, group: EventGroup): ListStatement {
  const { values, param } = writing();
  const index = query.tenantId === undefined ? 'events_by_type' : 'events_of_tenant_by_type';
  const conditions = [`type = ${param(type)}`, ...eventConditions(query, param, DIALECT)];
  if (group.after !== null) conditions.push(behind({ ...query, sortBy: 'timestamp' }, group.after, param, DIALECT));
  const sql = `SELECT seq, at_ms FROM events INDEXED BY ${index} WHERE ${conditions.join(' AND ')}
    ORDER BY ${orderBy(['at_ms', 'seq'], query.descending)} LIMIT ${param(query.limit)}`;
  return { sql, values };
}

/** The index of a list that names one request, trace or act; null for others. */
const narrowIndex = (query: EventQuery): string | null =>
  query.requestId !== undefined
    ? 'events_of_request'
    : query.traceId !== undefined
      ? 'events_of_trace'
      : query.correlationId !== undefined
        ? 'events_of_correlation'
        : null;

/** The events of one index that meet the conditions, sorted; the index gives the order where the list is sorted by tenant or scope. */
function indexStatement(query: EventQuery, index: string): ListStatement {
  const { values, param } = writing();
  const types = query.types.map((type) => param(type)).join(', ');
  const conditions = [`type IN (${types})`, ...eventConditions(query, param, DIALECT)];
  if (query.after !== null) conditions.push(behind(query, query.after, param, DIALECT));
  const order = orderBy(orderColumns(query.sortBy, DIALECT), query.descending);
  const sql = `SELECT * FROM events INDEXED BY ${index} WHERE ${conditions.join(' AND ')} ORDER BY ${order} LIMIT ${param(query.limit)}`;
  return { sql, values };
}

/** How many events a scope and what lies below it have, counted up to a limit. By events_by_scope. */
const SCOPE_COUNT = `SELECT count(*) FROM (
  SELECT 1 FROM events INDEXED BY events_by_scope WHERE ${DIALECT.scope} >= ? AND ${DIALECT.scope} < ? LIMIT ${MAX_SORTED_SCOPE + 1})`;

/** The lists of events, prepared on a reading connection. */
export function makeEventQueries(db: Database): Pick<Queries, 'listEvents' | 'event'> {
  const byId = db.prepare<[string], EventRow>('SELECT * FROM events WHERE id = ?');
  const bySeq = db.prepare<[number], EventRow>('SELECT * FROM events WHERE seq = ?');
  const scopeCount = db.prepare<[string, string], number>(SCOPE_COUNT).pluck();
  const prepared = new Map<string, Statement<ListValue[]>>();
  const run = <R>({ sql, values }: ListStatement): R[] => {
    const statement = prepared.get(sql) ?? db.prepare<ListValue[]>(sql);
    prepared.set(sql, statement);
    return statement.all(...values) as R[];
  };

  const groupPage = (query: EventQuery, group: EventGroup, limit: number): StoredEvent[] => {
    const sign = query.descending ? -1 : 1;
    const rows = group.types.flatMap((type) => run<{ seq: number; at_ms: number }>(typeStatement({ ...query, limit }, type, group)));
    return rows
      .toSorted((a, b) => sign * (a.at_ms - b.at_ms || a.seq - b.seq))
      .slice(0, limit)
      .flatMap(({ seq }) => bySeq.all(seq))
      .map(eventFromRow);
  };

  const grouped = (query: EventQuery): StoredEvent[] => {
    const found: StoredEvent[] = [];
    for (const group of eventGroups(query)) {
      found.push(...groupPage(query, group, query.limit - found.length));
      if (found.length >= query.limit) break;
    }
    return found;
  };

  return {
    // In one snapshot, so that a page shows one moment.
    listEvents: db.transaction((query: EventQuery): StoredEvent[] => {
      const narrow = narrowIndex(query);
      const indexed = (index: string): StoredEvent[] => run<EventRow>(indexStatement(query, index)).map(eventFromRow);
      if (narrow !== null) return indexed(narrow);
      if (query.sortBy === 'scope') return indexed('events_by_scope');
      if (query.scope !== undefined && (scopeCount.get(...scopeRange(query.scope)) ?? 0) <= MAX_SORTED_SCOPE)
        return indexed('events_by_scope');
      // Of one tenant, the order by tenant is that by number.
      if (query.sortBy === 'tenant_id') return indexed('events_of_tenant');
      return grouped(query);
    }),
    event: (id) => {
      const row = byId.get(id);
      return row === undefined ? undefined : eventFromRow(row);
    },
  };
}
