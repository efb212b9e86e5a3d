import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const PATH = '/v1/x-castellan/exchange-rates';

let at: TestApp;
beforeAll(async () => {
  at = await makeTestApp({ declared: ['exchange-rate CHF id'] });
});
afterAll(() => at.close());

test('201, 200 and 204: rates are added exactly, listed, and taken back while they lie ahead', async () => {
  const now = await at.operator('POST', PATH, { currency: 'EUR', per_usd: '0.123456789' });
  expect([now.status, now.json]).toMatchObject([
    201,
    { currency: 'EUR', per_usd: 0.123456789, applies_from: '2026-04-09T00:00:00Z', created_at: '2026-04-09T00:00:00Z' },
  ]);
  const later = await at.operator('POST', PATH, { currency: 'SEK', per_usd: 10.5, applies_from: '2026-05-01T00:00:00Z' });
  expect(later.json).toMatchObject({ applies_from: '2026-05-01T00:00:00Z' });
  expect((await at.operator('GET', PATH)).json).toEqual({ exchange_rates: [now.json, later.json] });
  expect((await at.operator('GET', `${PATH}?currency=SEK`)).json).toEqual({ exchange_rates: [later.json] });
  const { id } = later.json as { id: string };
  expect((await at.operator('DELETE', `${PATH}/${id}`)).status).toBe(204);
  expect((await at.operator('GET', `${PATH}?currency=SEK`)).json).toEqual({ exchange_rates: [] });
  expect((await at.operator('DELETE', `${PATH}/${id}`)).status).toBe(404);
  expect((await at.operator('DELETE', `${PATH}/${(now.json as { id: string }).id}`)).status).toBe(409);
  expect(at.store.tables.audit.filter(({ resourceKind }) => resourceKind === 'exchange-rate').map(({ operation }) => operation)).toEqual([
    'add-exchange-rate',
    'add-exchange-rate',
    'remove-exchange-rate',
    'remove-exchange-rate',
    'remove-exchange-rate',
  ]);
});

test.each([
  [{ per_usd: 1 }, 400, 'currency'],
  [{ currency: 'EUR' }, 400, 'per_usd'],
  [{ currency: 'eur', per_usd: 1 }, 400, 'currency must be a code of ISO 4217'],
  [{ currency: 'USD', per_usd: 1 }, 400, 'currency must not be USD'],
  [{ currency: 'EUR', per_usd: '1.0000000001' }, 400, 'per_usd must have at most 9 decimals'],
  [{ currency: 'EUR', per_usd: true }, 400, 'per_usd must be what one USD is worth'],
  [{ currency: 'EUR', per_usd: 1, applies_from: '2026-04-08T23:59:59Z' }, 400, 'applies_from must not lie in the past'],
  [{ currency: 'EUR', per_usd: 1, rate: 1 }, 400, 'rate is not a known field'],
  [{ currency: 'CHF', per_usd: 1 }, 409, 'the exchange rate CHF is declared in'],
])('%j: %i, and the words say why', async (body, status, words) => {
  const before = at.store.tables.records.size;
  const answer = await at.operator('POST', PATH, body);
  expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(words)]);
  expect(at.store.tables.records.size).toBe(before);
});
