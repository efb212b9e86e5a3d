import type { UpstreamObject } from '../core/calls/upstream-object.ts';
import type { Account, AccountId } from '../core/ledger/account.ts';
import type { Reservation } from '../core/ledger/reservation.ts';
import type { ApiKey, KeyKind, RecordKind, RecordTypes } from '../core/records.ts';
import type { UsageEvent } from '../core/usage/usage-event.ts';

/** Sums of usage of one key and model. Counts are safe integers; `costNanoUsd` is exact. */
export interface UsageTotal {
  readonly keyId: string;
  readonly model: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costNanoUsd: bigint;
}

/** Sums of usage of one model in one bucket; `bucketMs` is the bucket's start. */
export interface UsagePoint {
  readonly bucketMs: number;
  readonly model: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** What a key has used since it was made. `lastUsedAtMs` is null before its first call. */
export interface KeyUsage {
  readonly keyId: string;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly lastUsedAtMs: number | null;
}

/** The reading side of a store: committed rows only, never waiting for a writer, never on the thread that relays streams. */
export interface RecordStore {
  record<K extends RecordKind>(kind: K, id: string): Promise<RecordTypes[K] | undefined>;
  /** All records of a kind, ordered by id; of one tenant where `tenantId` is given (members, keys). Deleted keys are left out. */
  records<K extends RecordKind>(kind: K, tenantId?: string): Promise<RecordTypes[K][]>;
  /** The key with that hash that is not deleted. Uses the unique index on the hash. */
  keyByHash(hash: string): Promise<ApiKey | undefined>;
  /** Keys of a tenant that are not deleted, oldest first, of the given kinds; at most `limit`, those after `afterId` (ids sort by time). */
  keys(query: { tenantId: string; kinds: readonly KeyKind[]; afterId?: string; limit?: number }): Promise<ApiKey[]>;
  /** The names of keys, deleted ones too, for grouping usage. */
  keyNames(tenantId: string, keyIds: readonly string[]): Promise<Map<string, string>>;
  accounts(ids: readonly AccountId[]): Promise<Map<AccountId, Account>>;
  reservation(id: string): Promise<Reservation | undefined>;
  /** Ids of ACTIVE reservations past expiry and grace by the store's own time, oldest expiry first. */
  expiredReservations(query: { limit: number }): Promise<{ id: string; tenantId: string }[]>;
  /** Calls that ended without being settled: ACTIVE or EXPIRED holds of `call`s without a charge whose owner is not among `liveOwners`. */
  unsettledCalls(query: { liveOwnerIds: readonly string[]; limit: number }): Promise<Reservation[]>;
  /** Totals by key and model of the events in [fromMs, toMs]; all time with `fromMs` null. `fromMs` is a multiple of `intervalMs`. */
  usageTotals(query: { tenantId: string; keyId?: string; fromMs: number | null; intervalMs: number }): Promise<UsageTotal[]>;
  /** Sums by bucket and model from `fromMs`, a multiple of `intervalMs`, on. Empty buckets are left out. */
  usageSeries(query: { tenantId: string; fromMs: number; intervalMs: number }): Promise<UsagePoint[]>;
  /** Counters of keys since they were made, for those ids or, without `keyIds`, for all of the tenant. Keys never used are left out. */
  keyUsage(query: { tenantId: string; keyIds?: readonly string[] }): Promise<KeyUsage[]>;
  /** The raw events of a tenant, newest first, at most `limit` (for audits and tests). */
  usageEvents(query: { tenantId: string; limit: number }): Promise<UsageEvent[]>;
  /** Those of the objects with these ids that upstreams keep for the tenant, in any order. By the primary key. */
  upstreamObjects(query: { tenantId: string; ids: readonly string[] }): Promise<UpstreamObject[]>;
  /** A number that grows with every committed change of a record, by any node. */
  generation(): Promise<number>;
  /** Marks this run of the process as alive, and returns the runs seen alive in the last `withinMs`. */
  heartbeat(query: { ownerId: string; withinMs: number }): Promise<string[]>;
}
