import OpenAI, { APIConnectionTimeoutError, APIUserAbortError, AuthenticationError, NotFoundError, RateLimitError } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { CAP, eventually, KEY, startGateway, type Gateway, type GatewayOptions } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

/** OpenAI's own client, unmodified, over real HTTP. */
let client: OpenAI;
let gateway: Gateway;
let upstream: OpenAiServer;

async function start(behaviour: Partial<OpenAiBehaviour> | 'demo' = {}, options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer(behaviour === 'demo' ? {} : behaviour);
  gateway = await startGateway({ upstreamUrls: [behaviour === 'demo' ? 'demo' : upstream.url], ...options });
  client = new OpenAI({ apiKey: KEY, baseURL: gateway.url });
}

afterEach(async () => {
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const messages = [{ role: 'user' as const, content: 'hello there' }];
const tools = [
  {
    type: 'function' as const,
    function: {
      name: 'weather',
      description: 'The weather of a city',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
    },
  },
];

describe.each(['an upstream', 'demo'] as const)('over %s', (kind) => {
  const begin = (): Promise<void> =>
    kind === 'demo' ? start('demo', { model: { upstreams: [{ id: 'u1', model: 'demo-echo' }] } }) : start();

  test('chat', async () => {
    await begin();
    const answer = await client.chat.completions.create({ model: 'm1', messages });
    expect(answer.choices[0]?.message.content).toContain('hello there');
    expect(answer._request_id).toMatch(/^req-/);
    expect(gateway.account(CAP).spent).toBe(BigInt(answer.usage?.total_tokens ?? 0));
  });

  test('a stream', async () => {
    await begin();
    let text = '';
    const stream = await client.chat.completions.create({ model: 'm1', messages, stream: true });
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text).toContain('hello there');
    expect(gateway.ledger.usage[0]).toMatchObject({ streaming: true, estimated: false });
  });

  test('answers and streams that carry the routing trace', async () => {
    await begin();
    // The client's types know no field for the router; it sends what it is given.
    const body = { model: 'm1', messages, include_metadata: true, preference: 'cost' };
    const answer = await client.chat.completions.create(body);
    expect(answer.choices[0]?.message.content).toContain('hello there');
    expect(answer).toMatchObject({ metadata: { routing_results: { selected_upstream: 'u1' } } });
    let text = '';
    const traced: unknown[] = [];
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
      if ('metadata' in chunk) traced.push(chunk.choices[0]?.finish_reason);
    }
    expect(text).toContain('hello there');
    expect(traced).toEqual(['stop']);
    const { include_metadata: include, preference } = body;
    const events: string[] = [];
    const asked = { model: 'm1', input: 'hello there', include_metadata: include, preference };
    for await (const event of await client.responses.create({ ...asked, stream: true }))
      if ('routing_metadata' in event) events.push(event.type);
    expect(events).toEqual(['response.completed']);
    const response = await client.responses.create({ ...asked, metadata: { mine: 'yes' } });
    expect(response).toMatchObject({ routing_metadata: { routing_results: { selected_upstream: 'u1' } } });
  });

  test('a stream with its usage', async () => {
    await begin();
    const stream = await client.chat.completions.create({ model: 'm1', messages, stream: true, stream_options: { include_usage: true } });
    let total = 0;
    for await (const chunk of stream) total = chunk.usage?.total_tokens ?? total;
    expect(gateway.account(CAP).spent).toBe(BigInt(total));
    expect(total).toBeGreaterThan(0);
  });

  test('tools', async () => {
    await begin();
    const answer = await client.chat.completions.create({ model: 'm1', messages, tools, tool_choice: 'required' });
    const [call] = answer.choices[0]?.message.tool_calls ?? [];
    expect(call).toMatchObject({ type: 'function', function: { name: 'weather' } });
    const followUp = await client.chat.completions.create({
      model: 'm1',
      messages: [
        ...messages,
        { role: 'assistant', tool_calls: answer.choices[0]?.message.tool_calls ?? [] },
        { role: 'tool', tool_call_id: call?.id ?? '', content: 'sunny' },
      ],
      tools,
    });
    expect(followUp.choices).toHaveLength(1);
    expect(gateway.ledger.usage).toHaveLength(2);
  });

  test('tools in a stream', async () => {
    await begin();
    const runner = client.chat.completions.stream({ model: 'm1', messages, tools, tool_choice: 'required' });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'weather' } });
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: false });
  });

  test('embeddings, which it asks for in base64 and decodes', async () => {
    await begin();
    const answer = await client.embeddings.create({ model: 'm1', input: ['one', 'two'] });
    expect(answer.data).toHaveLength(2);
    expect(typeof answer.data[0]?.embedding[0]).toBe('number');
    expect(gateway.account(CAP).spent).toBe(BigInt(answer.usage.total_tokens));
  });
});

test('lists models', async () => {
  await start();
  const ids: string[] = [];
  for await (const model of client.models.list()) ids.push(model.id);
  expect(ids).toEqual(['m1']);
  expect(await client.models.retrieve('m1')).toMatchObject({ id: 'm1', object: 'model' });
  const tagged = await client.models.list({ query: { tag: ['instruct', 'Tools'], currency: 'USD' } });
  expect(tagged.data).toEqual([]);
  expect((await client.models.list({ query: { tag: 'instruct' } })).data).toMatchObject([{ id: 'm1', owned_by: 'castellan' }]);
});

test('an abort in the middle of a stream is settled', async () => {
  await start({ chunkDelayMs: 20, text: 'one two three four five six' });
  const stream = await client.chat.completions.create({ model: 'm1', messages, stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content !== '') break;
  stream.controller.abort();
  await eventually(() => gateway.calls.counters.abandoned).toBe(1);
  await gateway.calls.idle();
  expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, completionTokens: 6 });
});

test('an abort before the answer is settled', async () => {
  await start({ gated: true });
  const controller = new AbortController();
  const answering = client.chat.completions.create({ model: 'm1', messages }, { signal: controller.signal });
  await eventually(() => upstream.waiting()).toBe(1);
  controller.abort();
  await expect(answering).rejects.toThrow(APIUserAbortError);
  upstream.release();
  await eventually(() => gateway.ledger.usage.length).toBe(1);
});

test('its timeout is an abort like any other', async () => {
  await start({ gated: true });
  const answering = client.chat.completions.create({ model: 'm1', messages }, { timeout: 300, maxRetries: 0 });
  await expect(answering).rejects.toThrow(APIConnectionTimeoutError);
  upstream.release();
  await eventually(() => gateway.ledger.usage.length).toBe(1);
});

describe('its own retries', () => {
  test('go on after a failure of the upstream, and only the answer is billed', async () => {
    await start({ fault: { kind: 'status', status: 503 } });
    const answering = client.chat.completions.create({ model: 'm1', messages }, { maxRetries: 5 });
    await eventually(() => upstream.received.length).toBeGreaterThan(1);
    upstream.behaviour.fault = null;
    expect((await answering).choices).toHaveLength(1);
    expect(gateway.ledger.usage).toHaveLength(1);
    expect(gateway.account(CAP)).toMatchObject({ spent: 14n, reserved: 0n });
  });

  test('go on where only calls in flight are in the way', async () => {
    await start({ gated: true });
    gateway.allocate(CAP, 150n);
    const first = client.chat.completions.create({ model: 'm1', messages, max_completion_tokens: 100 });
    await eventually(() => upstream.waiting()).toBe(1);
    const second = client.chat.completions.create({ model: 'm1', messages, max_completion_tokens: 100 }, { maxRetries: 5 });
    await eventually(() => gateway.calls.counters.refused).toBeGreaterThan(0);
    upstream.release();
    expect((await first).choices).toHaveLength(1);
    expect((await second).choices).toHaveLength(1);
  });

  test('do not begin where the cap is used up', async () => {
    await start();
    gateway.allocate(CAP, 10n);
    const error: unknown = await client.chat.completions
      .create({ model: 'm1', messages }, { maxRetries: 5 })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 402, code: 'cap_exceeded', error: { account: { limit: 10 } } });
    expect(gateway.calls.counters.calls).toBe(1);
  });
});

describe('its errors', () => {
  test('have the classes that it knows', async () => {
    await start();
    await expect(client.chat.completions.create({ model: 'nobody', messages })).rejects.toThrow(NotFoundError);
    await expect(new OpenAI({ apiKey: 'tk_nobody', baseURL: gateway.url }).models.list()).rejects.toThrow(AuthenticationError);
    upstream.behaviour.fault = { kind: 'status', status: 429, headers: { 'retry-after': '0' } };
    await expect(client.chat.completions.create({ model: 'm1', messages }, { maxRetries: 1 })).rejects.toThrow(RateLimitError);
    expect(upstream.received).toHaveLength(2);
  });
});
