import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeIssueStatements, type IssueStatements } from '../../src/app/bills/issue-statements.ts';
import type { StatementLine } from '../../src/core/bills/bill-records.ts';
import { BILL_DELAY_MS, contentOf, totalOf } from '../../src/core/bills/make-statement.ts';
import { monthOf } from '../../src/core/bills/month.ts';
import type { ReportItem, ReportUsageCommand } from '../../src/core/ledger/commands.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { UsageEvent } from '../../src/core/usage/usage-event.ts';
import { MAX_REPORT_AGE_MS } from '../../src/core/usage/usage-report.ts';
import { sha256Digest } from '../../src/server/secrets/sha256-digest.ts';
import { makeMemoryLog, makeRecordingFailpoints } from '../support/fakes.ts';
import { seededRandom, type SeededRandom } from '../support/seeded-random.ts';
import { makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.parse('2023-12-29T11:00:00Z');
const SEED = 20_261_123;
const TENANTS = ['acme', 'beta'];
const MODELS = ['large', 'small'];

/** One event that a reporter tells of, with the tenant and key that it is of. */
interface Told {
  readonly tenantId: string;
  readonly item: ReportItem;
}

/** An event of a usage report, at 37 nano-dollars for each token that was sent. */
function reportedItem(of: {
  readonly tenantId: string;
  readonly keyId: string;
  readonly eventId: string;
  readonly occurredAtMs: number;
  readonly tokens?: number;
  readonly model?: string;
  readonly completionTokens?: number;
}): ReportItem {
  const { tenantId, keyId, eventId, occurredAtMs, tokens = 10, model = 'large', completionTokens = 0 } = of;
  const costNanoUsd = BigInt(tokens) * 37n;
  const chargeMicrocents = (costNanoUsd + 9n) / 10n;
  const usage: Omit<UsageEvent, 'atMs' | 'heldAtMs'> = {
    id: `report:router:${eventId}`,
    tenantId,
    keyId,
    model,
    upstreamId: 'reporter:router',
    priceId: '',
    route: '/v1/chat/completions',
    requests: 1,
    promptTokens: tokens,
    completionTokens,
    cachedPromptTokens: 0,
    reasoningTokens: 0,
    costNanoUsd,
    chargeMicrocents,
    streaming: false,
    estimated: false,
    interrupted: false,
  };
  const booking = { accounts: [], actuals: { tokens: BigInt(tokens), microcents: chargeMicrocents }, usage };
  return { eventId, hash: eventId, occurredAtMs, body: null, judgement: { kind: 'book', booking } };
}

/** Bills: every event is on exactly one statement, whenever it was told and whoever issues. */
export function describeBills(makeStore: MakeStore): void {
  describe(`bills (seed ${SEED})`, () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;
    let eventNo = 0;

    beforeEach(async () => {
      clock = makeTestClock(START_MS);
      at = await makeStore({ clock });
      commands = makeCommands();
      eventNo = 0;
      const reporter = { id: 'router', secretSealed: 'sealed', previous: null, tenants: TENANTS };
      await run([
        ...TENANTS.map((id) => commands.createTenant(id)),
        ...TENANTS.flatMap((id) => [1, 2].map((n) => commands.createKey(id, `key_${id}_${n}`, { name: `key ${n}` }))),
        { verb: 'put-usage-reporter', id: commands.id('cmd'), tenantId: '_system', replace: false, reporter },
      ]);
    });
    afterEach(() => at.destroy());

    const run = async (list: readonly Command[]): Promise<void> => {
      const { outcomes } = await at.store.execute(commands.id('bat'), list, 0);
      expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    };

    const issuer = (store = at.store, failpoints = makeRecordingFailpoints()): IssueStatements =>
      makeIssueStatements({
        writer: {
          execute: async (command) => {
            const { outcomes } = await store.execute(commands.id('bat'), [command], 0);
            return outcomes[0] as never;
          },
        },
        records: store,
        ids: { next: (prefix) => commands.id(prefix) },
        clock,
        digest: sha256Digest,
        failpoints,
        log: makeMemoryLog(),
      });

    const event = (random: SeededRandom, occurredAtMs: number, tenantId = random.pick(TENANTS)): Told => {
      const keyId = `key_${tenantId}_${random.between(1, 2)}`;
      const used = { tokens: random.between(0, 100_000), model: random.pick(MODELS), completionTokens: random.between(0, 9) };
      return { tenantId, item: reportedItem({ tenantId, keyId, eventId: `e${++eventNo}`, occurredAtMs, ...used }) };
    };

    const tell = async (told: readonly Told[]): Promise<void> => {
      const items = told.map(({ item }) => item);
      const command: ReportUsageCommand = {
        verb: 'report-usage',
        id: commands.id('cmd'),
        tenantId: '_system',
        reporterId: 'router',
        nonce: null,
        nonceKeepMs: DAY_MS,
        items,
      };
      await run([command]);
    };

    const statementsOf = async (tenantId: string) =>
      Promise.all(
        (await at.store.records('statement', tenantId)).map(async (statement) => ({
          statement,
          lines: (await at.store.record('statement-lines', statement.id))?.lines ?? [],
        })),
      );

    const chargeOf = ({ item: { judgement } }: Told): bigint => (judgement.kind === 'book' ? judgement.booking.usage.chargeMicrocents : 0n);

    test('a statement is the sum of the charges of its events, which are on no other: over leap days, late ones, folds and restarts', async () => {
      const random = seededRandom(SEED);
      /** What the second model expects: events by tenant that no statement has. */
      let open: Told[] = [];
      const issued = new Map<string, { month: string; total: bigint }[]>(TENANTS.map((id) => [id, []]));
      let issue = issuer();
      for (let step = 0; step < 60; step++) {
        const nowMs = clock.nowMs();
        const late = (): number => nowMs - random.between(0, random.between(0, 3) === 0 ? MAX_REPORT_AGE_MS : DAY_MS);
        const told = Array.from({ length: random.between(1, 8) }, () => event(random, late()));
        await tell(told);
        open.push(...told);
        if (random.between(0, 2) === 0) await at.store.foldUsage(random.between(1, 20));
        if (random.between(0, 9) === 0) issue = issuer();
        clock.set(nowMs + random.between(1, 9 * DAY_MS));
        const due = monthOf(clock.nowMs() - BILL_DELAY_MS);
        await issue.run();
        for (const tenantId of TENANTS) {
          const known = issued.get(tenantId) ?? [];
          for (const { statement } of (await statementsOf(tenantId)).slice(known.length)) {
            expect(statement.month < due).toBe(true);
            const isOn = (one: Told): boolean => one.tenantId === tenantId && monthOf(one.item.occurredAtMs) <= statement.month;
            known.push({ month: statement.month, total: open.filter(isOn).reduce((sum, one) => sum + chargeOf(one), 0n) });
            open = open.filter((one) => !isOn(one));
          }
        }
      }
      for (const tenantId of TENANTS) {
        const statements = await statementsOf(tenantId);
        const found = statements.map(({ statement: { month, totalMicrocents } }) => ({ month, total: BigInt(totalMicrocents) }));
        expect(found).toEqual(issued.get(tenantId));
        expect(found.length).toBeGreaterThan(6);
        expect(statements.map(({ statement }) => statement.no)).toEqual(found.map((_, index) => index + 1));
        for (const [index, { statement, lines }] of statements.entries()) {
          expect(totalOf(lines).toString()).toBe(statement.totalMicrocents);
          expect(statement.hash).toBe(createHash('sha256').update(contentOf(statement, lines)).digest('hex'));
          expect(statement.previousHash).toBe(statements[index - 1]?.statement.hash ?? '');
        }
        const lateLines = statements.flatMap(({ statement, lines }) =>
          lines.filter((line) => line.kind === 'usage' && line.month !== statement.month),
        );
        expect(lateLines.length).toBeGreaterThan(2);
      }
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('charges by key and model, all charges and the first day are those of the events, folded or not', async () => {
      const random = seededRandom(SEED + 6);
      expect([await at.store.chargedMicrocents('acme'), await at.store.firstUsageMs('acme')]).toEqual([0n, null]);
      const told = Array.from({ length: 30 }, () => event(random, START_MS - random.between(0, 20 * DAY_MS), 'acme'));
      await tell(told);
      const firstMs = Math.min(...told.map(({ item }) => item.occurredAtMs));
      const all = told.reduce((sum, one) => sum + chargeOf(one), 0n);
      const range = { fromMs: START_MS - (START_MS % DAY_MS) - 5 * DAY_MS, toMs: START_MS - (START_MS % DAY_MS) };
      const inRange = told.filter(({ item: { occurredAtMs } }) => occurredAtMs >= range.fromMs && occurredAtMs < range.toMs);
      for (const folded of [0, 11, 100]) {
        await at.store.foldUsage(folded);
        expect(await at.store.chargedMicrocents('acme')).toBe(all);
        expect(Math.floor(((await at.store.firstUsageMs('acme')) ?? 0) / DAY_MS)).toBe(Math.floor(firstMs / DAY_MS));
        const charges = await at.store.usageCharges({ tenantId: 'acme', ...range });
        expect(charges.reduce((sum, { chargeMicrocents }) => sum + chargeMicrocents, 0n)).toBe(
          inRange.reduce((sum, one) => sum + chargeOf(one), 0n),
        );
        expect(charges.reduce((sum, { requests }) => sum + requests, 0)).toBe(inRange.length);
      }
      expect(await at.store.usageCharges({ tenantId: 'beta', ...range })).toEqual([]);
    });

    test('a month is billed an hour after its end at the earliest, and what happened in its last millisecond is on it', async () => {
      const random = seededRandom(SEED + 1);
      const endMs = Date.parse('2024-01-01T00:00:00Z');
      clock.set(endMs);
      const told = [event(random, endMs - 1, 'acme'), event(random, endMs, 'acme')];
      await tell(told);
      const issue = issuer();
      clock.set(endMs + BILL_DELAY_MS - 1);
      await issue.run();
      expect(await statementsOf('acme')).toEqual([]);
      clock.set(endMs + BILL_DELAY_MS);
      await issue.run();
      const [bill, ...others] = await statementsOf('acme');
      expect(others).toEqual([]);
      expect(bill?.statement).toMatchObject({
        month: '2023-12',
        no: 1,
        number: 'acme-0001',
        totalMicrocents: chargeOf(told[0] as Told).toString(),
      });
    });

    test('a clock that is ahead of the store bills nothing', async () => {
      await tell([event(seededRandom(SEED), START_MS, 'acme')]);
      const ahead = makeIssueStatements({
        writer: { execute: async (command) => (await at.store.execute(commands.id('bat'), [command], 0)).outcomes[0] as never },
        records: at.store,
        ids: { next: (prefix) => commands.id(prefix) },
        clock: { nowMs: () => START_MS + 40 * DAY_MS },
        digest: sha256Digest,
        failpoints: makeRecordingFailpoints(),
        log: makeMemoryLog(),
      });
      await ahead.run();
      expect(await statementsOf('acme')).toEqual([]);
    });

    test('of several who issue at once each month is billed once, in the order of the months', async () => {
      const random = seededRandom(SEED + 2);
      const months = 5;
      for (let month = 0; month < months; month++) {
        await tell([event(random, clock.nowMs(), 'acme')]);
        clock.set(clock.nowMs() + 31 * DAY_MS);
      }
      await Promise.all(Array.from({ length: 4 }, () => issuer().run()));
      // Who was too slow three times over comes again.
      await issuer().run();
      const statements = await statementsOf('acme');
      const inOrder = statements.toSorted((a, b) => a.statement.no - b.statement.no);
      expect(inOrder.map(({ statement }) => statement.no)).toEqual(Array.from({ length: months }, (_, index) => index + 1));
      expect(inOrder.map(({ statement }) => statement.month)).toEqual(inOrder.map(({ statement }) => statement.month).toSorted());
    });

    test('an issued statement and its lines refuse every change and removal', async () => {
      await tell([event(seededRandom(SEED), START_MS, 'acme')]);
      clock.set(START_MS + 10 * DAY_MS);
      await issuer().run();
      const before = await statementsOf('acme');
      expect(before).toHaveLength(1);
      const changes = ['statements', 'statement_lines'].flatMap((table) => [`UPDATE ${table} SET body = '{}'`, `DELETE FROM ${table}`]);
      for (const sql of changes) await expect(at.raw(sql)).rejects.toThrow('never changes');
      expect(await statementsOf('acme')).toEqual(before);
    });

    test('verification finds an amount that was changed, a line that was taken out, a statement that is gone, and what was never used', async () => {
      const random = seededRandom(SEED + 4);
      for (let month = 0; month < 3; month++) {
        await tell([event(random, clock.nowMs(), 'acme')]);
        clock.set(clock.nowMs() + 31 * DAY_MS);
      }
      await issuer().run();
      const checks = async (): Promise<string[]> => [...new Set((await at.store.verify()).discrepancies.map(({ check }) => check))];
      expect(await checks()).toEqual([]);
      await at.unlockStatements();
      const [{ id, lines } = {}] = (await at.raw(`SELECT id, CAST(body AS text) AS lines FROM statement_lines ORDER BY id`)) as {
        id?: string;
        lines?: string;
      }[];
      const put = (body: string) => at.raw(`UPDATE statement_lines SET body = '${body}' WHERE id = '${id}'`);
      const [usageLine] = (JSON.parse(lines ?? '') as { lines: { chargeMicrocents: string }[] }).lines;
      const charge = usageLine?.chargeMicrocents ?? '';
      await put((lines ?? '').replace(`"${charge}"`, `"1${charge}"`));
      expect(await checks()).toEqual([
        'statement: it says what was issued',
        'statement: its total is the sum of its lines',
        'statement: what is billed was used',
      ]);
      await put(JSON.stringify({ id, lines: [] }));
      expect(await checks()).toEqual(['statement: it says what was issued', 'statement: its total is the sum of its lines']);
      await put(lines ?? '');
      expect(await checks()).toEqual([]);
      await at.raw(`DELETE FROM statements WHERE id = '${id}'`);
      expect(await checks()).toEqual(['statement: it follows the one before', 'statement: none is missing at the end']);
    });

    test('a correction is a line of the next statement, once, though there is no usage in that month', async () => {
      const random = seededRandom(SEED + 3);
      await tell([event(random, START_MS, 'acme')]);
      clock.set(START_MS + 10 * DAY_MS);
      await issuer().run();
      const [first] = await statementsOf('acme');
      const correct = (charge: bigint, concernsId: string | null) =>
        run([
          {
            verb: 'add-bill-correction',
            id: commands.id('cmd'),
            tenantId: 'acme',
            correction: { id: commands.id('cor'), chargeMicrocents: charge, reason: 'a slow week', concernsId },
          },
        ]);
      await correct(-500n, first?.statement.id ?? '');
      await correct(7n, null);
      clock.set(START_MS + 40 * DAY_MS);
      await issuer().run();
      clock.set(START_MS + 80 * DAY_MS);
      await issuer().run();
      const statements = await statementsOf('acme');
      expect(statements.map(({ statement }) => statement.totalMicrocents)).toEqual([first?.statement.totalMicrocents, '-493']);
      const lines: readonly StatementLine[] = statements[1]?.lines ?? [];
      expect(lines).toMatchObject([
        { kind: 'correction', chargeMicrocents: '-500', concerns: 'acme-0001', reason: 'a slow week' },
        { kind: 'correction', chargeMicrocents: '7', concerns: null },
      ]);
      expect(statements[0]).toEqual(first);
      expect(await at.store.record('bill-state', 'acme')).toMatchObject({ closedMonth: '2024-02', lastNo: 2 });
    });

    test('in the tenant\u2019s currency each day is shown by the rate that applied when it began, late usage and corrections by theirs', async () => {
      const rate = (id: string, perUsdNanos: number, appliesFrom: string): Command => ({
        verb: 'add-exchange-rate',
        id: commands.id('cmd'),
        tenantId: '_system',
        rate: { id, currency: 'EUR', perUsdNanos, appliesFromMs: Date.parse(appliesFrom) },
      });
      await run([rate('r1', 900_000_000, '2023-12-30T00:00:00Z'), rate('r2', 333_333_333, '2024-01-14T18:00:00Z')]);
      const random = seededRandom(SEED + 5);
      const told = [
        event(random, Date.parse('2024-01-14T23:59:59.999Z'), 'acme'),
        event(random, Date.parse('2024-01-15T00:00:00Z'), 'acme'),
      ];
      clock.set(Date.parse('2024-01-20T00:00:00Z'));
      await tell(told);
      clock.set(Date.parse('2024-02-02T00:00:00Z'));
      await issuer().run();
      const [before, after] = told.map(chargeOf) as [bigint, bigint];
      const converted = (charge: bigint, perUsdNanos: bigint): bigint => (charge * perUsdNanos * 2n + 1_000_000_000n) / 2_000_000_000n;
      const [january] = await statementsOf('acme');
      expect(january?.statement.converted).toEqual({
        currency: 'EUR',
        totalMicrocents: `${converted(before, 900_000_000n) + converted(after, 333_333_333n)}`,
      });
      expect(january?.lines).toMatchObject([
        { perUsdNanos: 900_000_000, fromMs: Date.parse('2024-01-01'), chargeMicrocents: `${before}` },
        { perUsdNanos: 333_333_333, fromMs: Date.parse('2024-01-15'), chargeMicrocents: `${after}` },
      ]);
      const late = event(random, Date.parse('2024-01-03T00:00:00Z'), 'acme');
      await tell([late]);
      clock.set(Date.parse('2024-03-02T00:00:00Z'));
      await issuer().run();
      const [, february] = await statementsOf('acme');
      expect(february?.lines).toMatchObject([{ month: '2024-01', perUsdNanos: 333_333_333, chargeMicrocents: `${chargeOf(late)}` }]);
      expect(february?.statement.totalMicrocents).toBe(`${chargeOf(late)}`);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('a payment service: one customer, one portion of usage at a time, and each payment credited once', async () => {
      const base = () => ({ id: commands.id('cmd'), tenantId: 'acme' });
      const values = async (list: readonly Command[]): Promise<unknown[]> => {
        const { outcomes } = await at.store.execute(commands.id('bat'), list, 0);
        return outcomes.map((outcome) => (outcome.ok ? outcome.value : outcome.rejection.code));
      };
      const link = (customerId: string, replace = false): Command => ({ verb: 'link-billing-customer', ...base(), customerId, replace });
      expect(await values([link('cus_1'), link('cus_2'), link('cus_3', true)])).toMatchObject([
        { customerId: 'cus_1' },
        { customerId: 'cus_1' },
        { customerId: 'cus_3' },
      ]);
      const claim = (totalMicrocents: bigint): Command => ({
        verb: 'claim-usage-report',
        ...base(),
        totalMicrocents,
        customerId: 'cus_3',
        sinceMs: START_MS,
      });
      const finish = (no: number, wasTaken: boolean): Command => ({ verb: 'finish-usage-report', ...base(), no, wasTaken });
      expect(await values([claim(10n), claim(12n), finish(2, true), finish(1, true), claim(12n)])).toMatchObject([
        { pending: { no: 1, microcents: '10' } },
        { pending: null, isStuck: false, isFirst: false },
        'conflict',
        { no: 1, reportedMicrocents: '10', pending: null },
        { pending: { no: 2, microcents: '2' } },
      ]);
      expect(await at.store.record('usage-meter', 'acme')).toMatchObject({
        reportedMicrocents: '10',
        pending: { no: 2, customerId: 'cus_3' },
      });

      await run([
        {
          verb: 'add-exchange-rate',
          id: commands.id('cmd'),
          tenantId: '_system',
          rate: { id: 'r1', currency: 'EUR', perUsdNanos: 900_000_000, appliesFromMs: null },
        },
      ]);
      const pay = (id: string, currency: string): Command => ({
        verb: 'take-payment',
        ...base(),
        payment: { id, eventId: `evt_${id}`, currency, microcents: 700n },
        creditId: commands.id('credit'),
        rateId: 'r1',
      });
      expect(await values([pay('pi_1', 'EUR'), pay('pi_1', 'EUR'), pay('pi_2', 'GBP')])).toMatchObject([
        { isNew: true, payment: { refusal: null } },
        { isNew: false },
        { isNew: true, payment: { creditId: null, refusal: expect.stringContaining('EUR') as string } },
      ]);
      expect(await at.store.credits({ tenantId: 'acme', limit: 9 })).toMatchObject([{ microcents: '700', reason: 'Payment pi_1' }]);
      expect(await at.store.record('payment', 'pi_2')).toMatchObject({ creditId: null, tenantId: 'acme' });
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('a correction is on no statement of a month before it was made, where no month was closed', async () => {
      clock.set(START_MS + 12 * DAY_MS);
      const correction = { id: commands.id('cor'), chargeMicrocents: -5n, reason: 'a slow start', concernsId: null };
      await run([{ verb: 'add-bill-correction', id: commands.id('cmd'), tenantId: 'beta', correction }]);
      await issuer().run();
      expect(await statementsOf('beta')).toEqual([]);
      clock.set(START_MS + 45 * DAY_MS);
      await issuer().run();
      const month = new Date(START_MS + 12 * DAY_MS).toISOString().slice(0, 7);
      expect(await statementsOf('beta')).toMatchObject([{ statement: { month, totalMicrocents: '-5', no: 1 } }]);
    });

    test('nothing that was used in a month is no statement', async () => {
      await tell([event(seededRandom(SEED), START_MS, 'acme')]);
      clock.set(START_MS + 100 * DAY_MS);
      await issuer().run();
      expect(await statementsOf('beta')).toEqual([]);
      expect(await statementsOf('acme')).toHaveLength(1);
      expect(await at.store.record('bill-state', 'beta')).toBeUndefined();
    });
  });
}
