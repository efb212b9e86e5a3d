import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { expect } from 'vitest';
import { makeAnthropicGateway } from '../../src/api/anthropic-gateway/surface.ts';
import { makeOpenAiGateway } from '../../src/api/openai-gateway/surface.ts';
import { makeSealedKeyApi } from '../../src/api/sealed-calls/surface.ts';
import { maxSealedBytes } from '../../src/api/_shared/sealed-body.ts';
import { servicesOf } from '../../src/app/directory/catalogue.ts';
import { makeAttestations } from '../../src/app/sealed/attestations.ts';
import { makeHttpAttestations } from '../../src/sealed/http-attestations.ts';
import type { CallLimits, OpenAnUpstream } from '../../src/app/calls/call-types.ts';
import { makeUpstreamPool } from '../../src/app/calls/upstream-pool.ts';
import { makeCountInputTokens } from '../../src/app/count-input-tokens.ts';
import { makeRelayUpstreamObject } from '../../src/app/relay-upstream-object.ts';
import { makeCalls, type Calls } from '../../src/app/relay-call.ts';
import { Fault } from '../../src/core/fault.ts';
import { budgetId, keyCapId, newAccount, TOKENS, USD_MICROCENTS, type Account, type AccountId } from '../../src/core/ledger/account.ts';
import { rankPolicies, type PolicyRules } from '../../src/core/policy/resolve-policy.ts';
import type { ApiKey, ExchangeRate, KeyKind, Model, Policy, Price, Tenant, Upstream } from '../../src/core/records.ts';
import { rateAt } from '../../src/core/pricing/currency.ts';
import { accepted, rejected } from '../../src/core/rejection.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeLedgerWriter } from '../../src/app/ledger-writer.ts';
import type { Failpoint } from '../../src/ports/failpoints.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';
import { makeDemoClient } from '../../src/upstreams/demo/demo-client.ts';
import { makeOpenAiClient } from '../../src/upstreams/openai-compatible/openai-client.ts';
import { makeTokenizers } from '../../src/upstreams/tokenizers/tokenizers.ts';
import { MemoryLedger } from './ledger-memory.ts';
import { makeTestSealedEnd } from './sealed-end.ts';

/** The tenant of every test. */
export const TENANT = 'acme';
/** The plaintext of the inference key that `startGateway` makes; its id is `k1`. */
export const KEY = 'tk_0000000000000000000000000000001';
/** The key's token account. */
export const CAP = keyCapId(TENANT, 'k1', TOKENS);
/** The key's money account; exists where a test makes it. */
export const KEY_MONEY = keyCapId(TENANT, 'k1', USD_MICROCENTS);
/** The tenant's money budget; exists where a test makes it. */
export const TENANT_MONEY = budgetId(TENANT, `tenant:${TENANT}`, USD_MICROCENTS);
/** The tenant's token budget; exists where a test makes it. */
export const TENANT_TOKENS = budgetId(TENANT, `tenant:${TENANT}`, TOKENS);

/** What a test may set about its gateway. */
export interface GatewayOptions {
  /** Base addresses of upstreams, in the order of trial; their ids are `u1`, `u2`, ... */
  readonly upstreamUrls?: readonly string[];
  readonly apiKey?: string;
  readonly model?: Partial<Model>;
  readonly limits?: Partial<CallLimits>;
  readonly maxBodyBytes?: number;
  /** Milliseconds that each batch takes to become durable. */
  readonly flushMs?: number;
  /** The gateway's wall clock; the store has a right one of its own. */
  readonly wallMs?: () => number;
  /** The store's clock; else the machine's. */
  readonly storeMs?: () => number;
  /** What draws among weighted upstreams; else always 0. */
  readonly random?: () => number;
  /** The clock by which lengths are measured, where a test moves it. */
  readonly elapsedMs?: () => number;
}

/** A gateway on a free port of 127.0.0.1, over a ledger in memory. */
export interface Gateway {
  /** Base address, ending in `/v1`. */
  readonly url: string;
  readonly port: number;
  readonly ledger: MemoryLedger;
  readonly calls: Calls;
  readonly models: Map<string, Model>;
  readonly upstreams: Map<string, Upstream>;
  readonly prices: Price[];
  /** What a USD is worth in other currencies; none unless a test adds some. */
  readonly exchangeRates: ExchangeRate[];
  readonly keys: Map<string, ApiKey>;
  /** The tenant's policies. */
  readonly policies: Policy[];
  readonly failpoints: Failpoint[];
  readonly logged: { readonly level: string; readonly fields: LogFields; readonly message: string }[];
  /** Commands in the order in which they were executed. */
  readonly commands: Command[];
  /** How many batches had effects: what a real store would have flushed. */
  flushes(): number;
  /** While set, every batch with such a command fails as if the store were gone. */
  failVerb: Command['verb'] | null;
  /** While set, every batch with such a command is done, but its answer is lost. */
  loseVerb: Command['verb'] | null;
  /** Called with every failpoint that is hit. */
  onFailpoint: ((point: Failpoint) => void) | null;
  setTenant(changes: Partial<Tenant>): void;
  /** Makes or replaces an account with that much allocated (null: unlimited). */
  allocate(id: AccountId, allocated: bigint | null, changes?: Partial<Account>): void;
  account(id: AccountId): Account;
  /** Sends a request with the key and a JSON body. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Runs `work` and waits until the calls it began are settled. */
  close(): Promise<void>;
}

/** One for all tests of a file: loading a vocabulary takes longer than a test. */
const tokenizers = makeTokenizers();

const NOW_MS = Date.parse('2026-11-22T12:00:00Z');

/** A priced model `m1` at the first of the upstreams on. 0.15 and 0.6 USD per million tokens: 150 and 600 nano-dollars a token. */
const model = (upstreams: readonly string[], changes: Partial<Model> = {}): Model => ({
  id: 'm1',
  upstreams: upstreams.map((id) => ({ id, model: 'up-m1' })),
  contextTokens: 8192,
  maxOutputTokens: 2048,
  defaultOutputTokens: 256,
  outputLimitField: 'max_tokens',
  tokenizer: 'o200k_base',
  promptOverheadTokens: 16,
  marginPercent: 0,
  maxImageTokens: null,
  maxAudioTokens: null,
  maxFileTokens: null,
  tags: ['Instruct'],
  createdAtMs: NOW_MS,
  ...changes,
});

/** A price of `m1` everywhere, from the beginning of time on. */
export const priceOf = (changes: Partial<Price> = {}): Price => ({
  id: 'p1',
  modelId: 'm1',
  upstreamId: null,
  appliesFromMs: 0,
  inputNanos: 150,
  outputNanos: 600,
  cachedInputNanos: 75,
  requestNanos: 0,
  createdAtMs: 0,
  ...changes,
});

/** A key of the tenant. */
export const keyOf = (id: string, kind: KeyKind): ApiKey => ({
  id,
  tenantId: TENANT,
  kind,
  name: id,
  hash: id,
  mask: id,
  sealed: null,
  createdBy: 'ann',
  disabled: false,
  expiresAtMs: null,
  metadata: {},
  outputBound: 'hard',
  createdAtMs: 0,
  deletedAtMs: null,
});

const upstreamOf = (id: string, baseUrl: string, apiKey: string | undefined): Upstream => ({
  id,
  kind: baseUrl === 'demo' ? 'demo' : 'openai',
  baseUrl,
  apiKeySealed: apiKey ?? null,
  provider: id,
  region: null,
  euNative: false,
  quantized: false,
  retentionDays: null,
  continuousUsage: false,
  timeoutMs: null,
  createdAtMs: 0,
});

/** Waits until what `read` gives is as expected. Machines that build and test at once are slow. */
export const eventually = <T>(read: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(read, { timeout: 15_000 });

/** Reads a stream until it has shown `text`; fails where it ends before. */
export async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array> | undefined, text: string): Promise<void> {
  let seen = '';
  while (!seen.includes(text)) {
    const next = await reader?.read();
    if (next?.value === undefined) throw new Error(`the stream ended before ${text}`);
    seen += Buffer.from(next.value).toString();
  }
}

const LIMITS: CallLimits = { holdTtlMs: 60_000, holdGraceMs: 5000, upstreamTimeoutMs: 10_000, drainMs: 5000 };

/** Starts a gateway with one inference key, one priced model `m1` and the given upstreams (`demo` is the one in our process). */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const ledger = new MemoryLedger();
  ledger.putTenant(TENANT, 'ACTIVE');
  await tokenizers.load('o200k_base');
  const urls = options.upstreamUrls ?? ['demo'];
  const upstreams = new Map(urls.map((url, index) => [`u${index + 1}`, upstreamOf(`u${index + 1}`, url, options.apiKey)]));
  const models = new Map([['m1', model([...upstreams.keys()], options.model)]]);
  const prices: Price[] = [priceOf()];
  const exchangeRates: ExchangeRate[] = [];
  const keys = new Map([[KEY, keyOf('k1', 'inference')]]);
  const logged: Gateway['logged'][number][] = [];
  const record =
    (level: string) =>
    (fields: LogFields, message: string): void =>
      void logged.push({ level, fields, message });
  const log: Log = { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') };
  const clock = { nowMs: options.wallMs ?? (() => Date.now()) };
  const commands: Command[] = [];
  const hits: Failpoint[] = [];
  let flushes = 0;
  let nextId = 0;
  const ids = {
    next: (prefix: string) => `${prefix}_${String(++nextId).padStart(6, '0')}`,
    base62: (length: number) => 'a'.repeat(length),
    token: (length: number) => 'a'.repeat(length),
  };
  const failpoints = {
    hit: (point: Failpoint) => {
      hits.push(point);
      gateway.onFailpoint?.(point);
    },
  };
  const store = {
    lanes: 1,
    execute: async (_batchId: string, batch: readonly Command[]) => {
      if (options.flushMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.flushMs));
      if (batch.some(({ verb }) => verb === gateway.failVerb)) {
        throw new Fault({
          code: 'store_unavailable',
          message: 'told to fail',
          publicMessage: 'The store does not answer.',
          retryAfterMs: 1000,
        });
      }
      const nowMs = options.storeMs?.() ?? Date.now();
      commands.push(...batch);
      const { outcomes, changes } = ledger.batch(batch, nowMs);
      if (changes.entries.length + changes.reservations.length > 0) flushes += 1;
      if (batch.some(({ verb }) => verb === gateway.loseVerb)) {
        throw new Fault({ code: 'store_unavailable', message: 'told to lose its answer', publicMessage: 'The store does not answer.' });
      }
      return { outcomes, nowMs, changedRecords: [] };
    },
  };
  const writer = makeLedgerWriter({
    store,
    ids,
    onRecordsChanged: () => undefined,
    maxQueued: 20_000,
    failpoints: { hit: () => undefined },
    log,
  });
  const pool = makeUpstreamPool({
    secretBox: { seal: (text) => text, open: (text) => text },
    makeClient: (upstream, apiKey, headers) =>
      upstream.kind === 'demo'
        ? makeDemoClient({ tokenizers, clock })
        : makeOpenAiClient({ name: upstream.id, baseUrl: upstream.baseUrl, apiKey, headers, connections: null, connectTimeoutMs: 1000 }),
  });
  const catalogue = {
    model: (name: string) => models.get(name) ?? [...models.values()].find(({ aliases }) => aliases?.includes(name)),
    models: () => [...models.values()],
    upstream: (id: string) => upstreams.get(id),
    sealed: (url: string) =>
      [...upstreams.values()]
        .flatMap((upstream) => servicesOf(upstream, [...models.values()]))
        .filter(({ enclaveUrl }) => enclaveUrl === url),
    sealedUpstreams: () => [...upstreams.values()].filter(({ sealed = null }) => sealed !== null),
    prices: (modelId: string) => prices.filter((price) => price.modelId === modelId),
    rate: (currency: string, nowMs: number) => rateAt(exchangeRates, currency, nowMs),
  };
  const openUpstream: OpenAnUpstream = (upstream, enclaveUrl) => pool.open(upstream, enclaveUrl);
  const records: Pick<RecordStore, 'upstreamObjects'> = {
    upstreamObjects: async ({ tenantId, ids: wanted }) => wanted.flatMap((id) => ledger.upstreamObjects.get(`${tenantId} ${id}`) ?? []),
  };
  const limits = { ...LIMITS, ...options.limits };
  const random = options.random ?? (() => 0);
  const policies = (): PolicyRules => rankPolicies(TENANT, gateway.policies);
  const parts = { policies, writer, catalogue, records, openUpstream, tokenizers, clock, ids, random, log, limits };
  const calls = makeCalls({
    ...parts,
    currentTenant: async () => tenant(),
    elapsedMs: options.elapsedMs ?? (() => performance.now()),
    failpoints,
    backgroundPollMs: 5,
    maxSealedBytes: maxSealedBytes(options.maxBodyBytes ?? 1_048_576),
    ownerId: 'run_1',
  });
  const tenant = (): Tenant => ledger.tenants.get(TENANT) as Tenant;
  const app = Fastify({ logger: false });
  const authenticate = (credential: string) => {
    const key = keys.get(credential);
    return key === undefined
      ? rejected({ code: 'unauthorized', message: 'this API key is not known' })
      : accepted({ key, tenant: tenant() });
  };
  const sealed = makeTestSealedEnd();
  const surface = { sealedEnd: sealed.end, calls, authenticate, clock, log, maxBodyBytes: options.maxBodyBytes ?? 1_048_576 };
  const unmetered = { ...parts, health: calls.health, speeds: calls.speeds };
  const directory = { catalogue, refresh: async () => undefined };
  const attestations = makeAttestations({ directory, source: makeHttpAttestations(), elapsedMs: () => performance.now(), log });
  await app.register(makeSealedKeyApi({ ...surface, attestations }));
  await app.register(makeAnthropicGateway({ ...surface, catalogue }));
  await app.register(
    makeOpenAiGateway({
      ...surface,
      countInputTokens: makeCountInputTokens(unmetered),
      relayObject: makeRelayUpstreamObject(unmetered),
      catalogue,
    }),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/v1`;

  const gateway: Gateway = {
    url,
    port,
    ledger,
    calls,
    models,
    upstreams,
    prices,
    exchangeRates,
    policies: [],
    keys,
    failpoints: hits,
    logged,
    commands,
    flushes: () => flushes,
    failVerb: null,
    loseVerb: null,
    onFailpoint: null,
    setTenant: (changes) => void ledger.tenants.set(TENANT, { ...tenant(), ...changes }),
    allocate: (id, allocated, changes = {}) =>
      ledger.putAccount({ ...newAccount(id, { nowMs: 0, unlimited: allocated === null }), allocated, ...changes }),
    account: (id) => ledger.account(id),
    post: (path, body, headers = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    close: async () => {
      await app.close();
      await calls.idle();
      calls.close();
      await pool.close();
      await writer.close();
    },
  };
  gateway.allocate(CAP, null);
  return gateway;
}
