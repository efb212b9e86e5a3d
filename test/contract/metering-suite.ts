import { afterEach, beforeEach, expect, test } from 'vitest';
import { balanceId, unspentOf } from '../../src/core/balance/balance-account.ts';
import type { ResourcePrices } from '../../src/core/containers/container-meter.ts';
import type { AccountId } from '../../src/core/ledger/account.ts';
import { CONTAINER_LEASE } from '../../src/core/containers/container-records.ts';
import type { ContainerProgress, CreateContainerCommand } from '../../src/core/containers/commands.ts';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import { DEFAULT_ENTITLEMENTS } from '../../src/core/access/defaults.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { Command, CommandValue } from '../../src/core/verbs.ts';
import { makeMeterContainers, type MeterContainers } from '../../src/app/containers/meter-containers.ts';
import { windowId } from '../../src/core/windows/budget-rule.ts';
import { windowLabel } from '../../src/core/windows/window-period.ts';
import { configOf } from '../support/container-harness.ts';
import { makeCountingIds, makeMemoryLog } from '../support/fakes.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const ID = '11111111-2222-4333-8444-555555555555';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const EUR = 920_000_000;
/** 3.6 cents, 0.36 cents and 3.6 USD an hour: 1,000, 100 and 100,000 micro-cents a second. */
const PRICES: ResourcePrices = { cpuHourNanos: 36_000_000n, memoryGbHourNanos: 3_600_000n, gpuHourNanos: 3_600_000_000n };
/** Of two processors and 4 GB. */
const SECOND = 2n * 1000n + 4n * 100n;

/** What containers use is booked on what their tenant pays from: once, exactly, on every store. */
export function describeMetering(makeStore: MakeStore): void {
  let clock: TestClock;
  let at: TestStore;
  let commands: CommandMaker;
  let fence = 0;

  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeStore({ clock });
    commands = makeCommands();
    await execute(commands.createTenant('acme'));
    const entitlements = { ...DEFAULT_ENTITLEMENTS, containerSubscription: true };
    await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: 'acme', entitlements });
    fence = (await execute(lease())).token;
  });
  afterEach(() => at.destroy());

  const tryOne = async <C extends Command>(command: C): Promise<Outcome<CommandValue<C>>> => {
    const [outcome] = (await at.store.execute(commands.id('batch'), [command], 0)).outcomes;
    return outcome as Outcome<CommandValue<C>>;
  };
  const execute = async <C extends Command>(command: C): Promise<CommandValue<C>> => {
    const outcome = await tryOne(command);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome));
    return outcome.value;
  };
  const lease = (): Extract<Command, { verb: 'take-lease' }> => ({
    verb: 'take-lease',
    id: commands.id('cmd'),
    tenantId: SYSTEM_TENANT,
    leaseId: CONTAINER_LEASE,
    ownerId: 'test',
    ttlMs: 100 * HOUR_MS,
    isAlone: true,
  });
  const meteringWith = (prices = PRICES): MeterContainers =>
    makeMeterContainers({
      records: at.store,
      writer: { execute: tryOne },
      rates: { refresh: async () => undefined, catalogue: { rate: (currency) => ({ id: 'rate_1', currency, perUsdNanos: EUR }) } },
      prices,
      graceMs: HOUR_MS,
      stopDrainMs: 0,
      clock,
      ids: { ...makeCountingIds(), next: (kind) => commands.id(kind) },
      log: makeMemoryLog(),
    });
  const create: () => CreateContainerCommand = () => ({
    verb: 'create-container',
    id: commands.id('cmd'),
    tenantId: 'acme',
    containerId: ID,
    deploymentId: 'dep_1',
    spec: {
      tag: 'v1',
      commit: 'c',
      config: configOf({ cpus: 2, memoryMb: 4096 }),
      variables: {},
      secrets: [],
      sshKeys: [],
      gpus: 0,
      debug: false,
      dockerLog: false,
      customDomain: null,
      hostName: 'one',
    },
    runsTwice: true,
    name: 'web',
    repo: 'acme/web',
    staging: false,
    place: { groupName: null, groupOrder: 0, displayOrder: 0 },
    replaces: null,
    asksHost: false,
    createdBy: 'ann',
  });
  const advance = (progress: ContainerProgress) =>
    execute({
      verb: 'advance-container',
      id: commands.id('cmd'),
      tenantId: 'acme',
      containerId: ID,
      deploymentId: 'dep_1',
      replaces: null,
      fence,
      progress,
    });
  const serve = async (): Promise<void> => {
    await execute(create());
    await advance({ type: 'started' });
    await advance({ type: 'ready', endpoint: { address: '127.0.0.1', port: 8000 }, drainMs: 0 });
  };
  const stop = () => execute({ verb: 'stop-container', id: commands.id('cmd'), tenantId: 'acme', containerId: ID, drainMs: 0 });
  const account = async (id: AccountId) => (await at.store.accounts([id])).get(id);
  const later = (ms: number): void => clock.set(clock.nowMs() + ms);
  const totals = () => at.store.usageTotals({ tenantId: 'acme', fromMs: null, intervalMs: 86_400_000 });
  const eventTypes = async (): Promise<string[]> =>
    (await at.raw("SELECT type FROM events WHERE type LIKE 'container.%paid' ORDER BY id")).map(({ type }) => String(type));

  test('every second of what serves is charged once, whoever meters it how often', async () => {
    await execute(commands.allocate(moneyOf('acme'), 10n ** 12n));
    await serve();
    const [one, other] = [meteringWith(), meteringWith()];
    for (const ms of [1, 999, 1500, 61_000, 0, 250]) {
      later(ms);
      await Promise.all([one.run(), other.run()]);
    }
    // 63.75 s: what is not a whole second yet is booked with the next one.
    expect((await account(moneyOf('acme')))?.spent).toBe(2n * 63n * 1000n + 500n * 2n + 255n * 100n);
    later(MINUTE_MS);
    await stop();
    later(MINUTE_MS);
    await one.run();
    // The half second is 1 processor-second; of the memory all but nothing is left.
    expect((await account(moneyOf('acme')))?.spent).toBe((123n * 2n + 1n) * 1000n + 495n * 100n);
    await one.run();
    const found = await totals();
    expect(found.map(({ keyId, model, requests }) => `${keyId} ${model} ${requests}`).toSorted()).toEqual([
      'container/web container-cpu-seconds 0',
      'container/web container-memory-gb-seconds 0',
    ]);
    expect(found.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0n)).toBe(10n * ((123n * 2n + 1n) * 1000n + 495n * 100n));
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('a container is forgotten only when everything that it served is booked', async () => {
    await execute(commands.allocate(moneyOf('acme'), 10n ** 12n));
    await serve();
    later(10_000);
    await execute({ verb: 'delete-container', id: commands.id('cmd'), tenantId: 'acme', containerId: ID });
    await advance({ type: 'removed' });
    const forget = () => tryOne({ verb: 'forget-container', id: commands.id('cmd'), tenantId: 'acme', containerId: ID, fence });
    const early = await forget();
    expect(early.ok ? '' : early.rejection.code).toBe('stale_view');
    await meteringWith().settle({ id: ID, tenantId: 'acme' });
    expect(await forget()).toEqual({ ok: true, value: true });
    expect((await account(moneyOf('acme')))?.spent).toBe(10n * SECOND);
    expect(await at.store.record('container-meter', ID)).toBeUndefined();
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('the windows of the project count it, and no others; a rule that is made later counts what was before it', async () => {
    const put = (scope: 'project' | 'each_user' | 'each_key') =>
      execute({
        verb: 'put-budget-rule',
        id: commands.id('cmd'),
        tenantId: 'acme',
        scope,
        target: null,
        period: 'daily',
        limitMicrocents: 10n ** 9n,
        atMs: clock.nowMs(),
      });
    const metering = meteringWith();
    await serve();
    later(10_000);
    await metering.run();
    await put('project');
    await put('each_user');
    await put('each_key');
    later(10_000);
    await metering.run();
    const windows = await at.raw("SELECT scope, spent FROM accounts WHERE kind = 'window'");
    expect(windows.map(({ scope, spent }) => [scope, Number(spent)])).toEqual([['project', Number(20n * SECOND)]]);
    const id = windowId('acme', 'project', windowLabel('daily', clock.nowMs()));
    expect((await account(id))?.spent).toBe(20n * SECOND);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('a prepaid balance pays by its rate; when it is empty there is an event, a grace, and a stop', async () => {
    const rate = { id: 'rate_1', currency: 'EUR', perUsdNanos: EUR, appliesFromMs: null };
    await execute({ verb: 'add-exchange-rate', id: commands.id('cmd'), tenantId: SYSTEM_TENANT, rate });
    await execute({
      verb: 'update-tenant',
      id: commands.id('cmd'),
      tenantId: 'acme',
      requireBalance: true,
      seen: { currency: 'EUR', rateId: 'rate_1' },
    });
    const pay = (amount: bigint) =>
      execute({
        verb: 'credit-balance',
        id: commands.id('cmd'),
        tenantId: 'acme',
        creditId: commands.id('credit'),
        currency: 'EUR',
        rateId: 'rate_1',
        amount,
        reason: 'paid',
      });
    const metering = meteringWith();
    const tenant = async () => (await at.store.record('tenant', 'acme')) ?? expect.fail();
    const broke = await metering.requireFunds(await tenant());
    expect(broke.ok ? '' : broke.rejection.code).toBe('payment_required');
    await pay(100n * SECOND);
    expect((await metering.requireFunds(await tenant())).ok).toBe(true);

    await serve();
    later(100_000);
    await metering.run();
    const balance = await account(balanceId('acme', 'EUR'));
    expect(balance === undefined ? null : unspentOf(balance)).toBe(8n * SECOND);
    expect(await eventTypes()).toEqual([]);
    later(100_000);
    await metering.run();
    expect(await eventTypes()).toEqual(['container.unpaid']);

    // Whoever pays within the grace is left alone.
    later(HOUR_MS - 1000);
    await metering.run();
    expect((await at.store.record('container', ID))?.status).toBe('ready');
    await pay(10_000n * SECOND);
    await metering.run();
    expect(await eventTypes()).toEqual(['container.unpaid', 'container.paid']);

    later(3 * HOUR_MS);
    await metering.run();
    later(HOUR_MS);
    await metering.run();
    expect((await at.store.record('container', ID))?.status).toBe('stopping');
    expect(await eventTypes()).toEqual(['container.unpaid', 'container.paid', 'container.unpaid']);
    expect(await at.raw("SELECT operation, actor_kind FROM audit WHERE operation = 'stop-container'")).toEqual([
      { operation: 'stop-container', actor_kind: 'system' },
    ]);
    const spent = await account(balanceId('acme', 'EUR'));
    const seconds = 200n + 3599n + 3n * 3600n + 3600n;
    expect(spent?.spent).toBe((seconds * SECOND * 92n) / 100n);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('what has no price is metered and costs nothing, and an empty budget stops nobody', async () => {
    await execute(commands.allocate(moneyOf('acme'), 0n));
    const metering = meteringWith({ cpuHourNanos: 0n, memoryGbHourNanos: 0n, gpuHourNanos: 0n });
    await serve();
    later(100_000);
    await metering.run();
    expect((await account(moneyOf('acme')))?.spent).toBe(0n);
    expect(await at.store.record('container-meter', ID)).toMatchObject({
      total: { cpu: '200', memory: '400', gpu: '0' },
      chargedMicrocents: '0',
      unpaidSinceMs: null,
    });
    expect(
      await at.raw(
        'SELECT media_unit, media_quantity FROM usage_tail UNION SELECT media_unit, media_quantity FROM usage_events ORDER BY 1',
      ),
    ).toMatchObject([{ media_unit: 'cpu-seconds' }, { media_unit: 'memory-gb-seconds' }]);
  });

  test('samples are summed by bucket, in one batch or several, and forgotten in time', async () => {
    const note = (atMs: number, cpu: number): Command => ({
      verb: 'note-container-samples',
      id: commands.id('cmd'),
      tenantId: SYSTEM_TENANT,
      samples: [{ containerId: ID, atMs, cpu, memoryBytes: 1, memoryTotalBytes: 4, gpu: null }],
    });
    const startMs = clock.nowMs() - (clock.nowMs() % 7_200_000);
    const generation = await at.store.generation();
    await at.store.execute(commands.id('batch'), [note(startMs, 10), note(startMs + 14_999, 30), note(startMs + 15_000, 5)], 0);
    await execute(note(startMs + 1, 20));
    const read = (levelMs: number, fromMs = 0) => at.store.containerSamples({ containerId: ID, levelMs, fromMs });
    expect((await read(15_000)).map(({ bucketMs, samples, cpuSum, cpuMax }) => [bucketMs - startMs, samples, cpuSum, cpuMax])).toEqual([
      [0, 3, 60, 30],
      [15_000, 1, 5, 5],
    ]);
    expect(await read(15_000, startMs + 15_000)).toHaveLength(1);
    expect(await read(7_200_000)).toMatchObject([{ containerId: ID, samples: 4, cpuSum: 65, memorySum: 4, memoryTotal: 4, gpuSamples: 0 }]);
    expect(await at.store.containerSamples({ containerId: 'other', levelMs: 15_000, fromMs: 0 })).toEqual([]);
    // No node forgets what it knows of records because of a sample.
    expect(await at.store.generation()).toBe(generation);
    clock.set(startMs + 3 * HOUR_MS);
    await execute(note(clock.nowMs(), 7));
    await at.store.prune();
    expect((await read(15_000)).map(({ cpuSum }) => cpuSum)).toEqual([7]);
    expect(await read(900_000)).toHaveLength(2);
  });

  test('a batch that says it was written by other rules of its tenant is refused whole', async () => {
    await serve();
    const stale = await tryOne({
      verb: 'meter-container',
      id: commands.id('use'),
      tenantId: 'acme',
      containerId: ID,
      prices: PRICES,
      rate: { currency: 'EUR', perUsdNanos: EUR },
      windows: null,
      graceMs: 0,
    });
    expect(stale.ok ? '' : stale.rejection.code).toBe('stale_view');
    expect(await at.store.record('container-meter', ID)).toBeUndefined();
  });
}
