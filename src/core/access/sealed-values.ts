import { sealIdentity, type RecordKind, type RecordTypes } from '../records.ts';

/** A sealed text in a record: where it stands, and the identity that it was sealed for. */
export interface SealedValue {
  readonly path: readonly string[];
  readonly sealed: string;
  readonly identity: string;
}

/** A field that holds a sealed text. `suffix` is what its identity has beyond that of its record. */
interface SealedField {
  readonly path: readonly string[];
  readonly suffix: string;
}

/**
 * Every field of a record that holds a sealed text, or nothing. A new one belongs in here (the compiler asks for each kind): else
 * a change of the master key finds it by the name of the old key that is left in it, and does not end.
 */
const SEALED_FIELDS: Readonly<Record<RecordKind, readonly SealedField[]>> = {
  key: [{ path: ['sealed'], suffix: '' }],
  upstream: [
    { path: ['apiKeySealed'], suffix: '' },
    { path: ['headersSealed'], suffix: ':headers' },
  ],
  'usage-reporter': [
    { path: ['secretSealed'], suffix: '' },
    { path: ['previous', 'secretSealed'], suffix: '' },
  ],
  setting: [{ path: ['value', 'sealed'], suffix: '' }],
  tenant: [],
  member: [],
  model: [],
  price: [],
  'exchange-rate': [],
  credit: [],
  policy: [],
  'policy-name': [],
  'key-name': [],
  statement: [],
  'statement-lines': [],
  'bill-correction': [],
  'bill-state': [],
  'bill-link': [],
  'billing-customer': [],
  'usage-meter': [],
  payment: [],
  container: [],
  'container-meter': [],
  'container-roster': [],
  lease: [],
  'tenant-key': [{ path: ['keySealed'], suffix: '' }],
  // Sealed by the tenant's key, which stays the same under a new master key.
  secret: [],
  'registry-credential': [],
  'ssh-key': [],
  domain: [],
  'domain-claim': [],
  webhook: [
    { path: ['secretSealed'], suffix: '' },
    { path: ['headersSealed'], suffix: ':headers' },
  ],
};

/** Every kind of record: a change of the master key looks at all of them. */
export const RECORD_KINDS = Object.keys(SEALED_FIELDS) as readonly RecordKind[];

/** The kinds of record that may hold something sealed. */
export const SEALED_KINDS: readonly RecordKind[] = RECORD_KINDS.filter((kind) => SEALED_FIELDS[kind].length > 0);

/** What stands at `path` of a plain value; undefined where the path leads nowhere. */
function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

/** A copy of a plain value with `text` at `path`, which must lead somewhere. */
function withTextAt(root: unknown, path: readonly string[], text: string): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return text;
  const copy = (Array.isArray(root) ? [...(root as unknown[])] : { ...(root as object) }) as Record<string, unknown>;
  copy[step] = withTextAt(copy[step], rest, text);
  return copy;
}

/** The sealed texts of a record. */
export function sealedValuesOf<K extends RecordKind>(kind: K, id: string, record: RecordTypes[K]): SealedValue[] {
  return SEALED_FIELDS[kind].flatMap(({ path, suffix }) => {
    const sealed = valueAt(record, path);
    return typeof sealed === 'string' ? [{ path, sealed, identity: sealIdentity(kind, id) + suffix }] : [];
  });
}

/** One sealed text that takes the place of another. */
export interface SealedReplacement {
  readonly path: readonly string[];
  readonly from: string;
  readonly to: string;
}

/** The record with those of `replacements` made whose `from` still stands there, and how many these are. */
export function replaceSealed<R>(record: R, replacements: readonly SealedReplacement[]): { readonly record: R; readonly replaced: number } {
  const due = replacements.filter(({ path, from }) => valueAt(record, path) === from);
  const next = due.reduce<unknown>((value, { path, to }) => withTextAt(value, path, to), record);
  return { record: next as R, replaced: due.length };
}
