import { describe, expect, test } from 'vitest';
import {
  accountWith,
  APP_BUDGET,
  balances,
  codeOf,
  commit,
  holdOn,
  idempotent,
  MAX,
  rejectionOf,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, describePrecedence, snapshot } from '../../../test/support/ledger-precedence.ts';
import { USD_MICROCENTS, type Account, type OveragePolicy } from './account.ts';
import type { CommitCommand } from './commands.ts';
import type { Reservation } from './reservation.ts';

const POLICIES: readonly OveragePolicy[] = ['REJECT', 'ALLOW_IF_AVAILABLE', 'ALLOW_WITH_OVERDRAFT'];
const EXPIRES_MS = START_MS + 60_000;
const GRACE_MS = 5000;

/** A hold of `hold` on both budgets, whose own balances (the hold not counted) are `wide` and `narrow`. */
function heldLedger(wide: Partial<Account>, narrow: Partial<Account> | null, hold: bigint, parts: Partial<Reservation> = {}): MemoryLedger {
  const ledger = new MemoryLedger();
  const ids = narrow === null ? [TENANT_BUDGET] : [TENANT_BUDGET, APP_BUDGET];
  ledger.putReservation(holdOn(ids, hold, parts));
  const put = (id: typeof TENANT_BUDGET, own: Partial<Account>): void =>
    ledger.putAccount(accountWith(id, { ...own, reserved: hold + (own.reserved ?? 0n) }));
  put(TENANT_BUDGET, wide);
  if (narrow !== null) put(APP_BUDGET, narrow);
  return ledger;
}

const flags = (ledger: MemoryLedger): boolean[] => [...ledger.accounts.values()].map((account) => account.isOverLimit);

describe('an actual that the hold covers', () => {
  const cases = POLICIES.flatMap((policy) => [
    { policy, actual: 0n, released: '10' },
    { policy, actual: 1n, released: '9' },
    { policy, actual: 9n, released: '1' },
    { policy, actual: 10n, released: '0' },
  ]);

  test.each(cases)('$policy charges $actual of 10 and returns $released', ({ policy, actual, released }) => {
    const ledger = heldLedger({ allocated: 100n, spent: 5n }, { allocated: 10n }, 10n, { overagePolicy: policy });
    expect(valueOf(ledger.run(commit(actual), START_MS + 1))).toMatchObject({ reservationId: 'res_1', charged: `${actual}`, released });
    expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 5n + actual, 0n, 0n]);
    expect(balances(ledger.account(APP_BUDGET))).toEqual([10n, actual, 0n, 0n]);
    expect(flags(ledger)).toEqual([false, false]);
  });

  test('ends the reservation once and for all, with what was charged on each leg', () => {
    const ledger = heldLedger({ allocated: 100n }, { allocated: 100n }, 10n);
    const before = ledger.reservation('res_1');
    ledger.run(commit(7n), START_MS + 42);
    expect(ledger.reservation('res_1')).toEqual({
      ...before,
      state: 'COMMITTED',
      charged: [7n, 7n],
      finalizedAtMs: START_MS + 42,
      settledAtMs: START_MS + 42,
    });
  });

  test('leaves one journal line on each leg', () => {
    const ledger = heldLedger({ allocated: 100n }, { allocated: 100n }, 10n);
    ledger.run(commit(7n), START_MS + 42);
    const line = { command: 'res_1', verb: 'commit', dAllocated: 0n, dSpent: 7n, dReserved: -10n, dDebt: 0n, atMs: START_MS + 42 };
    expect(ledger.entries).toEqual([
      { accountId: TENANT_BUDGET, ...line },
      { accountId: APP_BUDGET, ...line },
    ]);
  });

  test('leaves other holds on the account alone', () => {
    const ledger = heldLedger({ allocated: 100n, reserved: 33n }, null, 10n);
    ledger.run(commit(7n), START_MS);
    expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 7n, 33n, 0n]);
  });

  test.each<[string, Partial<Account>]>([
    ['frozen', { status: 'FROZEN' }],
    ['closed', { status: 'CLOSED' }],
    ['over its limit', { isOverLimit: true }],
    ['in debt', { debt: 5n }],
    ['overdrawn', { allocated: 0n, spent: 50n }],
  ])('goes through on a budget that is %s: the spend has happened', (_what, parts) => {
    const ledger = heldLedger({ allocated: 100n, ...parts }, null, 10n);
    const before = ledger.account(TENANT_BUDGET);
    expect(codeOf(ledger.run(commit(10n), START_MS))).toBe('ok');
    expect(ledger.account(TENANT_BUDGET)).toEqual({ ...before, reserved: 0n, spent: before.spent + 10n });
  });

  test('goes through for a suspended tenant', () => {
    const ledger = heldLedger({ allocated: 100n }, null, 10n);
    ledger.putTenant(TENANT, 'SUSPENDED');
    expect(codeOf(ledger.run(commit(10n), START_MS))).toBe('ok');
  });
});

describe('REJECT above the hold', () => {
  test.each<[string, Partial<Account>]>([
    ['is refused even where the budget has plenty left', { allocated: 1000n }],
    ['is refused where nothing is left', { allocated: 10n }],
    ['is refused on an unlimited account', { allocated: null }],
    ['is refused whatever the overdraft limit', { allocated: 10n, overdraftLimit: 1000n }],
  ])('%s, and the hold stays', (_what, parts) => {
    const ledger = heldLedger(parts, { allocated: 1000n }, 10n, { overagePolicy: 'REJECT' });
    const before = snapshot(ledger);
    expect(codeOf(ledger.run(commit(11n), START_MS))).toBe('budget_exceeded');
    expect(snapshot(ledger)).toEqual(before);
    expect(codeOf(ledger.run(commit(10n), START_MS))).toBe('ok');
  });
});

/** Balances after, in the order of the formula, then the flag. */
type After = readonly [bigint | null, bigint, bigint, bigint, boolean];

interface OverageCase {
  readonly what: string;
  readonly wide: Partial<Account>;
  readonly narrow: Partial<Account>;
  readonly actual: bigint;
  readonly charged: bigint;
  readonly after: readonly [After, After];
}

/** Commits on a hold of 10 on both budgets and compares both afterwards. */
function expectOverage(policy: OveragePolicy, { wide, narrow, actual, charged, after }: OverageCase): void {
  const ledger = heldLedger(wide, narrow, 10n, { overagePolicy: policy });
  expect(valueOf(ledger.run(commit(actual), START_MS))).toMatchObject({ reservationId: 'res_1', charged: `${charged}`, released: '0' });
  const found = [TENANT_BUDGET, APP_BUDGET].map((id) => [...balances(ledger.account(id)), ledger.account(id).isOverLimit]);
  expect(found).toEqual(after);
  expect(ledger.reservation('res_1').charged).toEqual([charged, charged]);
}

describe('ALLOW_IF_AVAILABLE above the hold', () => {
  test.each<OverageCase>([
    {
      what: 'charges all of it where every budget has it',
      wide: { allocated: 100n },
      narrow: { allocated: 15n },
      actual: 15n,
      charged: 15n,
      after: [
        [100n, 15n, 0n, 0n, false],
        [15n, 15n, 0n, 0n, false],
      ],
    },
    {
      what: 'charges what the poorest has left, and flags that one alone',
      wide: { allocated: 100n },
      narrow: { allocated: 14n },
      actual: 15n,
      charged: 14n,
      after: [
        [100n, 14n, 0n, 0n, false],
        [14n, 14n, 0n, 0n, true],
      ],
    },
    {
      what: 'flags every budget that was short, not only the poorest',
      wide: { allocated: 14n },
      narrow: { allocated: 12n },
      actual: 15n,
      charged: 12n,
      after: [
        [14n, 12n, 0n, 0n, true],
        [12n, 12n, 0n, 0n, true],
      ],
    },
    {
      what: 'charges the hold alone where nothing is left',
      wide: { allocated: 10n },
      narrow: { allocated: 100n },
      actual: 11n,
      charged: 10n,
      after: [
        [10n, 10n, 0n, 0n, true],
        [100n, 10n, 0n, 0n, false],
      ],
    },
    {
      what: 'takes an overdrawn budget for an empty one',
      wide: { allocated: 10n, spent: 7n },
      narrow: { allocated: 100n },
      actual: 20n,
      charged: 10n,
      after: [
        [10n, 17n, 0n, 0n, true],
        [100n, 10n, 0n, 0n, false],
      ],
    },
    {
      what: 'owes nothing even where an overdraft limit would let it',
      wide: { allocated: 10n, overdraftLimit: 50n },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 10n,
      after: [
        [10n, 10n, 0n, 0n, true],
        [100n, 10n, 0n, 0n, false],
      ],
    },
    {
      what: 'is not held back by an unlimited account',
      wide: { allocated: null },
      narrow: { allocated: 12n },
      actual: 15n,
      charged: 12n,
      after: [
        [null, 12n, 0n, 0n, false],
        [12n, 12n, 0n, 0n, true],
      ],
    },
    {
      what: 'does not take what other holds have',
      wide: { allocated: 100n, reserved: 88n },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 12n,
      after: [
        [100n, 12n, 88n, 0n, true],
        [100n, 12n, 0n, 0n, false],
      ],
    },
    {
      what: 'keeps a flag that is set already',
      wide: { allocated: 100n, isOverLimit: true },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 15n,
      after: [
        [100n, 15n, 0n, 0n, true],
        [100n, 15n, 0n, 0n, false],
      ],
    },
  ])('$what', (each) => expectOverage('ALLOW_IF_AVAILABLE', each));
});

describe('ALLOW_WITH_OVERDRAFT above the hold', () => {
  test.each<OverageCase>([
    {
      what: 'owes nothing where the budgets can pay',
      wide: { allocated: 15n, overdraftLimit: 50n },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 15n,
      after: [
        [15n, 15n, 0n, 0n, false],
        [100n, 15n, 0n, 0n, false],
      ],
    },
    {
      what: 'owes the unfunded part alone, and only where it is unfunded',
      wide: { allocated: 12n, overdraftLimit: 50n },
      narrow: { allocated: 100n, overdraftLimit: 50n },
      actual: 15n,
      charged: 15n,
      after: [
        [12n, 12n, 0n, 3n, false],
        [100n, 15n, 0n, 0n, false],
      ],
    },
    {
      what: 'may owe up to the limit exactly, which is not over it',
      wide: { allocated: 10n, overdraftLimit: 5n },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 15n,
      after: [
        [10n, 10n, 0n, 5n, false],
        [100n, 15n, 0n, 0n, false],
      ],
    },
    {
      what: 'adds to debt that is there',
      wide: { allocated: 13n, debt: 3n, overdraftLimit: 8n },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 15n,
      after: [
        [13n, 10n, 0n, 8n, false],
        [100n, 15n, 0n, 0n, false],
      ],
    },
    {
      what: 'takes an overdrawn budget for an empty one, and does not owe its past again',
      wide: { allocated: 10n, spent: 7n, overdraftLimit: 5n },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 15n,
      after: [
        [10n, 17n, 0n, 5n, false],
        [100n, 15n, 0n, 0n, false],
      ],
    },
    {
      what: 'is capped by a budget without a limit, which is flagged; the others owe only for the capped part',
      wide: { allocated: 12n, overdraftLimit: 50n },
      narrow: { allocated: 14n },
      actual: 20n,
      charged: 14n,
      after: [
        [12n, 12n, 0n, 2n, false],
        [14n, 14n, 0n, 0n, true],
      ],
    },
    {
      what: 'without any limit is the same as ALLOW_IF_AVAILABLE',
      wide: { allocated: 14n },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 14n,
      after: [
        [14n, 14n, 0n, 0n, true],
        [100n, 14n, 0n, 0n, false],
      ],
    },
    {
      what: 'an unlimited account never owes',
      wide: { allocated: null, overdraftLimit: 5n },
      narrow: { allocated: 100n },
      actual: 90n,
      charged: 90n,
      after: [
        [null, 90n, 0n, 0n, false],
        [100n, 90n, 0n, 0n, false],
      ],
    },
    {
      what: 'debt that is past a lowered limit does not refuse what is funded',
      wide: { allocated: 100n, debt: 9n, overdraftLimit: 5n, isOverLimit: true },
      narrow: { allocated: 100n },
      actual: 15n,
      charged: 15n,
      after: [
        [100n, 15n, 0n, 9n, true],
        [100n, 15n, 0n, 0n, false],
      ],
    },
  ])('$what', (each) => expectOverage('ALLOW_WITH_OVERDRAFT', each));

  test.each<[string, Partial<Account>, Partial<Account>, string]>([
    ['one over the limit', { allocated: 10n, overdraftLimit: 4n }, { allocated: 100n }, 'tenant:acme'],
    ['one over it with debt that is there', { allocated: 13n, debt: 3n, overdraftLimit: 7n }, { allocated: 100n }, 'tenant:acme'],
    ['the second budget is over it', { allocated: 100n }, { allocated: 10n, overdraftLimit: 4n }, 'tenant:acme/app:bot'],
  ])('is refused without any change: %s', (_what, wide, narrow, scope) => {
    const ledger = heldLedger(wide, narrow, 10n, { overagePolicy: 'ALLOW_WITH_OVERDRAFT' });
    const before = snapshot(ledger);
    const rejection = rejectionOf(ledger.run(commit(15n), START_MS));
    expect([rejection.code, rejection.account?.scope]).toEqual(['over_limit', scope]);
    expect(snapshot(ledger)).toEqual(before);
  });
});

describe('time and grace', () => {
  test.each<[string, number, string]>([
    ['one before the end of the grace', GRACE_MS - 1, 'ok'],
    ['at the end of the grace', GRACE_MS, 'ok'],
    ['one after the end of the grace', GRACE_MS + 1, 'reservation_expired'],
  ])('%s, swept or not', (_what, afterExpiryMs, expected) => {
    const ledger = heldLedger({ allocated: 100n }, null, 10n);
    expect(codeOf(ledger.run(commit(1n), EXPIRES_MS + afterExpiryMs))).toBe(expected);
    const swept = heldLedger({ allocated: 100n }, null, 10n, { state: 'EXPIRED', finalizedAtMs: EXPIRES_MS + GRACE_MS + 1 });
    expect(codeOf(swept.run(commit(1n), EXPIRES_MS + afterExpiryMs))).toBe('reservation_expired');
  });

  test('without grace the last moment is the expiry itself', () => {
    const at = (nowMs: number): string => codeOf(heldLedger({ allocated: 100n }, null, 10n, { graceMs: 0 }).run(commit(1n), nowMs));
    expect([at(EXPIRES_MS), at(EXPIRES_MS + 1)]).toEqual(['ok', 'reservation_expired']);
  });
});

describe('a reservation settles once', () => {
  test.each(['COMMITTED', 'RELEASED'] as const)('one that is %s is finalized, however late', (state) => {
    const parts: Partial<Reservation> = { state, charged: [0n], finalizedAtMs: START_MS, settledAtMs: START_MS };
    const ledger = heldLedger({ allocated: 100n }, null, 10n, parts);
    expect(codeOf(ledger.run(commit(1n), START_MS))).toBe('reservation_finalized');
    expect(codeOf(ledger.run(commit(1n), EXPIRES_MS + GRACE_MS + 1))).toBe('reservation_finalized');
    expect(ledger.entries).toEqual([]);
  });

  test('the same key and body get the first answer again, another key is finalized', () => {
    const ledger = heldLedger({ allocated: 100n }, null, 10n);
    const idempotency = idempotent('commit', { target: 'res_1' });
    const first = ledger.run(commit(7n, { idempotency }), START_MS);
    const after = snapshot(ledger);
    expect(ledger.run(commit(7n, { idempotency }), START_MS + 1)).toEqual(first);
    expect(codeOf(ledger.run(commit(7n, { idempotency: idempotent('commit', { target: 'res_1', key: 'other' }) }), START_MS + 1))).toBe(
      'reservation_finalized',
    );
    expect(snapshot(ledger)).toEqual(after);
  });

  test('two commits in one batch: the second is finalized', () => {
    const ledger = heldLedger({ allocated: 100n }, null, 10n);
    expect(ledger.batch([commit(7n), commit(7n)], START_MS).outcomes.map(codeOf)).toEqual(['ok', 'reservation_finalized']);
    expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 7n, 0n, 0n]);
  });
});

describe('only a Cycles reservation of the tenant can be committed', () => {
  test.each<[string, Partial<Reservation>, string]>([
    ['another tenant', { tenantId: 'other' }, 'forbidden'],
    ['a gateway call, whose spend nobody may understate', { purpose: 'call' }, 'reservation_not_found'],
  ])('not that of %s', (_what, parts, code) => {
    const ledger = heldLedger({ allocated: 100n }, null, 10n, parts);
    const before = snapshot(ledger);
    expect(codeOf(ledger.run(commit(0n), START_MS))).toBe(code);
    expect(snapshot(ledger)).toEqual(before);
  });

  test('not one that does not exist', () => {
    expect(codeOf(new MemoryLedger().run(commit(0n), START_MS))).toBe('reservation_not_found');
  });
});

describe('the edges of 64 bits', () => {
  test.each<[string, Partial<Account>, bigint, OveragePolicy, string]>([
    ['a negative actual', { allocated: 100n }, -1n, 'ALLOW_IF_AVAILABLE', 'amount_out_of_range'],
    ['one past the largest actual', { allocated: null }, MAX + 1n, 'ALLOW_IF_AVAILABLE', 'amount_out_of_range'],
    ['the largest actual', { allocated: null }, MAX, 'ALLOW_IF_AVAILABLE', 'ok'],
    ['the largest actual is capped to what is there', { allocated: 100n, spent: 50n }, MAX, 'ALLOW_IF_AVAILABLE', 'ok'],
    ['spend that reaches the largest amount', { allocated: null, spent: 5n }, MAX - 5n, 'ALLOW_IF_AVAILABLE', 'ok'],
    ['spend that would pass the largest amount', { allocated: null, spent: 6n }, MAX - 5n, 'ALLOW_IF_AVAILABLE', 'amount_out_of_range'],
    ['within the hold, spend that would pass it', { allocated: 0n, spent: MAX - 4n }, 5n, 'REJECT', 'amount_out_of_range'],
    ['the largest debt', { allocated: 10n, overdraftLimit: MAX }, MAX, 'ALLOW_WITH_OVERDRAFT', 'ok'],
    ['debt past the largest limit', { allocated: 11n, debt: 1n, overdraftLimit: 2n }, MAX, 'ALLOW_WITH_OVERDRAFT', 'over_limit'],
    ['REJECT refuses the overage first', { allocated: null, spent: 6n }, MAX - 5n, 'REJECT', 'budget_exceeded'],
  ])('%s', (_what, parts, actual, overagePolicy, expected) => {
    const ledger = heldLedger(parts, null, 10n, { overagePolicy });
    expect(codeOf(ledger.run(commit(actual), START_MS))).toBe(expected);
  });
});

describePrecedence<CommitCommand>(
  'commit',
  () => ({
    ledger: heldLedger({ allocated: 100n }, { allocated: 100n, overdraftLimit: 1n }, 10n, { overagePolicy: 'ALLOW_WITH_OVERDRAFT' }),
    command: commit(12n),
    nowMs: START_MS,
  }),
  [
    {
      code: 'idempotency_mismatch',
      when: 'the key was used with another body',
      apply: (setup) => {
        const idempotency = idempotent('commit', { hash: 'hash-b' });
        setup.ledger.putIdempotency(idempotency.ref, { hash: 'hash-a', answer: 'first', expiresAtMs: START_MS + 1_000_000 });
        setup.command = { ...setup.command, idempotency };
      },
    },
    {
      code: 'forbidden',
      when: 'another tenant holds it',
      apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), tenantId: 'other' }),
    },
    { code: 'tenant_closed', when: 'the tenant is closed', apply: ({ ledger }) => ledger.putTenant(TENANT, 'CLOSED') },
    {
      code: 'reservation_expired',
      when: 'it has expired',
      not: ['it is released'],
      apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), state: 'EXPIRED' }),
    },
    {
      code: 'reservation_finalized',
      when: 'it is released',
      not: ['it has expired'],
      apply: ({ ledger }) => ledger.putReservation({ ...ledger.reservation('res_1'), state: 'RELEASED' }),
    },
    {
      code: 'unit_mismatch',
      when: 'the actual is in another unit',
      apply: (setup) => {
        setup.command = { ...setup.command, unit: USD_MICROCENTS };
      },
    },
    {
      code: 'reservation_expired',
      when: 'past expiry and grace, not swept yet',
      apply: (setup) => {
        setup.nowMs = EXPIRES_MS + GRACE_MS + 1;
      },
    },
    {
      code: 'amount_out_of_range',
      when: 'the actual is past 64 bits',
      apply: (setup) => {
        setup.command = { ...setup.command, actual: MAX + 1n };
      },
    },
    {
      code: 'over_limit',
      when: 'the overdraft would pass its limit',
      apply: ({ ledger }) => amend(ledger, APP_BUDGET, { allocated: 10n }),
    },
  ],
);
