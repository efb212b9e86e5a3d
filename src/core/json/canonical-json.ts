import { stringifyJson } from './int64.ts';

/**
 * A parsed JSON value as one text, whatever the order of its keys and the space between them: two values have the same text exactly when
 * they are equal. Integers keep every digit. Members that are undefined count as missing. Source: RFC 8785, but for integers, which it
 * would round to doubles.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return stringifyJson(value);
  const members = value as Readonly<Record<string, unknown>>;
  let text = '';
  // By UTF-16 code units, as the order of texts is where nothing else is said.
  for (const name of Object.keys(members).toSorted()) {
    const member = members[name];
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`;
  }
  return `{${text}}`;
}
