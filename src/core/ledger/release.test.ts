import { describe, expect, test } from 'vitest';
import {
  accountWith,
  APP_BUDGET,
  balances,
  codeOf,
  holdOn,
  idempotent,
  release,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, describePrecedence, snapshot } from '../../../test/support/ledger-precedence.ts';
import type { ReleaseCommand } from './commands.ts';
import type { Reservation } from './reservation.ts';

const LAST_MS = START_MS + 65_000;

function heldLedger(parts: Partial<Reservation> = {}): MemoryLedger {
  const ledger = new MemoryLedger();
  ledger.putReservation(holdOn([TENANT_BUDGET, APP_BUDGET], 10n, parts));
  ledger.putAccount(accountWith(TENANT_BUDGET, { allocated: 100n, spent: 5n, reserved: 13n }));
  ledger.putAccount(accountWith(APP_BUDGET, { allocated: 10n, reserved: 10n }));
  return ledger;
}

test('returns the whole hold on every leg, charges nothing and ends the reservation', () => {
  const ledger = heldLedger();
  const before = ledger.reservation('res_1');
  expect(valueOf(ledger.run(release(), START_MS + 7))).toMatchObject({ reservationId: 'res_1', released: '10', unit: 'TOKENS' });
  expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 5n, 3n, 0n]);
  expect(balances(ledger.account(APP_BUDGET))).toEqual([10n, 0n, 0n, 0n]);
  expect(ledger.reservation('res_1')).toEqual({
    ...before,
    state: 'RELEASED',
    charged: [0n, 0n],
    finalizedAtMs: START_MS + 7,
    settledAtMs: START_MS + 7,
  });
  const line = { command: 'res_1', verb: 'release', dAllocated: 0n, dSpent: 0n, dReserved: -10n, dDebt: 0n, atMs: START_MS + 7 };
  expect(ledger.entries).toEqual([
    { accountId: TENANT_BUDGET, ...line },
    { accountId: APP_BUDGET, ...line },
  ]);
});

test.each<[string, number, string]>([
  ['one before the end of the grace', LAST_MS - 1, 'ok'],
  ['at the end of the grace', LAST_MS, 'ok'],
  ['one after it', LAST_MS + 1, 'reservation_expired'],
])('%s', (_what, nowMs, expected) => {
  expect(codeOf(heldLedger().run(release(), nowMs))).toBe(expected);
});

test.each(['FROZEN', 'CLOSED'] as const)('goes through on a %s budget', (status) => {
  const ledger = heldLedger();
  amend(ledger, TENANT_BUDGET, { status });
  expect(codeOf(ledger.run(release(), START_MS))).toBe('ok');
});

test('goes through for a suspended tenant', () => {
  const ledger = heldLedger();
  ledger.putTenant(TENANT, 'SUSPENDED');
  expect(codeOf(ledger.run(release(), START_MS))).toBe('ok');
});

test.each<[string, Partial<Reservation>, string]>([
  ['another tenant', { tenantId: 'other' }, 'forbidden'],
  ['a gateway call, which would become free', { purpose: 'call' }, 'reservation_not_found'],
])('does not release the reservation of %s', (_what, parts, code) => {
  const ledger = heldLedger(parts);
  const before = snapshot(ledger);
  expect(codeOf(ledger.run(release(), START_MS))).toBe(code);
  expect(snapshot(ledger)).toEqual(before);
});

test('does not find one that does not exist', () => {
  expect(codeOf(new MemoryLedger().run(release(), START_MS))).toBe('reservation_not_found');
});

test('happens once: the same key gets the first answer again, another one is finalized', () => {
  const ledger = heldLedger();
  const idempotency = idempotent('release', { target: 'res_1' });
  const first = ledger.run(release({ idempotency }), START_MS);
  const after = snapshot(ledger);
  expect(ledger.run(release({ idempotency }), START_MS + 1)).toEqual(first);
  expect(codeOf(ledger.run(release(), START_MS + 1))).toBe('reservation_finalized');
  expect(snapshot(ledger)).toEqual(after);
});

describePrecedence<ReleaseCommand>('release', () => ({ ledger: heldLedger(), command: release(), nowMs: START_MS }), [
  {
    code: 'idempotency_mismatch',
    when: 'the key was used with another body',
    apply: (setup) => {
      const idempotency = idempotent('release', { hash: 'hash-b' });
      setup.ledger.putIdempotency(idempotency.ref, { hash: 'hash-a', answer: 'first', expiresAtMs: START_MS + 1_000_000 });
      setup.command = { ...setup.command, idempotency };
    },
  },
  {
    code: 'forbidden',
    when: 'another tenant holds it',
    apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), tenantId: 'other' }),
  },
  { code: 'tenant_closed', when: 'the tenant is closed', apply: ({ ledger }) => ledger.putTenant(TENANT, 'CLOSED') },
  {
    code: 'reservation_expired',
    when: 'it is expired',
    not: ['it is committed'],
    apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), state: 'EXPIRED' }),
  },
  {
    code: 'reservation_finalized',
    when: 'it is committed',
    apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), state: 'COMMITTED' }),
  },
]);

describe('a reservation without legs', () => {
  test('is released all the same', () => {
    const ledger = new MemoryLedger();
    ledger.putReservation(holdOn([], 0n));
    expect(valueOf(ledger.run(release(), START_MS))).toMatchObject({ reservationId: 'res_1', released: '0' });
    expect(ledger.reservation('res_1')).toMatchObject({ state: 'RELEASED', charged: [] });
  });
});
