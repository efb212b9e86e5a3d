import fc from 'fast-check';
import cl100k from 'gpt-tokenizer/encoding/cl100k_base';
import o200k from 'gpt-tokenizer/encoding/o200k_base';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Tokenizer } from '../../ports/tokenizer.ts';
import { makeTokenizers } from './tokenizers.ts';

const tokenizers = makeTokenizers();
const peers = { o200k_base: o200k, cl100k_base: cl100k };
const asText = { disallowedSpecial: new Set<string>() };

async function load(name: string): Promise<Tokenizer> {
  const tokenizer = await tokenizers.load(name);
  if (tokenizer === null) throw new Error(`${name} is missing`);
  return tokenizer;
}

describe('the set', () => {
  test('loads by name, once, and tells what is loaded', async () => {
    const own = makeTokenizers();
    expect(own.names).toStrictEqual(['o200k_base', 'cl100k_base']);
    expect(own.loaded('o200k_base')).toBeNull();
    const [first, second] = await Promise.all([own.load('o200k_base'), own.load('o200k_base')]);
    expect(first).toBe(second);
    expect(own.loaded('o200k_base')).toBe(first);
    expect(own.loaded('cl100k_base')).toBeNull();
  });

  test('knows no other name', async () => {
    expect(await tokenizers.load('p50k_base')).toBeNull();
    expect(await tokenizers.load('constructor')).toBeNull();
  });
});

describe.each(['o200k_base', 'cl100k_base'] as const)('%s', (name) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await load(name);
  });

  test.each([
    '',
    'hello world',
    "it's I'LL we've",
    'Grüße aus München, 東京から、привет мир, สวัสดี',
    '😀👩‍👩‍👧‍👦🇩🇪 ok',
    'function f(a) {\n\treturn a ?? [1, 2, 3];\n}\r\n\r\n',
    '{"type":"object","properties":{"city":{"type":"string"}}}',
    '   leading and trailing   \n\n\n',
    '1234567890 3.14159 0x7f',
    '<|endoftext|> is text here',
    '\ud800 a lone surrogate',
  ])('counts %j as the library does', (text) => {
    expect(tokenizer.count(text)).toBe(peers[name].countTokens(text, asText));
  });

  test('counts any short text as the library does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(tokenizer.count(text)).toBe(peers[name].countTokens(text, asText));
      }),
    );
  });

  test.each([
    ['one letter', 'a'.repeat(65_536)],
    ['spaces', ' '.repeat(65_536)],
    ['emoji', '😀🎉'.repeat(16_000)],
    ['words of no language', Array.from({ length: 8_000 }, (_, index) => `q${(index * 2_654_435_761).toString(36)}x`).join(' ')],
  ])('64 KiB of %s are not counted short', (_name, text) => {
    const tokens = tokenizer.count(text);
    expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(text));
    expect(tokens).toBeGreaterThanOrEqual(text.length / 128);
  });

  test('the same text has the same count whatever was counted before', () => {
    const text = Array.from({ length: 3_000 }, (_, index) => `w${(index * 40_503).toString(36)}`).join(' ');
    const first = tokenizer.count(text);
    for (let index = 0; index < 25_000; index++) tokenizer.count(`zz${index.toString(36)}qq`);
    expect(tokenizer.count(text)).toBe(first);
  });
});
