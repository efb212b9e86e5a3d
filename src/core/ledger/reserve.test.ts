import { describe, expect, test } from 'vitest';
import {
  accountWith,
  APP_BUDGET,
  balances,
  codeOf,
  CREDITS,
  fixedLeg,
  FLOW_BUDGET,
  idempotent,
  MAX,
  MONEY_BUDGET,
  MONEY_CAP,
  rejectionOf,
  reserve,
  START_MS,
  TENANT,
  TENANT_BUDGET,
  TOKEN_CAP,
  valueOf,
} from '../../../test/support/ledger-fixtures.ts';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { amend, describePrecedence } from '../../../test/support/ledger-precedence.ts';
import type { Tenant } from '../records.ts';
import { INT64_MAX } from '../int64.ts';
import { accountId, budgetId, TOKENS, type Account, type AccountId } from './account.ts';
import type { LegRequest, ReserveCommand } from './commands.ts';
import { legAmount, reserveVerb } from './reserve.ts';

const BALANCE = accountId({ tenantId: TENANT, kind: 'balance', scope: 'tenant:acme', unit: 'EUR_MICROCENTS', period: '' });
const WINDOW = accountId({ tenantId: TENANT, kind: 'window', scope: 'rule:daily', unit: TOKENS, period: '2026-11-22' });
const OTHER_UNIT = budgetId(TENANT, 'tenant:acme', CREDITS);

function ledgerWith(accounts: Readonly<Record<AccountId, Partial<Account>>>): MemoryLedger {
  const ledger = new MemoryLedger();
  for (const [id, parts] of Object.entries(accounts)) ledger.putAccount(accountWith(id as AccountId, parts));
  return ledger;
}

const reservedOn = (ledger: MemoryLedger, ...ids: AccountId[]): bigint[] => ids.map((id) => ledger.account(id).reserved);

/** Makes calls of the tenant depend on its prepaid balance. */
const requireBalance = (ledger: MemoryLedger): void => {
  ledger.putTenant(TENANT, 'ACTIVE');
  const tenant = ledger.tenants.get(TENANT) as Tenant;
  ledger.tenants.set(TENANT, { ...tenant, hasBalance: true, requireBalance: true });
};

describe('a hold that fits', () => {
  test('is taken from every account that covers the subject and starts a reservation', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 100n }, [APP_BUDGET]: { allocated: 50n } });
    const legs = [fixedLeg(TENANT_BUDGET, 30n), fixedLeg(APP_BUDGET, 30n)];
    const command = reserve({ legs, ttlMs: 1500, graceMs: 700, maxExtensions: 3, ownerId: 'run_1', context: { key: 'k' } });

    expect(valueOf(ledger.run(command, START_MS))).toEqual({
      reservationId: 'res_1',
      output: '0',
      legs: [
        { accountId: TENANT_BUDGET, amount: '30' },
        { accountId: APP_BUDGET, amount: '30' },
      ],
      createdAtMs: START_MS,
      expiresAtMs: START_MS + 1500,
    });
    expect(balances(ledger.account(TENANT_BUDGET))).toEqual([100n, 0n, 30n, 0n]);
    expect(balances(ledger.account(APP_BUDGET))).toEqual([50n, 0n, 30n, 0n]);
    expect(ledger.reservation('res_1')).toEqual({
      id: 'res_1',
      tenantId: TENANT,
      purpose: 'budget',
      state: 'ACTIVE',
      legs: [
        { accountId: TENANT_BUDGET, amount: 30n },
        { accountId: APP_BUDGET, amount: 30n },
      ],
      charged: null,
      overagePolicy: 'ALLOW_IF_AVAILABLE',
      createdAtMs: START_MS,
      expiresAtMs: START_MS + 1500,
      graceMs: 700,
      extensions: 0,
      maxExtensions: 3,
      finalizedAtMs: null,
      settledAtMs: null,
      ownerId: 'run_1',
      context: { key: 'k' },
      checkpoint: null,
    });
    const line = { command: 'res_1', verb: 'reserve', dAllocated: 0n, dSpent: 0n, dReserved: 30n, dDebt: 0n, atMs: START_MS };
    expect(ledger.entries).toEqual([
      { accountId: TENANT_BUDGET, ...line },
      { accountId: APP_BUDGET, ...line },
    ]);
  });

  test('skips scopes that have no budget', () => {
    const ledger = ledgerWith({ [APP_BUDGET]: { allocated: 50n } });
    ledger.run(reserve({ legs: [TENANT_BUDGET, APP_BUDGET, FLOW_BUDGET].map((id) => fixedLeg(id, 5n)) }), START_MS);
    expect(ledger.reservation('res_1').legs).toEqual([{ accountId: APP_BUDGET, amount: 5n }]);
    expect([...ledger.accounts.keys()]).toEqual([APP_BUDGET]);
  });

  test('leaves every account as it was where one of them refuses', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 100n }, [APP_BUDGET]: { allocated: 9n } });
    const outcome = ledger.run(reserve({ legs: [TENANT_BUDGET, APP_BUDGET].map((id) => fixedLeg(id, 10n)) }), START_MS);
    expect(rejectionOf(outcome).account?.scope).toBe('tenant:acme/app:bot');
    expect(reservedOn(ledger, TENANT_BUDGET, APP_BUDGET)).toEqual([0n, 0n]);
    expect(ledger.reservations.size).toBe(0);
    expect(ledger.entries).toEqual([]);
  });

  test('of a tenant without a record is not restricted, as is one of an active tenant', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 100n } });
    expect(codeOf(ledger.run(reserve(), START_MS))).toBe('ok');
    ledger.putTenant(TENANT, 'ACTIVE');
    expect(codeOf(ledger.run(reserve({ reservationId: 'res_2' }), START_MS))).toBe('ok');
  });

  test('may cover nothing where the caller does not insist', () => {
    const ledger = new MemoryLedger();
    expect(codeOf(ledger.run(reserve({ mustCover: false }), START_MS))).toBe('ok');
    expect(ledger.reservation('res_1').legs).toEqual([]);
    expect(ledger.entries).toEqual([]);
  });
});

describe('what remains decides', () => {
  test.each<[string, Partial<Account>, bigint, string]>([
    ['one under what remains', { allocated: 10n }, 9n, 'ok'],
    ['all that remains', { allocated: 10n }, 10n, 'ok'],
    ['one over what remains', { allocated: 10n }, 11n, 'budget_exceeded'],
    ['nothing, on an empty budget', { allocated: 0n }, 0n, 'ok'],
    ['nothing, on an overdrawn budget', { allocated: 10n, spent: 11n }, 0n, 'budget_exceeded'],
    ['spend counts against it', { allocated: 10n, spent: 4n }, 7n, 'budget_exceeded'],
    ['holds count against it', { allocated: 10n, reserved: 4n }, 7n, 'budget_exceeded'],
    ['debt counts against it', { allocated: 10n, debt: 4n, overdraftLimit: 5n }, 7n, 'budget_exceeded'],
    ['all that spend, holds and debt leave', { allocated: 10n, spent: 1n, reserved: 2n, debt: 3n, overdraftLimit: 5n }, 4n, 'ok'],
    ['an overdraft limit is no room for holds', { allocated: 10n, overdraftLimit: 5n }, 11n, 'budget_exceeded'],
    ['an unlimited account has room for anything', { allocated: null, spent: 5n }, 1_000_000n, 'ok'],
  ])('%s', (_what, parts, amount, expected) => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: parts });
    expect(codeOf(ledger.run(reserve({ amount }), START_MS))).toBe(expected);
  });

  test('a later command of the same batch sees what an earlier one holds', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 25n } });
    const commands = ['res_1', 'res_2', 'res_3'].map((reservationId) => reserve({ reservationId, amount: 10n }));
    expect(ledger.batch(commands, START_MS).outcomes.map(codeOf)).toEqual(['ok', 'ok', 'budget_exceeded']);
    expect(reservedOn(ledger, TENANT_BUDGET)).toEqual([20n]);
  });

  test('the kind of the account that is short gives the code', () => {
    const codes = [TOKEN_CAP, MONEY_CAP, TENANT_BUDGET, MONEY_BUDGET, WINDOW, BALANCE].map((id) => {
      const ledger = ledgerWith({ [id]: { allocated: 3n } });
      requireBalance(ledger);
      return rejectionOf(ledger.run(reserve({ legs: [fixedLeg(id, 4n)] }), START_MS)).code;
    });
    expect(codes).toEqual(['cap_exceeded', 'budget_exceeded', 'budget_exceeded', 'budget_exceeded', 'window_exceeded', 'balance_empty']);
  });

  test('a refusal tells the limit, what is spent and held, and what is left', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 20n, spent: 6n, reserved: 5n } });
    expect(rejectionOf(ledger.run(reserve({ amount: 10n }), START_MS)).account).toEqual({
      kind: 'budget',
      scope: 'tenant:acme',
      unit: TOKENS,
      limit: 20n,
      spent: 6n,
      reserved: 5n,
      remaining: 9n,
      resetsAtMs: null,
    });
  });
});

describe('debt', () => {
  test.each<[string, Partial<Account>, bigint, string]>([
    ['blocks where there is no overdraft limit', { allocated: 100n, debt: 1n }, 1n, 'debt_outstanding'],
    ['is tolerated below an overdraft limit', { allocated: 100n, debt: 1n, overdraftLimit: 1n }, 1n, 'ok'],
    ['over the limit blocks by the flag', { allocated: 100n, debt: 2n, overdraftLimit: 1n, isOverLimit: true }, 1n, 'over_limit'],
    ['the flag alone blocks', { allocated: 100n, isOverLimit: true }, 0n, 'over_limit'],
  ])('%s', (_what, parts, amount, expected) => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: parts });
    expect(codeOf(ledger.run(reserve({ amount }), START_MS))).toBe(expected);
  });
});

describe('a subject that nothing covers', () => {
  test('is budget_not_found where it has no budget at all', () => {
    expect(codeOf(new MemoryLedger().run(reserve({ otherUnitAccounts: [OTHER_UNIT] }), START_MS))).toBe('budget_not_found');
  });

  test('is unit_mismatch where it has a budget in another unit, and names the units', () => {
    const ledger = ledgerWith({ [OTHER_UNIT]: { allocated: 5n } });
    const rejection = rejectionOf(ledger.run(reserve({ otherUnitAccounts: [OTHER_UNIT] }), START_MS));
    expect(rejection).toMatchObject({ code: 'unit_mismatch', details: { scope: 'tenant:acme', expectedUnits: [CREDITS] } });
  });

  test('is refused for the missing cover before the missing money', () => {
    expect(codeOf(new MemoryLedger().run(reserve({ mustCoverMoney: true }), START_MS))).toBe('budget_not_found');
    const ledger = ledgerWith({ [OTHER_UNIT]: { allocated: 5n } });
    const command = reserve({ mustCoverMoney: true, otherUnitAccounts: [OTHER_UNIT] });
    expect(codeOf(ledger.run(command, START_MS))).toBe('unit_mismatch');
  });

  test('is refused as suspended or closed before the missing cover', () => {
    const ledger = new MemoryLedger();
    ledger.putTenant(TENANT, 'SUSPENDED');
    expect(codeOf(ledger.run(reserve(), START_MS))).toBe('tenant_suspended');
  });

  test('is not looked at in other units where one budget covers', () => {
    const ledger = ledgerWith({ [OTHER_UNIT]: { allocated: 5n }, [APP_BUDGET]: { allocated: 20n } });
    const command = reserve({ legs: [fixedLeg(TENANT_BUDGET, 5n), fixedLeg(APP_BUDGET, 5n)], otherUnitAccounts: [OTHER_UNIT] });
    expect(codeOf(ledger.run(command, START_MS))).toBe('ok');
  });
});

describe('a tenant that demands a money account', () => {
  test.each<[string, Record<string, Partial<Account>>, string]>([
    ['no money account', { [TOKEN_CAP]: { allocated: 100n } }, 'budget_required'],
    ['a money account without a limit', { [TOKEN_CAP]: { allocated: 100n }, [MONEY_CAP]: { allocated: null } }, 'budget_required'],
    ['a money budget of the key', { [TOKEN_CAP]: { allocated: 100n }, [MONEY_CAP]: { allocated: 100n } }, 'ok'],
    ['a money budget of the tenant', { [MONEY_BUDGET]: { allocated: 100n } }, 'ok'],
    ['a prepaid balance that is not required', { [BALANCE]: { allocated: 100n } }, 'budget_required'],
  ])('%s', (_what, accounts, expected) => {
    const ledger = ledgerWith(accounts);
    const legs = [TOKEN_CAP, MONEY_CAP, MONEY_BUDGET, BALANCE].map((id) => fixedLeg(id, 1n));
    expect(codeOf(ledger.run(reserve({ purpose: 'call', legs, mustCover: false, mustCoverMoney: true }), START_MS))).toBe(expected);
  });
});

describe('a prepaid balance', () => {
  const call = (...accounts: AccountId[]) => reserve({ purpose: 'call', legs: accounts.map((id) => fixedLeg(id, 4n)), mustCover: false });

  test('that is required covers a call of a tenant that demands a money account', () => {
    const ledger = ledgerWith({ [BALANCE]: { allocated: 100n } });
    requireBalance(ledger);
    expect(codeOf(ledger.run({ ...call(BALANCE), mustCoverMoney: true }, START_MS))).toBe('ok');
  });

  test('that is not required holds whatever it has, up to what an account can count', () => {
    const ledger = ledgerWith({ [BALANCE]: { allocated: 1n, spent: 9n } });
    expect(codeOf(ledger.run(call(BALANCE), START_MS))).toBe('ok');
    expect(reservedOn(ledger, BALANCE)).toEqual([4n]);
    const full = ledgerWith({ [BALANCE]: { allocated: 1n, reserved: INT64_MAX } });
    expect(codeOf(full.run(call(BALANCE), START_MS))).toBe('amount_out_of_range');
  });

  test('that is required is held by calls that were planned without it, or in another currency, none of which is let through', () => {
    const sek = 'acme|balance|tenant:acme|SEK_MICROCENTS|' as AccountId;
    for (const planned of [call(TOKEN_CAP), call(TOKEN_CAP, sek)]) {
      const ledger = ledgerWith({ [BALANCE]: { allocated: 100n }, [sek]: { allocated: 100n }, [TOKEN_CAP]: { allocated: null } });
      requireBalance(ledger);
      expect(codeOf(ledger.run(planned, START_MS))).toBe('held');
      expect(reservedOn(ledger, TOKEN_CAP)).toEqual([0n]);
    }
  });

  test('is no concern of what Cycles clients hold', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 100n } });
    requireBalance(ledger);
    expect(codeOf(ledger.run(reserve({ amount: 10n }), START_MS))).toBe('ok');
  });
});

describe('legs in several units', () => {
  const tokenLeg = (base: bigint): LegRequest => ({ accountId: TOKEN_CAP, base, perUnit: 1n, divisor: 1n, required: true });
  const moneyLeg = (base: bigint, perUnit: bigint): LegRequest => ({
    accountId: MONEY_BUDGET,
    base,
    perUnit,
    divisor: 10n,
    required: false,
  });

  test('hold tokens on one account and money, rounded up from nano-dollars, on another', () => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: null }, [MONEY_BUDGET]: { allocated: 1_000_000n } });
    // 100 tokens of input at 150 nano-dollars, 7 of output at 601: 19,207 nano-dollars, 1,920.7 micro-cents.
    const command = reserve({ purpose: 'call', legs: [tokenLeg(100n), moneyLeg(15_000n, 601n)], output: { min: 7n, max: 7n } });
    ledger.run(command, START_MS);
    expect(reservedOn(ledger, TOKEN_CAP, MONEY_BUDGET)).toEqual([107n, 1921n]);
  });

  test.each<[bigint, bigint]>([
    [0n, 0n],
    [1n, 1n],
    [9n, 1n],
    [10n, 1n],
    [11n, 2n],
    [20n, 2n],
    [10n * MAX, MAX],
    [10n * MAX - 9n, MAX],
    [10n * MAX + 1n, MAX + 1n],
  ])('%s nano-dollars are held as %s micro-cents', (nanos, microcents) => {
    expect(legAmount(moneyLeg(nanos, 0n), 0n)).toBe(microcents);
  });

  test('a required account that is missing is budget_not_found even where others cover', () => {
    const ledger = ledgerWith({ [MONEY_BUDGET]: { allocated: 1_000_000n } });
    expect(codeOf(ledger.run(reserve({ legs: [tokenLeg(1n), moneyLeg(1n, 1n)] }), START_MS))).toBe('budget_not_found');
  });
});

describe('output that the caller left open', () => {
  const tokens: LegRequest = { accountId: TOKEN_CAP, base: 10n, perUnit: 1n, divisor: 1n, required: false };
  const money: LegRequest = { accountId: MONEY_BUDGET, base: 5n, perUnit: 3n, divisor: 10n, required: false };
  const open = (parts: Partial<ReserveCommand> = {}): ReserveCommand =>
    reserve({ purpose: 'call', legs: [tokens, money], output: { min: 16n, max: 100n }, ...parts });

  test.each<[string, bigint | null, bigint | null, string]>([
    ['all of it fits', 110n, 31n, '100'],
    ['unlimited accounts lower nothing', null, null, '100'],
    ['one token less than all of it', 109n, 31n, '99'],
    ['tokens leave exactly the minimum', 26n, 31n, '16'],
    // ceil((5 + 3 * 98) / 10) = 30, ceil((5 + 3 * 99) / 10) = 31
    ['one micro-cent less', 110n, 30n, '98'],
    ['money leaves exactly the minimum', 110n, 6n, '18'],
    ['the poorest account decides', 40n, 8n, '25'],
  ])('%s', (_what, tokensLeft, moneyLeft, output) => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: tokensLeft }, [MONEY_BUDGET]: { allocated: moneyLeft } });
    expect(valueOf(ledger.run(open(), START_MS))).toMatchObject({ output });
    const held = BigInt(output);
    expect(reservedOn(ledger, TOKEN_CAP, MONEY_BUDGET)).toEqual([10n + held, (5n + 3n * held + 9n) / 10n]);
  });

  test.each<[string, bigint, bigint, string]>([
    ['one token less than the minimum needs', 25n, 31n, 'cap_exceeded'],
    ['one micro-cent less than the minimum needs', 110n, 5n, 'budget_exceeded'],
    ['not even the input fits', 9n, 31n, 'cap_exceeded'],
  ])('is refused where %s', (_what, tokensLeft, moneyLeft, code) => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: tokensLeft }, [MONEY_BUDGET]: { allocated: moneyLeft } });
    expect(codeOf(ledger.run(open(), START_MS))).toBe(code);
  });

  test('a limit that the caller sent is never lowered', () => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: 109n } });
    expect(codeOf(ledger.run(open({ output: { min: 100n, max: 100n } }), START_MS))).toBe('cap_exceeded');
  });

  test('is lowered to what holds in flight leave', () => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: 150n, reserved: 90n } });
    expect(valueOf(ledger.run(open(), START_MS))).toMatchObject({ output: '50' });
  });

  test('costs nothing on an account that output does not touch', () => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: 10n } });
    const command = open({ legs: [{ ...tokens, perUnit: 0n }] });
    expect(valueOf(ledger.run(command, START_MS))).toMatchObject({ output: '100' });
  });
});

describe('a call that only waits for others', () => {
  const call = (amount: bigint, ids: AccountId[] = [TOKEN_CAP]): ReserveCommand =>
    reserve({ purpose: 'call', legs: ids.map((id) => fixedLeg(id, amount)) });

  test.each<[string, Partial<Account>, bigint, string]>([
    ['holds alone are in the way', { allocated: 10n, reserved: 10n }, 1n, 'held'],
    ['it would fit exactly once they end', { allocated: 10n, spent: 4n, reserved: 6n }, 6n, 'held'],
    ['it would not fit even then', { allocated: 10n, spent: 4n, reserved: 6n }, 7n, 'cap_exceeded'],
    ['nothing is held', { allocated: 10n, spent: 10n }, 1n, 'cap_exceeded'],
    ['an overdrawn account refuses for good', { allocated: 10n, spent: 12n, reserved: 3n }, 1n, 'cap_exceeded'],
    ['one overdrawn by its holds alone', { allocated: 10n, spent: 9n, reserved: 3n }, 1n, 'held'],
  ])('%s', (_what, parts, amount, code) => {
    expect(codeOf(ledgerWith({ [TOKEN_CAP]: parts }).run(call(amount), START_MS))).toBe(code);
  });

  test('a Cycles client learns that the budget is exceeded, whoever holds it', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 10n, reserved: 10n } });
    expect(codeOf(ledger.run(reserve({ amount: 1n }), START_MS))).toBe('budget_exceeded');
  });

  test('is refused for good where a later account refuses for good', () => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: 10n, reserved: 10n }, [MONEY_BUDGET]: { allocated: 0n } });
    expect(codeOf(ledger.run(call(1n, [TOKEN_CAP, MONEY_BUDGET]), START_MS))).toBe('budget_exceeded');
  });

  test('names the first of several accounts that are held', () => {
    const ledger = ledgerWith({ [TOKEN_CAP]: { allocated: 10n, reserved: 10n }, [MONEY_BUDGET]: { allocated: 5n, reserved: 5n } });
    const rejection = rejectionOf(ledger.run(call(1n, [MONEY_BUDGET, TOKEN_CAP]), START_MS));
    expect([rejection.code, rejection.account?.scope]).toEqual(['held', 'tenant:acme']);
  });
});

describe('the edges of 64 bits', () => {
  test.each<[string, Partial<Account>, bigint, string]>([
    ['the largest amount fits the largest budget', { allocated: MAX }, MAX, 'ok'],
    ['one more is out of range', { allocated: MAX }, MAX + 1n, 'amount_out_of_range'],
    ['holds together may reach the largest amount', { allocated: null, reserved: 1n }, MAX - 1n, 'ok'],
    ['holds together may not pass it', { allocated: null, reserved: 1n }, MAX, 'amount_out_of_range'],
    ['of a budget that holds already, the largest amount is more than is left', { allocated: MAX, reserved: 1n }, MAX, 'budget_exceeded'],
    ['a negative amount is out of range', { allocated: 5n, reserved: 5n }, -1n, 'amount_out_of_range'],
  ])('%s', (_what, parts, amount, code) => {
    expect(codeOf(ledgerWith({ [TENANT_BUDGET]: parts }).run(reserve({ amount }), START_MS))).toBe(code);
  });

  test('amounts past 2^53 are held to the last digit', () => {
    const amount = 2n ** 53n + 1n;
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: MAX } });
    expect(valueOf(ledger.run(reserve({ amount }), START_MS))).toMatchObject({
      legs: [{ accountId: TENANT_BUDGET, amount: '9007199254740993' }],
    });
    expect(reservedOn(ledger, TENANT_BUDGET)).toEqual([amount]);
  });
});

describe('what a reservation must not be', () => {
  test('one that exists already: a second hold under its id would orphan the first', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 100n } });
    ledger.run(reserve(), START_MS);
    expect(() => ledger.run(reserve({ id: 'cmd_2' }), START_MS)).toThrow('res_1');
    expect(reservedOn(ledger, TENANT_BUDGET)).toEqual([10n]);
  });

  test('two holds on one account: each would be admitted against the same remainder', () => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 10n } });
    const legs = [fixedLeg(TENANT_BUDGET, 10n), fixedLeg(TENANT_BUDGET, 10n)];
    expect(() => ledger.run(reserve({ legs }), START_MS)).toThrow(TENANT_BUDGET);
    expect(reservedOn(ledger, TENANT_BUDGET)).toEqual([0n]);
  });
});

describePrecedence<ReserveCommand>(
  'reserve',
  () => ({
    ledger: ledgerWith({ [TENANT_BUDGET]: { allocated: 100n }, [APP_BUDGET]: { allocated: 100n } }),
    command: reserve(),
    nowMs: START_MS,
  }),
  [
    {
      code: 'idempotency_mismatch',
      when: 'the key was used with another body',
      apply: (setup) => {
        const idempotency = idempotent('reserve', { hash: 'hash-b' });
        setup.ledger.putIdempotency(idempotency.ref, { hash: 'hash-a', answer: 'first', expiresAtMs: START_MS + 1 });
        setup.command = { ...setup.command, idempotency };
      },
    },
    { code: 'tenant_closed', when: 'the tenant is closed', apply: ({ ledger }) => ledger.putTenant(TENANT, 'CLOSED') },
    {
      code: 'tenant_suspended',
      when: 'the tenant is suspended',
      not: ['the tenant is closed'],
      apply: ({ ledger }) => ledger.putTenant(TENANT, 'SUSPENDED'),
    },
    {
      code: 'budget_not_found',
      when: 'a required account is missing',
      apply: (setup) => {
        setup.command = { ...setup.command, legs: [...setup.command.legs, { ...fixedLeg(TOKEN_CAP, 1n), required: true }] };
      },
    },
    {
      code: 'budget_required',
      when: 'money is demanded and none covers',
      apply: (setup) => {
        setup.command = { ...setup.command, mustCoverMoney: true };
      },
    },
    { code: 'budget_frozen', when: 'frozen', apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'FROZEN' }) },
    { code: 'budget_closed', when: 'closed', not: ['frozen'], apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { status: 'CLOSED' }) },
    { code: 'over_limit', when: 'over the limit', apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { isOverLimit: true }) },
    { code: 'debt_outstanding', when: 'in debt without a limit', apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { debt: 1n }) },
    {
      code: 'amount_out_of_range',
      when: 'the amount passes 64 bits',
      apply: (setup) => (setup.command = { ...setup.command, legs: [fixedLeg(TENANT_BUDGET, MAX + 1n)] }),
    },
    { code: 'budget_exceeded', when: 'too little left', apply: ({ ledger }) => amend(ledger, TENANT_BUDGET, { spent: 100n }) },
  ],
);

describe('among several accounts', () => {
  test.each<[string, Partial<Account>, Partial<Account>, string]>([
    ['exceeded before a later frozen', { spent: 100n }, { status: 'FROZEN' }, 'budget_exceeded'],
    ['debt before a later over-limit', { debt: 1n }, { isOverLimit: true }, 'debt_outstanding'],
    ['closed before a later frozen', { status: 'CLOSED' }, { status: 'FROZEN' }, 'budget_closed'],
  ])('the first in the order of the legs answers: %s', (_what, first, second, code) => {
    const ledger = ledgerWith({ [TENANT_BUDGET]: { allocated: 100n, ...first }, [APP_BUDGET]: { allocated: 100n, ...second } });
    const legs = [fixedLeg(TENANT_BUDGET, 10n), fixedLeg(APP_BUDGET, 10n)];
    expect(codeOf(ledger.run(reserve({ legs }), START_MS))).toBe(code);
  });
});

describe('the rows it looks at', () => {
  test('are the accounts of the legs, those in other units, the reservation and its own idempotency key', () => {
    const idempotency = idempotent('reserve');
    const command = reserve({ otherUnitAccounts: [OTHER_UNIT], idempotency });
    expect(reserveVerb.needs(command)).toEqual({
      tenantLock: 'shared',
      accounts: [TENANT_BUDGET, OTHER_UNIT],
      reservations: ['res_1'],
      idempotency: [idempotency.ref],
    });
  });
});
