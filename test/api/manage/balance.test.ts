import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeManage, type Manage, type Manager } from './manage-harness.ts';

const OPERATOR = '/v1/x-castellan';

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

test('what was paid in, to the cent, halves to the even one; of no other tenant, and in its own currency', async () => {
  await manage.at.addTenant('other');
  const other = await manage.manager('ann', 'other');
  await manage.at.operator('POST', `${OPERATOR}/exchange-rates`, { currency: 'EUR', per_usd: 0.92 });
  const pay = (amount: string) => manage.at.operator('POST', `${OPERATOR}/tenants/acme/credits`, { amount, reason: 'paid' });
  expect((await pay('1234.565')).status).toBe(201);
  expect((await cy.ask('GET', '/users/balance')).text).toBe('{"current_balance":1234.56,"currency":"EUR"}');
  await pay('0.01');
  expect((await cy.ask('GET', '/users/balance')).text).toBe('{"current_balance":1234.58,"currency":"EUR"}');
  expect((await other.ask('GET', '/users/balance')).json).toEqual({ current_balance: 0, currency: 'EUR' });
  await manage.at.operator('PATCH', `${OPERATOR}/tenants/other`, { currency: 'SEK' });
  expect((await other.ask('GET', '/users/balance')).json).toEqual({ current_balance: 0, currency: 'SEK' });
});
