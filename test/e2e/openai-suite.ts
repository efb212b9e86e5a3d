import OpenAI, { APIConnectionTimeoutError, APIError } from 'openai';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, type TestStore } from '../support/store-reader.ts';
import { TEST_MODEL, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

/** What the usage API tells of one key. */
interface KeyUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly requests: number;
  readonly cost: number;
}

const MESSAGES = [{ role: 'user' as const, content: 'Who keeps the keys, the treasury and the gates of the castle?' }];
const WEATHER_TOOL = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather of a place',
    parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
};

/** Defines the tests of the unmodified `openai` client against one store. */
export function testOpenAiClient(makeStore: () => Promise<TestStore>): void {
  let model: OpenAiServer;
  let server: TestServer;
  let client: HttpClient;
  let control: ControlPlane;
  let key: MadeKey;
  let openai: OpenAI;
  let made = 0;

  beforeAll(async () => {
    model = await startOpenAiServer();
    server = await startServer({ store: await makeStore(), config: testConfig(model.url) });
    client = makeHttpClient();
    control = makeControlPlane(server, client);
  });

  afterAll(async () => {
    await client.close();
    await server.dispose();
    await model.close();
  });

  // Each test has a key of its own, so that its usage is that of its own calls.
  beforeEach(async () => {
    made += 1;
    Object.assign(model.behaviour, { gated: false, fault: null, headerDelayMs: 0, chunkDelayMs: 0, reportUsage: true });
    key = await control.makeKey(control.firstTenant(), { name: `openai ${made}`, maxTokens: 1_000_000 });
    await control.setKeyBudget(key.id, 1_000_000_000n);
    openai = new OpenAI({ apiKey: key.key, baseURL: `${server.runtime}/v1`, maxRetries: 0 });
  });

  const usageOfKey = async (): Promise<KeyUsage> =>
    (await control.asAdmin(control.firstTenant(), 'POST', '/api/billing/usage/key', { key: key.key })).json<KeyUsage>();

  const accountsOfKey = async (): Promise<{ spent: bigint; reserved: bigint }[]> => {
    const reader = server.reader();
    return (await readAccounts(reader)).filter(({ scope }) => scope === `key:${key.id}`);
  };

  /** The usage API, the live counters and the token account tell the same, exactly, and nothing is held any more. */
  const expectUsed = async (calls: readonly { prompt_tokens: number; completion_tokens: number }[]): Promise<void> => {
    const prompt = calls.reduce((sum, call) => sum + call.prompt_tokens, 0);
    const completion = calls.reduce((sum, call) => sum + call.completion_tokens, 0);
    const cost = Number(BigInt(prompt) * 2000n + BigInt(completion) * 10_000n) / 1e9;
    await waitUntil(async () => (await accountsOfKey()).every(({ reserved }) => reserved === 0n));
    expect(await usageOfKey()).toEqual({ prompt_tokens: prompt, completion_tokens: completion, requests: calls.length, cost });
    const [tokens] = await accountsOfKey();
    expect(tokens?.spent).toBe(BigInt(prompt + completion));
  };

  test('chat answers, and its usage is in the usage API', async () => {
    const answer = await openai.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES });
    expect(answer.choices[0]?.message.content).toContain('castle');
    expect(answer.usage?.total_tokens).toBeGreaterThan(0);
    await expectUsed([answer.usage!]);
  });

  test('a stream comes in pieces and in order, with its usage where it was asked for', async () => {
    const stream = await openai.chat.completions.create({
      model: TEST_MODEL,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let pieces = 0;
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      pieces += 1;
      usage = chunk.usage ?? usage;
    }
    expect(text).toContain('castle');
    expect(pieces).toBeGreaterThan(3);
    await expectUsed([usage!]);
  });

  test('a stream without asking for usage shows none, and is metered all the same', async () => {
    const stream = await openai.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES, stream: true });
    for await (const chunk of stream) {
      expect(chunk.usage ?? null).toBeNull();
      expect(chunk.choices).not.toEqual([]);
    }
    const plain = await openai.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES });
    await expectUsed([plain.usage!, plain.usage!]);
  });

  test('a tool is called, plain and streamed, and its answer is taken back', async () => {
    const request = { model: TEST_MODEL, messages: MESSAGES, tools: [WEATHER_TOOL], tool_choice: 'required' as const };
    const called = await openai.chat.completions.create(request);
    const message = called.choices[0]!.message;
    const [toolCall] = message.tool_calls ?? [];
    expect(toolCall).toMatchObject({ type: 'function', function: { name: 'get_weather' } });
    const streamed = openai.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
    const whole = await streamed.finalChatCompletion();
    expect(whole.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'get_weather' } });
    const told = await openai.chat.completions.create({
      model: TEST_MODEL,
      messages: [...MESSAGES, message, { role: 'tool', tool_call_id: toolCall!.id, content: 'sunny' }],
      tools: [WEATHER_TOOL],
    });
    expect(told.choices[0]?.finish_reason).toBe('stop');
    await expectUsed([called.usage!, whole.usage!, told.usage!]);
  });

  test('embeddings come as numbers, and only their input is metered', async () => {
    const answer = await openai.embeddings.create({ model: TEST_MODEL, input: ['a tower', 'a moat'] });
    expect(answer.data).toHaveLength(2);
    expect(answer.data[0]?.embedding.every((value) => typeof value === 'number')).toBe(true);
    await expectUsed([{ prompt_tokens: answer.usage.prompt_tokens, completion_tokens: 0 }]);
  });

  test('models are listed, and one is found by its name', async () => {
    const listed: string[] = [];
    for await (const { id } of openai.models.list()) listed.push(id);
    expect(listed).toContain(TEST_MODEL);
    expect((await openai.models.retrieve(TEST_MODEL)).id).toBe(TEST_MODEL);
  });

  test('a stream that its caller aborts is metered, and holds nothing', async () => {
    model.behaviour.chunkDelayMs = 10;
    const stream = await openai.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES, stream: true });
    let pieces = 0;
    for await (const _chunk of stream) {
      pieces += 1;
      if (pieces === 3) stream.controller.abort();
    }
    await waitUntil(async () => (await usageOfKey()).requests === 1);
    await waitUntil(async () => (await accountsOfKey()).every(({ reserved }) => reserved === 0n));
    const usage = await usageOfKey();
    expect(usage.prompt_tokens).toBeGreaterThan(0);
    expect(usage.completion_tokens).toBeGreaterThan(0);
  });

  test('a call that its client gives up by a timeout is metered once the model has answered it, and holds nothing', async () => {
    model.behaviour.headerDelayMs = 400;
    const impatient = openai.withOptions({ timeout: 100 });
    await expect(impatient.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES })).rejects.toThrow(APIConnectionTimeoutError);
    await waitUntil(async () => (await usageOfKey()).requests === 1);
    model.behaviour.headerDelayMs = 0;
    const answer = await openai.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES });
    await expectUsed([answer.usage!, answer.usage!]);
  });

  test("the client's own retries bring a call through a model that fails at first, and it is metered once", async () => {
    model.behaviour.fault = { kind: 'status', status: 500 };
    const seen = model.received.length;
    const patient = openai.withOptions({ maxRetries: 5 });
    const calling = patient.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES });
    await waitUntil(() => Promise.resolve(model.received.length > seen));
    model.behaviour.fault = null;
    const answer = await calling;
    await expectUsed([answer.usage!]);
  });

  test('a call over the cap is refused with 402, which the client does not retry', async () => {
    await control.asAdmin(control.firstTenant(), 'POST', '/api/keys/update', { key: key.key, max_tokens: 10 });
    const refusal: unknown = await openai
      .withOptions({ maxRetries: 3 })
      .chat.completions.create({ model: TEST_MODEL, messages: MESSAGES, max_completion_tokens: 64 })
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(APIError);
    expect(refusal).toMatchObject({ status: 402, code: 'cap_exceeded', type: 'insufficient_quota' });
    await expectUsed([]);
  });

  test('an unknown model, a wrong field and a wrong key are errors of the client’s own classes', async () => {
    await expect(openai.chat.completions.create({ model: 'no-such-model', messages: MESSAGES })).rejects.toThrow(OpenAI.NotFoundError);
    await expect(openai.chat.completions.create({ model: TEST_MODEL, messages: MESSAGES, max_completion_tokens: -1 })).rejects.toThrow(
      OpenAI.BadRequestError,
    );
    const stranger = openai.withOptions({ apiKey: 'tk_0000000000000000000000000000000' });
    await expect(stranger.models.list()).rejects.toThrow(OpenAI.AuthenticationError);
    await expectUsed([]);
  });
}
