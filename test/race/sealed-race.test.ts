import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey } from '../support/control-plane.ts';
import { startEnclave, type Enclave } from '../support/enclave.ts';
import { bearer, makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { startSealingProxy, type SealingProxy } from '../support/sealing-proxy.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { makeStoreReader, readAccounts, type StoredAccount } from '../support/store-reader.ts';
import { chatBody, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

const CALLS = 1000;
/** Holds that the limit pays for. */
const FITTING = 25;
const TIMEOUT_MS = 60_000;
const BODY = chatBody('the keeper counts the coins of the treasury twice a day', { max_tokens: 96 });
const USAGE = 'prompt=20,completion=10,total=30';

let model: OpenAiServer;
let enclave: Enclave;
let gate: PromiseWithResolvers<void>;
let server: TestServer;
let control: ControlPlane;
let client: HttpClient;

beforeAll(async () => {
  client = makeHttpClient({ connections: CALLS });
  model = await startOpenAiServer();
  enclave = await startEnclave();
  enclave.answer = async () => {
    await gate.promise;
    return { usage: USAGE };
  };
  const sealed = `{ id: enclave, sealed: { enclave_urls: ["${enclave.origin}"], max_output_tokens: 96 } }`;
  const hidden = '{ id: hidden, upstreams: [{ id: enclave }], price: { input_per_1m: 1, output_per_1m: 2 } }';
  const config = testConfig(model.url)
    .replace(/^upstreams:\n/m, `upstreams:\n  - ${sealed}\n`)
    .replace(/^models:\n/m, `models:\n  - ${hidden}\n`);
  server = await startServer({ store: { kind: 'sqlite' }, config });
  control = makeControlPlane(server, client);
}, TIMEOUT_MS);

afterAll(async () => {
  await client.close();
  await server.dispose();
  await model.close();
  await enclave.close();
});

/** How calls are sealed, and how their answers are held back and counted. */
interface Way {
  readonly name: string;
  readonly proxy: () => Promise<SealingProxy>;
  readonly withhold: () => void;
  readonly waiting: () => number;
  readonly release: () => void;
}

const WAYS: readonly Way[] = [
  {
    name: 'for this server',
    proxy: () => startSealingProxy({ origin: () => server.runtime }),
    withhold: () => void (model.behaviour.gated = true),
    waiting: () => model.waiting(),
    release: () => model.release(),
  },
  {
    name: 'for an enclave behind it',
    proxy: () => startSealingProxy({ origin: () => server.runtime, enclave: () => enclave.origin }),
    withhold: () => {
      gate = Promise.withResolvers();
      enclave.received.length = 0;
    },
    waiting: () => enclave.received.length,
    release: () => gate.resolve(),
  },
];

describe.each(WAYS)('calls that are sealed $name', (way) => {
  test.each(["the key's token cap", "the tenant's money budget"])(
    '%s that fits exactly 25 holds admits 25 of 1,000 calls at once',
    { timeout: TIMEOUT_MS },
    async (limit) => {
      const unit = limit.includes('token') ? 'TOKENS' : 'USD_MICROCENTS';
      const proxy = await way.proxy();
      const call = (key: MadeKey): Promise<Answer> =>
        client.ask(`${proxy.origin}/v1/chat/completions`, { method: 'POST', headers: bearer(key.key), body: BODY });
      const name = `${way.name} ${unit}`;
      const tenant = await control.makeTenant(name.replaceAll(' ', '-').toLowerCase().replaceAll('_', '-'));
      const scopeOf = (key: MadeKey): string => (unit === 'TOKENS' ? `key:${key.id}` : `tenant:${tenant.id}`);
      const arrange = async (amount: bigint): Promise<MadeKey> => {
        if (unit === 'USD_MICROCENTS') await control.setTenantBudget(tenant.id, amount);
        return control.makeKey(tenant, { name: `${name} ${amount}`, ...(unit === 'TOKENS' ? { maxTokens: Number(amount) } : {}) });
      };
      const account = async (key: MadeKey): Promise<StoredAccount> => {
        const accounts = await readAccounts(makeStoreReader({ kind: 'sqlite' }, server.dataDir));
        const found = accounts.find((each) => each.scope === scopeOf(key) && each.unit === unit);
        if (found === undefined) throw new Error('there is no such account');
        return found;
      };
      try {
        // What one call holds, by looking while its answer is withheld.
        way.withhold();
        const probe = await arrange(1_000_000_000n);
        const probing = call(probe);
        await waitUntil(async () => way.waiting() === 1, TIMEOUT_MS);
        const hold = (await account(probe)).reserved;
        way.release();
        expect((await probing).status).toBe(200);
        const { spent } = await account(probe);

        way.withhold();
        const before = way.waiting();
        const key = await arrange((unit === 'TOKENS' ? 0n : spent) + BigInt(FITTING) * hold);
        const refused: Answer[] = [];
        const calls = Array.from({ length: CALLS }, async () => {
          const answer = await call(key);
          if (answer.status !== 200) refused.push(answer);
          return answer;
        });
        await waitUntil(async () => refused.length + way.waiting() - before >= CALLS, TIMEOUT_MS);
        expect(way.waiting() - before).toBe(FITTING);
        expect((await account(key)).reserved).toBe(BigInt(FITTING) * hold);
        expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([429]));
        way.release();
        const answered = (await Promise.all(calls)).filter(({ status }) => status === 200);
        expect(answered).toHaveLength(FITTING);
        expect((await account(key)).reserved).toBe(0n);
        if (way.name === 'for this server') expect(proxy.counted.plain).toBe(0);
      } finally {
        way.release();
        await proxy.close();
      }
    },
  );
});
