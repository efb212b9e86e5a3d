import { DEFAULT_ENTITLEMENTS } from '../../src/core/access/defaults.ts';
import type { UpstreamObject } from '../../src/core/calls/upstream-object.ts';
import type { DomainEvent, IdempotencyRecord, IdempotencyRef } from '../../src/core/effects.ts';
import type { Account, AccountId } from '../../src/core/ledger/account.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import type { Reservation } from '../../src/core/ledger/reservation.ts';
import { rateMapKey, type RateWindow } from '../../src/core/policy/rate-window.ts';
import type { Setting, Tenant, TenantStatus } from '../../src/core/records.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import { runBatch } from '../../src/core/run-batch.ts';
import type { UsageEvent } from '../../src/core/usage/usage-event.ts';
import { needsOf, type Command } from '../../src/core/verbs.ts';
import { idempotencyMapKey, WorkingSet, type Changes } from '../../src/core/working-set.ts';

/**
 * A store of plain maps that runs batches as a real one does: it loads only the rows that the commands name, decides, and writes what
 * the working set says changed. A decision that looks at a row it did not name, and a change that is wrongly marked as new, throw.
 */
export class MemoryLedger {
  readonly accounts = new Map<AccountId, Account>();
  readonly reservations = new Map<string, Reservation>();
  readonly tenants = new Map<string, Tenant>();
  readonly settings = new Map<string, Setting>();
  readonly idempotency = new Map<string, IdempotencyRecord>();
  readonly rates = new Map<string, RateWindow>();
  readonly entries: Entry[] = [];
  readonly usage: UsageEvent[] = [];
  readonly upstreamObjects = new Map<string, UpstreamObject>();
  readonly events: DomainEvent[] = [];

  putTenant(id: string, status: TenantStatus): void {
    this.tenants.set(id, {
      id,
      name: id,
      status,
      entitlements: DEFAULT_ENTITLEMENTS,
      requireBudget: false,
      allowUnpriced: false,
      hideAmounts: false,
      keyCount: 0,
      createdAtMs: 0,
    });
  }

  putAccount(account: Account): void {
    this.accounts.set(account.id, account);
  }

  putReservation(reservation: Reservation): void {
    this.reservations.set(reservation.id, reservation);
  }

  putIdempotency(ref: IdempotencyRef, record: IdempotencyRecord): void {
    this.idempotency.set(idempotencyMapKey(ref), record);
  }

  /** The account with that id, which must exist. */
  account(id: AccountId): Account {
    const account = this.accounts.get(id);
    if (account === undefined) throw new Error(`no account ${id}`);
    return account;
  }

  /** The reservation with that id, which must exist. */
  reservation(id: string): Reservation {
    const reservation = this.reservations.get(id);
    if (reservation === undefined) throw new Error(`no reservation ${id}`);
    return reservation;
  }

  /** Runs `commands` as one batch at `nowMs`. When it throws, nothing was written. */
  batch(commands: readonly Command[], nowMs: number): { outcomes: Outcome<unknown>[]; changes: Changes } {
    const rows = this.#load(commands);
    const outcomes = runBatch(rows, commands, nowMs);
    const changes = rows.changes();
    this.#write(changes);
    return { outcomes, changes };
  }

  /** Runs one command in a batch of its own. */
  run(command: Command, nowMs: number): Outcome<unknown> {
    const [outcome] = this.batch([command], nowMs).outcomes;
    if (outcome === undefined) throw new Error('a batch of one has one outcome');
    return outcome;
  }

  #load(commands: readonly Command[]): WorkingSet {
    const rows = new WorkingSet();
    for (const command of commands) {
      const needs = needsOf(command);
      rows.putRecord('tenant', command.tenantId, this.tenants.get(command.tenantId));
      for (const id of needs.accounts ?? []) rows.putAccount(id, this.accounts.get(id));
      for (const id of needs.reservations ?? []) {
        const reservation = this.reservations.get(id);
        rows.putReservation(id, reservation);
        for (const leg of reservation?.legs ?? []) rows.putAccount(leg.accountId, this.accounts.get(leg.accountId));
      }
      for (const ref of needs.rates ?? []) rows.putRate(ref, this.rates.get(rateMapKey(ref)));
      for (const ref of needs.idempotency ?? []) {
        const record = this.idempotency.get(idempotencyMapKey(ref));
        rows.putIdempotency(ref, record);
        if (record?.keptBy !== undefined) rows.putKeeper(record.keptBy, this.reservations.get(record.keptBy)?.state === 'ACTIVE');
      }
      for (const ref of needs.records ?? []) {
        if (ref.kind === 'tenant') rows.putRecord('tenant', ref.id, this.tenants.get(ref.id));
        else if (ref.kind === 'setting') rows.putRecord('setting', ref.id, this.settings.get(ref.id));
        else throw new Error(`records of kind ${ref.kind} are not kept here`);
      }
    }
    return rows;
  }

  #write(changes: Changes): void {
    for (const { account, isNew } of changes.accounts) {
      if (isNew === this.accounts.has(account.id)) throw new Error(`the account ${account.id} is marked isNew ${isNew}`);
      this.accounts.set(account.id, account);
    }
    for (const { reservation, isNew } of changes.reservations) {
      if (isNew === this.reservations.has(reservation.id)) throw new Error(`the reservation ${reservation.id} is marked isNew ${isNew}`);
      this.reservations.set(reservation.id, reservation);
    }
    for (const { ref, record } of changes.idempotency) this.putIdempotency(ref, record);
    for (const { ref, window } of changes.rates) this.rates.set(rateMapKey(ref), window);
    for (const change of changes.records) {
      if (change.kind === 'tenant' && change.record !== null) this.tenants.set(change.id, change.record);
      else if (change.kind === 'setting' && change.record !== null) this.settings.set(change.id, change.record);
      else if (change.kind === 'setting') this.settings.delete(change.id);
      else throw new Error(`a change of ${change.kind} is not kept here`);
    }
    this.entries.push(...changes.entries);
    this.usage.push(...changes.usage);
    for (const { tenantId, id, object } of changes.upstreamObjects) {
      if (object === null) this.upstreamObjects.delete(`${tenantId} ${id}`);
      else this.upstreamObjects.set(`${tenantId} ${id}`, object);
    }
    this.events.push(...changes.events);
  }
}
