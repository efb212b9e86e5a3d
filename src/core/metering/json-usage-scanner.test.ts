import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonUsageScanner } from './json-usage-scanner.ts';

const encoder = new TextEncoder();

function scan(body: string, cuts: readonly number[] = [], keepBytes?: number): JsonUsageScanner {
  const scanner = new JsonUsageScanner(keepBytes === undefined ? {} : { keepBytes });
  const bytes = encoder.encode(body);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    scanner.push(bytes.subarray(from, cut));
    from = cut;
  }
  return scanner;
}

const USAGE = '"usage":{"prompt_tokens":11,"completion_tokens":22,"prompt_tokens_details":{"cached_tokens":3}}';
const FOUND = { promptTokens: 11, completionTokens: 22, totalTokens: 33, cachedPromptTokens: 3, reasoningTokens: null };

describe('finding usage', () => {
  const bodies: readonly (readonly [string, string])[] = [
    ['at the end', `{"id":"x","model":"m","choices":[],${USAGE}}`],
    ['at the beginning', `{${USAGE},"model":"m"}`],
    [
      'with white space',
      `\n { "model" : "m" ,\t"usage" :\r\n {"prompt_tokens":11,"completion_tokens":22,"prompt_tokens_details":{"cached_tokens":3}}  }\n`,
    ],
    ['with an escaped key', `{"model":"m","us\\u0061ge":${USAGE.slice(8)}}`],
    ['not the word in a text', `{"a":"\\"usage\\":{\\"prompt_tokens\\":9}","model":"m",${USAGE},"b":"${'\\\\'}"}`],
    ['not a nested one', `{"x":{"usage":{"prompt_tokens":1},"model":"no"},"y":[{"usage":{"prompt_tokens":2}}],"model":"m",${USAGE}}`],
    ['not a value of that name', `{"object":"usage","model":"m",${USAGE},"z":["usage","model"]}`],
    ['beside text with braces, quotes and umlauts', `{"t":"{]}[\\"ü😀\\\\","model":"m",${USAGE}}`],
    ['the last of several', `{"usage":{"prompt_tokens":1},"model":"first","model":"m",${USAGE}}`],
    ['before a null', `{"model":"m",${USAGE},"usage":null}`],
  ];

  test.each(bodies)('%s, split at every byte', (_name, body) => {
    const length = encoder.encode(body).length;
    for (let cut = 0; cut <= length; cut++) {
      const scanner = scan(body, [cut]);
      expect(scanner.usage).toStrictEqual(FOUND);
      expect(scanner.model).toBe('m');
    }
    const bytewise = scan(body, [...Array(length).keys()]);
    expect(bytewise.usage).toStrictEqual(FOUND);
    expect(bytewise.model).toBe('m');
  });

  test.each([
    '[{"usage":{"prompt_tokens":1}}]',
    '"usage"',
    'not json',
    '',
    '{}',
    '{"usage":5}',
    '{"usage":{"prompt_tokens":1}',
    '}}}}{',
    '{"usage":{oops}}',
  ])('nothing in %s', (body) => {
    expect(scan(body).usage).toBeNull();
  });

  test('what follows the object is not looked at', () => {
    expect(scan(`{"model":"m"}{${USAGE}}`).usage).toBeNull();
  });

  test('agrees with JSON.parse on any object, however it is cut', () => {
    const noise = fc.dictionary(fc.constantFrom('usage', 'model', 'a', 'usage ', '"', '\\'), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 });
    fc.assert(
      fc.property(noise, fc.array(fc.nat(400), { maxLength: 6 }), fc.nat(1000), (extra, cuts, prompt) => {
        const body = JSON.stringify({ x: extra, usage: { prompt_tokens: prompt }, y: [extra], model: 'm' });
        const length = encoder.encode(body).length;
        const sorted = cuts.map((cut) => cut % (length + 1)).sort((a, b) => a - b);
        const scanner = scan(body, sorted);
        expect(scanner.usage?.promptTokens).toBe(prompt);
        expect(scanner.model).toBe('m');
      }),
    );
  });

  test('a large body passes in bounded memory and is still metered', () => {
    const scanner = new JsonUsageScanner({ keepBytes: 1000 });
    scanner.push(encoder.encode('{"model":"m","data":"'));
    const chunk = encoder.encode('0123456789abcdef'.repeat(4096));
    for (let index = 0; index < 400; index++) scanner.push(chunk);
    scanner.push(encoder.encode(`",${USAGE}}`));
    expect(scanner.usage).toStrictEqual(FOUND);
    expect(scanner.outputText()).toBeNull();
    expect(scanner.bytesSeen).toBeGreaterThan(26_000_000);
  });

  test('a usage value that never ends is given up', () => {
    const scanner = scan(`{"usage":{"a":"${'x'.repeat(200_000)}"},"model":"m"}`);
    expect(scanner.usage).toBeNull();
    expect(scanner.model).toBe('m');
  });
});

describe('text for an estimate', () => {
  test('what the model produced, in all its forms', () => {
    const message = {
      reasoning_content: 'think ',
      content: 'say ',
      tool_calls: [{ function: { name: 'call ', arguments: '{}' } }],
    };
    expect(scan(JSON.stringify({ choices: [{ message }, { text: ' more' }] }), [5, 9]).outputText()).toBe('think say call {} more');
  });

  test('a body that is no JSON has none', () => {
    expect(scan('oops').outputText()).toBeNull();
  });
});
