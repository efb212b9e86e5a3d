import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  BUDGET_SORT_KEYS,
  matchesFilter,
  positionOf,
  sortValueOf,
  type BudgetFilter,
  type BudgetPosition,
  type BudgetSortKey,
} from '../../src/core/budgets/budget-query.ts';
import type { CreateBudgetCommand } from '../../src/core/budgets/commands.ts';
import { conditionsOf } from '../../src/core/cycles/scope.ts';
import { budgetId, TOKENS, USD_MICROCENTS, type Account, type AccountId } from '../../src/core/ledger/account.ts';
import type { DebitCommand } from '../../src/core/ledger/commands.ts';
import type { Command } from '../../src/core/verbs.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const DAY_MS = 86_400_000;
const TENANTS = ['acme', 'acme-two', 'zeta'];
const SCOPES = ['', '/app:bot', '/app:bot/agent:a', '/app:bots', '/agent:a', '/agent:b', '/workspace:eng', '/workspace:eng/agent:a'];

/** Lists of budgets, periods of budgets that nobody touches, and lists of policies. */
export function describeBudgets(makeStore: MakeStore): void {
  let clock: TestClock;
  let at: TestStore;
  let commands: CommandMaker;

  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeStore({ clock });
    commands = makeCommands();
    await execute(...TENANTS.map((tenant) => commands.createTenant(tenant)));
  });
  afterEach(() => at.destroy());

  const execute = async (...batch: Command[]): Promise<void> => {
    const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
    expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
  };
  const create = (tenantId: string, scope: string, parts: Partial<CreateBudgetCommand> = {}): CreateBudgetCommand => ({
    verb: 'create-budget',
    id: commands.id('cmd'),
    tenantId,
    ledgerId: commands.id('ldg'),
    scope: `tenant:${tenantId}${scope}`,
    unit: TOKENS,
    allocated: 100n,
    overdraftLimit: 0n,
    overagePolicy: null,
    rolloverPolicy: 'NONE',
    periodStartMs: null,
    periodEndMs: null,
    metadata: {},
    ...parts,
  });
  const spend = (tenantId: string, account: AccountId, amount: bigint): Command => ({
    verb: 'debit',
    id: commands.id('cmd'),
    tenantId,
    debitId: commands.id('evt'),
    accounts: [account],
    otherUnitAccounts: [],
    amount,
    overagePolicy: 'ALLOW_WITH_OVERDRAFT',
  });

  /** Budgets of every kind, used in every way; with the accounts that lists must not show. */
  async function makeMany(): Promise<Account[]> {
    const random = seededRandom(7);
    const made: AccountId[] = [];
    for (const tenantId of TENANTS) {
      for (const scope of SCOPES) {
        for (const unit of [TOKENS, USD_MICROCENTS, 'CREDITS']) {
          if (random.between(0, 3) === 0) continue;
          const overagePolicy = random.pick([null, 'REJECT', 'ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT'] as const);
          const allocated = BigInt(random.pick([0, 3, 100, 100, 1000]));
          await execute(create(tenantId, scope, { unit, allocated, overagePolicy, overdraftLimit: BigInt(random.pick([0, 50])) }));
          const id = budgetId(tenantId, `tenant:${tenantId}${scope}`, unit);
          made.push(id);
          const overdraws = { ...spend(tenantId, id, BigInt(random.pick([0, 0, 1, 50, 90, 120]))) } as DebitCommand;
          const policy = random.pick(['ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT'] as const);
          // Some are refused, and leave a budget that nothing was spent of.
          await at.store.execute(commands.id('batch'), [{ ...overdraws, overagePolicy: policy }], 0);
          if (random.between(0, 5) === 0) await execute({ verb: 'freeze-budget', id: commands.id('cmd'), tenantId, accountId: id });
          else if (random.between(0, 7) === 0) await execute({ verb: 'close-budget', id: commands.id('cmd'), tenantId, accountId: id });
        }
      }
      await execute(commands.createKey(tenantId, `key_of_${tenantId}`, { maxTokens: 5n }));
    }
    // A money budget without a limit only counts.
    await execute(commands.allocate(budgetId('zeta', 'tenant:zeta/toolset:none', USD_MICROCENTS), null));
    return [...(await at.store.accounts(made)).values()];
  }

  const byNames = (a: readonly (string | number | bigint)[], b: readonly (string | number | bigint)[]): number => {
    const place = a.findIndex((key, index) => key !== b[index]);
    return place === -1 ? 0 : (a[place] as string) < (b[place] as string) ? -1 : 1;
  };

  describe('lists of budgets', () => {
    test('show what the filters mean, each once, in every order and both directions, page by page', { timeout: 120_000 }, async () => {
      const all = await makeMany();
      const filters: BudgetFilter[] = [
        {},
        { tenantId: 'acme' },
        { tenantId: 'acme', scopePrefix: 'tenant:acme/app:bot' },
        { tenantId: 'acme', scopePrefix: 'tenant:acme' },
        { unit: TOKENS },
        { status: 'FROZEN' },
        { status: 'ACTIVE', tenantId: 'acme-two' },
        { status: 'CLOSED' },
        { isOverLimit: true },
        { isOverLimit: false, hasDebt: false, tenantId: 'zeta' },
        { hasDebt: true },
        { utilizationMin: 0.5 },
        { utilizationMin: 0.5, utilizationMax: 0.9 },
        { utilizationMax: 0 },
        { utilizationMin: 0.9, utilizationMax: 1, tenantId: 'acme' },
        { search: 'two' },
        { search: 'agent:a', unit: TOKENS },
        { tenantId: 'acme', scopes: conditionsOf(['agent:a', 'workspace:eng']) },
        { tenantId: 'acme', scopes: conditionsOf(['agent:*']) },
        { tenantId: 'acme', scopes: conditionsOf(['tenant:acme/app:bot/*']) },
        { tenantId: 'acme', scopes: conditionsOf(['tenant:acme/app:bot']) },
      ];
      const shown = (account: Account): string => account.id;
      for (const filter of filters) {
        const meant = all.filter((account) => matchesFilter(account, filter));
        expect(await at.store.countBudgets(filter)).toBe(meant.length);
        for (const sortBy of BUDGET_SORT_KEYS) {
          const keysOf = (account: Account): (string | number | bigint)[] => [
            sortBy === 'debt' ? account.debt : sortValueOf(account, sortBy),
            account.tenantId,
            account.scope,
            account.unit,
          ];
          const rising = meant.toSorted((a, b) => byNames(keysOf(a), keysOf(b))).map(shown);
          for (const descending of [false, true]) {
            const expected = descending ? rising.toReversed() : rising;
            const pages = await readAll({ ...filter, sortBy, descending }, 7);
            expect({ filter, sortBy, descending, pages }).toEqual({ filter, sortBy, descending, pages: expected });
          }
        }
      }
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    async function readAll(query: BudgetFilter & { sortBy: BudgetSortKey; descending: boolean }, limit: number): Promise<string[]> {
      const ids: string[] = [];
      let after: BudgetPosition | null = null;
      for (;;) {
        const page: Account[] = await at.store.budgets({ ...query, after, limit });
        ids.push(...page.map(({ id }) => id));
        const last = page.at(-1);
        if (last === undefined || page.length < limit) return ids;
        // As a cursor carries it.
        after = JSON.parse(JSON.stringify(positionOf(last, query.sortBy))) as BudgetPosition;
      }
    }

    test('follow every change of what is spent', async () => {
      const id = budgetId('acme', 'tenant:acme', TOKENS);
      await execute(create('acme', '', { allocated: 1000n }));
      for (const spent of [1n, 9n, 10n, 480n, 499n, 501n]) {
        await execute(spend('acme', id, spent));
        const [found] = await at.store.budgets({ utilizationMin: 0.5, sortBy: 'utilization', descending: true, after: null, limit: 5 });
        const account = (await at.store.accounts([id])).get(id);
        expect(found?.id ?? null).toBe((account?.spent ?? 0n) >= 500n ? id : null);
      }
    });

    test('keep amounts beyond what a double holds', async () => {
      const owed = 2n ** 62n + 1n;
      const id = budgetId('acme', 'tenant:acme', TOKENS);
      await execute(create('acme', '', { allocated: 0n, overdraftLimit: 2n ** 63n - 1n }), spend('acme', id, owed));
      await execute(create('acme', '/app:a', { allocated: 0n, overdraftLimit: 2n ** 63n - 1n }));
      await execute(spend('acme', budgetId('acme', 'tenant:acme/app:a', TOKENS), owed + 1n));
      expect(await readAll({ hasDebt: true, sortBy: 'debt', descending: true }, 1)).toEqual([
        budgetId('acme', 'tenant:acme/app:a', TOKENS),
        id,
      ]);
    });
  });

  describe('a budget with periods', () => {
    const id = budgetId('acme', 'tenant:acme', TOKENS);
    const daily = (parts: Partial<CreateBudgetCommand> = {}): CreateBudgetCommand =>
      create('acme', '', { periodStartMs: clock.nowMs(), periodEndMs: clock.nowMs() + DAY_MS, ...parts });
    const refresh = async (): Promise<number> => {
      const stale = await at.store.staleBudgets({ limit: 100 });
      await execute(...stale.map((budget): Command => ({ verb: 'refresh-budget', id: commands.id('cmd'), ...budget })));
      return stale.length;
    };
    const stored = async (): Promise<Account | undefined> => (await at.store.accounts([id])).get(id);

    test('is found when its period has ended, and once', async () => {
      const startMs = clock.nowMs();
      await execute(daily({ rolloverPolicy: 'CARRY_FORWARD' }), spend('acme', id, 30n));
      expect(await refresh()).toBe(0);
      clock.set(startMs + DAY_MS - 1);
      expect(await refresh()).toBe(0);
      clock.set(startMs + DAY_MS);
      expect(await refresh()).toBe(1);
      expect(await stored()).toMatchObject({
        allocated: 170n,
        spent: 0n,
        budget: { carried: '70', periodStartMs: startMs + DAY_MS, periodEndMs: startMs + 2 * DAY_MS },
      });
      expect(await refresh()).toBe(0);
      const told = await at.store.events({ tenantId: 'acme', type: 'budget.reset_spent', limit: 10 });
      expect(told.map(({ event }) => [event.data, event.metadata])).toEqual([
        [
          expect.objectContaining({ spent_override_provided: false, scope: 'tenant:acme', operation: 'RESET_SPENT' }),
          expect.objectContaining({ rollover_policy: 'CARRY_FORWARD' }),
        ],
      ]);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('shows no decision what remained of the old period, and its open holds move to the new one', async () => {
      await execute(daily(), spend('acme', id, 60n));
      const hold = commands.hold({ tokens: 1n, purpose: 'budget', ttlMs: 10 * DAY_MS });
      const reserve: Command = { ...hold, mustCover: true, legs: [{ accountId: id, base: 40n, perUnit: 0n, divisor: 1n, required: true }] };
      await execute(reserve);
      clock.set(clock.nowMs() + 3 * DAY_MS);
      // As much as the new period has beside the hold, and not one more.
      const { outcomes } = await at.store.execute(commands.id('batch'), [spendAll(61n), spendAll(60n)], 0);
      expect(outcomes.map((outcome) => outcome.ok)).toEqual([false, true]);
      await execute({
        verb: 'commit',
        id: commands.id('cmd'),
        tenantId: 'acme',
        reservationId: hold.reservationId,
        actual: 40n,
        unit: TOKENS,
      });
      expect(await stored()).toMatchObject({ allocated: 100n, spent: 100n, reserved: 0n });
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });
    const spendAll = (amount: bigint): Command => ({ ...spend('acme', id, amount), overagePolicy: 'REJECT' }) as Command;

    test('ends its period also where the command that notices it is refused', async () => {
      await execute(daily(), spend('acme', id, 60n));
      clock.set(clock.nowMs() + DAY_MS);
      const { outcomes } = await at.store.execute(commands.id('batch'), [spendAll(101n)], 0);
      expect(outcomes[0]).toMatchObject({ ok: false, rejection: { account: { spent: 0n, remaining: 100n } } });
      expect(await stored()).toMatchObject({ spent: 0n });
    });

    test('is left alone once it is closed', async () => {
      await execute(daily(), spend('acme', id, 60n));
      await execute({ verb: 'close-budget', id: commands.id('cmd'), tenantId: 'acme', accountId: id });
      clock.set(clock.nowMs() + DAY_MS);
      expect(await refresh()).toBe(0);
      expect(await stored()).toMatchObject({ spent: 60n, status: 'CLOSED' });
    });

    test('comes back from the disk as it was', async () => {
      await execute(daily({ rolloverPolicy: 'CAP_AT_ALLOCATED', metadata: { team: 'blue' }, overagePolicy: 'REJECT', overdraftLimit: 9n }));
      const before = await stored();
      at = await at.reopen();
      expect(await stored()).toEqual(before);
      expect(before).toMatchObject({ overagePolicy: 'REJECT', overdraftLimit: 9n, budget: { metadata: { team: 'blue' } } });
    });
  });

  test('a budget that a release wrote which did not know how lists sort it is brought up to date', async () => {
    const id = budgetId('acme', 'tenant:acme', TOKENS);
    await execute(create('acme', '', { allocated: 100n }), spend('acme', id, 95n));
    await at.raw(`UPDATE accounts SET used_percent = NULL WHERE scope = 'tenant:acme'`);
    const query = { utilizationMin: 0.9, sortBy: 'utilization', descending: true, after: null, limit: 5 } as const;
    expect(await at.store.budgets(query)).toEqual([]);
    for (const budget of await at.store.staleBudgets({ limit: 5 })) {
      await execute({ verb: 'refresh-budget', id: commands.id('cmd'), ...budget });
    }
    expect((await at.store.budgets(query)).map((account) => account.id)).toEqual([id]);
    expect(await at.store.staleBudgets({ limit: 5 })).toEqual([]);
  });
}
