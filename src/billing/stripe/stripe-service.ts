import Stripe from 'stripe';
import { Fault } from '../../core/fault.ts';
import type { Transaction } from '../../ports/billing.ts';
import type { PaymentService, WebhookRead } from '../../ports/payment-service.ts';

/** How Stripe is reached. `meter` is the name of the events that usage is told by; `webhookSecret` null: no webhook is good. */
export interface StripeOptions {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly meter: string;
  readonly webhookSecret: string | null;
  /** How long one request may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** A delivery is good for so long after it was signed, in seconds. Source: Stripe, webhook signatures. */
const TOLERANCE_S = 300;

/** Invoices and charges that are listed at most, of each. */
const LISTED = 100;

const MICROCENTS_PER_CENT = 1_000_000n;

/** What says on a payment whose balance it is for. */
const TENANT_FIELD = 'castellan_tenant_id';

/** Currencies whose smallest unit is the whole one. Source: Stripe, zero-decimal currencies. */
const WITHOUT_CENTS: ReadonlySet<string> = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf'.split(' '));

const amountOf = (smallest: number, currency: string): number => (WITHOUT_CENTS.has(currency) ? smallest : smallest / 100);

/** Stripe behind the port, by its own library. */
export function makeStripeService(options: StripeOptions): PaymentService {
  const { meter, webhookSecret } = options;
  const { protocol, hostname, port } = new URL(options.baseUrl);
  const stripe = new Stripe(options.apiKey, {
    protocol: protocol === 'http:' ? 'http' : 'https',
    host: hostname,
    ...(port === '' ? {} : { port }),
    timeout: options.timeoutMs,
    // What is tried again is tried by the jobs, which know what may be. A closed connection the library tries once more by itself, under a
    // key of its own.
    maxNetworkRetries: 0,
    telemetry: false,
    appInfo: { name: 'castellan' },
  });

  return {
    findOrMakeCustomer: ({ id, name }) =>
      asking(async () => {
        const query = `metadata['${TENANT_FIELD}']:'${id.replaceAll(/['\\]/g, '')}'`;
        const [known] = (await stripe.customers.search({ query, limit: 1 })).data;
        if (known !== undefined) return known.id;
        // A search lags behind by up to a minute; until then the key finds what was made.
        const made = await stripe.customers.create(
          { name, metadata: { [TENANT_FIELD]: id } },
          { idempotencyKey: `castellan-customer-${id}` },
        );
        return made.id;
      }),
    transactions: (customerId) =>
      asking(async () => {
        try {
          const [invoices, charges] = await Promise.all([
            stripe.invoices.list({ customer: customerId, limit: LISTED, expand: ['data.payments'] }),
            stripe.charges.list({ customer: customerId, limit: LISTED }),
          ]);
          const ofInvoices = new Set(invoices.data.flatMap(paymentsOf));
          const standalone = charges.data.filter(
            ({ id, payment_intent: intent }) => !ofInvoices.has(id) && !(intent !== null && ofInvoices.has(idOf(intent))),
          );
          return [...invoices.data.filter(({ status }) => status !== 'draft').map(invoiceOf), ...standalone.map(chargeOf)].toSorted(
            (a, b) => b.atMs - a.atMs || (a.id < b.id ? 1 : -1),
          );
        } catch (error) {
          if (error instanceof Stripe.errors.StripeError && error.code === 'resource_missing') return [];
          throw error;
        }
      }),
    reportUsage: ({ customerId, identifier, microcents, atMs }) =>
      asking(async () => {
        try {
          await stripe.billing.meterEvents.create({
            event_name: meter,
            identifier,
            timestamp: Math.floor(atMs / 1000),
            payload: { stripe_customer_id: customerId, value: microcents.toString() },
          });
          return 'taken';
        } catch (error) {
          if (isDuplicate(error)) return 'taken';
          if (isRefused(error)) return 'refused';
          throw error;
        }
      }),
    readWebhook: ({ body, signature, nowMs }): WebhookRead => {
      if (webhookSecret === null) return { kind: 'forged' };
      try {
        return readEvent(stripe.webhooks.constructEvent(body, signature, webhookSecret, TOLERANCE_S, undefined, nowMs));
      } catch {
        return { kind: 'forged' };
      }
    },
  };
}

/** What an event that was signed well comes to. A signature vouches for who sent it, not for its form. */
function readEvent(event: unknown): WebhookRead {
  const { id: eventId, type, data } = fieldsOf(event);
  if (type !== 'payment_intent.succeeded' || typeof eventId !== 'string') return { kind: 'other' };
  const { id, metadata, currency, amount_received: received } = fieldsOf(fieldsOf(data)['object']);
  const tenantId = fieldsOf(metadata)[TENANT_FIELD];
  if (typeof tenantId !== 'string' || typeof id !== 'string' || typeof currency !== 'string') return { kind: 'other' };
  if (typeof received !== 'number' || !Number.isSafeInteger(received) || WITHOUT_CENTS.has(currency)) return { kind: 'other' };
  const microcents = BigInt(received) * MICROCENTS_PER_CENT;
  return { kind: 'paid', payment: { id, eventId, tenantId, currency: currency.toUpperCase(), microcents } };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const idOf = (of: string | { readonly id: string }): string => (typeof of === 'string' ? of : of.id);

/** The ids of what an invoice was paid with, so that the same money is not listed twice. */
const paymentsOf = ({ payments }: Stripe.Invoice): string[] =>
  (payments?.data ?? []).flatMap(({ payment }) =>
    [payment.payment_intent, payment.charge].flatMap((paid) => (paid === undefined || paid === null ? [] : [idOf(paid)])),
  );

const invoiceOf = (invoice: Stripe.Invoice): Transaction => ({
  id: invoice.id ?? '',
  atMs: invoice.created * 1000,
  type: 'Invoice',
  description: invoice.description ?? `Invoice ${invoice.number ?? ''}`.trim(),
  amount: amountOf(invoice.total, invoice.currency),
  currency: invoice.currency.toUpperCase(),
  status: invoice.status === 'paid' ? 'completed' : (invoice.status ?? 'open'),
  ...(typeof invoice.hosted_invoice_url === 'string' ? { invoiceUrl: invoice.hosted_invoice_url } : {}),
});

const chargeOf = (charge: Stripe.Charge): Transaction => ({
  id: charge.id,
  atMs: charge.created * 1000,
  type: 'Charge',
  description: charge.description ?? 'Payment',
  amount: amountOf(charge.amount, charge.currency),
  currency: charge.currency.toUpperCase(),
  status: charge.status === 'succeeded' ? 'completed' : charge.status,
  ...(charge.receipt_url === null ? {} : { invoiceUrl: charge.receipt_url }),
});

/** Stripe has an event of that identifier: it took it before. */
const isDuplicate = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeInvalidRequestError &&
  (error.code === 'duplicate_meter_event' || /already exists with identifier/.test(error.message));

/** What Stripe answers before it looks: the library may have sent it once before, over a connection that was cut. */
const NOT_LOOKED_AT: ReadonlySet<number> = new Set([408, 409, 429]);

/** Stripe has answered that it does not take it; of anything else nobody knows. */
const isRefused = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeError &&
  error.statusCode !== undefined &&
  error.statusCode >= 400 &&
  error.statusCode < 500 &&
  !NOT_LOOKED_AT.has(error.statusCode);

/** Puts what the library throws into a `Fault`. Its messages may hold a part of the key. */
async function asking<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    const { statusCode, code, requestId, type } = error;
    throw new Fault({
      code: type === 'StripeConnectionError' && /timed? ?out|aborted/i.test(error.message) ? 'upstream_timeout' : 'upstream_failed',
      message: `Stripe: ${type} ${statusCode ?? ''} ${code ?? ''} ${requestId ?? ''}`.trim(),
      publicMessage: 'The payment service does not answer as it should; try again soon.',
      retryAfterMs: 5000,
    });
  }
}
