import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { CallSink } from '../../../src/app/calls/call-types.ts';
import {
  CAP,
  eventually,
  KEY,
  readUntil,
  startGateway,
  TENANT_MONEY,
  type Gateway,
  type GatewayOptions,
} from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';
import { sendRaw } from '../../support/raw-http.ts';

const STREAM = { model: 'm1', stream: true, messages: [{ role: 'user', content: 'hello there' }] };

let gateway: Gateway;
let upstream: OpenAiServer;

async function start(behaviour: Partial<OpenAiBehaviour> = {}, options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer(behaviour);
  gateway = await startGateway({ upstreamUrls: [upstream.url], ...options });
}

afterEach(async () => {
  // A test that failed may have left calls waiting.
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const events = (...payloads: string[]): string[] => payloads.map((payload) => `data: ${payload}\n\n`);
const delta = (content: string): string => JSON.stringify({ model: 'up-m1', choices: [{ index: 0, delta: { content } }] });
const usageChunk = (prompt: number, completion: number): string =>
  JSON.stringify({ model: 'up-m1', choices: [], usage: { prompt_tokens: prompt, completion_tokens: completion } });
const raw = (pieces: string[]): Partial<OpenAiBehaviour> => ({ rawPieces: { contentType: 'text/event-stream', pieces } });

interface RawAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly trailers: NodeJS.Dict<string>;
  readonly text: string;
  /** The connection broke before the answer ended. */
  readonly cut: boolean;
}

/** A request by Node's own client, which shows trailers; `fetch` hides them. */
function rawPost(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { port: gateway.port, host: '127.0.0.1', method: 'POST', path: '/v1/chat/completions', agent: false },
      (response) => {
        let text = '';
        const finish = (cut: boolean): void =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, trailers: response.trailers, text, cut });
        response.on('data', (chunk: Buffer) => void (text += chunk.toString()));
        response.on('end', () => finish(!response.complete));
        response.on('error', () => finish(true));
      },
    );
    request.on('error', reject);
    request.setHeader('authorization', `Bearer ${KEY}`);
    request.setHeader('content-type', 'application/json');
    for (const [name, value] of Object.entries(headers)) request.setHeader(name, value);
    request.end(JSON.stringify(body));
  });
}

describe('200', () => {
  test('the usage that the caller did not ask for is taken out with its blank line, and billed', async () => {
    await start(raw([...events(delta('a'), delta('b'), usageChunk(9, 2)), 'data: [DONE]\n\n']));
    const answer = await gateway.post('/chat/completions', STREAM);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(await answer.text()).toBe([...events(delta('a'), delta('b')), 'data: [DONE]\n\n'].join(''));
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).toMatchObject({ stream_options: { include_usage: true } });
    expect(gateway.account(CAP)).toMatchObject({ spent: 11n, reserved: 0n });
    expect(gateway.ledger.usage[0]).toMatchObject({ streaming: true, estimated: false, promptTokens: 9, completionTokens: 2 });
  });

  test('the usage that the caller asked for stays', async () => {
    const pieces = [...events(delta('a'), usageChunk(9, 1)), 'data: [DONE]\n\n'];
    await start(raw(pieces));
    const answer = await gateway.post('/chat/completions', { ...STREAM, stream_options: { include_usage: true } });
    expect(await answer.text()).toBe(pieces.join(''));
    expect(gateway.account(CAP).spent).toBe(10n);
  });

  test('every byte passes as sent, comments and odd line ends too', async () => {
    const pieces = [
      ': keep-alive\n\n',
      'event: x\r\n',
      'data:  {"choices" : [ ]}\r\n\r\n',
      'data: {"a":',
      '1}\n',
      '\ndata: [DONE]\n',
      '\n',
    ];
    await start({ ...raw(pieces), chunkDelayMs: 5 });
    const answer = await gateway.post('/chat/completions', { ...STREAM, stream_options: { include_usage: true } });
    expect(await answer.text()).toBe(pieces.join(''));
  });

  test('the first event arrives before the last one is made', async () => {
    await start({ chunkDelayMs: 100, text: 'one two three four' });
    const answer = await gateway.post('/chat/completions', STREAM);
    const reader = answer.body?.getReader();
    const first = await reader?.read();
    expect(first?.done).toBe(false);
    expect(gateway.calls.active).toBe(1);
    expect(gateway.ledger.usage).toHaveLength(0);
    while ((await reader?.read())?.done === false);
    expect(gateway.ledger.usage).toHaveLength(1);
  });

  test('everything but the end passes at once; the end waits until the call is booked', async () => {
    await start({ chunkDelayMs: 5, text: 'one two three' }, { flushMs: 150 });
    const booked: number[] = [];
    const answer = await gateway.post('/chat/completions', STREAM);
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk as Uint8Array);
      if (text.includes('"stop"') && !text.includes('[DONE]')) booked.push(gateway.ledger.usage.length);
      if (text.includes('[DONE]')) booked.push(gateway.ledger.usage.length);
    }
    expect(booked[0]).toBe(0);
    expect(booked.at(-1)).toBe(1);
  });

  test('an upstream that keeps its connection open after the end does not keep the caller waiting', async () => {
    await start({ fault: { kind: 'stall', afterPieces: 3 }, ...raw([...events(delta('a'), usageChunk(9, 1)), 'data: [DONE]\n\n']) });
    const startedMs = performance.now();
    const answer = await gateway.post('/chat/completions', STREAM);
    expect(await answer.text()).toMatch(/\[DONE\]\n\n$/);
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: false, completionTokens: 1 });
  });

  test('where the upstream reports nothing, the text is counted and flagged as an estimate', async () => {
    await start({ reportUsage: false });
    await (await gateway.post('/chat/completions', STREAM)).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 8, completionTokens: 5, estimated: true });
  });

  test('the last nonzero value of each count is the one that counts', async () => {
    await start(raw([...events(usageChunk(9, 0), delta('a'), usageChunk(9, 3), usageChunk(0, 0)), 'data: [DONE]\n\n']));
    await (await gateway.post('/chat/completions', STREAM)).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, completionTokens: 3, estimated: false });
  });

  test('a stream that ends without its terminal event is whole all the same', async () => {
    const pieces = events(delta('a'), usageChunk(9, 1));
    await start(raw(pieces));
    const answer = await rawPost(STREAM);
    expect(answer).toMatchObject({ cut: false, text: pieces[0] });
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, completionTokens: 1, estimated: false });
  });

  test('JSON in answer to a stream request is metered as JSON', async () => {
    await start({ rawPieces: { contentType: 'application/json', pieces: ['{"usage":{"prompt_tokens":1,"completion_tokens":2}}'] } });
    await (await gateway.post('/chat/completions', STREAM)).text();
    expect(gateway.account(CAP).spent).toBe(3n);
  });

  test('continuous usage is asked for where the upstream takes it', async () => {
    await start();
    const record = gateway.upstreams.get('u1');
    if (record !== undefined) gateway.upstreams.set('u1', { ...record, continuousUsage: true });
    await (await gateway.post('/chat/completions', STREAM)).text();
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).toMatchObject({
      stream_options: { include_usage: true, continuous_usage_stats: true },
    });
  });
});

describe('200, the usage trailer', () => {
  test('is announced and sent to those who ask', async () => {
    await start();
    const answer = await rawPost(STREAM, { 'X-Tinfoil-Request-Usage-Metrics': 'true' });
    expect(answer.headers).toMatchObject({ trailer: 'X-Tinfoil-Usage-Metrics', 'transfer-encoding': 'chunked' });
    expect(answer.trailers).toEqual({
      'x-tinfoil-usage-metrics':
        'prompt=9,completion=5,total=14,cached_prompt_tokens=0,uncached_prompt_tokens=9,model=m1,cost_usd=0.00000435',
    });
  });

  test('is not there for others', async () => {
    await start();
    const answer = await rawPost(STREAM);
    expect(answer.headers).not.toHaveProperty('trailer');
    expect(answer.trailers).toEqual({});
  });
});

describe('a stream that breaks off', () => {
  test('is cut for the caller and settled with what was seen of it', async () => {
    await start({ fault: { kind: 'reset_mid_body', afterPieces: 3 }, text: 'one two three four five' });
    gateway.allocate(TENANT_MONEY, 1_000_000n);
    const answer = await rawPost(STREAM);
    expect(answer.cut).toBe(true);
    await gateway.calls.idle();
    const [event] = gateway.ledger.usage;
    // The opening chunk and the first two words.
    expect(event).toMatchObject({ promptTokens: 8, completionTokens: 2, estimated: true, interrupted: false, costNanoUsd: 2400n });
    expect(gateway.account(CAP)).toMatchObject({ spent: 10n, reserved: 0n });
    expect(gateway.account(TENANT_MONEY)).toMatchObject({ spent: 240n, reserved: 0n });
    expect(gateway.calls.counters.answersCut).toBe(1);
  });

  test('keeps what it had reported, and adds what came after', async () => {
    const pieces = [...events(delta('one'), usageChunk(9, 50), delta(' two'), delta(' three')), 'data: [DONE]\n\n'];
    await start({ fault: { kind: 'reset_mid_body', afterPieces: 4 }, ...raw(pieces) });
    await rawPost(STREAM);
    await gateway.calls.idle();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, completionTokens: 52, estimated: true });
  });
});

describe('a hold in flight', () => {
  test('is extended while its stream lives, with the output seen so far', async () => {
    await start({ chunkDelayMs: 60, text: 'one two three four five six seven eight' }, { limits: { holdTtlMs: 150, holdGraceMs: 0 } });
    const answering = gateway.post('/chat/completions', STREAM).then((answer) => answer.text());
    await eventually(() => gateway.commands.filter(({ verb }) => verb === 'keep-call').length).toBeGreaterThan(1);
    const [reservation] = gateway.ledger.reservations.values();
    expect(reservation).toMatchObject({ state: 'ACTIVE', ownerId: 'run_1' });
    expect((reservation?.expiresAtMs ?? 0) - (reservation?.createdAtMs ?? 0)).toBeGreaterThan(150);
    await answering;
    const kept = gateway.commands.filter((command) => command.verb === 'keep-call');
    expect(kept[0]?.checkpoint).toMatchObject({ upstream: 0 });
    expect(gateway.calls.counters.lateSettles).toBe(0);
    expect([...gateway.ledger.reservations.values()][0]).toMatchObject({ state: 'COMMITTED' });
  });

  test('is checkpointed with what its stream has put out', async () => {
    await start({ fault: { kind: 'stall', afterPieces: 4 }, text: 'one two three four five' }, { limits: { drainMs: 1 } });
    const controller = new AbortController();
    const answer = await fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(STREAM),
      signal: controller.signal,
    });
    const reader = answer.body?.getReader();
    await readUntil(reader, 'three');
    gateway.calls.tick();
    await eventually(() => gateway.commands.some(({ verb }) => verb === 'keep-call')).toBe(true);
    const kept = gateway.commands.findLast((command) => command.verb === 'keep-call');
    controller.abort();
    await gateway.calls.idle();
    expect(kept?.checkpoint).toEqual({ upstream: 0, output: 3 });
  });

  test('that ran out is settled by a debit, exactly once', async () => {
    await start({ gated: true }, { limits: { holdTtlMs: 60_000 } });
    gateway.allocate(CAP, 100_000n);
    const answering = gateway.post('/chat/completions', STREAM).then((answer) => answer.text());
    await eventually(() => upstream.waiting()).toBe(1);
    const [reservation] = gateway.ledger.reservations.values();
    if (reservation === undefined) throw new Error('no hold');
    gateway.ledger.run({ verb: 'expire', id: 'x', tenantId: 'acme', reservationId: reservation.id }, reservation.expiresAtMs + 5001);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 0n });
    upstream.release();
    await answering;
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 14n });
    expect(gateway.ledger.reservation(reservation.id)).toMatchObject({ state: 'EXPIRED', charged: [14n] });
    expect(gateway.ledger.usage).toHaveLength(1);
  });
});

describe('a caller that reads slowly', () => {
  const piece = `data: ${JSON.stringify({ choices: [], pad: 'x'.repeat(65_536) })}\n\n`;

  test('takes nothing from its upstream that it has not asked for', async () => {
    await start(raw([...Array<string>(50).fill(piece), 'data: [DONE]\n\n']));
    const [key] = gateway.keys.values();
    const tenant = gateway.ledger.tenants.get('acme');
    if (key === undefined || tenant === undefined) throw new Error('no key');
    let open = (): void => {};
    let written = 0;
    const sink: CallSink = {
      gone: false,
      begun: false,
      onGone: () => {},
      send: () => {},
      begin: () => {},
      write: (bytes) => {
        written += bytes.length;
        return false;
      },
      drained: () => new Promise((resolve) => (open = resolve)),
      end: () => {},
      cut: () => {},
    };
    const body = Buffer.from(JSON.stringify(STREAM));
    const relayed = gateway.calls.relay({
      requestId: 'req_1',
      key,
      tenant,
      kind: 'chat',
      route: '/chat/completions',
      body,
      headers: {},
      sink,
    });
    await eventually(() => written).toBeGreaterThan(0);
    const first = written;
    // Whatever the upstream has sent meanwhile lies in bounded buffers below; nothing of it was read.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(written).toBe(first);
    expect(gateway.ledger.usage).toHaveLength(0);
    const opening = setInterval(() => open(), 1);
    expect(await relayed).toEqual({ kind: 'answered' });
    clearInterval(opening);
    expect(written).toBe(piece.length * 50);
    expect(gateway.ledger.usage).toHaveLength(1);
  });

  test('gets everything in the end, and is booked only then', async () => {
    const pieces = [...Array<string>(100).fill(piece), 'data: [DONE]\n\n'];
    await start(raw(pieces));
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest(
        { port: gateway.port, host: '127.0.0.1', method: 'POST', path: '/v1/chat/completions', agent: false },
        resolve,
      );
      request.on('error', reject);
      request.setHeader('authorization', `Bearer ${KEY}`);
      request.setHeader('content-type', 'application/json');
      request.end(JSON.stringify(STREAM));
    });
    expect(gateway.ledger.usage).toHaveLength(0);
    let bytes = 0;
    for await (const chunk of answer) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(pieces.join('').length);
    expect(gateway.ledger.usage).toHaveLength(1);
  });
});

describe('HTTP/1.0, which has no chunks and so no trailers', () => {
  test('a stream that asks for its usage is answered, booked and leaves no hold', async () => {
    await start({});
    const body = JSON.stringify({ model: 'm1', stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] });
    const head = [
      'POST /v1/chat/completions HTTP/1.0',
      `Authorization: Bearer ${KEY}`,
      'Content-Type: application/json',
      'X-Tinfoil-Request-Usage-Metrics: true',
      `Content-Length: ${body.length}`,
    ];
    const answer = await sendRaw(`http://127.0.0.1:${gateway.port}`, [`${head.join('\r\n')}\r\n\r\n${body}`]);
    expect(answer.status).toBe(200);
    expect(answer.headers).not.toHaveProperty('trailer');
    expect(answer.body).toContain('data: [DONE]');
    expect(gateway.ledger.usage).toHaveLength(1);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });
});
