import { describe, expect, test } from 'vitest';
import {
  accountWith,
  balances,
  codeOf,
  fund,
  idempotent,
  MAX,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, describePrecedence, snapshot } from '../../../test/support/ledger-precedence.ts';
import type { Account } from './account.ts';
import type { FundCommand, FundOperation } from './commands.ts';

function ledgerWith(parts: Partial<Account>): MemoryLedger {
  const ledger = new MemoryLedger();
  ledger.putAccount(accountWith(TENANT_BUDGET, parts));
  return ledger;
}

/** A budget of 100 of which 20 are spent, 30 held and 5 owed: 45 remain. */
const USED: Partial<Account> = { allocated: 100n, spent: 20n, reserved: 30n, debt: 5n, overdraftLimit: 10n };

describe('the five operations', () => {
  test.each<[string, FundOperation, bigint, bigint | undefined, bigint[], string]>([
    ['CREDIT raises what is allocated and leaves debt', 'CREDIT', 7n, undefined, [107n, 20n, 30n, 5n], 'credit'],
    ['CREDIT of nothing', 'CREDIT', 0n, undefined, [100n, 20n, 30n, 5n], 'credit'],
    ['CREDIT ignores spent', 'CREDIT', 7n, 99n, [107n, 20n, 30n, 5n], 'credit'],
    ['DEBIT lowers what is allocated', 'DEBIT', 7n, undefined, [93n, 20n, 30n, 5n], 'fund_debit'],
    ['DEBIT of all that remains', 'DEBIT', 45n, undefined, [55n, 20n, 30n, 5n], 'fund_debit'],
    ['RESET sets what is allocated alone', 'RESET', 60n, undefined, [60n, 20n, 30n, 5n], 'reset'],
    ['RESET may leave less than nothing', 'RESET', 10n, undefined, [10n, 20n, 30n, 5n], 'reset'],
    ['RESET ignores spent', 'RESET', 60n, 99n, [60n, 20n, 30n, 5n], 'reset'],
    ['RESET_SPENT sets spent to zero', 'RESET_SPENT', 60n, undefined, [60n, 0n, 30n, 5n], 'reset_spent'],
    ['RESET_SPENT sets spent to what is said', 'RESET_SPENT', 60n, 8n, [60n, 8n, 30n, 5n], 'reset_spent'],
    ['RESET_SPENT may raise spent', 'RESET_SPENT', 60n, 50n, [60n, 50n, 30n, 5n], 'reset_spent'],
    ['REPAY_DEBT of a part', 'REPAY_DEBT', 3n, undefined, [100n, 20n, 30n, 2n], 'repay_debt'],
    ['REPAY_DEBT of all of it', 'REPAY_DEBT', 5n, undefined, [100n, 20n, 30n, 0n], 'repay_debt'],
    ['REPAY_DEBT of more allocates the rest', 'REPAY_DEBT', 12n, undefined, [107n, 20n, 30n, 0n], 'repay_debt'],
    ['REPAY_DEBT of nothing', 'REPAY_DEBT', 0n, undefined, [100n, 20n, 30n, 5n], 'repay_debt'],
  ])('%s', (_what, operation, amount, spent, [allocated = 0n, newSpent = 0n, reserved = 0n, debt = 0n], verb) => {
    const ledger = ledgerWith(USED);
    const value = valueOf(ledger.run(fund(operation, amount, spent === undefined ? {} : { spent }), START_MS + 9));
    expect(balances(ledger.account(TENANT_BUDGET))).toEqual([allocated, newSpent, reserved, debt]);
    expect(value).toEqual({
      operation,
      previousAllocated: '100',
      newAllocated: `${allocated}`,
      previousRemaining: '45',
      newRemaining: `${allocated - newSpent - reserved - debt}`,
      previousDebt: '5',
      newDebt: `${debt}`,
      previousSpent: '20',
      newSpent: `${newSpent}`,
      atMs: START_MS + 9,
    });
    expect(ledger.entries).toEqual([
      {
        accountId: TENANT_BUDGET,
        command: 'cmd_1',
        verb,
        dAllocated: allocated - 100n,
        dSpent: newSpent - 20n,
        dReserved: 0n,
        dDebt: debt - 5n,
        atMs: START_MS + 9,
      },
    ]);
  });
});

describe('being over the limit is looked at again by every operation', () => {
  test.each<[string, FundOperation, Partial<Account>, boolean, boolean]>([
    ['CREDIT clears a flag that no debt bears out', 'CREDIT', { debt: 0n }, true, false],
    ['DEBIT clears it too', 'DEBIT', { debt: 0n }, true, false],
    ['RESET clears it too', 'RESET', { debt: 0n }, true, false],
    ['RESET_SPENT clears it too', 'RESET_SPENT', { debt: 0n }, true, false],
    ['debt at the limit is not over it', 'CREDIT', { debt: 10n }, true, false],
    ['debt past the limit keeps it', 'CREDIT', { debt: 11n }, true, true],
    ['debt past a lowered limit sets it', 'CREDIT', { debt: 11n }, false, true],
    ['REPAY_DEBT down to the limit clears it', 'REPAY_DEBT', { debt: 11n }, true, false],
    ['REPAY_DEBT of too little keeps it', 'REPAY_DEBT', { debt: 12n }, true, true],
  ])('%s', (_what, operation, parts, before, after) => {
    const ledger = ledgerWith({ allocated: 100n, overdraftLimit: 10n, ...parts, isOverLimit: before });
    ledger.run(fund(operation, 1n), START_MS);
    expect(ledger.account(TENANT_BUDGET).isOverLimit).toBe(after);
  });
});

describe('the edges', () => {
  test.each<[string, Partial<Account>, FundCommand, string]>([
    ['DEBIT of one more than remains', USED, fund('DEBIT', 46n), 'budget_exceeded'],
    ['DEBIT of nothing from an overdrawn budget', { allocated: 1n, spent: 2n }, fund('DEBIT', 0n), 'budget_exceeded'],
    ['CREDIT up to the largest amount', USED, fund('CREDIT', MAX - 100n), 'ok'],
    ['CREDIT past it', USED, fund('CREDIT', MAX - 99n), 'amount_out_of_range'],
    ['REPAY_DEBT whose rest would go past it', { allocated: MAX, debt: 5n }, fund('REPAY_DEBT', 6n), 'amount_out_of_range'],
    ['REPAY_DEBT without a rest', { allocated: MAX, debt: 5n }, fund('REPAY_DEBT', 5n), 'ok'],
    ['RESET to the largest amount', USED, fund('RESET', MAX), 'ok'],
    ['RESET past it', USED, fund('RESET', MAX + 1n), 'amount_out_of_range'],
    ['RESET_SPENT of the largest amounts', USED, fund('RESET_SPENT', MAX, { spent: MAX }), 'ok'],
    ['RESET_SPENT that leaves the least that remains', { allocated: 1n, reserved: 1n }, fund('RESET_SPENT', 0n, { spent: MAX }), 'ok'],
    ['RESET_SPENT that leaves less', { allocated: 2n, reserved: 2n }, fund('RESET_SPENT', 0n, { spent: MAX }), 'amount_out_of_range'],
    ['RESET that leaves less', { allocated: 1n, spent: MAX, reserved: 2n }, fund('RESET', 0n), 'amount_out_of_range'],
    ['RESET_SPENT with spent past it', USED, fund('RESET_SPENT', 0n, { spent: MAX + 1n }), 'amount_out_of_range'],
    ['RESET_SPENT with negative spent', USED, fund('RESET_SPENT', 0n, { spent: -1n }), 'amount_out_of_range'],
    ['spent is ignored elsewhere, whatever it is', USED, fund('CREDIT', 1n, { spent: -1n }), 'ok'],
    ['an unlimited account', { allocated: null }, fund('CREDIT', 1n), 'conflict'],
  ])('%s', (_what, parts, command, expected) => {
    expect(codeOf(ledgerWith(parts).run(command, START_MS))).toBe(expected);
  });

  test('a suspended tenant can be funded', () => {
    const ledger = ledgerWith(USED);
    ledger.putTenant(TENANT, 'SUSPENDED');
    expect(codeOf(ledger.run(fund('CREDIT', 1n), START_MS))).toBe('ok');
  });

  test('a budget that does not exist is not made', () => {
    const ledger = new MemoryLedger();
    expect(codeOf(ledger.run(fund('CREDIT', 1n), START_MS))).toBe('budget_not_found');
    expect(ledger.accounts.size).toBe(0);
  });

  test('the same key funds once', () => {
    const ledger = ledgerWith(USED);
    const idempotency = idempotent('fund');
    const [first, second] = ledger.batch([fund('CREDIT', 7n, { idempotency }), fund('CREDIT', 7n, { idempotency })], START_MS).outcomes;
    expect(second).toEqual(first);
    const after = snapshot(ledger);
    expect(ledger.run(fund('CREDIT', 7n, { idempotency }), START_MS + 999)).toEqual(first);
    expect(snapshot(ledger)).toEqual(after);
    expect(ledger.account(TENANT_BUDGET).allocated).toBe(107n);
  });
});

describePrecedence<FundCommand>('fund', () => ({ ledger: ledgerWith({ allocated: 100n }), command: fund('DEBIT', 10n), nowMs: START_MS }), [
  {
    code: 'idempotency_mismatch',
    when: 'the key was used with another body',
    apply: (setup) => {
      const idempotency = idempotent('fund', { hash: 'hash-b' });
      setup.ledger.putIdempotency(idempotency.ref, { hash: 'hash-a', answer: 'first', expiresAtMs: START_MS + 1 });
      setup.command = { ...setup.command, idempotency };
    },
  },
  { code: 'tenant_closed', when: 'the tenant is closed', apply: ({ ledger }) => ledger.putTenant(TENANT, 'CLOSED') },
  {
    code: 'budget_not_found',
    when: 'there is no such budget',
    not: ['frozen', 'closed', 'unlimited', 'too little remains'],
    apply: ({ ledger }) => ledger.accounts.delete(TENANT_BUDGET),
  },
  { code: 'budget_frozen', when: 'frozen', apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'FROZEN' }) },
  { code: 'budget_closed', when: 'closed', not: ['frozen'], apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'CLOSED' }) },
  { code: 'conflict', when: 'unlimited', apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { allocated: null }) },
  {
    code: 'amount_out_of_range',
    when: 'negative',
    not: ['too little remains'],
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
    code: 'budget_exceeded',
    when: 'too little remains',
    not: ['unlimited'],
    apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { spent: 91n }),
  },
]);
