import { describe, expect, test } from 'vitest';
import { readForm } from '../bounds/multipart-form.ts';
import { readRequest } from '../bounds/read-request.ts';
import type { InferenceKind, InferenceRequest } from '../bounds/inference-request.ts';
import { parseJson } from '../json/int64.ts';
import { writeRequest } from './write-request.ts';

const LIMIT = { field: 'max_output_tokens', tokens: 50 } as const;

function requestOf(kind: InferenceKind, body: unknown): InferenceRequest {
  const read = readRequest(kind, body);
  if (!read.ok) throw new Error(read.defect.message);
  return read.request;
}

const write = (request: InferenceRequest, outputLimit: typeof LIMIT | null = null) =>
  writeRequest({ request, upstreamModel: 'theirs', continuousUsage: true, outputLimit });

describe('a response', () => {
  test('goes with the model of the upstream and our limit, and without what a caller must not set', () => {
    const request = requestOf('responses', { model: 'm1', input: 'x', stream: true, priority: 1, cache_salt: 'a', seed: 1 });
    const { body, hideUsage } = write(request, LIMIT);
    expect(parseJson(body as string)).toEqual({ model: 'theirs', input: 'x', stream: true, seed: 1, max_output_tokens: 50 });
    expect(hideUsage).toBe(false);
  });

  test("keeps the caller's own limit, and every digit", () => {
    const request = requestOf('responses', parseJson('{"model":"m1","input":"x","max_output_tokens":7,"metadata":{"n":9007199254740993}}'));
    expect(write(request, LIMIT).body).toBe('{"model":"theirs","input":"x","max_output_tokens":7,"metadata":{"n":9007199254740993}}');
  });
});

test('a chat goes as ever', () => {
  const request = requestOf('chat', { model: 'm1', messages: [{ role: 'user', content: 'x' }], stream: true });
  const { body, hideUsage } = write(request);
  expect(parseJson(body as string)).toMatchObject({ stream_options: { include_usage: true, continuous_usage_stats: true } });
  expect(hideUsage).toBe(true);
});

test.each(['speech', 'images'] as const)('%s goes with the model of the upstream', (kind) => {
  const body = { model: 'm1', input: 'x', prompt: 'y', voice: 'z' };
  expect(parseJson(write(requestOf(kind, body)).body as string)).toEqual({ ...body, model: 'theirs' });
});

describe('a form', () => {
  const field = (name: string, value: string): string => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const sound = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n\u0000\u0001model\r\n--b--\r\n';

  function written(text: string): string {
    const form = readForm(new TextEncoder().encode(text), 'multipart/form-data; boundary=b');
    if (!form.ok) throw new Error(form.defect.message);
    const { body } = write({ ...requestOf('transcriptions', form.fields), form: form.form });
    return new TextDecoder().decode(body as Uint8Array);
  }

  test('keeps its boundary and every byte but those of the model', () => {
    const text = (model: string): string => field('language', 'en') + field('model', model) + field('prompt', 'Grüße') + sound;
    expect(written(text('m1'))).toBe(text('theirs'));
  });

  test('loses the parts that a caller must not set, wherever they stand', () => {
    const others = field('model', 'm1') + field('language', 'en');
    const text = field('priority', '1') + others + field('cache_salt', 'a') + sound;
    expect(written(text)).toBe(field('model', 'theirs') + field('language', 'en') + sound);
  });
});
