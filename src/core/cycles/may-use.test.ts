import { expect, test } from 'vitest';
import { mayUse } from './may-use.ts';

test.each([
  [['budgets:read'], 'budgets:read', true],
  [['budgets:read'], 'budgets:write', false],
  [['budgets:write'], 'budgets:read', false],
  [['admin:read'], 'budgets:read', true],
  [['admin:read'], 'budgets:write', false],
  [['admin:write'], 'webhooks:write', true],
  [['admin:write'], 'webhooks:read', false],
  [['admin:write'], 'reservations:create', false],
  [['admin:budgets:write'], 'budgets:write', true],
  [['admin:budgets:write'], 'policies:write', false],
  [['admin:budgets:write'], 'budgets:read', false],
  [['reservations:create'], 'events:create', true],
  [['events:create'], 'events:create', true],
  [['events:create'], 'reservations:create', false],
  [[], 'balances:read', false],
] as const)('a key with %j asked for %s: %s', (permissions, wanted, expected) => {
  expect(mayUse(permissions, wanted)).toBe(expected);
});
