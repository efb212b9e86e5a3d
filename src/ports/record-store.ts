import type { UpstreamObject } from '../core/calls/upstream-object.ts';
import type { BudgetFilter, BudgetQuery } from '../core/budgets/budget-query.ts';
import type { ReservationQuery } from '../core/cycles/reservation-query.ts';
import type { DomainEvent } from '../core/effects.ts';
import type { SampleBucket } from '../core/containers/container-samples.ts';
import type { Account, AccountId } from '../core/ledger/account.ts';
import type { Reservation } from '../core/ledger/reservation.ts';
import type { ApiKey, Credit, KeyKind, Policy, RecordKind, RecordTypes } from '../core/records.ts';
import type { UsageCharge } from '../core/bills/make-statement.ts';
import type { UsageEvent } from '../core/usage/usage-event.ts';
import type { UsageReport } from '../core/usage/usage-report.ts';
import type { AuditReads } from './audit-reads.ts';
import type { GovernanceReads } from './governance-reads.ts';

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

/** An event with its place in the outbox: of two of one tenant, the one that was written later has the greater `seq`. */
export interface StoredEvent {
  readonly seq: number;
  readonly event: DomainEvent;
}

/** The reading side of a store: committed rows only, never waiting for a writer, never on the thread that relays streams. */
export interface RecordStore extends GovernanceReads, AuditReads {
  record<K extends RecordKind>(kind: K, id: string): Promise<RecordTypes[K] | undefined>;
  /** All records of a kind, ordered by id; of one tenant where `tenantId` is given (members, keys). Deleted keys are left out. */
  records<K extends RecordKind>(kind: K, tenantId?: string): Promise<RecordTypes[K][]>;
  /**
   * The key that has, or before its last rotation had, a value with that hash, and is not deleted. Whether the one before is still good
   * is for the caller to say (`presentedValue`). Uses the unique indexes on the two hashes.
   */
  keyByHash(hash: string): Promise<ApiKey | undefined>;
  /** The key with that hash that was deleted; of several the one that was deleted last. Uses an index on the hash. */
  deletedKeyByHash(hash: string): Promise<ApiKey | undefined>;
  /** Events of a reporter in quarantine, by event id, those after `afterEventId`. */
  quarantinedReports(query: { reporterId: string; afterEventId?: string; limit: number }): Promise<UsageReport[]>;
  /**
   * Keys of a tenant that are not deleted, oldest first, of the given kinds; at most `limit`, those after `afterId` (ids sort by time).
   * Reads no more than `limit` rows of each kind, however many keys there are.
   */
  keys(query: { tenantId: string; kinds: readonly KeyKind[]; afterId?: string; limit?: number }): Promise<ApiKey[]>;
  /** The names of keys, deleted ones too, for grouping usage. */
  keyNames(tenantId: string, keyIds: readonly string[]): Promise<Map<string, string>>;
  /** Credits of a tenant's balance, newest first; at most `limit`, those before `beforeId` (ids sort by time). Reads no more rows than that. */
  credits(query: { tenantId: string; beforeId?: string; limit: number }): Promise<Credit[]>;
  accounts(ids: readonly AccountId[]): Promise<Map<AccountId, Account>>;
  reservation(id: string): Promise<Reservation | undefined>;
  /**
   * A part of a list of reservations of Cycles clients. By creation or expiry it reads few more rows than it gives, however many there are,
   * where its filters let most through; another order reads all of the tenant's.
   */
  reservations(query: ReservationQuery): Promise<Reservation[]>;
  /** Ids of ACTIVE reservations past expiry and grace by the store's own time, oldest expiry first; without those of `except`. */
  expiredReservations(query: { limit: number; except?: readonly string[] }): Promise<{ id: string; tenantId: string }[]>;
  /**
   * Calls that ended without being settled: ACTIVE or EXPIRED holds of `call`s without a charge whose owner is not among `liveOwners`.
   * A row that cannot be read is left out: the sweep of what has expired tells of it.
   */
  unsettledCalls(query: { liveOwnerIds: readonly string[]; limit: number }): Promise<Reservation[]>;
  /** Totals by key and model of the events in [fromMs, toMs]; all time with `fromMs` null. `fromMs` is a multiple of `intervalMs`. */
  usageTotals(query: { tenantId: string; keyId?: string; fromMs: number | null; intervalMs: number }): Promise<UsageTotal[]>;
  /** Sums by bucket and model from `fromMs`, a multiple of `intervalMs`, on. Empty buckets are left out. */
  usageSeries(query: { tenantId: string; fromMs: number; intervalMs: number }): Promise<UsagePoint[]>;
  /** Counters of keys since they were made, for those ids or, without `keyIds`, for all of the tenant. Keys never used are left out. */
  keyUsage(query: { tenantId: string; keyIds?: readonly string[] }): Promise<KeyUsage[]>;
  /**
   * Sums by key and model of the events in [fromMs, toMs), both at midnight, UTC; folded or not, from one snapshot. Two reads of the same
   * time differ by the events that were booked between them, however late.
   */
  usageCharges(query: { tenantId: string; fromMs: number; toMs: number }): Promise<UsageCharge[]>;
  /** The buckets of a container's samples at one level, from `fromMs` on, oldest first. By the primary key. */
  containerSamples(query: { containerId: string; levelMs: number; fromMs: number }): Promise<SampleBucket[]>;
  /** What a tenant was charged in all, in USD_MICROCENTS; folded or not, from one snapshot. */
  chargedMicrocents(tenantId: string): Promise<bigint>;
  /** The day of a tenant's first event, at midnight, UTC, or its moment; null where there is none. */
  firstUsageMs(tenantId: string): Promise<number | null>;
  /** The raw events of a tenant, newest first, at most `limit` (for audits and tests). */
  usageEvents(query: { tenantId: string; limit: number }): Promise<UsageEvent[]>;
  /**
   * Events of a tenant, newest first, of one type where `type` is given; at most `limit`, those before `beforeSeq`. Reads no more than
   * `limit` rows.
   */
  events(query: { tenantId: string; type?: string; beforeSeq?: number; limit: number }): Promise<StoredEvent[]>;
  /** A part of a list of budgets. Reads few more rows than it gives, however many there are, where an index has the order and the filter. */
  budgets(query: BudgetQuery): Promise<Account[]>;
  /** How many budgets a filter means. */
  countBudgets(filter: BudgetFilter): Promise<number>;
  /**
   * Budgets whose row is behind: their period has ended by the store's own time and nothing has touched them since, or a release wrote
   * them that did not keep what lists sort by. At most `limit`, in any order.
   */
  staleBudgets(query: { limit: number }): Promise<{ accountId: AccountId; tenantId: string }[]>;
  /** Policies of a tenant, by id (oldest first), those after `afterId`; of one status or exact pattern where that is given. */
  policies(query: {
    tenantId: string;
    afterId?: string;
    limit: number;
    status?: Policy['status'];
    scopePattern?: string;
  }): Promise<Policy[]>;
  /** Those of the objects with these ids that upstreams keep for the tenant, in any order. By the primary key. */
  upstreamObjects(query: { tenantId: string; ids: readonly string[] }): Promise<UpstreamObject[]>;
  /** A number that grows with every committed change of a record, by any node. */
  generation(): Promise<number>;
  /** Marks this run of the process as alive, and returns the runs seen alive in the last `withinMs`. */
  heartbeat(query: { ownerId: string; withinMs: number }): Promise<string[]>;
}
