import { describe, expect, test } from 'vitest';
import { accountWith, MAX, TENANT_BUDGET } from '../../../test/support/ledger-fixtures.ts';
import type { Account, BudgetTerms, RolloverPolicy } from '../ledger/account.ts';
import { currentPeriod, inCurrentPeriod, isPeriodOver, periodLengthOf } from './budget-period.ts';

const ms = (text: string): number => Date.parse(text);
const text = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');

const START = ms('2026-01-01T00:00:00Z');
const END = ms('2026-02-01T00:00:00Z');

/** A budget of January 2026 with 100 allocated, 30 of them spent. */
const january = (rolloverPolicy: RolloverPolicy, parts: Partial<Account> = {}, terms: Partial<BudgetTerms> = {}): Account =>
  accountWith(TENANT_BUDGET, {
    allocated: 100n,
    spent: 30n,
    ...parts,
    budget: {
      ledgerId: 'ldg_1',
      metadata: {},
      rolloverPolicy,
      periodStartMs: START,
      periodEndMs: END,
      periodLength: periodLengthOf(START, END),
      updatedAtMs: START,
      ...terms,
    },
  });

describe('the length of a period', () => {
  test.each<[string, string, string, object]>([
    ['from a first to a first is months', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', { months: 1, day: 1, gapMs: 0 }],
    ['over February too', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z', { months: 1, day: 1, gapMs: 0 }],
    ['of a quarter', '2026-01-15T10:30:00Z', '2026-04-15T10:30:00Z', { months: 3, day: 15, gapMs: 0 }],
    ['of a year', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', { months: 12, day: 1, gapMs: 0 }],
    ['from the last day of a long month', '2026-01-31T00:00:00Z', '2026-02-28T00:00:00Z', { months: 1, day: 31, gapMs: 0 }],
    ['to the last second of a month', '2026-01-01T00:00:00Z', '2026-01-31T23:59:59Z', { months: 1, day: 1, gapMs: 1000 }],
    ['to the last millisecond of a month', '2026-01-01T00:00:00Z', '2026-01-31T23:59:59.999Z', { months: 1, day: 1, gapMs: 1 }],
    ['of a week', '2026-01-05T00:00:00Z', '2026-01-12T00:00:00Z', { ms: 7 * 86_400_000, gapMs: 0 }],
    ['to the last second of a week', '2026-01-05T00:00:00Z', '2026-01-11T23:59:59Z', { ms: 7 * 86_400_000, gapMs: 1000 }],
    ['of an hour', '2026-01-05T00:00:00Z', '2026-01-05T01:00:00Z', { ms: 3_600_000, gapMs: 0 }],
    [
      'from one day to another time of it in the next month',
      '2026-01-01T00:00:00Z',
      '2026-02-01T00:00:01Z',
      { ms: 31 * 86_400_000 + 1000, gapMs: 0 },
    ],
  ])('%s', (_what, start, end, expected) => {
    expect(periodLengthOf(ms(start), ms(end))).toEqual(expected);
  });
});

describe('the period of a moment', () => {
  test.each<[string, string, string, string, [string, string, number]]>([
    [
      'is the first until its end',
      '2026-01-01T00:00:00Z',
      '2026-02-01T00:00:00Z',
      '2026-01-31T23:59:59.999Z',
      ['2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', 0],
    ],
    [
      'is the next from its end on',
      '2026-01-01T00:00:00Z',
      '2026-02-01T00:00:00Z',
      '2026-02-01T00:00:00Z',
      ['2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z', 1],
    ],
    [
      'keeps the day of the month over years',
      '2024-01-31T00:00:00Z',
      '2024-02-29T00:00:00Z',
      '2026-03-01T12:00:00Z',
      ['2026-02-28T00:00:00Z', '2026-03-31T00:00:00Z', 25],
    ],
    [
      'keeps the second before the end',
      '2026-01-01T00:00:00Z',
      '2026-01-31T23:59:59Z',
      '2026-02-28T23:59:59Z',
      ['2026-03-01T00:00:00Z', '2026-03-31T23:59:59Z', 2],
    ],
    [
      'of quarters',
      '2026-01-01T00:00:00Z',
      '2026-04-01T00:00:00Z',
      '2026-12-31T00:00:00Z',
      ['2026-10-01T00:00:00Z', '2027-01-01T00:00:00Z', 3],
    ],
    [
      'of weeks',
      '2026-01-05T00:00:00Z',
      '2026-01-12T00:00:00Z',
      '2026-02-02T00:00:00Z',
      ['2026-02-02T00:00:00Z', '2026-02-09T00:00:00Z', 4],
    ],
    [
      'before its start is the first',
      '2026-01-05T00:00:00Z',
      '2026-01-12T00:00:00Z',
      '2020-01-01T00:00:00Z',
      ['2026-01-05T00:00:00Z', '2026-01-12T00:00:00Z', 0],
    ],
  ])('%s', (_what, start, end, now, [from, to, passed]) => {
    const found = currentPeriod(ms(start), periodLengthOf(ms(start), ms(end)), ms(now));
    expect([text(found.startMs), text(found.endMs), found.passed]).toEqual([from, to, passed]);
  });
});

describe('a budget whose period has ended', () => {
  const shown = ({ allocated, spent, reserved, debt, budget }: Account): unknown[] => [
    allocated,
    spent,
    reserved,
    debt,
    budget?.carried ?? '0',
  ];
  const FEB = ms('2026-02-01T00:00:00Z');
  const MAY = ms('2026-05-20T00:00:00Z');
  const held: Partial<Account> = { reserved: 20n, debt: 5n, overdraftLimit: 10n };

  test.each<[string, Account, number, unknown[]]>([
    ['starts anew as it was', january('NONE', held), FEB, [100n, 0n, 20n, 5n, '0']],
    ['however many periods passed', january('NONE', held), MAY, [100n, 0n, 20n, 5n, '0']],
    ['carries what was not spent', january('CARRY_FORWARD'), FEB, [170n, 0n, 0n, 0n, '70']],
    ['remains by its allocation more, holds and debt as they were', january('CARRY_FORWARD', held), FEB, [170n, 0n, 20n, 5n, '70']],
    ['carries on what it carried', january('CARRY_FORWARD', { allocated: 170n }, { carried: '70' }), FEB, [240n, 0n, 0n, 0n, '140']],
    ['carries the whole of periods that passed', january('CARRY_FORWARD'), MAY, [470n, 0n, 0n, 0n, '370']],
    ['carries nothing where all was spent, and no more', january('CARRY_FORWARD', { spent: 130n }), FEB, [100n, 0n, 0n, 0n, '0']],
    ['carries up to what can be counted', january('CARRY_FORWARD', { allocated: MAX, spent: 0n }), FEB, [MAX, 0n, 0n, 0n, '0']],
    ['is capped at what was allocated', january('CAP_AT_ALLOCATED'), FEB, [100n, 0n, 0n, 0n, '0']],
    ['is capped with what is held and owed on top', january('CAP_AT_ALLOCATED', held), FEB, [125n, 0n, 20n, 5n, '25']],
    ['is capped, but carries no more than was left', january('CAP_AT_ALLOCATED', { ...held, spent: 90n }), FEB, [110n, 0n, 20n, 5n, '10']],
    ['is capped after several periods too', january('CAP_AT_ALLOCATED', { ...held, spent: 100n }), MAY, [125n, 0n, 20n, 5n, '25']],
    ['without a limit only counts anew', january('CARRY_FORWARD', { allocated: null }), FEB, [null, 0n, 0n, 0n, '0']],
    ['is left alone until then', january('CARRY_FORWARD', held), FEB - 1, [100n, 30n, 20n, 5n, '0']],
    ['is left alone when it is closed', january('NONE', { status: 'CLOSED' }), MAY, [100n, 30n, 0n, 0n, '0']],
  ])('%s', (_what, account, nowMs, expected) => {
    expect(shown(inCurrentPeriod(account, nowMs))).toEqual(expected);
  });

  test('is in the period that holds the moment, and was changed then', () => {
    const { budget } = inCurrentPeriod(january('NONE'), MAY);
    expect([text(budget?.periodStartMs ?? 0), text(budget?.periodEndMs ?? 0), budget?.updatedAtMs]).toEqual([
      '2026-05-01T00:00:00Z',
      '2026-06-01T00:00:00Z',
      MAY,
    ]);
  });

  test.each<RolloverPolicy>(['NONE', 'CARRY_FORWARD', 'CAP_AT_ALLOCATED'])(
    'comes to the same in one step as period by period (%s)',
    (policy) => {
      const account = january(policy, held);
      let stepwise = account;
      for (const month of ['02', '03', '04', '05']) stepwise = inCurrentPeriod(stepwise, ms(`2026-${month}-01T00:00:00Z`));
      expect(shown(inCurrentPeriod(account, MAY))).toEqual(shown(stepwise));
    },
  );

  test('comes to the same twice', () => {
    const once = inCurrentPeriod(january('CARRY_FORWARD', held), MAY);
    expect(inCurrentPeriod(once, MAY)).toBe(once);
    expect(isPeriodOver(once, MAY)).toBe(false);
  });

  test('is over its limit only by debt', () => {
    expect(inCurrentPeriod(january('NONE', { isOverLimit: true }), FEB).isOverLimit).toBe(false);
    expect(inCurrentPeriod(january('NONE', { debt: 11n, overdraftLimit: 10n }), FEB).isOverLimit).toBe(true);
  });
});
