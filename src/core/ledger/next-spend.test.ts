import { expect, test } from 'vitest';
import { budgetId, keyCapId, newAccount, TOKENS, USD_MICROCENTS, type Account, type AccountId } from './account.ts';
import { decideNextSpend } from './next-spend.ts';

const account = (id: AccountId, parts: Partial<Account>): Account => ({ ...newAccount(id, { nowMs: 0, unlimited: false }), ...parts });
const cap = (parts: Partial<Account>): Account => account(keyCapId('acme', 'k1', TOKENS), parts);
const money = (parts: Partial<Account>): Account => account(keyCapId('acme', 'k1', USD_MICROCENTS), parts);
const budget = (parts: Partial<Account>): Account => account(budgetId('acme', 'tenant:acme', USD_MICROCENTS), parts);

test.each<[string, Account[], string]>([
  ['no account at all', [], 'ok'],
  ['an unlimited account', [cap({ allocated: null, spent: 10n })], 'ok'],
  ['one token left', [cap({ allocated: 10n, spent: 9n })], 'ok'],
  ['a cap that is used up', [cap({ allocated: 10n, spent: 10n })], 'cap_exceeded'],
  ['a cap that is passed', [cap({ allocated: 10n, spent: 15n })], 'cap_exceeded'],
  ['a cap of nothing', [cap({ allocated: 0n })], 'cap_exceeded'],
  ['money that is used up', [cap({ allocated: null }), money({ allocated: 5n, spent: 5n })], 'budget_exceeded'],
  ['a budget of the tenant that is used up', [cap({ allocated: null }), budget({ allocated: 5n, spent: 5n })], 'budget_exceeded'],
  [
    'a window that is used up',
    [account(`acme|window|tenant:acme|TOKENS|2026-11` as AccountId, { allocated: 5n, spent: 5n })],
    'window_exceeded',
  ],
  ['a frozen budget', [budget({ allocated: 5n, status: 'FROZEN' })], 'budget_frozen'],
  ['a closed budget', [budget({ allocated: 5n, status: 'CLOSED' })], 'budget_closed'],
  ['debt without overdraft', [budget({ allocated: 5n, debt: 1n })], 'debt_outstanding'],
  ['a budget over its overdraft limit', [budget({ allocated: 5n, isOverLimit: true })], 'over_limit'],
  ['holds that take the rest', [cap({ allocated: 10n, spent: 5n, reserved: 5n })], 'held'],
  [
    'one that waits before one that is used up',
    [cap({ allocated: 10n, reserved: 10n }), money({ allocated: 5n, spent: 5n })],
    'budget_exceeded',
  ],
])('%s', (_what, accounts, code) => {
  const outcome = decideNextSpend(accounts, { mustCoverMoney: false });
  expect(outcome.ok ? 'ok' : outcome.rejection.code).toBe(code);
});

test('a tenant that demands a money budget needs one with a limit', () => {
  const codes = [[cap({ allocated: 5n })], [money({ allocated: null })], [money({ allocated: 5n })]].map((accounts) => {
    const outcome = decideNextSpend(accounts, { mustCoverMoney: true });
    return outcome.ok ? 'ok' : outcome.rejection.code;
  });
  expect(codes).toEqual(['budget_required', 'budget_required', 'ok']);
});
