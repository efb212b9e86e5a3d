import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const BASE = '/v1/x-castellan';
const SENT = { 'content-type': 'application/json' };
let at: TestApp;
let ann: string;
let key: { id: string; value: string };
let adminKeyId: string;

beforeAll(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  key = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' });
  adminKeyId = (await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin' })).id;
});
afterAll(() => at.close());

describe('numbers are what their digits say', () => {
  test.each(['1e-400', '4.99999999999999999999', '9007199254740990.6', '1e400', '9'.repeat(5000)])(
    'a cap of %s is refused by name and leaves the cap as it was',
    async (number) => {
      expect((await at.as(ann)('POST', '/api/keys/update', { key: key.value, max_tokens: 100 })).status).toBe(200);
      const { status, text } = await at.as(ann)('POST', '/api/keys/update', `{"key":"${key.value}","max_tokens":${number}}`);
      expect([status, text]).toEqual([400, expect.stringContaining('max_tokens must be')]);
      expect((await at.operator('GET', `${BASE}/keys/${key.id}`)).json).toMatchObject({ max_tokens: 100 });
    },
  );
});

describe('money', () => {
  test('is null, not 0, where nobody keeps an account', async () => {
    const none = { money_budget_usd: null, spent_usd: null, reserved_usd: null, remaining_usd: null };
    expect((await at.operator('GET', `${BASE}/tenants/acme/money-budget`)).json).toEqual(none);
    expect((await at.operator('GET', `${BASE}/keys/${key.id}`)).json).toMatchObject(none);
  });

  test.each([' 5', '5 '])('an amount of %j is refused', async (usd) => {
    expect(await at.operator('PATCH', `${BASE}/keys/${key.id}`, { money_budget_usd: usd })).toMatchObject({
      status: 400,
      json: { details: { field: 'money_budget_usd' } },
    });
  });

  test('an admin key takes no budget', async () => {
    expect(await at.operator('PATCH', `${BASE}/keys/${adminKeyId}`, { money_budget_usd: 5 })).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining('money_budget_usd must not be given for an admin key') as unknown },
    });
  });
});

test('an unknown output_bound is refused by name', async () => {
  expect(await at.operator('PATCH', `${BASE}/keys/${key.id}`, { output_bound: 'none' })).toMatchObject({
    status: 400,
    json: { message: 'output_bound must be hard or soft', details: { field: 'output_bound' } },
  });
});

test.each(['http://x:99999/v1', 'http://[:::::]/v1'])('an upstream at %s is refused', async (base_url) => {
  expect(await at.operator('POST', `${BASE}/upstreams`, { id: 'odd', base_url })).toMatchObject({
    status: 400,
    json: { details: { field: 'base_url' } },
  });
});

test('a price that would round to nothing is refused', async () => {
  const priced = { model_id: 'm', input_per_1m: 0.00001, output_per_1m: 1 };
  expect(await at.operator('POST', `${BASE}/prices`, priced)).toMatchObject({ status: 400, json: { details: { field: 'input_per_1m' } } });
});

describe('queries', () => {
  test.each([
    'tenants/acme',
    'tenants/acme/entitlements',
    'tenants/acme/money-budget',
    'tenants/acme/members',
    'upstreams/demo',
    'models/m',
  ])('GET /%s names an unknown parameter', async (path) => {
    expect(await at.operator('GET', `${BASE}/${path}?verbose=1`)).toMatchObject({ status: 400, json: { details: { field: 'verbose' } } });
  });

  test('the keys of a tenant that is not there are 404', async () => {
    expect((await at.operator('GET', `${BASE}/keys?tenant_id=nope`)).status).toBe(404);
  });

  test('a cursor that no page gave is 400', async () => {
    const { status, text } = await at.operator('GET', `${BASE}/keys?tenant_id=acme&cursor=nope`);
    expect([status, text]).toEqual([400, expect.stringContaining('cursor')]);
    expect((await at.operator('GET', `${BASE}/keys?tenant_id=acme&cursor=${key.id}`)).status).toBe(400);
    const { next_cursor: given } = (await at.operator('GET', `${BASE}/keys?tenant_id=acme&limit=1`)).json as { next_cursor: string };
    expect((await at.operator('GET', `${BASE}/keys?tenant_id=acme&cursor=${given}`)).status).toBe(200);
  });

  test('the time series takes no key', async () => {
    expect(await at.as(ann)('GET', `/api/billing/time-series?key=${key.value}`)).toMatchObject({
      status: 400,
      json: { message: 'key is not a parameter of the time series' },
    });
  });
});

test('a key that is no string gets the rule', async () => {
  expect(await at.as(ann)('POST', '/api/billing/usage/key', { key: 3 })).toMatchObject({
    status: 400,
    json: { message: 'key must be the full value of an API key, as a string' },
  });
});

describe('bodies in another form are 415 that names the header', () => {
  test.each([
    [{ ...SENT, 'content-encoding': 'gzip' }, 'Content-Encoding'],
    [{ 'content-type': 'application/json; charset=latin1' }, 'charset'],
    [{ 'content-type': 'application/json;charset="utf-16"' }, 'charset'],
  ])('%o', async (headers, says) => {
    for (const answer of [
      await at.operator('POST', `${BASE}/tenants`, '{"id":"x"}', headers),
      await at.as(ann)('POST', '/api/keys', '{"name":"x"}', headers),
    ])
      expect([answer.status, answer.text]).toEqual([415, expect.stringContaining(says)]);
  });

  test('UTF-8 may be named', async () => {
    const answer = await at.as(ann)('POST', '/api/keys', '{"name":"x"}', { 'content-type': 'application/json; charset=UTF-8' });
    expect(answer.status).toBe(200);
  });
});
