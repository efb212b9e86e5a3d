import { describe, expect, test } from 'vitest';
import {
  accountWith,
  codeOf,
  fund,
  idempotent,
  release,
  reserve,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, snapshot } from '../../../test/support/ledger-precedence.ts';

function ledgerWith(allocated: bigint): MemoryLedger {
  const ledger = new MemoryLedger();
  ledger.putAccount(accountWith(TENANT_BUDGET, { allocated }));
  return ledger;
}

const again = (reservationId: string, options: Parameters<typeof idempotent>[1] = {}): ReturnType<typeof reserve> =>
  reserve({ reservationId, idempotency: idempotent('reserve', options) });

describe('the same key and body', () => {
  test('get the first answer again, and nothing changes', () => {
    const ledger = ledgerWith(100n);
    const first = ledger.run(again('res_1'), START_MS);
    const after = snapshot(ledger);
    expect(ledger.run(again('res_2'), START_MS + 999)).toEqual(first);
    expect(snapshot(ledger)).toEqual(after);
    expect([...ledger.reservations.keys()]).toEqual(['res_1']);
  });

  test('get it in the same batch too', () => {
    const ledger = ledgerWith(100n);
    const [first, second] = ledger.batch([again('res_1'), again('res_2')], START_MS).outcomes;
    expect(second).toEqual(first);
    expect(ledger.account(TENANT_BUDGET).reserved).toBe(10n);
  });

  test.each<[string, (ledger: MemoryLedger) => void]>([
    ['the tenant was closed', (ledger) => ledger.putTenant(TENANT, 'CLOSED')],
    ['the budget was frozen', (ledger) => amend(ledger, TENANT_BUDGET, { status: 'FROZEN' })],
    ['the budget is used up', (ledger) => amend(ledger, TENANT_BUDGET, { spent: 100n })],
    ['the reservation was released', (ledger) => void ledger.run(release(), START_MS)],
  ])('get it even after %s', (_what, arrange) => {
    const ledger = ledgerWith(100n);
    const first = ledger.run(again('res_1'), START_MS);
    arrange(ledger);
    expect(ledger.run(again('res_2'), START_MS + 999)).toEqual(first);
  });
});

describe('the same key', () => {
  test('with another body is a mismatch that changes nothing', () => {
    const ledger = ledgerWith(100n);
    ledger.run(again('res_1'), START_MS);
    const after = snapshot(ledger);
    expect(codeOf(ledger.run(again('res_2', { hash: 'hash-b' }), START_MS))).toBe('idempotency_mismatch');
    expect(snapshot(ledger)).toEqual(after);
  });

  test.each<[string, Parameters<typeof idempotent>]>([
    ['for another operation', ['fund', {}]],
    ['for another target', ['reserve', { target: 'res_1' }]],
    ['with another key', ['reserve', { key: 'idem-2' }]],
  ])('is another one %s', (_what, [operation, options]) => {
    const ledger = ledgerWith(100n);
    ledger.run(again('res_1'), START_MS);
    expect(codeOf(ledger.run(reserve({ reservationId: 'res_2', idempotency: idempotent(operation, options) }), START_MS))).toBe('ok');
    expect([...ledger.reservations.keys()]).toEqual(['res_1', 'res_2']);
  });

  test('is another one for another tenant', () => {
    const ledger = ledgerWith(100n);
    ledger.run(again('res_1'), START_MS);
    const idempotency = idempotent('reserve', { hash: 'hash-b' });
    const ref = { ...idempotency.ref, tenantId: 'other' };
    expect(codeOf(ledger.run(reserve({ reservationId: 'res_2', idempotency: { ...idempotency, ref } }), START_MS))).toBe('ok');
  });

  test('without a key every command is decided anew', () => {
    const ledger = ledgerWith(100n);
    ledger.batch([fund('CREDIT', 5n), fund('CREDIT', 5n)], START_MS);
    expect(ledger.account(TENANT_BUDGET).allocated).toBe(110n);
    expect(ledger.idempotency.size).toBe(0);
  });
});

describe('a remembered answer', () => {
  test.each<[string, number, string]>([
    ['one before its end', 999, 'res_1'],
    ['at its end is forgotten', 1000, 'res_2'],
  ])('%s', (_what, afterMs, reservationId) => {
    const ledger = ledgerWith(100n);
    ledger.run(again('res_1', { keepMs: 1000 }), START_MS);
    expect(valueOf(ledger.run(again('res_2', { keepMs: 1000 }), START_MS + afterMs))).toMatchObject({ reservationId });
  });

  test('that is forgotten gives way to the next one, with its own body and time', () => {
    const ledger = ledgerWith(100n);
    ledger.run(again('res_1', { keepMs: 1000 }), START_MS);
    ledger.run(again('res_2', { keepMs: 1000, hash: 'hash-b' }), START_MS + 1000);
    expect(codeOf(ledger.run(again('res_3', { hash: 'hash-a' }), START_MS + 1999))).toBe('idempotency_mismatch');
    expect(valueOf(ledger.run(again('res_3', { hash: 'hash-b' }), START_MS + 1999))).toMatchObject({ reservationId: 'res_2' });
  });
});

describe('a refusal', () => {
  test('is not remembered: the same command succeeds once the cause is gone', () => {
    const ledger = ledgerWith(5n);
    expect(codeOf(ledger.run(again('res_1'), START_MS))).toBe('budget_exceeded');
    expect(ledger.idempotency.size).toBe(0);
    amend(ledger, TENANT_BUDGET, { allocated: 100n });
    expect(valueOf(ledger.run(again('res_1'), START_MS))).toMatchObject({ reservationId: 'res_1' });
  });

  test('in the same batch is not remembered either', () => {
    const ledger = ledgerWith(5n);
    const { outcomes } = ledger.batch([again('res_1'), fund('CREDIT', 5n), again('res_1')], START_MS);
    expect(outcomes.map(codeOf)).toEqual(['budget_exceeded', 'ok', 'ok']);
  });
});
