import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS, USD_MICROCENTS } from '../../../src/core/ledger/account.ts';
import { REPORTS_PATH, rfc3339Nano, signBody, signedDelivery, wireEvent, type SignedRequest } from '../../support/report-client.ts';
import { makeTestApp, TEST_START_MS, type TestApp, type TestResponse } from '../../support/test-app.ts';

const OPERATOR = '/v1/x-castellan';
const SECRET = 'test-secret';
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let at: TestApp;
let key: { id: string; value: string };
let foreign: { id: string; value: string };

async function expectStatus(status: number, response: Promise<TestResponse>): Promise<TestResponse> {
  const answer = await response;
  expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
  return answer;
}

beforeEach(async () => {
  at = await makeTestApp();
  await at.addTenant('acme');
  await at.addTenant('other');
  key = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'app' });
  foreign = await at.addKey({ tenantId: 'other', memberId: 'ann', kind: 'inference' });
  await expectStatus(201, at.operator('POST', `${OPERATOR}/upstreams`, { id: 'u1', base_url: 'http://127.0.0.1:9/v1' }));
  await expectStatus(201, at.operator('POST', `${OPERATOR}/models`, { id: 'm1', upstreams: [{ id: 'u1' }] }));
  const price = { model_id: 'm1', input_per_1m: 1, output_per_1m: 2, cached_input_per_1m: 0.25, per_request: 0.01 };
  await expectStatus(201, at.operator('POST', `${OPERATOR}/prices`, price));
  await expectStatus(201, at.operator('POST', `${OPERATOR}/usage-reporters`, { id: 'model-router', secret: SECRET, tenants: ['acme'] }));
});
afterEach(() => at.close());

const send = (request: SignedRequest, headers: Record<string, string> = {}): Promise<TestResponse> =>
  at.as(null)('POST', request.path, request.body, { ...request.headers, ...headers });

const delivery = (events: readonly unknown[], changes: Partial<Parameters<typeof signedDelivery>[0]> = {}): SignedRequest =>
  signedDelivery({ reporterId: 'model-router', secret: SECRET, nowMs: at.clock.nowMs(), events, ...changes });

const event = (changes: Readonly<Record<string, unknown>> = {}, occurredAtMs = at.clock.nowMs() - 1000) =>
  wireEvent(key.value, { occurredAtMs, model: 'm1' }, changes);

const spentOf = (keyId: string, unit: string): bigint | undefined => at.store.tables.accounts.get(keyCapId('acme', keyId, unit))?.spent;

/** Everything that a refused report must leave as it is. */
const everything = (): unknown => {
  const { records, accounts, entries, usage, reports, idempotency, events } = at.store.tables;
  return structuredClone([[...records], [...accounts], entries, [...usage], [...reports], [...idempotency], events]);
};

async function expectRefused(
  status: number,
  code: string,
  request: SignedRequest,
  headers: Record<string, string> = {},
): Promise<TestResponse> {
  const before = everything();
  const response = await expectStatus(status, send(request, headers));
  expect(response.json).toMatchObject({ code, status: 'error', error: expect.any(String) as string });
  expect(everything()).toEqual(before);
  return response;
}

describe('200', () => {
  test('the published example of a request is taken as it stands', async () => {
    at.clock.set(Date.parse('2026-04-09T12:00:00Z'));
    const nonce = '11111111-1111-4111-8111-111111111111';
    const request = signBody({
      reporterId: 'model-router',
      secret: SECRET,
      timestamp: '2026-04-09T12:00:00Z',
      nonce,
      body: `{"delivery_id":"${nonce}","events":[]}`,
    });
    expect((await expectStatus(200, send(request))).json).toEqual({
      delivery_id: nonce,
      accepted: 0,
      duplicates: 0,
      quarantined: 0,
      events: [],
    });
  });

  test('usage is charged and counted like that of a call of the key, at the moment at which it happened', async () => {
    const request = delivery([event(), event({ customer_requests: undefined })]);
    const answer = await expectStatus(200, send(request));
    expect(answer.json).toMatchObject({ accepted: 2, duplicates: 0, quarantined: 0, events: [] });
    // 7 fresh and 4 cached tokens in, 7 out: 7 * 1000 + 4 * 250 + 7 * 2000 nano-dollars; a fee of 0.01 for the one request.
    expect(spentOf(key.id, TOKENS)).toBe(36n);
    expect([...at.store.tables.usage.values()].map(({ costNanoUsd, requests }) => [costNanoUsd, requests])).toEqual([
      [10_022_000n, 1],
      [22_000n, 0],
    ]);
    const { json } = await at.as((await adminKey()).value)('GET', '/api/billing/usage?time=1h');
    expect(json).toMatchObject({
      tokens: 36,
      input_tokens: 22,
      output_tokens: 14,
      requests: 1,
      cost: 0.010044,
      keys: { app: { total_tokens: 36, models: { m1: { tokens: 36, requests: 1 } } } },
    });
    const [listed] = (await at.as((await adminKey()).value)('GET', '/api/keys')).json as { name: string; last_used_at: string }[];
    expect(listed).toMatchObject({ name: 'app', tokens_used: 36, request_count: 1, last_used_at: '2026-04-08T23:59:59Z' });
  });

  test('what was used is booked although nothing is left, and stops the next call', async () => {
    await expectStatus(200, at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { money_budget_usd: 0.001 }));
    await expectStatus(200, send(delivery([event()])));
    expect(spentOf(key.id, USD_MICROCENTS)).toBe(1_002_200n);
    await expectStatus(402, at.as(null)('POST', '/api/shim/validate-key', { api_key: key.value }));
  });

  test('of a tenant that keeps a balance it is taken from that, by the rate of the moment at which it happened', async () => {
    await expectStatus(201, at.operator('POST', `${OPERATOR}/exchange-rates`, { currency: 'EUR', per_usd: 0.5 }));
    await expectStatus(201, at.operator('POST', `${OPERATOR}/tenants/acme/credits`, { amount: '0.0055', reason: 'paid' }));
    const heldAtMs = at.clock.nowMs();
    at.clock.set(heldAtMs + MINUTE_MS);
    await expectStatus(201, at.operator('POST', `${OPERATOR}/exchange-rates`, { currency: 'EUR', per_usd: 2 }));
    await expectStatus(200, send(delivery([event({}, heldAtMs), event({ customer_requests: 0 }, heldAtMs - 1)])));
    // 10022000 and 22000 nano-dollars at 0.5; one from before the first rate takes the present one.
    expect([...at.store.tables.usage.values()].map(({ debit }) => debit)).toEqual([
      { currency: 'EUR', perUsdNanos: 500_000_000, microcents: 501_100n },
      { currency: 'EUR', perUsdNanos: 2_000_000_000, microcents: 4400n },
    ]);
    const { json } = await at.operator('GET', `${OPERATOR}/tenants/acme/balance`);
    expect(json).toMatchObject({ balance: 0.000445, spent: 0.005055, per_usd: 2 });
    // More than is left is booked too; where the balance is required, the next call is refused.
    await expectStatus(200, send(delivery([event()])));
    await expectStatus(200, at.as(null)('POST', '/api/shim/validate-key', { api_key: key.value }));
    await expectStatus(200, at.operator('PATCH', `${OPERATOR}/tenants/acme`, { require_balance: true }));
    await expectStatus(402, at.as(null)('POST', '/api/shim/validate-key', { api_key: key.value }));
  });

  test('older reporters send who they are in the body, and requests as a meter', async () => {
    const meters = [
      { name: 'requests', quantity: 2 },
      { name: 'input_tokens', quantity: 5 },
    ];
    const request = delivery([event({ customer_requests: undefined, meters })], {
      extra: { reporter: { id: 'model-router', service: 'router' } },
    });
    expect((await expectStatus(200, send(request))).json).toMatchObject({ accepted: 1 });
    expect([...at.store.tables.usage.values()]).toMatchObject([{ requests: 2, promptTokens: 5, costNanoUsd: 20_005_000n }]);
  });

  test('a body of whatever type, or of none, is one: its signature tells whose it is', async () => {
    for (const type of ['application/json; charset=utf-8', 'application/octet-stream', 'text/plain'])
      await expectStatus(200, send(delivery([event()]), { 'content-type': type }));
    const { headers, body, path } = delivery([event()]);
    const { 'content-type': _type, ...rest } = headers;
    const response = await at.app.inject({ method: 'POST', url: path, headers: rest, payload: Buffer.from(body) });
    expect(response.statusCode).toBe(200);
    expect(at.store.tables.usage.size).toBe(4);
  });

  test('a query is not signed', async () => {
    const request = delivery([event()]);
    await expectStatus(200, send({ ...request, path: `${REPORTS_PATH}?attempt=2` }));
  });

  test('usage of a key that was disabled or deleted since then is booked', async () => {
    const sent = delivery([event()]);
    await expectStatus(200, at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { disabled: true }));
    await expectStatus(200, send(sent));
    await expectStatus(204, at.operator('DELETE', `${OPERATOR}/keys/${key.id}`));
    expect((await expectStatus(200, send(delivery([event()])))).json).toMatchObject({ accepted: 1 });
    expect(spentOf(key.id, TOKENS)).toBe(36n);
  });

  test('the price is that of the moment at which it happened', async () => {
    const before = at.clock.nowMs();
    at.clock.advance(10 * MINUTE_MS);
    await expectStatus(201, at.operator('POST', `${OPERATOR}/prices`, { model_id: 'm1', input_per_1m: 100, output_per_1m: 100 }));
    at.clock.advance(10 * MINUTE_MS);
    const least = { customer_requests: 0, meters: [{ name: 'input_tokens', quantity: 1 }] };
    await expectStatus(200, send(delivery([event(least, before), event(least, before + 9 * MINUTE_MS), event(least)])));
    expect([...at.store.tables.usage.values()].map(({ costNanoUsd }) => costNanoUsd)).toEqual([1000n, 1000n, 100_000n]);
  });
});

describe('an event', () => {
  test('is booked once, in one delivery, in the next, and a month later', async () => {
    const one = event();
    expect((await expectStatus(200, send(delivery([one, one])))).json).toMatchObject({
      accepted: 1,
      duplicates: 1,
      events: [{ event_id: one.event_id, status: 'duplicate' }],
    });
    at.clock.advance(28 * DAY_MS);
    expect((await expectStatus(200, send(delivery([one])))).json).toMatchObject({ accepted: 0, duplicates: 1 });
    expect(spentOf(key.id, TOKENS)).toBe(18n);
  });

  test('of another content under a known id is told and not booked', async () => {
    const one = event();
    await expectStatus(200, send(delivery([one])));
    const other = { ...one, meters: [{ name: 'input_tokens', quantity: 1_000_000 }] };
    expect((await expectStatus(200, send(delivery([other])))).json).toMatchObject({
      accepted: 0,
      duplicates: 1,
      events: [{ event_id: one.event_id, status: 'conflict' }],
    });
    expect(spentOf(key.id, TOKENS)).toBe(18n);
  });

  test('of the same id but of another reporter is another event', async () => {
    await expectStatus(
      201,
      at.operator('POST', `${OPERATOR}/usage-reporters`, { id: 'second', secret: 'other', tenants: ['acme', 'other'] }),
    );
    const one = event();
    await expectStatus(200, send(delivery([one])));
    expect((await expectStatus(200, send(delivery([one], { reporterId: 'second', secret: 'other' })))).json).toMatchObject({ accepted: 1 });
    expect(spentOf(key.id, TOKENS)).toBe(36n);
  });

  test.each<[string, (one: Record<string, unknown>) => unknown, string]>([
    ['of a key that nobody has', (one) => ({ ...one, api_key: 'tk_9999999999999999999999999999999' }), 'unknown_key'],
    ['of a model that does not exist', (one) => ({ ...one, attributes: { model: 'gone' } }), 'unknown_model'],
    ['without a model', (one) => ({ ...one, attributes: {} }), 'unknown_model'],
    ['of a meter without a price', (one) => ({ ...one, meters: [{ name: 'images', quantity: 1 }] }), 'unknown_meter'],
    ['of the future', (one) => ({ ...one, occurred_at: rfc3339Nano(TEST_START_MS + 6 * MINUTE_MS) }), 'in_future'],
    ['of long ago', (one) => ({ ...one, occurred_at: rfc3339Nano(TEST_START_MS - 31 * DAY_MS) }), 'too_old'],
    ['that breaks a rule', (one) => ({ ...one, meters: [{ name: 'input_tokens', quantity: -1 }] }), 'invalid'],
  ])('%s goes to quarantine, and the good ones around it are booked', async (_what, spoil, reason) => {
    const bad = spoil(event()) as { event_id: string };
    const answer = await expectStatus(200, send(delivery([event(), bad, event()])));
    expect(answer.json).toMatchObject({ accepted: 2, quarantined: 1, events: [{ event_id: bad.event_id, status: 'quarantined', reason }] });
    expect(spentOf(key.id, TOKENS)).toBe(36n);
    expect(at.store.tables.usage.size).toBe(2);
    expect((await expectStatus(200, send(delivery([bad])))).json).toMatchObject({ accepted: 0, duplicates: 1, quarantined: 0 });
  });

  test.each([[null], [7], [{}], [[]], [{ event_id: 'a b' }]])(
    'that has not even an id (%j) is told, and the good ones are booked',
    async (bad) => {
      const answer = await expectStatus(200, send(delivery([event(), bad])));
      expect(answer.json).toMatchObject({
        accepted: 1,
        quarantined: 1,
        events: [{ event_id: null, status: 'invalid', message: expect.stringMatching(/event/) as string }],
      });
    },
  );

  test('of a key of a tenant that the reporter does not report for changes nothing, and does not tell that the key exists', async () => {
    const before = structuredClone([[...at.store.tables.accounts], at.store.tables.entries, [...at.store.tables.usage]]);
    const [own, unknown] = [event({ api_key: foreign.value }), event({ api_key: 'tk_9999999999999999999999999999999' })];
    const answer = await expectStatus(200, send(delivery([own, unknown])));
    expect(answer.json).toMatchObject({
      accepted: 0,
      quarantined: 2,
      events: [own, unknown].map(({ event_id }) => ({ event_id, status: 'quarantined', reason: 'unknown_key' })),
    });
    expect([[...at.store.tables.accounts], at.store.tables.entries, [...at.store.tables.usage]]).toEqual(before);
    // Nor does it take the id away from who may report it.
    await expectStatus(201, at.operator('POST', `${OPERATOR}/usage-reporters`, { id: 'theirs', secret: 'other', tenants: ['other'] }));
    expect((await expectStatus(200, send(delivery([own], { reporterId: 'theirs', secret: 'other' })))).json).toMatchObject({ accepted: 1 });
  });

  test('of an admin key is that of an unknown one', async () => {
    const { value } = await adminKey();
    expect((await expectStatus(200, send(delivery([event({ api_key: value })])))).json).toMatchObject({
      events: [{ reason: 'unknown_key' }],
    });
  });
});

describe('401', () => {
  test.each(['x-tinfoil-reporter-id', 'x-tinfoil-timestamp', 'x-tinfoil-nonce', 'x-tinfoil-signature'])('without %s', async (name) => {
    const request = delivery([event()]);
    const { [name]: _left, ...headers } = request.headers;
    const { json } = await expectRefused(401, 'UNAUTHORIZED', { ...request, headers });
    expect((json as { error: string }).error).toContain(name);
    await expectRefused(401, 'UNAUTHORIZED', { ...request, headers: { ...request.headers, [name]: '' } });
    await expectRefused(401, 'UNAUTHORIZED', { ...request, headers: { ...request.headers, [name]: 'x'.repeat(129) } });
  });

  test('a wrong secret, an unknown reporter, another body and another nonce get the same answer', async () => {
    const good = delivery([event()]);
    const answers = [
      await expectRefused(401, 'UNAUTHORIZED', delivery([event()], { secret: 'wrong' })),
      await expectRefused(401, 'UNAUTHORIZED', delivery([event()], { reporterId: 'nobody' })),
      await expectRefused(401, 'UNAUTHORIZED', { ...good, body: `${good.body} ` }),
      await expectRefused(401, 'UNAUTHORIZED', good, { 'x-tinfoil-nonce': '11111111-1111-4111-8111-111111111111' }),
      await expectRefused(401, 'UNAUTHORIZED', good, { 'x-tinfoil-signature': good.headers['x-tinfoil-signature']!.toUpperCase() }),
    ];
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    await expectStatus(200, send(good));
  });

  test('a timestamp more than five minutes off, to either side, or none at all', async () => {
    for (const nowMs of [at.clock.nowMs() - 5 * MINUTE_MS, at.clock.nowMs() + 5 * MINUTE_MS])
      await expectStatus(200, send(delivery([event()], { nowMs })));
    for (const nowMs of [at.clock.nowMs() - 5 * MINUTE_MS - 1, at.clock.nowMs() + 5 * MINUTE_MS + 1])
      await expectRefused(401, 'UNAUTHORIZED', delivery([event()], { nowMs }));
    for (const timestamp of ['1775649600', 'yesterday', '2026-04-09', '2026-04-09T00:00:00'])
      await expectRefused(401, 'UNAUTHORIZED', signBody({ reporterId: 'model-router', secret: SECRET, timestamp, nonce: 'n', body: '{}' }));
  });

  test('a reporter that was removed, at once', async () => {
    const request = delivery([event()]);
    await expectStatus(204, at.operator('DELETE', `${OPERATOR}/usage-reporters/model-router`));
    await expectRefused(401, 'UNAUTHORIZED', request);
  });

  test('an admin key or the operator key opens nothing here', async () => {
    const admin = await adminKey();
    const before = everything();
    await expectStatus(401, at.as(admin.value)('POST', REPORTS_PATH, { delivery_id: 'x', events: [event()] }));
    await expectStatus(401, at.operator('POST', REPORTS_PATH, { delivery_id: 'x', events: [event()] }));
    expect(everything()).toEqual(before);
  });
});

test('after a rotation both secrets are good for as long as was said, and the old one not a moment longer', async () => {
  await expectStatus(200, at.operator('PATCH', `${OPERATOR}/usage-reporters/model-router`, { secret: 'second', grace_seconds: 60 }));
  await expectStatus(200, send(delivery([event()])));
  await expectStatus(200, send(delivery([event()], { secret: 'second' })));
  at.clock.advance(59_999);
  await expectStatus(200, send(delivery([event()])));
  at.clock.advance(1);
  await expectRefused(401, 'UNAUTHORIZED', delivery([event()]));
  await expectStatus(200, send(delivery([event()], { secret: 'second' })));
});

describe('409', () => {
  test('a delivery that was taken, for as long as its timestamp is good', async () => {
    const request = delivery([event()], { nowMs: at.clock.nowMs() + 5 * MINUTE_MS });
    await expectStatus(200, send(request));
    await expectRefused(409, 'CONFLICT', request);
    at.clock.advance(10 * MINUTE_MS);
    await expectRefused(409, 'CONFLICT', request);
    at.clock.advance(1);
    await expectRefused(401, 'UNAUTHORIZED', request);
  });

  test('nonces of different reporters have nothing to do with each other', async () => {
    await expectStatus(201, at.operator('POST', `${OPERATOR}/usage-reporters`, { id: 'second', secret: 'other', tenants: ['acme'] }));
    const deliveryId = '11111111-1111-4111-8111-111111111111';
    await expectStatus(200, send(delivery([event()], { deliveryId })));
    await expectStatus(200, send(delivery([event()], { deliveryId, reporterId: 'second', secret: 'other' })));
  });
});

describe('400', () => {
  const signed = (body: string, nonce = 'n1'): SignedRequest =>
    signBody({ reporterId: 'model-router', secret: SECRET, timestamp: rfc3339Nano(at.clock.nowMs()), nonce, body });

  test.each([
    ['no JSON', 'x', /not valid JSON/],
    ['nothing', '', /not valid JSON/],
    ['a list', '[]', /must be a JSON object/],
    ['no delivery_id', '{"events":[]}', /delivery_id must be/],
    ['a delivery_id that is not the nonce', '{"delivery_id":"n2","events":[]}', /delivery_id must be/],
    ['no events', '{"delivery_id":"n1"}', /events must be a list/],
    ['events that are an object', '{"delivery_id":"n1","events":{}}', /events must be a list/],
    ['too many events', `{"delivery_id":"n1","events":[${Array(2001).fill('{}').join()}]}`, /at most 2000/],
    ['a number out of range', '{"delivery_id":"n1","events":[{"event_id":1e999}]}', /out of range/],
    ['a forbidden key', '{"delivery_id":"n1","events":[{"__proto__":{}}]}', /__proto__/],
    ['nesting without end', `{"delivery_id":"n1","events":${'['.repeat(300)}${']'.repeat(300)}}`, /nested too deeply/],
  ])('%s, well signed', async (_what, body, rule) => {
    const { json } = await expectRefused(400, 'BAD_REQUEST', signed(body));
    expect((json as { error: string }).error).toMatch(rule);
  });

  test('a header that comes twice, before anything is looked up', async () => {
    const { headers, body, path } = delivery([event()]);
    const reads = at.store.reads.get('record usage-reporter') ?? 0;
    const response = await at.app.inject({
      method: 'POST',
      url: path,
      headers: { ...headers, 'x-tinfoil-nonce': [headers['x-tinfoil-nonce']!, 'other'] as unknown as string },
      payload: body,
    });
    expect(response.statusCode).toBe(400);
    expect(at.store.reads.get('record usage-reporter') ?? 0).toBe(reads);
  });
});

test('413: a report over eight megabytes; one of a thousand events is none', async () => {
  await expectStatus(200, send(delivery(Array.from({ length: 1000 }, () => event()))));
  expect(spentOf(key.id, TOKENS)).toBe(18_000n);
  await expectRefused(413, 'PAYLOAD_TOO_LARGE', delivery([event({ pad: 'x'.repeat(8 * 1024 * 1024) })]));
});

test('503: where the store takes nothing the report is not taken, and the same one may be sent again', async () => {
  const request = delivery([event()]);
  const { Fault } = await import('../../../src/core/fault.ts');
  at.store.beforeBatch = () => {
    throw new Fault({ code: 'store_unavailable', message: 'gone', publicMessage: 'The store does not answer.', retryAfterMs: 1000 });
  };
  await expectRefused(503, 'SERVICE_UNAVAILABLE', request);
  at.store.beforeBatch = null;
  expect((await expectStatus(200, send(request))).json).toMatchObject({ accepted: 1 });
});

test('405 and 404 have the form of the surface', async () => {
  expect((await at.as(null)('GET', REPORTS_PATH)).json).toMatchObject({ code: 'METHOD_NOT_ALLOWED' });
  expect((await at.as(null)('POST', '/api/internal/other', {})).json).toMatchObject({ code: 'NOT_FOUND' });
});

test('eight at once of the same delivery book it once, and one of them is told that it did', async () => {
  const request = delivery([event(), event()]);
  const answers = await Promise.all(Array.from({ length: 8 }, () => send(request)));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, ...Array<number>(7).fill(409)]);
  expect(spentOf(key.id, TOKENS)).toBe(36n);
});

test('neither a key nor the secret is kept or logged; what was not booked is told to the operator', async () => {
  const unknown = 'tk_unknown7unknown7unknown7unknown';
  await expectStatus(200, send(delivery([event(), event({ api_key: unknown }), event({ api_key: key.value, meters: 7 })])));
  await expectRefused(401, 'UNAUTHORIZED', delivery([event()], { secret: 'wrong' }));
  const { records, reports, usage, idempotency, audit, events } = at.store.tables;
  const kept = JSON.stringify([[...reports], [...usage.values()].map(({ id }) => id), [...idempotency], audit, events, at.log.lines]);
  for (const secret of [unknown, unknown.slice(8), key.value.slice(8)]) expect(kept).not.toContain(secret);
  expect(kept).not.toContain(SECRET);
  expect(JSON.stringify(records.get('usage-reporter model-router'))).not.toContain(SECRET);
  const [line] = at.log.lines.filter(({ message }) => message.includes('usage report'));
  expect(line).toMatchObject({
    level: 'warn',
    fields: { reporterId: 'model-router', booked: 1, unbooked: { unknown_key: 1, invalid: 1 } },
  });
});

async function adminKey(): Promise<{ id: string; value: string }> {
  return at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin' });
}
