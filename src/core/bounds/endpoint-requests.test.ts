import { describe, expect, test } from 'vitest';
import { boundRequest, type ModelLimits } from './bound-request.ts';
import type { InferenceKind, InferenceRequest } from './inference-request.ts';
import { readForm } from './multipart-form.ts';
import { readRequest } from './read-request.ts';

const MODEL: ModelLimits = {
  contextTokens: 1000,
  maxOutputTokens: 200,
  defaultOutputTokens: 50,
  outputLimitField: 'max_tokens',
  promptOverheadTokens: 10,
  marginPercent: 0,
  maxImageTokens: 85,
  maxAudioTokens: null,
  maxFileTokens: null,
};

function requestOf(kind: InferenceKind, body: unknown): InferenceRequest {
  const read = readRequest(kind, body);
  if (!read.ok) throw new Error(read.defect.message);
  return read.request;
}

const paramOf = (kind: InferenceKind, body: unknown): string | null => {
  const read = readRequest(kind, body);
  if (read.ok) throw new Error('the request was taken');
  return read.defect.param;
};

/** A token a byte, so that a bound can be counted by hand. */
const byBytes = (text: string): number => text.length;

function boundOf(request: InferenceRequest, model: ModelLimits = MODEL) {
  const bounded = boundRequest(request, model, byBytes);
  if (!bounded.ok) throw new Error(bounded.defect.message);
  return bounded;
}

const RESPONSE = { model: 'm1', input: 'hello' };

describe('responses', () => {
  test.each([
    ['no object', 'x', null],
    ['no model', { input: 'x' }, 'model'],
    ['a stream that is no flag', { ...RESPONSE, stream: 'yes' }, 'stream'],
    ['a store that is no flag', { ...RESPONSE, store: 1 }, 'store'],
    ['a background that is no flag', { ...RESPONSE, background: 'no' }, 'background'],
    ['a background that is not kept', { ...RESPONSE, background: true, store: false }, 'store'],
    ['a conversation', { ...RESPONSE, conversation: 'conv_1' }, 'conversation'],
    ['a previous response that is no text', { ...RESPONSE, previous_response_id: 1 }, 'previous_response_id'],
    ['a previous response that leaves its path', { ...RESPONSE, previous_response_id: '../keys' }, 'previous_response_id'],
    ['no input', { model: 'm1' }, 'input'],
    ['an input of another kind', { ...RESPONSE, input: 5 }, 'input'],
    ['an item that is no object', { ...RESPONSE, input: ['x'] }, 'input[0]'],
    ['an item whose type is no text', { ...RESPONSE, input: [{ type: 1 }] }, 'input[0].type'],
    ['an item whose content is a number', { ...RESPONSE, input: [{ role: 'user', content: 1 }] }, 'input[0].content'],
    ['a part without a type', { ...RESPONSE, input: [{ role: 'user', content: [{}] }] }, 'input[0].content[0]'],
    ['a reference without an id', { ...RESPONSE, input: [{ type: 'item_reference' }] }, 'input[0].id'],
    ['a limit of 0', { ...RESPONSE, max_output_tokens: 0 }, 'max_output_tokens'],
  ])('%s is refused by name', (_name, body, param) => {
    expect(paramOf('responses', body)).toBe(param);
  });

  test('the input may be absent where the request builds on something', () => {
    expect(requestOf('responses', { model: 'm1', previous_response_id: 'resp_1' }).refers?.previousResponseId).toBe('resp_1');
    expect(requestOf('responses', { model: 'm1', prompt: { id: 'pmpt_1' } }).stream).toBe(false);
  });

  test('text, instructions, names and tools count; the limit is sent in its own field', () => {
    const tools = [{ type: 'function', name: 'f', parameters: {} }];
    const { bound } = boundOf(requestOf('responses', { ...RESPONSE, instructions: 'short', tools }));
    // "hello\nshort", once and a half the tools, a message of 8, the overhead.
    expect(bound.inputTokens).toBe(11 + Math.ceil(JSON.stringify(tools).length * 1.5) + 8 + 10);
    expect(bound).toMatchObject({ choices: 1, outputPerChoice: 50, minOutputPerChoice: 16, sendLimitAs: 'max_output_tokens' });
  });

  test("the caller's own limit is kept, and one above the model's is refused by its name", () => {
    expect(boundOf(requestOf('responses', { ...RESPONSE, max_output_tokens: 7 })).bound).toMatchObject({
      outputPerChoice: 7,
      sendLimitAs: null,
    });
    const tooLarge = boundRequest(requestOf('responses', { ...RESPONSE, max_output_tokens: 201 }), MODEL, byBytes);
    expect(tooLarge).toMatchObject({ ok: false, defect: { param: 'max_output_tokens' } });
  });

  test('images in content and in results of tools count as their declared maximum', () => {
    const image = { type: 'input_image', image_url: 'data:image/png;base64,AAAA' };
    const input = [
      { role: 'user', content: [image, { type: 'input_text', text: 'abc' }] },
      { type: 'function_call_output', call_id: 'c', output: [image] },
      { type: 'computer_call_output', call_id: 'c', output: { type: 'computer_screenshot', image_url: 'data:' } },
    ];
    const { bound } = boundOf(requestOf('responses', { model: 'm1', input }));
    const texts = 'user\nabc\nfunction_call_output\nc';
    expect(bound.inputTokens).toBe(texts.length + 3 * 8 + 8 + 3 * 85 + 10);
  });

  const inputTokens = (changes: object): number => boundOf(requestOf('responses', { ...RESPONSE, ...changes })).bound.inputTokens;
  const plain = inputTokens({});

  test.each([
    ['an earlier response that nobody knows', { previous_response_id: 'resp_1' }],
    [
      'items that are only referred to',
      {
        input: [
          { type: 'item_reference', id: 'msg_1' },
          { role: 'user', content: '' },
        ],
      },
    ],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }],
    ['a tool that the upstream runs', { tools: [{ type: 'web_search' }] }],
    ['a part of a kind that is not known', { input: [{ role: 'user', content: [{ type: 'input_video' }] }] }],
  ])('%s counts as the context', (_name, changes) => {
    expect(inputTokens(changes)).toBeGreaterThanOrEqual(1000);
  });

  test('an earlier response that is known adds its tokens and no more', () => {
    const request = requestOf('responses', { ...RESPONSE, previous_response_id: 'resp_1' });
    const known = { ...request, refers: { previousResponseId: 'resp_1', itemIds: [], priorTokens: 77 } };
    expect(boundOf(known).bound.inputTokens).toBe(plain + 77);
  });
});

describe('speech', () => {
  test.each([
    ['no input', { model: 'm1' }, 'input'],
    ['an input that is no text', { model: 'm1', input: ['a'] }, 'input'],
    ['instructions that are no text', { model: 'm1', input: 'a', instructions: 1 }, 'instructions'],
    ['a stream format that is no text', { model: 'm1', input: 'a', stream_format: 1 }, 'stream_format'],
  ])('%s is refused by name', (_name, body, param) => {
    expect(paramOf('speech', body)).toBe(param);
  });

  test('is bounded by its text, all that the model can produce, and its characters', () => {
    const { bound, promptTokens } = boundOf(requestOf('speech', { model: 'm1', input: 'ab😀', voice: 'x' }));
    expect(bound).toMatchObject({ choices: 1, outputPerChoice: 200, minOutputPerChoice: 200, sendLimitAs: null });
    expect(bound.media).toEqual({ unit: 'characters', most: 3, likely: 3 });
    // What is not reported is no tokens.
    expect(promptTokens).toBe(0);
  });

  test('streams where its events are asked for', () => {
    expect(requestOf('speech', { model: 'm1', input: 'a', stream_format: 'sse' }).stream).toBe(true);
    expect(requestOf('speech', { model: 'm1', input: 'a', stream_format: 'audio' }).stream).toBe(false);
  });
});

describe('images', () => {
  test.each([
    ['no prompt', { model: 'm1' }, 'prompt'],
    ['a prompt that is no text', { model: 'm1', prompt: {} }, 'prompt'],
    ['eleven images', { model: 'm1', prompt: 'a', n: 11 }, 'n'],
    ['no frames', { model: 'm1', prompt: 'a', frame_count: 0 }, 'frame_count'],
  ])('%s is refused by name', (_name, body, param) => {
    expect(paramOf('images', body)).toBe(param);
  });

  test('each is bounded by what the model can produce', () => {
    const { bound } = boundOf(requestOf('images', { model: 'm1', prompt: 'a castle', n: 3 }));
    expect(bound).toMatchObject({ choices: 3, outputPerChoice: 200, sendLimitAs: null, media: { unit: 'images', most: 3, likely: 3 } });
  });

  test('frames are images too, but for the price of one', () => {
    const { bound } = boundOf(requestOf('images', { model: 'm1', prompt: 'a', n: 2, frame_count: 5 }));
    expect(bound).toMatchObject({ choices: 10, media: { most: 2 } });
  });
});

describe('transcriptions', () => {
  const transcription = (fields: Readonly<Record<string, string>>, fileBytes: number): InferenceRequest => {
    const parts = Object.entries(fields).map(
      ([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    const sound = `--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n${'x'.repeat(fileBytes)}\r\n--b--`;
    const form = readForm(new TextEncoder().encode(parts.join('') + sound), 'multipart/form-data; boundary=b');
    if (!form.ok) throw new Error(form.defect.message);
    return { ...requestOf('transcriptions', form.fields), form: form.form };
  };

  test.each([
    ['no model', { stream: 'true' }, 'model'],
    ['a stream that is no flag', { model: 'm1', stream: '1' }, 'stream'],
    ['two response formats', { model: 'm1', response_format: ['json', 'text'] }, 'response_format'],
  ])('%s is refused by name', (_name, fields, param) => {
    expect(paramOf('transcriptions', fields)).toBe(param);
  });

  test('the audio counts as its declared maximum, else as the context, and so does each voice that comes with it', () => {
    const request = transcription({ model: 'm1', prompt: 'abc' }, 4000);
    const texts = 3 + 8 + 10;
    expect(boundOf(request).bound.inputTokens).toBe(texts + 1000);
    expect(boundOf(request, { ...MODEL, maxAudioTokens: 60 }).bound.inputTokens).toBe(texts + 60);
    const voices = transcription({ model: 'm1', prompt: 'abc', 'known_speaker_references[]': 'data:audio/wav;base64,AAAA' }, 4000);
    expect(boundOf(voices, { ...MODEL, maxAudioTokens: 60 }).bound.inputTokens).toBe(texts + 120);
  });

  test('the seconds are bounded by the declared longest audio, else by the size of the file', () => {
    const request = transcription({ model: 'm1' }, 16_000);
    expect(boundOf(request).bound.media).toEqual({ unit: 'seconds', most: 32, likely: 2 });
    expect(boundOf(request, { ...MODEL, maxAudioSeconds: 1400 }).bound.media).toEqual({ unit: 'seconds', most: 1400, likely: 2 });
    expect(boundOf(request, { ...MODEL, maxAudioSeconds: 1 }).bound.media).toEqual({ unit: 'seconds', most: 1, likely: 1 });
  });
});
