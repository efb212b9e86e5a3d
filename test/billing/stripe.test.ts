import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTellUsage } from '../../src/app/payments/tell-usage.ts';
import { makeStripeBilling } from '../../src/billing/stripe/stripe-billing.ts';
import { makeStripeService } from '../../src/billing/stripe/stripe-service.ts';
import type { Failpoint } from '../../src/ports/failpoints.ts';
import type { PaymentService } from '../../src/ports/payment-service.ts';
import { startStripeServer, type StripeServer } from '../support/stripe-server.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../support/test-app.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const METERS = '/v1/billing/meter_events';
const CUSTOMER = '/v1/x-castellan/tenants/acme/billing-customer';

let stripe: StripeServer;
let service: PaymentService;
let at: TestApp;
let used = 0;

beforeEach(async () => {
  stripe = await startStripeServer();
  service = makeStripeService({
    apiKey: stripe.apiKey,
    baseUrl: stripe.url,
    meter: 'castellan_usage',
    webhookSecret: null,
    timeoutMs: 250,
  });
  at = await makeTestApp();
});
afterEach(async () => {
  await at.close();
  await stripe.close();
});

/** A job of its own, such as that of a process that starts now; it dies at the named point. */
function tellUsage(diesAt: Failpoint | null = null): Promise<void> {
  const hit = (point: Failpoint): void => {
    if (point === diesAt) throw new Error('the process is gone');
  };
  const { store: records, writer, ids, clock, log } = at;
  return makeTellUsage({ writer, records, service, ids, clock, failpoints: { hit }, log })();
}

const use = (tenantId: string, chargeMicrocents: bigint): void =>
  at.store.addUsage(usageEvent({ id: `used_${++used}`, tenantId, keyId: 'key', atMs: at.clock.nowMs(), chargeMicrocents }));

const told = (): bigint => stripe.meterEvents.reduce((sum, { value }) => sum + value, 0n);
const state = async () =>
  (await at.operator('GET', CUSTOMER)).json as { customer_id: string; usage_told_usd: number; pending: { no: number } | null };

describe('usage as meter events', () => {
  beforeEach(async () => {
    // The first run remembers since when usage is told.
    await tellUsage();
    await at.addTenant('acme');
  });

  test('what was charged is told once, to a customer that is made with the first of it', async () => {
    use('acme', 1_000_000_001n);
    await tellUsage();
    await tellUsage();
    expect(stripe.customers).toEqual([{ id: 'cus_1', name: 'acme', metadata: { castellan_tenant_id: 'acme' } }]);
    use('acme', 5n);
    use('acme', 6n);
    at.clock.advance(MINUTE_MS);
    await tellUsage();
    await tellUsage();
    expect(stripe.meterEvents).toMatchObject([
      { event_name: 'castellan_usage', customer: 'cus_1', value: 1_000_000_001n, timestamp: TEST_START_MS / 1000 },
      { customer: 'cus_1', value: 11n, timestamp: TEST_START_MS / 1000 + 60 },
    ]);
    expect(await state()).toMatchObject({ customer_id: 'cus_1', usage_told_usd: 10.00000012, pending: null });
  });

  test.each<[string, Parameters<StripeServer['fail']>[1][]]>([
    ['an error before it was taken', [{ status: 500 }]],
    ['an error after it was taken', [{ status: 500, lost: true }]],
    ['no answer in time', ['hang']],
    ['a connection that is cut', ['cut']],
    ['too many requests', [{ status: 429 }]],
    ['too many requests, after one whose answer was lost', [{ status: 500, lost: true }, { status: 429 }]],
    ['a key that is taken back, after a request whose answer was lost', [{ status: 500, lost: true }, { status: 401 }]],
    ['all of them in a row', [{ status: 429 }, 'hang', { status: 503 }, 'cut', { status: 500, lost: true }]],
  ])('%s: it counts once', async (_name, faults) => {
    use('acme', 700n);
    stripe.fail(METERS, ...faults);
    for (let attempt = 0; attempt <= faults.length; attempt++) {
      await tellUsage();
      at.clock.advance(2 * MINUTE_MS);
    }
    expect(told()).toBe(700n);
    expect(await state()).toMatchObject({ usage_told_usd: 0.000007, pending: null });
    use('acme', 1n);
    await tellUsage();
    expect(told()).toBe(701n);
  });

  test.each<Failpoint>(['usage.claimed', 'usage.sent', 'usage.told'])('a process that ends at %s: it counts once', async (point) => {
    use('acme', 800n);
    await tellUsage(point);
    use('acme', 9n);
    // Nobody else may take what one is at.
    await tellUsage();
    at.clock.advance(2 * MINUTE_MS);
    await tellUsage();
    await tellUsage();
    expect(told()).toBe(809n);
    expect(new Set(stripe.meterEvents.map(({ identifier }) => identifier)).size).toBe(stripe.meterEvents.length);
  });

  test('several who tell at once: it counts once', async () => {
    use('acme', 900n);
    await Promise.all([tellUsage(), tellUsage(), tellUsage()]);
    at.clock.advance(2 * MINUTE_MS);
    await tellUsage();
    expect([told(), stripe.customers.length]).toEqual([900n, 1]);
  });

  test('a portion of which nobody can know for 23 hours is not sent again until the operator tells what became of it', async () => {
    use('acme', 40n);
    stripe.fail(METERS, 'hang');
    await tellUsage();
    at.clock.advance(23 * HOUR_MS + 1);
    use('acme', 2n);
    await tellUsage();
    expect(stripe.asked.filter((line) => line.endsWith(METERS))).toHaveLength(1);
    expect(at.log.lines.filter(({ message }) => message.includes('nobody can know'))).toHaveLength(1);
    const { pending } = await state();
    const path = `/v1/x-castellan/tenants/acme/usage-portions/${pending?.no}`;
    expect((await at.operator('POST', path, { taken: true })).status).toBe(200);
    expect((await at.operator('POST', path, { taken: true })).status).toBe(409);
    await tellUsage();
    expect(stripe.meterEvents.map(({ value }) => value)).toEqual([40n, 2n]);
  });

  test('what Stripe refuses is due again, under another identifier, and holds up no other tenant', async () => {
    await at.addTenant('beta');
    await at.operator('PUT', CUSTOMER, { customer_id: 'cus_gone' });
    use('acme', 3n);
    use('beta', 4n);
    await tellUsage();
    expect(told()).toBe(4n);
    await at.operator('PUT', CUSTOMER, { customer_id: 'cus_1' });
    await tellUsage();
    expect(stripe.meterEvents.map(({ value }) => value)).toEqual([4n, 3n]);
  });

  test('a customer is made once, though its maker ends before it is known, and Stripe’s search lags', async () => {
    use('acme', 3n);
    stripe.fail('/v1/customers', 'cut');
    await tellUsage();
    stripe.customers.push(...stripe.customers.splice(0));
    await tellUsage();
    expect(stripe.customers).toHaveLength(1);
    expect(told()).toBe(3n);
  });

  test('a wrong key is told to nobody, and no key is in the log', async () => {
    service = makeStripeService({ apiKey: 'sk_live_wrong_0123', baseUrl: stripe.url, meter: 'm', webhookSecret: null, timeoutMs: 250 });
    use('acme', 3n);
    await tellUsage();
    expect(told()).toBe(0n);
    const text = at.log.lines.map(({ fields, message }) => `${message} ${String(fields['err'])} ${JSON.stringify(fields)}`).join('\n');
    expect(text).toContain('could not be told');
    expect(text).not.toContain('sk_live');
  });
});

test('what a tenant used before Stripe was declared is not told', async () => {
  await at.addTenant('acme');
  use('acme', 1_000n);
  at.clock.advance(1);
  await tellUsage();
  use('acme', 7n);
  await tellUsage();
  expect(told()).toBe(7n);
});

describe('transactions', () => {
  const invoice = (id: string, created: number, fields: object = {}): object => ({
    id,
    object: 'invoice',
    created,
    currency: 'eur',
    total: 9900,
    status: 'paid',
    number: 'A-1',
    description: null,
    hosted_invoice_url: `https://invoice.stripe.com/i/${id}`,
    payments: list([]),
    ...fields,
  });
  const charge = (id: string, created: number, fields: object = {}): object => ({
    id,
    object: 'charge',
    created,
    currency: 'usd',
    amount: 2550,
    status: 'succeeded',
    description: 'Top-up',
    payment_intent: `pi_${id}`,
    receipt_url: null,
    ...fields,
  });
  const list = (data: readonly object[]): object => ({ object: 'list', has_more: false, url: '/', data });

  const transactions = () => makeStripeBilling({ records: at.store, service }).transactions('acme');

  test('invoices and standalone charges, newest first; what paid an invoice is not listed again', async () => {
    await at.addTenant('acme');
    expect(await transactions()).toEqual([]);
    await at.operator('PUT', CUSTOMER, { customer_id: 'cus_9' });
    const paidBy = list([{ payment: { type: 'payment_intent', payment_intent: 'pi_ch_1' } }]);
    stripe.invoices = {
      cus_9: [
        invoice('in_2', 300, { payments: paidBy }),
        invoice('in_1', 100, { status: 'open', description: 'March' }),
        invoice('in_0', 50, { status: 'draft' }),
      ],
    };
    stripe.charges = { cus_9: [charge('ch_2', 200, { currency: 'jpy' }), charge('ch_1', 299)] };
    const shown = { type: 'Invoice', amount: 99, currency: 'EUR' };
    expect(await transactions()).toEqual([
      {
        id: 'in_2',
        atMs: 300_000,
        ...shown,
        description: 'Invoice A-1',
        status: 'completed',
        invoiceUrl: 'https://invoice.stripe.com/i/in_2',
      },
      { id: 'ch_2', atMs: 200_000, type: 'Charge', amount: 2550, currency: 'JPY', description: 'Top-up', status: 'completed' },
      { id: 'in_1', atMs: 100_000, ...shown, description: 'March', status: 'open', invoiceUrl: 'https://invoice.stripe.com/i/in_1' },
    ]);
  });

  test('a customer that Stripe does not have has none; a fault of Stripe is a fault, with a public text', async () => {
    await at.addTenant('acme');
    await at.operator('PUT', CUSTOMER, { customer_id: 'cus_9' });
    expect(await transactions()).toEqual([]);
    stripe.fail('/v1/invoices', { status: 500 });
    await expect(transactions()).rejects.toMatchObject({
      code: 'upstream_failed',
      publicMessage: expect.stringContaining('payment service') as string,
    });
    stripe.fail('/v1/invoices', 'hang');
    stripe.invoices = { cus_9: [] };
    stripe.charges = { cus_9: [] };
    await expect(transactions()).rejects.toMatchObject({ code: 'upstream_timeout' });
  });

  test.each([{ customer_id: 'acme' }, { customer_id: '' }, {}, { customer_id: 5 }])('400: no customer %j', async (body) => {
    await at.addTenant('acme');
    expect((await at.operator('PUT', CUSTOMER, body)).status).toBe(400);
    expect((await at.operator('PUT', CUSTOMER.replace('acme', 'nobody'), { customer_id: 'cus_1' })).status).toBe(404);
    expect((await at.operator('GET', CUSTOMER.replace('acme', 'nobody'))).status).toBe(404);
  });
});
