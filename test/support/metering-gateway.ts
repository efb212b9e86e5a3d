import { expect } from 'vitest';
import { chargeMicrocents, costNanoUsd } from '../../src/core/pricing/rates.ts';
import { makeTestFolder } from '../server/in-process.ts';
import type { Used } from '../metering/corpus.ts';
import { startByteUpstream, type ByteUpstream } from './byte-upstream.ts';
import { startSealingProxy } from './sealing-proxy.ts';
import { makeStoreReader, type Row } from './store-reader.ts';
import { waitUntil } from './wait-until.ts';

/** Nano-dollars a token, and a request; no two have a factor in common, so that no mistake is made up for by another. */
const RATES = { inputNanos: 137n, outputNanos: 611n, cachedInputNanos: 53n, cacheWriteInputNanos: 171n, requestNanos: 7n };

const config = (upstream: string): string => `
gateway: { drain_ms: 20000 }
upstreams:
  - { id: own, speaks: [openai, anthropic], ${upstream} }
models:
  - id: m
    upstreams: [{ id: own, model: up }]
    price: { input_per_1m: 0.137, output_per_1m: 0.611, cached_input_per_1m: 0.053, cache_write_input_per_1m: 0.171, per_request: 0.000000007 }
    context_tokens: 10000000
    max_output_tokens: 5000000
    default_output_tokens: 4000000
`;

/** A key of its own for one test. */
export interface MeteredKey {
  readonly id: string;
  readonly value: string;
}

/** The whole program in this process, over SQLite, with one model at a {@link ByteUpstream}. */
export interface MeteringGateway {
  readonly origin: string;
  readonly port: number;
  readonly upstream: ByteUpstream;
  makeKey(): Promise<MeteredKey>;
  /** Sends a request of a key to a route below `/v1`. */
  post(key: MeteredKey, route: string, body: object, signal?: AbortSignal): Promise<Response>;
  /**
   * Waits until `calls` calls of a key are booked and nothing is held any more, and expects each of them to have used exactly this: its
   * tokens by kind, its cost in nano-dollars, its charge; and the two totals, of costs in the usage API and of charges on the accounts.
   */
  expectUsed(key: MeteredKey, used: Used, options?: { readonly calls?: number; readonly estimated?: boolean }): Promise<void>;
  /** Waits until one call of a key is booked and nothing is held any more, and expects it to be an estimate. */
  expectEstimated(key: MeteredKey): Promise<void>;
  close(): Promise<void>;
}

/**
 * How calls get to the gateway: as they are; sealed for it; or sealed for an enclave, which is a gateway like it, and relayed by it. Then its
 * own books are looked at, not those of the enclave.
 */
export type Way = 'plain' | 'sealed end' | 'sealed relay';

export async function startMeteringGateway(way: Way = 'plain'): Promise<MeteringGateway> {
  const upstream = await startByteUpstream();
  const folder = makeTestFolder();
  const plain = `base_url: "${upstream.url}", continuous_usage: true`;
  const enclave = way === 'sealed relay' ? await startEnclaveGateway(plain) : null;
  const running = await folder.start({ yaml: config(enclave?.declared ?? plain) });
  const { runtime, admin } = running.listeners;
  const { operator_key: operatorKey, admin_key: adminKey } = running.prepared.credentials;
  const reader = makeStoreReader({ kind: 'sqlite' }, folder.dataDir);
  const sealed = { origin: () => runtime.origin, ...(enclave === null ? {} : { enclave: () => enclave.origin }) };
  const proxy = way === 'plain' ? null : await startSealingProxy(sealed);
  const origin = proxy?.origin ?? runtime.origin;
  let made = 0;

  const manage = async (method: string, path: string, headers: Readonly<Record<string, string>>, body: object): Promise<unknown> => {
    const answer = await fetch(`${admin.origin}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const asAdmin = { authorization: `Bearer ${adminKey}` };

  const settled = async (key: MeteredKey, calls: number): Promise<boolean> => {
    const [usage, accounts] = await Promise.all([usageOf(key), accountsOf(key)]);
    return usage.length >= calls && accounts.every(({ reserved }) => reserved === 0n);
  };
  const usageOf = async ({ id }: MeteredKey): Promise<Row[]> =>
    (await reader.snapshot(['usage_tail', 'usage_events'].map((table) => `SELECT * FROM ${table} WHERE key_id = '${id}'`))).flat();
  const accountsOf = ({ id }: MeteredKey): Promise<Row[]> =>
    reader.rows(`SELECT unit, spent, reserved FROM accounts WHERE scope = 'key:${id}' ORDER BY unit`);

  return {
    origin: runtime.origin,
    port: runtime.port,
    upstream,
    makeKey: async () => {
      made += 1;
      const { id, key } = (await manage('POST', '/api/keys', asAdmin, { name: `metered ${made}` })) as { id: string; key: string };
      await manage('PATCH', `/v1/x-castellan/keys/${id}`, { 'x-admin-api-key': operatorKey }, { money_budget_usd: 1_000_000 });
      return { id, value: key };
    },
    post: (key, route, body, signal) =>
      fetch(`${origin}/v1${route}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key.value}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      }),
    expectUsed: async (key, used, { calls = 1, estimated = false } = {}) => {
      await waitUntil(() => settled(key, calls), 20_000);
      // The header of an enclave tells less than an answer does.
      const {
        prompt,
        completion,
        cached = 0,
        cacheWrite = 0,
        reasoning = 0,
      } = enclave === null ? used : { ...used, cacheWrite: 0, reasoning: 0 };
      const tokens = { promptTokens: prompt, completionTokens: completion, cachedPromptTokens: cached, cacheWritePromptTokens: cacheWrite };
      const cost = costNanoUsd(RATES, tokens);
      const charge = chargeMicrocents(cost);
      const rows = await usageOf(key);
      expect(rows).toHaveLength(calls);
      for (const row of rows) {
        expect(row).toMatchObject({
          prompt_tokens: BigInt(prompt),
          completion_tokens: BigInt(completion),
          cached_prompt_tokens: BigInt(cached),
          cache_write_prompt_tokens: BigInt(cacheWrite),
          reasoning_tokens: BigInt(reasoning),
          cost_nano_usd: cost,
          charge_microcents: charge,
          estimated,
          interrupted: false,
        });
      }
      const times = BigInt(calls);
      expect(await accountsOf(key)).toEqual([
        { unit: 'TOKENS', spent: BigInt(prompt + completion) * times, reserved: 0n },
        { unit: 'USD_MICROCENTS', spent: charge * times, reserved: 0n },
      ]);
      expect(await manage('POST', '/api/billing/usage/key', asAdmin, { key: key.value })).toEqual({
        prompt_tokens: prompt * calls,
        completion_tokens: completion * calls,
        requests: calls,
        cost: Number(cost * times) / 1e9,
      });
    },
    expectEstimated: async (key) => {
      await waitUntil(() => settled(key, 1), 20_000);
      const rows = await usageOf(key);
      expect(rows).toMatchObject([{ estimated: true }]);
      const [tokens] = await accountsOf(key);
      expect(tokens?.['spent']).toBe(BigInt(String(rows[0]?.['prompt_tokens'])) + BigInt(String(rows[0]?.['completion_tokens'])));
    },
    close: async () => {
      await proxy?.close();
      await folder.dispose();
      await enclave?.close();
      await upstream.close();
    },
  };
}

/** A gateway that opens sealed calls, for another one that relays them: where it is, and how it is declared there as an upstream. */
async function startEnclaveGateway(
  upstream: string,
): Promise<{ readonly origin: string; readonly declared: string; close(): Promise<void> }> {
  const folder = makeTestFolder();
  const running = await folder.start({ yaml: config(upstream) });
  const { origin } = running.listeners.runtime;
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${running.prepared.credentials.admin_key}` };
  const made = await fetch(`${running.listeners.admin.origin}/api/keys`, { method: 'POST', headers, body: '{"name":"relay"}' });
  const { key } = (await made.json()) as { key: string };
  return {
    origin,
    declared: `api_key: "${key}", sealed: { enclave_urls: ["${origin}"], max_output_tokens: 5000000 }`,
    close: () => folder.dispose(),
  };
}
