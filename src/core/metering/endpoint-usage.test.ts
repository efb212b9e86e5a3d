import { describe, expect, test } from 'vitest';
import { JsonUsageScanner } from './json-usage-scanner.ts';
import { SseUsageScanner, type SseUsageScannerOptions } from './sse-usage-scanner.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (pieces: readonly Uint8Array[]): string => pieces.map((piece) => new TextDecoder().decode(piece)).join('');

/** Every way to split a text in two, and the text byte by byte. */
function splits(text: string): Uint8Array[][] {
  const bytes = bytesOf(text);
  const inTwo = Array.from({ length: bytes.length + 1 }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [...inTwo, Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1))];
}

const OPTIONS: SseUsageScannerOptions = { hideUsage: false, countTokens: (text) => text.length };

/** Reads a stream in every split; the scanners must agree, and pass every byte on as it came. */
function scanAll(text: string, options = OPTIONS): SseUsageScanner[] {
  return splits(text).map((chunks) => {
    const scanner = new SseUsageScanner(options);
    const out = chunks.flatMap((chunk) => scanner.push(chunk));
    expect(textOf([...out, ...scanner.end()])).toBe(text);
    return scanner;
  });
}

const event = (type: string, fields: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

const USAGE = {
  input_tokens: 11,
  input_tokens_details: { cached_tokens: 4 },
  output_tokens: 7,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 18,
};
const COUNTED = { promptTokens: 11, completionTokens: 7, totalTokens: 18, cachedPromptTokens: 4, reasoningTokens: 2 };

describe('the stream of a response, split at every byte', () => {
  const begun = event('response.created', { response: { id: 'resp_1', status: 'in_progress', usage: null } });
  const delta = event('response.output_text.delta', { delta: 'Grüße' });

  test.each(['response.completed', 'response.incomplete', 'response.failed'])('%s ends it, and tells its usage and its id', (type) => {
    const ended = event(type, { response: { id: 'resp_1', output: [{ id: 'msg_1' }], usage: USAGE } });
    for (const scanner of scanAll(begun + delta + ended)) {
      expect(scanner.usage).toEqual(COUNTED);
      expect(scanner.terminal).toBe(true);
      expect(scanner.response).toMatchObject({ id: 'resp_1', output: [{ id: 'msg_1' }] });
    }
  });

  test('with CRLF, comments and no last blank line', () => {
    const ended = `data: ${JSON.stringify({ type: 'response.completed', response: { id: 'r', usage: USAGE } })}`;
    for (const scanner of scanAll(`: hello\r\n\r\n${delta.replaceAll('\n', '\r\n')}${ended}`)) expect(scanner.usage).toEqual(COUNTED);
  });

  test('what ends without an end is counted by its text, and its id is known', () => {
    for (const scanner of scanAll(begun + delta)) {
      expect(scanner.usage).toBeNull();
      expect(scanner.terminal).toBe(false);
      expect(scanner.estimatedOutputTokens()).toBe(5);
      expect(scanner.response).toMatchObject({ id: 'resp_1' });
    }
  });

  test('a response that failed without a usage ends it all the same', () => {
    for (const scanner of scanAll(event('response.failed', { response: { id: 'r', usage: null, error: { code: 'server_error' } } }))) {
      expect(scanner.terminal).toBe(true);
      expect(scanner.usage).toBeNull();
    }
  });
});

describe('the stream of a completion, split at every byte', () => {
  const chunk = (fields: object): string => `data: ${JSON.stringify({ object: 'text_completion', ...fields })}\n\n`;
  const text = chunk({ choices: [{ index: 0, text: ' hi' }], usage: null });
  const usage = chunk({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } });

  test('its usage chunk is found, and taken out where it was not asked for', () => {
    for (const chunks of splits(`${text}${usage}data: [DONE]\n\n`)) {
      const scanner = new SseUsageScanner({ ...OPTIONS, hideUsage: true });
      const out = [...chunks.flatMap((each) => scanner.push(each)), ...scanner.end()];
      expect(textOf(out)).toBe(`${text}data: [DONE]\n\n`);
      expect(scanner.usage).toMatchObject({ promptTokens: 3, completionTokens: 2 });
    }
  });
});

describe('streams of sound and images, split at every byte', () => {
  test('a transcription ends with its usage in tokens', () => {
    const usage = { type: 'tokens', input_tokens: 14, input_token_details: { audio_tokens: 10 }, output_tokens: 3, total_tokens: 17 };
    const text = event('transcript.text.delta', { delta: 'so' }) + event('transcript.text.done', { text: 'so', usage });
    for (const scanner of scanAll(text)) {
      expect(scanner.usage).toMatchObject({ promptTokens: 14, completionTokens: 3 });
      expect(scanner.terminal).toBe(true);
    }
  });

  test('or in seconds', () => {
    for (const scanner of scanAll(event('transcript.text.done', { text: 'so', usage: { type: 'duration', seconds: 9.5 } }))) {
      expect(scanner.usage).toBeNull();
      expect(scanner.seconds).toBe(9.5);
    }
  });

  test('speech ends with its usage', () => {
    const usage = { input_tokens: 5, output_tokens: 40, total_tokens: 45 };
    for (const scanner of scanAll(event('speech.audio.delta', { audio: 'AAAA' }) + event('speech.audio.done', { usage }))) {
      expect(scanner.usage).toMatchObject({ promptTokens: 5, completionTokens: 40 });
      expect(scanner.terminal).toBe(true);
    }
  });

  test('each whole image counts, and partial ones do not', () => {
    const usage = { input_tokens: 5, output_tokens: 272, total_tokens: 277 };
    const partial = event('image_generation.partial_image', { b64_json: 'AAAA', partial_image_index: 0 });
    for (const scanner of scanAll(partial + event('image_generation.completed', { b64_json: 'AAAA', usage }))) {
      expect(scanner.images).toBe(1);
      expect(scanner.usage).toMatchObject({ completionTokens: 272 });
    }
  });
});

describe('a JSON answer, split at every byte', () => {
  const scanAllJson = (value: unknown): JsonUsageScanner[] =>
    splits(JSON.stringify(value)).map((chunks) => {
      const scanner = new JsonUsageScanner();
      for (const chunk of chunks) scanner.push(chunk);
      return scanner;
    });

  test('a response gives its usage and its id, and not those inside of it', () => {
    const value = { output: [{ id: 'msg_1', usage: { input_tokens: 99 } }], id: 'resp_1', object: 'response', usage: USAGE };
    for (const scanner of scanAllJson(value)) {
      expect(scanner.usage).toEqual(COUNTED);
      expect(scanner.id).toBe('resp_1');
      expect(scanner.json()).toEqual(value);
    }
  });

  test('images are counted, and objects inside of them are not', () => {
    const image = { b64_json: '{"},[{', details: { more: [{}, {}] } };
    for (const scanner of scanAllJson({ created: 1, data: [image, image, image], usage: { total_tokens: 9 }, more: [{}, {}] })) {
      expect(scanner.dataItems).toBe(3);
      expect(scanner.usage).toMatchObject({ promptTokens: 9 });
    }
  });

  test.each([
    ['an empty list', { data: [] }, 0],
    ['no list', { data: { a: {} } }, null],
    ['nothing', { created: 1 }, null],
  ])('%s of images', (_name, value, expected) => {
    for (const scanner of scanAllJson(value)) expect(scanner.dataItems).toBe(expected);
  });

  test('a transcription tells its seconds', () => {
    for (const scanner of scanAllJson({ text: 'so', usage: { type: 'duration', seconds: 3 } })) expect(scanner.seconds).toBe(3);
    for (const scanner of scanAllJson({ duration: 8.5, segments: [{ duration: 1 }], text: 'so' })) expect(scanner.seconds).toBe(8.5);
  });
});
