/**
 * JSON of our own APIs without losing a digit: USD amounts (fields whose names end in `_usd`) are decimal texts in the program and numbers on
 * the wire, and an integer beyond 2^53 is a `bigint`.
 */

/** What `JSON.parse` hands to its reviver for a primitive; the TypeScript library does not declare it yet. */
interface ReviverContext {
  readonly source?: string;
}

/** The parts of the standard `JSON` object that the TypeScript library lacks. */
interface JsonWithSourceText {
  parse(text: string, reviver: (key: string, value: unknown, context: ReviverContext) => unknown): unknown;
  stringify(value: unknown, replacer: (key: string, value: unknown) => unknown, indent: number): string;
  rawJSON(text: string): object;
}

const json = JSON as unknown as JsonWithSourceText;

const DECIMAL = /^-?\d+(\.\d+)?$/;
const INTEGER = /^-?\d+$/;

/** Reads an answer. Throws `SyntaxError` where it is no JSON. */
export const parseAmounts = (text: string): unknown =>
  json.parse(text, (key, value, { source = '' }) => {
    if (typeof value !== 'number') return value;
    if (key.endsWith('_usd')) return source;
    return INTEGER.test(source) && !Number.isSafeInteger(value) ? BigInt(source) : value;
  });

/** Writes the body of a request: amounts go as texts, which the server takes with all their digits, a `bigint` as a number. */
export const requestBody = (value: object): string =>
  json.stringify(value, (_key, each) => (typeof each === 'bigint' ? json.rawJSON(each.toString()) : each), 0);

/** Writes what {@link parseAmounts} read, with every number as it came, indented by two. */
export const stringifyAmounts = (value: unknown): string =>
  json.stringify(
    value,
    (key, each) => {
      if (typeof each === 'bigint') return json.rawJSON(each.toString());
      return key.endsWith('_usd') && typeof each === 'string' && DECIMAL.test(each) ? json.rawJSON(each) : each;
    },
    2,
  );
