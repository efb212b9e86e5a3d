import type { Issuer } from '../../api/bills/page.ts';
import type { Field } from './field.ts';

/** How bills are issued and found. */
export interface BillingConfig {
  /** The origin under which others reach the control plane, for links that leave it; null: the one under which it is asked. */
  readonly publicUrl: string | null;
  readonly issuer: Issuer | null;
}

/** What holds where the file says nothing. */
export const DEFAULT_BILLING: BillingConfig = { publicUrl: null, issuer: null };

const ORIGIN = { pattern: /^https?:\/\/[^\s/?#@]+$/, rule: 'an origin such as https://bills.example.com, without a path' };
const MAX_LINES = 8;

/** Reads and checks the section `billing`. */
export function parseBilling(field: Field): BillingConfig {
  const given = field.fields(['public_url', 'issuer']);
  return { publicUrl: given.public_url.or(null, readOrigin), issuer: given.issuer.or(null, readIssuer) };
}

function readOrigin(field: Field): string {
  const text = field.text(ORIGIN);
  return URL.canParse(text) ? new URL(text).origin : field.fail(`must be ${ORIGIN.rule}`);
}

function readIssuer(field: Field): Issuer {
  const given = field.fields(['name', 'lines']);
  const lines = given.lines.items();
  if (lines.length > MAX_LINES) given.lines.fail(`must have at most ${MAX_LINES} lines`);
  return { name: given.name.text({ maxLength: 200 }), lines: lines.map((line) => line.text({ maxLength: 200 })) };
}
