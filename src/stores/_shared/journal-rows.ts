import type { StoredAudit } from '../../core/audit/audit-query.ts';
import type { AuditEntry, DomainEvent, IdempotencyRecord, IdempotencyRef } from '../../core/effects.ts';
import type { Entry } from '../../core/ledger/entry.ts';
import type { StoredEvent } from '../../ports/record-store.ts';

/** Columns of `ledger_entries` but `seq`, in the order of {@link entryValues}. */
export const ENTRY_COLUMNS = ['account_no', 'command', 'verb', 'd_allocated', 'd_spent', 'd_reserved', 'd_debt', 'at_ms'] as const;

/** The row of a journal line; `accountNo` is its account's number. */
export const entryValues = (entry: Entry, accountNo: bigint | number): (string | number | bigint)[] => [
  accountNo,
  entry.command,
  entry.verb,
  entry.dAllocated,
  entry.dSpent,
  entry.dReserved,
  entry.dDebt,
  entry.atMs,
];

/** Tells a line that changes what is spent and held only: most of them. */
export const isPlainEntry = (entry: Entry): boolean => entry.dAllocated === 0n && entry.dDebt === 0n;

/** {@link ENTRY_COLUMNS} of a plain line, in the order of {@link plainEntryValues}, with those two last that are 0. */
export const PLAIN_ENTRY_COLUMNS = ['account_no', 'command', 'verb', 'd_spent', 'd_reserved', 'at_ms', 'd_allocated', 'd_debt'] as const;

/** The row of a plain journal line without its two zeros. */
export const plainEntryValues = (entry: Entry, accountNo: bigint | number): (string | number | bigint)[] => [
  accountNo,
  entry.command,
  entry.verb,
  entry.dSpent,
  entry.dReserved,
  entry.atMs,
];

/** Columns of `events` but `seq` and `delivered_at_ms`, in the order of {@link eventValues}. */
export const EVENT_COLUMNS = [
  'id',
  'type',
  'tenant_id',
  'at_ms',
  'data',
  'scope',
  'request_id',
  'trace_id',
  'correlation_id',
  'about',
] as const;

/** The row of an outbox event. */
export const eventValues = (event: DomainEvent): (string | number | null)[] => [
  event.id,
  event.type,
  event.tenantId,
  event.atMs,
  JSON.stringify(event.data),
  event.scope ?? null,
  event.origin?.requestId ?? null,
  event.origin?.traceId ?? null,
  event.origin?.correlationId ?? null,
  aboutText(event),
];

/** What is known of an event beside what queries look for; null where nothing is. */
const aboutText = ({ origin, metadata }: DomainEvent): string | null =>
  origin === undefined && metadata === undefined ? null : JSON.stringify({ origin, metadata });

/** A row of `events` as both drivers give it. */
export interface EventRow {
  readonly seq: bigint | number;
  readonly id: string;
  readonly type: string;
  readonly tenant_id: string;
  readonly at_ms: bigint | number;
  readonly data: string;
  readonly scope: string | null;
  readonly about: string | null;
}

/** The event of a row, with its place in the outbox. */
export const eventFromRow = (row: EventRow): StoredEvent => ({
  seq: Number(row.seq),
  event: {
    id: row.id,
    type: row.type,
    tenantId: row.tenant_id,
    atMs: Number(row.at_ms),
    data: JSON.parse(row.data) as DomainEvent['data'],
    ...(row.scope === null ? {} : { scope: row.scope }),
    ...(row.about === null ? {} : (JSON.parse(row.about) as Pick<DomainEvent, 'origin' | 'metadata'>)),
  },
});

/** Columns of `audit` but `seq`, in the order of {@link auditValues}. */
export const AUDIT_COLUMNS = [
  'id',
  'tenant_id',
  'at_ms',
  'operation',
  'actor_kind',
  'actor_id',
  'resource_kind',
  'resource_id',
  'request_id',
  'code',
  'metadata',
  'trace_id',
  'source_ip',
  'user_agent',
  'http_status',
  'error_code',
] as const;

/** The row of an audit entry. */
export const auditValues = (entry: AuditEntry): (string | number | null)[] => [
  entry.id,
  entry.tenantId,
  entry.atMs,
  entry.operation,
  entry.actorKind,
  entry.actorId,
  entry.resourceKind,
  entry.resourceId,
  entry.requestId,
  entry.code,
  JSON.stringify(entry.metadata),
  entry.traceId ?? null,
  entry.sourceIp ?? null,
  entry.userAgent ?? null,
  entry.status ?? null,
  entry.errorCode ?? null,
];

/** The same values of a row as a driver gives it, its integers as numbers. */
export const trailValues = (row: Readonly<Record<string, string | number | bigint | null>>): (string | number | null)[] =>
  AUDIT_COLUMNS.map((column) => {
    const value = row[column] ?? null;
    return typeof value === 'bigint' ? Number(value) : value;
  });

/** A row of `audit` as both drivers give it. */
export interface AuditRow {
  readonly seq: bigint | number;
  readonly id: string;
  readonly tenant_id: string;
  readonly at_ms: bigint | number;
  readonly operation: string;
  readonly actor_kind: string;
  readonly actor_id: string;
  readonly resource_kind: string;
  readonly resource_id: string;
  readonly request_id: string;
  readonly code: string | null;
  readonly metadata: string;
  readonly trace_id: string | null;
  readonly source_ip: string | null;
  readonly user_agent: string | null;
  readonly http_status: bigint | number | null;
  readonly error_code: string | null;
}

/** What a row of the trail tells besides. Somebody may have written there: then the row says so, and is listed all the same. */
function readMetadata(text: string): AuditEntry['metadata'] {
  try {
    const value = JSON.parse(text) as AuditEntry['metadata'];
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Told below; verification tells where the row differs from the one that was written.
  }
  return { error_message: 'what this row told besides cannot be read: verify the audit trail' };
}

/** The audit entry of a row, with its place in the order of writing. */
export const auditFromRow = (row: AuditRow): StoredAudit => ({
  seq: Number(row.seq),
  entry: {
    id: row.id,
    tenantId: row.tenant_id,
    atMs: Number(row.at_ms),
    operation: row.operation,
    actorKind: row.actor_kind,
    actorId: row.actor_id,
    resourceKind: row.resource_kind,
    resourceId: row.resource_id,
    requestId: row.request_id,
    code: row.code,
    metadata: readMetadata(row.metadata),
    ...(row.trace_id === null ? {} : { traceId: row.trace_id }),
    ...(row.source_ip === null ? {} : { sourceIp: row.source_ip }),
    ...(row.user_agent === null ? {} : { userAgent: row.user_agent }),
    ...(row.http_status === null ? {} : { status: Number(row.http_status) }),
    ...(row.error_code === null ? {} : { errorCode: row.error_code }),
  },
});

/** Columns of `idempotency`, in the order of {@link idempotencyValues}; the first four are its primary key. */
export const IDEMPOTENCY_COLUMNS = ['tenant_id', 'operation', 'target', 'key', 'hash', 'answer', 'expires_at_ms'] as const;

/** The row of a remembered answer. */
export const idempotencyValues = (ref: IdempotencyRef, record: IdempotencyRecord): (string | number)[] => [
  ref.tenantId,
  ref.operation,
  ref.target,
  ref.key,
  record.hash,
  JSON.stringify(record.answer),
  record.expiresAtMs,
];
