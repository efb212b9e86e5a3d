import { stringifyJson } from './int64.ts';

/**
 * A parsed JSON value as one text, whatever the order of its keys and the space between them: two values have the same text exactly when
 * they are equal. Integers keep every digit. Members that are undefined count as missing. Source: RFC 8785, but for integers, which it
 * would round to doubles.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return stringifyJson(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  // By UTF-16 code units, as the comparison of texts is.
  const sorted = members.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}
