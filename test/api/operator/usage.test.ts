import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

const USAGE = '/v1/x-castellan/usage';

let at: TestApp;
let first: string;
let second: string;
beforeEach(async () => {
  at = await makeTestApp();
  await at.addTenant('acme');
  await at.addTenant('beta');
  first = (await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'one' })).id;
  second = (await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'two' })).id;
  const event = (id: string, keyId: string, fields: object): void =>
    at.store.addUsage(
      usageEvent({
        id,
        tenantId: 'acme',
        keyId,
        atMs: TEST_START_MS,
        model: 'm',
        requests: 1,
        promptTokens: 10,
        completionTokens: 5,
        ...fields,
      }),
    );
  event('a', first, { costNanoUsd: 1n });
  event('b', first, { model: 'n', costNanoUsd: 9_000_000_000_000_000_001n });
  event('c', second, { atMs: TEST_START_MS - 2 * 3_600_000, costNanoUsd: 2n });
});
afterEach(() => at.close());

describe('200', () => {
  test('all tenants, those without usage too, with every digit of the cost', async () => {
    const { status, text, json } = await at.operator('GET', USAGE);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      time: null,
      from: null,
      to: '2026-04-09T00:00:00Z',
      by: 'tenant',
      usage: [
        { tenant_id: 'acme', requests: 3, input_tokens: 30, output_tokens: 15 },
        { tenant_id: 'beta', requests: 0, input_tokens: 0, output_tokens: 0 },
      ],
    });
    expect(text).toContain('"cost_usd":9000000000.000000004}');
    expect(text).toContain('"cost_usd":0}');
  });

  test('the keys of one tenant, under their present names', async () => {
    const { json } = await at.operator('GET', `${USAGE}?tenant_id=acme&by=key`);
    const rows = (json as { usage: { key_id: string; key_name: string; requests: number }[] }).usage;
    expect(rows.map(({ key_id: id, key_name: name, requests }) => [id, name, requests])).toEqual([
      [first, 'one', 2],
      [second, 'two', 1],
    ]);
  });

  test('a window holds what lies in it', async () => {
    const { json } = await at.operator('GET', `${USAGE}?tenant_id=acme&by=model&time=1h`);
    expect(json).toMatchObject({
      time: '1h',
      from: '2026-04-08T23:01:00Z',
      usage: [
        { tenant_id: 'acme', model: 'm', requests: 1 },
        { tenant_id: 'acme', model: 'n', requests: 1 },
      ],
    });
  });
});

test.each([
  ['time=2h', /^time must be one of 5m, .*90d$/],
  ['by=member', /^by must be one of tenant, key, model$/],
  ['key=tk', /^key is not a known parameter$/],
  ['by=key&by=model', /^by must come once$/],
])('400: %s', async (query, message) => {
  expect(await at.operator('GET', `${USAGE}?${query}`)).toMatchObject({
    status: 400,
    json: { message: expect.stringMatching(message) as string },
  });
});

test('404: a tenant that nobody has', async () => {
  expect((await at.operator('GET', `${USAGE}?tenant_id=nobody`)).status).toBe(404);
});

test('401: without the operator key', async () => {
  expect((await at.as('wrong')('GET', USAGE)).status).toBe(401);
});
