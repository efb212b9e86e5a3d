import { describe, expect, test } from 'vitest';
import { accountWith, MONEY_CAP, START_MS, TENANT, TENANT_BUDGET } from '../../../test/support/ledger-fixtures.ts';
import {
  accountId,
  newAccount,
  parseAccountId,
  remainingOf,
  snapshotOf,
  USD_MICROCENTS,
  type Account,
  type AccountRef,
} from './account.ts';

describe('the identity of an account', () => {
  const refs: AccountRef[] = [
    { tenantId: TENANT, kind: 'budget', scope: 'tenant:acme/app:bot', unit: 'TOKENS', period: '' },
    { tenantId: TENANT, kind: 'window', scope: 'rule:daily', unit: USD_MICROCENTS, period: '2026-W47' },
    { tenantId: TENANT, kind: 'key_cap', scope: 'key:key_1', unit: 'TOKENS', period: '' },
  ];

  test.each(refs)('joins its five parts and gives them back: $kind $scope $period', (ref) => {
    expect(accountId(ref)).toBe(`${ref.tenantId}|${ref.kind}|${ref.scope}|${ref.unit}|${ref.period}`);
    expect(parseAccountId(accountId(ref))).toEqual(ref);
  });
});

test('a new account has nothing, is active and forbids overdraft', () => {
  expect(newAccount(MONEY_CAP, { nowMs: START_MS, unlimited: false })).toEqual({
    id: MONEY_CAP,
    tenantId: TENANT,
    kind: 'key_cap',
    scope: 'key:key_1',
    unit: USD_MICROCENTS,
    period: '',
    allocated: 0n,
    spent: 0n,
    reserved: 0n,
    debt: 0n,
    overdraftLimit: 0n,
    isOverLimit: false,
    status: 'ACTIVE',
    overagePolicy: null,
    createdAtMs: START_MS,
  });
  expect(newAccount(MONEY_CAP, { nowMs: START_MS, unlimited: true }).allocated).toBeNull();
});

test.each<[string, Partial<Account>, bigint | null]>([
  ['all four count', { allocated: 100n, spent: 20n, reserved: 30n, debt: 5n }, 45n],
  ['below zero', { allocated: 10n, spent: 20n, reserved: 30n, debt: 5n }, -45n],
  ['unlimited', { allocated: null, spent: 20n }, null],
])('what remains: %s', (_what, parts, expected) => {
  expect(remainingOf(accountWith(TENANT_BUDGET, parts))).toBe(expected);
  expect(snapshotOf(accountWith(TENANT_BUDGET, parts)).remaining).toBe(expected);
});
