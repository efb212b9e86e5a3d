import { describe, expect, test } from 'vitest';
import {
  accountWith,
  APP_BUDGET,
  balances,
  expire,
  holdOn,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { snapshot } from '../../../test/support/ledger-precedence.ts';
import type { Reservation } from './reservation.ts';

const LAST_MS = START_MS + 65_000;

function heldLedger(parts: Partial<Reservation> = {}): MemoryLedger {
  const ledger = new MemoryLedger();
  ledger.putReservation(holdOn([TENANT_BUDGET, APP_BUDGET], 10n, parts));
  ledger.putAccount(accountWith(TENANT_BUDGET, { allocated: 100n, spent: 5n, reserved: 13n }));
  ledger.putAccount(accountWith(APP_BUDGET, { allocated: 10n, reserved: 10n }));
  return ledger;
}

test('returns the hold on every leg and tells who listens', () => {
  const ledger = heldLedger();
  const before = ledger.reservation('res_1');
  expect(valueOf(ledger.run(expire(), LAST_MS + 1))).toEqual({ expired: true });
  expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 5n, 3n, 0n]);
  expect(balances(ledger.account(APP_BUDGET))).toEqual([10n, 0n, 0n, 0n]);
  expect(ledger.reservation('res_1')).toEqual({
    ...before,
    state: 'EXPIRED',
    charged: [0n, 0n],
    finalizedAtMs: LAST_MS + 1,
    settledAtMs: LAST_MS + 1,
  });
  expect(ledger.entries.map(({ accountId, verb, dReserved, atMs }) => [accountId, verb, dReserved, atMs])).toEqual([
    [TENANT_BUDGET, 'expire', -10n, LAST_MS + 1],
    [APP_BUDGET, 'expire', -10n, LAST_MS + 1],
  ]);
  expect(ledger.events.filter(({ type }) => type === 'reservation.expired')).toMatchObject([{ data: { reservation_id: 'res_1' } }]);
});

test("returns a call's hold but leaves its charge open", () => {
  const ledger = heldLedger({ purpose: 'call' });
  ledger.run(expire(), LAST_MS + 1);
  expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 5n, 3n, 0n]);
  expect(ledger.reservation('res_1')).toMatchObject({ state: 'EXPIRED', charged: null, finalizedAtMs: LAST_MS + 1, settledAtMs: null });
});

test.each<[string, number, boolean]>([
  ['at the expiry', LAST_MS - 5000, false],
  ['one before the end of the grace', LAST_MS - 1, false],
  ['at the end of the grace', LAST_MS, false],
  ['one after it', LAST_MS + 1, true],
])('%s', (_what, nowMs, expired) => {
  const ledger = heldLedger();
  const before = snapshot(ledger);
  expect(valueOf(ledger.run(expire(), nowMs))).toEqual({ expired });
  if (!expired) expect(snapshot(ledger)).toEqual(before);
});

describe('is left alone', () => {
  test.each(['COMMITTED', 'RELEASED', 'EXPIRED'] as const)('a reservation that is %s', (state) => {
    const ledger = heldLedger({ state });
    const before = snapshot(ledger);
    expect(valueOf(ledger.run(expire(), LAST_MS + 1))).toEqual({ expired: false });
    expect(snapshot(ledger)).toEqual(before);
  });

  test('a reservation that is unknown', () => {
    const ledger = new MemoryLedger();
    expect(valueOf(ledger.run(expire(), LAST_MS + 1))).toEqual({ expired: false });
    expect(snapshot(ledger)).toEqual(snapshot(new MemoryLedger()));
  });
});

test('named twice in one sweep, it expires once', () => {
  const ledger = heldLedger();
  const { outcomes } = ledger.batch([expire(), expire({ id: 'cmd_2' })], LAST_MS + 1);
  expect(outcomes.map(valueOf)).toEqual([{ expired: true }, { expired: false }]);
  expect(ledger.events.filter(({ type }) => type === 'reservation.expired')).toHaveLength(1);
  expect(ledger.account(TENANT_BUDGET).reserved).toBe(3n);
});

test.each(['SUSPENDED', 'CLOSED'] as const)('the holds of a %s tenant come back as well', (status) => {
  const ledger = heldLedger();
  ledger.putTenant(TENANT, status);
  expect(valueOf(ledger.run(expire(), LAST_MS + 1))).toEqual({ expired: true });
});
