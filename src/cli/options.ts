import { CommandError, EXIT } from './exit-codes.ts';

const wrong = (what: string): CommandError => new CommandError(what, EXIT.usage);

/** An amount of USD as it is written, or null for `none`. The server checks how exact it is. */
export function usdOption(text: string): string | null {
  if (text === 'none') return null;
  if (/^\d{1,12}(\.\d{1,20})?$/.test(text)) return text;
  throw wrong(`"${text}" is no amount: write USD such as 50 or 12.50, or none.`);
}

/** A count of tokens, or null for `none`. */
export function countOption(text: string): number | bigint | null {
  if (text === 'none') return null;
  if (!/^\d{1,19}$/.test(text)) throw wrong(`"${text}" is no count: write a whole number, or none.`);
  const count = BigInt(text);
  return count > BigInt(Number.MAX_SAFE_INTEGER) ? count : Number(count);
}

const LENGTHS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Makes the reader of a moment: RFC 3339, or a length from now such as `30d`; null for `never`. */
export const momentOption =
  (nowMs: () => number) =>
  (text: string): string | null => {
    if (text === 'never') return null;
    const [, count = '', unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
    const lengthMs = LENGTHS_MS[unit];
    if (lengthMs !== undefined) return new Date(nowMs() + Number(count) * lengthMs).toISOString();
    if (/^\d{4}-\d\d-\d\d[Tt]/.test(text)) return text;
    throw wrong(`"${text}" is no moment: write one such as 2027-12-31T23:59:59Z, a length from now such as 30d, 12h or 90m, or never.`);
  };

/** A whole number from 1 on. */
export function limitOption(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw wrong(`"${text}" is no number of rows: write a whole number from 1 on.`);
}
