import { describe, expect, test } from 'vitest';
import {
  accountWith,
  APP_BUDGET,
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
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import type { CommandOrigin } from '../command-origin.ts';
import type { DomainEvent } from '../effects.ts';
import type { Account } from '../ledger/account.ts';
import type { Command } from '../verbs.ts';

const ledgerWith = (...accounts: Account[]): MemoryLedger => {
  const ledger = new MemoryLedger();
  for (const account of accounts) ledger.putAccount(account);
  return ledger;
};

/** The events that follow from what a command changed, beside those of thresholds and the command's own. */
function told(ledger: MemoryLedger, command: Command, nowMs = START_MS): DomainEvent[] {
  const before = ledger.events.length;
  ledger.run({ ...command, id: `cmd_${before}_${ledger.entries.length}` }, nowMs);
  return ledger.events.slice(before).filter(({ id, type }) => /_t\d+$/.test(id) && !type.endsWith('.threshold_crossed'));
}
const typesOf = (events: readonly DomainEvent[]): string[] => events.map(({ type }) => type);

describe('budget.exhausted', () => {
  test('is told when what remains goes from above nothing to nothing, by a hold or a charge, and again only after more was there', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 100n }));
    expect(typesOf(told(ledger, debit(99n)))).toEqual([]);
    expect(typesOf(told(ledger, reserve({ amount: 1n })))).toEqual(['budget.exhausted']);
    expect(typesOf(told(ledger, commit(1n)))).toEqual([]);
    expect(typesOf(told(ledger, fund('CREDIT', 1n)))).toEqual([]);
    const [event] = told(ledger, debit(1n));
    expect(event).toMatchObject({
      type: 'budget.exhausted',
      scope: 'tenant:acme',
      data: {
        scope: 'tenant:acme',
        unit: 'TOKENS',
        threshold: 1,
        utilization: 1,
        direction: 'rising',
        allocated: '101',
        remaining: '0',
        spent: '101',
      },
    });
  });

  test('is told where an overdraft passes by nothing, and where an operator takes away what was left', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 10n, overdraftLimit: 100n }));
    expect(typesOf(told(ledger, debit(15n, { overagePolicy: 'ALLOW_WITH_OVERDRAFT' })))).toEqual([
      'budget.exhausted',
      'budget.debt_incurred',
    ]);
    const other = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 10n, spent: 4n }));
    expect(typesOf(told(other, fund('RESET', 4n)))).toEqual(['budget.exhausted']);
  });

  test('is not told of a budget that begins with nothing, of an unlimited one, or of a key cap', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 0n }), accountWith(TOKEN_CAP, { allocated: 10n }));
    expect(typesOf(told(ledger, debit(0n)))).toEqual([]);
    expect(typesOf(told(ledger, debit(10n, { accounts: [TOKEN_CAP] })))).toEqual([]);
    expect(typesOf(told(ledgerWith(accountWith(TENANT_BUDGET, { allocated: null })), debit(10n)))).toEqual([]);
  });

  test('is told once for each budget of the subject', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 10n }), accountWith(APP_BUDGET, { allocated: 10n }));
    const events = told(ledger, debit(10n, { accounts: [TENANT_BUDGET, APP_BUDGET] }));
    expect(events.map(({ type, scope }) => [type, scope])).toEqual([
      ['budget.exhausted', 'tenant:acme'],
      ['budget.exhausted', 'tenant:acme/app:bot'],
    ]);
  });
});

describe('debt and limits', () => {
  test('each accrual of debt is told with what it added, and what is owed now', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 10n, reserved: 10n, overdraftLimit: 20n }));
    ledger.putReservation(holdOn([TENANT_BUDGET], 10n, { overagePolicy: 'ALLOW_WITH_OVERDRAFT' }));
    const events = told(ledger, commit(15n));
    expect(typesOf(events)).toEqual(['budget.debt_incurred', 'reservation.commit_overage']);
    expect(events[0]?.data).toEqual({
      scope: 'tenant:acme',
      unit: 'TOKENS',
      reservation_id: 'res_1',
      debt_incurred: '5',
      total_debt: '5',
      overdraft_limit: '20',
      overage_policy: 'ALLOW_WITH_OVERDRAFT',
    });
    expect(told(ledger, debit(2n, { overagePolicy: 'ALLOW_WITH_OVERDRAFT' }))[0]?.data).toMatchObject({
      debt_incurred: '2',
      total_debt: '7',
    });
  });

  test('a budget goes over its limit and back, each told once', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 10n, spent: 8n }));
    const entered = told(ledger, debit(5n, { overagePolicy: 'ALLOW_IF_AVAILABLE' }));
    expect(typesOf(entered)).toEqual(['budget.exhausted', 'budget.over_limit_entered']);
    expect(entered[1]?.data).toEqual({ scope: 'tenant:acme', unit: 'TOKENS', debt: '0', overdraft_limit: '0', is_over_limit: true });
    expect(typesOf(told(ledger, debit(5n, { overagePolicy: 'ALLOW_IF_AVAILABLE' })))).toEqual([]);
    const exited = told(ledger, fund('CREDIT', 100n));
    expect(typesOf(exited)).toEqual(['budget.over_limit_exited']);
    expect(exited[0]?.data).toMatchObject({ is_over_limit: false });
    expect(typesOf(told(ledger, fund('CREDIT', 100n)))).toEqual([]);
  });

  test('how much of the limit is owed is told as a ratio', () => {
    const ledger = ledgerWith(
      accountWith(TENANT_BUDGET, { allocated: 10n, spent: 10n, debt: 15n, overdraftLimit: 10n, isOverLimit: true }),
    );
    const [event] = told(ledger, fund('REPAY_DEBT', 10n));
    expect(event).toMatchObject({ type: 'budget.over_limit_exited', data: { debt: '5', overdraft_limit: '10', debt_utilization: 0.5 } });
  });
});

describe('reservations', () => {
  test('a commit above the estimate is told, one at or below it is not', () => {
    for (const [actual, types] of [
      [9n, []],
      [10n, []],
      [11n, ['reservation.commit_overage']],
    ] as const) {
      const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 1000n, reserved: 10n }));
      ledger.putReservation(holdOn([TENANT_BUDGET], 10n, { overagePolicy: 'ALLOW_IF_AVAILABLE' }));
      expect(typesOf(told(ledger, commit(actual)))).toEqual(types);
    }
  });

  test('an overage is told with the deepest scope, and with what was asked where less was charged', () => {
    const ledger = ledgerWith(
      accountWith(TENANT_BUDGET, { allocated: 1000n, reserved: 10n }),
      accountWith(APP_BUDGET, { allocated: 12n, reserved: 10n }),
    );
    ledger.putReservation(holdOn([TENANT_BUDGET, APP_BUDGET], 10n, { overagePolicy: 'ALLOW_IF_AVAILABLE' }));
    const event = told(ledger, commit(15n)).find(({ type }) => type === 'reservation.commit_overage');
    expect(event).toMatchObject({
      scope: 'tenant:acme/app:bot',
      data: {
        reservation_id: 'res_1',
        scope: 'tenant:acme/app:bot',
        unit: 'TOKENS',
        estimated_amount: '10',
        actual_amount: '15',
        overage: '5',
        overage_policy: 'ALLOW_IF_AVAILABLE',
        debt_incurred: '0',
      },
    });
  });

  test('a refused commit tells nothing', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 1000n, reserved: 10n }));
    ledger.putReservation(holdOn([TENANT_BUDGET], 10n, { overagePolicy: 'REJECT' }));
    expect(told(ledger, commit(11n))).toEqual([]);
  });

  test('a call that used more than it held is told, of its budgets alone', () => {
    const ledger = ledgerWith(
      accountWith(TOKEN_CAP, { allocated: 100n, reserved: 10n }),
      accountWith(MONEY_BUDGET, { allocated: 1000n, reserved: 10n }),
    );
    const legs = [TOKEN_CAP, MONEY_BUDGET].map((accountId) => ({ accountId, amount: 10n }));
    ledger.putReservation({ ...holdOn([], 0n), purpose: 'call', legs });
    const events = told(ledger, settleCall({ tokens: 50n, microcents: 12n }));
    expect(typesOf(events)).toEqual(['reservation.commit_overage']);
    expect(events[0]?.data).toMatchObject({ unit: 'USD_MICROCENTS', estimated_amount: '10', actual_amount: '12', overage: '2' });
  });

  test('an expired hold is told once, with all that is known of it', () => {
    const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 1000n, reserved: 10n }));
    ledger.putReservation(holdOn([TENANT_BUDGET], 10n, { extensions: 2 }));
    const events = told(ledger, expire(), START_MS + 65_001);
    expect(events).toMatchObject([
      {
        type: 'reservation.expired',
        tenantId: TENANT,
        scope: 'tenant:acme',
        data: {
          reservation_id: 'res_1',
          scope: 'tenant:acme',
          unit: 'TOKENS',
          estimated_amount: '10',
          ttl_ms: 60_000,
          extensions_used: 2,
          created_at_ms: START_MS,
          expired_at_ms: START_MS + 60_000,
        },
      },
    ]);
    expect(told(ledger, expire(), START_MS + 65_002)).toEqual([]);
  });
});

test('an event names the request that its command came of', () => {
  const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 10n }));
  const origin: CommandOrigin = {
    requestId: 'req_1',
    traceId: 'a'.repeat(32),
    actor: { type: 'api_key', keyId: 'key_1' },
    source: 'cycles-server',
  };
  const command = { ...debit(10n), origin };
  expect(told(ledger, command)[0]?.origin).toEqual(origin);
});

test('a command that is repeated under its idempotency key tells nothing again', () => {
  const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 10n }));
  const idempotency = { ref: { tenantId: TENANT, operation: 'event', target: '', key: 'k' }, hash: 'h', keepMs: 60_000 };
  expect(typesOf(told(ledger, debit(10n, { idempotency })))).toEqual(['budget.exhausted']);
  expect(told(ledger, debit(10n, { idempotency }))).toEqual([]);
  expect(ledger.events.filter(({ type }) => type === 'budget.exhausted')).toHaveLength(1);
});

test('several small lines of one account are looked at together', () => {
  const ledger = ledgerWith(accountWith(TENANT_BUDGET, { allocated: 100n, reserved: 0n }));
  const legs = [TENANT_BUDGET, TENANT_BUDGET].map((accountId) => ({ accountId, amount: 0n }));
  ledger.putReservation({ ...holdOn([], 0n), purpose: 'call', legs });
  ledger.run(settleCall({ tokens: 30n, microcents: 0n }), START_MS);
  expect(ledger.events.filter(({ type }) => type === 'budget.threshold_crossed')).toHaveLength(1);
});
