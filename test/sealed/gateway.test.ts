import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CAP, KEY, startGateway, TENANT_MONEY, type Gateway } from '../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { beginSealed, fetchSealedKey, frameOf, postRaw, type RawAnswer, type SealedMessage } from '../support/sealed-message.ts';

const CHAT = { model: 'm1', messages: [{ role: 'user', content: 'hello there' }] };
const UNOPENABLE = {
  error: { code: 'malformed_body', message: 'the sealed body cannot be opened', param: null, type: 'invalid_request_error' },
};
const MAX_BODY_BYTES = 4096;

let gateway: Gateway;
let upstream: OpenAiServer;
let config: Uint8Array;
let origin: string;

beforeEach(async () => {
  upstream = await startOpenAiServer({});
  gateway = await startGateway({ upstreamUrls: [upstream.url], maxBodyBytes: MAX_BODY_BYTES });
  origin = new URL(gateway.url).origin;
  config = await fetchSealedKey(origin);
});

afterEach(async () => {
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const headersOf = (message: SealedMessage, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  authorization: `Bearer ${KEY}`,
  'content-type': 'application/json',
  'ehbp-encapsulated-key': message.encapsulatedKey,
  ...more,
});

/** Sends pieces as they are, chunked. */
const send = (
  message: SealedMessage,
  body: readonly Uint8Array[],
  more: Readonly<Record<string, string>> = {},
  path = '/chat/completions',
) => postRaw(`${gateway.url}${path}`, { headers: headersOf(message, more), body });

const opened = async (message: SealedMessage, { headers, body }: RawAnswer): Promise<string> =>
  Buffer.concat(await message.open(String(headers['ehbp-response-nonce']), body)).toString();

/** Sends a body in one frame, and opens what comes. */
async function call(body: unknown, more: Readonly<Record<string, string>> = {}, path?: string) {
  const message = await beginSealed(config);
  const answer = await send(message, [await message.seal(JSON.stringify(body))], more, path);
  const text = await opened(message, answer);
  return { ...answer, text, json: (): unknown => JSON.parse(text) };
}

const nothingBooked = (): void => {
  expect(upstream.received).toHaveLength(0);
  expect(gateway.ledger.usage).toHaveLength(0);
  expect(gateway.account(CAP)).toMatchObject({ spent: 0n, reserved: 0n });
};

describe('answers', () => {
  test('a sealed call is answered sealed, chunked and without its length, and metered like any other', async () => {
    const answer = await call(CHAT);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'transfer-encoding': 'chunked', 'content-type': 'application/json' });
    expect(answer.headers['content-length']).toBeUndefined();
    expect(answer.body.includes('choices')).toBe(false);
    const { usage } = answer.json() as { usage: { total_tokens: number } };
    expect(gateway.account(CAP)).toMatchObject({ spent: BigInt(usage.total_tokens), reserved: 0n });
    expect(upstream.received[0]?.headers['ehbp-encapsulated-key']).toBeUndefined();
  });

  test('however the body is cut into frames, and its frames into pieces, it is the same body', async () => {
    const text = JSON.stringify(CHAT);
    const message = await beginSealed(config);
    const frames: Buffer[] = [frameOf(new Uint8Array())];
    for (let at = 0; at < text.length; at += 7) frames.push(await message.seal(text.slice(at, at + 7)), frameOf(new Uint8Array()));
    frames.push(await message.seal(''));
    const whole = Buffer.concat(frames);
    const pieces = Array.from({ length: Math.ceil(whole.length / 11) }, (_, at) => whole.subarray(at * 11, at * 11 + 11));
    const answer = await send(message, pieces);
    expect(answer.status).toBe(200);
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).toMatchObject({ messages: CHAT.messages });
  });

  test('a body whose length is told is taken as well', async () => {
    const message = await beginSealed(config);
    const frame = await message.seal(JSON.stringify(CHAT));
    const answer = await send(message, [frame], { 'content-length': String(frame.length) });
    expect(answer.status).toBe(200);
  });

  test('a stream is sealed piece by piece: each piece of the upstream has gone out before the next one comes', async () => {
    upstream.behaviour.text = 'one two three four';
    upstream.behaviour.chunkDelayMs = 30;
    const message = await beginSealed(config);
    const frames: number[] = [];
    const answer = await postRaw(`${gateway.url}/chat/completions`, {
      headers: headersOf(message),
      body: [await message.seal(JSON.stringify({ ...CHAT, stream: true }))],
      onPiece: () => void frames.push(upstream.served.answers),
    });
    // The upstream had not ended its answer when most of the frames were here.
    expect(frames.filter((served) => served === 0).length).toBeGreaterThan(3);
    const texts = await message.open(String(answer.headers['ehbp-response-nonce']), answer.body);
    expect(texts.length).toBeGreaterThan(4);
    expect(Buffer.concat(texts).toString()).toMatch(/data: \[DONE\]\n\n$/);
  });

  test('usage stays readable: in the header of an answer, in the trailer of a stream', async () => {
    const asked = { 'x-tinfoil-request-usage-metrics': 'true' };
    const plain = await call(CHAT, asked);
    expect(plain.headers['x-tinfoil-usage-metrics']).toMatch(/^prompt=\d+,completion=\d+/);
    const stream = await call({ ...CHAT, stream: true }, asked);
    expect(stream.headers.trailer).toBe('X-Tinfoil-Usage-Metrics');
    expect(stream.trailers['x-tinfoil-usage-metrics']).toMatch(/^prompt=\d+,completion=\d+/);
    expect(stream.text).toContain('[DONE]');
  });

  test('a long answer comes in frames of at most 64 KiB', async () => {
    const long = JSON.stringify({
      model: 'up-m1',
      choices: [],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
      filler: 'x'.repeat(200_000),
    });
    upstream.behaviour.rawPieces = { contentType: 'application/json', pieces: [long] };
    const message = await beginSealed(config);
    const answer = await send(message, [await message.seal(JSON.stringify(CHAT))]);
    const texts = await message.open(String(answer.headers['ehbp-response-nonce']), answer.body);
    expect(texts.map(({ length }) => length)).toSatisfy((lengths: number[]) => lengths.every((length) => length <= 65_536));
    expect(Buffer.concat(texts).toString() === long).toBe(true);
  });

  test('every POST of the gateway takes one: messages, responses, embeddings, counting, and a form', async () => {
    const messages = { model: 'm1', messages: CHAT.messages };
    const counted = await call(messages, { 'anthropic-version': '2023-06-01' }, '/messages/count_tokens');
    expect([counted.status, counted.json()]).toMatchObject([
      400,
      { type: 'error', error: { message: expect.stringContaining('m1') as string } },
    ]);
    expect((await call({ model: 'm1', input: 'hello' }, {}, '/responses')).status).toBe(200);
    expect((await call({ model: 'm1', input: 'hello' }, {}, '/embeddings')).status).toBe(200);
    expect((await call({ model: 'm1', input: 'hello' }, {}, '/responses/input_tokens')).status).toBe(200);
    const form = await call('no form', { 'content-type': 'multipart/form-data; boundary=b' }, '/audio/transcriptions');
    expect([form.status, (form.json() as { error: { type: string } }).error.type]).toEqual([400, 'invalid_request_error']);
  });

  test('a request without a body is in the clear, whatever its headers say, and so are GETs', async () => {
    const listed = await fetch(`${gateway.url}/models`, {
      headers: { authorization: `Bearer ${KEY}`, 'ehbp-encapsulated-key': 'ab'.repeat(32) },
    });
    expect([listed.status, listed.headers.get('ehbp-response-nonce')]).toEqual([200, null]);
    const cancelled = await fetch(`${gateway.url}/responses/resp_1/cancel`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'ehbp-encapsulated-key': 'ab'.repeat(32) },
    });
    expect([cancelled.status, cancelled.headers.get('ehbp-response-nonce')]).toEqual([404, null]);
  });
});

describe('refusals', () => {
  test('are sealed once the first frame was opened: no key, a bad body, no money, an unknown model', async () => {
    const stranger = await call(CHAT, { authorization: 'Bearer tk_nobody' });
    expect([stranger.status, stranger.json()]).toMatchObject([401, { error: { code: 'invalid_api_key' } }]);
    expect(stranger.body.includes('invalid_api_key')).toBe(false);
    expect(await call({ model: 'm1' }).then(({ status }) => status)).toBe(400);
    expect((await call({ ...CHAT, model: 'm2' })).json()).toMatchObject({ error: { code: 'model_not_found' } });
    gateway.allocate(TENANT_MONEY, 1n);
    expect((await call(CHAT)).json()).toMatchObject({ error: { code: 'budget_exceeded' } });
    nothingBooked();
  });

  test('are in the clear where a long first frame of a stranger was left unread', async () => {
    await gateway.close();
    gateway = await startGateway({ upstreamUrls: [upstream.url], maxBodyBytes: 4_194_304 });
    origin = new URL(gateway.url).origin;
    const message = await beginSealed(await fetchSealedKey(origin));
    const long = await message.seal(JSON.stringify({ ...CHAT, messages: [{ role: 'user', content: 'x'.repeat(1_100_000) }] }));
    const refused = await send(message, [long], { authorization: 'Bearer tk_nobody' });
    expect([refused.status, refused.headers['ehbp-response-nonce']]).toEqual([401, undefined]);
    // The same of somebody known is read.
    const taken = await send(message, [long]);
    expect([taken.status, JSON.parse(await opened(message, taken))]).toMatchObject([400, { error: { code: 'context_length_exceeded' } }]);
  });
});

describe('hostile bodies', () => {
  const expectUnopenable = (answer: RawAnswer): void => {
    expect([answer.status, JSON.parse(answer.body.toString()), answer.headers['ehbp-response-nonce']]).toEqual([
      400,
      UNOPENABLE,
      undefined,
    ]);
    nothingBooked();
  };
  const expectSealedUnopenable = async (message: SealedMessage, answer: RawAnswer): Promise<void> => {
    expect([answer.status, JSON.parse(await opened(message, answer))]).toEqual([400, UNOPENABLE]);
  };

  test.each(['', 'ab', 'zz'.repeat(32), 'ab'.repeat(31), 'ab'.repeat(33), '00'.repeat(32), `${'ab'.repeat(32)}, ${'ab'.repeat(32)}`])(
    'what is no encapsulated key: %j',
    async (key) => {
      const message = await beginSealed(config);
      const frame = await message.seal(JSON.stringify(CHAT));
      expectUnopenable(await send(message, [frame], { 'ehbp-encapsulated-key': key }));
    },
  );

  test('a changed byte, another key, another server, a body that is not sealed, and none at all in the frames', async () => {
    const message = await beginSealed(config);
    const frame = await message.seal(JSON.stringify(CHAT));
    expectUnopenable(await send(message, [frame.map((byte, at) => (at === 20 ? byte ^ 1 : byte))]));
    expectUnopenable(await send(await beginSealed(config), [frame]));
    const elsewhere = await beginSealed(Uint8Array.from([0, 0, 32, 9, ...new Uint8Array(31).fill(3)]));
    expectUnopenable(await send(elsewhere, [await elsewhere.seal(JSON.stringify(CHAT))]));
    expectUnopenable(
      await send(
        message,
        [Buffer.from(JSON.stringify(CHAT))].map((text) => frameOf(text)),
      ),
    );
    expectUnopenable(await send(message, [frameOf(new Uint8Array())]));
    expectUnopenable(await send(message, [frameOf(new Uint8Array(3))]));
  });

  test('frames that are cut short, in the length and in the first frame and in a later one', async () => {
    const message = await beginSealed(config);
    const [first, second] = [await message.seal('{"model":'), await message.seal('"m1"}')];
    expectUnopenable(await send(message, [first.subarray(0, 3)]));
    expectUnopenable(await send(message, [first.subarray(0, first.length - 1)]));
    await expectSealedUnopenable(message, await send(message, [first, second.subarray(0, second.length - 1)]));
    const again = await beginSealed(config);
    await expectSealedUnopenable(again, await send(again, [await again.seal('{'), Buffer.of(0, 0)]));
    nothingBooked();
  });

  test('a connection that is cut within a frame is no fault of ours, whoever cut it', async () => {
    const message = await beginSealed(config);
    const [first, second] = [await message.seal('{"model":'), await message.seal('"m1"}')];
    for (const cut of [first.subarray(0, 20), Buffer.concat([first, second.subarray(0, 8)])]) {
      const request = httpRequest(`${gateway.url}/chat/completions`, { method: 'POST', headers: headersOf(message) });
      request.on('error', () => undefined);
      request.write(cut);
      await delay(100);
      request.destroy();
      await delay(100);
    }
    expect(gateway.logged.filter(({ level }) => level === 'error')).toEqual([]);
    nothingBooked();
  });

  test('frames in another order, twice, or left out', async () => {
    const seals = async (): Promise<[SealedMessage, Buffer, Buffer, Buffer]> => {
      const message = await beginSealed(config);
      return [message, await message.seal('{"model":'), await message.seal('"m1",'), await message.seal('"messages":[]}')];
    };
    const [swapped, a, b] = await seals();
    expectUnopenable(await send(swapped, [b, a]));
    for (const order of [
      [0, 2, 1],
      [0, 0, 1],
      [0, 2],
    ]) {
      const [message, ...frames] = await seals();
      await expectSealedUnopenable(
        message,
        await send(
          message,
          order.map((at) => frames[at] ?? Buffer.alloc(0)),
        ),
      );
    }
    nothingBooked();
  });

  test('a whole body that was taken before, and one that comes twice at once', async () => {
    const message = await beginSealed(config);
    const frame = await message.seal(JSON.stringify(CHAT));
    const [one, two] = await Promise.all([send(message, [frame]), send(message, [frame])]);
    expect([one.status, two.status]).toEqual(expect.arrayContaining([200, 400]));
    await expectSealedUnopenable(message, one.status === 400 ? one : two);
    await expectSealedUnopenable(message, await send(message, [frame], { 'ehbp-encapsulated-key': message.encapsulatedKey.toUpperCase() }));
    expect(gateway.ledger.usage).toHaveLength(1);
  });

  test('a body that was refused for its key may come again', async () => {
    const message = await beginSealed(config);
    const frame = await message.seal(JSON.stringify(CHAT));
    expect((await send(message, [frame], { authorization: 'Bearer tk_nobody' })).status).toBe(401);
    expect((await send(message, [frame])).status).toBe(200);
  });

  test('a body, a frame and a sum of frames that are too large are 413, and the largest body is not', async () => {
    const message = await beginSealed(config);
    expect((await send(message, [Buffer.of(255, 255, 255, 255)])).status).toBe(413);
    expect((await send(message, [await message.seal('x'.repeat(MAX_BODY_BYTES + 1))])).status).toBe(413);
    // What it promises never comes, so that its connection is of no use to anybody else.
    const promised = { headers: headersOf(message, { 'content-length': '100000000' }), body: [Buffer.alloc(8)], agent: new Agent() };
    expect((await postRaw(`${gateway.url}/chat/completions`, promised)).status).toBe(413);
    const sum = await beginSealed(config);
    const refused = await send(sum, [await sum.seal('x'.repeat(MAX_BODY_BYTES)), await sum.seal('x')]);
    expect([refused.status, JSON.parse(await opened(sum, refused))]).toMatchObject([413, { error: { code: 'body_too_large' } }]);
    nothingBooked();
    const largest = await beginSealed(config);
    const body = JSON.stringify({ ...CHAT, user: 'x' }).padEnd(MAX_BODY_BYTES);
    const taken = await send(largest, [await largest.seal(body.slice(0, 100)), await largest.seal(body.slice(100))]);
    expect(taken.status).toBe(200);
  });

  test('a body that never ends is cut at its limit, however little its frames say', async () => {
    const message = await beginSealed(config);
    async function* endless(): AsyncGenerator<Buffer> {
      yield await message.seal('{');
      for (let count = 0; count < 5000; count++) yield frameOf(new Uint8Array());
    }
    const agent = new Agent();
    const refused = await postRaw(`${gateway.url}/chat/completions`, { headers: headersOf(message), body: endless(), agent });
    agent.destroy();
    expect(refused.status).toBe(413);
    nothingBooked();
  });

  test('after each of them the connection can be used again', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const url = `${gateway.url}/chat/completions`;
    for (let count = 0; count < 3; count++) {
      const message = await beginSealed(config);
      const garbage = [frameOf(new Uint8Array(64)), Buffer.alloc(1000)];
      expect((await postRaw(url, { headers: headersOf(message), body: garbage, agent })).status).toBe(400);
      const nobody = headersOf(message, { authorization: 'Bearer tk_nobody' });
      expect((await postRaw(url, { headers: nobody, body: [await message.seal('{'), Buffer.alloc(1000)], agent })).status).toBe(401);
    }
    const message = await beginSealed(config);
    const body = [await message.seal(JSON.stringify(CHAT))];
    expect((await postRaw(url, { headers: headersOf(message), body, agent })).status).toBe(200);
    agent.destroy();
  });
});
