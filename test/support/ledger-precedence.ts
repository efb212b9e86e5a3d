import { describe, expect, test } from 'vitest';
import type { Account, AccountId } from '../../src/core/ledger/account.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { MemoryLedger } from './ledger-memory.ts';
import { codeOf } from './ledger-fixtures.ts';

/** A command about to run on a ledger; what a check looks at is put into it piece by piece. */
export interface Setup<C> {
  readonly ledger: MemoryLedger;
  command: C;
  nowMs: number;
}

/**
 * One check of a decision: the code that it refuses with, and what makes it apply to a setup where nothing refuses.
 * `not` names the checks that cannot apply in the same state.
 */
export interface Check<C> {
  readonly code: string;
  readonly when: string;
  readonly not?: readonly string[];
  readonly apply: (setup: Setup<C>) => void;
}

/** Changes what an account of the setup holds, without a trace in the journal. */
export function amend(ledger: MemoryLedger, id: AccountId, parts: Partial<Account>): void {
  ledger.putAccount({ ...ledger.account(id), ...parts });
}

/**
 * Proves the documented order of a decision's checks: each refuses alone, and where two apply the earlier one answers; whichever
 * refuses, nothing changes. `makeSetup` makes a state in which the command succeeds.
 */
export function describePrecedence<C extends Command>(verb: string, makeSetup: () => Setup<C>, checks: readonly Check<C>[]): void {
  const run = (applied: readonly Check<C>[]): string => {
    const setup = makeSetup();
    for (const check of applied) check.apply(setup);
    const before = snapshot(setup.ledger);
    const code = codeOf(setup.ledger.run(setup.command, setup.nowMs));
    if (code !== 'ok') expect(snapshot(setup.ledger)).toEqual(before);
    return code;
  };
  const pairs = checks.flatMap((first, index) =>
    checks
      .slice(index + 1)
      .filter((second) => second.code !== first.code && !first.not?.includes(second.when) && !second.not?.includes(first.when))
      .map((second) => ({ first, second })),
  );

  describe(`the order of the checks of ${verb}`, () => {
    test('nothing refuses at first', () => expect(run([])).toBe('ok'));

    test.each(checks)('$code: $when', (check) => expect(run([check])).toBe(check.code));

    // The later check is put in place first, so that the order of the table and not the order of the setup decides.
    test.each(pairs)('$first.code ($first.when) comes before $second.code ($second.when)', ({ first, second }) =>
      expect(run([second, first])).toBe(first.code),
    );
  });
}

/** All that a ledger holds, to be compared. */
export const snapshot = (ledger: MemoryLedger): unknown => ({
  accounts: [...ledger.accounts.values()],
  reservations: [...ledger.reservations.values()],
  idempotency: [...ledger.idempotency],
  tenants: [...ledger.tenants.values()],
  entries: [...ledger.entries],
  usage: [...ledger.usage],
  events: [...ledger.events],
});
