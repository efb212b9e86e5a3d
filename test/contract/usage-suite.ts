import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { USAGE_WINDOWS, windowRange } from '../../src/core/usage/windows.ts';
import type { UsageEvent } from '../../src/core/usage/usage-event.ts';
import type { UsagePoint, UsageTotal } from '../../src/ports/record-store.ts';
import { seededRandom, type SeededRandom } from '../support/seeded-random.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const NOW_MS = Date.parse('2026-11-22T10:07:03.250Z');
const SEED = 20_261_122;
const EVENTS = 500;

const KEYS = ['key_1', 'key_2', 'key_3'];
const MODELS = ['demo-large', 'demo-small', 'other/model:v2'];

/** Moments within every window and beyond all of them, among them the edges of buckets; in order, the last one now. */
function eventTimes(random: SeededRandom): number[] {
  const times = Array.from({ length: EVENTS - USAGE_WINDOWS.length * 3 }, () => {
    // A little further back than the window reaches.
    return NOW_MS - random.between(0, random.pick(USAGE_WINDOWS).windowMs * 1.1);
  });
  const edges = USAGE_WINDOWS.flatMap((window) => {
    const { fromMs } = windowRange(window, NOW_MS);
    return [fromMs - 1, fromMs, NOW_MS - (NOW_MS % window.intervalMs)];
  });
  return [...times, ...edges, NOW_MS].toSorted((a, b) => a - b);
}

type Totals = { readonly [keyAndModel: string]: Omit<UsageTotal, 'keyId' | 'model'> };

/** The sums that a store should give, counted the plain way over the raw events. */
function totalsOf(events: readonly UsageEvent[]): Totals {
  const totals: Record<string, Omit<UsageTotal, 'keyId' | 'model'>> = {};
  for (const event of events) {
    const name = `${event.keyId} ${event.model}`;
    const sum = totals[name] ?? { requests: 0, promptTokens: 0, completionTokens: 0, costNanoUsd: 0n };
    totals[name] = {
      requests: sum.requests + event.requests,
      promptTokens: sum.promptTokens + event.promptTokens,
      completionTokens: sum.completionTokens + event.completionTokens,
      costNanoUsd: sum.costNanoUsd + event.costNanoUsd,
    };
  }
  return totals;
}

const byKeyAndModel = (totals: readonly UsageTotal[]): Totals =>
  Object.fromEntries(totals.map(({ keyId, model, ...sums }) => [`${keyId} ${model}`, sums]));

function seriesOf(events: readonly UsageEvent[], intervalMs: number): UsagePoint[] {
  const points = new Map<string, UsagePoint>();
  for (const event of events) {
    const bucketMs = event.atMs - (event.atMs % intervalMs);
    const name = `${bucketMs} ${event.model}`;
    const sum = points.get(name) ?? { bucketMs, model: event.model, requests: 0, promptTokens: 0, completionTokens: 0 };
    points.set(name, {
      ...sum,
      requests: sum.requests + event.requests,
      promptTokens: sum.promptTokens + event.promptTokens,
      completionTokens: sum.completionTokens + event.completionTokens,
    });
  }
  return inOrder([...points.values()]);
}

const inOrder = (points: readonly UsagePoint[]): UsagePoint[] =>
  points.toSorted((a, b) => a.bucketMs - b.bucketMs || (a.model < b.model ? -1 : a.model > b.model ? 1 : 0));

/** Usage: sums are exactly those of the raw events, wherever those are at the moment. */
export function describeUsage(makeStore: MakeStore): void {
  describe(`usage (seed ${SEED})`, () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;
    let events: UsageEvent[];

    beforeEach(async () => {
      clock = makeTestClock(NOW_MS - 120 * 86_400_000);
      at = await makeStore({ clock });
      commands = makeCommands();
      events = [];
      await at.store.execute('batch_0', [commands.createTenant('acme'), commands.createTenant('other')], 0);
      await at.store.execute('batch_1', [...KEYS.map((key) => commands.createKey('acme', key)), commands.createKey('other', 'key_9')], 0);
    });
    afterEach(() => at.destroy());

    /** Makes calls at the given moments, one of a foreign tenant among them; remembers the events. */
    const callAt = async (times: readonly number[], random: SeededRandom): Promise<void> => {
      for (const [index, atMs] of times.entries()) {
        clock.set(atMs);
        const tenantId = index % 50 === 7 ? 'other' : 'acme';
        const hold = commands.hold({ tenantId, keyId: tenantId === 'acme' ? random.pick(KEYS) : 'key_9' });
        const promptTokens = random.between(0, 5000);
        const microcents = BigInt(random.between(0, 1e9)) * (index % 97 === 0 ? 100_000n : 1n);
        const settle = commands.settle(hold, {
          promptTokens,
          completionTokens: random.between(0, 900),
          microcents,
          model: random.pick(MODELS),
        });
        const { outcomes } = await at.store.execute(commands.id('batch'), [hold, settle], 0);
        expect(outcomes.every((outcome) => outcome.ok)).toBe(true);
        if (tenantId === 'acme') events.push({ ...settle.usage!, atMs, heldAtMs: atMs });
      }
    };

    const expectExactSums = async (): Promise<void> => {
      for (const window of USAGE_WINDOWS) {
        const { fromMs } = windowRange(window, NOW_MS);
        const inWindow = events.filter((event) => event.atMs >= fromMs);
        const query = { tenantId: 'acme', fromMs, intervalMs: window.intervalMs };
        const ofKey = inWindow.filter((event) => event.keyId === 'key_2');
        const found = {
          window: window.name,
          totals: byKeyAndModel(await at.store.usageTotals(query)),
          ofKey: byKeyAndModel(await at.store.usageTotals({ ...query, keyId: 'key_2' })),
          series: inOrder(await at.store.usageSeries(query)),
        };
        expect(found).toEqual({
          window: window.name,
          totals: totalsOf(inWindow),
          ofKey: totalsOf(ofKey),
          series: seriesOf(inWindow, window.intervalMs),
        });
      }
      const allTime = { tenantId: 'acme', fromMs: null, intervalMs: 5000 };
      expect(byKeyAndModel(await at.store.usageTotals(allTime))).toEqual(totalsOf(events));
      const ofKey = events.filter((event) => event.keyId === 'key_1');
      expect(byKeyAndModel(await at.store.usageTotals({ ...allTime, keyId: 'key_1' }))).toEqual(totalsOf(ofKey));
    };

    const expectExactCounters = async (): Promise<void> => {
      const expected = KEYS.map((keyId) => {
        const mine = events.filter((event) => event.keyId === keyId);
        const sum = (field: 'requests' | 'promptTokens' | 'completionTokens'): number =>
          mine.reduce((total, event) => total + event[field], 0);
        return {
          keyId,
          requests: sum('requests'),
          promptTokens: sum('promptTokens'),
          completionTokens: sum('completionTokens'),
          lastUsedAtMs: Math.max(...mine.map((event) => event.atMs)),
        };
      });
      const byKey = (list: readonly { keyId: string }[]) => list.toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1));
      expect(byKey(await at.store.keyUsage({ tenantId: 'acme' }))).toEqual(expected);
      expect(await at.store.keyUsage({ tenantId: 'acme', keyIds: ['key_2', 'key_9', 'key_none'] })).toEqual([expected[1]]);
    };

    test('totals, series and counters equal the sums of the raw events: unfolded, partly folded, folded, and after pruning', async () => {
      const random = seededRandom(SEED);
      await callAt(eventTimes(random), random);
      await expectExactSums();
      await expectExactCounters();

      expect(await at.store.foldUsage(123)).toBe(123);
      await expectExactSums();
      await expectExactCounters();

      for (let folded = 1; folded > 0;) folded = await at.store.foldUsage(100);
      expect(Number((await at.raw('SELECT count(*) AS n FROM usage_tail'))[0]?.['n'])).toBe(0);
      await expectExactSums();
      await expectExactCounters();

      expect(await at.store.prune()).toBeGreaterThan(0);
      await expectExactSums();
      await expectExactCounters();
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('events that come while others are folded are counted once', async () => {
      const random = seededRandom(SEED + 1);
      const times = Array.from({ length: 120 }, (_, index) => NOW_MS - 120_000 + index * 1000);
      let going = true;
      const folding = (async () => {
        while (going) await at.store.foldUsage(7);
      })();
      await callAt(times, random);
      going = false;
      await folding;
      await expectExactSums();
      await expectExactCounters();
    });

    test('a query while events are folded sees each of them, and once', async () => {
      const random = seededRandom(SEED + 2);
      await callAt(
        Array.from({ length: 200 }, (_, index) => NOW_MS - 200 + index),
        random,
      );
      const expected = totalsOf(events);
      const query = { tenantId: 'acme', fromMs: null, intervalMs: 5000 };
      let going = true;
      const asking = (async () => {
        let asked = 0;
        while (going) {
          expect(byKeyAndModel(await at.store.usageTotals(query))).toEqual(expected);
          asked++;
        }
        return asked;
      })();
      for (let folded = 1; folded > 0;) folded = await at.store.foldUsage(3);
      going = false;
      expect(await asking).toBeGreaterThan(0);
    });

    test('the raw events come newest first, from tail and folded alike', async () => {
      const random = seededRandom(SEED + 3);
      const times = Array.from({ length: 30 }, (_, index) => NOW_MS - 30_000 + Math.floor(index / 2) * 1000);
      await callAt(times, random);
      await at.store.foldUsage(17);
      const newestFirst = events.toReversed().toSorted((a, b) => b.atMs - a.atMs || (a.id < b.id ? 1 : -1));
      expect(await at.store.usageEvents({ tenantId: 'acme', limit: 100 })).toEqual(newestFirst);
      expect(await at.store.usageEvents({ tenantId: 'acme', limit: 5 })).toEqual(newestFirst.slice(0, 5));
    });

    test('pruning keeps what its time is not over for, and removes the rest', async () => {
      const dayMs = 86_400_000;
      const random = seededRandom(SEED + 4);
      await callAt([NOW_MS - 36 * dayMs, NOW_MS - 34 * dayMs, NOW_MS - 5000], random);
      clock.set(NOW_MS);
      const kept = commands.hold({ idempotencyKey: 'kept' });
      const short = commands.hold({ idempotencyKey: 'short' });
      await at.store.execute('batch_idem', [kept, { ...short, idempotency: { ...short.idempotency!, keepMs: 1000 } }], 0);
      while ((await at.store.foldUsage(100)) > 0);

      const laterMs = NOW_MS + 60_000;
      clock.set(laterMs);
      await at.store.execute('batch_later', [commands.allocate(moneyOf('acme'), 1n)], 0);
      expect(await at.store.prune()).toBeGreaterThan(0);
      expect(await at.store.prune()).toBe(0);
      const ids = (await at.store.usageEvents({ tenantId: 'acme', limit: 10 })).map(({ id }) => id);
      expect(ids).toEqual([events[2]?.id, events[1]?.id]);
      const days = await at.raw(`SELECT DISTINCT bucket_ms FROM usage_rollups WHERE level_ms = ${dayMs} AND tenant_id = 'acme'`);
      expect(days).toHaveLength(3);
      const fine = await at.raw(`SELECT DISTINCT bucket_ms FROM usage_rollups WHERE level_ms = 5000 AND tenant_id = 'acme'`);
      expect(fine.map((row) => Number(row['bucket_ms']))).toEqual([NOW_MS - 5000 - ((NOW_MS - 5000) % 5000)]);
      expect(await at.raw('SELECT key FROM idempotency')).toEqual([{ key: 'kept' }]);
      const totals = byKeyAndModel(await at.store.usageTotals({ tenantId: 'acme', fromMs: null, intervalMs: 5000 }));
      expect(totals).toEqual(totalsOf(events));
    });

    test('a key that was never used has no counters, and a tenant without usage no totals', async () => {
      expect(await at.store.keyUsage({ tenantId: 'acme' })).toEqual([]);
      expect(await at.store.usageTotals({ tenantId: 'acme', fromMs: null, intervalMs: 5000 })).toEqual([]);
      expect(await at.store.usageSeries({ tenantId: 'acme', fromMs: 0, intervalMs: 86_400_000 })).toEqual([]);
      expect(await at.store.foldUsage(10)).toBe(0);
    });

    test('usage of one tenant never shows in another', async () => {
      const random = seededRandom(SEED + 5);
      await callAt(
        Array.from({ length: 60 }, (_, index) => NOW_MS - 60 + index),
        random,
      );
      await at.store.foldUsage(30);
      const totals = await at.store.usageTotals({ tenantId: 'other', fromMs: null, intervalMs: 5000 });
      expect(totals.map(({ keyId }) => keyId).every((keyId) => keyId === 'key_9')).toBe(true);
      expect(totals.reduce((sum, { requests }) => sum + requests, 0)).toBe(2);
      expect(await at.store.usageTotals({ tenantId: 'acme', keyId: 'key_9', fromMs: null, intervalMs: 5000 })).toEqual([]);
    });
  });
}
