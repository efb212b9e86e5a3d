/**
 * JSON in and out without losing a digit of an integer, and without a number that JSON cannot say.
 *
 * `JSON.parse` turns integers past 2^53 into doubles, and `1e400` into Infinity, which `JSON.stringify` writes as `null`. Bodies that we
 * read and send on (and ledger amounts) must keep both meanings, so such literals become `bigint`, or are refused.
 */

/** What `JSON.parse` hands to its reviver for a primitive; the TypeScript library does not declare it yet. */
interface ReviverContext {
  readonly source?: string;
}

/** The two parts of the standard `JSON` object that the TypeScript library lacks. */
interface JsonWithSourceText {
  parse(text: string, reviver: (this: unknown, key: string, value: unknown, context: ReviverContext) => unknown): unknown;
  rawJSON(text: string): object;
}

const json = JSON as unknown as JsonWithSourceText;

/** Integer literals longer than this are refused: nothing means them, and converting them costs more than linear time. */
const MAX_INTEGER_DIGITS = 1000;

/** Nesting beyond this is refused by `inspectJson`: recursive code after it (JSON.stringify first of all) must not run out of stack. */
export const MAX_JSON_DEPTH = 256;

// A plain parse is exact for numbers of up to fifteen digits without an exponent; the reviver costs six times as much.
const NEEDS_SOURCE_TEXT = /\d[\d.]{15}|\d[eE][+-]?\d/;
const INTEGER_LITERAL = /^-?\d+$/;
const NUMBER_LITERAL = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** From here on doubles have no fractions. */
const FIRST_WITHOUT_FRACTIONS = 2 ** 52;

/** A number that nothing here can keep. `key` is the name of the field that holds it, or its place in a list. */
export class JsonNumberError extends SyntaxError {
  override readonly name = 'JsonNumberError';
  readonly key: string;

  constructor(key: string) {
    super('JSON holds a number out of range');
    this.key = key;
  }
}

/**
 * Parses JSON text. An integer that a double cannot hold becomes a `bigint`, and a number is a whole one only where the text says so:
 * `4.99999999999999999999` and `1e-400` become the fractions next to 5 and 0. Everything else is as `JSON.parse` gives it.
 *
 * Throws `SyntaxError` where `JSON.parse` does, and for nesting that exhausts the stack; `JsonNumberError` for a number beyond the range of
 * doubles (`1e400`), for an integer literal of more than 1000 digits, and for a fraction beyond 2^52 that would read as a whole number.
 * The message may quote the text: never show it to a caller as it is.
 */
export function parseJson(text: string): unknown {
  try {
    if (!NEEDS_SOURCE_TEXT.test(text)) return JSON.parse(text);
    return json.parse(text, reviveExactNumber);
  } catch (error) {
    if (error instanceof RangeError) throw new SyntaxError('JSON is nested too deeply');
    throw error;
  }
}

function reviveExactNumber(this: unknown, key: string, value: unknown, context: ReviverContext): unknown {
  if (typeof value !== 'number') return value;
  const { source = '' } = context;
  if (INTEGER_LITERAL.test(source)) {
    if (Number.isSafeInteger(value)) return value;
    if (source.length > MAX_INTEGER_DIGITS) throw new JsonNumberError(key);
    return BigInt(source);
  }
  if (!Number.isFinite(value)) throw new JsonNumberError(key);
  if (!Number.isSafeInteger(value)) return value;
  const isLarger = exceedsAsFraction(source, value);
  if (isLarger === null) return value;
  if (Math.abs(value) >= FIRST_WITHOUT_FRACTIONS) throw new JsonNumberError(key);
  return neighbour(value, { isLarger, isNegative: source.startsWith('-') });
}

/**
 * Whether a literal that reads as the whole number `rounded` stands for a fraction that is larger, signs aside (true), or smaller (false);
 * null where it is that number exactly. Linear, and of no regular expression that goes back: the literal may be as long as a body.
 */
function exceedsAsFraction(source: string, rounded: number): boolean | null {
  const [, whole = '', fraction = '', exponent = '0'] = NUMBER_LITERAL.exec(source) ?? [];
  const digits = whole + fraction;
  let first = 0;
  while (digits[first] === '0') first++;
  if (first === digits.length) return null;
  let last = digits.length;
  while (digits[last - 1] === '0') last--;
  const pointAt = whole.length + Number(exponent);
  if (last <= pointAt) return null;
  // It is no more than 2^53, so the digits before its point are few.
  const truncated = pointAt <= first ? 0 : Number(digits.slice(first, pointAt));
  return truncated >= Math.abs(rounded);
}

/** The double next to a whole number below 2^52: a fraction. */
function neighbour(whole: number, to: { readonly isLarger: boolean; readonly isNegative: boolean }): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, Math.abs(whole));
  bits.setBigUint64(0, bits.getBigUint64(0) + (to.isLarger ? 1n : -1n));
  const next = bits.getFloat64(0);
  return to.isNegative ? -next : next;
}

/**
 * Writes JSON; a `bigint` becomes an integer literal with all its digits.
 *
 * Otherwise as `JSON.stringify` without indentation. `undefined` at the top is not JSON and throws `TypeError`; so do cycles.
 */
export function stringifyJson(value: unknown): string {
  const text = writeJson(value);
  if (text === undefined) throw new TypeError('the value has no JSON form');
  return text;
}

/**
 * A number that `stringifyJson` writes with exactly these digits, such as `0.00000001`. `literal` must be a JSON number; anything else
 * throws `SyntaxError`.
 */
export const exactNumber = (literal: string): object => json.rawJSON(literal);

function replaceBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? json.rawJSON(value.toString()) : value;
}

/** A replacer function makes JSON.stringify several times slower, so it is used only where there is a bigint, which throws. */
function writeJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, replaceBigint);
  }
}

/** What `inspectJson` found wrong with a parsed value. */
export type JsonDefect = { readonly kind: 'forbidden_key'; readonly key: string } | { readonly kind: 'too_deep' };

/**
 * Looks through a parsed JSON value for what no surface accepts: the keys `__proto__` and `constructor` at any depth, and nesting beyond
 * `MAX_JSON_DEPTH`. Returns the first defect met, or null. Walks without recursion, so that any input is safe.
 */
export function inspectJson(root: unknown): JsonDefect | null {
  if (typeof root !== 'object' || root === null) return null;
  let level: object[] = [root];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_JSON_DEPTH) return { kind: 'too_deep' };
    const next: object[] = [];
    for (const value of level) {
      if (Array.isArray(value)) {
        for (const child of value as unknown[]) if (typeof child === 'object' && child !== null) next.push(child);
        continue;
      }
      for (const key of Object.keys(value)) {
        if (key === '__proto__' || key === 'constructor') return { kind: 'forbidden_key', key };
        const child = (value as Record<string, unknown>)[key];
        if (typeof child === 'object' && child !== null) next.push(child);
      }
    }
    level = next;
  }
  return null;
}
