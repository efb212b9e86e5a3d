import { createHash } from 'node:crypto';
import { idempotencyMapKey } from '../../core/working-set.ts';
import type { IdempotencyRef } from '../../core/effects.ts';
import type { AccountId } from '../../core/ledger/account.ts';
import { rateMapKey, type RateRef } from '../../core/policy/rate-window.ts';
import type { RecordKind } from '../../core/records.ts';
import type { ReportRef } from '../../core/usage/usage-report.ts';
import { needsOf, type Command } from '../../core/verbs.ts';
import { spendingKey, type SpendingRef } from '../../core/windows/spending.ts';

/** The rows that the commands of one batch look at, each named once. */
export interface BatchNeeds {
  /** The locks of its tenants, in the order in which every batch of every node takes them. */
  readonly tenantLocks: readonly { readonly key: number; readonly isExclusive: boolean }[];
  readonly tenants: readonly string[];
  readonly accounts: readonly AccountId[];
  readonly reservations: readonly string[];
  readonly idempotency: readonly IdempotencyRef[];
  /** Ids by kind; tenants are not among them. */
  readonly records: ReadonlyMap<RecordKind, readonly string[]>;
  readonly reports: readonly ReportRef[];
  readonly rates: readonly RateRef[];
  readonly spending: readonly SpendingRef[];
}

/**
 * A number of 32 bits for a tenant's advisory lock. Two tenants with the same one only wait for each other. It must never change:
 * nodes of different releases lock the same rows by it.
 */
const tenantLockKey = (tenantId: string): number => createHash('sha256').update(tenantId).digest().readInt32BE();

/** Gathers what `commands` need. */
export function batchNeeds(commands: readonly Command[]): BatchNeeds {
  const exclusiveByTenant = new Map<string, boolean>();
  const tenants = new Set<string>();
  const accounts = new Set<AccountId>();
  const reservations = new Set<string>();
  const idempotency = new Map<string, IdempotencyRef>();
  const records = new Map<RecordKind, Set<string>>();
  const reports = new Map<string, ReportRef>();
  const rates = new Map<string, RateRef>();
  const spending = new Map<string, SpendingRef>();
  for (const command of commands) {
    const needs = needsOf(command);
    const { tenantId } = command;
    exclusiveByTenant.set(tenantId, (exclusiveByTenant.get(tenantId) ?? false) || needs.tenantLock === 'exclusive');
    tenants.add(tenantId);
    for (const id of needs.lockedTenants ?? []) exclusiveByTenant.set(id, exclusiveByTenant.get(id) ?? false);
    for (const id of needs.accounts ?? []) accounts.add(id);
    for (const id of needs.reservations ?? []) reservations.add(id);
    for (const ref of needs.idempotency ?? []) idempotency.set(idempotencyMapKey(ref), ref);
    for (const ref of needs.reports ?? []) reports.set(`${ref.reporterId} ${ref.eventId}`, ref);
    for (const ref of needs.rates ?? []) rates.set(rateMapKey(ref), ref);
    if (needs.spending !== undefined) spending.set(spendingKey(needs.spending), needs.spending);
    for (const { kind, id } of needs.records ?? []) {
      if (kind === 'tenant') tenants.add(id);
      else if (!records.get(kind)?.add(id)) records.set(kind, new Set([id]));
    }
  }

  // Shared first and exclusive later on the same key would deadlock with a batch that does the same, so each key is taken once.
  const locks = new Map<number, boolean>();
  for (const [tenantId, isExclusive] of exclusiveByTenant) {
    const key = tenantLockKey(tenantId);
    locks.set(key, (locks.get(key) ?? false) || isExclusive);
  }
  return {
    tenantLocks: [...locks].map(([key, isExclusive]) => ({ key, isExclusive })).toSorted((a, b) => a.key - b.key),
    tenants: [...tenants],
    accounts: [...accounts],
    reservations: [...reservations],
    idempotency: [...idempotency.values()],
    records: new Map([...records].map(([kind, ids]) => [kind, [...ids]])),
    reports: [...reports.values()],
    rates: [...rates.values()],
    spending: [...spending.values()],
  };
}
