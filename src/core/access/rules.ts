import { INT64_MAX } from '../int64.ts';
import { stringifyJson } from '../json/int64.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { rejected } from '../rejection.ts';

/** What a refused command comes to; the half of `Outcome` that is no value. */
export type Refusal = ReturnType<typeof rejected>;

/** Refuses a value that breaks a rule: `invalid_request`. `field` is its name on the wire, `rule` completes "<field> must ...". */
export const invalid = (field: string, rule: string): Refusal =>
  rejected({ code: 'invalid_request', message: `${field} must ${rule}`, field });

/** Refuses what does not exist, or is not to be seen: `not_found`. */
export const notFound = (what: string): Refusal => rejected({ code: 'not_found', message: `${what} not found` });

/** Metadata of a key is at most this large as compact JSON in UTF-8. Source: Tinfoil Admin API, "Maximum size: 5KB". */
const MAX_METADATA_BYTES = 5120;

/** Longest name of a tenant or key. */
const MAX_NAME_LENGTH = 256;

/** Largest token count or limit that a model may declare. */
export const MAX_DECLARED_TOKENS = 100_000_000;

const KEY_NAME = /^[A-Za-z0-9._ -]+$/;
const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const MEMBER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MODEL_ID = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$/;
const EMAIL = /^[^\s@]{1,64}@[^\s@]{1,190}$/;
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Checks the name of a key. Source: Tinfoil Admin API, create key. */
export function checkKeyName(name: string): Refusal | null {
  if (name.length === 0 || name.length > MAX_NAME_LENGTH) return invalid('name', `have 1 to ${MAX_NAME_LENGTH} characters`);
  if (!KEY_NAME.test(name)) return invalid('name', 'contain only letters, digits, hyphens, underscores, spaces and periods');
  return null;
}

/** Checks text for people, such as a tenant's name: not empty, not too long, no control characters. */
export function checkText(field: string, text: string, maxLength = MAX_NAME_LENGTH): Refusal | null {
  const isGood = text.trim().length > 0 && text.length <= maxLength && !CONTROL.test(text);
  return isGood ? null : invalid(field, `have 1 to ${maxLength} characters, and no control characters`);
}

/** Checks the id of a tenant, which becomes part of scopes such as `tenant:acme`. */
export const checkTenantId = (id: string): Refusal | null =>
  TENANT_ID.test(id)
    ? null
    : invalid('id', 'have 1 to 64 lower-case letters, digits and hyphens, and start and end with a letter or digit');

/** Checks the id of a member. */
export const checkMemberId = (id: string): Refusal | null =>
  MEMBER_ID.test(id) ? null : invalid('id', 'have 1 to 64 letters, digits, ".", "_" and "-", and start with a letter or digit');

/** Checks the id of an upstream. */
export const checkUpstreamId = (id: string): Refusal | null => checkMemberId(id);

/** Checks the id of a model, the name that callers use. */
export const checkModelId = (id: string): Refusal | null =>
  MODEL_ID.test(id) ? null : invalid('id', 'have 1 to 200 letters, digits and any of . _ : / @ + -, and start with a letter or digit');

/** Checks an e-mail address as far as one can without sending to it. */
export const checkEmail = (email: string): Refusal | null => (EMAIL.test(email) ? null : invalid('email', 'be an e-mail address'));

/** Checks an amount: int64 and not negative. Null passes: it stands for no limit. */
export function checkAmount(field: string, amount: bigint | null): Refusal | null {
  const isGood = amount === null || (amount >= 0n && amount <= INT64_MAX);
  return isGood ? null : invalid(field, 'lie between 0 and 2^63 - 1');
}

/** Checks an expiry: later than now. Null passes: it stands for never. */
export const checkExpiry = (expiresAtMs: number | null, nowMs: number): Refusal | null =>
  expiresAtMs === null || expiresAtMs > nowMs ? null : invalid('expires_at', 'lie in the future');

/** Checks a whole number against inclusive bounds. */
export function checkWhole(field: string, value: number, bounds: { readonly min: number; readonly max: number }): Refusal | null {
  const isGood = Number.isSafeInteger(value) && value >= bounds.min && value <= bounds.max;
  return isGood ? null : invalid(field, `be a whole number from ${bounds.min} to ${bounds.max}`);
}

/** Checks the size of packed metadata: see {@link packMetadata}. */
export function checkMetadata(metadata: PlainJson): Refusal | null {
  const bytes = new TextEncoder().encode(metadataText(metadata)).length;
  return bytes <= MAX_METADATA_BYTES ? null : invalid('metadata', `be at most ${MAX_METADATA_BYTES} bytes of compact JSON, not ${bytes}`);
}

/**
 * Metadata as a record keeps it: the object itself or, where it holds integers that a double cannot, its compact JSON text. Records
 * hold no bigint, and what a caller wrote comes back digit for digit.
 */
export function packMetadata(metadata: object): PlainJson {
  const text = stringifyJson(metadata);
  const plain = JSON.stringify(metadata, (_name, value: unknown) => (typeof value === 'bigint' ? null : value));
  return text === plain ? (metadata as PlainJson) : text;
}

/** The compact JSON text of packed metadata, for an answer. */
export const metadataText = (metadata: PlainJson): string => (typeof metadata === 'string' ? metadata : stringifyJson(metadata));

/** The first refusal of a list of checks, in order; null where all pass. */
export const firstOf = (...checks: (Refusal | null)[]): Refusal | null => checks.find((check) => check !== null) ?? null;
