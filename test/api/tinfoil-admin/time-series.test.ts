import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let keyId: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  ({ id: keyId } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' }));
  at.clock.set(TEST_START_MS + 17 * 60_000 + 3);
});
afterEach(() => at.close());

interface Series {
  readonly data_points: readonly { readonly time: string; readonly tokens: number; readonly models: object }[];
  readonly interval: string;
}

test.each([
  ['5m', '5s', 60, '2026-04-09T00:12:05Z', '2026-04-09T00:17:00Z'],
  ['15m', '15s', 60, '2026-04-09T00:02:15Z', '2026-04-09T00:17:00Z'],
  ['30m', '30s', 60, '2026-04-08T23:47:30Z', '2026-04-09T00:17:00Z'],
  ['1h', '1m0s', 60, '2026-04-08T23:18:00Z', '2026-04-09T00:17:00Z'],
  ['24h', '15m0s', 96, '2026-04-08T00:30:00Z', '2026-04-09T00:15:00Z'],
  ['7d', '2h0m0s', 84, '2026-04-02T02:00:00Z', '2026-04-09T00:00:00Z'],
  ['30d', '8h0m0s', 90, '2026-03-10T08:00:00Z', '2026-04-09T00:00:00Z'],
  ['60d', '24h0m0s', 60, '2026-02-09T00:00:00Z', '2026-04-09T00:00:00Z'],
  ['90d', '24h0m0s', 90, '2026-01-10T00:00:00Z', '2026-04-09T00:00:00Z'],
])('200: %s has buckets of %s, %i of them, from %s to %s, empty ones included', async (time, interval, points, first, last) => {
  const { status, json } = await at.as(ann)('GET', `/api/billing/time-series?time=${time}`);
  const series = json as Series;
  expect([status, series.interval, series.data_points.length]).toEqual([200, interval, points]);
  expect([series.data_points[0]?.time, series.data_points.at(-1)?.time]).toEqual([first, last]);
  expect(series.data_points[0]).toEqual({ time: first, tokens: 0, input_tokens: 0, output_tokens: 0, requests: 0, models: {} });
});

test('200: without a window the last 24 hours', async () => {
  expect((await at.as(ann)('GET', '/api/billing/time-series')).json).toMatchObject({ interval: '15m0s' });
});

test('200: sums by bucket and model', async () => {
  const common = { tenantId: 'acme', keyId, atMs: TEST_START_MS };
  at.store.addUsage(usageEvent({ ...common, id: 'c1', promptTokens: 18_000, completionTokens: 12_000, requests: 60 }));
  at.store.addUsage(usageEvent({ ...common, id: 'c2', model: 'llama3-3-70b', promptTokens: 12_000, completionTokens: 8000, requests: 40 }));
  const { data_points: points } = (await at.as(ann)('GET', '/api/billing/time-series')).json as Series;
  expect(points.find(({ time }) => time === '2026-04-09T00:00:00Z')).toEqual({
    time: '2026-04-09T00:00:00Z',
    tokens: 50_000,
    input_tokens: 30_000,
    output_tokens: 20_000,
    requests: 100,
    models: {
      'kimi-k2-5': { tokens: 30_000, input_tokens: 18_000, output_tokens: 12_000, requests: 60 },
      'llama3-3-70b': { tokens: 20_000, input_tokens: 12_000, output_tokens: 8000, requests: 40 },
    },
  });
  expect(points.filter(({ tokens }) => tokens > 0)).toHaveLength(1);
});

test('200: what a database ahead of our clock booked shows in the last bucket, as it does in the totals', async () => {
  at.store.addUsage(usageEvent({ id: 'c1', tenantId: 'acme', keyId, atMs: at.clock.nowMs() + 60_000, promptTokens: 7 }));
  const { data_points: points } = (await at.as(ann)('GET', '/api/billing/time-series?time=5m')).json as Series;
  expect(points.at(-1)).toMatchObject({ tokens: 7 });
  expect((await at.as(ann)('GET', '/api/billing/usage?time=5m')).json).toMatchObject({ tokens: 7 });
});
