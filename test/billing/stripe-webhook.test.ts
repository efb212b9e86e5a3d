import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makePaymentsApi } from '../../src/api/payments/surface.ts';
import { makeTakeWebhook } from '../../src/app/payments/take-payment.ts';
import { makeStripeService } from '../../src/billing/stripe/stripe-service.ts';
import { stripeSignature } from '../support/stripe-server.ts';
import { makeTestApp, type TestApp } from '../support/test-app.ts';

const SECRET = 'whsec_0123456789abcdef0123456789abcdef';
const PATH = '/billing/stripe/webhook';
const MINUTE_MS = 60_000;

let at: TestApp;
let app: FastifyInstance;
beforeEach(async () => {
  at = await makeTestApp();
  await at.addTenant('acme');
  await at.operator('PATCH', '/v1/x-castellan/tenants/acme', { currency: 'USD' });
  app = Fastify();
  const service = makeStripeService({
    apiKey: 'sk_test_0',
    baseUrl: 'http://127.0.0.1:9',
    meter: 'm',
    webhookSecret: SECRET,
    timeoutMs: 100,
  });
  const { store: records, writer, ids, clock, log } = at;
  await app.register(makePaymentsApi({ takeWebhook: makeTakeWebhook({ writer, records, service, ids, clock, log }), log }));
});
afterEach(async () => {
  await app.close();
  await at.close();
});

const paid = (fields: object = {}, eventId = 'evt_1'): string =>
  JSON.stringify({
    id: eventId,
    object: 'event',
    type: 'payment_intent.succeeded',
    data: {
      object: {
        id: 'pi_1',
        object: 'payment_intent',
        amount_received: 2550,
        currency: 'usd',
        metadata: { castellan_tenant_id: 'acme' },
        ...fields,
      },
    },
  });

async function send(body: string, signature = stripeSignature(body, SECRET, at.clock.nowMs())): Promise<number> {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature };
  return (await app.inject({ method: 'POST', url: PATH, payload: body, headers })).statusCode;
}

const balance = async (): Promise<unknown> =>
  ((await at.operator('GET', '/v1/x-castellan/tenants/acme/balance')).json as { balance: unknown }).balance;

describe('200', () => {
  test('a payment is credited to its tenant’s balance, once, however often and by whichever event it is told', async () => {
    expect(await send(paid())).toBe(200);
    expect(await balance()).toBe(25.5);
    expect(await send(paid())).toBe(200);
    expect(await send(paid({}, 'evt_2'))).toBe(200);
    expect(await Promise.all([send(paid()), send(paid({}, 'evt_3'))])).toEqual([200, 200]);
    expect(await balance()).toBe(25.5);
    expect(await send(paid({ id: 'pi_2', amount_received: 1 }, 'evt_4'))).toBe(200);
    expect(await balance()).toBe(25.51);
    const { credits } = (await at.operator('GET', '/v1/x-castellan/tenants/acme/credits')).json as { credits: { reason: string }[] };
    expect(credits.map(({ reason }) => reason)).toEqual(['Payment pi_2', 'Payment pi_1']);
    expect(at.store.tables.audit.filter(({ operation }) => operation === 'take-payment')[0]).toMatchObject({
      resourceId: 'pi_1',
      actorKind: 'system',
    });
  });

  test('a payment that cannot be credited is remembered and told to the operator, and not sent again for ever', async () => {
    expect(await send(paid({ currency: 'gbp' }))).toBe(200);
    expect(await send(paid({ id: 'pi_2', metadata: { castellan_tenant_id: 'nobody' } }))).toBe(200);
    expect(at.log.lines.filter(({ message }) => message.includes('cannot be credited'))).toHaveLength(2);
    expect(at.store.tables.records.get('payment pi_1')).toMatchObject({
      creditId: null,
      refusal: expect.stringContaining('USD') as string,
    });
    expect(await balance()).toBe(0);
  });

  test.each([
    ['another event', JSON.stringify({ id: 'evt_9', object: 'event', type: 'customer.created', data: { object: {} } })],
    ['a payment that is for no balance', paid({ metadata: {} })],
    ['a currency without cents', paid({ currency: 'jpy' })],
  ])('%s is taken and makes nothing', async (_name, body) => {
    expect(await send(body)).toBe(200);
    expect(at.store.tables.records.has('payment pi_1')).toBe(false);
    expect(await balance()).toBe(0);
  });
});

describe('401', () => {
  test.each<[string, (body: string) => string]>([
    ['no signature', () => ''],
    ['another secret', (body) => stripeSignature(body, `${SECRET}x`, at.clock.nowMs())],
    ['another body', (body) => stripeSignature(`${body} `, SECRET, at.clock.nowMs())],
    ['a signature of six minutes ago', (body) => stripeSignature(body, SECRET, at.clock.nowMs() - 6 * MINUTE_MS)],
    [
      'a moment that was not signed',
      (body) => stripeSignature(body, SECRET, at.clock.nowMs() - 6 * MINUTE_MS).replace(/t=\d+/, `t=${at.clock.nowMs() / 1000}`),
    ],
    ['nonsense', () => 't=,v1=,,=='],
  ])('%s', async (_name, sign) => {
    const body = paid();
    expect(await send(body, sign(body))).toBe(401);
    expect(await balance()).toBe(0);
  });

  test('a delivery of four minutes ago is good, and no body is too odd', async () => {
    const body = paid();
    expect(await send(body, stripeSignature(body, SECRET, at.clock.nowMs() - 4 * MINUTE_MS))).toBe(200);
    for (const odd of ['', 'null', '[]', '{', '"x"']) expect([200, 401]).toContain(await send(odd));
  });
});

test('404 where no payment service is declared; 413 for what is too large', async () => {
  const bare = Fastify();
  await bare.register(makePaymentsApi({ takeWebhook: null, log: at.log }));
  expect((await bare.inject({ method: 'POST', url: PATH, payload: {} })).statusCode).toBe(404);
  expect((await bare.inject({ method: 'POST', url: PATH, payload: 'x'.repeat(1024 * 1024 + 1) })).statusCode).toBe(413);
  await bare.close();
});
