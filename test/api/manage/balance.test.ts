import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountId } from '../../../src/core/ledger/account.ts';
import { makeManage, type Manage, type Manager } from './manage-harness.ts';

let manage: Manage;
let cy: Manager;

beforeAll(async () => {
  manage = await makeManage();
  cy = await manage.manager('cy');
});
afterAll(() => manage.at.close());

test('nothing was paid in: 0 of the default currency, for every member', async () => {
  expect(await cy.ask('GET', '/users/balance')).toMatchObject({ status: 200, json: { current_balance: 0, currency: 'EUR' } });
});

test('what lies on the account of the tenant, to the cent; of no other tenant', async () => {
  await manage.at.addTenant('other');
  const other = await manage.manager('ann', 'other');
  const id = accountId({ tenantId: 'acme', kind: 'balance', scope: 'tenant:acme', unit: 'EUR_MICROCENTS', period: '' });
  const outcome = await manage.at.writer.execute({
    verb: 'allocate',
    id: 'cmd_paid_in',
    tenantId: 'acme',
    accountId: id,
    allocated: 123_456_500_000n,
  });
  expect(outcome.ok).toBe(true);
  expect((await cy.ask('GET', '/users/balance')).text).toBe('{"current_balance":1234.56,"currency":"EUR"}');
  expect((await other.ask('GET', '/users/balance')).json).toEqual({ current_balance: 0, currency: 'EUR' });
});
