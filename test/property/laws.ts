import { AssertionError } from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import type { AccountId } from '../../src/core/ledger/account.ts';
import type { Entry } from '../../src/core/ledger/entry.ts';
import type { Reservation } from '../../src/core/ledger/reservation.ts';
import type { MemoryLedger } from '../support/ledger-memory.ts';

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

const sum = <T>(items: Iterable<T>, amount: (item: T) => bigint): bigint => {
  let total = 0n;
  for (const item of items) total += amount(item);
  return total;
};

/** Fails where `found` is not `expected`. Plain and quick, for it runs some million times. */
function law(message: string, found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected)) throw new AssertionError({ message, actual: found, expected, operator: 'deepStrictEqual' });
}

const FINAL_VERBS = ['commit', 'release', 'expire'];

/**
 * What must hold of every ledger after every batch, whatever led there (L1, L2, L4, L6, L7), computed from its rows and its journal
 * alone.
 */
export function expectLaws(ledger: MemoryLedger): void {
  const lines = Map.groupBy(ledger.entries, (entry) => entry.accountId);
  const active = [...ledger.reservations.values()].filter((reservation) => reservation.state === 'ACTIVE');
  const held = new Map<AccountId, bigint>();
  for (const { legs } of active) for (const leg of legs) held.set(leg.accountId, (held.get(leg.accountId) ?? 0n) + leg.amount);

  for (const account of ledger.accounts.values()) {
    const { id, allocated, spent, reserved, debt } = account;
    for (const amount of [spent, reserved, debt]) law(`L1: ${id} holds ${amount}`, amount >= 0n && amount <= INT64_MAX, true);
    law(`L1: ${id} is allocated ${allocated}`, (allocated ?? 0n) >= INT64_MIN && (allocated ?? 0n) <= INT64_MAX, true);
    law(`L2: ${id} reserves what its active reservations hold`, reserved, held.get(id) ?? 0n);
    const own = lines.get(id) ?? [];
    const journal = [
      sum(own, (line) => line.dAllocated),
      sum(own, (line) => line.dSpent),
      sum(own, (line) => line.dReserved),
      sum(own, (line) => line.dDebt),
    ];
    law(`L7: the journal explains the balances of ${id}`, journal, [allocated ?? 0n, spent, reserved, debt]);
  }

  const byReservation = Map.groupBy(ledger.entries, (entry) => entry.command);
  for (const reservation of ledger.reservations.values()) {
    for (const [index, leg] of reservation.legs.entries()) {
      const own = (byReservation.get(reservation.id) ?? []).filter((line) => line.accountId === leg.accountId);
      expectOneSettlement(reservation, { amount: leg.amount, charged: reservation.charged?.[index] ?? null }, own);
    }
  }
}

/** L4 and L6 for one leg: it is held once, given back once, charged once, and its lines add up to what the reservation says. */
function expectOneSettlement(reservation: Reservation, leg: { amount: bigint; charged: bigint | null }, lines: readonly Entry[]): void {
  const { id, state } = reservation;
  const count = (...verbs: string[]): number => lines.filter((line) => verbs.includes(line.verb)).length;
  const isActive = state === 'ACTIVE';
  law(`L4: ${id} holds once`, count('reserve'), 1);
  law(`L4: ${id}, ${state}, gives back once`, count(...FINAL_VERBS), isActive ? 0 : 1);
  law(`L4: ${id} is charged at most once`, count('commit', 'debit') <= 1, true);
  law(`L4: ${id}, ${state}, is debited only once it has expired`, count('debit') === 0 || state === 'EXPIRED', true);
  const held = sum(lines, (line) => line.dReserved);
  law(`L6: ${id} holds ${leg.amount} and gives back all of it`, held, isActive ? leg.amount : 0n);
  const booked = sum(lines, (line) => line.dSpent + line.dDebt);
  law(`L6: ${id} books what it says it charged`, booked, leg.charged ?? 0n);
}

/**
 * L6 for the answer of a commit or release: what was charged and what came back make up the hold and what went above it.
 */
export function expectSettledAnswer(reservation: Reservation, answer: { readonly charged?: string; readonly released: string }): void {
  const [leg] = reservation.legs;
  const held = leg?.amount ?? 0n;
  const charged = BigInt(answer.charged ?? '0');
  const overage = charged > held ? charged - held : 0n;
  // A commit that is capped to its hold gives nothing back and goes above nothing.
  law(`L6: ${reservation.id} charged and released what it held`, charged + BigInt(answer.released), held + overage);
  const kept = reservation.legs.map(() => charged);
  law(`L6: ${reservation.id} keeps what it charged`, reservation.charged, kept);
}
