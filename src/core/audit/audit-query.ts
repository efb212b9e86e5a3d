import type { AuditEntry } from '../effects.ts';

/** Whose trail tells of requests that nobody knows the sender of. Source: Cycles governance, `AuditLogEntry.tenant_id`. */
export const UNKNOWN_TENANT = '__unauth__';

/** By what a list of the trail can be sorted, as the wire has it; the first where nothing is said. Source: Cycles governance, `listAuditLogs`. */
export const AUDIT_SORT_KEYS = ['timestamp', 'operation', 'resource_type', 'tenant_id', 'key_id', 'status'] as const;
/** By what the trail can be sorted. */
export type AuditSortKey = (typeof AUDIT_SORT_KEYS)[number];

/**
 * What narrows a list of the trail; all of it together. Lists hold at most 25 values, and a row has to have one of them. Bounds belong to
 * the range. `search` is in lower case and looked for in the ids of the row and of the thing, the operation and the code.
 *
 * A row that succeeded has no code: no `errorCodes` match it, and nothing of `exceptErrorCodes` hides it. A row from before statuses were
 * kept has none, and matches no status.
 */
export interface AuditFilter {
  readonly tenantId?: string;
  readonly keyId?: string;
  readonly operations?: readonly string[];
  readonly resourceKinds?: readonly string[];
  readonly resourceId?: string;
  readonly errorCodes?: readonly string[];
  readonly exceptErrorCodes?: readonly string[];
  readonly status?: { readonly min: number; readonly max: number };
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly search?: string;
  readonly traceId?: string;
  readonly requestId?: string;
}

/** A row of the trail with its place in the order of writing. */
export interface StoredAudit {
  readonly seq: number;
  readonly entry: AuditEntry;
}

/** Where a row stands in an order: by the value, then by its moment, then by the order of writing. */
export interface AuditPosition {
  readonly value: string | number;
  readonly atMs: number;
  readonly seq: number;
}

/** Which part of a sorted list of the trail is wanted: at most `limit` rows behind `after`. */
export interface AuditQuery extends AuditFilter {
  readonly sortBy: AuditSortKey;
  readonly descending: boolean;
  readonly after: AuditPosition | null;
  readonly limit: number;
}

/** What rows that have no status are sorted by. */
const NO_STATUS = 0;

/** Whether somebody did it with a key; else it was the operator, or the program. */
export const hasKey = ({ actorKind }: Pick<AuditEntry, 'actorKind'>): boolean => actorKind.endsWith('_key');

/** What a row is sorted by. Without a key that is whoever else did it, which comes after all ids of keys. */
function auditSortValue(entry: AuditEntry, sortBy: AuditSortKey): string | number {
  switch (sortBy) {
    case 'timestamp':
      return entry.atMs;
    case 'operation':
      return entry.operation;
    case 'resource_type':
      return entry.resourceKind;
    case 'tenant_id':
      return entry.tenantId;
    case 'key_id':
      return entry.actorId;
    case 'status':
      return entry.status ?? NO_STATUS;
  }
}

/** Where a row stands in the order of a list. */
export const auditPosition = ({ seq, entry }: StoredAudit, sortBy: AuditSortKey): AuditPosition => ({
  value: auditSortValue(entry, sortBy),
  atMs: entry.atMs,
  seq,
});
