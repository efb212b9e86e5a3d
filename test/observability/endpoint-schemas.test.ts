import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import { ImagesBody, SpeechBody, TranscriptionForm } from '../../src/api/openai-gateway/media-operations.ts';
import { CompletionsBody } from '../../src/api/openai-gateway/operations.ts';
import { ResponsesBody } from '../../src/api/openai-gateway/responses-operations.ts';
import { readRequest } from '../../src/core/bounds/read-request.ts';

const SCHEMAS = { completions: CompletionsBody, responses: ResponsesBody, speech: SpeechBody, images: ImagesBody } as const;

/** Whether a schema takes a body, and whether the gateway does. */
const judged = (kind: keyof typeof SCHEMAS, body: object): readonly [schema: boolean, gateway: boolean] => {
  const schema: TSchema = SCHEMAS[kind];
  return [Compile(schema).Check(body), readRequest(kind, body).ok];
};

const taking = (...input: unknown[]): object => ({ model: 'm', input });

describe('the schemas of bodies agree with what the gateway reads by itself', () => {
  test.each([
    { model: 'm', prompt: 'hi' },
    { model: 'm', prompt: ['a', 'b'], n: 2, best_of: 3, max_tokens: 5, stream: null, other: 1 },
    { model: 'm', prompt: [[1], [2, 3]], stream: true, stream_options: { include_usage: true } },
    { model: 'm', prompt: [1, 2] },
    { model: 'm' },
    { model: 'm', prompt: null },
    { model: 'm', prompt: [] },
    { model: 'm', prompt: ['a', 1] },
    { model: 'm', prompt: { text: 'a' } },
    { model: '', prompt: 'hi' },
    { model: 'm', prompt: 'hi', best_of: 129 },
    { model: 'm', prompt: 'hi', max_tokens: 0 },
    { model: 'm', prompt: 'hi', stream: 'yes' },
  ])('completions: %j', (body) => {
    const [schema, gateway] = judged('completions', body);
    expect(schema).toBe(gateway);
  });

  test.each([
    { model: 'm', input: 'hi' },
    { model: 'm', input: 'hi', stream: true, store: false, background: null, max_output_tokens: 5, conversation: null, other: 1 },
    { model: 'm', previous_response_id: 'resp_1' },
    { model: 'm', input: 'hi', previous_response_id: null },
    taking(),
    taking({ role: 'user', content: 'hi' }, { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'x' }] }),
    taking({ type: 'function_call_output', output: 'x' }, { type: null, role: null, content: null }, {}),
    taking({ type: 'item_reference', id: 'msg_1' }, { id: 'msg_2' }, { id: 'msg_3', type: null, role: null }),
    taking({ type: 'item_reference' }),
    taking({ type: 'item_reference', id: '../x' }),
    taking({ id: '' }),
    taking({ id: 5 }),
    taking('hi'),
    taking({ type: 5 }),
    taking({ role: 5 }),
    taking({ type: 'message', role: 5 }),
    taking({ role: 'user', content: 5 }),
    taking({ role: 'user', content: ['x'] }),
    taking({ type: 'message', role: 'user', content: [{}] }),
    { model: 'm', input: 5 },
    { model: 5, input: 'hi' },
    { model: 'm', input: 'hi', store: 'no' },
    { model: 'm', input: 'hi', background: 1 },
    { model: 'm', input: 'hi', conversation: 'conv_1' },
    { model: 'm', input: 'hi', previous_response_id: 5 },
    { model: 'm', input: 'hi', previous_response_id: 'a/b' },
    { model: 'm', input: 'hi', max_output_tokens: 0 },
    { model: 'm', input: 'hi', max_output_tokens: 2_147_483_648 },
    { model: 'm', input: 'hi', stream: 1 },
  ])('responses: %j', (body) => {
    const [schema, gateway] = judged('responses', body);
    expect(schema).toBe(gateway);
  });

  test.each([
    { model: 'm', input: 'hi', voice: 'alloy' },
    { model: 'm', input: '', instructions: null, stream_format: 'sse' },
    { model: 'm' },
    { model: 'm', input: null },
    { model: 'm', input: ['hi'] },
    { model: 'm', input: 'hi', instructions: 5 },
    { model: 'm', input: 'hi', stream_format: true },
    { input: 'hi' },
  ])('speech: %j', (body) => {
    const [schema, gateway] = judged('speech', body);
    expect(schema).toBe(gateway);
  });

  test.each([
    { model: 'm', prompt: 'a cat', n: 10, frame_count: 1000, size: '1x1' },
    { model: 'm', prompt: 'a cat', n: null, stream: true },
    { model: 'm' },
    { model: 'm', prompt: 5 },
    { model: 'm', prompt: 'a cat', n: 0 },
    { model: 'm', prompt: 'a cat', n: 11 },
    { model: 'm', prompt: 'a cat', frame_count: 1001 },
    { model: 'm', prompt: 'a cat', stream: 'true' },
  ])('images: %j', (body) => {
    const [schema, gateway] = judged('images', body);
    expect(schema).toBe(gateway);
  });

  // The file is a part of the form that has been read before its fields are.
  test.each([
    { model: 'm' },
    { model: 'm', stream: 'true', response_format: 'text', prompt: 'x', language: 'en' },
    {},
    { model: '' },
    { model: 'm', stream: 'yes' },
    { model: 'm', response_format: ['json', 'text'] },
    { model: 'm', prompt: ['a', 'b'] },
  ])('transcriptions: %j', (fields) => {
    expect(Compile(TranscriptionForm).Check({ ...fields, file: 'sound' })).toBe(readRequest('transcriptions', fields).ok);
    expect(Compile(TranscriptionForm).Check(fields)).toBe(false);
  });
});
