import { describe, expect, test } from 'vitest';
import {
  accountWith,
  allocate,
  codeOf,
  MAX,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  TOKEN_CAP,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, describePrecedence } from '../../../test/support/ledger-precedence.ts';
import type { Account } from './account.ts';
import type { AllocateCommand } from './commands.ts';

function ledgerWith(parts: Partial<Account> | null): MemoryLedger {
  const ledger = new MemoryLedger();
  if (parts !== null) ledger.putAccount(accountWith(TENANT_BUDGET, parts));
  return ledger;
}

describe('a limit that is set', () => {
  test.each<[string, Partial<Account> | null, bigint | null, bigint | null, bigint[]]>([
    ['on no account makes one', null, 50n, 50n, [50n]],
    ['of zero on no account makes one that refuses', null, 0n, 0n, []],
    ['as none on no account makes an unlimited one', null, null, null, []],
    ['higher than before', { allocated: 20n }, 50n, 50n, [30n]],
    ['lower than what is spent and held', { allocated: 20n, spent: 9n, reserved: 9n }, 3n, 3n, [-17n]],
    ['to the same', { allocated: 20n }, 20n, 20n, []],
    ['on an unlimited account', { allocated: null, spent: 9n }, 20n, 20n, [20n]],
    ['of zero on an unlimited account', { allocated: null, spent: 9n }, 0n, 0n, []],
    ['as none takes the whole allocation away', { allocated: 20n, spent: 9n }, null, null, [-20n]],
    ['as none on an unlimited account', { allocated: null }, null, null, []],
    ['to the largest amount', { allocated: 20n }, MAX, MAX, [MAX - 20n]],
  ])('%s', (_what, parts, allocated, expected, entries) => {
    const ledger = ledgerWith(parts);
    const outcome = ledger.run(allocate(allocated), START_MS + 5);
    expect(valueOf(outcome)).toEqual({ allocated: expected === null ? null : `${expected}` });
    const account = ledger.account(TENANT_BUDGET);
    expect(account.allocated).toBe(expected);
    expect([account.spent, account.reserved, account.debt]).toEqual([parts?.spent ?? 0n, parts?.reserved ?? 0n, 0n]);
    expect(ledger.entries).toEqual(
      entries.map((dAllocated) => ({
        accountId: TENANT_BUDGET,
        command: 'cmd_1',
        verb: 'allocate',
        dAllocated,
        dSpent: 0n,
        dReserved: 0n,
        dDebt: 0n,
        atMs: START_MS + 5,
      })),
    );
  });

  test('makes an account of the kind and scope that its id says', () => {
    const ledger = new MemoryLedger();
    ledger.run(allocate(50n, { accountId: TOKEN_CAP }), START_MS);
    expect(ledger.account(TOKEN_CAP)).toEqual(accountWith(TOKEN_CAP, { allocated: 50n }));
  });

  test('can be set, cleared and set again in one batch', () => {
    const ledger = new MemoryLedger();
    ledger.batch([allocate(50n), allocate(null), allocate(7n)], START_MS);
    expect(ledger.account(TENANT_BUDGET).allocated).toBe(7n);
    expect(ledger.entries.map((entry) => entry.dAllocated)).toEqual([50n, -50n, 7n]);
  });

  test.each<[string, Partial<Account>, bigint | null, boolean]>([
    ['clears the flag of an account that owes nothing', { allocated: 10n }, 50n, false],
    ['clears it where the limit stays the same', { allocated: 10n }, 10n, false],
    ['clears it where the limit is taken away', { allocated: 10n }, null, false],
    ['clears it where there was no limit', { allocated: null }, 10n, false],
    ['keeps it where debt is past the overdraft limit', { allocated: 10n, debt: 6n, overdraftLimit: 5n }, 50n, true],
    ['clears it where debt is at the overdraft limit', { allocated: 10n, debt: 5n, overdraftLimit: 5n }, 50n, false],
  ])('%s', (_what, parts, allocated, expected) => {
    const ledger = ledgerWith({ ...parts, isOverLimit: true });
    ledger.run(allocate(allocated), START_MS);
    expect(ledger.account(TENANT_BUDGET).isOverLimit).toBe(expected);
    expect(ledger.account(TENANT_BUDGET).allocated).toBe(allocated);
  });
});

describePrecedence<AllocateCommand>(
  'allocate',
  () => ({ ledger: ledgerWith({ allocated: 10n }), command: allocate(20n), nowMs: START_MS }),
  [
    { code: 'tenant_closed', when: 'the tenant is closed', apply: ({ ledger }) => ledger.putTenant(TENANT, 'CLOSED') },
    {
      code: 'amount_out_of_range',
      when: 'negative',
      apply: (setup) => {
        setup.command = { ...setup.command, allocated: -1n };
      },
    },
    {
      code: 'amount_out_of_range',
      when: 'past 64 bits',
      apply: (setup) => {
        setup.command = { ...setup.command, allocated: MAX + 1n };
      },
    },
    { code: 'budget_frozen', when: 'frozen', apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'FROZEN' }) },
    { code: 'budget_closed', when: 'closed', not: ['frozen'], apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'CLOSED' }) },
  ],
);

test('a suspended tenant can be allocated to', () => {
  const ledger = ledgerWith({ allocated: 10n });
  ledger.putTenant(TENANT, 'SUSPENDED');
  expect(codeOf(ledger.run(allocate(20n), START_MS))).toBe('ok');
});
