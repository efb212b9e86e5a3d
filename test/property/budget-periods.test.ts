import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { periodLengthOf } from '../../src/core/budgets/budget-period.ts';
import { budgetId, TOKENS, type Account, type AccountId, type RolloverPolicy } from '../../src/core/ledger/account.ts';
import type { FundOperation } from '../../src/core/ledger/commands.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeCommands } from '../contract/commands.ts';
import type { TestStore } from '../contract/test-store.ts';
import { makeSqliteStore } from '../contract/sqlite-store.ts';
import { makeManualClock, type ManualClock } from '../support/fakes.ts';
import { debit, fixedLeg, fund, reserve, settleCall } from '../support/ledger-fixtures.ts';
import { MemoryLedger } from '../support/ledger-memory.ts';
import { PeriodModel } from './budget-period-model.ts';
import { runsOf, seedOf } from './runs.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'hold' | 'spend' | 'overspend'; readonly amount: number }
  | { readonly kind: 'commit'; readonly which: number; readonly amount: number }
  | { readonly kind: 'fund'; readonly operation: FundOperation; readonly amount: number };

const amounts = fc.integer({ min: 0, max: 150 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 40 * HOUR_MS }), fc.integer({ min: DAY_MS, max: 400 * DAY_MS })),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('hold' as const, 'spend' as const, 'overspend' as const), amount: amounts }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const), which: fc.nat(5), amount: amounts }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fund' as const),
      operation: fc.constantFrom<FundOperation>('CREDIT', 'DEBIT', 'RESET', 'RESET_SPENT', 'REPAY_DEBT'),
      amount: amounts,
    }),
  },
);

/** From which moment, how long, and what becomes of what is left. */
const budgets = fc.record({
  policy: fc.constantFrom<RolloverPolicy>('NONE', 'CARRY_FORWARD', 'CAP_AT_ALLOCATED'),
  step: fc.oneof(
    fc.record({ months: fc.constantFrom(1, 2, 3, 12) }),
    fc.record({ ms: fc.constantFrom(HOUR_MS, DAY_MS, 7 * DAY_MS, 90 * 60_000) }),
  ),
  day: fc.integer({ min: 0, max: 1500 }),
  minute: fc.integer({ min: 0, max: 1439 }),
  allocated: fc.integer({ min: 0, max: 300 }),
});

/** Runs batches at moments, and shows an account. */
interface Subject {
  run(commands: readonly Command[], nowMs: number): Promise<readonly Outcome<unknown>[]>;
  account(id: AccountId): Promise<Account | undefined>;
}

const shown = (account: Account | undefined): unknown => {
  const { allocated, spent, reserved, debt, budget } = account ?? {};
  return { allocated, spent, held: reserved, owed: debt, start: budget?.periodStartMs, end: budget?.periodEndMs };
};

/** Plays one budget's life against the model; `name` sets it apart from those of other runs. Returns how many periods it has seen. */
async function play(
  subject: Subject,
  budget: typeof budgets extends fc.Arbitrary<infer B> ? B : never,
  script: readonly Step[],
  run: { name: string; fromMs: number },
): Promise<number> {
  const startMs = run.fromMs + budget.day * DAY_MS + budget.minute * 60_000;
  const scope = `tenant:acme/agent:${run.name}`;
  const id = budgetId('acme', scope, TOKENS);
  const model = new PeriodModel({ allocated: BigInt(budget.allocated), policy: budget.policy, step: budget.step, start: startMs });
  // What the model walks to is what a caller would have written.
  if ('months' in budget.step) expect(periodLengthOf(startMs, model.end)).toMatchObject({ months: budget.step.months });
  let nowMs = startMs;
  let commands = 0;
  const named = (prefix: string): string => `${prefix}_${run.name}_${(commands += 1)}`;
  const [made] = await subject.run(
    [
      {
        verb: 'create-budget',
        id: named('cmd'),
        tenantId: 'acme',
        ledgerId: named('ldg'),
        scope,
        unit: TOKENS,
        allocated: BigInt(budget.allocated),
        overdraftLimit: 50n,
        overagePolicy: null,
        rolloverPolicy: budget.policy,
        periodStartMs: startMs,
        periodEndMs: model.end,
        metadata: {},
      },
    ],
    nowMs,
  );
  expect(made).toMatchObject({ ok: true });
  const holds: { id: string; amount: bigint }[] = [];

  for (const step of script) {
    if (step.kind === 'wait') {
      nowMs += step.ms;
      continue;
    }
    model.passTo(nowMs);
    const amount = BigInt(step.kind === 'commit' ? 0 : step.amount);
    const command = commandOf(step);
    if (command === null) continue;
    const [outcome] = await subject.run([command], nowMs);
    const isOk = outcome?.ok === true;
    switch (step.kind) {
      case 'hold':
        expect({ step, isOk }).toEqual({ step, isOk: model.remaining >= amount && !isBlocked() });
        if (isOk) model.remaining -= amount;
        if (isOk) model.held += amount;
        if (isOk) holds.push({ id: (command as { reservationId: string }).reservationId, amount });
        break;
      case 'spend':
        expect({ step, isOk }).toEqual({ step, isOk: model.remaining >= amount });
        if (isOk) model.remaining -= amount;
        if (isOk) model.spent += amount;
        break;
      case 'overspend': {
        const funded = model.remaining > 0n ? (model.remaining < amount ? model.remaining : amount) : 0n;
        const owed = amount - funded;
        expect({ step, isOk }).toEqual({ step, isOk: owed === 0n || model.owed + owed <= 50n });
        if (isOk) [model.remaining, model.spent, model.owed] = [model.remaining - amount, model.spent + funded, model.owed + owed];
        break;
      }
      case 'commit': {
        expect(outcome).toMatchObject({ ok: true });
        const [settled] = holds.splice(step.which % holds.length, 1);
        const actual = BigInt(step.amount);
        // A call is settled by force, whatever period it comes to lie in.
        model.held -= settled?.amount ?? 0n;
        model.remaining += (settled?.amount ?? 0n) - actual;
        model.spent += actual;
        break;
      }
      case 'fund': {
        const isShort = step.operation === 'DEBIT' && model.remaining < amount;
        expect({ step, isOk }).toEqual({ step, isOk: !isShort });
        if (isOk) fundModel(step.operation, amount);
        break;
      }
    }
    const { allocated, spent, held, owed, start, end } = model;
    expect(shown(await subject.account(id))).toEqual({ allocated, spent, held, owed, start, end });
  }
  return model.periods;

  /** A flag of being over the limit does not come up here but by debt beyond it, which an overdraft never makes. */
  function isBlocked(): boolean {
    return model.owed > 50n;
  }

  function fundModel(operation: FundOperation, amount: bigint): void {
    if (operation === 'CREDIT') model.add(amount);
    else if (operation === 'DEBIT') model.add(-amount);
    else if (operation === 'RESET') model.resize(amount);
    else if (operation === 'REPAY_DEBT') {
      const repaid = amount < model.owed ? amount : model.owed;
      model.owed -= repaid;
      model.remaining += repaid;
      model.add(amount - repaid);
    } else {
      model.remaining += model.spent;
      model.spent = 0n;
      model.resize(amount);
    }
  }

  function commandOf(step: Exclude<Step, { kind: 'wait' }>): Command | null {
    const base = { id: named('cmd') };
    switch (step.kind) {
      case 'hold': {
        const reservationId = named('res');
        const legs = [fixedLeg(id, BigInt(step.amount))];
        return reserve({ ...base, reservationId, legs, purpose: 'call', ttlMs: 10_000 * DAY_MS, ownerId: 'run_1' });
      }
      case 'spend':
      case 'overspend': {
        const overagePolicy = step.kind === 'spend' ? 'REJECT' : 'ALLOW_WITH_OVERDRAFT';
        return debit(BigInt(step.amount), { ...base, debitId: named('evt'), accounts: [id], overagePolicy });
      }
      case 'commit': {
        const hold = holds[step.which % Math.max(1, holds.length)];
        if (hold === undefined) return null;
        return settleCall({ tokens: BigInt(step.amount), microcents: 0n }, { ...base, reservationId: hold.id, usage: null });
      }
      case 'fund':
        return fund(step.operation, BigInt(step.amount), { ...base, accountId: id });
    }
  }
}

const scripts = fc.array(steps, { maxLength: 40 });
const FROM_MS = Date.UTC(2024, 0, 1);

describe('budgets with periods live as the second model says', () => {
  test('over a store of maps, whose journal explains every balance', { timeout: 600_000 }, async () => {
    const seed = seedOf();
    let runs = 0;
    let periods = 0;
    const alive = async (budget: Parameters<typeof play>[1], script: readonly Step[]): Promise<void> => {
      const ledger = new MemoryLedger();
      ledger.putTenant('acme', 'ACTIVE');
      const subject: Subject = {
        run: (commands, nowMs) => Promise.resolve(ledger.batch(commands, nowMs).outcomes),
        account: (id) => Promise.resolve(ledger.accounts.get(id)),
      };
      periods += await play(subject, budget, script, { name: `a${(runs += 1)}`, fromMs: FROM_MS });
      for (const account of ledger.accounts.values()) {
        const sums = ledger.entries.reduce(
          (sum, entry) => [sum[0]! + entry.dAllocated, sum[1]! + entry.dSpent, sum[2]! + entry.dReserved, sum[3]! + entry.dDebt],
          [0n, 0n, 0n, 0n],
        );
        expect(sums).toEqual([account.allocated, account.spent, account.reserved, account.debt]);
      }
      // Each period that ended with a line is told once.
      const told = ledger.events.filter(({ type, id }) => type === 'budget.reset_spent' && id.startsWith('evt_period_'));
      expect(new Set(told.map(({ id }) => id)).size).toBe(told.length);
    };
    console.log(`budget periods: seed ${seed}`);
    await fc.assert(fc.asyncProperty(budgets, scripts, alive), { seed, numRuns: runsOf(400) });
    expect(periods).toBeGreaterThan(100);
  });

  describe('over SQLite', () => {
    let opened: TestStore;
    let clock: ManualClock;
    beforeAll(async () => {
      clock = makeManualClock(FROM_MS);
      opened = await makeSqliteStore({ clock });
      await opened.store.execute('batch_0', [makeCommands().createTenant('acme')], 0);
    });
    afterAll(() => opened.destroy());

    test('whose own verification finds nothing', { timeout: 600_000 }, async () => {
      const seed = seedOf();
      let runs = 0;
      let batches = 0;
      const subject: Subject = {
        run: async (commands, nowMs) => {
          clock.set(nowMs);
          return (await opened.store.execute(`batch_${(batches += 1)}`, commands, 0)).outcomes;
        },
        account: async (id) => (await opened.store.accounts([id])).get(id),
      };
      // A store has no way back in time.
      const alive = async (budget: Parameters<typeof play>[1], script: readonly Step[]): Promise<void> =>
        void (await play(subject, budget, script, { name: `a${(runs += 1)}`, fromMs: clock.nowMs() + DAY_MS }));
      console.log(`budget periods on SQLite: seed ${seed}`);
      await fc.assert(fc.asyncProperty(budgets, scripts, alive), { seed, numRuns: runsOf(25) });
      expect((await opened.store.verify()).discrepancies).toEqual([]);
    });
  });
});
