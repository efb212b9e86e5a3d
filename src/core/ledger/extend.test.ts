import { describe, expect, test } from 'vitest';
import {
  codeOf,
  extend,
  holdOn,
  idempotent,
  release,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  accountWith,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { describePrecedence, snapshot } from '../../../test/support/ledger-precedence.ts';
import type { ExtendCommand } from './commands.ts';
import type { ExtendAnswer } from './extend.ts';
import type { Reservation } from './reservation.ts';

const EXPIRES_MS = START_MS + 60_000;

function heldLedger(parts: Partial<Reservation> = {}): MemoryLedger {
  const ledger = new MemoryLedger();
  ledger.putReservation(holdOn([TENANT_BUDGET], 10n, parts));
  ledger.putAccount(accountWith(TENANT_BUDGET, { allocated: 100n, reserved: 10n }));
  return ledger;
}

test('adds to the present expiry, not to now, and leaves the hold as it is', () => {
  const ledger = heldLedger();
  const before = ledger.reservation('res_1');
  expect(valueOf(ledger.run(extend(1000), START_MS + 59_000))).toMatchObject({
    reservationId: 'res_1',
    expiresAtMs: EXPIRES_MS + 1000,
    remainingTtlMs: 2000,
  });
  expect(ledger.reservation('res_1')).toEqual({ ...before, expiresAtMs: EXPIRES_MS + 1000, extensions: 1 });
  expect(ledger.account(TENANT_BUDGET).reserved).toBe(10n);
  expect(ledger.entries).toEqual([]);
});

test.each<[string, number, string]>([
  ['one before the expiry', EXPIRES_MS - 1, 'ok'],
  ['at the expiry', EXPIRES_MS, 'ok'],
  ['one after it: the grace does not count here', EXPIRES_MS + 1, 'reservation_expired'],
])('%s', (_what, nowMs, expected) => {
  expect(codeOf(heldLedger().run(extend(1000), nowMs))).toBe(expected);
});

test('the new expiry counts for the next extension', () => {
  const ledger = heldLedger();
  ledger.run(extend(1000), START_MS);
  expect(codeOf(ledger.run(extend(1000), EXPIRES_MS + 1000))).toBe('ok');
  expect(codeOf(ledger.run(extend(1000), EXPIRES_MS + 2001))).toBe('reservation_expired');
});

test.each<[string, number, number, string]>([
  ['the last one that is allowed', 2, 3, 'ok'],
  ['one more', 3, 3, 'max_extensions_exceeded'],
  ['none are allowed', 0, 0, 'max_extensions_exceeded'],
])('the number of extensions is bounded: %s', (_what, extensions, maxExtensions, expected) => {
  expect(codeOf(heldLedger({ extensions, maxExtensions }).run(extend(1000), START_MS))).toBe(expected);
});

test('the same key extends once', () => {
  const ledger = heldLedger();
  const idempotency = idempotent('extend', { target: 'res_1' });
  const first = valueOf(ledger.run(extend(1000, { idempotency }), START_MS)) as ExtendAnswer;
  const after = snapshot(ledger);
  const second = valueOf(ledger.run(extend(1000, { idempotency }), START_MS + 1)) as ExtendAnswer;
  expect(second).toEqual({ ...first, remainingTtlMs: first.remainingTtlMs - 1 });
  expect(snapshot(ledger)).toEqual(after);
  ledger.run(release(), START_MS + 2);
  expect(valueOf(ledger.run(extend(1000, { idempotency }), START_MS + 3))).toEqual({ ...first, remainingTtlMs: 0 });
});

test('a suspended tenant may extend', () => {
  const ledger = heldLedger();
  ledger.putTenant(TENANT, 'SUSPENDED');
  expect(codeOf(ledger.run(extend(1000), START_MS))).toBe('ok');
});

describe('only a Cycles reservation of the tenant', () => {
  test.each<[string, Partial<Reservation>, string]>([
    ['another tenant', { tenantId: 'other' }, 'forbidden'],
    ['a gateway call', { purpose: 'call' }, 'reservation_not_found'],
  ])('not that of %s', (_what, parts, code) => {
    expect(codeOf(heldLedger(parts).run(extend(1000), START_MS))).toBe(code);
  });

  test('not one that does not exist', () => {
    expect(codeOf(new MemoryLedger().run(extend(1000), START_MS))).toBe('reservation_not_found');
  });
});

describePrecedence<ExtendCommand>('extend', () => ({ ledger: heldLedger(), command: extend(1000), nowMs: START_MS }), [
  {
    code: 'idempotency_mismatch',
    when: 'the key was used with another body',
    apply: (setup) => {
      const idempotency = idempotent('extend', { hash: 'hash-b' });
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
    when: 'past its expiry',
    not: ['it is released'],
    apply: (setup) => {
      setup.nowMs = EXPIRES_MS + 1;
    },
  },
  {
    code: 'reservation_expired',
    when: 'the sweep expired it',
    not: ['it is released'],
    apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), state: 'EXPIRED' }),
  },
  {
    code: 'reservation_finalized',
    when: 'it is released',
    apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), state: 'RELEASED' }),
  },
  {
    code: 'max_extensions_exceeded',
    when: 'it was extended as often as it may be',
    apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), extensions: 10 }),
  },
]);
