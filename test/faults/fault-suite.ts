import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { makeHttpClient } from '../support/http-client.ts';
import { seededRandom, seedOfRun } from '../support/seeded-random.ts';
import { startSealingProxy, type SealingProxy } from '../support/sealing-proxy.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, readState, type StoredUsage, type TestStore } from '../support/store-reader.ts';
import { waitUntil } from '../support/wait-until.ts';
import { checkBooks, type BookedCall, type Campaign } from './check-books.ts';
import { driveCalls, type CallerRecord, type CallersOptions, type CallingKey } from './fault-callers.ts';
import { FAULTS, startFaultUpstream, type FaultUpstream } from './fault-upstream.ts';

const HOLD_TTL_MS = 2000;
const HOLD_GRACE_MS = 200;
/** What a settlement and a sweep may take beyond that on a machine that is busy. */
const SLACK_MS = 20_000;
const CALLERS = 96;

const PRICES = { a: { input: 2, output: 10 }, b: { input: 3, output: 20 } };
const MODELS = ['in-order', 'by-weight', 'first-gone', 'nickname'];

/** Prompts claim up to as many tokens as there are calls, so the hold has to allow for that many. */
const configOf = (urls: { readonly a: string; readonly b: string }): string => {
  const limits =
    'context_tokens: 131072, max_output_tokens: 4096, default_output_tokens: 256, prompt_overhead_tokens: 20000, margin_percent: 0';
  const priced = (id: keyof typeof PRICES, extra = ''): string =>
    `{ id: ${id}, model: theirs${extra}, price: { input_per_1m: ${PRICES[id].input}, output_per_1m: ${PRICES[id].output} } }`;
  return `
gateway: { hold_ttl_ms: ${HOLD_TTL_MS}, hold_grace_ms: ${HOLD_GRACE_MS}, drain_ms: 1500 }
upstreams:
  - { id: a, base_url: "${urls.a}", timeout_ms: 3000, headers: { X-Campaign: "faults" } }
  - { id: b, base_url: "${urls.b}", timeout_ms: 3000 }
  - { id: gone, base_url: "http://127.0.0.1:1/v1" }
models:
  - { id: in-order, aliases: [nickname], upstreams: [${priced('a')}, ${priced('b')}], ${limits} }
  - { id: by-weight, upstreams: [${priced('a', ', weight: 1')}, ${priced('b', ', weight: 1')}], ${limits} }
  - { id: first-gone, upstreams: [{ id: gone }, ${priced('b')}], price: { input_per_1m: 1, output_per_1m: 1 }, ${limits} }
`;
};

/** How much a run does, and whether its calls are sealed for the server. */
export interface FaultOptions {
  readonly calls?: number;
  readonly kills?: number;
  readonly isSealed?: boolean;
}

/** Defines the tests of one store. `makeStore` gives a store that nobody has used. */
export function testFaults(makeStore: () => Promise<TestStore>, options: FaultOptions = {}): void {
  const { calls = 2000, kills = 2, isSealed = false } = options;
  const random = seededRandom(seedOfRun());
  const client = makeHttpClient();
  let upstreams: { readonly a: FaultUpstream; readonly b: FaultUpstream };
  let server: TestServer;
  let proxy: SealingProxy | null = null;
  let keys: CallingKey[];
  let ask: ControlPlane;
  let driving: CallersOptions;
  let nextCall = 0;
  let ready: Promise<void> = Promise.resolve();
  const callers: CallerRecord[] = [];

  beforeAll(async () => {
    console.log(`fault seed ${random.seed}`);
    upstreams = { a: await startFaultUpstream('a'), b: await startFaultUpstream('b') };
    server = makeServer({ store: await makeStore(), config: configOf({ a: upstreams.a.url, b: upstreams.b.url }) });
    await server.start();
    ask = makeControlPlane(server, client);
    keys = await makeKeys(ask);
    proxy = isSealed ? await startSealingProxy({ origin: () => server.runtime }) : null;
    driving = {
      origin: () => proxy?.origin ?? server.runtime,
      keys,
      models: MODELS,
      upstreams: ['a', 'b'],
      random,
      callers: CALLERS,
      ready: () => ready,
    };
  });

  afterAll(async () => {
    await client.close();
    await proxy?.close();
    await server.dispose();
    await upstreams.a.close();
    await upstreams.b.close();
  });

  const drive = async (count: number): Promise<void> => {
    const first = nextCall;
    nextCall += count;
    callers.push(...(await driveCalls(driving, { first, count })));
  };

  /** Waits until nothing is held, for no longer than holds may live; then reads the books and compares. */
  const check = async (wasKilled: boolean): Promise<string[]> => {
    const reader = server.reader();
    const isHeld = async (): Promise<boolean> => (await readAccounts(reader)).some(({ reserved }) => reserved !== 0n);
    await waitUntil(async () => !(await isHeld()), HOLD_TTL_MS + HOLD_GRACE_MS + SLACK_MS);
    const rows = await reader.rows('SELECT id, upstream_id FROM usage_tail UNION ALL SELECT id, upstream_id FROM usage_events');
    const upstreamOf = new Map(rows.map((row) => [row['id'], String(row['upstream_id'])]));
    const state = await readState(reader);
    const booked = state.usage.map((event: StoredUsage): BookedCall => ({ ...event, upstreamId: upstreamOf.get(event.id) ?? '' }));
    const campaign: Campaign = {
      callers,
      upstreams: { a: upstreams.a.produced, b: upstreams.b.produced },
      keys,
      wasKilled,
      prices: { ...PRICES, gone: { input: 1, output: 1 } },
    };
    return checkBooks(campaign, state, booked);
  };

  test(
    `after ${calls} calls of every fault the books are what the upstreams counted, and nothing is held`,
    { timeout: 120_000 },
    async () => {
      await drive(calls);
      expect(await check(false)).toEqual([]);
      // Each kind of fault was there, and callers have seen each kind of end.
      const faults = new Set([...upstreams.a.produced, ...upstreams.b.produced].map(({ fault }) => fault));
      expect([...faults].toSorted()).toEqual(FAULTS.toSorted());
      expect(new Set(callers.map(({ end }) => end))).toEqual(new Set(['ended', 'cut', 'left']));
      const statuses = new Set(callers.map(({ status }) => status));
      for (const status of [200, 400, 422, 502]) expect(statuses).toContain(status);
      if (proxy !== null) expect(proxy.counted.sealed).toBeGreaterThan(calls / 2);
      // What was declared for one upstream went to it and to no other.
      expect(new Set(upstreams.a.produced.map(({ campaign }) => campaign))).toEqual(new Set(['faults']));
      expect(new Set(upstreams.b.produced.map(({ campaign }) => campaign))).toEqual(new Set([null]));
      const shown = await ask.operator('GET', '/upstreams');
      const { upstreams: listed } = shown.json<{ upstreams: { id: string; header_names: string[]; health: { opened_count: number } }[] }>();
      expect(listed.find(({ id }) => id === 'a')?.header_names).toEqual(['X-Campaign']);
      expect(listed.find(({ id }) => id === 'gone')?.health.opened_count).toBeGreaterThan(0);
    },
  );

  test('nor is anything after a process that was killed in the middle of them', { timeout: 120_000 }, async () => {
    for (let kill = 0; kill < kills; kill++) {
      const seenBefore = upstreams.a.produced.length + upstreams.b.produced.length;
      const load = drive(500);
      // Not by time: the kill shall meet calls in flight on any machine.
      await waitUntil(async () => upstreams.a.produced.length + upstreams.b.produced.length > seenBefore + 150, 60_000);
      const restarted = Promise.withResolvers<void>();
      ready = restarted.promise;
      await server.kill();
      await server.start();
      restarted.resolve();
      await load;
    }
    expect(await check(true)).toEqual([]);
    expect((await server.stop()).code).toBe(0);
    expect((await server.verify()).discrepancies).toEqual([]);
    const state = await readState(server.reader());
    expect(state.usage.filter(({ interrupted }) => interrupted).length).toBeGreaterThan(0);
    expect(state.accounts.filter(({ reserved }) => reserved !== 0n)).toEqual([]);
    // The start after a kill went on serving.
    expect(callers.filter(({ plan, status }) => plan.call >= calls + 300 && status === 200).length).toBeGreaterThan(100);
  });
}

/** Keys with a cap, with money, with neither, and a soft one. */
async function makeKeys(control: ControlPlane): Promise<CallingKey[]> {
  const tenant = control.firstTenant();
  await control.setTenantBudget(tenant.id, 100_000_000_000_000n);
  const keys: CallingKey[] = [];
  for (const label of ['capped', 'paid', 'free', 'soft']) {
    const made = await control.makeKey(tenant, { name: label, ...(label === 'capped' ? { maxTokens: 4_000_000_000 } : {}) });
    if (label === 'paid') await control.setKeyBudget(made.id, 100_000_000_000_000n);
    if (label === 'soft') await control.operator('PATCH', `/keys/${made.id}`, { output_bound: 'soft' });
    keys.push({ label, ...made, isSoft: label === 'soft' });
  }
  return keys;
}
