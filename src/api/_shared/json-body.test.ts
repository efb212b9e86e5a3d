import { expect, test } from 'vitest';
import { parseJsonBody } from './json-body.ts';
import { problemOf, type Problem } from './problem.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function problemWith(body: Uint8Array): Problem {
  try {
    parseJsonBody(body);
  } catch (error) {
    return problemOf(error);
  }
  throw new Error('the body was taken');
}

test.each([
  ['nothing', '', undefined],
  ['an object', '{"a":1}', { a: 1 }],
  ['an integer past 2^53', '{"a":9007199254740993}', { a: 9_007_199_254_740_993n }],
  ['UTF-8', '{"a":"\xc3\xa9"}', { a: 'é' }],
])('reads %s', (_what, text, value) => {
  expect(parseJsonBody(bytes(text))).toEqual(value);
});

test.each([
  ['a byte that is no UTF-8, inside a string', '{"a":"\xff"}', 'the body is not valid JSON'],
  ['a character cut off', '{"a":"\xc3"}', 'the body is not valid JSON'],
  ['a character in more bytes than it needs', '{"a":"\xc0\xaf"}', 'the body is not valid JSON'],
  ['half a surrogate pair', '{"a":"\xed\xa0\x80"}', 'the body is not valid JSON'],
  ['a credential that breaks off', '{"key":"tk_canary', 'the body is not valid JSON'],
  ['a key of the prototype', '{"a":[{"__proto__":1}]}', 'the body must not hold the key __proto__'],
  ['the constructor', '{"constructor":1}', 'the body must not hold the key constructor'],
  ['257 levels', '['.repeat(257) + ']'.repeat(257), 'the body is nested too deeply'],
])('refuses %s and repeats nothing of it', (_what, text, message) => {
  expect(problemWith(bytes(text))).toEqual({ code: 'malformed_body', message });
});

test.each([
  ['1e400', '{"max_tokens":1e400}', 'max_tokens'],
  ['5,000 digits', `{"a":{"max_tokens":${'9'.repeat(5000)}}}`, 'max_tokens'],
])('names the field of a number out of range: %s', (_what, text, field) => {
  const message = `${field} must be within the range of numbers that can be kept`;
  expect(problemWith(bytes(text))).toEqual({ code: 'invalid_request', message, field });
});

test('says what is wrong with a number out of range in a list', () => {
  const message = 'a number in the body must be within the range of numbers that can be kept';
  expect(problemWith(bytes('[1,1e400]'))).toEqual({ code: 'invalid_request', message });
});
