import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { UsageEvent } from '../../../src/core/usage/usage-event.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let at: TestApp;
let ann: string;
let key: { id: string; value: string };
let count = 0;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  key = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'Production Key' });
});
afterEach(() => at.close());

function use(fields: Partial<UsageEvent> & { agoMs?: number }): void {
  const { agoMs = 1000, ...rest } = fields;
  at.store.addUsage(usageEvent({ id: `call_${++count}`, tenantId: 'acme', keyId: key.id, atMs: TEST_START_MS - agoMs, ...rest }));
}

describe('200 usage', () => {
  test('nothing used: all zero, and no key', async () => {
    const { status, json } = await at.as(ann)('GET', '/api/billing/usage');
    expect([status, json]).toEqual([200, { tokens: 0, input_tokens: 0, output_tokens: 0, requests: 0, cost: 0, keys: {} }]);
  });

  test("adds up to the document's own figures, by key name and model", async () => {
    const other = await at.addKey({ tenantId: 'acme', memberId: 'bob', kind: 'inference', name: 'Development Key' });
    use({ model: 'kimi-k2-5', promptTokens: 350_000, completionTokens: 250_000, requests: 1200, costNanoUsd: 6_000_000_000n });
    use({ model: 'gpt-oss-120b', promptTokens: 250_000, completionTokens: 150_000, requests: 800, costNanoUsd: 4_000_000_000n });
    use({
      keyId: other.id,
      model: 'llama3-3-70b',
      promptTokens: 200_000,
      completionTokens: 300_000,
      requests: 1200,
      costNanoUsd: 5_000_000_000n,
    });
    expect((await at.as(ann)('GET', '/api/billing/usage?time=7d')).json).toEqual({
      tokens: 1_500_000,
      input_tokens: 800_000,
      output_tokens: 700_000,
      requests: 3200,
      cost: 15,
      keys: {
        'Production Key': {
          total_tokens: 1_000_000,
          total_input_tokens: 600_000,
          total_output_tokens: 400_000,
          total_requests: 2000,
          cost: 10,
          models: {
            'kimi-k2-5': { tokens: 600_000, input_tokens: 350_000, output_tokens: 250_000, requests: 1200, cost: 6 },
            'gpt-oss-120b': { tokens: 400_000, input_tokens: 250_000, output_tokens: 150_000, requests: 800, cost: 4 },
          },
        },
        'Development Key': {
          total_tokens: 500_000,
          total_input_tokens: 200_000,
          total_output_tokens: 300_000,
          total_requests: 1200,
          cost: 5,
          models: { 'llama3-3-70b': { tokens: 500_000, input_tokens: 200_000, output_tokens: 300_000, requests: 1200, cost: 5 } },
        },
      },
    });
  });

  test('cost is the sum of exact costs, not of rounded ones', async () => {
    for (let i = 0; i < 3; i++) use({ costNanoUsd: 1n });
    use({ costNanoUsd: 100_000_000n });
    use({ costNanoUsd: 200_000_000n });
    expect((await at.as(ann)('GET', '/api/billing/usage')).text).toContain('"cost":0.300000003,"keys"');
  });

  test('keys of one name are added up; a renamed key stands under its new name, a deleted one under its last', async () => {
    const twin = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'Production Key' });
    const gone = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'first name' });
    use({ promptTokens: 1 });
    use({ keyId: twin.id, promptTokens: 2 });
    use({ keyId: gone.id, promptTokens: 4 });
    await at.as(ann)('POST', '/api/keys/update', { key: gone.value, name: 'last name' });
    await at.as(ann)('DELETE', `/api/keys/${gone.value}`);
    expect((await at.as(ann)('GET', '/api/billing/usage')).json).toMatchObject({
      tokens: 7,
      keys: { 'Production Key': { total_tokens: 3, total_requests: 2 }, 'last name': { total_tokens: 4 } },
    });
  });

  test.each(['__proto__', 'constructor', 'toString'])('a key named %s is a name like any other', async (name) => {
    const odd = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name });
    use({ keyId: odd.id, promptTokens: 5, model: '__proto__' });
    expect((await at.as(ann)('GET', '/api/billing/usage')).text).toContain(`"keys":{"${name}":{"total_tokens":5`);
  });

  test('no other organization is in it', async () => {
    const { ann: foreign } = await at.addTenant('other');
    use({ promptTokens: 5 });
    expect((await at.as(foreign)('GET', '/api/billing/usage')).json).toMatchObject({ tokens: 0, keys: {} });
  });

  test.each([
    ['5m', 5 * MINUTE_MS - 5000, 5 * MINUTE_MS - 4999],
    ['15m', 15 * MINUTE_MS - 15_000, 15 * MINUTE_MS - 14_999],
    ['30m', 30 * MINUTE_MS - 30_000, 30 * MINUTE_MS - 29_999],
    ['1h', 59 * MINUTE_MS, 59 * MINUTE_MS + 1],
    ['24h', DAY_MS - 15 * MINUTE_MS, DAY_MS - 15 * MINUTE_MS + 1],
    ['7d', 7 * DAY_MS - 120 * MINUTE_MS, 7 * DAY_MS],
    ['30d', 30 * DAY_MS - 480 * MINUTE_MS, 30 * DAY_MS],
    ['60d', 59 * DAY_MS, 60 * DAY_MS],
    ['90d', 89 * DAY_MS, 90 * DAY_MS],
  ])('%s holds what its series shows, and no more', async (time, insideMs, outsideMs) => {
    use({ agoMs: insideMs, promptTokens: 1 });
    use({ agoMs: Math.max(outsideMs, insideMs + 1), promptTokens: 1000 });
    const [usage, series] = await Promise.all([
      at.as(ann)('GET', `/api/billing/usage?time=${time}`),
      at.as(ann)('GET', `/api/billing/time-series?time=${time}`),
    ]);
    const points = (series.json as { data_points: { tokens: number }[] }).data_points;
    expect((usage.json as { tokens: number }).tokens).toBe(1);
    expect(points[0]?.tokens).toBe(1);
    expect(points.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(1);
  });

  test('of one key with ?key=, in the same shape', async () => {
    const other = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'other' });
    use({ promptTokens: 3 });
    use({ keyId: other.id, promptTokens: 9 });
    const { json } = await at.as(ann)('GET', `/api/billing/usage?key=${key.value}`);
    expect(json).toMatchObject({ tokens: 3, keys: { 'Production Key': { total_tokens: 3 } } });
    expect(Object.keys((json as { keys: object }).keys)).toEqual(['Production Key']);
  });
});

describe('a caller sees its own finished calls', () => {
  test.each([
    ['GET', '/api/billing/usage', undefined, 'usageTotals'],
    ['GET', '/api/billing/time-series', undefined, 'usageSeries'],
    ['POST', '/api/billing/usage/key', 'key', 'usageTotals'],
  ] as const)('%s %s waits for what this node is still making durable', async (method, path, body, read) => {
    let open = (): void => undefined;
    at.store.beforeBatch = () => new Promise((resolve) => (open = resolve));
    const writing = at.writer.execute({ verb: 'init-setting', id: 's', tenantId: 'acme', setting: { id: 's', value: 1 } });
    const asking = at.as(ann)(method, path, body === undefined ? undefined : { key: key.value });
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(at.store.reads.get(read)).toBeUndefined();
    open();
    expect((await asking).status).toBe(200);
    expect(at.store.reads.get(read)).toBe(1);
    await writing;
  });
});

describe('200 usage of a key', () => {
  test('the value in the body, or in the query', async () => {
    use({ promptTokens: 800_000, completionTokens: 700_000, requests: 3200, costNanoUsd: 15_000_000_000n });
    const expected = { prompt_tokens: 800_000, completion_tokens: 700_000, requests: 3200, cost: 15 };
    expect((await at.as(ann)('POST', '/api/billing/usage/key?time=7d', { key: key.value })).json).toEqual(expected);
    expect((await at.as(ann)('POST', `/api/billing/usage/key?key=${key.value}`)).json).toEqual(expected);
    expect((await at.as(ann)('POST', `/api/billing/usage/key?time=5m&key=${key.value}`, {})).json).toEqual(expected);
  });

  test('a key that was never used', async () => {
    expect((await at.as(ann)('POST', '/api/billing/usage/key', { key: key.value })).json).toEqual({
      prompt_tokens: 0,
      completion_tokens: 0,
      requests: 0,
      cost: 0,
    });
  });
});

describe('400', () => {
  test.each(['120s', '', '24H', '1h ', 'today', '__proto__', 'constructor', '5m,15m'])('a window %j', async (time) => {
    const message = 'time must be one of 5m, 15m, 30m, 1h, 24h, 7d, 30d, 60d, 90d';
    const query = `?time=${encodeURIComponent(time)}`;
    for (const path of [`/api/billing/usage${query}`, `/api/billing/time-series${query}`]) {
      expect(await at.as(ann)('GET', path)).toMatchObject({ status: 400, json: { error: message, code: 'BAD_REQUEST' } });
    }
    expect(await at.as(ann)('POST', `/api/billing/usage/key${query}`, { key: key.value })).toMatchObject({
      status: 400,
      json: { error: message },
    });
  });

  test('a window that is given twice', async () => {
    expect((await at.as(ann)('GET', '/api/billing/usage?time=5m&time=7d')).status).toBe(400);
  });

  test('no key, or one that is no string', async () => {
    const path = '/api/billing/usage/key';
    expect(await at.as(ann)('POST', path, {})).toMatchObject({ status: 400, json: { error: 'key is required' } });
    expect(await at.as(ann)('POST', path)).toMatchObject({ status: 400, json: { error: 'key is required' } });
    expect((await at.as(ann)('POST', path, { key: [key.value] })).status).toBe(400);
    expect((await at.as(ann)('POST', path, [])).status).toBe(400);
  });
});

describe('404', () => {
  test("an unknown, masked, deleted or foreign key's usage", async () => {
    const { ann: foreign } = await at.addTenant('other');
    const ask = async (credential: string, value: string): Promise<number[]> => [
      (await at.as(credential)('POST', '/api/billing/usage/key', { key: value })).status,
      (await at.as(credential)('GET', `/api/billing/usage?key=${encodeURIComponent(value)}`)).status,
    ];
    expect(await ask(ann, 'tk_0000000000000000000000000000000')).toEqual([404, 404]);
    expect(await ask(ann, key.value.slice(0, 8) + '*'.repeat(26))).toEqual([404, 404]);
    expect(await ask(ann, ann)).toEqual([404, 404]);
    expect(await ask(foreign, key.value)).toEqual([404, 404]);
    await at.as(ann)('DELETE', `/api/keys/${key.value}`);
    expect(await ask(ann, key.value)).toEqual([404, 404]);
  });
});
