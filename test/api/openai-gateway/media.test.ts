import { afterEach, describe, expect, test } from 'vitest';
import {
  CAP,
  eventually,
  KEY,
  priceOf,
  startGateway,
  TENANT_MONEY,
  type Gateway,
  type GatewayOptions,
} from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

let gateway: Gateway;
let upstream: OpenAiServer;

async function start(behaviour: Partial<OpenAiBehaviour> = {}, options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer(behaviour);
  gateway = await startGateway({ upstreamUrls: [upstream.url], ...options });
}

afterEach(async () => {
  upstream.release();
  expect(gateway.calls.counters.holdViolations).toBe(0);
  await gateway.close();
  await upstream.close();
});

/** Makes `m1` cost nothing but `media`. */
function priceMedia(media: Parameters<typeof priceOf>[0]): void {
  gateway.prices.splice(0, 1, priceOf({ inputNanos: 0, outputNanos: 0, cachedInputNanos: null, ...media }));
}

const TYPE = 'multipart/form-data; boundary=----Own/Boundary_1';
const part = (name: string, value: string): string =>
  `------Own/Boundary_1\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const sound = (bytes: number): string =>
  `------Own/Boundary_1\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n${'\u0001'.repeat(bytes)}\r\n`;
const formOf = (...parts: string[]): string => `${parts.join('')}------Own/Boundary_1--\r\n`;

const transcribe = (body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  gateway.post('/audio/transcriptions', body, { 'content-type': TYPE, ...headers });

const codeOf = async (answer: Response): Promise<{ status: number; code: string | null; param: string | null }> => {
  const { error } = (await answer.json()) as { error: { code: string | null; param: string | null } };
  return { status: answer.status, code: error.code, param: error.param };
};

describe('transcriptions', () => {
  test('the form goes on as it was sent, but for the name of the model', async () => {
    await start();
    const form = (model: string): string => formOf(part('language', 'de'), part('model', model), part('prompt', 'Grüße'), sound(5000));
    const answer = await transcribe(form('m1'));
    expect(answer.status).toBe(200);
    await answer.text();
    expect(upstream.received[0]?.headers['content-type']).toBe(TYPE);
    expect(upstream.received[0]?.bodyText).toBe(form('up-m1'));
    expect(upstream.received[0]?.headers.authorization).toBeUndefined();
    expect(gateway.ledger.usage[0]).toMatchObject({ route: '/audio/transcriptions', requests: 1, estimated: false });
  });

  test('hold the context where no longest audio is declared, and all output; both are returned', async () => {
    await start({ gated: true });
    gateway.allocate(CAP, 100_000n);
    const answering = transcribe(formOf(part('model', 'm1'), sound(5000)));
    await eventually(() => upstream.waiting()).toBe(1);
    // 8 for the prompt, 16 of overhead, the context for the sound; all that the model can produce.
    expect(gateway.account(CAP).reserved).toBe(8n + 16n + 8192n + 2048n);
    upstream.release();
    const { usage } = (await (await answering).json()) as { usage: { total_tokens: number } };
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: BigInt(usage.total_tokens) });
  });

  test('a price for a second is held for the longest audio, and charged for what was heard', async () => {
    await start({ gated: true }, { model: { maxAudioSeconds: 60 } });
    priceMedia({ secondNanos: 100_000 });
    gateway.allocate(TENANT_MONEY, 10_000_000n);
    const answering = transcribe(formOf(part('model', 'm1'), part('response_format', 'verbose_json'), sound(40_000)));
    await eventually(() => upstream.waiting()).toBe(1);
    expect(gateway.account(TENANT_MONEY).reserved).toBe(60n * 10_000n);
    upstream.release();
    expect((await answering).status).toBe(200);
    // 2.5 seconds; a begun one is whole.
    expect(gateway.account(TENANT_MONEY)).toMatchObject({ reserved: 0n, spent: 3n * 10_000n });
    expect(gateway.ledger.usage[0]).toMatchObject({ media: { unit: 'seconds', quantity: 3 }, costNanoUsd: 300_000n, estimated: false });
  });

  test('where nobody tells the seconds they are estimated by the size of the file', async () => {
    await start();
    priceMedia({ secondNanos: 100_000 });
    await (await transcribe(formOf(part('model', 'm1'), part('response_format', 'text'), sound(40_000)))).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ media: { unit: 'seconds', quantity: 5 }, costNanoUsd: 500_000n, estimated: true });
  });

  test('a text that looks like a usage is none', async () => {
    const text = '{"usage":{"input_tokens":5000,"output_tokens":5000},"duration":99}';
    await start({ rawPieces: { contentType: 'text/plain', pieces: [text] } });
    const answer = await transcribe(formOf(part('model', 'm1'), part('response_format', 'text'), sound(100)));
    expect(await answer.text()).toBe(text);
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 0, completionTokens: 0 });
    expect(gateway.ledger.usage[0]?.media).toBeUndefined();
  });

  test.each([
    ['no model', [sound(9)], 'model'],
    ['two models', [part('model', 'm1'), part('model', 'm2'), sound(9)], 'model'],
    ['no file', [part('model', 'm1')], 'file'],
    ['a stream that is no flag', [part('model', 'm1'), part('stream', 'yes'), sound(9)], 'stream'],
    ['an unknown model', [part('model', 'nope'), sound(9)], 'model'],
  ])('%s is refused, and nothing is done', async (_name, parts, param) => {
    await start();
    const { status, param: named } = await codeOf(await transcribe(formOf(...parts)));
    expect({ status: status === 404 ? 400 : status, named }).toEqual({ status: 400, named: param });
    expect(upstream.received).toHaveLength(0);
    expect(gateway.commands).toHaveLength(0);
  });

  test.each([
    ['JSON', 'application/json', 415],
    ['no type', 'text/plain', 415],
    ['a form without a boundary', 'multipart/form-data', 400],
    ['another boundary', 'multipart/form-data; boundary=other', 400],
  ])('%s is %i', async (_name, type, status) => {
    await start();
    expect((await transcribe(formOf(part('model', 'm1'), sound(9)), { 'content-type': type })).status).toBe(status);
    expect(gateway.commands).toHaveLength(0);
  });

  test('a form above the limit is 413, and one without a key is refused before it is read', async () => {
    await start({}, { maxBodyBytes: 2000 });
    expect((await transcribe(formOf(part('model', 'm1'), sound(3000)))).status).toBe(413);
    const stranger = await transcribe(formOf(part('model', 'm1'), sound(9)), { authorization: `Bearer ${KEY.replace('1', '2')}` });
    expect(stranger.status).toBe(401);
  });

  test('a stream that breaks off is cut, and counted by its text', async () => {
    await start({ fault: { kind: 'reset_mid_body', afterPieces: 4 } });
    const answer = await transcribe(formOf(part('model', 'm1'), part('stream', 'true'), sound(100)));
    await expect(answer.text()).rejects.toThrow('terminated');
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: true, promptTokens: 0 });
    expect(gateway.ledger.usage[0]?.completionTokens).toBeGreaterThan(0);
  });
});

describe('speech', () => {
  const CALL = { model: 'm1', input: 'Open the gate! '.repeat(40), voice: 'alloy' };

  test('its first sound is there before its last is made', async () => {
    await start({ chunkDelayMs: 150 });
    const answer = await gateway.post('/audio/speech', CALL);
    const reader = answer.body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined;
    const first = await reader?.read();
    expect(Buffer.from(first?.value ?? []).toString('latin1', 0, 4)).toBe('RIFF');
    expect(upstream.inFlight()).toBe(1);
    expect(gateway.ledger.usage).toHaveLength(0);
    let bytes = first?.value?.length ?? 0;
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) bytes += next.value.length;
    expect(bytes).toBe(44 + CALL.input.length * 160);
    expect(gateway.ledger.usage).toHaveLength(1);
  });

  test('a price for characters is held and charged exactly', async () => {
    await start({ gated: true });
    priceMedia({ characterNanos: 15_000 });
    gateway.allocate(TENANT_MONEY, 10_000_000n);
    const answering = gateway.post('/audio/speech', { ...CALL, input: 'Grüße 😀' });
    await eventually(() => upstream.waiting()).toBe(1);
    expect(gateway.account(TENANT_MONEY).reserved).toBe(7n * 1500n);
    upstream.release();
    await (await answering).arrayBuffer();
    expect(gateway.account(TENANT_MONEY)).toMatchObject({ reserved: 0n, spent: 7n * 1500n });
    expect(gateway.ledger.usage[0]).toMatchObject({ media: { unit: 'characters', quantity: 7 }, estimated: false });
  });

  test('a money budget that cannot pay for its characters refuses it', async () => {
    await start();
    priceMedia({ characterNanos: 15_000 });
    gateway.allocate(TENANT_MONEY, 100n);
    expect(await codeOf(await gateway.post('/audio/speech', CALL))).toMatchObject({ status: 402, code: 'budget_exceeded' });
    expect(upstream.received).toHaveLength(0);
  });

  test('sound that breaks off is cut, and its characters are charged', async () => {
    await start({ fault: { kind: 'reset_mid_body', afterPieces: 3 } });
    priceMedia({ characterNanos: 15_000 });
    const answer = await gateway.post('/audio/speech', CALL);
    await expect(answer.arrayBuffer()).rejects.toThrow('terminated');
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: true, media: { quantity: CALL.input.length } });
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test("what the upstream refuses is the caller's to know, and free", async () => {
    await start();
    expect(await codeOf(await gateway.post('/audio/speech', { ...CALL, response_format: 'mp3' }))).toMatchObject({
      status: 400,
      param: 'response_format',
    });
    expect(gateway.ledger.usage).toHaveLength(0);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });
});

describe('images', () => {
  const CALL = { model: 'm1', prompt: 'a castle' };

  test('hold for all that each may take, and settle with what was used', async () => {
    await start({ gated: true });
    gateway.allocate(CAP, 100_000n);
    const answering = gateway.post('/images/generations', { ...CALL, n: 3 });
    await eventually(() => upstream.waiting()).toBe(1);
    expect(gateway.account(CAP).reserved).toBe(2n + 8n + 16n + 3n * 2048n);
    upstream.release();
    const { usage } = (await (await answering).json()) as { usage: { total_tokens: number } };
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: BigInt(usage.total_tokens) });
  });

  test('a price for an image is charged for those that came', async () => {
    const data = [{ b64_json: 'AAAA' }, { b64_json: 'AAAA' }];
    await start({ gated: true, rawPieces: { contentType: 'application/json', pieces: [JSON.stringify({ created: 1, data })] } });
    priceMedia({ imageNanos: 40_000_000 });
    gateway.allocate(TENANT_MONEY, 100_000_000n);
    const answering = gateway.post('/images/generations', { ...CALL, n: 4 });
    await eventually(() => upstream.waiting()).toBe(1);
    expect(gateway.account(TENANT_MONEY).reserved).toBe(16_000_000n);
    upstream.release();
    await (await answering).text();
    expect(gateway.account(TENANT_MONEY)).toMatchObject({ reserved: 0n, spent: 8_000_000n });
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 0, media: { unit: 'images', quantity: 2 }, estimated: false });
  });

  test('an answer too large to be gathered passes through, and its usage and images are found', async () => {
    const image = { b64_json: 'A'.repeat(1_500_000) };
    const body = JSON.stringify({ created: 1, data: [image, image], usage: { input_tokens: 9, output_tokens: 272, total_tokens: 281 } });
    await start({ rawPieces: { contentType: 'application/json', pieces: [body] } });
    const answer = await gateway.post('/images/generations', { ...CALL, n: 2 });
    expect(await answer.text()).toBe(body);
    expect(gateway.ledger.usage[0]).toMatchObject({
      promptTokens: 9,
      completionTokens: 272,
      estimated: false,
      media: { unit: 'images', quantity: 2 },
    });
  });

  test('a streamed image of many megabytes tells its usage', async () => {
    const usage = { input_tokens: 9, output_tokens: 272, total_tokens: 281 };
    const fields = { type: 'image_generation.completed', b64_json: 'A'.repeat(6_000_000), usage };
    const pieces = [`event: ${fields.type}\ndata: ${JSON.stringify(fields)}\n\n`];
    await start({ rawPieces: { contentType: 'text/event-stream', pieces } });
    const answer = await gateway.post('/images/generations', { ...CALL, stream: true });
    expect((await answer.text()).length).toBe(pieces.join('').length);
    expect(gateway.ledger.usage[0]).toMatchObject({ completionTokens: 272, estimated: false, media: { quantity: 1 } });
  });
});

describe('a list of models', () => {
  test('shows what media costs', async () => {
    await start();
    priceMedia({ secondNanos: 100_000, characterNanos: 15_000, imageNanos: 40_000_000 });
    const answer = await fetch(`${gateway.url}/models/m1`, { headers: { authorization: `Bearer ${KEY}` } });
    expect(await answer.json()).toMatchObject({ pricing: { secondPrice: 0.0001, characterPricePer1M: 15, imagePrice: 0.04 } });
  });
});
