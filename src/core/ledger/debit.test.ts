import { describe, expect, test } from 'vitest';
import {
  accountWith,
  APP_BUDGET,
  balances,
  codeOf,
  CREDITS,
  debit,
  FLOW_BUDGET,
  idempotent,
  MAX,
  rejectionOf,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  TOKEN_CAP,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, describePrecedence, snapshot } from '../../../test/support/ledger-precedence.ts';
import { budgetId, type Account, type OveragePolicy } from './account.ts';
import type { DebitCommand } from './commands.ts';
import { debitVerb } from './debit.ts';

const OTHER_UNIT = budgetId(TENANT, 'tenant:acme', CREDITS);
const BOTH = [TENANT_BUDGET, APP_BUDGET];

function ledgerWith(wide: Partial<Account>, narrow?: Partial<Account>): MemoryLedger {
  const ledger = new MemoryLedger();
  ledger.putAccount(accountWith(TENANT_BUDGET, wide));
  if (narrow !== undefined) ledger.putAccount(accountWith(APP_BUDGET, narrow));
  return ledger;
}

describe('a charge that was never held', () => {
  test.each(['REJECT', 'ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT'] as const)(
    'is booked on every budget under %s where all have it',
    (overagePolicy) => {
      const ledger = ledgerWith({ allocated: 100n, spent: 3n, reserved: 4n }, { allocated: 7n });
      const outcome = ledger.run(debit(7n, { accounts: [...BOTH, FLOW_BUDGET], overagePolicy }), START_MS + 3);
      expect(valueOf(outcome)).toMatchObject({ debitId: 'evt_1', charged: '7', capped: false });
      expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 10n, 4n, 0n]);
      expect(balances(ledger.account(APP_BUDGET))).toEqual([7n, 7n, 0n, 0n]);
      const line = { command: 'evt_1', verb: 'debit', dAllocated: 0n, dSpent: 7n, dReserved: 0n, dDebt: 0n, atMs: START_MS + 3 };
      expect(ledger.entries).toEqual(BOTH.map((accountId) => ({ accountId, ...line })));
      expect(ledger.reservations.size).toBe(0);
    },
  );

  test.each<
    [string, OveragePolicy, Partial<Account>, Partial<Account>, (bigint | boolean | null)[], (bigint | boolean | null)[], string, boolean]
  >([
    ['capped', 'ALLOW_IF_AVAILABLE', { allocated: 5n }, { allocated: 100n }, [5n, 5n, 0n, 0n, true], [100n, 5n, 0n, 0n, false], '5', true],
    [
      'capped to nothing',
      'ALLOW_IF_AVAILABLE',
      { allocated: 0n },
      { allocated: 9n },
      [0n, 0n, 0n, 0n, true],
      [9n, 0n, 0n, 0n, true],
      '0',
      true,
    ],
    [
      'booked on an account without a limit too',
      'ALLOW_IF_AVAILABLE',
      { allocated: null },
      { allocated: 10n },
      [null, 10n, 0n, 0n, false],
      [10n, 10n, 0n, 0n, false],
      '10',
      false,
    ],
    [
      'owed where it is unfunded',
      'ALLOW_WITH_OVERDRAFT',
      { allocated: 4n, overdraftLimit: 6n },
      { allocated: 100n },
      [4n, 4n, 0n, 6n, false],
      [100n, 10n, 0n, 0n, false],
      '10',
      false,
    ],
    [
      'capped by a budget without a limit, and owed by the other',
      'ALLOW_WITH_OVERDRAFT',
      { allocated: 4n, overdraftLimit: 6n },
      { allocated: 7n },
      [4n, 4n, 0n, 3n, false],
      [7n, 7n, 0n, 0n, true],
      '7',
      true,
    ],
  ])('of 10 is %s (%s)', (_what, overagePolicy, wide, narrow, wideAfter, narrowAfter, charged, capped) => {
    const ledger = ledgerWith(wide, narrow);
    const outcome = ledger.run(debit(10n, { accounts: BOTH, overagePolicy }), START_MS);
    expect(valueOf(outcome)).toMatchObject({ debitId: 'evt_1', charged, capped });
    const found = BOTH.map((id) => [...balances(ledger.account(id)), ledger.account(id).isOverLimit]);
    expect(found).toEqual([wideAfter, narrowAfter]);
  });

  test.each<[string, Partial<Account>, Partial<Account>, string]>([
    ['the first budget is short', { allocated: 9n }, { allocated: 100n }, 'tenant:acme'],
    ['the second budget is short', { allocated: 100n }, { allocated: 9n }, 'tenant:acme/app:bot'],
  ])('under REJECT changes nothing where %s', (_what, wide, narrow, scope) => {
    const ledger = ledgerWith(wide, narrow);
    const before = snapshot(ledger);
    const rejection = rejectionOf(ledger.run(debit(10n, { accounts: BOTH, overagePolicy: 'REJECT' }), START_MS));
    expect([rejection.code, rejection.account?.scope]).toEqual(['budget_exceeded', scope]);
    expect(snapshot(ledger)).toEqual(before);
  });

  test('past the overdraft limit changes nothing', () => {
    const ledger = ledgerWith({ allocated: 4n, overdraftLimit: 5n }, { allocated: 100n });
    const before = snapshot(ledger);
    expect(codeOf(ledger.run(debit(10n, { accounts: BOTH, overagePolicy: 'ALLOW_WITH_OVERDRAFT' }), START_MS))).toBe('over_limit');
    expect(snapshot(ledger)).toEqual(before);
  });

  test.each<[string, Partial<Account>]>([
    ['being over the limit', { allocated: 100n, isOverLimit: true }],
    ['debt', { allocated: 100n, debt: 5n }],
  ])('is not refused for %s', (_what, parts) => {
    expect(codeOf(ledgerWith(parts).run(debit(10n), START_MS))).toBe('ok');
  });

  test('the same key charges once', () => {
    const ledger = ledgerWith({ allocated: 100n });
    const idempotency = idempotent('event');
    const first = ledger.run(debit(10n, { idempotency }), START_MS);
    const after = snapshot(ledger);
    expect(ledger.run(debit(10n, { debitId: 'evt_2', idempotency }), START_MS + 1)).toEqual(first);
    expect(snapshot(ledger)).toEqual(after);
  });

  test('on one account twice is a fault of ours', () => {
    const ledger = ledgerWith({ allocated: 100n });
    expect(() => ledger.run(debit(10n, { accounts: [TENANT_BUDGET, TENANT_BUDGET] }), START_MS)).toThrow('evt_1');
    expect(ledger.account(TENANT_BUDGET).spent).toBe(0n);
  });
});

describe('a subject that nothing covers', () => {
  test('is budget_not_found, or unit_mismatch with the units that it has', () => {
    const ledger = new MemoryLedger();
    const command = debit(10n, { otherUnitAccounts: [OTHER_UNIT] });
    expect(codeOf(ledger.run(command, START_MS))).toBe('budget_not_found');
    ledger.putAccount(accountWith(OTHER_UNIT, { allocated: 1n }));
    expect(rejectionOf(ledger.run(command, START_MS))).toMatchObject({
      code: 'unit_mismatch',
      details: { scope: 'tenant:acme', requested_unit: 'TOKENS', expected_units: [CREDITS] },
    });
  });
});

describe('the edges of 64 bits', () => {
  test.each<[string, Partial<Account>, DebitCommand, string]>([
    ['the largest amount', { allocated: MAX }, debit(MAX, { overagePolicy: 'REJECT' }), 'ok'],
    ['the largest amount on a small budget is capped', { allocated: 5n, spent: 2n }, debit(MAX), 'ok'],
    [
      'the largest amount on a small budget under REJECT',
      { allocated: 5n, spent: 2n },
      debit(MAX, { overagePolicy: 'REJECT' }),
      'budget_exceeded',
    ],
    ['spend on an account without a limit, which is no budget', { allocated: null, spent: 1n }, debit(1n), 'budget_not_found'],
  ])('%s', (_what, parts, command, expected) => {
    expect(codeOf(ledgerWith(parts).run(command, START_MS))).toBe(expected);
  });
});

describePrecedence<DebitCommand>(
  'debit',
  () => ({ ledger: ledgerWith({ allocated: 100n }), command: debit(10n, { overagePolicy: 'REJECT' }), nowMs: START_MS }),
  [
    {
      code: 'idempotency_mismatch',
      when: 'the key was used with another body',
      apply: (setup) => {
        const idempotency = idempotent('event', { hash: 'hash-b' });
        setup.ledger.putIdempotency(idempotency.ref, { hash: 'hash-a', answer: 'first', expiresAtMs: START_MS + 1 });
        setup.command = { ...setup.command, idempotency };
      },
    },
    { code: 'tenant_closed', when: 'the tenant is closed', apply: ({ ledger }) => ledger.putTenant(TENANT, 'CLOSED') },
    {
      code: 'tenant_suspended',
      when: 'the tenant is suspended',
      not: ['the tenant is closed'],
      apply: ({ ledger }) => ledger.putTenant(TENANT, 'SUSPENDED'),
    },
    {
      code: 'amount_out_of_range',
      when: 'negative',
      not: ['too little left'],
      apply: (setup) => {
        setup.command = { ...setup.command, amount: -1n };
      },
    },
    {
      code: 'amount_out_of_range',
      when: 'past 64 bits',
      apply: (setup) => {
        setup.command = { ...setup.command, amount: MAX + 1n };
      },
    },
    {
      code: 'budget_not_found',
      when: 'nothing covers',
      apply: (setup) => {
        setup.command = { ...setup.command, accounts: [TOKEN_CAP] };
      },
    },
    {
      code: 'budget_frozen',
      when: 'frozen',
      not: ['nothing covers'],
      apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'FROZEN' }),
    },
    {
      code: 'budget_closed',
      when: 'closed',
      not: ['frozen', 'nothing covers'],
      apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'CLOSED' }),
    },
    {
      code: 'budget_exceeded',
      when: 'too little left',
      not: ['nothing covers'],
      apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { spent: 91n }),
    },
  ],
);

test('it looks at the accounts that it charges and those in other units', () => {
  expect(debitVerb.needs(debit(1n, { otherUnitAccounts: [OTHER_UNIT] }))).toEqual({
    tenantLock: 'shared',
    accounts: [TENANT_BUDGET, OTHER_UNIT],
    idempotency: [],
  });
});
