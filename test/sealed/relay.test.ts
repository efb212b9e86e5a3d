import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Identity, Transport } from 'ehbp';
import Type from 'typebox';
import { Compile } from 'typebox/schema';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { maxSealedBytes } from '../../src/api/_shared/sealed-body.ts';
import { EVENT_OPERATIONS } from '../../src/api/operator/event-operations.ts';
import { OPERATOR_PREFIX } from '../../src/api/operator/prefix.ts';
import type { SealedUpstream, Upstream } from '../../src/core/records.ts';
import { startEnclave, type Enclave } from '../support/enclave.ts';
import { CAP, eventually, KEY, KEY_MONEY, priceOf, startGateway, TENANT, TENANT_MONEY, type Gateway } from '../support/gateway-harness.ts';
import { beginSealed, postRaw, type RawAnswer, type SealedMessage } from '../support/sealed-message.ts';

const CHAT = JSON.stringify({ model: 'up-m1', messages: [{ role: 'user', content: 'hello there' }] });
const CEILING = 1000;
/** What the model of the harness adds to every prompt. */
const OVERHEAD = 16;
const MAX_BODY_BYTES = 65_536;
const USAGE = 'prompt=100,completion=50,total=150,model=up-m1';
const COST = 100n * 150n + 50n * 600n;

let gateway: Gateway;
let enclave: Enclave;
let clockMs: number;

beforeEach(async () => {
  clockMs = 0;
  enclave = await startEnclave();
  gateway = await startGateway({
    upstreamUrls: ['http://127.0.0.1:1/v1'],
    apiKey: 'sk-enclave',
    maxBodyBytes: MAX_BODY_BYTES,
    elapsedMs: () => performance.now() + clockMs,
    limits: { upstreamTimeoutMs: 2000, drainMs: 400 },
  });
  seal({});
});

afterEach(async () => {
  await gateway.close();
  await enclave.close();
});

/** Declares the upstream as one for sealed calls. */
function seal(sealed: Partial<SealedUpstream>, changes: Partial<Upstream> = {}): void {
  const upstream = gateway.upstreams.get('u1') as Upstream;
  const whole = { enclaveUrls: [enclave.origin], attestationUrl: null, maxOutputTokens: CEILING, ...sealed };
  gateway.upstreams.set('u1', { ...upstream, baseUrl: '', sealed: whole, ...changes });
}

/** A second model of the enclave, ten times as dear. */
function addDearModel(): void {
  const first = gateway.models.get('m1');
  if (first === undefined) throw new Error('there is no model');
  gateway.models.set('dear', { ...first, id: 'dear', upstreams: [{ id: 'u1', model: 'up-dear' }], aliases: ['costly'] });
  gateway.prices.push(priceOf({ id: 'p2', modelId: 'dear', inputNanos: 1500, outputNanos: 6000 }));
}

const headersOf = (message: SealedMessage, more: Readonly<Record<string, string>>): Record<string, string> => ({
  authorization: `Bearer ${KEY}`,
  'content-type': 'application/json',
  'x-tinfoil-enclave-url': enclave.origin,
  'ehbp-encapsulated-key': message.encapsulatedKey,
  ...more,
});

interface Sealed extends RawAnswer {
  /** What each frame of the answer says. */
  readonly frames: readonly string[];
  readonly wire: Buffer;
}

/** Seals a text for the enclave and sends it through the gateway, chunked. */
async function call(more: Readonly<Record<string, string>> = {}, text = CHAT, path = '/chat/completions'): Promise<Sealed> {
  const message = await beginSealed(enclave.config);
  const wire = await message.seal(text);
  const answer = await postRaw(`${gateway.url}${path}`, { headers: headersOf(message, more), body: [wire] });
  const nonce = answer.headers['ehbp-response-nonce'];
  const frames = nonce === undefined ? [] : await message.open(String(nonce), answer.body);
  return { ...answer, wire, frames: frames.map(String) };
}

const jsonOf = ({ body }: RawAnswer): unknown => JSON.parse(body.toString());
const booked = () => gateway.ledger.usage.at(-1);

function expectNothingHeld(): void {
  expect(gateway.account(CAP).reserved).toBe(0n);
}

function expectNothingBooked(): void {
  expect(gateway.ledger.usage).toHaveLength(0);
  expect(gateway.account(CAP)).toMatchObject({ spent: 0n, reserved: 0n });
}

describe('a sealed call', () => {
  test('goes through byte for byte, in both directions, with our credential and the wish for its usage', async () => {
    enclave.answer = () => ({ frames: ['{"id":"x"', '}'], usage: USAGE });
    const answer = await call();
    expect([answer.status, answer.frames]).toEqual([200, ['{"id":"x"', '}']]);
    const [seen] = enclave.received;
    expect(seen?.path).toBe('/v1/chat/completions');
    expect(seen?.wire.equals(answer.wire)).toBe(true);
    expect(seen?.text).toBe(CHAT);
    expect(seen?.headers).toMatchObject({ authorization: 'Bearer sk-enclave', 'x-tinfoil-request-usage-metrics': 'true' });
    expect(seen?.headers['x-tinfoil-enclave-url']).toBeUndefined();
    // Nobody asked for it.
    expect(answer.headers['x-tinfoil-usage-metrics']).toBeUndefined();
    expect(answer.headers['x-castellan-call-id']).toBeDefined();
    expect(booked()).toMatchObject({
      model: 'm1',
      upstreamId: 'u1',
      promptTokens: 100,
      completionTokens: 50,
      costNanoUsd: COST,
      estimated: false,
    });
    expect(gateway.account(CAP)).toMatchObject({ spent: 150n, reserved: 0n });
  });

  test('is answered with our usage header at once where its usage is known at once, and the caller asked', async () => {
    let release: () => void = () => undefined;
    enclave.answer = () => ({
      usage: USAGE,
      frames: (async function* () {
        yield '{';
        await new Promise<void>((resolve) => (release = resolve));
        yield '}';
      })(),
    });
    const message = await beginSealed(enclave.config);
    let first: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (first = resolve));
    const answering = postRaw(`${gateway.url}/chat/completions`, {
      headers: headersOf(message, { 'x-tinfoil-request-usage-metrics': 'true' }),
      body: [await message.seal(CHAT)],
      onPiece: () => first(),
    });
    // The first frame is here while the last one is not made yet.
    await begun;
    release();
    const answer = await answering;
    expect(answer.headers['x-tinfoil-usage-metrics']).toBe('prompt=100,completion=50,total=150,model=m1,cost_usd=0.000045');
    expect(answer.trailers).toEqual({});
  });

  test('that streams brings its usage in the trailer, and each frame when it is made', async () => {
    const made: number[] = [];
    const came: number[] = [];
    enclave.answer = () => ({
      headers: { 'content-type': 'text/event-stream' },
      usage: USAGE,
      inTrailer: true,
      frames: (async function* () {
        for (const each of ['data: 1\n\n', 'data: 2\n\n', 'data: [DONE]\n\n']) {
          made.push(came.length);
          yield each;
          await delay(50);
        }
      })(),
    });
    const message = await beginSealed(enclave.config);
    const answer = await postRaw(`${gateway.url}/chat/completions`, {
      headers: headersOf(message, { 'x-tinfoil-request-usage-metrics': 'true' }),
      body: [await message.seal(CHAT)],
      onPiece: () => void came.push(made.length),
    });
    expect(answer.headers.trailer).toBe('X-Tinfoil-Usage-Metrics');
    expect(answer.trailers['x-tinfoil-usage-metrics']).toBe('prompt=100,completion=50,total=150,model=m1,cost_usd=0.000045');
    // Each was passed on before the next one was made.
    expect(came).toEqual([1, 2, 3]);
    expect(booked()).toMatchObject({ promptTokens: 100, completionTokens: 50, estimated: false });
  });

  test('of the client library works unmodified, streaming included', async () => {
    enclave.answer = ({ text }) => ({ usage: USAGE, inTrailer: true, frames: [`you said `, text] });
    const transport = new Transport(await Identity.unmarshalPublicConfig(enclave.config), new URL(gateway.url).host);
    const answer = await transport.request(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', 'x-tinfoil-enclave-url': enclave.origin },
      body: CHAT,
    });
    expect([answer.status, await answer.text()]).toEqual([200, `you said ${CHAT}`]);
  });

  test.each([
    ['/completions', '/v1/completions'],
    ['/embeddings', '/v1/embeddings'],
    ['/responses', '/v1/responses'],
    ['/audio/transcriptions', '/v1/audio/transcriptions'],
  ])('of %s goes to %s', async (path, at) => {
    enclave.answer = () => ({ usage: 'prompt=7,completion=0,total=7,model=up-m1' });
    expect((await call({}, '{}', path)).status).toBe(200);
    expect(enclave.received[0]?.path).toBe(at);
    expect(booked()).toMatchObject({ promptTokens: 7, completionTokens: 0 });
  });

  test('of Anthropic’s API goes with our credential as that API wants it', async () => {
    seal({}, { speaks: ['anthropic'] });
    enclave.answer = () => ({ usage: USAGE });
    const answer = await call({ 'anthropic-version': '2023-06-01' }, '{}', '/messages');
    expect([answer.status, enclave.received[0]?.headers['x-api-key']]).toEqual([200, 'sk-enclave']);
    expect((await call({}, '{}')).status).toBe(400);
  });

  test('that counts tokens is neither held nor booked', async () => {
    enclave.answer = () => ({ frames: ['{"input_tokens":3}'] });
    const answer = await call({}, '{}', '/chat/completions/input_tokens');
    expect([answer.status, answer.frames, enclave.received[0]?.path]).toEqual([
      200,
      ['{"input_tokens":3}'],
      '/v1/chat/completions/input_tokens',
    ]);
    expectNothingBooked();
    expect(gateway.commands.filter(({ verb }) => verb === 'reserve')).toEqual([]);
  });
});

describe('what is held', () => {
  /** Tokens that a call holds while its enclave works. */
  async function heldBy(send: () => Promise<unknown>): Promise<bigint> {
    let held = 0n;
    enclave.answer = () => {
      held = gateway.account(CAP).reserved;
      return { usage: USAGE };
    };
    await send();
    expectNothingHeld();
    return held;
  }

  test('is a token a byte of the sealed body and the declared ceiling, its length told or not', async () => {
    const message = await beginSealed(enclave.config);
    const wire = await message.seal(CHAT);
    const expected = BigInt(wire.length + OVERHEAD + CEILING);
    expect(await heldBy(() => call())).toBe(expected);
    expect(await heldBy(() => call({ 'content-length': String(wire.length) }))).toBe(expected);
  });

  test('is no more than the context for a longer body', async () => {
    const { contextTokens } = gateway.models.get('m1') ?? { contextTokens: 0 };
    expect(await heldBy(() => call({}, 'x'.repeat(20_000)))).toBe(BigInt(contextTokens + OVERHEAD + CEILING));
  });

  test('is the context for a model that is sent media, whose tokens are no matter of bytes', async () => {
    const model = gateway.models.get('m1');
    if (model !== undefined) gateway.models.set('m1', { ...model, maxImageTokens: 1000 });
    expect(await heldBy(() => call())).toBe(BigInt(8192 + OVERHEAD + CEILING));
  });

  test('is what the largest model gives where no ceiling is declared', async () => {
    seal({ maxOutputTokens: null });
    const held = await heldBy(() => call());
    expect(held % 10_000n).toBeGreaterThan(2048n);
  });

  test('is priced by the dearest model, or by the one that is named, also by an alias', async () => {
    addDearModel();
    gateway.allocate(KEY_MONEY, 1_000_000_000n);
    const money: bigint[] = [];
    enclave.answer = () => {
      money.push(gateway.account(KEY_MONEY).reserved);
      return { usage: 'prompt=1,completion=1,total=2' };
    };
    const { wire } = await call();
    await call({ 'x-castellan-model': 'm1' });
    await call({ 'x-castellan-model': 'costly' });
    const tokens = BigInt(wire.length + OVERHEAD);
    const cheap = (tokens * 150n + 1000n * 600n + 9n) / 10n;
    const dear = (tokens * 1500n + 1000n * 6000n + 9n) / 10n;
    expect(money).toEqual([dear, cheap, dear]);
  });

  test('is refused where it does not fit, and the enclave hears nothing', async () => {
    gateway.allocate(TENANT_MONEY, 10n);
    const answer = await call();
    expect([answer.status, jsonOf(answer)]).toMatchObject([402, { error: { code: 'budget_exceeded' } }]);
    expect(enclave.received).toHaveLength(0);
    expectNothingBooked();
  });
});

describe('what is booked', () => {
  beforeEach(addDearModel);

  const booking = async (usage: string | undefined, more: Readonly<Record<string, string>> = {}) => {
    enclave.answer = () => (usage === undefined ? {} : { usage });
    expect((await call(more)).status).toBe(200);
    expectNothingHeld();
    return booked();
  };
  const events = () => gateway.ledger.events.filter(({ type }) => type === 'call.model_mismatch');

  test('of a model that the answer names is its own price, under our name of it', async () => {
    expect(await booking(USAGE)).toMatchObject({ model: 'm1', costNanoUsd: COST, priceId: 'p1' });
    expect(await booking('prompt=100,completion=50,total=150,model=up-dear')).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(await booking('prompt=100,completion=50,total=150,model=costly')).toMatchObject({ model: 'dear' });
    expect(events()).toEqual([]);
  });

  test('of cached tokens is their price', async () => {
    const usage = 'prompt=100,completion=50,total=150,cached_prompt_tokens=40,uncached_prompt_tokens=60,model=up-m1,cost_usd=99';
    expect(await booking(usage)).toMatchObject({ cachedPromptTokens: 40, costNanoUsd: 60n * 150n + 40n * 75n + 50n * 600n });
  });

  test('without a model is the dearest’s, and told where a cheaper one was named', async () => {
    const silent = 'prompt=100,completion=50,total=150';
    expect(await booking(silent)).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(await booking(silent, { 'x-castellan-model': 'dear' })).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(events()).toEqual([]);
    expect(await booking(silent, { 'x-castellan-model': 'm1' })).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(events()).toMatchObject([{ data: { named_model: 'm1', reported_model: null, booked_model: 'dear' } }]);
    // As the list of events is documented.
    const shown = events().map(({ type, data }) => ({ id: 'evt_1', type, tenant_id: 't1', created_at: '2026-11-23T00:00:00Z', data }));
    const [page] = [EVENT_OPERATIONS[`GET ${OPERATOR_PREFIX}/events`]?.answers[200] ?? []].flat();
    expect(Compile(page?.schema ?? Type.Never()).Check({ events: shown, has_more: false, next_cursor: null })).toBe(true);
  });

  test('of another model than the named one is the dearer’s, and told', async () => {
    const usage = await booking('prompt=100,completion=50,total=150,model=up-dear', { 'x-castellan-model': 'm1' });
    expect(usage).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(events()).toMatchObject([
      { data: { key_id: 'k1', upstream_id: 'u1', named_model: 'm1', reported_model: 'up-dear', booked_model: 'dear' } },
    ]);
    expect(gateway.calls.counters.sealedMismatches).toBe(1);
  });

  test('of a cheaper model than the named one is the named one’s, and told', async () => {
    const usage = await booking(USAGE, { 'x-castellan-model': 'dear' });
    expect(usage).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(events()).toHaveLength(1);
  });

  test('of a model that nobody declared is the dearest’s, and told', async () => {
    expect(await booking('prompt=100,completion=50,total=150,model=other')).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(events()).toMatchObject([{ data: { named_model: null, reported_model: 'other' } }]);
  });

  test('of a model of another upstream at the same address is its own, and held for', async () => {
    const first = gateway.upstreams.get('u1') as Upstream;
    const model = gateway.models.get('dear');
    if (model === undefined) throw new Error('there is no model');
    gateway.models.set('dear', { ...model, upstreams: [{ id: 'u2', model: 'up-dear' }] });
    gateway.upstreams.set('u2', {
      ...first,
      id: 'u2',
      sealed: { enclaveUrls: [enclave.origin], attestationUrl: null, maxOutputTokens: 5 * CEILING },
    });
    gateway.allocate(KEY_MONEY, 1_000_000_000n);
    let held = 0n;
    enclave.answer = () => {
      held = gateway.account(KEY_MONEY).reserved;
      return { usage: 'prompt=100,completion=50,total=150,model=up-dear' };
    };
    const { wire } = await call();
    // Money is held in micro-cents, of ten nano-dollars each.
    expect(held * 10n).toBe(BigInt(wire.length + OVERHEAD) * 1500n + 5n * BigInt(CEILING) * 6000n);
    expect(booked()).toMatchObject({ model: 'dear', costNanoUsd: COST * 10n });
    expect(events()).toEqual([]);
    const key = gateway.keys.get(KEY);
    if (key === undefined) throw new Error('there is no key');
    gateway.keys.set(KEY, { ...key, allowedModels: ['m1'] });
    expect((await call()).status).toBe(403);
  });

  test('after a wrong word of a key its calls are held for the dearest for an hour', async () => {
    gateway.allocate(KEY_MONEY, 1_000_000_000n);
    const held: bigint[] = [];
    enclave.answer = () => {
      held.push(gateway.account(KEY_MONEY).reserved);
      return { usage: held.length === 1 ? 'prompt=1,completion=1,total=2,model=up-dear' : 'prompt=1,completion=1,total=2,model=up-m1' };
    };
    const named = { 'x-castellan-model': 'm1' };
    await call(named);
    await call(named);
    clockMs += 3_600_001;
    await call(named);
    expect(held[1]).toBeGreaterThan((held[0] as bigint) * 9n);
    expect(held[2]).toBe(held[0]);
  });

  test('calls at once with a name are held for the dearest, but for one more than names have proved true', async () => {
    gateway.allocate(KEY_MONEY, 1_000_000_000n);
    const named = { 'x-castellan-model': 'm1' };
    let gate = Promise.withResolvers<void>();
    let waiting = 0;
    enclave.answer = async () => {
      waiting += 1;
      await gate.promise;
      return { usage: 'prompt=1,completion=1,total=2,model=up-m1' };
    };
    /** What is held for so many calls at once. */
    const heldFor = async (count: number): Promise<bigint> => {
      [gate, waiting] = [Promise.withResolvers<void>(), 0];
      const calls = Array.from({ length: count }, () => call(named));
      await eventually(() => waiting).toBe(count);
      const held = gateway.account(KEY_MONEY).reserved;
      gate.resolve();
      expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(calls.map(() => 200));
      expectNothingHeld();
      return held;
    };
    const cheap = await heldFor(1);
    expect(await heldFor(2)).toBe(cheap * 2n);
    expect(await heldFor(5)).toBe(cheap * 4n + cheap * 10n);
    expect(events()).toEqual([]);
  });

  test('calls whose callers leave before it shows are not held by their names for ever', async () => {
    gateway.allocate(KEY_MONEY, 1_000_000_000n);
    const held: bigint[] = [];
    enclave.answer = () => {
      held.push(gateway.account(KEY_MONEY).reserved);
      return {
        frames: (async function* () {
          yield '{';
          await delay(2000, undefined, { ref: false });
        })(),
        usage: 'prompt=1,completion=1,total=2,model=up-dear',
      };
    };
    for (let turn = 0; turn < 2; turn += 1) {
      const message = await beginSealed(enclave.config);
      const agent = new Agent();
      const leaving = postRaw(`${gateway.url}/chat/completions`, {
        headers: headersOf(message, { 'x-castellan-model': 'm1' }),
        body: [await message.seal(CHAT)],
        onPiece: () => agent.destroy(),
        agent,
      });
      await expect(leaving).rejects.toThrow(/aborted|hang up|reset/);
      await eventually(() => gateway.ledger.usage.length).toBe(turn + 1);
    }
    expect(held[1]).toBe((held[0] as bigint) * 10n);
    expectNothingHeld();
  });

  test.each([
    ['no usage', undefined],
    ['nonsense', 'prompt=many'],
    ['a negative count', 'prompt=-1,completion=2,total=1'],
    ['two counts of one kind', 'prompt=1,prompt=2,total=3'],
    ['no count', 'model=up-m1'],
  ])('of an answer with %s is all that was held, flagged', async (_what, usage) => {
    gateway.allocate(KEY_MONEY, 1_000_000_000n);
    let held = { tokens: 0n, money: 0n };
    enclave.answer = () => {
      held = { tokens: gateway.account(CAP).reserved, money: gateway.account(KEY_MONEY).reserved };
      return usage === undefined ? {} : { usage };
    };
    expect((await call()).status).toBe(200);
    expect(booked()).toMatchObject({ estimated: true, model: 'dear' });
    expect(gateway.account(CAP)).toMatchObject({ spent: held.tokens, reserved: 0n });
    expect(gateway.account(KEY_MONEY)).toMatchObject({ spent: held.money, reserved: 0n });
  });

  test('of an absurd usage is clamped, and above the hold it is counted', async () => {
    const usage = await booking('prompt=999999999999999,completion=1,total=1,model=up-m1');
    expect(usage?.promptTokens).toBe(100_000_000_000);
    expect(gateway.calls.counters.holdViolations).toBe(1);
  });
});

describe('what is refused', () => {
  const expectRefused = async (status: number, error: object, more: Readonly<Record<string, string>>, path?: string): Promise<void> => {
    const answer = await call(more, CHAT, path);
    expect([answer.status, jsonOf(answer)]).toMatchObject([status, { error }]);
    expect(enclave.received).toHaveLength(0);
    expectNothingBooked();
  };

  test.each([
    ['another address', 'http://127.0.0.1:1'],
    ['one below it', '/v1'],
    ['one with a query', '?a=b'],
    ['one with a user', null],
    ['nothing', ''],
  ])('400: %s', async (_what, named) => {
    const url =
      named === null
        ? enclave.origin.replace('http://', 'http://user@')
        : named.startsWith('http') || named === ''
          ? named
          : enclave.origin + named;
    await expectRefused(400, { param: 'x-tinfoil-enclave-url', code: 'invalid_value' }, { 'x-tinfoil-enclave-url': url });
  });

  test('400: a body that is not sealed, or an encapsulated key that is none', async () => {
    await expectRefused(400, { param: 'ehbp-encapsulated-key' }, { 'ehbp-encapsulated-key': 'abc' });
    const answer = await postRaw(`${gateway.url}/chat/completions`, {
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', 'x-tinfoil-enclave-url': enclave.origin },
      body: [Buffer.from(CHAT)],
    });
    expect([answer.status, jsonOf(answer)]).toMatchObject([400, { error: { param: 'ehbp-encapsulated-key' } }]);
    expect(enclave.received).toHaveLength(0);
  });

  test('401: a key that nobody has', () => expectRefused(401, {}, { authorization: 'Bearer tk_nobody' }));

  test('404: a model that is not served there, or does not exist', async () => {
    await expectRefused(404, { code: 'model_not_found' }, { 'x-castellan-model': 'nothing' });
    const other = gateway.models.get('m1');
    if (other !== undefined) gateway.models.set('elsewhere', { ...other, id: 'elsewhere', upstreams: [{ id: 'u9', model: 'x' }] });
    await expectRefused(404, { code: 'model_not_found' }, { 'x-castellan-model': 'elsewhere' });
  });

  test('403: a key that may not call all models of the enclave, whatever it names; and a policy that reads bodies', async () => {
    addDearModel();
    const key = gateway.keys.get(KEY);
    if (key === undefined) throw new Error('there is no key');
    gateway.keys.set(KEY, { ...key, allowedModels: ['m1'] });
    await expectRefused(403, { code: 'forbidden' }, { 'x-castellan-model': 'm1' });
    gateway.keys.set(KEY, key);
    gateway.policies.push({
      id: 'pol_1',
      tenantId: TENANT,
      name: 'short',
      description: null,
      scopePattern: 'tenant:*',
      priority: 0,
      status: 'ACTIVE',
      caps: { maxTokens: 10 },
      overagePolicy: null,
      ttlOverride: null,
      rateLimits: null,
      effectiveFromMs: null,
      effectiveUntilMs: null,
      createdAtMs: 0,
      updatedAtMs: 0,
    });
    await expectRefused(403, { code: 'forbidden' }, {});
  });

  test('400: a model without a price', async () => {
    gateway.prices.length = 0;
    await expectRefused(400, { code: 'model_unpriced' }, {});
  });

  test('413: a body that is too long, told before or seen on the way; nothing stays held', async () => {
    const long = maxSealedBytes(MAX_BODY_BYTES) + 1;
    const message = await beginSealed(enclave.config);
    const told = await postRaw(`${gateway.url}/chat/completions`, {
      headers: headersOf(message, { 'content-length': String(long) }),
      body: [],
      // Its connection is of no use to anybody after this.
      agent: new Agent(),
    });
    expect(told.status).toBe(413);
    const seen = await postRaw(`${gateway.url}/chat/completions`, {
      headers: headersOf(message, {}),
      body: (function* () {
        for (let sent = 0; sent < long; sent += 8192) yield Buffer.alloc(8192, 1);
      })(),
    });
    expect(seen.status).toBe(413);
    await eventually(() => gateway.account(CAP).reserved).toBe(0n);
    expectNothingBooked();
  });

  test('a plain call of its models, since it takes none; the others stay open', async () => {
    const answer = await gateway.post('/chat/completions', { model: 'm1', messages: [{ role: 'user', content: 'x' }] });
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: { param: 'model' } }]);
  });
});

describe('what goes wrong at the enclave', () => {
  test.each([
    [400, 400],
    [404, 404],
    [422, 422],
  ])('a sealed %i passes as it is, and costs nothing', async (status, told) => {
    enclave.answer = () => ({ status, frames: ['{"error":"sealed words"}'], usage: USAGE });
    const answer = await call({ 'x-tinfoil-request-usage-metrics': 'true' });
    expect([answer.status, answer.frames]).toEqual([told, ['{"error":"sealed words"}']]);
    expect(answer.headers['x-tinfoil-usage-metrics']).toBeUndefined();
    expectNothingBooked();
  });

  test('a stale key is the client’s to mend: the 422 passes in the clear', async () => {
    const problem = '{"type":"urn:ietf:params:ehbp:error:key-config","title":"stale"}';
    enclave.answer = () => ({ status: 422, plain: problem, headers: { 'content-type': 'application/problem+json' } });
    const answer = await call();
    expect([answer.status, answer.headers['content-type'], answer.body.toString()]).toEqual([422, 'application/problem+json', problem]);
    expectNothingBooked();
  });

  test('a plain 400 is told without what its writer knows of us', async () => {
    enclave.answer = () => ({ status: 400, plain: '{"error":{"message":"sk-enclave may not"}}' });
    const answer = await call();
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).not.toContain('sk-enclave');
    expectNothingBooked();
  });

  test.each([
    [401, 502],
    [403, 502],
    [429, 429],
    [500, 502],
    [503, 502],
    [302, 502],
  ])('%i is told as %i, and costs nothing', async (status, told) => {
    enclave.answer = () => ({ status, headers: { location: 'http://127.0.0.1:1/elsewhere' } });
    const answer = await call();
    expect([answer.status, answer.headers.location]).toEqual([told, undefined]);
    expectNothingBooked();
  });

  test('an empty answer, and none at all, are 502 and cost nothing', async () => {
    enclave.answer = () => ({ frames: [], usage: USAGE });
    expect((await call()).status).toBe(502);
    await enclave.close();
    expect((await call()).status).toBe(502);
    expectNothingBooked();
  });

  test('an answer that comes before the body is whole leaves the connection fit for the next call', async () => {
    const hasty = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-tinfoil-usage-metrics': USAGE }).end('early');
    });
    await new Promise<void>((resolve) => hasty.listen(0, '127.0.0.1', resolve));
    seal({ enclaveUrls: [`http://127.0.0.1:${(hasty.address() as AddressInfo).port}`] });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sent = {
      ...headersOf(await beginSealed(enclave.config), {}),
      'x-tinfoil-enclave-url': gateway.upstreams.get('u1')?.sealed?.enclaveUrls[0] ?? '',
    };
    async function* slowly(): AsyncGenerator<Uint8Array> {
      for (let piece = 0; piece < 14; piece += 1) {
        yield Buffer.alloc(9_000);
        await delay(50);
      }
    }
    try {
      expect((await postRaw(`${gateway.url}/chat/completions`, { headers: sent, body: slowly(), agent })).body.toString()).toBe('early');
      expect((await postRaw(`${gateway.url}/chat/completions`, { headers: sent, body: [Buffer.alloc(500)], agent })).body.toString()).toBe(
        'early',
      );
    } finally {
      agent.destroy();
      hasty.closeAllConnections();
      hasty.close();
    }
    expectNothingHeld();
    expect(gateway.ledger.usage).toHaveLength(2);
  });

  test('an answer that breaks off is cut, and books all that was held', async () => {
    enclave.answer = () => ({ frames: ['{'], breaks: true, usage: USAGE, inTrailer: true });
    await expect(call()).rejects.toThrow('aborted');
    await eventually(() => gateway.ledger.usage.length).toBe(1);
    expect(booked()).toMatchObject({ estimated: true });
    expectNothingHeld();
  });

  test('one that breaks off after its usage was told books that', async () => {
    enclave.answer = () => ({ frames: ['{'], breaks: true, usage: USAGE });
    await expect(call()).rejects.toThrow('aborted');
    await eventually(() => gateway.ledger.usage.length).toBe(1);
    expect(booked()).toMatchObject({ estimated: false, costNanoUsd: COST });
  });

  test('silence beyond the time limit is 504 before the first frame', async () => {
    seal({}, { timeoutMs: 150 });
    enclave.answer = async () => {
      await delay(1000);
      return {};
    };
    expect((await call()).status).toBe(504);
    expectNothingBooked();
  });
});

describe('a caller that leaves', () => {
  test('in the middle of its own body leaves nothing behind', async () => {
    const message = await beginSealed(enclave.config);
    const wire = await message.seal('x'.repeat(30_000));
    const controller = new AbortController();
    const sending = fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: headersOf(message, {}),
      signal: controller.signal,
      duplex: 'half',
      body: new ReadableStream({ start: (stream) => stream.enqueue(wire.subarray(0, 10_000)) }),
    });
    await eventually(() => gateway.account(CAP).reserved > 0n).toBe(true);
    controller.abort();
    await expect(sending).rejects.toThrow('aborted');
    await eventually(() => gateway.account(CAP).reserved).toBe(0n);
    expectNothingBooked();
    expect(enclave.received).toHaveLength(0);
  });

  /** An enclave that answers before it has the end of a body, and the call of a caller that never sends one. */
  async function callEager(): Promise<{
    send: (bytes: Uint8Array) => void;
    abort: () => void;
    ended: Promise<unknown>;
    close: () => void;
  }> {
    let begun: () => void = () => undefined;
    const head = new Promise<void>((resolve) => (begun = resolve));
    const eager = createServer((request, response) => {
      request.on('error', () => undefined).resume();
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      begun();
    });
    await new Promise<void>((resolve) => eager.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(eager.address() as AddressInfo).port}`;
    seal({ enclaveUrls: [origin] });
    const message = await beginSealed(enclave.config);
    const frame = await message.seal('x'.repeat(30_000));
    const controller = new AbortController();
    let body: ReadableStreamDefaultController<Uint8Array> | undefined;
    const sending = fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: { ...headersOf(message, {}), 'x-tinfoil-enclave-url': origin },
      signal: controller.signal,
      duplex: 'half',
      body: new ReadableStream({
        start: (stream) => {
          body = stream;
          stream.enqueue(frame);
        },
      }),
    });
    await head;
    await delay(50);
    const ended = sending.then(
      () => undefined,
      (error: unknown) => error,
    );
    return {
      send: (bytes) => body?.enqueue(bytes),
      abort: () => controller.abort(),
      ended,
      close: () => {
        eager.closeAllConnections();
        eager.close();
      },
    };
  }

  test.each([
    ['kept back', (eager: Awaited<ReturnType<typeof callEager>>) => eager.abort()],
    ['beyond what a body may be', (eager: Awaited<ReturnType<typeof callEager>>) => eager.send(new Uint8Array(3 * MAX_BODY_BYTES))],
  ])('with the end of its body %s pays all that was held, once the enclave has begun to answer', async (_what, end) => {
    const eager = await callEager();
    const held = gateway.account(CAP).reserved;
    end(eager);
    expect(await eager.ended).toBeInstanceOf(Error);
    await eventually(() => gateway.ledger.usage.length).toBe(1);
    eager.close();
    expect(booked()).toMatchObject({ estimated: true });
    expect(gateway.account(CAP)).toMatchObject({ spent: held, reserved: 0n });
  });

  test('in the middle of an answer has it drained, and pays what the trailer says', async () => {
    let begun: () => void = () => undefined;
    const first = new Promise<void>((resolve) => (begun = resolve));
    enclave.answer = () => ({
      usage: USAGE,
      inTrailer: true,
      frames: (async function* () {
        yield 'data: 1\n\n';
        begun();
        await delay(200);
        yield 'data: [DONE]\n\n';
      })(),
    });
    const message = await beginSealed(enclave.config);
    const controller = new AbortController();
    const answer = await fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: headersOf(message, {}),
      signal: controller.signal,
      body: await message.seal(CHAT),
    });
    await answer.body?.getReader().read();
    await first;
    controller.abort();
    await eventually(() => gateway.ledger.usage.length).toBe(1);
    expect(booked()).toMatchObject({ promptTokens: 100, estimated: false });
  });

  test('is not waited for beyond the time that a drain may take: then all that was held is booked', async () => {
    enclave.answer = () => ({
      usage: USAGE,
      inTrailer: true,
      frames: (async function* () {
        yield 'data: 1\n\n';
        await delay(5000);
      })(),
    });
    const message = await beginSealed(enclave.config);
    const controller = new AbortController();
    const answer = await fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: headersOf(message, {}),
      signal: controller.signal,
      body: await message.seal(CHAT),
    });
    await answer.body?.getReader().read();
    controller.abort();
    await eventually(() => gateway.ledger.usage.length).toBe(1);
    expect(booked()).toMatchObject({ estimated: true });
    expectNothingHeld();
  });
});

describe('attestations', () => {
  const get = (headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${new URL(gateway.url).origin}/attestation`, { headers });

  test('are told from the declared source, kept for a time, and fetched once however many ask', async () => {
    let asked = 0;
    let status = 200;
    const source = createServer((_request, response) => {
      asked += 1;
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'max-age=100' }).end(`{"quote":${asked}}`);
    });
    await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve));
    const { port } = source.address() as { port: number };
    try {
      seal({ attestationUrl: `http://127.0.0.1:${port}/attestation` });
      const answers = await Promise.all([get(), get({ 'x-tinfoil-enclave-url': enclave.origin }), get()]);
      for (const answer of answers) expect([answer.status, await answer.text()]).toEqual([200, '{"quote":1}']);
      expect((await get({ 'x-tinfoil-enclave-url': 'http://127.0.0.1:1' })).status).toBe(400);
    } finally {
      status = 500;
      source.closeAllConnections();
      source.close();
    }
  });

  test('404 where none is declared, 400 where several are and none is named, 502 where the source is gone', async () => {
    expect((await get()).status).toBe(404);
    expect((await get({ 'x-tinfoil-enclave-url': enclave.origin })).status).toBe(404);
    seal({ attestationUrl: 'http://127.0.0.1:1/attestation' });
    expect((await get()).status).toBe(502);
    const first = gateway.upstreams.get('u1') as Upstream;
    const sealed = { enclaveUrls: ['http://127.0.0.1:2'], attestationUrl: 'http://127.0.0.1:2/attestation', maxOutputTokens: null };
    gateway.upstreams.set('u2', { ...first, id: 'u2', sealed });
    expect((await get()).status).toBe(400);
  });
});
