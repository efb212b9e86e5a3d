import { describe, expect, test } from 'vitest';
import {
  accountWith,
  balances,
  codeOf,
  expire,
  fixedLeg,
  holdOn,
  MAX,
  MONEY_BUDGET,
  MONEY_CAP,
  reserve,
  settleCall,
  START_MS,
  TENANT,
  TOKEN_CAP,
  usageOf,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, snapshot } from '../../../test/support/ledger-precedence.ts';
import { accountId } from './account.ts';
import type { Reservation } from './reservation.ts';

const EXPIRED_MS = START_MS + 65_001;
const LEGS = [TOKEN_CAP, MONEY_CAP, MONEY_BUDGET] as const;
const USED = { tokens: 80n, microcents: 30n };

/** A call that holds 100 tokens of the key's cap and 40 micro-cents of its money and of the tenant's. */
function callLedger(parts: Partial<Reservation> = {}): MemoryLedger {
  const ledger = new MemoryLedger();
  const amounts = [100n, 40n, 40n];
  const legs = LEGS.map((id, index) => ({ accountId: id, amount: amounts[index] ?? 0n }));
  ledger.putReservation(holdOn([], 0n, { purpose: 'call', legs, ...parts }));
  for (const { accountId: id, amount } of legs) ledger.putAccount(accountWith(id, { allocated: 1000n, reserved: amount }));
  return ledger;
}

const all = (ledger: MemoryLedger): (bigint | null)[][] => LEGS.map((id) => balances(ledger.account(id)));

describe('a call that ran', () => {
  test('is charged its tokens on token accounts and its money on money accounts, and the rest of the hold comes back', () => {
    const ledger = callLedger();
    const before = ledger.reservation('res_1');
    expect(valueOf(ledger.run(settleCall(USED), START_MS + 8))).toEqual({ booked: true });
    expect(all(ledger)).toEqual([
      [1000n, 80n, 0n, 0n],
      [1000n, 30n, 0n, 0n],
      [1000n, 30n, 0n, 0n],
    ]);
    expect(ledger.reservation('res_1')).toEqual({
      ...before,
      state: 'COMMITTED',
      charged: [80n, 30n, 30n],
      finalizedAtMs: START_MS + 8,
      settledAtMs: START_MS + 8,
    });
    expect(
      ledger.entries.map(({ accountId: id, verb, dSpent, dReserved, dDebt, atMs }) => [id, verb, dSpent, dReserved, dDebt, atMs]),
    ).toEqual([
      [TOKEN_CAP, 'commit', 80n, -100n, 0n, START_MS + 8],
      [MONEY_CAP, 'commit', 30n, -40n, 0n, START_MS + 8],
      [MONEY_BUDGET, 'commit', 30n, -40n, 0n, START_MS + 8],
    ]);
  });

  test('books its usage in the same batch, with the moment of its hold', () => {
    const ledger = callLedger({ createdAtMs: START_MS - 7 });
    ledger.run(settleCall(USED, { usage: usageOf('res_1') }), START_MS + 8);
    expect(ledger.usage).toEqual([{ ...usageOf('res_1'), atMs: START_MS + 8, heldAtMs: START_MS - 7 }]);
  });

  test('is charged in the money of a prepaid balance as well', () => {
    const balance = accountId({ tenantId: TENANT, kind: 'balance', scope: 'tenant:acme', unit: 'EUR_MICROCENTS', period: '' });
    const ledger = callLedger({ legs: [{ accountId: balance, amount: 40n }] });
    ledger.putAccount(accountWith(balance, { allocated: 1000n, reserved: 40n }));
    ledger.run(settleCall(USED), START_MS);
    expect(ledger.account(balance).spent).toBe(30n);
  });

  test('is charged the whole actual above its hold, and what remains may fall below zero', () => {
    const ledger = callLedger();
    for (const id of LEGS) amend(ledger, id, { allocated: 100n, spent: 0n });
    expect(valueOf(ledger.run(settleCall({ tokens: 5000n, microcents: 700n }), START_MS))).toEqual({ booked: true });
    expect(all(ledger)).toEqual([
      [100n, 5000n, 0n, 0n],
      [100n, 700n, 0n, 0n],
      [100n, 700n, 0n, 0n],
    ]);
    expect(LEGS.map((id) => ledger.account(id).isOverLimit)).toEqual([false, false, false]);
  });

  test.each<[string, (ledger: MemoryLedger) => void]>([
    ['frozen budgets', (ledger) => LEGS.forEach((id) => amend(ledger, id, { status: 'FROZEN' }))],
    ['closed budgets', (ledger) => LEGS.forEach((id) => amend(ledger, id, { status: 'CLOSED' }))],
    ['budgets over their limit', (ledger) => LEGS.forEach((id) => amend(ledger, id, { isOverLimit: true, debt: 5n }))],
    ['budgets with nothing left', (ledger) => LEGS.forEach((id) => amend(ledger, id, { allocated: 0n }))],
    ['limits taken away meanwhile', (ledger) => LEGS.forEach((id) => amend(ledger, id, { allocated: null }))],
    ['a suspended tenant', (ledger) => ledger.putTenant(TENANT, 'SUSPENDED')],
    ['a closed tenant', (ledger) => ledger.putTenant(TENANT, 'CLOSED')],
    ['a policy of REJECT', (ledger) => ledger.putReservation({ ...ledger.reservation('res_1'), overagePolicy: 'REJECT' })],
  ])('is charged in full whatever happened meanwhile: %s', (_what, arrange) => {
    const ledger = callLedger();
    arrange(ledger);
    expect(valueOf(ledger.run(settleCall({ tokens: 200n, microcents: 60n }), START_MS))).toEqual({ booked: true });
    expect(LEGS.map((id) => [ledger.account(id).spent, ledger.account(id).reserved])).toEqual([
      [200n, 0n],
      [60n, 0n],
      [60n, 0n],
    ]);
  });

  test.each<[string, number]>([
    ['in the grace', START_MS + 65_000],
    ['past it, where no sweep came by', EXPIRED_MS + 1_000_000],
  ])('is charged as a commit while its hold stands: %s', (_what, nowMs) => {
    const ledger = callLedger();
    ledger.run(settleCall(USED), nowMs);
    expect(ledger.reservation('res_1')).toMatchObject({ state: 'COMMITTED', finalizedAtMs: nowMs, settledAtMs: nowMs });
    expect(LEGS.map((id) => ledger.account(id).reserved)).toEqual([0n, 0n, 0n]);
  });
});

describe('a call whose hold expired', () => {
  test('is charged as a debit, exactly once', () => {
    const ledger = callLedger();
    ledger.run(expire(), EXPIRED_MS);
    expect(valueOf(ledger.run(settleCall(USED, { usage: usageOf('res_1') }), EXPIRED_MS + 5))).toEqual({ booked: true });
    expect(all(ledger)).toEqual([
      [1000n, 80n, 0n, 0n],
      [1000n, 30n, 0n, 0n],
      [1000n, 30n, 0n, 0n],
    ]);
    expect(ledger.reservation('res_1')).toMatchObject({
      state: 'EXPIRED',
      charged: [80n, 30n, 30n],
      finalizedAtMs: EXPIRED_MS,
      settledAtMs: EXPIRED_MS + 5,
    });
    const debits = ledger.entries.filter((entry) => entry.verb === 'debit');
    expect(debits.map(({ command, dSpent, dReserved, atMs }) => [command, dSpent, dReserved, atMs])).toEqual([
      ['res_1', 80n, 0n, EXPIRED_MS + 5],
      ['res_1', 30n, 0n, EXPIRED_MS + 5],
      ['res_1', 30n, 0n, EXPIRED_MS + 5],
    ]);
    const after = snapshot(ledger);
    expect(valueOf(ledger.run(settleCall(USED, { usage: usageOf('res_1') }), EXPIRED_MS + 6))).toEqual({ booked: false, agrees: true });
    expect(snapshot(ledger)).toEqual(after);
  });

  test('and that never ran loses its claim to be charged', () => {
    const ledger = callLedger();
    ledger.run(expire(), EXPIRED_MS);
    expect(valueOf(ledger.run(settleCall(null), EXPIRED_MS + 5))).toEqual({ booked: true });
    expect(ledger.reservation('res_1')).toMatchObject({
      state: 'EXPIRED',
      charged: [0n, 0n, 0n],
      finalizedAtMs: EXPIRED_MS,
      settledAtMs: EXPIRED_MS + 5,
    });
    expect(valueOf(ledger.run(settleCall(USED), EXPIRED_MS + 6))).toEqual({ booked: false, agrees: false });
    expect(LEGS.map((id) => ledger.account(id).spent)).toEqual([0n, 0n, 0n]);
  });
});

describe('a call that never ran', () => {
  test('gets its whole hold back and is charged nothing', () => {
    const ledger = callLedger();
    expect(valueOf(ledger.run(settleCall(null), START_MS + 8))).toEqual({ booked: true });
    expect(all(ledger)).toEqual([
      [1000n, 0n, 0n, 0n],
      [1000n, 0n, 0n, 0n],
      [1000n, 0n, 0n, 0n],
    ]);
    expect(ledger.reservation('res_1')).toMatchObject({
      state: 'RELEASED',
      charged: [0n, 0n, 0n],
      finalizedAtMs: START_MS + 8,
      settledAtMs: START_MS + 8,
    });
    expect(ledger.usage).toEqual([]);
  });

  test('differs from one that used nothing, which is committed and counted', () => {
    const ledger = callLedger();
    ledger.run(settleCall({ tokens: 0n, microcents: 0n }, { usage: usageOf('res_1') }), START_MS);
    expect(ledger.reservation('res_1').state).toBe('COMMITTED');
    expect(ledger.usage).toHaveLength(1);
  });
});

describe('a call settles once', () => {
  test.each<[string, Parameters<typeof settleCall>[0], Parameters<typeof settleCall>[0]]>([
    ['charged twice', USED, USED],
    ['charged, then said never to have run', USED, null],
    ['said never to have run, then charged', null, USED],
    ['said never to have run twice', null, null],
    ['charged, then charged something else', USED, { ...USED, microcents: 31n }],
  ])('in one batch: %s', (_what, first, second) => {
    const ledger = callLedger();
    const { outcomes } = ledger.batch([settleCall(first, { usage: null }), settleCall(second, { usage: usageOf('res_1') })], START_MS);
    expect(outcomes.map(valueOf)).toEqual([{ booked: true }, { booked: false, agrees: first === second }]);
    expect(LEGS.map((id) => ledger.account(id).spent)).toEqual(first === null ? [0n, 0n, 0n] : [80n, 30n, 30n]);
    expect(ledger.usage).toEqual([]);
  });

  test.each<[string, Partial<Reservation>]>([
    ['is unknown to another tenant', { tenantId: 'other' }],
    ['does not exist', { id: 'res_2' }],
  ])('and not at all where it %s', (_what, parts) => {
    const ledger = callLedger(parts);
    const before = snapshot(ledger);
    expect(codeOf(ledger.run(settleCall(USED), START_MS))).toBe('reservation_not_found');
    expect(snapshot(ledger)).toEqual(before);
  });
});

describe('the edges of 64 bits', () => {
  test('the largest amount is booked', () => {
    const ledger = callLedger();
    ledger.run(settleCall({ tokens: MAX, microcents: MAX }), START_MS);
    expect(LEGS.map((id) => ledger.account(id).spent)).toEqual([MAX, MAX, MAX]);
  });

  test.each<[string, number]>([
    ['while it holds', START_MS],
    ['after its hold', EXPIRED_MS],
  ])('what an account cannot count as spent any more is its debt, so that nothing is lost and nothing wedged: %s', (_what, nowMs) => {
    const ledger = callLedger();
    for (const id of LEGS) amend(ledger, id, { spent: MAX - 50n, allocated: null });
    if (nowMs === EXPIRED_MS) ledger.run(expire(), nowMs);
    expect(valueOf(ledger.run(settleCall(USED), nowMs))).toEqual({ booked: true });
    expect(all(ledger)).toEqual([
      [null, MAX, 0n, 30n],
      [null, MAX - 20n, 0n, 0n],
      [null, MAX - 20n, 0n, 0n],
    ]);
    expect(ledger.reservation('res_1').charged).toEqual([80n, 30n, 30n]);
    const next = reserve({ reservationId: 'res_2', purpose: 'call', legs: [fixedLeg(TOKEN_CAP, 1n)] });
    expect(codeOf(ledger.run(next, nowMs))).toBe('debt_outstanding');
  });

  test.each<[string, bigint, bigint]>([
    ['an amount past them', MAX + 1n, 0n],
    ['money past them', 0n, MAX + 1n],
    ['a negative amount', -1n, 0n],
  ])('%s is a fault of ours, and nothing is written', (_what, tokens, microcents) => {
    const ledger = callLedger();
    const before = snapshot(ledger);
    expect(() => ledger.run(settleCall({ tokens, microcents }), START_MS)).toThrow('res_1');
    expect(snapshot(ledger)).toEqual(before);
  });
});
