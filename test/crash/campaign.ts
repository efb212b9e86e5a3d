import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeControlPlane } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer } from '../support/openai-server.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import { readState, type TestStore } from '../support/store-reader.ts';
import { testConfig } from '../support/test-config.ts';
import { checkCounters, checkEffects, EUR_PER_USD_NANOS, newEffectLog, type EffectLog, type ListedKey } from './effects.ts';
import { runLoad, type LoadKey } from './load.ts';

/** One death under load: at the `hit`-th time that a named point is passed, or some time after the load began. */
export type Death = { readonly point: string; readonly hit: number } | { readonly afterMs: number };

/** A million dollars: no load spends it. */
const PLENTY_MICROCENTS = 100_000_000_000_000n;

/** A load that must have killed the process by now never will. */
const DEATH_TIMEOUT_MS = 30_000;

/** One server that is killed again and again on the same data, and what its callers know. */
export interface Campaign {
  readonly server: TestServer;
  readonly log: EffectLog;
  /**
   * Starts the server, checks what the death before left over, runs a load until the process dies, and checks the ledger. Returns what
   * contradicts; the next start is checked by the next death or by `finish`.
   */
  die(death: Death): Promise<string[]>;
  /** Calls that a death cut off and that the start after it settled as interrupted, as of the last start. */
  interrupted(): number;
  /** Starts the server once more, checks, and stops it by SIGTERM. Returns what contradicts. */
  finish(): Promise<string[]>;
  dispose(): Promise<void>;
}

/** Makes a server with a tenant's budget and two keys that have a cap and a budget each, none of which a load can use up. */
export async function startCampaign(options: { readonly store: TestStore; readonly random: SeededRandom }): Promise<Campaign> {
  const { store, random } = options;
  const model = await startOpenAiServer({ chunkDelayMs: 1 });
  const client = makeHttpClient();
  const server = makeServer({ store, config: testConfig(model.url) });
  const armFile = join(server.dataDir, 'armed');
  const log = newEffectLog();
  const dispose = async (): Promise<void> => {
    await server.dispose();
    await client.close();
    await model.close();
  };
  let keys: LoadKey[];
  try {
    await server.start();
    keys = await makeKeys(server, client);
    await server.stop();
  } catch (error) {
    await dispose();
    throw error;
  }

  let interrupted = 0;
  const checkStart = async (): Promise<string[]> => {
    const state = await readState(server.reader());
    interrupted = state.usage.filter((event) => event.interrupted).length;
    const listed = await client.ask(`${server.admin}/api/keys`, { headers: bearer(server.credentials().admin_key) });
    return [...checkEffects(log, state), ...checkCounters(listed.json<ListedKey[]>(), state)];
  };

  const checkLedger = async (): Promise<string[]> => {
    const { discrepancies } = await server.verify();
    return discrepancies.map(({ check, subject, found, expected }) => `verify: ${check} of ${subject} is ${found}, not ${expected}`);
  };

  return {
    server,
    log,
    die: async (death) => {
      rmSync(armFile, { force: true });
      await server.start('point' in death ? { kill: { ...death, armFile } } : {});
      const faults = await checkStart();
      const ended = server.ended();
      const load = runLoad({ server, client, keys, log, random }, ended);
      if ('point' in death) writeFileSync(armFile, '');
      else await delay(death.afterMs).then(() => server.kill());
      const timer = new AbortController();
      const timeout = delay(DEATH_TIMEOUT_MS, 'timeout', { signal: timer.signal }).catch(() => 'over');
      const end = await Promise.race([ended, timeout]);
      timer.abort();
      if (typeof end === 'string') {
        faults.push(`the process passed ${JSON.stringify(death)} alive`);
        await server.kill();
      } else if (end.signal !== 'SIGKILL')
        faults.push(`the process ended with ${end.code ?? end.signal}:\n${server.stderr().slice(-2000)}`);
      await load;
      return [...faults, ...(await checkLedger())].map((fault) => `${JSON.stringify(death)}: ${fault}`);
    },
    interrupted: () => interrupted,
    finish: async () => {
      rmSync(armFile, { force: true });
      await server.start();
      const faults = await checkStart();
      const { code } = await server.stop();
      if (code !== 0) faults.push(`the server ended with ${code}`);
      return [...faults, ...(await checkLedger())];
    },
    dispose,
  };
}

async function makeKeys(server: TestServer, client: HttpClient): Promise<LoadKey[]> {
  const control = makeControlPlane(server, client);
  const tenant = control.firstTenant();
  await control.setTenantBudget(tenant.id, PLENTY_MICROCENTS);
  // Every call holds on a prepaid balance in another currency too.
  await control.operator('POST', '/exchange-rates', { currency: 'EUR', per_usd: Number(EUR_PER_USD_NANOS) / 1e9 });
  await control.operator('PATCH', `/tenants/${tenant.id}`, { require_balance: true });
  await control.operator('POST', `/tenants/${tenant.id}/credits`, { amount: 1_000_000, reason: 'plenty' });
  // A soak makes more keys than a tenant usually may have.
  await control.setMaxKeys(tenant.id, 100_000);
  const keys: LoadKey[] = [];
  for (const name of ['first', 'second']) {
    const key = await control.makeKey(tenant, { name, maxTokens: 1_000_000_000 });
    await control.setKeyBudget(key.id, PLENTY_MICROCENTS);
    keys.push(key);
  }
  return keys;
}
