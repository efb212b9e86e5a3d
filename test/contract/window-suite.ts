import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeCallContext } from '../../src/core/calls/call-context.ts';
import type { ReserveCommand } from '../../src/core/ledger/commands.ts';
import type { Command } from '../../src/core/verbs.ts';
import {
  covers,
  ruleFor,
  windowAccounts,
  windowId,
  windowsOf,
  type BudgetRule,
  type RuleScope,
} from '../../src/core/windows/budget-rule.ts';
import { windowLabel, windowStartMs, type WindowPeriod } from '../../src/core/windows/window-period.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const TENANT = 'acme';
const SEED = 20_261_124;
const HOUR_MS = 3_600_000;
/** A Sunday, the last day but one of a month, two hours before midnight. */
const START_MS = Date.parse('2024-02-25T22:00:00Z');
const OWNERS: Readonly<Record<string, string>> = { key_1: 'ann', key_2: 'ann', key_3: 'bob' };
const KEYS = Object.keys(OWNERS);
const PERIODS: readonly WindowPeriod[] = ['daily', 'weekly', 'monthly'];
const LARGE = 1_000_000_000n;

/** A hold that the second model knows of. */
interface Held {
  readonly command: ReserveCommand;
  readonly keyId: string;
  readonly atMs: number;
  readonly microcents: bigint;
  isActive: boolean;
}

const targetsOf = (keyId: string): string[] => ['project', `user:${OWNERS[keyId]}`, `key:${keyId}`];

/** Budgets with windows: what a window has counted is what its events were charged, whatever came when. */
export function describeWindows(makeStore: MakeStore): void {
  describe(`windows (seed ${SEED})`, () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      clock = makeTestClock(START_MS);
      at = await makeStore({ clock });
      commands = makeCommands();
      await run([
        commands.createTenant(TENANT),
        commands.allocate(moneyOf(TENANT), LARGE * 1000n),
        ...KEYS.map((keyId): Command => {
          const made = commands.createKey(TENANT, keyId);
          return made.verb === 'create-key' ? { ...made, key: { ...made.key, createdBy: OWNERS[keyId] ?? '' } } : made;
        }),
        ...['ann', 'bob'].map((id): Command => ({
          verb: 'add-member',
          id: commands.id('cmd'),
          tenantId: TENANT,
          member: { id, email: `${id}@example.com`, role: 'admin' },
        })),
      ]);
    });
    afterEach(() => at.destroy());

    const execute = async (list: readonly Command[]) => (await at.store.execute(commands.id('bat'), list, 0)).outcomes;
    const run = async (list: readonly Command[]): Promise<void> => {
      expect((await execute(list)).filter(({ ok }) => !ok)).toEqual([]);
    };
    const rulesNow = async (): Promise<readonly BudgetRule[]> => (await at.store.record('tenant', TENANT))?.budgetRules ?? [];

    const hold = (keyId: string, microcents: bigint, rules: readonly BudgetRule[]): ReserveCommand => {
      const caller = { keyId, memberId: OWNERS[keyId] ?? '' };
      const accounts = windowAccounts(TENANT, windowsOf(rules, caller), clock.nowMs());
      const price = { id: 'price_1', rates: { inputNanos: 10n, outputNanos: 10n, cachedInputNanos: null, requestNanos: 0n } };
      return {
        ...commands.hold({ keyId, microcents, tokens: 10n, ttlMs: 30_000 }),
        context: writeCallContext({
          keyId,
          model: 'm',
          route: '/chat/completions',
          streaming: false,
          promptTokens: 1,
          candidates: [{ upstreamId: 'demo', price }],
        }),
        windows: { ...caller, accounts },
      };
    };
    const settle = (held: ReserveCommand, microcents: bigint): Command =>
      commands.settle(held, { promptTokens: 1, completionTokens: 1, microcents });

    const put = (rule: { scope: RuleScope; target?: string; period: WindowPeriod; limit?: bigint }): Command => ({
      verb: 'put-budget-rule',
      id: commands.id('cmd'),
      tenantId: TENANT,
      scope: rule.scope,
      target: rule.target ?? null,
      period: rule.period,
      limitMicrocents: rule.limit ?? LARGE,
      atMs: clock.nowMs(),
    });

    /** What a window of the present has counted and holds. */
    const windowOf = async (target: string, period: WindowPeriod) => {
      const id = windowId(TENANT, target, windowLabel(period, clock.nowMs()));
      const account = (await at.store.accounts([id])).get(id);
      return { spent: account?.spent ?? 0n, reserved: account?.reserved ?? 0n };
    };

    test('a window has spent the charges of the events that were held in it, whenever its rule was made', { timeout: 60_000 }, async () => {
      const random = seededRandom(SEED);
      const holds: Held[] = [];
      const events: { readonly keyId: string; readonly heldAtMs: number; readonly charge: bigint }[] = [];
      const ended = (held: Held): void => void holds.splice(holds.indexOf(held), 1);

      const scopes: readonly (readonly [RuleScope, string | undefined])[] = [
        ['project', undefined],
        ['each_user', undefined],
        ['user', 'ann'],
        ['each_key', undefined],
        ['key', 'key_1'],
        ['key', 'key_3'],
      ];
      const step = async (): Promise<Command[]> => {
        const kind = random.between(0, 11);
        const held = holds.length === 0 ? undefined : random.pick(holds);
        const rules = await rulesNow();
        if (kind <= 3 || held === undefined) {
          const keyId = random.pick(KEYS);
          const microcents = BigInt(random.between(1, 1000));
          const command = hold(keyId, microcents, rules);
          holds.push({ command, keyId, atMs: clock.nowMs(), microcents, isActive: true });
          return [command];
        }
        if (kind <= 6) {
          const charge = BigInt(random.between(0, Number(held.microcents)));
          events.push({ keyId: held.keyId, heldAtMs: held.atMs, charge });
          ended(held);
          return [settle(held.command, charge)];
        }
        if (kind === 7) {
          ended(held);
          return [commands.cancel(held.command)];
        }
        if (kind === 8) {
          const { reservationId } = held.command;
          if (clock.nowMs() - held.atMs > 40_000) held.isActive = false;
          return [{ verb: 'expire', id: commands.id('cmd'), tenantId: TENANT, reservationId }];
        }
        if (kind === 9) {
          const [scope, target] = random.pick(scopes);
          const limit = LARGE + BigInt(random.between(0, 5));
          return [put({ scope, ...(target === undefined ? {} : { target }), period: random.pick(PERIODS), limit })];
        }
        if (kind === 10 && rules.length > 0) {
          const rule = random.pick(rules);
          return [{ verb: 'delete-budget-rule', id: commands.id('cmd'), tenantId: TENANT, ruleId: rule.id }];
        }
        clock.set(clock.nowMs() + random.between(1, 3) * random.pick([1000, HOUR_MS, 5 * HOUR_MS]));
        if (random.between(0, 2) === 0) await at.store.foldUsage(random.between(1, 50));
        return [];
      };

      const check = async (): Promise<void> => {
        const rules = await rulesNow();
        for (const period of PERIODS) {
          const sinceMs = windowStartMs(period, clock.nowMs());
          for (const target of new Set(KEYS.flatMap(targetsOf))) {
            if (ruleFor(rules, target, period) === undefined) continue;
            const isOurs = ({ keyId }: { readonly keyId: string }): boolean => targetsOf(keyId).includes(target);
            const spent = events
              .filter((event) => isOurs(event) && event.heldAtMs >= sinceMs)
              .reduce((sum, { charge }) => sum + charge, 0n);
            const reserved = holds
              .filter((held) => isOurs(held) && held.isActive && held.atMs >= sinceMs)
              .reduce((sum, { microcents }) => sum + microcents, 0n);
            expect({ target, period, ...(await windowOf(target, period)) }).toEqual({ target, period, spent, reserved });
          }
        }
      };

      for (let round = 0; round < 120; round += 1) {
        const list = await step();
        if (list.length > 0) await run(list);
        if (round % 3 === 0) await check();
      }
      expect(events.length).toBeGreaterThan(15);
      await check();
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('a rule that is made in the middle of a batch counts what the batch did before it, and what it does after', async () => {
      const before = hold('key_1', 100n, []);
      const open = hold('key_2', 30n, []);
      const rule = put({ scope: 'each_user', period: 'monthly' });
      await run([before, open, settle(before, 70n), rule]);
      expect(await windowOf('user:ann', 'monthly')).toEqual({ spent: 70n, reserved: 30n });
      const after = hold('key_2', 5n, await rulesNow());
      await run([settle(open, 20n), after]);
      expect(await windowOf('user:ann', 'monthly')).toEqual({ spent: 90n, reserved: 5n });
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('a call that was made by older rules is made anew, and holds nothing', async () => {
      await run([put({ scope: 'project', period: 'daily' })]);
      const { windows: _none, ...blind } = hold('key_1', 10n, []);
      const [first, second] = await execute([blind, hold('key_1', 10n, [])]);
      for (const outcome of [first, second]) expect(outcome).toMatchObject({ ok: false, rejection: { code: 'stale_view' } });
      expect(await windowOf('project', 'daily')).toEqual({ spent: 0n, reserved: 0n });
    });

    test('a window admits what fits, says when it resets, and admits again after a reset by hand or by the calendar', async () => {
      await run([put({ scope: 'project', period: 'daily', limit: 100n })]);
      const rules = await rulesNow();
      const first = hold('key_1', 60n, rules);
      const [held, waits] = await execute([first, hold('key_2', 60n, rules)]);
      expect([held?.ok, waits]).toMatchObject([true, { ok: false, rejection: { code: 'held' } }]);
      await run([settle(first, 60n)]);
      const [refused] = await execute([hold('key_3', 41n, rules)]);
      expect(refused).toMatchObject({
        ok: false,
        rejection: {
          code: 'window_exceeded',
          message:
            'the daily budget of project is used up: 0.0000004 of 0.000001 USD left, 0.00000041 needed; it resets at 2024-02-26T00:00:00Z',
          account: { kind: 'window', scope: 'project', limit: 100n, spent: 60n, remaining: 40n, resetsAtMs: Date.parse('2024-02-26') },
        },
      });
      const reset: Command = {
        verb: 'reset-budget-rule',
        id: commands.id('cmd'),
        tenantId: TENANT,
        ruleId: 'project:daily',
        period: 'daily',
        windowTarget: 'project',
        atMs: clock.nowMs(),
      };
      await run([reset]);
      const spanning = hold('key_3', 100n, rules);
      await run([spanning]);
      const [tooMuch] = await execute([hold('key_3', 101n, rules)]);
      expect(tooMuch).toMatchObject({ rejection: { code: 'window_exceeded', account: { limit: 100n, spent: 0n, reserved: 100n } } });

      const reopened = await at.reopen();
      at = reopened;
      clock.set(Date.parse('2024-02-26T00:00:00Z'));
      await run([hold('key_1', 100n, rules)]);
      // A hold stays in the window that it was made in, and settles there.
      await run([settle(spanning, 100n)]);
      expect(await windowOf('project', 'daily')).toEqual({ spent: 0n, reserved: 100n });
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('thresholds are told once in a window, and what a reset put out of account counts no more', async () => {
      await run([put({ scope: 'each_key', period: 'weekly', limit: 100n })]);
      const rules = await rulesNow();
      const spend = async (microcents: bigint): Promise<void> => {
        const call = hold('key_1', microcents, rules);
        await run([call, settle(call, microcents)]);
      };
      for (const amount of [40n, 15n, 5n, 25n]) await spend(amount);
      const told = async (): Promise<unknown[]> =>
        (await at.store.events({ tenantId: TENANT, type: 'window.threshold_crossed', limit: 50 }))
          .map(({ event: { data } }) => (data as { threshold_percent: number }).threshold_percent)
          .toReversed();
      expect(await told()).toEqual([50, 80]);
    });

    test('what a reporter tells of the present window counts in it, also where nobody touched it before; stale judgements are judged anew', async () => {
      const reporter = { id: 'router', secretSealed: 'sealed', previous: null, tenants: [TENANT] };
      await run([
        { verb: 'put-usage-reporter', id: commands.id('cmd'), tenantId: '_system', replace: false, reporter },
        put({ scope: 'each_user', period: 'weekly' }),
      ]);
      const rules = await rulesNow();
      const told = (eventId: string, microcents: bigint, occurredAtMs: number, known: readonly BudgetRule[]): Command => {
        const settled = settle(hold('key_3', microcents, known), microcents);
        if (settled.verb !== 'settle-call' || settled.usage === null || settled.actuals === null)
          throw new Error('a call that was settled');
        const caller = { keyId: 'key_3', memberId: 'bob' };
        const windows = { ...caller, accounts: windowAccounts(TENANT, windowsOf(known, caller), occurredAtMs) };
        const booking = {
          accounts: [moneyOf(TENANT)],
          actuals: settled.actuals,
          usage: { ...settled.usage, id: `report:router:${eventId}`, keyId: 'key_3' },
          ...(known.length === 0 ? {} : { windows }),
        };
        const items = [{ eventId, hash: eventId, occurredAtMs, judgement: { kind: 'book' as const, booking }, body: null }];
        const base = { verb: 'report-usage' as const, id: commands.id('cmd'), tenantId: '_system', reporterId: 'router' };
        return { ...base, nonce: null, nonceKeepMs: 0, items };
      };
      expect((await execute([told('e1', 5n, clock.nowMs(), [])]))[0]).toMatchObject({ rejection: { code: 'stale_view' } });
      await run([told('e1', 5n, clock.nowMs(), rules), told('e2', 7n, clock.nowMs() - HOUR_MS, rules)]);
      // Before the window began: it counts in none that is there.
      await run([told('e3', 9n, windowStartMs('weekly', clock.nowMs()) - 1, rules)]);
      expect(await windowOf('user:bob', 'weekly')).toEqual({ spent: 12n, reserved: 0n });
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('rules of a key and of a member go with them; what was counted on others stays', async () => {
      const scopesOf = (rules: readonly BudgetRule[]): string[] => rules.map(({ id }) => id);
      await run([
        put({ scope: 'key', target: 'key_1', period: 'daily' }),
        put({ scope: 'user', target: 'ann', period: 'daily' }),
        put({ scope: 'project', period: 'daily' }),
      ]);
      const call = hold('key_1', 10n, await rulesNow());
      await run([call, settle(call, 10n), commands.deleteKey(TENANT, 'key_1')]);
      expect(scopesOf(await rulesNow())).toEqual(['user:ann:daily', 'project:daily']);
      await run([{ verb: 'remove-member', id: commands.id('cmd'), tenantId: TENANT, memberId: 'ann' }]);
      expect(scopesOf(await rulesNow())).toEqual(['project:daily']);
      expect(await windowOf('project', 'daily')).toEqual({ spent: 10n, reserved: 0n });
      expect((await rulesNow()).some((rule) => covers(rule, 'key:key_1'))).toBe(false);
    });
  });
}
