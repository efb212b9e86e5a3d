import { afterEach, describe, expect, test } from 'vitest';
import type { ApiKey } from '../../../src/core/records.ts';
import {
  CAP,
  eventually,
  priceOf,
  readUntil,
  startGateway,
  TENANT_MONEY,
  type Gateway,
  type GatewayOptions,
} from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

const CALL = { model: 'm1', input: 'hello there' };

let gateway: Gateway;
let servers: OpenAiServer[] = [];

async function start(
  behaviour: Partial<OpenAiBehaviour> = {},
  options: GatewayOptions & { upstreams?: number } = {},
): Promise<OpenAiServer> {
  for (let count = options.upstreams ?? 1; count > 0; count--) servers.push(await startOpenAiServer(behaviour));
  gateway = await startGateway({ upstreamUrls: servers.map(({ url }) => url), ...options });
  return servers[0]!;
}

afterEach(async () => {
  for (const server of servers) server.release();
  expect(gateway.calls.counters.holdViolations).toBe(0);
  await gateway.close();
  for (const server of servers) await server.close();
  servers = [];
});

const send = (method: string, path: string): Promise<Response> =>
  fetch(`${gateway.url}${path}`, { method, headers: { authorization: 'Bearer tk_0000000000000000000000000000001' } });

const make = async (
  changes: object = {},
): Promise<{ id: string; output: { id: string }[]; usage: { total_tokens: number; input_tokens: number } }> => {
  const answer = await gateway.post('/responses', { ...CALL, ...changes });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Awaited<ReturnType<typeof make>>;
};

const errorOf = async (answer: Response): Promise<{ status: number; code: string | null; param: string | null }> => {
  const { error } = (await answer.json()) as { error: { code: string | null; param: string | null } };
  return { status: answer.status, code: error.code, param: error.param };
};

const setKey = (changes: Partial<ApiKey>): void => {
  for (const [credential, key] of gateway.keys) gateway.keys.set(credential, { ...key, ...changes });
};

/** Makes everything that was remembered so far another tenant's. */
function giveAway(): void {
  for (const [key, object] of Array.from(gateway.ledger.upstreamObjects)) {
    gateway.ledger.upstreamObjects.delete(key);
    gateway.ledger.upstreamObjects.set(`other ${object.id}`, { ...object, tenantId: 'other' });
  }
}

describe('holding', () => {
  test('holds prompt and default output, sends that limit, and settles with what was used', async () => {
    const upstream = await start({ gated: true });
    gateway.allocate(CAP, 1000n);
    gateway.allocate(TENANT_MONEY, 100_000n);
    const answering = gateway.post('/responses', CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    // 2 tokens of text, 8 for the message, 16 of overhead, 256 of output.
    expect(gateway.account(CAP).reserved).toBe(282n);
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).toEqual({ ...CALL, model: 'up-m1', max_output_tokens: 256 });
    upstream.release();
    const answer = await answering;
    expect(answer.headers.get('x-castellan-output-limit')).toBe('256');
    const { usage } = (await answer.json()) as { usage: { input_tokens: number; output_tokens: number; total_tokens: number } };
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: BigInt(usage.total_tokens) });
    const nanos = BigInt(usage.input_tokens) * 150n + BigInt(usage.output_tokens) * 600n;
    expect(gateway.account(TENANT_MONEY)).toMatchObject({ reserved: 0n, spent: (nanos + 9n) / 10n });
  });

  test('the default is lowered to what the accounts allow, and a limit of the caller is not', async () => {
    const upstream = await start();
    gateway.allocate(CAP, 80n);
    await make();
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).toMatchObject({ max_output_tokens: 54 });
    const refused = await gateway.post('/responses', { ...CALL, max_output_tokens: 60 });
    expect(await errorOf(refused)).toEqual({ status: 402, code: 'cap_exceeded', param: null });
  });

  test('what builds on a known response holds for its tokens, not for the context', async () => {
    const upstream = await start();
    const first = await make({ max_output_tokens: 20 });
    gateway.allocate(CAP, 1000n, { spent: 0n });
    upstream.behaviour.gated = true;
    const answering = gateway.post('/responses', { ...CALL, previous_response_id: first.id, max_output_tokens: 20 });
    await eventually(() => upstream.waiting()).toBe(1);
    expect(gateway.account(CAP).reserved).toBe(2n + 8n + 16n + BigInt(first.usage.total_tokens) + 20n);
    upstream.release();
    expect((await answering).status).toBe(200);
  });

  test('and for the context where its upstream reported no usage', async () => {
    const upstream = await start({ reportUsage: false });
    const first = await make();
    upstream.behaviour.gated = true;
    const answering = gateway.post('/responses', { ...CALL, previous_response_id: first.id, max_output_tokens: 20 });
    await eventually(() => upstream.waiting()).toBe(1);
    expect(gateway.account(CAP).reserved).toBe(2n + 8n + 16n + 8192n + 20n);
    upstream.release();
    expect((await answering).status).toBe(200);
  });
});

describe('metering', () => {
  test('without usage the prompt and the text seen are counted, and flagged', async () => {
    await start({ reportUsage: false });
    await make();
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: true, promptTokens: 6 });
    expect(gateway.ledger.usage[0]?.completionTokens).toBeGreaterThan(0);
  });

  test('a stream that breaks off is counted by its text, and cut', async () => {
    await start({ fault: { kind: 'reset_mid_body', afterPieces: 7 } });
    const answer = await gateway.post('/responses', { ...CALL, stream: true });
    await expect(answer.text()).rejects.toThrow('terminated');
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: true, streaming: true });
    expect(gateway.ledger.usage[0]?.completionTokens).toBeGreaterThan(0);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test.each(['response.failed', 'response.incomplete'])('%s with a usage is booked as it says', async (type) => {
    const usage = { input_tokens: 9, output_tokens: 4, total_tokens: 13 };
    const pieces = [`event: ${type}\ndata: ${JSON.stringify({ type, response: { id: 'resp_1', usage } })}\n\n`];
    await start({ rawPieces: { contentType: 'text/event-stream', pieces } });
    const answer = await gateway.post('/responses', { ...CALL, stream: true });
    expect(await answer.text()).toBe(pieces.join(''));
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, completionTokens: 4, estimated: false });
  });

  test('the usage is told in the header, or in the trailer of a stream', async () => {
    await start();
    const answer = await gateway.post('/responses', CALL, { 'x-tinfoil-request-usage-metrics': 'true' });
    expect(answer.headers.get('x-tinfoil-usage-metrics')).toMatch(/^prompt=\d+,completion=\d+,total=\d+,/);
    await answer.text();
  });

  test('no field of another API is added to a stream, and nothing is taken out of it', async () => {
    const upstream = await start();
    const text = await (await gateway.post('/responses', { ...CALL, stream: true })).text();
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).not.toHaveProperty('stream_options');
    expect(text).toContain('"input_tokens"');
  });
});

describe('stored responses', () => {
  test('go to the upstream that holds them, whichever comes first', async () => {
    const first = await start({}, { upstreams: 2 });
    first.behaviour.fault = { kind: 'status', status: 503 };
    const { id, output } = await make();
    first.behaviour.fault = null;
    const asked = (): number[] => servers.map(({ received }) => received.length);
    const before = asked();
    expect((await send('GET', `/responses/${id}`)).status).toBe(200);
    expect((await send('GET', `/responses/${id}/input_items?limit=5`)).status).toBe(200);
    await make({ previous_response_id: id });
    await make({
      input: [
        { type: 'item_reference', id: output[0]?.id },
        { role: 'user', content: 'more' },
      ],
    });
    expect(asked()).toEqual([before[0], before[1]! + 4]);
    expect(servers[1]?.received.at(-3)?.path).toBe(`/responses/${id}/input_items?limit=5`);
  });

  test('fail with that upstream: no other can know them', async () => {
    await start({}, { upstreams: 2 });
    const { id } = await make();
    servers[0]!.behaviour.fault = { kind: 'status', status: 500 };
    const asked = servers[1]!.received.length;
    expect((await gateway.post('/responses', { ...CALL, previous_response_id: id })).status).toBe(502);
    expect((await send('GET', `/responses/${id}`)).status).toBe(502);
    expect(servers[1]?.received).toHaveLength(asked);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test("another tenant's do not exist", async () => {
    const upstream = await start();
    const { id, output } = await make();
    giveAway();
    const asked = upstream.received.length;
    const notFound = { status: 404, code: 'not_found' };
    expect(await errorOf(await send('GET', `/responses/${id}`))).toMatchObject(notFound);
    expect(await errorOf(await send('DELETE', `/responses/${id}`))).toMatchObject(notFound);
    expect(await errorOf(await send('POST', `/responses/${id}/cancel`))).toMatchObject(notFound);
    expect(await errorOf(await send('GET', `/responses/${id}/input_items`))).toMatchObject(notFound);
    const builds = await gateway.post('/responses', { ...CALL, previous_response_id: id });
    expect(await errorOf(builds)).toEqual({ ...notFound, param: 'previous_response_id' });
    const refers = await gateway.post('/responses', { ...CALL, input: [{ type: 'item_reference', id: output[0]?.id }] });
    expect(await errorOf(refers)).toEqual({ ...notFound, param: 'input' });
    const counts = await gateway.post('/responses/input_tokens', { ...CALL, previous_response_id: id });
    expect(await errorOf(counts)).toEqual({ ...notFound, param: 'previous_response_id' });
    expect(upstream.received).toHaveLength(asked);
    expect(gateway.ledger.usage).toHaveLength(1);
  });

  test.each(['nothing', 'resp_1%2F..%2Fmodels', '..%2f', 'a b', 'x'.repeat(300)])('an id that was never made is 404: %s', async (id) => {
    const upstream = await start();
    expect((await send('GET', `/responses/${id}`)).status).toBe(404);
    expect(upstream.received).toHaveLength(0);
  });

  test('one whose upstream does not serve the model is 400, and one whose upstream is gone is 404', async () => {
    await start({}, { upstreams: 2 });
    const { id } = await make();
    gateway.models.set('m2', { ...gateway.models.get('m1')!, id: 'm2', upstreams: [{ id: 'u2', model: 'up-m2' }] });
    gateway.prices.push(priceOf({ id: 'p2', modelId: 'm2' }));
    const other = await gateway.post('/responses', { ...CALL, model: 'm2', previous_response_id: id });
    expect(await errorOf(other)).toMatchObject({ status: 400, param: 'previous_response_id' });
    gateway.upstreams.delete('u1');
    expect((await send('GET', `/responses/${id}`)).status).toBe(404);
  });

  test('a deleted one is forgotten before its caller knows, and one that could not be deleted is not', async () => {
    const upstream = await start();
    const { id } = await make();
    upstream.behaviour.fault = { kind: 'status', status: 500 };
    expect((await send('DELETE', `/responses/${id}`)).status).toBe(502);
    upstream.behaviour.fault = null;
    expect((await send('GET', `/responses/${id}`)).status).toBe(200);
    expect(await (await send('DELETE', `/responses/${id}`)).json()).toMatchObject({ id, deleted: true });
    expect((await send('GET', `/responses/${id}`)).status).toBe(404);
  });

  test('what the upstream says of the caller’s own fault passes, with our name of the model', async () => {
    const upstream = await start();
    const { id } = await make();
    expect(await errorOf(await send('POST', `/responses/${id}/cancel`))).toMatchObject({ status: 400, code: 'invalid_request' });
    upstream.behaviour.fault = { kind: 'status', status: 401 };
    expect((await send('GET', `/responses/${id}`)).status).toBe(502);
    upstream.behaviour.fault = { kind: 'status', status: 429, headers: { 'retry-after': '7' } };
    const limited = await send('GET', `/responses/${id}`);
    expect({ status: limited.status, after: limited.headers.get('retry-after') }).toEqual({ status: 429, after: '7' });
  });

  test('unknown and doubled parameters of the query are 400, and nothing is asked', async () => {
    const upstream = await start();
    const { id } = await make();
    const asked = upstream.received.length;
    expect(await errorOf(await send('GET', `/responses/${id}?secret=1`))).toMatchObject({ status: 400, param: 'secret' });
    expect(await errorOf(await send('GET', `/responses/${id}?stream=true&stream=false`))).toMatchObject({ status: 400, param: 'stream' });
    expect(await errorOf(await send('DELETE', `/responses/${id}?stream=true`))).toMatchObject({ status: 400, param: 'stream' });
    expect(upstream.received).toHaveLength(asked);
    await send('GET', `/responses/${id}?include[]=a&include[]=b%26c`);
    expect(upstream.received.at(-1)?.path).toBe(`/responses/${id}?include%5B%5D=a&include%5B%5D=b%26c`);
  });

  test('a key that is held to other models finds none of it: not to read, cancel or delete, nor to build on', async () => {
    const upstream = await start();
    const model = gateway.models.get('m1');
    if (model !== undefined) gateway.models.set('m2', { ...model, id: 'm2' });
    gateway.prices.push(priceOf({ id: 'p2', modelId: 'm2' }));
    const { id, output } = await make();
    const asked = upstream.received.length;
    setKey({ allowedModels: ['m2'] });
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/cancel'],
      ['GET', '/input_items'],
    ] as const) {
      const denied = await send(method, `/responses/${id}${path}`);
      expect(await errorOf(denied)).toEqual({ status: 404, code: 'not_found', param: 'response_id' });
    }
    const built = await gateway.post('/responses', { ...CALL, model: 'm2', previous_response_id: id });
    expect(await errorOf(built)).toEqual({ status: 404, code: 'not_found', param: 'previous_response_id' });
    const item = { type: 'item_reference', id: output[0]?.id };
    expect((await gateway.post('/responses', { ...CALL, model: 'm2', input: [item] })).status).toBe(404);
    expect(upstream.received).toHaveLength(asked);

    setKey({ allowedModels: ['m1', 'm2'] });
    expect((await send('GET', `/responses/${id}`)).status).toBe(200);
    expect((await gateway.post('/responses', { ...CALL, model: 'm2', previous_response_id: id })).status).toBe(200);
  });

  test('a suspended tenant asks for nothing', async () => {
    await start();
    const { id } = await make();
    gateway.setTenant({ status: 'SUSPENDED' });
    expect(await errorOf(await send('GET', `/responses/${id}`))).toMatchObject({ status: 403, code: 'tenant_suspended' });
    expect(await errorOf(await gateway.post('/responses/input_tokens', CALL))).toMatchObject({ status: 403, code: 'tenant_suspended' });
  });

  test('an answer that could not be booked is cut, and its response is not remembered', async () => {
    await start();
    gateway.failVerb = 'settle-call';
    await expect(gateway.post('/responses', CALL)).rejects.toThrow('fetch failed');
    expect(gateway.ledger.upstreamObjects.size).toBe(0);
    gateway.failVerb = null;
    await gateway.calls.idle();
  });
});

describe('in the background', () => {
  test('the hold lives until the response has ended, and then its usage is booked', async () => {
    const upstream = await start();
    const { id } = await make({ background: true });
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    await gateway.calls.idle();
    const ended = (await (await send('GET', `/responses/${id}`)).json()) as { status: string; usage: { total_tokens: number } };
    expect(ended.status).toBe('completed');
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: BigInt(ended.usage.total_tokens) });
    expect(upstream.served.promptTokens + upstream.served.completionTokens).toBe(ended.usage.total_tokens);
    const next = await make({ previous_response_id: id });
    expect(next.usage.input_tokens).toBeGreaterThan(ended.usage.total_tokens);
  });

  test('an upstream that fails in between is asked again', async () => {
    const upstream = await start();
    await make({ background: true });
    upstream.behaviour.fault = { kind: 'status', status: 500 };
    const asked = upstream.received.length;
    await eventually(() => upstream.received.length).toBeGreaterThan(asked + 2);
    expect(gateway.ledger.usage).toHaveLength(0);
    expect(gateway.account(CAP).reserved).toBeGreaterThan(0n);
    upstream.behaviour.fault = null;
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: false });
  });

  test('one that its caller cancels is booked as its upstream says', async () => {
    const upstream = await start();
    upstream.behaviour.gated = false;
    const queued = await make({ background: true });
    const cancelled = (await (await send('POST', `/responses/${queued.id}/cancel`)).json()) as { status: string };
    expect(['cancelled', 'completed']).toContain(cancelled.status);
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: false });
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test('one that is deleted meanwhile is booked by an estimate', async () => {
    const upstream = await start();
    upstream.behaviour.headerDelayMs = 30;
    const { id } = await make({ background: true });
    await send('DELETE', `/responses/${id}`);
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test('a stream whose caller leaves goes on at its upstream: it can be got at once, and is booked as it ended', async () => {
    const upstream = await start({ chunkDelayMs: 20 }, { limits: { drainMs: 1 } });
    const answer = await gateway.post('/responses', { ...CALL, background: true, stream: true });
    const reader = answer.body?.getReader();
    await readUntil(reader, 'response.in_progress');
    const id = [...gateway.ledger.upstreamObjects.values()][0]?.id;
    expect(id).toMatch(/^resp_/);
    await reader?.cancel();
    await eventually(() => gateway.calls.counters.abandoned).toBe(1);
    gateway.calls.tick();
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(upstream.received.some(({ method, path }) => method === 'GET' && path === `/responses/${id}`)).toBe(true);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: false });
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test('nothing is answered that could not be remembered', async () => {
    await start();
    gateway.failVerb = 'keep-upstream-objects';
    const answer = await gateway.post('/responses', { ...CALL, background: true });
    expect(answer.status).toBe(503);
    await gateway.calls.idle();
    expect(gateway.account(CAP).reserved).toBe(0n);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: true });
  });
});

describe('counting input', () => {
  test('costs nothing, and sends what was asked with the model of the upstream', async () => {
    const upstream = await start();
    const answer = await gateway.post('/responses/input_tokens', { ...CALL, instructions: 'Be brief.' });
    expect(await answer.json()).toMatchObject({ object: 'response.input_tokens', input_tokens: expect.any(Number) as number });
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).toEqual({ ...CALL, instructions: 'Be brief.', model: 'up-m1' });
    expect(gateway.commands).toHaveLength(0);
    expect(gateway.ledger.usage).toHaveLength(0);
  });

  test.each([404, 405, 500, 501])('an upstream that answers %i is followed by the next', async (status) => {
    await start({}, { upstreams: 2 });
    servers[0]!.behaviour.fault = { kind: 'status', status };
    expect((await gateway.post('/responses/input_tokens', CALL)).status).toBe(200);
  });

  test('an upstream that cannot even be opened is followed by the next', async () => {
    await start({}, { upstreams: 2 });
    gateway.upstreams.set('u1', { ...gateway.upstreams.get('u1')!, baseUrl: 'no address' });
    expect((await gateway.post('/responses/input_tokens', CALL)).status).toBe(200);
    expect(servers[1]?.received).toHaveLength(1);
  });

  test.each([
    [400, 400],
    [404, 404],
    [500, 502],
    [429, 429],
  ])('where none counts, %i is answered as %i', async (status, answered) => {
    await start({ fault: { kind: 'status', status } });
    expect((await gateway.post('/chat/completions/input_tokens', { model: 'm1', messages: [{ role: 'user', content: 'x' }] })).status).toBe(
      answered,
    );
  });

  test.each([
    ['/responses/input_tokens', { input: 'x' }, 'model'],
    ['/chat/completions/input_tokens', { model: 'm1' }, 'messages'],
    ['/chat/completions/input_tokens', { model: 'nope', messages: [{ role: 'user', content: 'x' }] }, 'model'],
  ])('%s refuses what the call itself would refuse', async (path, body, param) => {
    const upstream = await start();
    expect(await errorOf(await gateway.post(path, body))).toMatchObject({ param });
    expect(upstream.received).toHaveLength(0);
  });
});
