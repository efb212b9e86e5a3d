import { afterEach, describe, expect, test } from 'vitest';
import { CAP, eventually, KEY, readUntil, startGateway, type Gateway, type GatewayOptions } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };

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

/** Sends a call that can be left. */
function call(body: unknown): { readonly answering: Promise<Response>; readonly leave: () => void } {
  const controller = new AbortController();
  const answering = fetch(`${gateway.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: controller.signal,
  });
  answering.catch(() => undefined);
  return { answering, leave: () => controller.abort() };
}

describe('a caller that goes away', () => {
  test('in the middle of a stream pays for what the upstream made of it', async () => {
    await start({ chunkDelayMs: 20, text: 'one two three four five six' });
    const { answering, leave } = call({ ...CALL, stream: true });
    const reader = (await answering).body?.getReader();
    await reader?.read();
    leave();
    await eventually(() => gateway.calls.counters.abandoned).toBe(1);
    await gateway.calls.idle();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, completionTokens: 6, estimated: false, interrupted: false });
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 15n });
    expect(upstream.received[0]?.aborted).toBe(false);
  });

  test('while the upstream still works pays for its answer', async () => {
    await start({ gated: true });
    const { leave } = call(CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    leave();
    await eventually(() => gateway.calls.counters.abandoned).toBe(1);
    upstream.release();
    await gateway.calls.idle();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, completionTokens: 5, estimated: false });
  });

  test('from an upstream that does not end is settled by an estimate after a bounded time, and the upstream let go', async () => {
    await start({ fault: { kind: 'stall', afterPieces: 4 }, text: 'one two three four' }, { limits: { drainMs: 100 } });
    const { answering, leave } = call({ ...CALL, stream: true });
    const reader = (await answering).body?.getReader();
    await readUntil(reader, 'three');
    leave();
    await eventually(() => gateway.calls.counters.abandoned).toBe(1);
    await gateway.calls.idle();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 8, completionTokens: 3, estimated: true });
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 11n });
    await eventually(() => upstream.received[0]?.aborted).toBe(true);
    expect(gateway.calls.counters.answersCut).toBe(0);
  });

  test('before any answer, from an upstream that gives none, pays for the prompt', async () => {
    await start({ gated: true }, { limits: { drainMs: 100 } });
    const { leave } = call(CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    leave();
    await eventually(() => gateway.calls.counters.abandoned).toBe(1);
    await gateway.calls.idle();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 8, completionTokens: 0, estimated: true });
    await eventually(() => upstream.received[0]?.aborted).toBe(true);
  });

  test('before its call was sent pays nothing', async () => {
    await start({}, { flushMs: 200 });
    const { leave } = call(CALL);
    await eventually(() => gateway.failpoints).toContain('call.authenticated');
    leave();
    await eventually(() => gateway.failpoints).toContain('call.ended');
    await gateway.calls.idle();
    expect(upstream.received).toHaveLength(0);
    expect(gateway.ledger.usage).toHaveLength(0);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 0n });
  });
});

describe('a caller that takes nothing', () => {
  test('is cut off after as long as an upstream may be silent, and the call is settled', async () => {
    const piece = `data: ${JSON.stringify({ choices: [], pad: 'x'.repeat(65_536) })}\n\n`;
    const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 3 } })}\n\n`;
    const pieces = [...Array<string>(400).fill(piece), usage, 'data: [DONE]\n\n'];
    await start({ rawPieces: { contentType: 'text/event-stream', pieces } }, { limits: { upstreamTimeoutMs: 500 } });
    const { answering } = call({ ...CALL, stream: true });
    const answer = await answering;
    await gateway.calls.idle();
    expect(gateway.ledger.usage).toHaveLength(1);
    expect(gateway.account(CAP).reserved).toBe(0n);
    await expect(answer.text()).rejects.toThrow('terminated');
  });
});
