import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ReportItem, ReportUsageCommand } from '../../src/core/ledger/commands.ts';
import type { ReportUsageAnswer } from '../../src/core/ledger/report-usage.ts';
import type { UsageEvent } from '../../src/core/usage/usage-event.ts';
import { MAX_REPORT_AGE_MS, USAGE_REPORTS_KEEP_MS } from '../../src/core/usage/usage-report.ts';
import { USAGE_WINDOWS, windowRange } from '../../src/core/usage/windows.ts';
import type { Command } from '../../src/core/verbs.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { capOf, makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const NOW_MS = Date.parse('2026-11-22T10:07:03.250Z');
const SEED = 20_261_122;

/** An event of a key of `acme`, of so many tokens at 3 nano-dollars each. */
function reported(eventId: string, options: { tokens?: number; occurredAtMs?: number; keyId?: string; model?: string } = {}): ReportItem {
  const { tokens = 10, occurredAtMs = NOW_MS, keyId = 'key_1', model = 'demo-small' } = options;
  const costNanoUsd = BigInt(tokens) * 3n;
  const microcents = (costNanoUsd + 9n) / 10n;
  return {
    eventId,
    hash: `hash of ${eventId}`,
    occurredAtMs,
    body: { event: eventId, note: 'a "quoted" \u2028 text' },
    judgement: {
      kind: 'book',
      booking: {
        accounts: [capOf('acme', keyId), moneyOf('acme')],
        actuals: { tokens: BigInt(tokens), microcents },
        usage: {
          id: `report:router:${eventId}`,
          tenantId: 'acme',
          keyId,
          model,
          upstreamId: 'reporter:router',
          priceId: 'price_1',
          route: '/v1/chat/completions',
          requests: 1,
          promptTokens: tokens,
          completionTokens: 0,
          cachedPromptTokens: 0,
          reasoningTokens: 0,
          costNanoUsd,
          chargeMicrocents: microcents,
          streaming: true,
          estimated: false,
          interrupted: false,
        },
      },
    },
  };
}

const unknown = (eventId: string): ReportItem => ({ ...reported(eventId), judgement: { kind: 'quarantine', reason: 'unknown_model' } });

/** Usage that other proxies report. */
export function describeReports(makeStore: MakeStore): void {
  describe(`reported usage (seed ${SEED})`, () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    const execute = (...batch: Command[]) => at.store.execute(commands.id('batch'), batch, 0);
    const report = (items: readonly ReportItem[], nonce: string | null = commands.id('nonce')): ReportUsageCommand => ({
      verb: 'report-usage',
      id: commands.id('cmd'),
      tenantId: '_system',
      reporterId: 'router',
      nonce,
      nonceKeepMs: 600_000,
      items,
    });
    const send = async (...args: Parameters<typeof report>): Promise<string[]> => {
      const [outcome] = (await execute(report(...args))).outcomes;
      if (outcome?.ok !== true) return [outcome?.rejection.code ?? 'nothing'];
      return (outcome.value as ReportUsageAnswer).events.map(({ status }) => status);
    };
    const putReporter = (tenants: readonly string[]): Command => ({
      verb: 'put-usage-reporter',
      id: commands.id('cmd'),
      tenantId: '_system',
      reporter: { id: 'router', secretSealed: 'sealed', previous: { secretSealed: 'old', untilMs: null }, tenants },
      replace: true,
    });
    const spent = async (): Promise<(bigint | undefined)[]> => {
      const accounts = await at.store.accounts([capOf('acme', 'key_1'), moneyOf('acme')]);
      return [accounts.get(capOf('acme', 'key_1'))?.spent, accounts.get(moneyOf('acme'))?.spent];
    };
    const expectSound = async (): Promise<void> => expect((await at.store.verify()).discrepancies).toEqual([]);

    beforeEach(async () => {
      clock = makeTestClock(NOW_MS);
      at = await makeStore({ clock });
      commands = makeCommands();
      await execute(commands.createTenant('acme'), commands.createTenant('other'));
      await execute(
        commands.createKey('acme', 'key_1'),
        commands.createKey('acme', 'key_2'),
        commands.allocate(moneyOf('acme'), 5n),
        putReporter(['acme']),
      );
    });
    afterEach(() => at.destroy());

    test('a reporter is a record like others, and goes when it is removed', async () => {
      const record = {
        id: 'router',
        secretSealed: 'sealed',
        previous: { secretSealed: 'old', untilMs: null },
        tenants: ['acme'],
        createdAtMs: NOW_MS,
      };
      expect(await at.store.record('usage-reporter', 'router')).toEqual(record);
      expect(await at.store.records('usage-reporter')).toEqual([record]);
      const refused = await execute({ ...putReporter(['acme', 'nobody']), id: commands.id('cmd') });
      expect(refused.outcomes).toMatchObject([{ ok: false, rejection: { code: 'invalid_request', field: 'tenants' } }]);
      await execute({ verb: 'remove-record', id: commands.id('cmd'), tenantId: '_system', kind: 'usage-reporter', recordId: 'router' });
      expect(await at.store.record('usage-reporter', 'router')).toBeUndefined();
      expect(await send([reported('e1')])).toEqual(['unauthorized']);
    });

    test('is booked once, below zero too, after a restart as well', async () => {
      expect(await send([reported('e1', { tokens: 100 }), reported('e2', { tokens: 50 }), unknown('bad')])).toEqual([
        'booked',
        'booked',
        'quarantined',
      ]);
      expect(await spent()).toEqual([150n, 45n]);
      at = await at.reopen();
      expect(await send([reported('e1', { tokens: 100 }), reported('e3'), unknown('bad')])).toEqual(['duplicate', 'booked', 'duplicate']);
      expect(await spent()).toEqual([160n, 48n]);
      expect(await at.store.keyUsage({ tenantId: 'acme' })).toMatchObject([{ keyId: 'key_1', requests: 3, promptTokens: 160 }]);
      await at.store.foldUsage(100);
      expect(await send([reported('e1'), reported('e2')])).toEqual(['duplicate', 'duplicate']);
      expect(await at.store.usageEvents({ tenantId: 'acme', limit: 10 })).toHaveLength(3);
      await expectSound();
    });

    test('a delivery that was taken is refused after a restart too, and changes nothing', async () => {
      expect(await send([reported('e1')], 'nonce')).toEqual(['booked']);
      at = await at.reopen();
      const before = await at.raw('SELECT count(*) AS n FROM ledger_entries');
      expect(await send([reported('e1'), reported('e2')], 'nonce')).toEqual(['conflict']);
      expect(await at.raw('SELECT count(*) AS n FROM ledger_entries')).toEqual(before);
      clock.set(NOW_MS + 600_001);
      expect(await send([reported('e1'), reported('e2')], 'nonce')).toEqual(['duplicate', 'booked']);
    });

    test('the same events in several deliveries of one batch, and in many batches at once, are booked once', async () => {
      const items = Array.from({ length: 50 }, (_, index) => reported(`e${index}`));
      await Promise.all(Array.from({ length: 8 }, () => execute(report(items), report(items.toReversed()))));
      expect(await spent()).toEqual([500n, 150n]);
      expect(await at.store.usageEvents({ tenantId: 'acme', limit: 1000 })).toHaveLength(50);
      await expectSound();
    });

    test('what is in quarantine comes page by page, and is booked once by a second attempt', async () => {
      await send(['q3', 'q1', 'q2'].map(unknown));
      const first = await at.store.quarantinedReports({ reporterId: 'router', limit: 2 });
      expect(first).toEqual(
        ['q1', 'q2'].map((eventId) => ({
          reporterId: 'router',
          eventId,
          hash: `hash of ${eventId}`,
          reason: 'unknown_model',
          receivedAtMs: NOW_MS,
          body: { event: eventId, note: 'a "quoted" \u2028 text' },
        })),
      );
      const rest = await at.store.quarantinedReports({ reporterId: 'router', afterEventId: 'q2', limit: 2 });
      expect(rest.map(({ eventId }) => eventId)).toEqual(['q3']);
      expect(await at.store.quarantinedReports({ reporterId: 'nobody', limit: 2 })).toEqual([]);

      const again = () => send([reported('q1'), reported('q3'), unknown('q2')], null);
      const outcomes = await Promise.all([again(), again(), again(), again()]);
      expect(outcomes.filter(([one]) => one === 'booked')).toHaveLength(1);
      expect(await spent()).toEqual([20n, 6n]);
      expect((await at.store.quarantinedReports({ reporterId: 'router', limit: 9 })).map(({ eventId }) => eventId)).toEqual(['q2']);
      await expectSound();
    });

    test('a key is found by its hash after it was deleted', async () => {
      expect(await at.store.deletedKeyByHash('hash-of-acme-key_2')).toBeUndefined();
      await execute(commands.deleteKey('acme', 'key_2'));
      expect(await at.store.keyByHash('hash-of-acme-key_2')).toBeUndefined();
      expect((await at.store.deletedKeyByHash('hash-of-acme-key_2'))?.id).toBe('key_2');
    });

    test('usage that comes late is in every window that it happened in, exactly, whatever was folded and forgotten before', async () => {
      const random = seededRandom(SEED);
      const events: UsageEvent[] = [];
      let nowMs = NOW_MS;
      for (let round = 0; round < 12; round++) {
        const items = Array.from({ length: 40 }, (_, index) => {
          // As far back as any window of that length, the ends of buckets among them.
          const { windowMs, intervalMs } = random.pick(USAGE_WINDOWS);
          const agoMs = Math.min(random.between(0, windowMs), MAX_REPORT_AGE_MS);
          const exactMs = nowMs - agoMs;
          const occurredAtMs = index % 5 === 0 ? Math.max(exactMs - (exactMs % intervalMs), nowMs - MAX_REPORT_AGE_MS) : exactMs;
          const options = {
            occurredAtMs,
            tokens: random.between(0, 9000),
            keyId: random.pick(['key_1', 'key_2']),
            model: random.pick(['a', 'b']),
          };
          return reported(`e${round}-${index}`, options);
        });
        clock.set(nowMs);
        expect(new Set(await send(items))).toEqual(new Set(['booked']));
        for (const { judgement, occurredAtMs } of items) {
          if (judgement.kind === 'book') events.push({ ...judgement.booking.usage, atMs: occurredAtMs, heldAtMs: occurredAtMs });
        }
        if (round % 3 !== 2) await at.store.foldUsage(random.between(10, 100));
        if (round % 4 === 1) await at.store.prune();
        await expectWindows(events, nowMs);
        nowMs += random.pick([1000, 60_000, 3 * 3_600_000, 2 * 86_400_000]);
      }
      await at.store.foldUsage(10_000);
      clock.set(nowMs);
      await at.store.prune();
      await expectWindows(events, nowMs);
      await expectSound();
    });

    async function expectWindows(events: readonly UsageEvent[], nowMs: number): Promise<void> {
      for (const window of USAGE_WINDOWS) {
        const { fromMs } = windowRange(window, nowMs);
        const inWindow = events.filter(({ atMs }) => atMs >= fromMs);
        const query = { tenantId: 'acme', fromMs, intervalMs: window.intervalMs };
        const totals = await at.store.usageTotals(query);
        const series = await at.store.usageSeries(query);
        const found = {
          window: window.name,
          tokens: totals.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
          cost: totals.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0n),
          buckets: new Map(
            [...Map.groupBy(series, ({ bucketMs }) => bucketMs)].map(([ms, of]) => [ms, of.reduce((n, p) => n + p.requests, 0)]),
          ),
        };
        expect(found).toEqual({
          window: window.name,
          tokens: inWindow.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
          cost: inWindow.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0n),
          buckets: new Map([...Map.groupBy(inWindow, ({ atMs }) => atMs - (atMs % window.intervalMs))].map(([ms, of]) => [ms, of.length])),
        });
      }
    }

    test('it is forgotten that an event was received only when it is too old to be booked again', async () => {
      await send([reported('e1'), unknown('q1')]);
      const rows = async (): Promise<number> => (await at.raw('SELECT event_id FROM usage_reports')).length;
      // What makes a store's clock go on is something durable at that time.
      const passTo = async (ms: number): Promise<void> => {
        clock.set(ms);
        await execute(commands.allocate(moneyOf('acme'), BigInt(ms)));
        await at.store.prune();
      };
      await passTo(NOW_MS + USAGE_REPORTS_KEEP_MS);
      expect(await rows()).toBe(2);
      expect(await send([reported('e1')])).toEqual(['duplicate']);
      await passTo(NOW_MS + USAGE_REPORTS_KEEP_MS + 1);
      expect(await rows()).toBe(0);
      expect(await send([reported('e1')])).toEqual(['quarantined']);
      expect(await spent()).toEqual([10n, 3n]);
    });

    test('verification finds a charge that is not what the usage says', async () => {
      await send([reported('e1'), reported('e2')]);
      for (const change of ['charge_microcents = charge_microcents + 1', 'prompt_tokens = prompt_tokens + 1']) {
        await at.raw(`UPDATE usage_tail SET ${change} WHERE id = 'report:router:e1'`);
        const { discrepancies } = await at.store.verify();
        expect(discrepancies.map(({ subject }) => subject)).toContainEqual(expect.stringContaining('report:router:e1'));
        await at.raw(`UPDATE usage_tail SET ${change.replace('+', '-')} WHERE id = 'report:router:e1'`);
      }
      await expectSound();
    });
  });
}
