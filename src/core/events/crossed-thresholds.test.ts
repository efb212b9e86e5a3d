import { describe, expect, test } from 'vitest';
import {
  accountWith,
  allocate,
  commit,
  debit,
  expire,
  fund,
  holdOn,
  MONEY_BUDGET,
  reserve,
  settleCall,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  TOKEN_CAP,
} from '../../../test/support/ledger-fixtures.ts';
import type { DomainEvent } from '../effects.ts';
import type { Tenant } from '../records.ts';
import { runBatch } from '../run-batch.ts';
import type { Command } from '../verbs.ts';
import { WorkingSet } from '../working-set.ts';
import { accountId, type Account } from '../ledger/account.ts';
import { THRESHOLD_AMOUNTS, THRESHOLD_EVENT_TYPES, thresholdEvents } from './crossed-thresholds.ts';

const MAX = 2n ** 63n - 1n;

const rowsWith = (...accounts: Account[]): WorkingSet => {
  const rows = new WorkingSet();
  rows.putRecord('tenant', TENANT, undefined);
  for (const account of accounts) rows.putAccount(account.id, account);
  rows.putReservation('res_1', undefined);
  return rows;
};

/** The thresholds that commands told of, one list for each command. */
function told(rows: WorkingSet, ...commands: Command[]): number[][] {
  return commands.map((command, index) => {
    const before = rows.changes().events.length;
    const [outcome] = runBatch(rows, [{ ...command, id: `cmd_${index}` }], START_MS);
    expect(outcome?.ok).toBe(true);
    return rows.changes().events.slice(before).filter(isThreshold).map(percentOf);
  });
}

const isThreshold = ({ type }: DomainEvent): boolean => Object.values(THRESHOLD_EVENT_TYPES).includes(type);
/** The percents of an event, negative where the use of a budget fell below it. */
const percentOf = (event: DomainEvent): number => {
  const { threshold_percent: percent, direction } = event.data as { threshold_percent: number; direction?: string };
  return direction === 'falling' ? -percent : percent;
};

describe('how many thresholds an account has reached', () => {
  test.each<[string, bigint | null, bigint, number]>([
    ['nothing spent', 100n, 0n, 0],
    ['just below a half', 100n, 49n, 0],
    ['half', 100n, 50n, 1],
    ['just below 80 %', 100n, 79n, 1],
    ['80 %', 100n, 80n, 2],
    ['95 %', 100n, 95n, 3],
    ['just below all', 100n, 99n, 3],
    ['all', 100n, 100n, 4],
    ['more than all', 100n, 101n, 4],
    ['a share between two numbers, below', 3n, 1n, 0],
    ['a share between two numbers, above', 3n, 2n, 1],
    ['80 % of an odd limit, rounded against nobody', 7n, 5n, 1],
    ['no limit', null, 1000n, 0],
    ['a limit of nothing, nothing spent', 0n, 0n, 0],
    ['a limit of nothing, something spent', 0n, 1n, 4],
    ['the largest limit, one below its half', MAX, MAX / 2n, 0],
    ['the largest limit, its half', MAX, MAX / 2n + 1n, 1],
    ['the largest limit, all of it', MAX, MAX, 4],
  ])('%s', (_what, allocated, spent, reached) => {
    const account = accountWith(TOKEN_CAP, { allocated, spent });
    expect(thresholdEvents(account, undefined)).toHaveLength(reached);
  });
});

describe('a command tells of each threshold that it makes an account pass', () => {
  const budget = (parts: Partial<Account> = {}): WorkingSet => rowsWith(accountWith(TENANT_BUDGET, { allocated: 100n, ...parts }));

  test('once, as spending goes on', () => {
    expect(told(budget(), debit(49n), debit(1n), debit(29n), debit(1n), debit(15n), debit(4n), debit(1n))).toEqual([
      [],
      [50],
      [],
      [80],
      [95],
      [],
      [100],
    ]);
  });

  test('several at once, lowest first', () => {
    expect(told(budget(), debit(96n), debit(4n))).toEqual([[50, 80, 95], [100]]);
  });

  test('of a budget also of what is held, both ways; of a cap only of what is spent', () => {
    const rows = rowsWith(accountWith(TENANT_BUDGET, { allocated: 100n }));
    expect(told(rows, reserve({ amount: 100n }), commit(60n))).toEqual([
      [50, 80, 95, 100],
      [-100, -95, -80],
    ]);
    const held = rowsWith(accountWith(TENANT_BUDGET, { allocated: 100n, spent: 49n, reserved: 40n }));
    held.putReservation('res_1', holdOn([TENANT_BUDGET], 40n, { expiresAtMs: START_MS - 10_000 }));
    expect(told(held, expire())).toEqual([[-80, -50]]);
    const cap = rowsWith(accountWith(TOKEN_CAP, { allocated: 100n, spent: 49n, reserved: 40n }));
    cap.putReservation('res_1', holdOn([TOKEN_CAP], 40n, { expiresAtMs: START_MS - 10_000 }));
    expect(told(cap, expire())).toEqual([[]]);
  });

  test('at the further shares that the tenant’s subscriptions ask for, of budgets alone', () => {
    const rows = budget();
    rows.putRecord('tenant', TENANT, { id: TENANT, status: 'ACTIVE', utilizationThresholds: [0.3, 0.805] } as unknown as Tenant);
    expect(told(rows, debit(29n), debit(1n), debit(51n))).toEqual([[], [30], [50, 80, 80.5]]);
  });

  test('when a lower limit puts it below what is spent, only those not told yet', () => {
    expect(told(budget(), debit(60n), allocate(75n), allocate(60n))).toEqual([[50], [80], [95, 100]]);
  });

  test('and again only after a higher limit or a reset has put the share below it', () => {
    const rows = budget();
    expect(told(rows, debit(85n), allocate(100n), debit(1n), allocate(200n), debit(74n), fund('RESET_SPENT', 100n), debit(50n))).toEqual([
      [50, 80],
      [],
      [],
      [-80, -50],
      [50, 80],
      [-80, -50],
      [50],
    ]);
  });

  test('not when a limit is raised and stays reached, and not when a reset leaves it reached', () => {
    expect(told(budget(), debit(90n), allocate(101n), fund('RESET_SPENT', 100n, { spent: 90n }), fund('CREDIT', 10n))).toEqual([
      [50, 80],
      [],
      [],
      [],
    ]);
  });

  test('when a limit is set on what was unlimited, and never while there is none', () => {
    expect(told(budget({ allocated: null, spent: 1000n }), allocate(1000n), allocate(null), allocate(2000n))).toEqual([
      [50, 80, 95, 100],
      [],
      [50],
    ]);
  });

  test('looking at a command as a whole: no limit that it only passes through tells anything', () => {
    // Limiting what was unlimited goes by way of a limit of 0.
    expect(told(budget({ allocated: null, spent: 10n }), allocate(1000n))).toEqual([[]]);
  });

  test('for every account of a call by itself: the key’s cap and the tenant’s money', () => {
    const rows = rowsWith(
      accountWith(TOKEN_CAP, { allocated: 100n, reserved: 10n, spent: 45n }),
      accountWith(MONEY_BUDGET, { allocated: 1000n, reserved: 10n, spent: 700n }),
    );
    const legs = [TOKEN_CAP, MONEY_BUDGET].map((accountId) => ({ accountId, amount: 10n }));
    rows.putReservation('res_1', { ...holdOn([], 0n), purpose: 'call', legs });
    runBatch(rows, [settleCall({ tokens: 5n, microcents: 100n })], START_MS + 7);
    expect(rows.changes().events.filter(isThreshold)).toEqual([
      {
        id: 'evt_cmd_1_t1',
        type: 'api_key.threshold_crossed',
        tenantId: TENANT,
        scope: 'key:key_1',
        atMs: START_MS + 7,
        data: {
          tenant_id: TENANT,
          key_id: 'key_1',
          kind: 'key_cap',
          scope: 'key:key_1',
          unit: 'TOKENS',
          threshold_percent: 50,
          limit: '100',
          spent: '50',
          reserved: '0',
          remaining: '50',
        },
      },
      {
        id: 'evt_cmd_1_t2',
        type: 'budget.threshold_crossed',
        tenantId: TENANT,
        scope: 'tenant:acme',
        atMs: START_MS + 7,
        data: {
          tenant_id: TENANT,
          kind: 'budget',
          scope: 'tenant:acme',
          unit: 'USD_MICROCENTS',
          threshold_percent: 80,
          limit: '1000',
          spent: '800',
          reserved: '0',
          remaining: '200',
          threshold: 0.8,
          utilization: 0.8,
          allocated: '1000',
          direction: 'rising',
        },
      },
    ]);
  });

  test('in each period of a window anew, naming the period', () => {
    const window = (period: string) => accountId({ tenantId: TENANT, kind: 'window', scope: 'key:key_1', unit: 'TOKENS', period });
    const [october, november] = [window('2026-10'), window('2026-11')];
    const rows = rowsWith(accountWith(october, { allocated: 10n }), accountWith(november, { allocated: 10n }));
    expect(told(rows, debit(5n, { accounts: [october] }), debit(5n, { accounts: [november] }), debit(1n, { accounts: [october] }))).toEqual(
      [[50], [50], []],
    );
    expect(rows.changes().events.map(({ type, data }) => [type, (data as { period: string }).period])).toEqual([
      ['window.threshold_crossed', '2026-10'],
      ['window.threshold_crossed', '2026-11'],
    ]);
  });

  test('not where it is refused', () => {
    const rows = budget();
    expect(runBatch(rows, [debit(101n, { overagePolicy: 'REJECT' })], START_MS)[0]?.ok).toBe(false);
    expect(rows.changes().events).toEqual([]);
  });

  test('with exact amounts, however large', () => {
    const rows = budget({ allocated: MAX });
    told(rows, debit(MAX));
    expect(rows.changes().events.at(-1)?.data).toMatchObject({ limit: `${MAX}`, spent: `${MAX}`, remaining: '0' });
  });
});

test('every kind of account has a type of its own, and every amount is a field of the event', () => {
  expect(new Set(Object.values(THRESHOLD_EVENT_TYPES)).size).toBe(4);
  const rows = rowsWith(accountWith(TENANT_BUDGET, { allocated: 1n }));
  told(rows, debit(1n));
  for (const name of THRESHOLD_AMOUNTS) expect(rows.changes().events[0]?.data).toHaveProperty(name, expect.stringMatching(/^-?\d+$/));
});
