import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Model, Upstream } from '../../../src/core/records.ts';
import { untouchedSettings, type InferenceSettings } from '../../../src/core/routing/settings.ts';
import { KEY, keyOf, priceOf, startGateway, type Gateway } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };

let gateway: Gateway;
let servers: OpenAiServer[] = [];
let skippedMs = 0;

beforeAll(async () => {
  servers = await Promise.all([startOpenAiServer(), startOpenAiServer(), startOpenAiServer()]);
});
afterAll(async () => {
  for (const server of servers) await server.close();
});
beforeEach(async () => {
  skippedMs = 0;
  for (const server of servers) {
    server.received.length = 0;
    Object.assign(server.behaviour, { fault: null, text: null, rawPieces: null, reportUsage: true });
  }
  gateway = await startGateway({ upstreamUrls: servers.map(({ url }) => url), elapsedMs: () => performance.now() + skippedMs });
  return () => gateway.close();
});

const server = (index: number): OpenAiServer => {
  const found = servers[index];
  if (found === undefined) throw new Error('no such server');
  return found;
};
const declare = (id: string, changes: Partial<Upstream>): void => {
  const upstream = gateway.upstreams.get(id);
  if (upstream !== undefined) gateway.upstreams.set(id, { ...upstream, ...changes });
};
const setModel = (changes: Partial<Model>): void => {
  const model = gateway.models.get('m1');
  if (model !== undefined) gateway.models.set('m1', { ...model, ...changes });
};
/** Makes a model at one upstream, priced as `m1` is. */
const addModel = (id: string, upstreamId: string, changes: Partial<Model> = {}): void => {
  const model = gateway.models.get('m1');
  if (model === undefined) throw new Error('no such model');
  gateway.models.set(id, { ...model, id, aliases: [], upstreams: [{ id: upstreamId, model: `up-${id}` }], ...changes });
  gateway.prices.push(priceOf({ id: `p-${id}`, modelId: id }));
};
const settle = (inference: Partial<InferenceSettings>, allowOverwrite = true): void =>
  gateway.setTenant({ projectSettings: { ...untouchedSettings(0), allowOverwrite, inference } });

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

async function send(body: object, path = '/chat/completions'): Promise<Answer> {
  const answer = await gateway.post(path, { ...CALL, ...body });
  const text = await answer.text();
  const parsed = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: answer.status, headers: answer.headers, text, body: parsed };
}

const receivedBy = (): number[] => servers.map(({ received }) => received.length);
const bodyAt = (index: number, at = 0): Record<string, unknown> =>
  JSON.parse(server(index).received[at]?.bodyText ?? '{}') as Record<string, unknown>;
const errorOf = ({ body }: Answer): Record<string, unknown> => body['error'] as Record<string, unknown>;

describe('a filter', () => {
  test('of the project holds from the very next call on', async () => {
    declare('u3', { euNative: true });
    expect((await send({})).status).toBe(200);
    settle({ euNative: true });
    expect((await send({})).status).toBe(200);
    gateway.setTenant({ projectSettings: untouchedSettings(0) });
    expect((await send({})).status).toBe(200);
    expect(receivedBy()).toEqual([2, 0, 1]);
  });

  test('of the call holds for it, and loosens what the project set where that is allowed', async () => {
    declare('u2', { provider: 'scaleway' });
    expect((await send({ allowed_providers: ['scaleway'] })).status).toBe(200);
    settle({ allowedProviders: ['scaleway'] });
    expect((await send({ allowed_providers: ['u3'] })).status).toBe(200);
    settle({ allowedProviders: ['scaleway'] }, false);
    expect((await send({ allowed_providers: ['u3'] })).status).toBe(200);
    expect(receivedBy()).toEqual([0, 2, 1]);
  });

  test('is held to by every trial: nothing falls back to what it took out', async () => {
    settle({ allowedProviders: ['u1'] });
    server(0).behaviour.fault = { kind: 'status', status: 500 };
    expect((await send({})).status).toBe(502);
    expect(receivedBy()).toEqual([1, 0, 0]);
  });

  test('that leaves none is a 400 which says what took out what, and nothing is held', async () => {
    declare('u2', { euNative: true, quantized: true });
    settle({ euNative: true, allowQuantization: false });
    const answer = await send({});
    expect([answer.status, errorOf(answer)['code'], errorOf(answer)['type']]).toEqual([400, 'no_upstream_left', 'invalid_request_error']);
    expect(errorOf(answer)['message']).toBe(
      'No upstream is left that may answer this call. eu_native removed u1 (u1): It is not based and regulated in the EU. ' +
        'allow_quantization removed u2 (u2): It serves the model quantized. eu_native removed u3 (u3): It is not based and regulated in the EU.',
    );
    expect(receivedBy()).toEqual([0, 0, 0]);
    expect(gateway.commands).toEqual([]);
    for (const id of ['u1', 'u2', 'u3']) declare(id, { speaks: ['anthropic'] });
    const message = await send({}, '/messages');
    expect([message.status, message.body['type'], errorOf(message)['type'], errorOf(message)['code']]).toEqual([
      400,
      'error',
      'invalid_request_error',
      'no_upstream_left',
    ]);
    expect(errorOf(message)['message']).toMatch(/eu_native removed u1 \(u1\).*allow_quantization removed u2/);
  });

  test('by context leaves out media whose size nobody has declared', async () => {
    setModel({
      upstreams: [
        { id: 'u1', model: 'a', contextTokens: 50 },
        { id: 'u2', model: 'b' },
      ],
    });
    addModel('m2', 'u3');
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, image] }];
    for (const fallbacks of [[], ['m2']])
      expect((await send({ messages, max_tokens: undefined, enable_model_fallback: true, fallbacks })).status).toBe(200);
    expect(receivedBy()).toEqual([2, 0, 0]);
    expect(bodyAt(0)['max_tokens']).toBeGreaterThan(16);
    expect((await send({ messages, max_tokens: 45, enable_model_fallback: true, fallbacks: ['m2'] })).status).toBe(200);
    expect(receivedBy()).toEqual([2, 1, 0]);
  });

  test('of the project holds for a call that was planned before it was set, or elsewhere', async () => {
    declare('u2', { euNative: true });
    let left = 2;
    gateway.onFailpoint = (point) => {
      if (point !== 'call.authenticated' || (left -= 1) !== 0) return;
      gateway.setTenant({ projectSettings: { ...untouchedSettings(0), updatedAtMs: 5, inference: { euNative: true } } });
    };
    for (const _call of ['before', 'meanwhile']) expect((await send({})).status).toBe(200);
    expect(receivedBy()).toEqual([1, 1, 0]);
    gateway.onFailpoint = (point) => {
      if (point === 'call.authenticated')
        gateway.setTenant({ projectSettings: { ...untouchedSettings(6), inference: { blacklistedModels: ['m1'] } } });
    };
    expect((await send({})).status).toBe(404);
    expect(receivedBy()).toEqual([1, 1, 0]);
  });

  test("counts an upstream's own limits, settings or not", async () => {
    setModel({
      upstreams: [
        { id: 'u1', model: 'a', contextTokens: 50 },
        { id: 'u2', model: 'b', maxOutputTokens: 99 },
        { id: 'u3', model: 'c' },
      ],
    });
    expect((await send({})).status).toBe(200);
    expect(receivedBy()).toEqual([0, 0, 1]);
    // Without a limit of the caller ours is lowered to what the upstream gives, and to what its context has room for beside the prompt.
    const short = await send({ max_tokens: undefined });
    expect(receivedBy()).toEqual([1, 0, 1]);
    server(0).behaviour.fault = { kind: 'status', status: 500 };
    const lowered = await send({ max_tokens: undefined });
    expect([short, lowered].map(({ headers }) => headers.get('x-castellan-output-limit'))).toEqual(['42', '99']);
    expect([bodyAt(0)['max_tokens'], bodyAt(1)['max_tokens']]).toEqual([42, 99]);
  });
});

describe('the fields of a call', () => {
  const FIELDS = {
    preference: 'cost',
    allowed_providers: ['u1', 'u2'],
    eu_native: false,
    allow_quantization: true,
    allow_zero_data_retention: null,
    include_metadata: false,
    enable_model_fallback: false,
    fallbacks: [],
  };
  const BODIES: readonly (readonly [string, object])[] = [
    ['/chat/completions', {}],
    ['/completions', { prompt: 'hello', messages: undefined }],
    ['/embeddings', { input: 'hello', messages: undefined, max_tokens: undefined }],
    ['/responses', { input: 'hello', messages: undefined, max_tokens: undefined }],
    ['/audio/speech', { input: 'hello', voice: 'alloy', messages: undefined, max_tokens: undefined }],
    ['/images/generations', { prompt: 'hello', messages: undefined, max_tokens: undefined }],
    ['/chat/completions/input_tokens', {}],
    ['/messages', {}],
  ];

  test.each(BODIES)('of %s steer it, and never go upstream', async (path, body) => {
    if (path === '/messages') for (const id of ['u1', 'u2', 'u3']) declare(id, { speaks: ['anthropic'] });
    gateway.prices.push(priceOf({ id: 'p1x', upstreamId: 'u1', requestNanos: 9_000_000 }));
    gateway.prices.push(priceOf({ id: 'p3', upstreamId: 'u3', inputNanos: 0, outputNanos: 0 }));
    await send({ ...body, ...FIELDS }, path);
    expect(server(1).received).not.toHaveLength(0);
    expect(server(2).received).toHaveLength(0);
    for (const field of Object.keys(FIELDS)) expect(bodyAt(1)).not.toHaveProperty(field);
    expect(bodyAt(1)['model']).toBe('up-m1');
  });

  test('of a form steer it, and never go upstream', async () => {
    const form = new FormData();
    form.set('model', 'm1');
    form.set('include_metadata', 'true');
    form.append('allowed_providers[]', 'u3');
    form.set('file', new Blob([new Uint8Array(100)]), 'a.mp3');
    const answer = await fetch(`${gateway.url}/audio/transcriptions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}` },
      body: form,
    });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ metadata: { routing_results: { selected_provider: 'u3' } } });
    expect(receivedBy()).toEqual([0, 0, 1]);
    const sent = server(2).received[0]?.bodyText ?? '';
    expect(sent).toContain('up-m1');
    expect(sent).not.toContain('allowed_providers');
    expect(sent).not.toContain('include_metadata');
  });

  test.each([
    ['preference', 'fast', 'preference must be one of speed, cost, balanced.'],
    ['eu_native', 1, 'eu_native must be true or false.'],
    ['allowed_providers', 'u1', 'allowed_providers must be a list of strings.'],
  ])('are refused where %s is %j', async (field, value, message) => {
    settle({}, false);
    const answer = await send({ [field]: value });
    expect([answer.status, errorOf(answer)]).toEqual([
      400,
      { message, type: 'invalid_request_error', param: field, code: 'invalid_value' },
    ]);
    expect(receivedBy()).toEqual([0, 0, 0]);
  });

  test('do not count as prompt', async () => {
    await send({});
    await send({ fallbacks: ['a'.repeat(200)] });
    const legs = gateway.commands.flatMap((command) => (command.verb === 'reserve' ? [command.legs] : []));
    expect(legs[1]).toEqual(legs[0]);
  });
});

describe('a preference', () => {
  test('for cost asks the cheapest for this call first, and falls back in the order of cost', async () => {
    gateway.prices.push(
      priceOf({ id: 'p2', upstreamId: 'u2', outputNanos: 100 }),
      priceOf({ id: 'p3', upstreamId: 'u3', outputNanos: 50 }),
    );
    settle({ preference: 'cost' });
    expect((await send({})).status).toBe(200);
    server(2).behaviour.fault = { kind: 'status', status: 500 };
    expect((await send({})).status).toBe(200);
    expect(receivedBy()).toEqual([0, 1, 2]);
    expect(gateway.ledger.usage.map(({ upstreamId, priceId }) => [upstreamId, priceId])).toEqual([
      ['u3', 'p3'],
      ['u2', 'p2'],
    ]);
  });

  test('for speed tries each upstream until it is measured, and then the fastest', async () => {
    const { speeds } = gateway.calls;
    for (let index = 0; index < 3; index++) expect((await send({ preference: 'speed', stream: index > 0 })).status).toBe(200);
    expect(receivedBy()).toEqual([1, 1, 1]);
    expect(['u1', 'u2', 'u3'].map((id) => speeds.speedsOf('m1')(id)?.tokensPerSecond)).not.toContain(undefined);
    expect(speeds.speedsOf('m1')('u2')?.firstTokenMs).toBeGreaterThan(0);
    for (const id of ['u1', 'u3']) speeds.note(id, 'm1', { firstTokenMs: 3_600_000, outputTokens: 1, outputMs: 1 });
    await send({ preference: 'speed' });
    await send({});
    expect(receivedBy()).toEqual([2, 2, 1]);
  });

  test('leaves weight 0 for fallback, and an open circuit for the end', async () => {
    setModel({
      upstreams: [
        { id: 'u1', model: 'a', weight: 0 },
        { id: 'u2', model: 'b', weight: 1 },
        { id: 'u3', model: 'c', weight: 9 },
      ],
    });
    gateway.prices.push(priceOf({ id: 'p1x', upstreamId: 'u1', inputNanos: 1 }), priceOf({ id: 'p3', upstreamId: 'u3', inputNanos: 9000 }));
    await send({ preference: 'cost' });
    expect(receivedBy()).toEqual([0, 1, 0]);
    server(1).behaviour.fault = { kind: 'status', status: 500 };
    for (let index = 0; index < 5; index++) await send({ preference: 'cost' });
    expect(receivedBy()).toEqual([0, 6, 5]);
    await send({ preference: 'cost' });
    expect(receivedBy()).toEqual([0, 6, 6]);
  });
});

describe('another model', () => {
  const fallback = { enable_model_fallback: true, fallbacks: ['m2', 'm3'] };

  beforeEach(() => {
    setModel({ upstreams: [{ id: 'u1', model: 'up-m1' }] });
    addModel('m2', 'u2', { defaultOutputTokens: 64, outputLimitField: 'max_completion_tokens' });
    addModel('m3', 'u3', { aliases: ['third'] });
  });

  test('answers where the asked one fails, under its own name, limit and price', async () => {
    gateway.prices.push(priceOf({ id: 'p2x', modelId: 'm2', inputNanos: 1000, outputNanos: 2000, appliesFromMs: 1 }));
    server(0).behaviour.fault = { kind: 'status', status: 500 };
    const answer = await send({ ...fallback, max_tokens: undefined });
    expect(answer.status).toBe(200);
    expect(answer.body['model']).toBe('up-m2');
    expect(answer.headers.get('x-castellan-model')).toBe('m2');
    expect(answer.headers.get('x-castellan-output-limit')).toBe('64');
    expect(bodyAt(0)).toMatchObject({ model: 'up-m1', max_tokens: 256 });
    expect(bodyAt(1)).toMatchObject({ model: 'up-m2', max_completion_tokens: 64 });
    expect(bodyAt(1)).not.toHaveProperty('max_tokens');
    expect(receivedBy()).toEqual([1, 1, 0]);
    expect(gateway.ledger.usage).toMatchObject([{ model: 'm2', upstreamId: 'u2', priceId: 'p2x' }]);
    // Held for the dearest of the three: 2000 nano-dollars a token of output.
    const [reserve] = gateway.commands.flatMap((command) => (command.verb === 'reserve' ? [command] : []));
    expect(reserve?.legs[1]).toMatchObject({ perUnit: 2000n });
    expect(gateway.calls.counters).toMatchObject({ holdViolations: 0, modelFallbacks: 1 });
  });

  test('is told by the usage header and the trace', async () => {
    server(0).behaviour.fault = { kind: 'reset_before_headers' };
    const body = { ...CALL, ...fallback, include_metadata: true };
    const answer = await gateway.post('/chat/completions', body, { 'x-tinfoil-request-usage-metrics': 'true' });
    expect(answer.headers.get('x-tinfoil-usage-metrics')).toContain('model=m2');
    const { metadata } = (await answer.json()) as { metadata: { routing_results: object; routing_trace: { scored_candidates: object[] } } };
    expect(metadata.routing_results).toMatchObject({ selected_provider: 'u2', selected_model: 'm2' });
    expect(metadata.routing_trace.scored_candidates).toMatchObject([
      { provider: 'u1', model: 'm1', status: 'failed' },
      { provider: 'u2', model: 'm2', status: 'success' },
      { provider: 'u3', model: 'm3', status: 'not_attempted' },
    ]);
  });

  test('answers where the asked one is filtered out, or its circuit is open', async () => {
    declare('u3', { euNative: true });
    expect((await send({ ...fallback, eu_native: true })).headers.get('x-castellan-model')).toBe('m3');
    server(0).behaviour.fault = { kind: 'status', status: 500 };
    for (let index = 0; index < 6; index++) await send(fallback);
    expect(receivedBy()).toEqual([5, 6, 1]);
  });

  test('is not asked unless fallback is enabled, nor after the first byte, nor for the caller’s own fault', async () => {
    server(0).behaviour.fault = { kind: 'status', status: 500 };
    expect((await send({ fallbacks: ['m2'] })).status).toBe(502);
    server(0).behaviour.fault = { kind: 'status', status: 422 };
    expect((await send(fallback)).status).toBe(422);
    server(0).behaviour.fault = { kind: 'reset_mid_body', afterPieces: 2 };
    await expect(send({ ...fallback, stream: true })).rejects.toThrow('terminated');
    expect(receivedBy()).toEqual([3, 0, 0]);
  });

  test('streams where the asked one broke before its first byte', async () => {
    server(0).behaviour.fault = { kind: 'reset_mid_body', afterPieces: 0 };
    const answer = await send({ ...fallback, stream: true });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('"model":"up-m2"');
    expect(answer.text).toContain('[DONE]');
    expect(gateway.ledger.usage).toMatchObject([{ model: 'm2', streaming: true }]);
  });

  test.each([
    ['the key may not call', () => gateway.keys.set(KEY, { ...keyOf('k1', 'inference'), allowedModels: ['m1', 'm3'] })],
    ['the project forbids, by an alias', () => settle({ blacklistedModels: ['second'] })],
    ['does not exist', () => gateway.models.delete('m2')],
  ])('that %s is passed over, and the trace says no more than that', async (_name, prepare) => {
    addModel('m2', 'u2', { aliases: ['second'] });
    prepare();
    server(0).behaviour.fault = { kind: 'status', status: 500 };
    const answer = await send({ ...fallback, fallbacks: ['m2', 'third'], include_metadata: true });
    expect(answer.headers.get('x-castellan-model')).toBe('m3');
    expect(receivedBy()).toEqual([1, 0, 1]);
    expect(answer.body).toMatchObject({
      metadata: {
        routing_trace: {
          filtered_out_candidates: [
            {
              provider: null,
              upstream: null,
              model: 'm2',
              filter_failed: 'model',
              reason: 'It does not exist, or may not be called here.',
            },
          ],
        },
      },
    });
  });

  test('is passed over where its own bounds do not hold the call', async () => {
    addModel('m2', 'u2', { maxOutputTokens: 99, defaultOutputTokens: 50 });
    addModel('m3', 'u3', { contextTokens: 100 });
    server(0).behaviour.fault = { kind: 'status', status: 500 };
    expect((await send(fallback)).status).toBe(502);
    expect(receivedBy()).toEqual([1, 0, 0]);
    setModel({ contextTokens: 60 });
    expect(errorOf(await send(fallback))['message']).toMatch(
      /context_length removed u1.*output_limit removed u2.*context_length removed u3/,
    );
  });

  test('that the project forbids is answered like one that does not exist, whatever the call says', async () => {
    settle({ blacklistedModels: ['third'] });
    const answers = [await send({ model: 'm3' }), await send({ model: 'third' }), await send({ model: 'nothing' })];
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(answers.map((answer) => errorOf(answer)['code'])).toEqual(['model_not_found', 'model_not_found', 'model_not_found']);
  });
});

describe('the routing trace', () => {
  const asked = { include_metadata: true, eu_native: true, preference: 'cost' };

  beforeEach(() => {
    for (const id of ['u1', 'u2']) declare(id, { euNative: true, provider: `${id}-eu` });
    gateway.prices.push(priceOf({ id: 'p2', upstreamId: 'u2', inputNanos: 100, outputNanos: 400 }));
  });

  test('stands at the end of a JSON answer whose other bytes are untouched', async () => {
    const { status, text } = await send(asked);
    expect(status).toBe(200);
    const { metadata, usage } = JSON.parse(text) as {
      metadata: Record<string, never>;
      usage: { prompt_tokens: number; completion_tokens: number };
    };
    const promptCost = (usage.prompt_tokens * 100) / 1e9;
    const completionCost = (usage.completion_tokens * 400) / 1e9;
    expect(metadata).toEqual({
      routing_results: {
        selected_provider: 'u2-eu',
        selected_upstream: 'u2',
        selected_model: 'm1',
        applied_filters: ['api', 'price', 'context_length', 'output_limit', 'eu_native'],
        cost: {
          prompt_cost: promptCost,
          completion_cost: completionCost,
          total_cost: (usage.prompt_tokens * 100 + usage.completion_tokens * 400) / 1e9,
          currency: 'USD',
        },
        latency_ms: expect.any(Number) as number,
      },
      routing_trace: {
        initial_candidates: ['u1-eu', 'u2-eu', 'u3'],
        filtered_out_candidates: [
          { provider: 'u3', upstream: 'u3', model: 'm1', filter_failed: 'eu_native', reason: 'It is not based and regulated in the EU.' },
        ],
        scored_candidates: [
          {
            provider: 'u2-eu',
            upstream: 'u2',
            model: 'm1',
            score: expect.any(Number) as number,
            scoring_context: { estimated_cost_usd: expect.any(Number) as number, estimated_time_ms: null },
            status: 'success',
          },
          {
            provider: 'u1-eu',
            upstream: 'u1',
            model: 'm1',
            score: expect.any(Number) as number,
            scoring_context: expect.anything() as object,
            status: 'not_attempted',
          },
        ],
        scoring_function: { function: 'cost', sort: 'min' },
      },
    });
    const upstream = await (
      await fetch(`${server(1).url}/chat/completions`, { method: 'POST', body: server(1).received[0]?.bodyText ?? '' })
    ).text();
    expect(text.replace(/,"metadata":.*\}$/s, '}').replace(/"id":"[^"]*"/, '')).toBe(upstream.replace(/"id":"[^"]*"/, ''));
  });

  test('stands in the last chunk before [DONE] of a stream, and nowhere else', async () => {
    for (const options of [{}, { stream_options: { include_usage: true } }]) {
      const { text } = await send({ ...asked, ...options, stream: true });
      const plain = await send({ eu_native: true, preference: 'cost', ...options, stream: true });
      const chunks = text.trimEnd().split('\n\n');
      expect(chunks.at(-1)).toBe('data: [DONE]');
      const withTrace = chunks.filter((chunk) => chunk.includes('"metadata"'));
      expect(withTrace).toEqual([chunks.at(-2)]);
      const last = JSON.parse(chunks.at(-2)?.slice('data: '.length) ?? '') as {
        metadata: { routing_results: { cost: { total_cost: number } } };
      };
      expect(last.metadata.routing_results.cost.total_cost).toBe(Number(gateway.ledger.usage.at(-2)?.costNanoUsd) / 1e9);
      const bare = (value: string): string =>
        value.replace(/,"metadata":\{"routing_results.*\}\}(?=\}\n)/g, '').replace(/"id":"[^"]*"/g, '');
      expect(bare(text)).toBe(bare(plain.text));
    }
  });

  test('is in the event that ends a stream of a response or a message', async () => {
    const response = await send({ ...asked, input: 'hello', stream: true, messages: undefined, max_tokens: undefined }, '/responses');
    const completed = response.text.split('\n').find((line) => line.startsWith('data: {"type":"response.completed"')) ?? '';
    expect(JSON.parse(completed.slice('data: '.length))).toMatchObject({
      routing_metadata: { routing_results: { selected_provider: 'u2-eu' } },
    });
    for (const id of ['u1', 'u2', 'u3']) declare(id, { speaks: ['anthropic'] });
    server(1).behaviour.rawPieces = {
      contentType: 'text/event-stream',
      pieces: [
        'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
        'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":2}}\n\n',
        'event: message_stop\ndata: {"type":"message_stop"}\n\n',
      ],
    };
    const message = await send({ ...asked, stream: true }, '/messages');
    expect(message.text).toMatch(/data: \{"type":"message_stop","metadata":\{"routing_results":.*\}\}\n\n$/);
  });

  test('stands beside the metadata that a response has of its caller', async () => {
    const { body } = await send({ ...asked, input: 'hello', messages: undefined, max_tokens: undefined }, '/responses');
    expect(body).toMatchObject({ routing_metadata: { routing_results: { selected_provider: 'u2-eu' } } });
  });

  test('says nothing of cost without a price, and leaves sound alone', async () => {
    gateway.setTenant({ allowUnpriced: true });
    gateway.prices.length = 0;
    const { body } = await send({ include_metadata: true });
    expect(body).toMatchObject({
      metadata: { routing_results: { cost: null }, routing_trace: { scoring_function: { function: 'weight' } } },
    });
    const sound = await send(
      { include_metadata: true, input: 'hello', voice: 'alloy', messages: undefined, max_tokens: undefined },
      '/audio/speech',
    );
    expect([sound.status, sound.text.includes('metadata')]).toEqual([200, false]);
  });

  test('names what could not answer whatever was set: no price, another API, another place', async () => {
    declare('u3', { euNative: true, speaks: ['anthropic'] });
    gateway.prices.length = 0;
    for (const id of ['u1', 'u3']) gateway.prices.push(priceOf({ id: `p-${id}`, upstreamId: id }));
    const filtersOf = ({ body }: Answer): unknown =>
      (body as { metadata: { routing_trace: { filtered_out_candidates: { upstream: string; filter_failed: string }[] } } }).metadata
        .routing_trace.filtered_out_candidates;
    expect(filtersOf(await send({ include_metadata: true }))).toMatchObject([
      { upstream: 'u2', filter_failed: 'price' },
      { upstream: 'u3', filter_failed: 'api' },
    ]);
  });

  test('tells of a response that is built on why no other upstream was asked', async () => {
    const first = await send({ input: 'hello', messages: undefined, max_tokens: undefined, allowed_providers: ['u3'] }, '/responses');
    const next = { input: 'again', messages: undefined, max_tokens: undefined, previous_response_id: first.body['id'] };
    expect((await send({ ...next, include_metadata: true }, '/responses')).body).toMatchObject({
      routing_metadata: {
        routing_trace: {
          filtered_out_candidates: [
            { upstream: 'u1', filter_failed: 'reference' },
            { upstream: 'u2', filter_failed: 'reference' },
          ],
          scored_candidates: [{ upstream: 'u3', status: 'success' }],
        },
      },
    });
    expect(errorOf(await send({ ...next, allowed_providers: ['u1-eu'] }, '/responses'))).toMatchObject({
      code: 'no_upstream_left',
      message: expect.stringContaining('allowed_providers removed u3') as string,
    });
  });

  test('is there for every call where the project says so, and for none that it forbids it', async () => {
    settle({ includeMetadata: true }, false);
    expect((await send({ include_metadata: false })).body).toHaveProperty('metadata');
    settle({}, false);
    expect((await send({ include_metadata: true })).body).not.toHaveProperty('metadata');
  });
});
