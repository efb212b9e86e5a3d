import { afterEach, describe, expect, test } from 'vitest';
import { eventually, CAP, startGateway, TENANT_MONEY, type Gateway } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

const CALL = { model: 'm1', input: 'hello there' };

let gateway: Gateway;
let upstream: OpenAiServer;

async function start(behaviour: Partial<OpenAiBehaviour> = {}): Promise<void> {
  upstream = await startOpenAiServer(behaviour);
  gateway = await startGateway({ upstreamUrls: [upstream.url] });
}

afterEach(async () => {
  // A test that failed may have left calls waiting.
  upstream.release();
  await gateway.close();
  await upstream.close();
});

describe('200', () => {
  test('holds the input only and settles with what was used', async () => {
    await start({ gated: true });
    gateway.allocate(CAP, 1000n);
    gateway.allocate(TENANT_MONEY, 1000n);
    const answering = gateway.post('/embeddings', CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    // 2 tokens, 8 for the input, 16 of overhead.
    expect(gateway.account(CAP).reserved).toBe(26n);
    expect(gateway.account(TENANT_MONEY).reserved).toBe(390n);
    upstream.release();
    const answer = await answering;
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-castellan-output-limit')).toBeNull();
    expect(await answer.json()).toMatchObject({ object: 'list', usage: { prompt_tokens: 2, total_tokens: 2 } });
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 2n });
    expect(gateway.account(TENANT_MONEY)).toMatchObject({ reserved: 0n, spent: 30n });
    expect(gateway.ledger.usage[0]).toMatchObject({
      route: '/embeddings',
      promptTokens: 2,
      completionTokens: 0,
      streaming: false,
      estimated: false,
    });
  });

  test('without usage the input is counted and nothing is taken for output', async () => {
    await start({ reportUsage: false });
    await (await gateway.post('/embeddings', CALL)).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 6, completionTokens: 0, estimated: true });
  });

  test('a total that stands alone is input', async () => {
    await start({ rawPieces: { contentType: 'application/json', pieces: ['{"data":[],"usage":{"total_tokens":7}}'] } });
    await (await gateway.post('/embeddings', CALL)).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 7, completionTokens: 0, estimated: false });
  });

  test('inputs may be tokens', async () => {
    await start();
    const answer = await gateway.post('/embeddings', { ...CALL, input: [[1, 2, 3], [4]] });
    expect(answer.status).toBe(200);
    expect(gateway.account(CAP).spent).toBe(4n);
  });
});

describe('400', () => {
  test.each([
    ['no input', { model: 'm1' }, 'input'],
    ['an empty list', { model: 'm1', input: [] }, 'input'],
    ['an object', { model: 'm1', input: {} }, 'input'],
    ['a stream', { ...CALL, stream: true }, 'stream'],
  ])('%s', async (_name, body, param) => {
    await start();
    const answer = await gateway.post('/embeddings', body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { param } });
    expect(gateway.commands).toHaveLength(0);
  });
});
