import type { AuditFilter, AuditPosition, AuditQuery, AuditSortKey } from '../../core/audit/audit-query.ts';

/** A value that a statement binds. */
export type AuditValue = string | number;

/** What differs between the databases. */
export interface AuditDialect {
  /** Adds a value to those of the statement, and gives its place in the text. */
  readonly bind: (value: AuditValue) => string;
  /** Whether `part`, in lower case, is in `text`, whatever the case of ASCII letters. */
  readonly contains: (text: string, part: string) => string;
  /**
   * What tells the database which index to read by; null where it cannot be told. Then the statement is written so that no other index has
   * the rows in their order: by its own reckoning a database reads the whole trail in the order of time for a tenant that was long quiet.
   */
  readonly by: ((index: string) => string) | null;
}

const STATUS = 'coalesce(http_status, 0)';

const SORT_COLUMNS: Readonly<Record<AuditSortKey, string>> = {
  timestamp: 'at_ms',
  operation: 'operation',
  resource_type: 'resource_kind',
  tenant_id: 'tenant_id',
  key_id: 'actor_id',
  status: STATUS,
};

const SORT_INDEXES: Readonly<Record<AuditSortKey, string>> = {
  timestamp: 'audit_by_time',
  operation: 'audit_by_operation',
  resource_type: 'audit_by_kind',
  tenant_id: 'audit_by_tenant',
  key_id: 'audit_by_actor',
  status: 'audit_by_status',
};

/** The values of a column that a list is read by, one after another, each from an index that has it first; `filter` is what asks for them. */
interface Driver {
  readonly filter: keyof AuditFilter;
  readonly column: string;
  readonly index: string;
  readonly values: readonly AuditValue[];
  /** Whether the index goes on with the order of time. */
  readonly isTimed: boolean;
}

/** What narrows a list the most, by what is likely: a thing before a kind of things. `statuses` are those there are in the range asked for. */
function driverOf(filter: AuditFilter, statuses: readonly number[] | null): Driver | null {
  const one = (value: string | undefined): readonly string[] | undefined => (value === undefined ? undefined : [value]);
  type Choice = readonly [filter: keyof AuditFilter, column: string, index: string, values: readonly AuditValue[] | undefined];
  const drivers: readonly Choice[] = [
    ['requestId', 'request_id', 'audit_of_request', one(filter.requestId)],
    ['traceId', 'trace_id', 'audit_of_trace', one(filter.traceId)],
    ['resourceId', 'resource_id', 'audit_by_thing', one(filter.resourceId)],
    ['keyId', 'actor_id', 'audit_by_actor', one(filter.keyId)],
    ['errorCodes', 'error_code', 'audit_by_error', filter.errorCodes],
    ['status', STATUS, 'audit_by_status', statuses?.every((status) => status >= 300) === true ? statuses : undefined],
    ['operations', 'operation', 'audit_by_operation', filter.operations],
    ['tenantId', 'tenant_id', 'audit_by_tenant', one(filter.tenantId)],
    ['resourceKinds', 'resource_kind', 'audit_by_kind', filter.resourceKinds],
    ['status', STATUS, 'audit_by_status', statuses ?? undefined],
  ];
  const found = drivers.find(([, , , values]) => values !== undefined);
  if (found === undefined) return null;
  const [name, column, index, values] = found;
  return { filter: name, column, index, values: [...new Set(values)], isTimed: index.startsWith('audit_by_') };
}

const KEY_ACTORS = `('admin_key', 'management_key', 'tenant_key')`;

/** Operators and keys are actors; whoever asks for a key means none of the others. */
const actorOf = ({ keyId }: AuditFilter): string[] => (keyId === undefined ? [] : [`actor_kind IN ${KEY_ACTORS}`]);

/** The conditions of a filter, in words that bind their values as they come. */
function conditionsOf(filter: AuditFilter, dialect: AuditDialect): string[] {
  const { bind, contains } = dialect;
  const among = (values: readonly AuditValue[]): string => `(${values.map(bind).join(', ')})`;
  const conditions: string[] = [];
  const equal = (column: string, value: string | undefined): void => {
    if (value !== undefined) conditions.push(`${column} = ${bind(value)}`);
  };
  equal('request_id', filter.requestId);
  equal('trace_id', filter.traceId);
  equal('resource_id', filter.resourceId);
  equal('tenant_id', filter.tenantId);
  equal('actor_id', filter.keyId);
  if (filter.operations !== undefined) conditions.push(`operation IN ${among(filter.operations)}`);
  if (filter.resourceKinds !== undefined) conditions.push(`resource_kind IN ${among(filter.resourceKinds)}`);
  if (filter.errorCodes !== undefined) conditions.push(`error_code IN ${among(filter.errorCodes)}`);
  if (filter.exceptErrorCodes !== undefined) conditions.push(`(error_code IS NULL OR error_code NOT IN ${among(filter.exceptErrorCodes)})`);
  if (filter.status !== undefined) conditions.push(`${STATUS} BETWEEN ${bind(filter.status.min)} AND ${bind(filter.status.max)}`);
  if (filter.fromMs !== undefined) conditions.push(`at_ms >= ${bind(filter.fromMs)}`);
  if (filter.toMs !== undefined) conditions.push(`at_ms <= ${bind(filter.toMs)}`);
  const { search } = filter;
  if (search !== undefined) {
    const texts = ['resource_id', 'id', `coalesce(error_code, '')`, 'operation'];
    conditions.push(`(${texts.map((text) => contains(text, bind(search))).join(' OR ')})`);
  }
  return conditions;
}

function behind(after: AuditPosition | null, query: AuditQuery, { bind }: AuditDialect): string[] {
  if (after === null) return [];
  const sign = query.descending ? '<' : '>';
  if (query.sortBy === 'timestamp') return [`(at_ms, seq) ${sign} (${bind(after.atMs)}, ${bind(after.seq)})`];
  return [`(${SORT_COLUMNS[query.sortBy]}, at_ms, seq) ${sign} (${bind(after.value)}, ${bind(after.atMs)}, ${bind(after.seq)})`];
}

/** What of a filter the reading by a driver's column does not answer by itself. */
function without(filter: AuditFilter, name: keyof AuditFilter): AuditFilter {
  const { [name]: _answered, ...others } = filter;
  return others;
}

/**
 * The conditions of a part of a list in the order of time that holds one value of a column. The value is a stretch of an order, not an
 * equality, so that only the index of that order has the rows as they are wanted.
 */
function stretchOf(query: AuditQuery, { column }: Driver, { value, bind }: { value: AuditValue; bind: AuditDialect['bind'] }): string[] {
  const { after, fromMs, toMs } = query;
  const from = fromMs === undefined ? `${column} >= ${bind(value)}` : `(${column}, at_ms) >= (${bind(value)}, ${bind(fromMs)})`;
  const to = toMs === undefined ? `${column} <= ${bind(value)}` : `(${column}, at_ms) <= (${bind(value)}, ${bind(toMs)})`;
  if (after === null) return [from, to];
  const sign = query.descending ? '<' : '>';
  return [from, to, `(${column}, at_ms, seq) ${sign} (${bind(value)}, ${bind(after.atMs)}, ${bind(after.seq)})`];
}

/**
 * The statement of a page of the trail, with `columns`. A list that is narrowed to several values of a column is read value by value, each in
 * order and no further than the page goes; so no more is read than pages hold, however long the trail is.
 */
export function auditPageSql(
  query: AuditQuery,
  parts: { readonly columns: readonly string[]; readonly statuses: readonly number[] | null; readonly dialect: AuditDialect },
): string {
  const { dialect } = parts;
  const { bind, by } = dialect;
  const columns = parts.columns.join(', ');
  const sorted = query.sortBy === 'timestamp' ? ['at_ms', 'seq'] : [SORT_COLUMNS[query.sortBy], 'at_ms', 'seq'];
  const orderBy = (keys: readonly string[]): string =>
    `ORDER BY ${keys.map((key) => `${key}${query.descending ? ' DESC' : ''}`).join(', ')}`;
  const driver = driverOf(query, parts.statuses);
  const select = (from: string, conditions: readonly string[], keys: readonly string[]): string =>
    `SELECT ${columns} FROM ${from} ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`} ${orderBy(keys)} LIMIT ${query.limit}`;
  const branch = (driver: Driver, value: AuditValue): string => {
    const others = without(query, driver.filter);
    if (by === null && driver.isTimed && query.sortBy === 'timestamp') {
      const { fromMs: _from, toMs: _to, ...untimed } = others;
      const conditions = [...stretchOf(query, driver, { value, bind }), ...actorOf(query), ...conditionsOf(untimed, dialect)];
      return select('audit', conditions, [driver.column, ...sorted]);
    }
    const conditions = [
      `${driver.column} = ${bind(value)}`,
      ...actorOf(query),
      ...conditionsOf(others, dialect),
      ...behind(query.after, query, dialect),
    ];
    return select(`audit ${by?.(driver.index) ?? ''}`, conditions, sorted);
  };
  if (driver === null) {
    const conditions = [...actorOf(query), ...conditionsOf(query, dialect), ...behind(query.after, query, dialect)];
    return select(`audit ${by?.(SORT_INDEXES[query.sortBy]) ?? ''}`, conditions, sorted);
  }
  const [first, ...others] = driver.values.map((value) => branch(driver, value));
  if (others.length === 0) return first ?? '';
  const branches = [first, ...others].map((text) => `SELECT * FROM (${text}) AS one`);
  return `SELECT * FROM (${branches.join(' UNION ALL ')}) AS several ${orderBy(sorted)} LIMIT ${query.limit}`;
}

/** Reads the statuses that there are in a range, each by one look into audit_by_status. `min` and `max` are the places of the bounds. */
export const auditStatusesSql = (min: string, max: string): string => `
  WITH RECURSIVE found (status) AS (
    SELECT min(${STATUS}) FROM audit WHERE ${STATUS} >= ${min}
    UNION ALL
    SELECT (SELECT min(${STATUS}) FROM audit WHERE ${STATUS} > found.status) FROM found WHERE found.status < ${max}
  )
  SELECT status FROM found WHERE status <= ${max}`;
