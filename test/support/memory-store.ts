import type { UpstreamObject } from '../../src/core/calls/upstream-object.ts';
import { matchesReservation, reservationSortValue, type ReservationPosition } from '../../src/core/cycles/reservation-query.ts';
import { isPeriodOver } from '../../src/core/budgets/budget-period.ts';
import { matchesFilter, positionOf, type BudgetPosition, type BudgetSortKey } from '../../src/core/budgets/budget-query.ts';
import type { AuditEntry, DomainEvent, IdempotencyRecord } from '../../src/core/effects.ts';
import type { Account, AccountId } from '../../src/core/ledger/account.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import type { Reservation } from '../../src/core/ledger/reservation.ts';
import type { ApiKey, RecordKind, RecordTypes } from '../../src/core/records.ts';
import { runBatch } from '../../src/core/run-batch.ts';
import type { UsageCharge } from '../../src/core/bills/make-statement.ts';
import { joined, type SampleBucket } from '../../src/core/containers/container-samples.ts';
import type { UsageEvent } from '../../src/core/usage/usage-event.ts';
import type { ReportRef, UsageReport } from '../../src/core/usage/usage-report.ts';
import { needsOf, type Command } from '../../src/core/verbs.ts';
import { rateMapKey, type RateWindow } from '../../src/core/policy/rate-window.ts';
import { isOpenCall, spendingAccounts, type SpendingRef } from '../../src/core/windows/spending.ts';
import { idempotencyMapKey, WorkingSet, type Changes } from '../../src/core/working-set.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Discrepancy } from '../../src/ports/discrepancy.ts';
import type { BatchResult, LedgerStore } from '../../src/ports/ledger-store.ts';
import { pageOfAudit } from './audit-list.ts';
import { makeMemoryGovernance } from './memory-governance.ts';
import type { KeyUsage, RecordStore, UsagePoint, UsageTotal } from '../../src/ports/record-store.ts';

/** Everything that a {@link MemoryStore} holds, for tests to look into. */
interface Tables {
  readonly records: Map<string, RecordTypes[RecordKind]>;
  readonly accounts: Map<AccountId, Account>;
  readonly reservations: Map<string, Reservation>;
  readonly idempotency: Map<string, IdempotencyRecord>;
  readonly rates: Map<string, RateWindow>;
  readonly usage: Map<string, UsageEvent>;
  readonly reports: Map<string, UsageReport>;
  readonly upstreamObjects: Map<string, UpstreamObject>;
  readonly keyUses: Map<string, number>;
  readonly samples: Map<string, SampleBucket>;
  readonly entries: Entry[];
  readonly events: DomainEvent[];
  readonly audit: AuditEntry[];
}

/** A store in this process's memory, with what tests need beside the two ports. */
export interface MemoryStore extends LedgerStore, RecordStore {
  readonly tables: Tables;
  /** The size of each batch that was executed. */
  readonly batchSizes: readonly number[];
  /** Called before each batch; may wait, or throw in the store's stead. */
  beforeBatch: ((commands: readonly Command[]) => Promise<void> | void) | null;
  /** Called before each read, with its name; may wait or throw. */
  beforeRead: ((name: string) => Promise<void> | void) | null;
  /** How many reads of each name there were. */
  readonly reads: Map<string, number>;
  /** Books usage as settled calls do, for tests of what reads it. */
  addUsage(event: UsageEvent): void;
}

const recordKey = (kind: RecordKind, id: string): string => `${kind} ${id}`;

const reportKey = ({ reporterId, eventId }: ReportRef): string => `${reporterId} ${eventId}`;

const fromId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/**
 * A simple store of its own: the same decisions over plain maps. Every command and every value passes through a structured clone, as
 * it does on its way to a worker.
 */
export function makeMemoryStore(options: { clock: Clock; lanes?: number }): MemoryStore {
  const tables: Tables = {
    records: new Map(),
    accounts: new Map(),
    reservations: new Map(),
    idempotency: new Map(),
    rates: new Map(),
    usage: new Map(),
    reports: new Map(),
    upstreamObjects: new Map(),
    keyUses: new Map(),
    samples: new Map(),
    entries: [],
    events: [],
    audit: [],
  };
  const batchSizes: number[] = [];
  const reads = new Map<string, number>();
  let lastMs = 0;
  let generation = 1;

  function load(commands: readonly Command[]): WorkingSet {
    const rows = new WorkingSet();
    for (const command of commands) {
      const needs = needsOf(command);
      rows.putRecord(
        'tenant',
        command.tenantId,
        tables.records.get(recordKey('tenant', command.tenantId)) as RecordTypes['tenant'] | undefined,
      );
      for (const id of needs.accounts ?? []) rows.putAccount(id, tables.accounts.get(id));
      for (const ref of needs.rates ?? []) rows.putRate(ref, tables.rates.get(rateMapKey(ref)));
      for (const ref of needs.idempotency ?? []) {
        const record = tables.idempotency.get(idempotencyMapKey(ref));
        rows.putIdempotency(ref, record);
        if (record?.keptBy !== undefined) rows.putKeeper(record.keptBy, tables.reservations.get(record.keptBy)?.state === 'ACTIVE');
      }
      for (const { kind, id } of needs.records ?? []) rows.putRecord(kind, id, tables.records.get(recordKey(kind, id)));
      if (needs.spending !== undefined) loadSpending(rows, needs.spending);
      for (const ref of needs.reports ?? []) rows.putReport(ref, tables.reports.get(reportKey(ref)));
      for (const id of needs.reservations ?? []) {
        const reservation = tables.reservations.get(id);
        rows.putReservation(id, reservation);
        for (const leg of reservation?.legs ?? []) rows.putAccount(leg.accountId, tables.accounts.get(leg.accountId));
      }
    }
    return rows;
  }

  function loadSpending(rows: WorkingSet, ref: SpendingRef): void {
    const charges = new Map<string, bigint>();
    for (const { tenantId, keyId, heldAtMs, chargeMicrocents } of tables.usage.values()) {
      if (tenantId === ref.tenantId && heldAtMs >= ref.sinceMs) charges.set(keyId, (charges.get(keyId) ?? 0n) + chargeMicrocents);
    }
    const keys = [...tables.records].flatMap(([key, record]) => (key.startsWith('key ') ? [record as ApiKey] : []));
    const owners = new Map(keys.flatMap((key) => (key.tenantId === ref.tenantId ? [[key.id, key.createdBy] as const] : [])));
    const calls = [...tables.reservations.values()].filter((reservation) => isOpenCall(reservation, ref));
    for (const call of calls) {
      rows.putReservation(call.id, call);
      for (const leg of call.legs) rows.putAccount(leg.accountId, tables.accounts.get(leg.accountId));
    }
    for (const id of spendingAccounts(ref, { owners })) rows.putAccount(id, tables.accounts.get(id));
    rows.putSpending(ref, { charges, owners, calls });
  }

  function write(changes: Changes): void {
    for (const { account } of changes.accounts) tables.accounts.set(account.id, account);
    for (const { reservation } of changes.reservations) tables.reservations.set(reservation.id, reservation);
    for (const { kind, id, record } of changes.records) {
      if (record === null) tables.records.delete(recordKey(kind, id));
      else tables.records.set(recordKey(kind, id), record);
    }
    for (const { ref, window } of changes.rates) tables.rates.set(rateMapKey(ref), window);
    for (const { ref, record } of changes.idempotency) tables.idempotency.set(idempotencyMapKey(ref), record);
    for (const event of changes.usage) tables.usage.set(event.id, event);
    for (const { report } of changes.reports) tables.reports.set(reportKey(report), report);
    for (const bucket of changes.containerSamples) {
      const key = `${bucket.containerId} ${bucket.levelMs} ${bucket.bucketMs}`;
      const known = tables.samples.get(key);
      tables.samples.set(key, known === undefined ? bucket : joined(known, bucket));
    }
    for (const { keyId, atMs } of changes.keyUses) tables.keyUses.set(keyId, Math.max(atMs, tables.keyUses.get(keyId) ?? 0));
    for (const { tenantId, id, object } of changes.upstreamObjects) {
      if (object === null) tables.upstreamObjects.delete(`${tenantId} ${id}`);
      else tables.upstreamObjects.set(`${tenantId} ${id}`, object);
    }
    tables.entries.push(...changes.entries);
    tables.events.push(...changes.events);
    tables.audit.push(...changes.audit);
    if (changes.records.length > 0) generation += 1;
  }

  const reader = makeReader(tables, options.clock, async (name) => {
    reads.set(name, (reads.get(name) ?? 0) + 1);
    await store.beforeRead?.(name);
  });

  const store: MemoryStore = {
    ...reader,
    tables,
    batchSizes,
    reads,
    beforeBatch: null,
    beforeRead: null,
    lanes: options.lanes ?? 1,
    addUsage: (event) => void tables.usage.set(event.id, event),
    generation: async () => {
      await store.beforeRead?.('generation');
      return generation;
    },
    execute: async (_batchId, given): Promise<BatchResult> => {
      const commands = structuredClone(given);
      await store.beforeBatch?.(commands);
      batchSizes.push(commands.length);
      lastMs = Math.max(lastMs, options.clock.nowMs());
      const rows = load(commands);
      const outcomes = runBatch(rows, commands, lastMs);
      const changes = structuredClone(rows.changes());
      write(changes);
      return { outcomes: structuredClone(outcomes), nowMs: lastMs, changedRecords: changes.records.map(({ kind, id }) => ({ kind, id })) };
    },
    foldUsage: () => Promise.resolve(0),
    prune: () => Promise.resolve(0),
    verify: () => Promise.resolve(verifyTables(tables)),
    close: () => Promise.resolve(),
  };
  return store;
}

type Reader = Omit<RecordStore, 'generation'>;

function comparePositions(a: BudgetPosition, b: BudgetPosition, sortBy: BudgetSortKey): number {
  const keysOf = (at: BudgetPosition): (string | number | bigint)[] => [
    sortBy === 'debt' ? BigInt(at.value) : at.value,
    at.tenantId,
    at.scope,
    at.unit,
  ];
  const [mine, others] = [keysOf(a), keysOf(b)];
  const place = mine.findIndex((key, index) => key !== others[index]);
  if (place === -1) return 0;
  return (mine[place] as string) < (others[place] as string) ? -1 : 1;
}

function makeReader(tables: Tables, clock: Clock, onRead: (name: string) => Promise<void>): Reader {
  const all = <K extends RecordKind>(kind: K): RecordTypes[K][] =>
    [...tables.records].filter(([key]) => key.startsWith(`${kind} `)).map(([, record]) => record as RecordTypes[K]);
  const liveKeys = (): ApiKey[] => all('key').filter(({ deletedAtMs }) => deletedAtMs === null);
  const usageOf = (tenantId: string): UsageEvent[] => [...tables.usage.values()].filter((event) => event.tenantId === tenantId);
  return {
    record: async (kind, id) => {
      await onRead(`record ${kind}`);
      return tables.records.get(recordKey(kind, id)) as never;
    },
    records: async (kind, tenantId) => {
      await onRead(`records ${kind}`);
      const found = kind === 'key' ? liveKeys() : all(kind);
      const mine = tenantId === undefined ? found : found.filter((record) => (record as { tenantId?: string }).tenantId === tenantId);
      return (mine as { id: string }[]).toSorted(fromId) as never;
    },
    keyByHash: async (hash) => {
      await onRead('keyByHash');
      return liveKeys().find((key) => key.hash === hash || key.rotation?.previousHash === hash);
    },
    deletedKeyByHash: async (hash) => all('key').find((key) => key.hash === hash && key.deletedAtMs !== null),
    quarantinedReports: async ({ reporterId, afterEventId = '', limit }) =>
      [...tables.reports.values()]
        .filter((report) => report.reporterId === reporterId && report.reason !== null && report.eventId > afterEventId)
        .toSorted((a, b) => (a.eventId < b.eventId ? -1 : 1))
        .slice(0, limit),
    keys: async ({ tenantId, kinds, afterId, limit }) => {
      await onRead('keys');
      return liveKeys()
        .filter((key) => key.tenantId === tenantId && kinds.includes(key.kind) && (afterId === undefined || key.id > afterId))
        .toSorted(fromId)
        .slice(0, limit ?? Infinity);
    },
    events: async ({ tenantId, type, beforeSeq = Infinity, limit }) => {
      await onRead('events');
      return tables.events
        .map((event, index) => ({ seq: index + 1, event }))
        .filter(({ seq, event }) => event.tenantId === tenantId && (type ?? event.type) === event.type && seq < beforeSeq)
        .toReversed()
        .slice(0, limit);
    },
    keyNames: async (tenantId, keyIds) => {
      await onRead('keyNames');
      const named = all('key').filter((key) => key.tenantId === tenantId && keyIds.includes(key.id));
      return new Map(named.map(({ id, name }) => [id, name]));
    },
    accounts: async (ids) => {
      await onRead('accounts');
      return new Map(
        ids.flatMap((id) => [tables.accounts.get(id)].filter((account) => account !== undefined).map((account) => [id, account] as const)),
      );
    },
    reservation: (id) => Promise.resolve(tables.reservations.get(id)),
    expiredReservations: ({ limit, except = [] }) =>
      Promise.resolve(
        [...tables.reservations.values()]
          .filter(
            ({ id, state, expiresAtMs, graceMs, client }) =>
              !except.includes(id) && state === 'ACTIVE' && client?.untilReleased !== true && expiresAtMs + graceMs < clock.nowMs(),
          )
          .toSorted((a, b) => a.expiresAtMs - b.expiresAtMs)
          .slice(0, limit)
          .map(({ id, tenantId }) => ({ id, tenantId })),
      ),
    unsettledCalls: ({ liveOwnerIds, limit }) =>
      Promise.resolve(
        [...tables.reservations.values()]
          .filter(
            ({ purpose, state, settledAtMs }) => purpose === 'call' && settledAtMs === null && (state === 'ACTIVE' || state === 'EXPIRED'),
          )
          .filter(({ ownerId }) => !liveOwnerIds.includes(ownerId))
          .slice(0, limit),
      ),
    usageTotals: async ({ tenantId, keyId, fromMs }) => {
      await onRead('usageTotals');
      const mine = usageOf(tenantId).filter(
        (event) => (keyId === undefined || event.keyId === keyId) && event.atMs >= (fromMs ?? -Infinity),
      );
      return [...Map.groupBy(mine, (event) => JSON.stringify([event.keyId, event.model])).values()].map(totalOf);
    },
    usageSeries: async ({ tenantId, fromMs, intervalMs }) => {
      await onRead('usageSeries');
      const bucketOf = (event: UsageEvent): number => Math.floor(event.atMs / intervalMs) * intervalMs;
      const mine = usageOf(tenantId).filter(({ atMs }) => atMs >= fromMs);
      return [...Map.groupBy(mine, (event) => JSON.stringify([bucketOf(event), event.model])).values()].map((events): UsagePoint => {
        const { keyId: _keyId, costNanoUsd: _cost, ...sums } = totalOf(events);
        return { bucketMs: bucketOf(events[0] as UsageEvent), ...sums };
      });
    },
    keyUsage: async ({ tenantId, keyIds }) => {
      await onRead('keyUsage');
      const mine = usageOf(tenantId).filter(({ keyId }) => keyIds === undefined || keyIds.includes(keyId));
      return [...Map.groupBy(mine, ({ keyId }) => keyId).values()].map((events): KeyUsage => {
        const { model: _model, costNanoUsd: _cost, ...sums } = totalOf(events);
        return { ...sums, lastUsedAtMs: Math.max(...events.map(({ atMs }) => atMs)) };
      });
    },
    containerSamples: ({ containerId, levelMs, fromMs }) =>
      Promise.resolve(
        [...tables.samples.values()].filter(
          (bucket) => bucket.containerId === containerId && bucket.levelMs === levelMs && bucket.bucketMs >= fromMs,
        ),
      ),
    usageCharges: async ({ tenantId, fromMs, toMs }) => {
      await onRead('usageCharges');
      const mine = usageOf(tenantId).filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
      return [...Map.groupBy(mine, (event) => JSON.stringify([event.keyId, event.model])).values()].map((events): UsageCharge => {
        const { costNanoUsd: _cost, ...sums } = totalOf(events);
        return { ...sums, chargeMicrocents: events.reduce((sum, { chargeMicrocents }) => sum + chargeMicrocents, 0n) };
      });
    },
    chargedMicrocents: (tenantId) => Promise.resolve(usageOf(tenantId).reduce((sum, { chargeMicrocents }) => sum + chargeMicrocents, 0n)),
    firstUsageMs: (tenantId) =>
      Promise.resolve(usageOf(tenantId).reduce<number | null>((first, { atMs }) => Math.min(first ?? atMs, atMs), null)),
    usageEvents: ({ tenantId, limit }) =>
      Promise.resolve(
        usageOf(tenantId)
          .toSorted((a, b) => b.atMs - a.atMs)
          .slice(0, limit),
      ),
    reservations: async (query) => {
      await onRead('reservations');
      const { sortBy, descending, after, limit } = query;
      const compare = (a: ReservationPosition, b: ReservationPosition): number => {
        const [left, right] = sortBy === 'reserved' ? [BigInt(a.value), BigInt(b.value)] : [a.value, b.value];
        const order = left < right ? -1 : left > right ? 1 : a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
        return descending ? -order : order;
      };
      return [...tables.reservations.values()]
        .filter((reservation) => matchesReservation(reservation, query))
        .map((reservation) => ({ reservation, at: { value: reservationSortValue(reservation, sortBy), id: reservation.id } }))
        .toSorted((a, b) => compare(a.at, b.at))
        .filter(({ at }) => after === null || compare(at, after) > 0)
        .slice(0, limit)
        .map(({ reservation }) => reservation);
    },
    budgets: async (query) => {
      await onRead('budgets');
      const { sortBy, descending, after, limit } = query;
      const sorted = [...tables.accounts.values()]
        .filter((account) => matchesFilter(account, query))
        .map((account) => ({ account, at: positionOf(account, sortBy) }))
        .toSorted((a, b) => comparePositions(a.at, b.at, sortBy) * (descending ? -1 : 1));
      const behind = sorted.filter(({ at }) => after === null || comparePositions(at, after, sortBy) * (descending ? -1 : 1) > 0);
      return behind.slice(0, limit).map(({ account }) => account);
    },
    countBudgets: async (filter) => [...tables.accounts.values()].filter((account) => matchesFilter(account, filter)).length,
    staleBudgets: async ({ limit }) =>
      [...tables.accounts.values()]
        .filter((account) => isPeriodOver(account, clock.nowMs()))
        .slice(0, limit)
        .map(({ id, tenantId }) => ({ accountId: id, tenantId })),
    credits: async ({ tenantId, beforeId, limit }) => {
      await onRead('credits');
      return all('credit')
        .filter((credit) => credit.tenantId === tenantId && (beforeId === undefined || credit.id < beforeId))
        .toSorted(fromId)
        .toReversed()
        .slice(0, limit);
    },
    policies: async ({ tenantId, afterId = '', limit, status, scopePattern }) => {
      await onRead('policies');
      return all('policy')
        .filter((policy) => policy.tenantId === tenantId && policy.id > afterId)
        .filter((policy) => (status ?? policy.status) === policy.status && (scopePattern ?? policy.scopePattern) === policy.scopePattern)
        .toSorted(fromId)
        .slice(0, limit);
    },
    upstreamObjects: ({ tenantId, ids }) => Promise.resolve(ids.flatMap((id) => tables.upstreamObjects.get(`${tenantId} ${id}`) ?? [])),
    ...makeMemoryGovernance(all, tables),
    auditPage: (query) =>
      Promise.resolve(
        pageOfAudit(
          tables.audit.map((entry, index) => ({ seq: index + 1, entry })),
          query,
        ),
      ),
    // Its trail is a list, without chains.
    auditHeads: () => Promise.resolve([]),
    auditPlaces: (ends) => Promise.resolve(ends.map(() => 'stands' as const)),
    heartbeat: ({ ownerId }) => Promise.resolve([ownerId]),
  };
}

function totalOf(events: readonly UsageEvent[]): UsageTotal {
  const sum = (field: 'requests' | 'promptTokens' | 'completionTokens'): number => events.reduce((total, event) => total + event[field], 0);
  return {
    keyId: events[0]?.keyId ?? '',
    model: events[0]?.model ?? '',
    requests: sum('requests'),
    promptTokens: sum('promptTokens'),
    completionTokens: sum('completionTokens'),
    costNanoUsd: events.reduce((total, event) => total + event.costNanoUsd, 0n),
  };
}

/** Recomputes every balance from the journal, and what is held from the reservations. */
function verifyTables(tables: Tables): { accounts: number; entries: number; reservations: number; discrepancies: Discrepancy[] } {
  const discrepancies: Discrepancy[] = [];
  const expectEqual = (check: string, subject: string, [found, expected]: readonly [bigint, bigint]): void => {
    if (found !== expected) discrepancies.push({ check, subject, found: `${found}`, expected: `${expected}` });
  };
  for (const account of tables.accounts.values()) {
    const entries = tables.entries.filter(({ accountId }) => accountId === account.id);
    const sum = (field: 'dAllocated' | 'dSpent' | 'dReserved' | 'dDebt'): bigint =>
      entries.reduce((total, entry) => total + entry[field], 0n);
    expectEqual('allocated', account.id, [account.allocated ?? 0n, sum('dAllocated')]);
    expectEqual('spent', account.id, [account.spent, sum('dSpent')]);
    expectEqual('reserved', account.id, [account.reserved, sum('dReserved')]);
    expectEqual('debt', account.id, [account.debt, sum('dDebt')]);
    const legs = [...tables.reservations.values()].filter(({ state }) => state === 'ACTIVE').flatMap((reservation) => reservation.legs);
    const held = legs.filter(({ accountId }) => accountId === account.id).reduce((total, { amount }) => total + amount, 0n);
    expectEqual('holds', account.id, [account.reserved, held]);
  }
  return { accounts: tables.accounts.size, entries: tables.entries.length, reservations: tables.reservations.size, discrepancies };
}
