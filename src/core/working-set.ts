import type { AuditEntry, DomainEvent, Effect, IdempotencyRecord, IdempotencyRef, KeyUse, UpstreamObjectPut } from './effects.ts';
import { joined, type SampleBucket } from './containers/container-samples.ts';
import { INT64_MAX, INT64_MIN } from './int64.ts';
import { invariant } from './invariant.ts';
import type { Account, AccountId } from './ledger/account.ts';
import type { Entry } from './ledger/entry.ts';
import type { Reservation } from './ledger/reservation.ts';
import { rateMapKey, type RateRef, type RateWindow } from './policy/rate-window.ts';
import type { RecordKind, RecordTypes } from './records.ts';
import type { UsageEvent } from './usage/usage-event.ts';
import type { ReportRef, UsageReport } from './usage/usage-report.ts';
import type { State } from './verb.ts';
import { isOpenCall, spendingKey, type Spending, type SpendingRef } from './windows/spending.ts';

/** A row of a record kind, or null where a batch removed it. `kind` tells the type of `record`. */
export type RecordChange = {
  [K in RecordKind]: { readonly kind: K; readonly id: string; readonly record: RecordTypes[K] | null };
}[RecordKind];

/** A reservation as it ends up. `hasNewLegs`: it was in the store, and holds on more accounts now. */
export interface ReservationChange {
  readonly reservation: Reservation;
  readonly isNew: boolean;
  readonly hasNewLegs: boolean;
}

/** What a batch did, for a store to write: rows as they end up, and lines to append in order. `isNew` rows were not in the store. */
export interface Changes {
  readonly accounts: readonly { readonly account: Account; readonly isNew: boolean }[];
  readonly reservations: readonly ReservationChange[];
  readonly records: readonly RecordChange[];
  readonly idempotency: readonly { readonly ref: IdempotencyRef; readonly record: IdempotencyRecord }[];
  readonly rates: readonly { readonly ref: RateRef; readonly window: RateWindow; readonly isNew: boolean }[];
  readonly entries: readonly Entry[];
  readonly usage: readonly UsageEvent[];
  readonly reports: readonly { readonly report: UsageReport; readonly isNew: boolean }[];
  /** Objects that upstreams keep; null for one that is forgotten. Each key once. */
  readonly upstreamObjects: readonly UpstreamObjectPut[];
  /** The last use of keys; each key once. */
  readonly keyUses: readonly KeyUse[];
  /** What is added to buckets of samples; each bucket once. */
  readonly containerSamples: readonly SampleBucket[];
  readonly events: readonly DomainEvent[];
  readonly audit: readonly AuditEntry[];
}

/** Joins the parts of an idempotency reference into one key of a map. */
export const idempotencyMapKey = (ref: IdempotencyRef): string => JSON.stringify([ref.tenantId, ref.operation, ref.target, ref.key]);

const reportMapKey = ({ reporterId, eventId }: ReportRef): string => `${reporterId} ${eventId}`;

const NO_SHARES: readonly number[] = [];

const recordMapKey = (kind: RecordKind, id: string): string => `${kind} ${id}`;

/**
 * The rows of one batch while its commands are decided one after another. A store puts what it loaded (`undefined` for a row that
 * does not exist), {@link applyEffect} folds each decision in, and {@link changes} says what to write.
 *
 * Asserts L1 to L3 on every amount that it changes: int64, and spent, reserved and debt never negative.
 */
export class WorkingSet implements State {
  readonly #accounts = new Map<AccountId, Account | undefined>();
  readonly #reservations = new Map<string, Reservation | undefined>();
  readonly #records = new Map<string, RecordTypes[RecordKind] | undefined>();
  readonly #idempotency = new Map<string, IdempotencyRecord | undefined>();
  readonly #reports = new Map<string, UsageReport | undefined>();
  readonly #rates = new Map<string, RateWindow | undefined>();
  readonly #keepers = new Map<string, boolean>();
  readonly #changedRates = new Map<string, { ref: RateRef; window: RateWindow; isNew: boolean }>();
  readonly #changedAccounts = new Map<AccountId, boolean>();
  readonly #changedReservations = new Map<string, boolean>();
  readonly #changedRecords = new Map<string, RecordChange>();
  readonly #changedIdempotency = new Map<string, { ref: IdempotencyRef; record: IdempotencyRecord }>();
  readonly #changedReports = new Map<string, { report: UsageReport; isNew: boolean }>();
  readonly #entries: Entry[] = [];
  readonly #usage: UsageEvent[] = [];
  readonly #upstreamObjects = new Map<string, UpstreamObjectPut>();
  readonly #keyUses = new Map<string, KeyUse>();
  readonly #samples = new Map<string, SampleBucket>();
  readonly #events: DomainEvent[] = [];
  readonly #audit: AuditEntry[] = [];
  readonly #periodic = new Set<AccountId>();
  readonly #spending = new Map<string, Spending>();
  readonly #relegged = new Set<string>();

  putAccount(id: AccountId, account: Account | undefined): void {
    this.#accounts.set(id, account);
    if (typeof account?.budget?.periodEndMs === 'number') this.#periodic.add(id);
  }

  /** The loaded budgets that have periods, as they are now. */
  periodicBudgets(): Account[] {
    return [...this.#periodic].map((id) => this.account(id)).filter((account) => account !== undefined);
  }

  putSpending(ref: SpendingRef, spending: Spending): void {
    this.#spending.set(spendingKey(ref), spending);
  }

  putReservation(id: string, reservation: Reservation | undefined): void {
    this.#reservations.set(id, reservation);
  }

  putRecord<K extends RecordKind>(kind: K, id: string, record: RecordTypes[K] | undefined): void {
    this.#records.set(recordMapKey(kind, id), record);
  }

  putIdempotency(ref: IdempotencyRef, record: IdempotencyRecord | undefined): void {
    this.#idempotency.set(idempotencyMapKey(ref), record);
  }

  putReport(ref: ReportRef, report: UsageReport | undefined): void {
    this.#reports.set(reportMapKey(ref), report);
  }

  putRate(ref: RateRef, window: RateWindow | undefined): void {
    this.#rates.set(rateMapKey(ref), window);
  }

  /** Tells whether a reservation that keeps a loaded answer holds. */
  putKeeper(reservationId: string, isHeld: boolean): void {
    this.#keepers.set(reservationId, isHeld);
  }

  account(id: AccountId): Account | undefined {
    invariant(this.#accounts.has(id), `account ${id} was not loaded`);
    return this.#accounts.get(id);
  }

  isLoaded(id: AccountId): boolean {
    return this.#accounts.has(id);
  }

  spending(ref: SpendingRef): Spending {
    const found = this.#spending.get(spendingKey(ref));
    invariant(found !== undefined, `the spending of ${ref.tenantId} since ${ref.sinceMs} was not loaded`);
    // With what the commands before this one of the batch did, which the store has not seen.
    const charges = new Map(found.charges);
    for (const { tenantId, keyId, heldAtMs, chargeMicrocents } of this.#usage) {
      if (tenantId === ref.tenantId && heldAtMs >= ref.sinceMs) charges.set(keyId, (charges.get(keyId) ?? 0n) + chargeMicrocents);
    }
    const calls = new Map(found.calls.map((call) => [call.id, call]));
    for (const id of this.#changedReservations.keys()) {
      const call = this.reservation(id);
      if (call === undefined) continue;
      if (isOpenCall(call, ref)) calls.set(id, call);
      else calls.delete(id);
    }
    return { charges, owners: found.owners, calls: [...calls.values()] };
  }

  reservation(id: string): Reservation | undefined {
    invariant(this.#reservations.has(id), `reservation ${id} was not loaded`);
    return this.#reservations.get(id);
  }

  idempotency(ref: IdempotencyRef): IdempotencyRecord | undefined {
    const key = idempotencyMapKey(ref);
    invariant(this.#idempotency.has(key), `idempotency ${key} was not loaded`);
    return this.#idempotency.get(key);
  }

  record<K extends RecordKind>(kind: K, id: string): RecordTypes[K] | undefined {
    const key = recordMapKey(kind, id);
    invariant(this.#records.has(key), `record ${key} was not loaded`);
    // The map key holds the kind, so the value is of that kind's type.
    return this.#records.get(key) as RecordTypes[K] | undefined;
  }

  /** The shares of budgets that the subscriptions of a tenant ask for beside the usual ones; none where the tenant is not among the rows. */
  watchedShares(tenantId: string): readonly number[] {
    const tenant = this.#records.get(recordMapKey('tenant', tenantId)) as RecordTypes['tenant'] | undefined;
    return tenant?.utilizationThresholds ?? NO_SHARES;
  }

  report(ref: ReportRef): UsageReport | undefined {
    const key = reportMapKey(ref);
    invariant(this.#reports.has(key), `the report ${key} was not loaded`);
    return this.#reports.get(key);
  }

  rate(ref: RateRef): RateWindow | undefined {
    const key = rateMapKey(ref);
    invariant(this.#rates.has(key), `the count ${key} was not loaded`);
    return this.#rates.get(key);
  }

  isHeld(reservationId: string): boolean {
    // What another command of the batch loaded, and perhaps ended, goes before what was read with the answer.
    const known = this.#reservations.get(reservationId);
    if (known !== undefined) return known.state === 'ACTIVE';
    const isKeeper = this.#keepers.get(reservationId);
    invariant(isKeeper !== undefined, `whether reservation ${reservationId} holds was not loaded`);
    return isKeeper;
  }

  /** Folds one effect into the rows, so that the next command of the batch sees it. */
  applyEffect(effect: Effect): void {
    switch (effect.type) {
      case 'account':
        return this.#setAccount(effect.account);
      case 'entry':
        return this.#addEntry(effect.entry);
      case 'reservation': {
        const { reservation } = effect;
        const before = this.#reservations.get(reservation.id);
        const isNew = this.#changedReservations.get(reservation.id) ?? before === undefined;
        if (before !== undefined && before.legs.length !== reservation.legs.length) this.#relegged.add(reservation.id);
        this.#changedReservations.set(reservation.id, isNew);
        this.#reservations.set(reservation.id, reservation);
        return;
      }
      case 'record': {
        const key = recordMapKey(effect.kind, effect.id);
        this.#records.set(key, effect.record);
        this.#changedRecords.set(key, { kind: effect.kind, id: effect.id, record: effect.record } as RecordChange);
        return;
      }
      case 'record-removed': {
        const key = recordMapKey(effect.kind, effect.id);
        this.#records.set(key, undefined);
        this.#changedRecords.set(key, { kind: effect.kind, id: effect.id, record: null } as RecordChange);
        return;
      }
      case 'idempotency': {
        const key = idempotencyMapKey(effect.ref);
        this.#idempotency.set(key, effect.record);
        this.#changedIdempotency.set(key, { ref: effect.ref, record: effect.record });
        return;
      }
      case 'usage':
        this.#usage.push(effect.event);
        return;
      case 'report': {
        const key = reportMapKey(effect.report);
        const isNew = this.#changedReports.get(key)?.isNew ?? this.report(effect.report) === undefined;
        this.#changedReports.set(key, { report: effect.report, isNew });
        this.#reports.set(key, effect.report);
        return;
      }
      case 'rate': {
        const key = rateMapKey(effect.ref);
        const isNew = this.#changedRates.get(key)?.isNew ?? this.rate(effect.ref) === undefined;
        this.#changedRates.set(key, { ref: effect.ref, window: effect.window, isNew });
        this.#rates.set(key, effect.window);
        return;
      }
      case 'upstream-object':
        this.#upstreamObjects.set(JSON.stringify([effect.tenantId, effect.id]), effect);
        return;
      case 'key-use':
        this.#keyUses.set(effect.use.keyId, effect.use);
        return;
      case 'container-sample': {
        const { bucket } = effect;
        const key = `${bucket.containerId} ${bucket.levelMs} ${bucket.bucketMs}`;
        const known = this.#samples.get(key);
        this.#samples.set(key, known === undefined ? bucket : joined(known, bucket));
        return;
      }
      case 'event':
        this.#events.push(effect.event);
        return;
      case 'audit':
        this.#audit.push(effect.entry);
        return;
    }
  }

  /** What the batch did so far. */
  changes(): Changes {
    return {
      accounts: [...this.#changedAccounts].map(([id, isNew]) => ({ account: this.account(id) as Account, isNew })),
      reservations: [...this.#changedReservations].map(([id, isNew]) => ({
        reservation: this.reservation(id) as Reservation,
        isNew,
        hasNewLegs: !isNew && this.#relegged.has(id),
      })),
      records: [...this.#changedRecords.values()],
      idempotency: [...this.#changedIdempotency.values()],
      rates: [...this.#changedRates.values()],
      entries: this.#entries,
      usage: this.#usage,
      reports: [...this.#changedReports.values()],
      upstreamObjects: [...this.#upstreamObjects.values()],
      keyUses: [...this.#keyUses.values()],
      containerSamples: [...this.#samples.values()],
      events: this.#events,
      audit: this.#audit,
    };
  }

  #setAccount(account: Account): void {
    const before = this.#accounts.get(account.id);
    if (before !== undefined) {
      // Amounts change by entries only; else the journal would not explain the balance.
      const limitKept = before.allocated === account.allocated || (before.allocated ?? 0n) === (account.allocated ?? 0n);
      const amountsKept = before.spent === account.spent && before.reserved === account.reserved && before.debt === account.debt;
      invariant(limitKept && amountsKept, `account ${account.id} changed an amount without an entry`);
    } else {
      const isEmpty = (account.allocated ?? 0n) === 0n && account.spent === 0n && account.reserved === 0n && account.debt === 0n;
      invariant(isEmpty, `account ${account.id} was created with an amount and no entry`);
    }
    this.#changedAccounts.set(account.id, this.#changedAccounts.get(account.id) ?? before === undefined);
    this.#accounts.set(account.id, account);
  }

  #addEntry(entry: Entry): void {
    const before = this.account(entry.accountId);
    invariant(before !== undefined, `entry for account ${entry.accountId}, which does not exist`);
    const after: Account = {
      ...before,
      allocated: before.allocated === null ? null : before.allocated + entry.dAllocated,
      spent: before.spent + entry.dSpent,
      reserved: before.reserved + entry.dReserved,
      debt: before.debt + entry.dDebt,
    };
    invariant(before.allocated !== null || entry.dAllocated === 0n, `entry allocates to ${entry.accountId}, which is unlimited`);
    for (const amount of [after.spent, after.reserved, after.debt]) {
      invariant(amount >= 0n && amount <= INT64_MAX, `account ${entry.accountId} would hold ${amount}`);
    }
    const allocated = after.allocated ?? 0n;
    invariant(allocated >= INT64_MIN && allocated <= INT64_MAX, `account ${entry.accountId} would be allocated ${allocated}`);
    this.#changedAccounts.set(entry.accountId, this.#changedAccounts.get(entry.accountId) ?? false);
    this.#accounts.set(entry.accountId, after);
    this.#entries.push(entry);
  }
}
