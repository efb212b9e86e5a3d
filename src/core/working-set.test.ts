import { describe, expect, test } from 'vitest';
import {
  accountWith,
  APP_BUDGET,
  balances,
  holdOn,
  MAX,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  usageOf,
} from '../../test/support/ledger-fixtures.ts';
import type { Effect } from './effects.ts';
import { InvariantViolation } from './invariant.ts';
import type { Account } from './ledger/account.ts';
import { entryEffect, type Differences } from './ledger/journal.ts';
import { idempotencyMapKey, WorkingSet } from './working-set.ts';

const REF = { tenantId: TENANT, operation: 'reserve', target: '', key: 'k' };
const SETTING = { id: 'greeting', value: 'hello' };

/** Rows with the tenant's budget loaded as `parts` say, or as missing. */
function rowsWith(parts: Partial<Account> | undefined): WorkingSet {
  const rows = new WorkingSet();
  rows.putAccount(TENANT_BUDGET, parts === undefined ? undefined : accountWith(TENANT_BUDGET, parts));
  return rows;
}

const entry = (differences: Differences): Effect =>
  entryEffect(TENANT_BUDGET, { command: 'c', verb: 'reserve', atMs: START_MS, ...differences });
const account = (parts: Partial<Account>): Effect => ({ type: 'account', account: accountWith(TENANT_BUDGET, parts) });

describe('a row that nobody loaded is a fault of ours, not a missing row', () => {
  const rows = new WorkingSet();
  test.each<[string, () => unknown]>([
    ['account', () => rows.account(TENANT_BUDGET)],
    ['reservation', () => rows.reservation('res_1')],
    ['idempotency record', () => rows.idempotency(REF)],
    ['record', () => rows.record('setting', 'greeting')],
    ['account of an entry', () => rows.applyEffect(entry({ dSpent: 1n }))],
  ])('%s', (_what, read) => {
    expect(read).toThrow(InvariantViolation);
  });

  test('a row that was loaded as missing is undefined', () => {
    const loaded = rowsWith(undefined);
    loaded.putReservation('res_1', undefined);
    loaded.putIdempotency(REF, undefined);
    loaded.putRecord('setting', 'greeting', undefined);
    const found = [
      loaded.account(TENANT_BUDGET),
      loaded.reservation('res_1'),
      loaded.idempotency(REF),
      loaded.record('setting', 'greeting'),
    ];
    expect(found).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('records of two kinds under one id are two rows', () => {
    const loaded = new WorkingSet();
    loaded.putRecord('setting', 'same', { id: 'same', value: 1 });
    expect(() => loaded.record('model', 'same')).toThrow(InvariantViolation);
  });
});

describe('an entry', () => {
  test('adds its differences to the balances', () => {
    const rows = rowsWith({ allocated: 100n, spent: 20n, reserved: 30n, debt: 5n });
    rows.applyEffect(entry({ dAllocated: 1n, dSpent: 2n, dReserved: -3n, dDebt: 4n }));
    expect(balances(rows.account(TENANT_BUDGET) as Account)).toEqual([101n, 22n, 27n, 9n]);
  });

  test('is kept in the order of the effects', () => {
    const rows = rowsWith({ allocated: 100n });
    for (const dSpent of [3n, 1n, 2n]) rows.applyEffect(entry({ dSpent }));
    expect(rows.changes().entries.map((line) => line.dSpent)).toEqual([3n, 1n, 2n]);
    expect(rows.account(TENANT_BUDGET)?.spent).toBe(6n);
  });

  test.each<[string, Partial<Account>, Differences]>([
    ['spent below zero', { spent: 4n }, { dSpent: -5n }],
    ['reserved below zero', { reserved: 4n }, { dReserved: -5n }],
    ['debt below zero', { debt: 4n }, { dDebt: -5n }],
    ['spent past 64 bits', { spent: 1n }, { dSpent: MAX }],
    ['reserved past 64 bits', { reserved: 1n }, { dReserved: MAX }],
    ['debt past 64 bits', { debt: 1n }, { dDebt: MAX }],
    ['allocated past 64 bits', { allocated: 1n }, { dAllocated: MAX }],
    ['allocated below 64 bits', { allocated: -2n }, { dAllocated: -MAX }],
    ['an allocation to an unlimited account', { allocated: null }, { dAllocated: 1n }],
  ])('is refused, never clamped: %s', (_what, parts, differences) => {
    const rows = rowsWith({ allocated: 0n, ...parts });
    const before = rows.account(TENANT_BUDGET);
    expect(() => rows.applyEffect(entry(differences))).toThrow(InvariantViolation);
    expect(rows.account(TENANT_BUDGET)).toEqual(before);
    expect(rows.changes().entries).toEqual([]);
  });

  test.each<[string, Partial<Account>, Differences]>([
    ['spent down to zero', { spent: 4n }, { dSpent: -4n }],
    ['spent up to the largest amount', { spent: 1n }, { dSpent: MAX - 1n }],
    ['allocated to the largest amount', { allocated: 1n }, { dAllocated: MAX - 1n }],
    ['allocated to the smallest', { allocated: -1n }, { dAllocated: -MAX }],
    ['remaining below zero', { allocated: 5n, spent: 5n }, { dReserved: 1n }],
    ['spend on an unlimited account', { allocated: null }, { dSpent: 7n }],
  ])('may go to the edge: %s', (_what, parts, differences) => {
    const rows = rowsWith({ allocated: 0n, ...parts });
    expect(() => rows.applyEffect(entry(differences))).not.toThrow();
  });

  test('for an account that does not exist is a fault of ours', () => {
    expect(() => rowsWith(undefined).applyEffect(entry({ dSpent: 1n }))).toThrow(InvariantViolation);
  });
});

describe('an account effect changes terms and never amounts', () => {
  test.each<[string, Partial<Account> | undefined, Partial<Account>]>([
    ['status', { allocated: 9n, spent: 4n }, { allocated: 9n, spent: 4n, status: 'FROZEN' }],
    ['flag', { allocated: 9n, debt: 4n }, { allocated: 9n, debt: 4n, isOverLimit: true }],
    ['from unlimited to a limit of zero', { allocated: null, spent: 4n }, { allocated: 0n, spent: 4n }],
    ['from a limit of zero to unlimited', { allocated: 0n, spent: 4n }, { allocated: null, spent: 4n }],
    ['a new empty account', undefined, { allocated: 0n }],
    ['a new unlimited account', undefined, { allocated: null }],
  ])('%s', (_what, before, after) => {
    const rows = rowsWith(before);
    rows.applyEffect(account(after));
    expect(rows.account(TENANT_BUDGET)).toEqual(accountWith(TENANT_BUDGET, after));
  });

  test.each<[string, Partial<Account> | undefined, Partial<Account>]>([
    ['allocated', { allocated: 9n }, { allocated: 10n }],
    ['spent', { spent: 9n }, { spent: 10n }],
    ['reserved', { reserved: 9n }, { reserved: 10n }],
    ['debt', { debt: 9n }, { debt: 10n }],
    ['a limit that is dropped with its amount', { allocated: 9n }, { allocated: null }],
    ['a limit out of nothing', { allocated: null }, { allocated: 9n }],
    ['a new account with an allocation', undefined, { allocated: 1n }],
    ['a new account with spend', undefined, { spent: 1n }],
    ['a new account with a hold', undefined, { reserved: 1n }],
    ['a new account with debt', undefined, { debt: 1n }],
  ])('is refused where the journal would not explain it: %s', (_what, before, after) => {
    expect(() => rowsWith(before).applyEffect(account(after))).toThrow(InvariantViolation);
  });
});

describe('what a batch changed', () => {
  test('is nothing at first, whatever is loaded', () => {
    const rows = rowsWith({ allocated: 5n });
    rows.putReservation('res_1', holdOn([TENANT_BUDGET], 1n));
    rows.putRecord('setting', 'greeting', SETTING);
    rows.putIdempotency(REF, { hash: 'h', answer: 1, expiresAtMs: 9 });
    expect(rows.changes()).toEqual({
      accounts: [],
      reservations: [],
      records: [],
      idempotency: [],
      entries: [],
      upstreamObjects: [],
      keyUses: [],
      containerSamples: [],
      usage: [],
      reports: [],
      rates: [],
      events: [],
      audit: [],
    });
  });

  test('names an account once, as it ends up, and says whether it is new', () => {
    const rows = rowsWith({ allocated: 5n });
    rows.putAccount(APP_BUDGET, undefined);
    rows.applyEffect(entry({ dSpent: 1n }));
    rows.applyEffect(account({ allocated: 5n, spent: 1n, isOverLimit: true }));
    rows.applyEffect({ type: 'account', account: accountWith(APP_BUDGET, {}) });
    rows.applyEffect(entryEffect(APP_BUDGET, { command: 'c', verb: 'allocate', atMs: START_MS, dAllocated: 7n }));
    rows.applyEffect({ type: 'account', account: accountWith(APP_BUDGET, { allocated: 7n, status: 'FROZEN' }) });
    expect(rows.changes().accounts).toEqual([
      { account: accountWith(TENANT_BUDGET, { allocated: 5n, spent: 1n, isOverLimit: true }), isNew: false },
      { account: accountWith(APP_BUDGET, { allocated: 7n, status: 'FROZEN' }), isNew: true },
    ]);
  });

  test('names a reservation once, as it ends up, and says whether it is new', () => {
    const rows = new WorkingSet();
    rows.putReservation('res_1', holdOn([TENANT_BUDGET], 1n));
    rows.putReservation('res_2', undefined);
    const made = holdOn([TENANT_BUDGET], 1n, { id: 'res_2' });
    const ended = { ...made, state: 'RELEASED' as const };
    const extended = holdOn([TENANT_BUDGET], 1n, { extensions: 1 });
    for (const reservation of [made, extended, ended]) rows.applyEffect({ type: 'reservation', reservation });
    expect(rows.reservation('res_2')).toEqual(ended);
    expect(rows.changes().reservations).toEqual([
      { reservation: ended, isNew: true, hasNewLegs: false },
      { reservation: extended, isNew: false, hasNewLegs: false },
    ]);
  });

  test('names a record once, as it ends up, and null where it is removed', () => {
    const rows = new WorkingSet();
    for (const id of ['a', 'b']) rows.putRecord('setting', id, { id, value: 0 });
    rows.applyEffect({ type: 'record', kind: 'setting', id: 'a', record: { id: 'a', value: 1 } });
    rows.applyEffect({ type: 'record', kind: 'setting', id: 'a', record: { id: 'a', value: 2 } });
    rows.applyEffect({ type: 'record-removed', kind: 'setting', id: 'b' });
    expect(rows.record('setting', 'a')).toEqual({ id: 'a', value: 2 });
    expect(rows.record('setting', 'b')).toBeUndefined();
    expect(rows.changes().records).toEqual([
      { kind: 'setting', id: 'a', record: { id: 'a', value: 2 } },
      { kind: 'setting', id: 'b', record: null },
    ]);
  });

  test('holds a remembered answer that the next command sees', () => {
    const rows = new WorkingSet();
    rows.putIdempotency(REF, undefined);
    const record = { hash: 'h', answer: 'first', expiresAtMs: 9 };
    rows.applyEffect({ type: 'idempotency', ref: REF, record });
    expect(rows.idempotency({ ...REF })).toEqual(record);
    expect(rows.changes().idempotency).toEqual([{ ref: REF, record }]);
  });

  test('holds one answer for each key, the last: a store writes all of them in one statement', () => {
    const rows = new WorkingSet();
    rows.putIdempotency(REF, undefined);
    for (const answer of ['first', 'second'])
      rows.applyEffect({ type: 'idempotency', ref: REF, record: { hash: 'h', answer, expiresAtMs: 9 } });
    expect(rows.changes().idempotency).toEqual([{ ref: REF, record: { hash: 'h', answer: 'second', expiresAtMs: 9 } }]);
  });

  test('holds usage, events and audit rows in order', () => {
    const rows = new WorkingSet();
    const event = { id: 'e', type: 't', tenantId: TENANT, atMs: 1, data: null };
    const usage = { ...usageOf('u'), atMs: 1, heldAtMs: 0 };
    const audit = {
      id: 'a',
      tenantId: TENANT,
      atMs: 1,
      operation: 'o',
      actorKind: 'operator',
      actorId: '',
      resourceKind: 'r',
      resourceId: '',
      requestId: '',
      code: null,
      metadata: {},
    };
    rows.applyEffect({ type: 'usage', event: usage });
    rows.applyEffect({ type: 'event', event });
    rows.applyEffect({ type: 'event', event: { ...event, id: 'f' } });
    rows.applyEffect({ type: 'audit', entry: audit });
    expect(rows.changes()).toMatchObject({ usage: [usage], events: [event, { ...event, id: 'f' }], audit: [audit] });
  });
});

test('the parts of an idempotency reference cannot be mistaken for one another', () => {
  const keys = [
    { ...REF, operation: 'a', target: 'b' },
    { ...REF, operation: 'a","b', target: '' },
    { ...REF, operation: 'a', target: '', key: 'b' },
    { ...REF, operation: '', target: 'a', key: 'b' },
  ].map(idempotencyMapKey);
  expect(new Set(keys).size).toBe(keys.length);
});
