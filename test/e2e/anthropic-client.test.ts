import Anthropic, { APIUserAbortError } from '@anthropic-ai/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { messagesAnswer, messagesStream } from '../support/messages-upstream.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, type TestStore } from '../support/store-reader.ts';
import { UPSTREAM_KEY } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

/** The model of these tests costs 3, 0.3, 3.75 and 15 USD a million tokens: input, cache reads, cache writes and output. */
const config = (url: string): string => `
upstreams:
  - { id: claude, base_url: "${url}", api_key: "${UPSTREAM_KEY}", speaks: [anthropic] }
models:
  - id: claude
    upstreams: [{ id: claude, model: claude-up }]
    price: { input_per_1m: 3, cached_input_per_1m: 0.3, cache_write_input_per_1m: 3.75, output_per_1m: 15 }
    context_tokens: 200000
`;

const CALL = { model: 'claude', max_tokens: 64, messages: [{ role: 'user' as const, content: 'Who keeps the castle?' }] };
const CACHED = { input_tokens: 100, cache_creation_input_tokens: 40, cache_read_input_tokens: 600, output_tokens: 20 };
/** Nano-dollars of a call that reports the counts above. */
const CACHED_COST = 100n * 3000n + 40n * 3750n + 600n * 300n + 20n * 15_000n;

function testAnthropicClient(makeStore: () => Promise<TestStore>): void {
  let model: OpenAiServer;
  let server: TestServer;
  let http: HttpClient;
  let control: ControlPlane;
  let key: MadeKey;
  let client: Anthropic;
  let made = 0;

  beforeAll(async () => {
    model = await startOpenAiServer();
    server = await startServer({ store: await makeStore(), config: config(model.url) });
    http = makeHttpClient();
    control = makeControlPlane(server, http);
  });
  afterAll(async () => {
    await http.close();
    await server.dispose();
    await model.close();
  });
  beforeEach(async () => {
    made += 1;
    Object.assign(model.behaviour, { fault: null, chunkDelayMs: 0, rawPieces: null });
    key = await control.makeKey(control.firstTenant(), { name: `anthropic ${made}`, maxTokens: 1_000_000 });
    await control.setKeyBudget(key.id, 1_000_000_000n);
    client = new Anthropic({ apiKey: key.key, baseURL: server.runtime, maxRetries: 0 });
  });

  const usage = async (): Promise<{ prompt_tokens: number; completion_tokens: number; requests: number; cost: number }> =>
    (await control.asAdmin(control.firstTenant(), 'POST', '/api/billing/usage/key', { key: key.key })).json();
  const accounts = async (): Promise<Record<string, bigint>> => {
    const mine = (await readAccounts(server.reader())).filter(({ scope }) => scope === `key:${key.id}`);
    return Object.fromEntries(
      mine.flatMap(({ unit, spent, reserved }) => [
        [unit, spent],
        [`${unit} held`, reserved],
      ]),
    );
  };

  test('a message and a stream with a cache: the bill is exact, by its four kinds of tokens', async () => {
    model.behaviour.rawPieces = { contentType: 'application/json', pieces: [messagesAnswer(CACHED)] };
    const message = await client.messages.create(CALL);
    model.behaviour.rawPieces = {
      contentType: 'text/event-stream',
      pieces: messagesStream({ start: { ...CACHED, output_tokens: 1 }, text: ['a', 'b'], end: { output_tokens: 20 } }),
    };
    const streamed = await client.messages.stream(CALL).finalMessage();
    for (const { usage: shown } of [message, streamed]) expect(shown).toMatchObject(CACHED);
    expect(await usage()).toEqual({ prompt_tokens: 1480, completion_tokens: 40, requests: 2, cost: Number(CACHED_COST * 2n) / 1e9 });
    expect(await accounts()).toEqual({
      TOKENS: 1520n,
      'TOKENS held': 0n,
      USD_MICROCENTS: (CACHED_COST / 10n) * 2n,
      'USD_MICROCENTS held': 0n,
    });
    expect(model.received.at(-1)?.headers).toMatchObject({ 'x-api-key': UPSTREAM_KEY });
  });

  test('tokens are counted without a bill', async () => {
    const { max_tokens: _limit, ...question } = CALL;
    expect((await client.messages.countTokens(question)).input_tokens).toBeGreaterThan(5);
    expect(await usage()).toMatchObject({ requests: 0, cost: 0 });
  });

  test('a stream that its caller aborts is metered, and holds nothing', async () => {
    model.behaviour.chunkDelayMs = 10;
    const stream = client.messages.stream(CALL);
    stream.on('text', () => stream.abort());
    await expect(stream.finalMessage()).rejects.toThrow(APIUserAbortError);
    await waitUntil(async () => (await usage()).requests === 1);
    await waitUntil(async () => (await accounts())['TOKENS held'] === 0n);
    expect((await usage()).completion_tokens).toBeGreaterThan(0);
  });

  test('a cap that is used up is 402, which the client does not retry; a failing model is retried by it', async () => {
    model.behaviour.fault = { kind: 'status', status: 500 };
    const seen = model.received.length;
    const calling = client.withOptions({ maxRetries: 5 }).messages.create(CALL);
    await waitUntil(() => Promise.resolve(model.received.length > seen));
    model.behaviour.fault = null;
    await calling;
    expect(await usage()).toMatchObject({ requests: 1 });
    await control.asAdmin(control.firstTenant(), 'POST', '/api/keys/update', { key: key.key, max_tokens: 10 });
    const sent = model.received.length;
    await expect(client.withOptions({ maxRetries: 3 }).messages.create(CALL)).rejects.toMatchObject({
      status: 402,
      type: 'billing_error',
      error: { error: { code: 'cap_exceeded', account: { kind: 'key_cap' } } },
    });
    expect(model.received).toHaveLength(sent);
  });

  test('the books agree, and no key is in the log', async () => {
    const verified = await control.operator('POST', '/verify');
    expect(verified.json<{ discrepancies: unknown[] }>().discrepancies).toEqual([]);
    const logged = server.stdout() + server.stderr();
    for (const secret of [key.key, UPSTREAM_KEY]) expect(logged).not.toContain(secret);
  });
}

describe('the client of Anthropic on SQLite', () => {
  testAnthropicClient(() => Promise.resolve({ kind: 'sqlite' }));
});

describePostgres('the client of Anthropic on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());

  testAnthropicClient(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }));
});
