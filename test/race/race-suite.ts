import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, type StoreReader, type StoredAccount, type TestStore } from '../support/store-reader.ts';
import { chatBody, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

const CALLS = 1000;
/** Callers that come back until they have an answer make several requests each. */
const RETRYING = 300;
/** Holds that the limit pays for. */
const FITTING = 25;
const TIMEOUT_MS = 60_000;
const BODY = chatBody('the keeper counts the coins of the treasury twice a day', { max_tokens: 96 });

/** What limits the calls of a run. `unit` is that of the account that refuses. */
interface Limit {
  readonly name: string;
  readonly unit: 'TOKENS' | 'USD_MICROCENTS';
  /** What the limit has beside the holds that fit: less than one hold. */
  readonly spare: (hold: bigint) => bigint;
  readonly usedUpCode: string;
  /** What retrying callers come to need not be tried again: it is decided as for the budget before. */
  readonly isLikeABudget?: true;
  arrange(control: ControlPlane, name: string, amount: bigint): Promise<MadeKey & { readonly scope: string }>;
}

const LIMITS: readonly Limit[] = [
  {
    name: "the key's token cap",
    unit: 'TOKENS',
    spare: () => 0n,
    usedUpCode: 'cap_exceeded',
    arrange: async (control, name, amount) => {
      const key = await control.makeKey(control.firstTenant(), { name, maxTokens: Number(amount) });
      return { ...key, scope: `key:${key.id}` };
    },
  },
  {
    name: "the key's money budget",
    unit: 'USD_MICROCENTS',
    spare: (hold) => hold - 1n,
    usedUpCode: 'budget_exceeded',
    arrange: async (control, name, amount) => {
      const key = await control.makeKey(control.firstTenant(), { name });
      await control.setKeyBudget(key.id, amount);
      return { ...key, scope: `key:${key.id}` };
    },
  },
  {
    name: "the tenant's money budget",
    unit: 'USD_MICROCENTS',
    spare: () => 0n,
    usedUpCode: 'budget_exceeded',
    arrange: async (control, name, amount) => {
      const tenant = await control.makeTenant(name);
      await control.setTenantBudget(tenant.id, amount);
      return { ...(await control.makeKey(tenant, { name })), scope: `tenant:${tenant.id}` };
    },
  },
  {
    // In USD it takes what a budget is charged; other currencies differ by a factor.
    name: "the tenant's prepaid balance",
    unit: 'USD_MICROCENTS',
    spare: (hold) => hold - 1n,
    usedUpCode: 'balance_empty',
    isLikeABudget: true,
    arrange: async (control, name, amount) => {
      const tenant = await control.makeTenant(name);
      await control.operator('PATCH', `/tenants/${tenant.id}`, { currency: 'USD', require_balance: true });
      await control.operator('POST', `/tenants/${tenant.id}/credits`, { amount: Number(amount) / 1e8, reason: 'paid ahead' });
      return { ...(await control.makeKey(tenant, { name })), scope: `tenant:${tenant.id}` };
    },
  },
  {
    name: "the key's budget of a month",
    unit: 'USD_MICROCENTS',
    spare: (hold) => hold - 1n,
    usedUpCode: 'window_exceeded',
    isLikeABudget: true,
    arrange: async (control, name, amount) => {
      const tenant = await control.makeTenant(name);
      const key = await control.makeKey(tenant, { name });
      const budget = { scope: 'each_key', period: 'monthly', limit_usd: Number(amount) / 1e8 };
      await control.operator('PUT', `/tenants/${tenant.id}/budgets`, budget);
      return { ...key, scope: `key:${key.id}` };
    },
  },
];

/** Where a suite runs: its store, how many processes share it, and what must not have happened to it in the end. */
export interface RaceTarget {
  readonly makeStore: () => Promise<TestStore>;
  readonly processes: number;
  /** Deadlocks that the database has counted; 0 where it counts none. */
  readonly deadlocks: (store: TestStore) => Promise<number>;
}

/** Defines the races of one store and number of processes. */
export function testRaces(target: RaceTarget): void {
  let model: OpenAiServer;
  let client: HttpClient;
  let store: TestStore;
  let servers: TestServer[];
  let control: ControlPlane;
  let reader: StoreReader;
  let holds: Readonly<Record<Limit['unit'], bigint>>;

  beforeAll(async () => {
    model = await startOpenAiServer();
    client = makeHttpClient({ connections: CALLS });
    store = await target.makeStore();
    const config = testConfig(model.url);
    // Processes on one database share its master key, so that each can open what the others sealed.
    const env = target.processes === 1 ? {} : { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64') };
    servers = [];
    for (let each = 0; each < target.processes; each++) servers.push(await startServer({ store, config, env }));
    const first = servers[0]!;
    control = makeControlPlane(first, client);
    reader = first.reader();
    holds = await measureHolds();
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.dispose()));
    await client.close();
    await model.close();
  });

  const call = (key: MadeKey, index: number): Promise<Answer> => {
    const server = servers[index % servers.length]!;
    return client.ask(`${server.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key.key), body: BODY });
  };

  const account = async (scope: string, unit: string): Promise<StoredAccount> => {
    const found = (await readAccounts(reader)).find((each) => each.scope === scope && each.unit === unit);
    if (found === undefined) throw new Error(`there is no account ${scope} in ${unit}`);
    return found;
  };

  /** What one call holds, by looking while its answer is withheld. */
  async function measureHolds(): Promise<typeof holds> {
    const key = await control.makeKey(control.firstTenant(), { name: 'probe', maxTokens: 1_000_000 });
    await control.setKeyBudget(key.id, 100_000_000n);
    model.behaviour.gated = true;
    const probe = call(key, 0);
    await waitUntil(() => Promise.resolve(model.waiting() === 1));
    const [tokens, money] = [await account(`key:${key.id}`, 'TOKENS'), await account(`key:${key.id}`, 'USD_MICROCENTS')];
    model.release();
    expect((await probe).status).toBe(200);
    return { TOKENS: tokens.reserved, USD_MICROCENTS: money.reserved };
  }

  describe.each(LIMITS)('$name that fits exactly 25 holds', (limit) => {
    test('admits 25 of 1,000 calls that come at once while no answer is given', { timeout: TIMEOUT_MS }, async () => {
      const hold = holds[limit.unit];
      const amount = BigInt(FITTING) * hold + limit.spare(hold);
      const key = await limit.arrange(control, `withheld-${LIMITS.indexOf(limit)}`, amount);
      model.behaviour.gated = true;
      const refused: Answer[] = [];
      const calls = Array.from({ length: CALLS }, async (_, index) => {
        const answer = await call(key, index);
        if (answer.status !== 200) refused.push(answer);
        return answer;
      });
      await waitUntil(() => Promise.resolve(refused.length + model.waiting() >= CALLS), TIMEOUT_MS);
      expect(model.waiting()).toBe(FITTING);
      expect(refused).toHaveLength(CALLS - FITTING);
      expect(await account(key.scope, limit.unit)).toMatchObject({ allocated: amount, reserved: BigInt(FITTING) * hold, spent: 0n });
      for (const answer of refused) expectHeld(answer, key.scope, limit.unit);
      model.release();
      const answered = (await Promise.all(calls)).filter(({ status }) => status === 200);
      expect(answered).toHaveLength(FITTING);
      const after = await account(key.scope, limit.unit);
      expect(after.reserved).toBe(0n);
      expect(after.spent).toBe(spentBy(answered, limit.unit));
    });

    if (limit.isLikeABudget === true) return;
    test('is never passed by what 300 retrying callers use, and is used up in the end', { timeout: TIMEOUT_MS }, async () => {
      const hold = holds[limit.unit];
      const amount = BigInt(FITTING) * hold + limit.spare(hold);
      const key = await limit.arrange(control, `flowing-${LIMITS.indexOf(limit)}`, amount);
      let calling = true;
      const watching = (async () => {
        const seen: StoredAccount[] = [];
        while (calling) {
          seen.push(await account(key.scope, limit.unit));
          await delay(50);
        }
        return seen;
      })();
      const answers = await Promise.all(Array.from({ length: RETRYING }, (_, index) => callUntilDecided(key, index)));
      calling = false;
      for (const { spent, reserved } of await watching) expect(spent + reserved).toBeLessThanOrEqual(amount);
      const answered = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 402);
      expect(answered.length + refused.length).toBe(RETRYING);
      for (const answer of refused) expect(answer.json<ErrorBody>().error.code).toBe(limit.usedUpCode);
      const after = await account(key.scope, limit.unit);
      expect(after.reserved).toBe(0n);
      expect(after.spent).toBe(spentBy(answered, limit.unit));
      expect(after.spent).toBeLessThanOrEqual(amount);
      expect(amount - after.spent).toBeLessThan(hold);
      // Callers that waited got what the first ones left over of their holds.
      expect(answered.length).toBeGreaterThan(FITTING);
    });
  });

  test('afterwards no deadlock was counted, and the ledger verifies', { timeout: TIMEOUT_MS }, async () => {
    expect(await target.deadlocks(store)).toBe(0);
    for (const server of servers) expect((await server.stop()).code).toBe(0);
    expect((await servers[0]!.verify()).discrepancies).toEqual([]);
  });

  /** Calls as a patient client does: again as long as only calls in flight are in the way. */
  async function callUntilDecided(key: MadeKey, index: number): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const answer = await call(key, index);
      if (answer.status !== 429) return answer;
      // Spread out, and shorter than a client would wait, so that the test is too.
      await delay(100 + ((index * 37 + attempt * 101) % 200));
    }
  }
}

interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly code: string;
    readonly account: Readonly<Record<string, unknown>>;
  };
}

/** Only holds in flight are in the way: 429, to be tried again soon, with the account that was in the way. */
function expectHeld(answer: Answer, scope: string, unit: string): void {
  expect(answer.status).toBe(429);
  expect(answer.headers['retry-after']).toBe('1');
  expect(answer.headers['x-should-retry']).toBe('true');
  const { error } = answer.json<ErrorBody>();
  expect(error).toMatchObject({ code: 'held', type: 'rate_limit_error', account: { scope, unit } });
}

/** What answered calls used by their own word, in tokens or, at the test's price, in micro-cents rounded up for each. */
function spentBy(answers: readonly Answer[], unit: Limit['unit']): bigint {
  return answers.reduce((sum, answer) => {
    const { usage } = answer.json<{ usage: { prompt_tokens: number; completion_tokens: number } }>();
    if (unit === 'TOKENS') return sum + BigInt(usage.prompt_tokens + usage.completion_tokens);
    return sum + BigInt(Math.ceil((usage.prompt_tokens * 2000 + usage.completion_tokens * 10_000) / 10));
  }, 0n);
}
