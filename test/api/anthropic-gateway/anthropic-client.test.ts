import Anthropic, {
  APIConnectionTimeoutError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
} from '@anthropic-ai/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { CAP, eventually, KEY, startGateway, type Gateway, type GatewayOptions } from '../../support/gateway-harness.ts';
import { letSpeak, messagesAnswer, messagesEvent, messagesStream } from '../../support/messages-upstream.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

/** Anthropic's own client, unmodified, over real HTTP. */
let client: Anthropic;
let gateway: Gateway;
let upstream: OpenAiServer;

async function start(behaviour: Partial<OpenAiBehaviour> | 'demo' = {}, options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer(behaviour === 'demo' ? {} : behaviour);
  gateway = await startGateway({ upstreamUrls: [behaviour === 'demo' ? 'demo' : upstream.url], ...options });
  if (behaviour !== 'demo') letSpeak(gateway, 'u1', ['anthropic']);
  client = new Anthropic({ apiKey: KEY, baseURL: gateway.url.replace(/\/v1$/, ''), maxRetries: 0 });
}

afterEach(async () => {
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const CALL = { model: 'm1', max_tokens: 200, messages: [{ role: 'user' as const, content: 'hello there' }] };
const WEATHER: Anthropic.Tool = {
  name: 'weather',
  description: 'The weather of a city',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};

const textOf = (message: Anthropic.Message): string => message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
const totalOf = ({ usage }: Anthropic.Message): bigint => BigInt(usage.input_tokens + usage.output_tokens);

describe.each(['an upstream', 'demo'] as const)('over %s', (kind) => {
  const begin = (): Promise<void> =>
    kind === 'demo' ? start('demo', { model: { upstreams: [{ id: 'u1', model: 'demo-echo' }] } }) : start();

  test('a message, and its id', async () => {
    await begin();
    const { data, request_id } = await client.messages.create(CALL).withResponse();
    expect(textOf(data)).toBe('You said: hello there');
    expect(data).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn' });
    expect(request_id).toMatch(/^req-/);
    expect(gateway.account(CAP).spent).toBe(totalOf(data));
  });

  test('a stream, in pieces and gathered', async () => {
    await begin();
    const stream = client.messages.stream(CALL);
    const pieces: string[] = [];
    stream.on('text', (text) => void pieces.push(text));
    const message = await stream.finalMessage();
    expect(pieces.length).toBeGreaterThan(2);
    expect([pieces.join(''), textOf(message)]).toEqual(['You said: hello there', 'You said: hello there']);
    expect(message.usage.output_tokens).toBeGreaterThan(0);
    expect(gateway.account(CAP).spent).toBe(totalOf(message));
    expect(gateway.ledger.usage[0]).toMatchObject({ streaming: true, estimated: false });
  });

  test('a tool is called, plain and streamed, and its result is taken back', async () => {
    await begin();
    const request = { ...CALL, tools: [WEATHER], tool_choice: { type: 'any' as const } };
    const called = await client.messages.create(request);
    const [use] = called.content;
    expect(called.stop_reason).toBe('tool_use');
    expect(use).toMatchObject({ type: 'tool_use', name: 'weather', input: { city: 'hello there' } });
    expect((await client.messages.stream(request).finalMessage()).content).toEqual(called.content);
    const id = use?.type === 'tool_use' ? use.id : '';
    const told = await client.messages.create({
      ...CALL,
      tools: [WEATHER],
      messages: [
        ...CALL.messages,
        { role: 'assistant', content: called.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: 'sunny' }] },
      ],
    });
    expect(textOf(told)).toBe('You said: sunny');
    expect(gateway.account(CAP).spent).toBe(totalOf(called) * 2n + totalOf(told));
  });

  test('an output limit cuts the answer, and says so', async () => {
    await begin();
    const message = await client.messages.create({ ...CALL, max_tokens: 2 });
    expect([message.stop_reason, message.usage.output_tokens]).toEqual(['max_tokens', 2]);
  });

  test('system, documents, images and a count of tokens that agrees with the bill', async () => {
    await begin();
    const request = {
      model: 'm1',
      system: [{ type: 'text' as const, text: 'Be brief.', cache_control: { type: 'ephemeral' as const } }],
      messages: [
        {
          role: 'user' as const,
          content: [
            {
              type: 'document' as const,
              source: { type: 'text' as const, media_type: 'text/plain' as const, data: 'A castle has a moat.' },
            },
            { type: 'image' as const, source: { type: 'base64' as const, media_type: 'image/png' as const, data: 'AAAA' } },
            { type: 'text' as const, text: 'what has it?' },
          ],
        },
      ],
    };
    const counted = await client.messages.countTokens(request);
    expect(gateway.ledger.usage).toHaveLength(0);
    const message = await client.messages.create({ ...request, max_tokens: 20 });
    expect(message.usage.input_tokens).toBe(counted.input_tokens);
  });
});

describe('streams', () => {
  test('usage of a cache is what the client shows and what is billed', async () => {
    const start_ = { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 1 };
    const pieces = messagesStream({ start: start_, text: ['a'], end: { output_tokens: 5 } });
    await start({ rawPieces: { contentType: 'text/event-stream', pieces } });
    const message = await client.messages.stream(CALL).finalMessage();
    expect(message.usage).toMatchObject({ ...start_, output_tokens: 5 });
    expect(gateway.ledger.usage[0]).toMatchObject({
      promptTokens: 123,
      cachedPromptTokens: 100,
      cacheWritePromptTokens: 20,
      completionTokens: 5,
    });
  });

  test('an abort stops the client at once; the call is booked and holds nothing', async () => {
    await start({ chunkDelayMs: 20, text: 'one two three four five six seven eight nine ten' });
    const stream = client.messages.stream(CALL);
    stream.on('text', () => stream.abort());
    await expect(stream.finalMessage()).rejects.toThrow(APIUserAbortError);
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(gateway.ledger.usage[0]?.completionTokens).toBeGreaterThan(0);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test('an error event in the middle reaches the client as its own error', async () => {
    const pieces = [
      ...messagesStream({ start: { input_tokens: 3, output_tokens: 1 }, text: ['a'], end: null }).slice(0, 4),
      messagesEvent('error', { error: { type: 'overloaded_error', message: 'Overloaded' } }),
    ];
    await start({ rawPieces: { contentType: 'text/event-stream', pieces } });
    await expect(client.messages.stream(CALL).finalMessage()).rejects.toThrow(/Overloaded/);
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 3, estimated: true });
  });
});

describe('errors', () => {
  test.each([
    ['a wrong key', {}, { apiKey: 'tk_wrong' }, AuthenticationError, 'authentication_error'],
    ['an unknown model', { model: 'none' }, {}, NotFoundError, 'not_found_error'],
    ['a bad field', { max_tokens: -1 }, {}, BadRequestError, 'invalid_request_error'],
  ])('%s', async (_name, change, options, error, type) => {
    await start();
    const failure: unknown = await client
      .withOptions(options)
      .messages.create({ ...CALL, ...change })
      .catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(error);
    expect(failure).toMatchObject({ type });
    expect((failure as { requestID: string }).requestID).toMatch(/^req-/);
  });

  test('a used-up cap is 402, which the client does not retry', async () => {
    await start();
    gateway.allocate(CAP, 10n);
    const failure: unknown = await client
      .withOptions({ maxRetries: 3 })
      .messages.create(CALL)
      .catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ status: 402, type: 'billing_error', error: { error: { code: 'cap_exceeded' } } });
    expect(gateway.calls.counters.calls).toBe(1);
  });

  test('what is only held is retried by the client until it fits', async () => {
    await start({ gated: true });
    gateway.allocate(CAP, 300n);
    const first = client.messages.create(CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    const second = client.withOptions({ maxRetries: 5 }).messages.create(CALL);
    await eventually(() => gateway.calls.counters.refused).toBeGreaterThan(0);
    upstream.release();
    expect(textOf(await first)).toBe(textOf(await second));
  });

  test("the client's own retries bring a call through a model that fails at first; it is billed once", async () => {
    await start({ fault: { kind: 'status', status: 529 } });
    const calling = client.withOptions({ maxRetries: 5 }).messages.create(CALL);
    await eventually(() => upstream.received.length).toBeGreaterThan(0);
    upstream.behaviour.fault = null;
    const message = await calling;
    expect(gateway.account(CAP)).toMatchObject({ spent: totalOf(message), reserved: 0n });
  });

  test('a call that its client gives up by a timeout is billed once the model has answered', async () => {
    await start({
      headerDelayMs: 300,
      rawPieces: { contentType: 'application/json', pieces: [messagesAnswer({ input_tokens: 5, output_tokens: 2 })] },
    });
    await expect(client.withOptions({ timeout: 50 }).messages.create(CALL)).rejects.toThrow(APIConnectionTimeoutError);
    await eventually(() => gateway.account(CAP).spent).toBe(7n);
  });

  test('a token instead of a key serves', async () => {
    await start();
    const baseURL = client.baseURL;
    const bearer = new Anthropic({ apiKey: null, authToken: KEY, baseURL, maxRetries: 0 });
    expect(textOf(await bearer.messages.create(CALL))).toContain('hello there');
  });
});
