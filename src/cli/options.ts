import { CommandError, EXIT } from './exit-codes.ts';

const wrong = (what: string): CommandError => new CommandError(what, EXIT.usage);

/** A limit as an option gave it; null takes the limit away. In an object, because commander takes a bare null for an option without a value. */
export interface Limit<T> {
  readonly value: T | null;
}

/** An amount of USD as it is written, or `none`. The server checks how exact it is. */
export function usdOption(text: string): Limit<string> {
  if (text === 'none') return { value: null };
  if (/^\d{1,12}(\.\d{1,20})?$/.test(text)) return { value: text };
  throw wrong(`"${text}" is no amount: write USD such as 50 or 12.50, or none.`);
}

/** A count of tokens, or `none`. */
export function countOption(text: string): Limit<number | bigint> {
  if (text === 'none') return { value: null };
  if (!/^\d{1,19}$/.test(text)) throw wrong(`"${text}" is no count: write a whole number, or none.`);
  const count = BigInt(text);
  return { value: count > BigInt(Number.MAX_SAFE_INTEGER) ? count : Number(count) };
}

const LENGTHS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Makes the reader of a moment: RFC 3339, a length from now such as `30d`, or `never`. */
export const momentOption =
  (nowMs: () => number) =>
  (text: string): Limit<string> => {
    if (text === 'never') return { value: null };
    const [, count = '', unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
    const lengthMs = LENGTHS_MS[unit];
    if (lengthMs !== undefined) return { value: new Date(nowMs() + Number(count) * lengthMs).toISOString() };
    if (/^\d{4}-\d\d-\d\d[Tt]/.test(text)) return { value: text };
    throw wrong(`"${text}" is no moment: write one such as 2027-12-31T23:59:59Z, a length from now such as 30d, 12h or 90m, or never.`);
  };

/** A whole number from 1 on. */
export function limitOption(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw wrong(`"${text}" is no number of rows: write a whole number from 1 on.`);
}
