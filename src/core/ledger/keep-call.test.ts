import { expect, test } from 'vitest';
import {
  accountWith,
  expire,
  holdOn,
  keepCall,
  settleCall,
  START_MS,
  TENANT_BUDGET,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { snapshot } from '../../../test/support/ledger-precedence.ts';
import type { Reservation } from './reservation.ts';

function callLedger(parts: Partial<Reservation> = {}): MemoryLedger {
  const ledger = new MemoryLedger();
  ledger.putReservation(holdOn([TENANT_BUDGET], 10n, { purpose: 'call', ...parts }));
  ledger.putAccount(accountWith(TENANT_BUDGET, { allocated: 100n, reserved: 10n }));
  return ledger;
}

test('keeps the hold from now on and remembers the output seen so far', () => {
  const ledger = callLedger();
  const before = ledger.reservation('res_1');
  const outcome = ledger.run(keepCall(60_000, { checkpoint: { completion_tokens: 7 } }), START_MS + 50_000);
  expect(valueOf(outcome)).toEqual({ active: true });
  expect(ledger.reservation('res_1')).toEqual({ ...before, expiresAtMs: START_MS + 110_000, checkpoint: { completion_tokens: 7 } });
  expect(ledger.entries).toEqual([]);
});

test('never shortens a hold', () => {
  const ledger = callLedger();
  ledger.run(keepCall(1000), START_MS);
  expect(ledger.reservation('res_1').expiresAtMs).toBe(START_MS + 60_000);
});

test('needs no extension of the Cycles kind', () => {
  const ledger = callLedger({ maxExtensions: 0 });
  expect(valueOf(ledger.run(keepCall(90_000), START_MS))).toEqual({ active: true });
  expect(ledger.reservation('res_1').extensions).toBe(0);
});

test('does not bring back a hold that expired, but keeps what it saw for the settlement', () => {
  const ledger = callLedger();
  ledger.run(expire(), START_MS + 65_001);
  const before = ledger.reservation('res_1');
  expect(valueOf(ledger.run(keepCall(60_000, { checkpoint: 7 }), START_MS + 65_002))).toEqual({ active: false });
  expect(ledger.reservation('res_1')).toEqual({ ...before, checkpoint: 7 });
  expect(ledger.account(TENANT_BUDGET).reserved).toBe(0n);
});

test.each<[string, (ledger: MemoryLedger) => void]>([
  ['settled', (ledger) => void ledger.run(settleCall({ tokens: 3n, microcents: 0n }), START_MS)],
  ['cancelled', (ledger) => void ledger.run(settleCall(null), START_MS)],
  ['unknown', (ledger) => ledger.reservations.clear()],
])('changes nothing of a call that is %s', (_what, arrange) => {
  const ledger = callLedger();
  arrange(ledger);
  const before = snapshot(ledger);
  expect(valueOf(ledger.run(keepCall(60_000, { checkpoint: 7 }), START_MS + 1))).toEqual({ active: false });
  expect(snapshot(ledger)).toEqual(before);
});
