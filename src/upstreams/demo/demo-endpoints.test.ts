import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { demoAnswer } from './demo-answer.ts';
import type { DemoAnswer, DemoSettings } from './demo-form.ts';
import { makeDemoResponseStore } from './demo-response-store.ts';

/** A token a character, so that counts can be checked by hand. */
const settings = (changes: Partial<DemoSettings> = {}): DemoSettings => ({
  countTokens: (text) => text.length,
  createdAt: 7,
  models: null,
  reportUsage: true,
  text: null,
  responses: makeDemoResponseStore(),
  ...changes,
});

const ask = (path: string, body: object | null, with_: DemoSettings): DemoAnswer =>
  demoAnswer(path, body === null ? '' : JSON.stringify(body), with_);
const jsonOf = (answer: DemoAnswer): Record<string, never> => JSON.parse(answer.pieces[0] ?? '') as Record<string, never>;

describe('responses', () => {
  const CALL = { model: 'demo-echo', input: 'hi' };

  test('what is asked alike is answered alike, but under another id', () => {
    const { id: first, ...one } = jsonOf(ask('/responses', CALL, settings()));
    const same = settings();
    ask('/responses', CALL, same);
    const { id: second, ...two } = jsonOf(ask('/responses', CALL, same));
    expect(first).not.toBe(second);
    expect({ ...two, output: null }).toEqual({ ...one, output: null });
  });

  test('its tokens are those of its texts and their frames', () => {
    const { usage } = jsonOf(ask('/responses', { ...CALL, instructions: 'be brief' }, settings()));
    // 3 before the answer; 3 for instructions and item each, "system" and "be brief", "user" and "hi"; "You said: hi".
    expect(usage).toMatchObject({ input_tokens: 3 + 3 + 6 + 8 + 3 + 4 + 2, output_tokens: 12, total_tokens: 41 });
  });

  test('one made in the background ends when it was asked for twice, and can be cancelled before', () => {
    const at = settings();
    const { id, status } = jsonOf(ask('/responses', { ...CALL, background: true }, at));
    expect(status).toBe('queued');
    const get = (): string => jsonOf(ask(`/responses/${String(id)}`, null, { ...at, method: 'GET' }))['status'] ?? '';
    expect([get(), get(), get()]).toEqual(['in_progress', 'completed', 'completed']);
    const other = jsonOf(ask('/responses', { ...CALL, background: true }, at));
    expect(jsonOf(ask(`/responses/${String(other['id'])}/cancel`, null, at))).toMatchObject({
      status: 'cancelled',
      usage: { output_tokens: 0 },
    });
  });

  test('the kept ones are bounded, and the oldest go first', () => {
    const store = makeDemoResponseStore();
    const put = (id: string, chars: number): void =>
      store.put(id, { ended: { id, output: [], text: 'x'.repeat(chars) }, inputItems: [], tokens: 1, waits: 0, cancelled: false });
    for (let index = 0; index < 600; index++) put(`r${index}`, 10);
    expect(store.size).toBe(500);
    expect(store.get('r99')).toBeUndefined();
    expect(store.get('r100')).toBeDefined();
    put('large', 7_999_000);
    expect(store.size).toBeLessThan(30);
    expect(store.get('large')).toBeDefined();
    put('too large', 9_000_000);
    expect(store.size).toBe(0);
  });

  test.each([
    ['GET', '/responses/none', 404],
    ['DELETE', '/responses/none', 404],
    ['POST', '/responses/none/cancel', 404],
    ['GET', '/responses/none/input_items', 404],
  ])('%s %s is %i', (method, path, status) => {
    expect(ask(path, null, settings({ method })).status).toBe(status);
  });
});

describe('speech', () => {
  test('is a WAV file of a tone for each character, the same each time', () => {
    const speak = (): Buffer => Buffer.concat(ask('/audio/speech', { model: 'm', input: 'Hé😀', voice: 'x' }, settings()).bytes ?? []);
    const sound = speak();
    expect(sound.equals(speak())).toBe(true);
    expect(sound.toString('latin1', 0, 16)).toBe(`RIFF${sound.toString('latin1', 4, 8)}WAVEfmt `);
    expect(sound.readUInt32LE(4)).toBe(sound.length - 8);
    expect(sound.readUInt32LE(40)).toBe(3 * 160);
    expect(sound.length).toBe(44 + 3 * 160);
  });

  test.each([
    ['an empty text', { input: '' }, 'input'],
    ['a long text', { input: 'x'.repeat(4097) }, 'input'],
    ['a form that it does not speak', { input: 'x', response_format: 'mp3' }, 'response_format'],
  ])('%s is refused', (_name, changes, param) => {
    expect(jsonOf(ask('/audio/speech', { model: 'm', voice: 'x', ...changes }, settings()))).toMatchObject({ error: { param } });
  });
});

describe('images', () => {
  test('are PNG files whose parts are whole, another for each', () => {
    const { data } = jsonOf(ask('/images/generations', { model: 'm', prompt: 'a gate', n: 2 }, settings())) as unknown as {
      data: { b64_json: string }[];
    };
    const files = data.map(({ b64_json: image }) => Buffer.from(image, 'base64'));
    expect(files[0]?.equals(files[1] ?? Buffer.alloc(0))).toBe(false);
    for (const file of files) {
      expect(file.toString('hex', 0, 8)).toBe('89504e470d0a1a0a');
      const types: string[] = [];
      for (let at = 8; at < file.length; at += file.readUInt32BE(at) + 12) {
        const end = at + 8 + file.readUInt32BE(at);
        types.push(file.toString('latin1', at + 4, at + 8));
        expect(file.readUInt32BE(end)).toBe(crc32(file.subarray(at + 4, end)));
      }
      expect(types).toEqual(['IHDR', 'IDAT', 'IEND']);
    }
  });

  test('may be asked for by their address', () => {
    const answer = jsonOf(ask('/images/generations', { model: 'm', prompt: 'a', response_format: 'url' }, settings()));
    expect(answer['data']).toMatchObject([{ url: expect.stringMatching(/^data:image\/png;base64,/) as string }]);
  });
});

describe('counting', () => {
  test('says what the call would say', () => {
    const at = settings();
    const chat = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
    const counted = jsonOf(ask('/chat/completions/input_tokens', chat, at));
    expect(jsonOf(ask('/chat/completions', chat, at))['usage']).toMatchObject({ prompt_tokens: counted['input_tokens'] });
  });
});
