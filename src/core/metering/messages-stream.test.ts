import { describe, expect, test } from 'vitest';
import { JsonUsageScanner } from './json-usage-scanner.ts';
import { messagesUsageFromObject } from './messages-usage.ts';
import { SseUsageScanner } from './sse-usage-scanner.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const countWords = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;

const event = (type: string, fields: object = {}): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const delta = (fields: object): string => event('content_block_delta', { index: 0, delta: fields });
const text = (words: string): string => delta({ type: 'text_delta', text: words });

const START = event('message_start', {
  message: { id: 'm', usage: { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 1 } },
});
const END = event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 9 } });
const STOP = event('message_stop');
const STREAM = START + event('ping') + text('Grüße ') + text('an 😀 alle') + event('content_block_stop', { index: 0 }) + END + STOP;
const COUNTED = {
  promptTokens: 123,
  completionTokens: 9,
  totalTokens: 132,
  cachedPromptTokens: 100,
  cacheWritePromptTokens: 20,
  reasoningTokens: null,
};

function run(stream: string, cuts: readonly number[] = []) {
  const scanner = new SseUsageScanner({ hideUsage: false, countTokens: countWords, dialect: 'anthropic' });
  const bytes = encoder.encode(stream);
  const passed: Uint8Array[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    passed.push(...scanner.push(bytes.slice(from, cut)));
    from = cut;
  }
  return { scanner, passed: join(passed), atEnd: join(scanner.end()) };
}

function join(pieces: readonly Uint8Array[]): string {
  return pieces.map((piece) => decoder.decode(piece, { stream: true })).join('') + decoder.decode();
}

const everyCut = (stream: string): number[][] => {
  const { length } = encoder.encode(stream);
  return [...Array.from({ length: length + 1 }, (_, cut) => [cut]), [...Array(length).keys()]];
};

describe('a stream of messages', () => {
  test.each([
    ['LF', STREAM],
    ['CRLF', STREAM.replaceAll('\n', '\r\n')],
    ['comments, and no names of events', STREAM.replaceAll(/event: .*\n/g, ': c\n')],
  ])('passes byte for byte, its end held back, cut anywhere (%s)', (_name, stream) => {
    const end = stream.lastIndexOf(stream.includes('event: message_stop') ? 'event: message_stop' : 'data: {"type":"message_stop"');
    for (const cuts of everyCut(stream)) {
      const { scanner, passed, atEnd } = run(stream, cuts);
      expect(passed + atEnd).toBe(stream);
      expect(scanner.terminal).toBe(true);
      expect(passed).toBe(stream.slice(0, stream.includes('event: ') ? end : passed.length));
      expect(atEnd).toContain('message_stop');
      expect(scanner.usage).toStrictEqual(COUNTED);
      expect(scanner.countsOutput).toBe(true);
    }
  });

  test('the words in a text end nothing and count nothing', () => {
    const tricky = START + text('"message_stop" "usage":{"output_tokens":500}') + text('data: [DONE]');
    const { scanner, passed } = run(tricky);
    expect([scanner.terminal, scanner.countsOutput, passed]).toEqual([false, false, tricky]);
    expect(scanner.usage?.completionTokens).toBe(1);
  });

  test('without its end, the report of the start does not count the output; the text does', () => {
    const { scanner } = run(START + text('one two') + text(' three'));
    expect(scanner.countsOutput).toBe(false);
    expect(scanner.usage).toMatchObject({ promptTokens: 123, cachedPromptTokens: 100, cacheWritePromptTokens: 20 });
    expect(scanner.estimatedOutputTokens()).toBe(3);
  });

  test('an error event passes at once and counts nothing', () => {
    const error = event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } });
    const { scanner, passed } = run(START + text('one') + error);
    expect([passed, scanner.terminal, scanner.countsOutput]).toEqual([START + text('one') + error, false, false]);
  });

  test('text after a report counts on top of it', () => {
    const { scanner } = run(START + text('one two') + event('message_delta', { usage: { output_tokens: 50 } }) + text('three'));
    expect(scanner.estimatedOutputTokens()).toBe(51);
  });

  test('all that the model wrote is estimated: text, thinking, calls of tools; a signature is not', () => {
    const stream =
      event('content_block_start', { content_block: { type: 'tool_use', name: 'get weather', input: {} } }) +
      delta({ type: 'thinking_delta', thinking: ' let me think' }) +
      delta({ type: 'signature_delta', signature: 'a b c d e f' }) +
      delta({ type: 'input_json_delta', partial_json: ' {"city": "Bonn"}' }) +
      text(' so be it');
    expect(run(stream).scanner.estimatedOutputTokens()).toBe(2 + 3 + 2 + 3);
  });

  test('nothing that is no report breaks it', () => {
    for (const odd of [
      'data: {"type":"message_start","message":null,"usage":1}\n\n',
      'data: {"usage":oops}\n\n',
      'data: [1,"usage"]\n\n',
    ]) {
      const { scanner, passed, atEnd } = run(odd + STREAM);
      expect(passed + atEnd).toBe(odd + STREAM);
      expect(scanner.usage).toStrictEqual(COUNTED);
    }
  });
});

describe('a whole message', () => {
  const body = JSON.stringify({
    content: [
      { type: 'thinking', thinking: 'one two ', signature: 'x y z' },
      { type: 'text', text: 'three ' },
      { type: 'tool_use', name: 'four', input: { a: 5 } },
    ],
    usage: { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 9 },
  });

  test('is metered wherever it is cut', () => {
    const bytes = encoder.encode(body);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const scanner = new JsonUsageScanner({ readUsage: messagesUsageFromObject });
      scanner.push(bytes.subarray(0, cut));
      scanner.push(bytes.subarray(cut));
      expect(scanner.usage).toStrictEqual(COUNTED);
    }
  });

  test('gives its text for an estimate', () => {
    const scanner = new JsonUsageScanner({ readUsage: messagesUsageFromObject });
    scanner.push(encoder.encode(body));
    expect(scanner.outputText()).toBe('one two three four{"a":5}');
  });
});
