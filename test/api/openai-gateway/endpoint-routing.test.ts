import { afterEach, describe, expect, test } from 'vitest';
import type { ApiKey, Model } from '../../../src/core/records.ts';
import { KEY, startGateway, type Gateway, type GatewayOptions } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

/** A body for each route beside chats, all for the same model. */
const BODIES = {
  '/completions': { model: 'm1', prompt: 'hi' },
  '/responses': { model: 'm1', input: 'hi' },
  '/audio/speech': { model: 'm1', input: 'hi', voice: 'a' },
  '/images/generations': { model: 'm1', prompt: 'a cat' },
  '/chat/completions/input_tokens': { model: 'm1', messages: [{ role: 'user', content: 'hi' }] },
  '/responses/input_tokens': { model: 'm1', input: 'hi' },
} as const;
type Path = keyof typeof BODIES;
const PATHS = Object.keys(BODIES) as Path[];

let gateway: Gateway;
let servers: OpenAiServer[] = [];

async function start(count: number, options: GatewayOptions = {}): Promise<void> {
  for (let index = 0; index < count; index++) servers.push(await startOpenAiServer());
  gateway = await startGateway({ upstreamUrls: servers.map(({ url }) => url), ...options });
}

afterEach(async () => {
  expect(gateway.calls.counters.holdViolations).toBe(0);
  await gateway.close();
  for (const server of servers) await server.close();
  servers = [];
});

const setModel = (changes: Partial<Model>): void => {
  const model = gateway.models.get('m1');
  if (model !== undefined) gateway.models.set('m1', { ...model, ...changes });
};

const setKey = (changes: Partial<ApiKey>): void => {
  const key = gateway.keys.get(KEY);
  if (key !== undefined) gateway.keys.set(KEY, { ...key, ...changes });
};

const speakAnthropicOnly = (): void => {
  for (const [id, upstream] of Array.from(gateway.upstreams)) gateway.upstreams.set(id, { ...upstream, speaks: ['anthropic'] });
};

const errorOf = async (answer: Response): Promise<{ status: number; code: string | null; param: string | null }> => {
  const { error } = (await answer.json()) as { error: { code: string | null; param: string | null } };
  return { status: answer.status, code: error.code, param: error.param };
};

const counts = (): number[] => servers.map(({ received }) => received.length);

describe.each(PATHS)('%s', (path) => {
  test('takes an alias of a model', async () => {
    await start(1);
    setModel({ aliases: ['small'] });
    const answer = await gateway.post(path, { ...BODIES[path], model: 'small' });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
    expect(JSON.parse(servers[0]?.received[0]?.bodyText ?? '{}')).toMatchObject({ model: 'up-m1' });
  });

  test('knows no model that the key may not call', async () => {
    await start(1);
    setKey({ allowedModels: ['another'] });
    expect(await errorOf(await gateway.post(path, BODIES[path]))).toEqual({ status: 404, code: 'model_not_found', param: 'model' });
    expect(counts()).toEqual([0]);
  });

  test("is not sent to an upstream that speaks Anthropic's API only", async () => {
    await start(1);
    speakAnthropicOnly();
    expect(await errorOf(await gateway.post(path, BODIES[path]))).toEqual({ status: 400, code: 'invalid_value', param: 'model' });
    expect(counts()).toEqual([0]);
  });

  test('goes where the draw among weighted upstreams says', async () => {
    await start(2, { random: () => 0.99 });
    setModel({ upstreams: (gateway.models.get('m1')?.upstreams ?? []).map((upstream) => ({ ...upstream, weight: 1 })) });
    const answer = await gateway.post(path, BODIES[path]);
    await answer.arrayBuffer();
    expect([answer.status, ...counts()]).toEqual([200, 0, 1]);
  });
});

describe('counting', () => {
  test('asks an upstream last that has been failing', async () => {
    await start(2);
    if (servers[0] !== undefined) servers[0].behaviour.fault = { kind: 'status', status: 500 };
    for (let call = 0; call < 10; call++) await (await gateway.post('/responses', BODIES['/responses'])).text();
    const [, before] = counts();
    const [failing] = counts();
    const answer = await gateway.post('/responses/input_tokens', BODIES['/responses/input_tokens']);
    expect([answer.status, ...counts()]).toEqual([200, failing, (before ?? 0) + 1]);
  });

  test('has the complaint of an upstream call the model as the caller does', async () => {
    await start(1);
    setModel({ aliases: ['small'] });
    if (servers[0] !== undefined)
      servers[0].behaviour.rawPieces = {
        status: 400,
        contentType: 'application/json',
        pieces: [JSON.stringify({ error: { message: 'the model up-m1 is busy', type: 'invalid_request_error' } })],
      };
    const answer = await gateway.post('/responses/input_tokens', { model: 'small', input: 'hi' });
    expect(((await answer.json()) as { error: { message: string } }).error.message).toBe('the model small is busy');
  });
});

describe('a response that builds on another', () => {
  test('goes to the upstream that keeps it, whatever the draw says', async () => {
    let draw = 0.99;
    await start(2, { random: () => draw });
    setModel({ upstreams: (gateway.models.get('m1')?.upstreams ?? []).map((upstream) => ({ ...upstream, weight: 1 })) });
    const { id } = (await (await gateway.post('/responses', BODIES['/responses'])).json()) as { id: string };
    draw = 0;
    const answer = await gateway.post('/responses', { ...BODIES['/responses'], previous_response_id: id });
    expect([answer.status, ...counts()]).toEqual([200, 0, 2]);
  });
});

describe('a response of a soft key', () => {
  test('is sent no limit of ours, and is held by the default of the model', async () => {
    await start(1);
    setKey({ outputBound: 'soft' });
    const answer = await gateway.post('/responses', BODIES['/responses']);
    expect([answer.status, answer.headers.get('x-castellan-output-limit')]).toEqual([200, null]);
    await answer.text();
    expect(JSON.parse(servers[0]?.received[0]?.bodyText ?? '{}')).not.toHaveProperty('max_output_tokens');
    expect(gateway.commands.find((command) => command.verb === 'reserve')?.output).toEqual({ min: 16n, max: 256n });
  });
});
