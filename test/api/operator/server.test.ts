import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
beforeEach(async () => {
  at = await makeTestApp();
});
afterEach(() => at.close());

test('200: what the process is, and the name of its master key', async () => {
  expect(await at.operator('GET', '/v1/x-castellan/server')).toMatchObject({
    status: 200,
    json: { version: '0.0.0', run_id: 'run_test', store: 'sqlite', master_key: { id: 'fake', source: 'file' } },
  });
});

test('409: a master key that cannot be changed; a change that works is tested with real ones', async () => {
  expect(await at.operator('POST', '/v1/x-castellan/rotate-master-key')).toMatchObject({
    status: 409,
    json: { message: 'there is no master key to change' },
  });
});

test.each([
  ['GET', '/v1/x-castellan/server'],
  ['POST', '/v1/x-castellan/rotate-master-key'],
] as const)('%s %s: 400 with a query, 401 without the operator key', async (method, path) => {
  expect((await at.operator(method, `${path}?x=1`)).status).toBe(400);
  expect((await at.as('wrong')(method, path)).status).toBe(401);
});
