import Anthropic, { NotFoundError } from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEY, keyOf, startGateway, type Gateway } from '../../support/gateway-harness.ts';
import { letSpeak } from '../../support/messages-upstream.ts';

const LIMITED = 'tk_0000000000000000000000000000009';
const VERSION = { 'anthropic-version': '2023-06-01' };

let gateway: Gateway;
let client: Anthropic;
beforeAll(async () => {
  gateway = await startGateway({ upstreamUrls: ['http://127.0.0.1:9', 'http://127.0.0.1:9'] });
  letSpeak(gateway, 'u1', ['anthropic']);
  const model = gateway.models.get('m1');
  if (model === undefined) throw new Error('no model');
  const { createdAtMs } = model;
  gateway.models.set('m1', { ...model, upstreams: [{ id: 'u1', model: 'm1' }] });
  gateway.models.set('org/new', { ...model, id: 'org/new', aliases: ['latest'], createdAtMs: createdAtMs + 1500 });
  gateway.models.set('openai-only', { ...model, id: 'openai-only', upstreams: [{ id: 'u2', model: 'm1' }] });
  gateway.keys.set(LIMITED, { ...keyOf('k9', 'inference'), allowedModels: ['m1'] });
  client = new Anthropic({ apiKey: KEY, baseURL: gateway.url.replace(/\/v1$/, ''), maxRetries: 0 });
});
afterAll(() => gateway.close());

const get = (path: string, headers: Record<string, string> = { ...VERSION, 'x-api-key': KEY }): Promise<Response> =>
  fetch(`${gateway.url}${path}`, { headers });
const idsOf = async (path: string, headers?: Record<string, string>): Promise<string[]> =>
  ((await (await get(path, headers)).json()) as { data: { id: string }[] }).data.map(({ id }) => id);

describe("Anthropic's client", () => {
  test('lists what it can call, the newest first, aliases after their model, page by page', async () => {
    const seen: string[] = [];
    for await (const { id } of client.models.list({ limit: 2 })) seen.push(id);
    expect(seen).toEqual(['org/new', 'latest', 'm1']);
    const back = await client.models.list({ limit: 1, before_id: 'm1' });
    expect([back.data.map(({ id }) => id), back.has_more, back.first_id]).toEqual([['latest'], true, 'latest']);
  });

  test('learns of a model what bounds it', async () => {
    expect(await client.models.retrieve('m1')).toEqual({
      type: 'model',
      id: 'm1',
      display_name: 'm1',
      created_at: '2026-11-22T12:00:00Z',
      max_input_tokens: 8192,
      max_tokens: 2048,
      capabilities: null,
      line: null,
      lifecycle: 'active',
      deprecated_at: null,
      retires_at: null,
    });
    for (const id of ['org/new', 'latest']) expect(await client.models.retrieve(id)).toMatchObject({ id, display_name: id });
  });

  test('finds no model that only others can call', async () => {
    for (const id of ['openai-only', 'nobody']) await expect(client.models.retrieve(id)).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe('200', () => {
  test('a key that is held to some models sees those only', async () => {
    expect(await idsOf('/models', { ...VERSION, 'x-api-key': LIMITED })).toEqual(['m1']);
    expect((await get('/models/latest', { ...VERSION, 'x-api-key': LIMITED })).status).toBe(404);
  });

  test('a bearer credential does as well, and every model is active', async () => {
    expect(await idsOf('/models?lifecycle[]=active', { ...VERSION, authorization: `Bearer ${KEY}` })).toHaveLength(3);
    expect(await idsOf('/models?lifecycle=deprecated&lifecycle=retired')).toEqual([]);
  });

  test("whoever does not speak Anthropic's API gets OpenAI's list, by the same address", async () => {
    const answer = await get('/models', { authorization: `Bearer ${KEY}` });
    expect(await answer.json()).toMatchObject({ object: 'list', data: [{ id: 'm1' }, {}, {}, {}] });
    expect((await get('/models/m1', { authorization: `Bearer ${KEY}` })).headers.get('request-id')).toBeNull();
  });
});

describe("errors have Anthropic's form", () => {
  test.each([
    ['401', {}, '/models', 401, 'authentication_error'],
    ['404', { 'x-api-key': KEY }, '/models/nobody', 404, 'not_found_error'],
    ['400 for a limit out of range', { 'x-api-key': KEY }, '/models?limit=0', 400, 'invalid_request_error'],
    ['400 for a page that begins nowhere', { 'x-api-key': KEY }, '/models?after_id=nobody', 400, 'invalid_request_error'],
    ['400 for two beginnings', { 'x-api-key': KEY }, '/models?after_id=m1&before_id=m1', 400, 'invalid_request_error'],
    ['400 for a lifecycle that is none', { 'x-api-key': KEY }, '/models?lifecycle=dead', 400, 'invalid_request_error'],
    ['400 for an unknown parameter', { 'x-api-key': KEY }, '/models?secret=1', 400, 'invalid_request_error'],
    ['400 for two credentials', { 'x-api-key': KEY, authorization: `Bearer ${KEY}` }, '/models', 400, 'invalid_request_error'],
  ])('%s', async (_name, headers, path, status, type) => {
    const answer = await get(path, { ...VERSION, ...(headers as Record<string, string>) });
    expect([answer.status, await answer.json()]).toEqual([
      status,
      expect.objectContaining({ type: 'error', error: expect.objectContaining({ type }) as object }),
    ]);
    expect(answer.headers.get('request-id')).toBeTruthy();
  });
});

test('what the project forbids is in no list and cannot be looked up', async () => {
  const inference = { blacklistedModels: ['latest'] };
  gateway.setTenant({ projectSettings: { allowOverwrite: true, inference, createdAtMs: 0, updatedAtMs: 0 } });
  try {
    expect(await idsOf('/models')).toEqual(['m1']);
    expect((await get('/models/org/new')).status).toBe(404);
    expect((await get('/models/latest')).status).toBe(404);
  } finally {
    const { projectSettings: _projectSettings, ...tenant } = gateway.ledger.tenants.get('acme') ?? {};
    gateway.ledger.tenants.set('acme', tenant as NonNullable<ReturnType<typeof gateway.ledger.tenants.get>>);
  }
});
