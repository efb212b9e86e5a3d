import { expect, test } from 'vitest';
import { parseAmounts, stringifyAmounts } from './exact-json.ts';

test('every digit of an amount and of a large count goes through as it came', () => {
  const text = '{"spent_usd":92233720368.54775807,"limit_usd":null,"max_tokens":9223372036854775807,"requests":3,"name_usd":"a"}';
  const read = parseAmounts(text);
  expect(read).toEqual({
    spent_usd: '92233720368.54775807',
    limit_usd: null,
    max_tokens: 9223372036854775807n,
    requests: 3,
    name_usd: 'a',
  });
  expect(stringifyAmounts(read).replace(/\s/g, '')).toBe(text);
});
