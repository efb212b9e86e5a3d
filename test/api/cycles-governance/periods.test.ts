import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeRefreshBudgets } from '../../../src/jobs/refresh-budgets.ts';
import { makeGovernance, type Checked, type Governance } from './budget-harness.ts';

let app: Governance;
let count = 0;

beforeAll(async () => {
  app = await makeGovernance();
});
afterAll(() => app.close());

// Tests begin on 2026-04-09, or later: each sets the clock on from there.
const month = { period_start: '2026-04-01T00:00:00Z', period_end: '2026-05-01T00:00:00Z' };
const at = (moment: string): void => app.clock.set(Date.parse(moment));
const newScope = (): string => `tenant:acme/agent:p${(count += 1)}`;
const look = (scope: string): Promise<Checked> =>
  app.ask('lookupBudget', app.operator, 'GET', `/v1/admin/budgets/lookup?scope=${scope}&unit=TOKENS`);
const figuresOf = (answer: Checked): unknown[] => {
  const { allocated, spent, remaining, period_start: start, period_end: end } = answer.body as Record<string, never>;
  return [...[allocated, spent, remaining].map((amount) => (amount as unknown as { amount: number }).amount), start, end];
};

describe('the period of a new budget', () => {
  test.each<[string, object, unknown[]]>([
    ['that holds now is the one that was asked for', month, [month.period_start, month.period_end]],
    [
      'that is over is followed by the one that holds now',
      { period_start: '2026-01-01T00:00:00Z', period_end: '2026-02-01T00:00:00Z' },
      [month.period_start, month.period_end],
    ],
    [
      'that is to come is the one that was asked for',
      { period_start: '2027-01-01T00:00:00Z', period_end: '2027-01-08T00:00:00Z' },
      ['2027-01-01T00:00:00Z', '2027-01-08T00:00:00Z'],
    ],
    ['without a start begins now', { period_end: '2026-04-16T00:00:00Z' }, ['2026-04-09T00:00:00Z', '2026-04-16T00:00:00Z']],
    ['without an end is none', { period_start: '2026-04-01T00:00:00Z' }, ['2026-04-01T00:00:00Z', undefined]],
    [
      'in another zone is the same moment',
      { period_start: '2026-04-01T02:00:00+02:00', period_end: '2026-05-01T02:00:00+02:00' },
      [month.period_start, month.period_end],
    ],
  ])('%s', async (_what, period, expected) => {
    const made = await app.makeBudget(newScope(), { ...period, rollover_policy: 'CARRY_FORWARD' });
    const { period_start: start, period_end: end, allocated, rollover_policy: policy } = made.body as Record<string, never>;
    expect([made.status, start, end]).toEqual([201, ...expected]);
    expect([policy, allocated]).toEqual(['CARRY_FORWARD', { unit: 'TOKENS', amount: 100 }]);
  });

  test('that ended before now, and began nowhere, is refused', async () => {
    const refused = await app.makeBudget(newScope(), { period_end: '2026-04-08T00:00:00Z' });
    expect([refused.status, refused.body]).toEqual([400, expect.objectContaining({ details: { field: 'period_end' } })]);
  });
});

describe('when a period ends', () => {
  test.each<[string, number[], string[]]>([
    ['NONE', [100, 10, 90], ['2026-04-01', '2026-05-01', '2026-06-01']],
    ['CARRY_FORWARD', [160, 10, 150], ['2026-05-01', '2026-06-01', '2026-07-01']],
    ['CAP_AT_ALLOCATED', [100, 10, 90], ['2026-06-01', '2026-07-01', '2026-08-01']],
  ])('by %s, the first who touches the budget meets the next one', async (policy, [allocated, spent, remaining], days) => {
    const [start, end, nextEnd] = days.map((day) => `${day}T00:00:00Z`);
    app.clock.set(Math.max(app.clock.nowMs(), Date.parse(start ?? '')));
    const scope = newScope();
    await app.makeBudget(scope, { period_start: start, period_end: end, rollover_policy: policy });
    await app.spend(scope, 40n);
    const next = { period_start: end, period_end: nextEnd };
    app.clock.set(Date.parse(end ?? ''));
    await app.spend(scope, 10n);
    expect(figuresOf(await look(scope))).toEqual([allocated, spent, remaining, next.period_start, next.period_end]);
    const told = app.eventsOf('budget.reset_spent').filter(({ event }) => event.scope === scope);
    expect(told).toHaveLength(1);
    expect(told[0]?.data).toMatchObject({
      ledger_id: expect.stringMatching(/^ldg_/) as unknown,
      operation: 'RESET_SPENT',
      spent_override_provided: false,
      previous_state: { allocated: 100n, spent: 40n, remaining: 60n },
      new_state: { allocated: BigInt(allocated ?? 0), spent: 0n },
    });
    expect(told[0]?.event.metadata).toEqual({ rollover_policy: policy, ...next });
    expect(told[0]?.event.origin).toBeUndefined();
    expect((await app.store.verify()).discrepancies).toEqual([]);
  });

  test('a funding is one of the new period, and what follows is given what it says', async () => {
    at('2026-07-10T00:00:00Z');
    const scope = newScope();
    await app.makeBudget(scope, {
      period_start: '2026-07-01T00:00:00Z',
      period_end: '2026-08-01T00:00:00Z',
      rollover_policy: 'CARRY_FORWARD',
    });
    await app.spend(scope, 30n);
    at('2026-08-01T00:00:00Z');
    const credit = await app.fund(scope, { operation: 'CREDIT', amount: 50 });
    expect(credit.body).toMatchObject({
      previous_allocated: { amount: 170 },
      new_allocated: { amount: 220 },
      previous_spent: { amount: 0 },
    });
    // 100 and the 50 of the funding are the budget's own; the 70 were carried, and what is left of it is carried on.
    at('2026-09-01T00:00:00Z');
    expect((await app.fund(scope, { operation: 'CREDIT', amount: 0 })).body).toMatchObject({ new_allocated: { amount: 370 } });
    await app.fund(scope, { operation: 'RESET', amount: 80 });
    at('2026-10-01T00:00:00Z');
    expect((await app.fund(scope, { operation: 'CREDIT', amount: 0 })).body).toMatchObject({ new_allocated: { amount: 160 } });
  });

  test('a budget that nobody touches is taken on by the job, once however often it runs and however many periods passed', async () => {
    at('2026-10-05T00:00:00Z');
    const scope = newScope();
    await app.makeBudget(scope, {
      period_start: '2026-10-05T00:00:00Z',
      period_end: '2026-10-12T00:00:00Z',
      rollover_policy: 'CARRY_FORWARD',
    });
    await app.spend(scope, 30n);
    const run = makeRefreshBudgets({ records: app.store, writer: app.writer, ids: app.ids });
    await run();
    expect(figuresOf(await look(scope)).slice(0, 3)).toEqual([100, 30, 70]);
    at('2026-10-30T00:00:00Z');
    // Already before the job comes by, nobody is shown the old period.
    expect(figuresOf(await look(scope))).toEqual([370, 0, 370, '2026-10-26T00:00:00Z', '2026-11-02T00:00:00Z']);
    expect(app.store.tables.accounts.get(`acme|budget|${scope}|TOKENS|` as never)?.spent).toBe(30n);
    await Promise.all([run(), run()]);
    await run();
    expect(figuresOf(await look(scope))).toEqual([370, 0, 370, '2026-10-26T00:00:00Z', '2026-11-02T00:00:00Z']);
    expect(app.eventsOf('budget.reset_spent').filter(({ event }) => event.scope === scope)).toHaveLength(1);
  });

  test('debt stays, and a flag that no debt bears out goes', async () => {
    at('2026-11-02T00:00:00Z');
    const [owing, flagged] = [newScope(), newScope()];
    const week = { period_start: '2026-11-02T00:00:00Z', period_end: '2026-11-09T00:00:00Z' };
    await app.makeBudget(owing, { ...week, overdraft_limit: 50 });
    await app.makeBudget(flagged, week);
    await app.spend(owing, 120n, { overdraft: true });
    await app.spend(flagged, 120n);
    expect((await look(flagged)).body).toMatchObject({ is_over_limit: true });
    at('2026-11-09T00:00:00Z');
    await makeRefreshBudgets({ records: app.store, writer: app.writer, ids: app.ids })();
    expect((await look(owing)).body).toMatchObject({ debt: { amount: 20 }, spent: { amount: 0 }, remaining: { amount: 80 } });
    expect((await look(flagged)).body).toMatchObject({ is_over_limit: false, remaining: { amount: 100 } });
  });

  test('a refusal tells when the budget begins anew', async () => {
    at('2026-12-05T00:00:00Z');
    const scope = newScope();
    await app.makeBudget(scope, { period_start: '2026-12-01T00:00:00Z', period_end: '2027-01-01T00:00:00Z', allocated: 5 });
    const outcome = await app.writer.execute({
      verb: 'debit',
      id: app.ids.next('cmd'),
      tenantId: 'acme',
      debitId: app.ids.next('evt'),
      accounts: [`acme|budget|${scope}|TOKENS|` as never],
      otherUnitAccounts: [],
      amount: 6n,
      overagePolicy: 'REJECT',
    });
    expect(outcome).toMatchObject({ ok: false, rejection: { account: { remaining: 5n, resetsAtMs: Date.parse('2027-01-01T00:00:00Z') } } });
  });
});
