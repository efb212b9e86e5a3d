import { afterEach, describe, expect, test } from 'vitest';
import { CAP, eventually, startGateway, TENANT, type Gateway, type GatewayOptions } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };

let gateway: Gateway;
let upstream: OpenAiServer;

async function start(options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer();
  gateway = await startGateway({ upstreamUrls: [upstream.url], ...options });
}

afterEach(async () => {
  gateway.failVerb = null;
  gateway.loseVerb = null;
  await gateway.close();
  await upstream.close();
});

describe('503', () => {
  test('where no hold can be made nothing is relayed', async () => {
    await start();
    gateway.failVerb = 'reserve';
    const answer = await gateway.post('/chat/completions', CALL);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await answer.json()).toEqual({
      error: { message: 'The store does not answer.', type: 'api_error', param: null, code: 'store_unavailable' },
    });
    expect(upstream.received).toHaveLength(0);
    await gateway.calls.idle();
    expect(gateway.ledger.reservations.size).toBe(0);
  });
});

describe('a lost answer of the store', () => {
  test('to a hold: nothing is relayed, and the hold that was made is returned and not charged', async () => {
    await start();
    gateway.loseVerb = 'reserve';
    expect((await gateway.post('/chat/completions', CALL)).status).toBe(503);
    gateway.loseVerb = null;
    await gateway.calls.idle();
    expect(upstream.received).toHaveLength(0);
    expect([...gateway.ledger.reservations.values()].map(({ state }) => state)).toEqual(['RELEASED']);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 0n });
    expect(gateway.ledger.usage).toHaveLength(0);
  });

  test('to a settlement: the call is booked once, however often that is tried', async () => {
    await start();
    gateway.loseVerb = 'settle-call';
    await expect(gateway.post('/chat/completions', CALL)).rejects.toThrow('fetch failed');
    await eventually(() => gateway.commands.filter(({ verb }) => verb === 'settle-call').length).toBeGreaterThan(1);
    gateway.loseVerb = null;
    await gateway.calls.idle();
    expect(gateway.ledger.usage).toHaveLength(1);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 14n });
  });
});

describe('a call that another node has settled meanwhile', () => {
  test.each([false, true])('is cut, counted and logged, and what was booked stands (stream: %s)', async (stream) => {
    await start();
    upstream.behaviour.gated = true;
    const answer = gateway.post('/chat/completions', { ...CALL, stream }).then((response) => response.text());
    answer.catch(() => undefined);
    await eventually(() => upstream.waiting()).toBe(1);
    const [hold] = gateway.ledger.reservations.values();
    const id = hold?.id ?? '';
    const actuals = { tokens: 3n, microcents: 0n };
    gateway.ledger.run(
      { verb: 'settle-call', id: `${id}.interrupted`, tenantId: TENANT, reservationId: id, actuals, usage: null },
      Date.now(),
    );
    upstream.release();
    await expect(answer).rejects.toThrow(stream ? /terminated|fetch failed/ : 'fetch failed');
    await gateway.calls.idle();
    expect(gateway.calls.counters).toMatchObject({ settledElsewhere: 1, answersCut: 1 });
    expect(gateway.logged.filter(({ level }) => level === 'error').map(({ fields }) => fields['callId'])).toEqual([id]);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 3n });
  });
});

test('a wall clock that steps back keeps no hold from being extended', async () => {
  let stepMs = 0;
  await start({ limits: { holdTtlMs: 600 }, wallMs: () => Date.now() + stepMs });
  upstream.behaviour.gated = true;
  const answer = gateway.post('/chat/completions', CALL);
  await eventually(() => upstream.waiting()).toBe(1);
  const end = (): number => Math.max(...[...gateway.ledger.reservations.values()].map(({ expiresAtMs }) => expiresAtMs));
  const endAtFirst = end();
  stepMs = -3_600_000;
  await eventually(end).toBeGreaterThan(endAtFirst + 1000);
  upstream.release();
  expect((await answer).status).toBe(200);
});

describe('an answer that cannot be booked', () => {
  test.each([false, true])('is cut, and booked as soon as the store is back (stream: %s)', async (stream) => {
    await start();
    gateway.failVerb = 'settle-call';
    await expect(gateway.post('/chat/completions', { ...CALL, stream }).then((answer) => answer.text())).rejects.toThrow(
      stream ? /terminated|fetch failed/ : 'fetch failed',
    );
    expect(gateway.calls.counters).toMatchObject({ settleRetries: 1, answersCut: 1 });
    expect(gateway.ledger.usage).toHaveLength(0);
    gateway.failVerb = null;
    await gateway.calls.idle();
    expect(gateway.ledger.usage).toHaveLength(1);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 14n });
  });

  test('shows the caller everything of a stream but its end', async () => {
    await start();
    upstream.behaviour.chunkDelayMs = 5;
    gateway.failVerb = 'settle-call';
    const answer = await gateway.post('/chat/completions', { ...CALL, stream: true });
    let text = '';
    await expect(
      (async () => {
        for await (const chunk of answer.body ?? []) text += new TextDecoder().decode(chunk as Uint8Array);
      })(),
    ).rejects.toThrow('terminated');
    expect(text).toContain('"finish_reason":"stop"');
    expect(text).not.toContain('[DONE]');
  });
});
