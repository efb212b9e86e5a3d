import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeSqliteStore } from '../../contract/sqlite-store.ts';
import type { TestStore } from '../../contract/test-store.ts';
import { makeManualClock } from '../../support/fakes.ts';
import { makeTestApp, TEST_START_MS, type TestApp } from '../../support/test-app.ts';

const VERIFY = '/v1/x-castellan/verify';

let books: TestStore;
let at: TestApp;

beforeEach(async () => {
  const clock = makeManualClock(TEST_START_MS);
  books = await makeSqliteStore({ clock });
  at = await makeTestApp({ store: books.store, clock });
  await at.operator('POST', '/v1/x-castellan/tenants', { id: 'acme' });
  await at.operator('PUT', '/v1/x-castellan/tenants/acme/money-budget', { money_budget_usd: 25 });
});
afterEach(async () => {
  await at.close();
  await books.destroy();
});

test('200: the books that hold, with how much was read', async () => {
  const { status, json } = await at.operator('POST', VERIFY);
  expect(status).toBe(200);
  expect(json).toEqual({ accounts: 1, entries: 1, reservations: 0, discrepancies: [] });
});

test('200: a changed digit, with both figures', async () => {
  await books.raw('UPDATE accounts SET allocated = allocated + 1');
  const { status, json } = await at.operator('POST', VERIFY);
  expect(status).toBe(200);
  expect(json).toMatchObject({
    accounts: 1,
    discrepancies: [
      {
        check: expect.any(String) as string,
        subject: expect.stringContaining('acme') as string,
        found: '2500000001',
        expected: '2500000000',
      },
    ],
  });
});

test('400: a query', async () => {
  expect((await at.operator('POST', `${VERIFY}?full=1`)).status).toBe(400);
});

test('401: without the operator key', async () => {
  expect((await at.as('wrong')('POST', VERIFY)).status).toBe(401);
});
