import type { Issuer } from '../../api/bills/page.ts';
import type { Field } from './field.ts';

/** How bills are issued and found. */
export interface BillingConfig {
  /** The origin under which others reach the control plane, for links that leave it; null: the one under which it is asked. */
  readonly publicUrl: string | null;
  readonly issuer: Issuer | null;
  readonly stripe: StripeConfig | null;
}

/** How Stripe is reached. `webhookSecret` null: it tells us nothing. */
export interface StripeConfig {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly meter: string;
  readonly webhookSecret: string | null;
}

/** What holds where the file says nothing. */
export const DEFAULT_BILLING: BillingConfig = { publicUrl: null, issuer: null, stripe: null };

const ORIGIN = { pattern: /^https?:\/\/[^\s/?#@]+$/, rule: 'an origin such as https://bills.example.com, without a path' };
const MAX_LINES = 8;

/** Reads and checks the section `billing`. */
export function parseBilling(field: Field): BillingConfig {
  const given = field.fields(['public_url', 'issuer', 'stripe']);
  return {
    publicUrl: given.public_url.or(null, readOrigin),
    issuer: given.issuer.or(null, readIssuer),
    stripe: given.stripe.or(null, readStripe),
  };
}

function readOrigin(field: Field): string {
  const text = field.text(ORIGIN);
  return URL.canParse(text) ? new URL(text).origin : field.fail(`must be ${ORIGIN.rule}`);
}

const VISIBLE = { pattern: /^[\x21-\x7e]{8,512}$/, rule: 'of 8 to 512 visible ASCII characters', secret: true };

function readStripe(field: Field): StripeConfig {
  const given = field.fields(['api_key', 'webhook_secret', 'base_url', 'meter']);
  return {
    apiKey: given.api_key.text(VISIBLE),
    webhookSecret: given.webhook_secret.or(null, (f) => f.text(VISIBLE)),
    baseUrl: given.base_url.or('https://api.stripe.com', readOrigin),
    meter: given.meter.or('castellan_usage', (f) => f.text({ pattern: /^[A-Za-z0-9_.-]{1,100}$/, rule: 'the name of a meter’s events' })),
  };
}

function readIssuer(field: Field): Issuer {
  const given = field.fields(['name', 'lines']);
  const lines = given.lines.items();
  if (lines.length > MAX_LINES) given.lines.fail(`must have at most ${MAX_LINES} lines`);
  return { name: given.name.text({ maxLength: 200 }), lines: lines.map((line) => line.text({ maxLength: 200 })) };
}
