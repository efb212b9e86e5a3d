import { afterEach, beforeEach, expect, test } from 'vitest';
import { balanceId, unspentOf } from '../../src/core/balance/balance-account.ts';
import type { CreditBalanceCommand } from '../../src/core/balance/commands.ts';
import type { UpdateTenantCommand } from '../../src/core/access/commands.ts';
import { callLegs } from '../../src/core/calls/call-hold.ts';
import { writeCallContext, type CallContext } from '../../src/core/calls/call-context.ts';
import { settlementOf } from '../../src/core/calls/settlement.ts';
import type { Account } from '../../src/core/ledger/account.ts';
import type { SettleCallCommand } from '../../src/core/ledger/commands.ts';
import { dueMicrocents } from '../../src/core/pricing/currency.ts';
import { makeSettleInterrupted } from '../../src/app/settle-interrupted.ts';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { Command, CommandValue } from '../../src/core/verbs.ts';
import { makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const EUR = 920_000_000;
const RATES = { inputNanos: 150n, outputNanos: 600n, cachedInputNanos: null, requestNanos: 7n };
const CONTEXT: CallContext = {
  keyId: 'key_1',
  model: 'm1',
  route: '/chat/completions',
  streaming: false,
  promptTokens: 10,
  candidates: [{ upstreamId: 'u1', price: { id: 'p1', rates: RATES } }],
  rate: { currency: 'EUR', perUsdNanos: EUR },
};
/** What a call of 10 tokens of input and 20 of output costs, and takes from a balance in EUR. */
const COST = 7n + 10n * 150n + 20n * 600n;
const DUE = dueMicrocents(COST, EUR);

/** Prepaid balances: paid in, held, taken from, verified; the same on every store. */
export function describeBalance(makeStore: MakeStore): void {
  let clock: TestClock;
  let at: TestStore;
  let commands: CommandMaker;

  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeStore({ clock });
    commands = makeCommands();
    await execute(commands.createTenant('acme'));
    await execute(commands.createKey('acme', 'key_1'));
    const rate = { id: 'rate_1', currency: 'EUR', perUsdNanos: EUR, appliesFromMs: null };
    await execute({ verb: 'add-exchange-rate', id: commands.id('cmd'), tenantId: SYSTEM_TENANT, rate });
  });
  afterEach(() => at.destroy());

  const tryAll = async (batch: readonly Command[]): Promise<readonly Outcome<unknown>[]> =>
    (await at.store.execute(commands.id('batch'), batch, 0)).outcomes;
  const execute = async <C extends Command>(command: C): Promise<CommandValue<C>> => {
    const [outcome] = await tryAll([command]);
    if (outcome?.ok !== true) throw new Error(JSON.stringify(outcome));
    return outcome.value as CommandValue<C>;
  };
  const codeOf = async (command: Command): Promise<string> => {
    const [outcome] = await tryAll([command]);
    return outcome?.ok === false ? outcome.rejection.code : 'ok';
  };
  const credit = (amount: bigint, more: Partial<CreditBalanceCommand> = {}): CreditBalanceCommand => ({
    verb: 'credit-balance',
    id: commands.id('cmd'),
    tenantId: 'acme',
    creditId: commands.id('credit'),
    currency: 'EUR',
    rateId: 'rate_1',
    amount,
    reason: 'paid',
    ...more,
  });
  const terms = (set: Pick<UpdateTenantCommand, 'currency' | 'requireBalance'>, from = 'EUR'): UpdateTenantCommand => ({
    verb: 'update-tenant',
    id: commands.id('cmd'),
    tenantId: 'acme',
    ...set,
    seen: { currency: from, rateId: (set.currency ?? from) === 'USD' ? '' : 'rate_1' },
  });
  const hold = (): Extract<Command, { verb: 'reserve' }> => ({
    ...commands.hold({}),
    purpose: 'call',
    legs: callLegs({ tenantId: 'acme', keyId: 'key_1', scopes: [], inputTokens: 10, rates: RATES, rate: CONTEXT.rate ?? null }),
    output: { min: 20n, max: 20n },
    context: writeCallContext(CONTEXT),
  });
  const settle = (reservationId: string, completionTokens = 20): SettleCallCommand => {
    const usage = {
      promptTokens: 10,
      completionTokens,
      totalTokens: 10 + completionTokens,
      cachedPromptTokens: null,
      reasoningTokens: null,
    };
    const call = { reservationId, tenantId: 'acme', context: CONTEXT };
    const { actuals, usage: event } = settlementOf(call, { candidate: 0, usage, estimated: false, interrupted: false });
    return { verb: 'settle-call', id: commands.id('cmd'), tenantId: 'acme', reservationId, actuals, usage: event };
  };
  const account = async (currency = 'EUR'): Promise<Account> => {
    const id = balanceId('acme', currency);
    const found = (await at.store.accounts([id])).get(id);
    if (found === undefined) throw new Error(`no ${id}`);
    return found;
  };
  const verified = async (): Promise<void> => expect((await at.store.verify()).discrepancies).toEqual([]);

  test('credits and corrections are lines of their own, each once under its key; their sum is what may be spent', async () => {
    expect(await execute(credit(100n, { creditId: 'credit_1' }))).toMatchObject({ microcents: '100', balance: '100', by: 'system' });
    expect(await execute(credit(-30n, { creditId: 'credit_2', reason: 'typed twice' }))).toMatchObject({
      microcents: '-30',
      balance: '70',
    });
    expect(await codeOf(credit(-71n))).toBe('invalid_request');
    expect(await account()).toMatchObject({ allocated: 70n, spent: 0n, reserved: 0n });
    expect((await at.store.record('tenant', 'acme'))?.hasBalance).toBe(true);
    const page = await at.store.credits({ tenantId: 'acme', limit: 1 });
    expect(page.map(({ id, reason }) => [id, reason])).toEqual([['credit_2', 'typed twice']]);
    expect((await at.store.credits({ tenantId: 'acme', beforeId: 'credit_2', limit: 5 })).map(({ id }) => id)).toEqual(['credit_1']);
    expect((await at.store.records('credit', 'acme')).map(({ id }) => id)).toEqual(['credit_1', 'credit_2']);
    expect(await at.store.credits({ tenantId: 'other', limit: 5 })).toEqual([]);
    const ref = { tenantId: 'acme', operation: 'creditBalance', target: '', key: 'k' };
    const once = { idempotency: { ref, hash: 'h', keepMs: 60_000 } };
    const first = await execute(credit(100n, once));
    expect(await execute(credit(100n, once))).toEqual(first);
    expect(await codeOf(credit(5n, { idempotency: { ref, hash: 'other', keepMs: 60_000 } }))).toBe('idempotency_mismatch');
    expect((await account()).allocated).toBe(170n);
    await verified();
  });

  test('a required balance that fits K calls admits K of many at once, and takes from it what each event says', async () => {
    const K = 3;
    await execute(terms({ requireBalance: true }));
    await execute(credit(DUE * BigInt(K) + DUE - 1n));
    const holds = Array.from({ length: 20 }, hold);
    const batches = [holds.slice(0, 7), holds.slice(7, 9), holds.slice(9)];
    const outcomes = (await Promise.all(batches.map(tryAll))).flat();
    const admitted = holds.filter((_hold, index) => outcomes[index]?.ok === true);
    expect(admitted).toHaveLength(K);
    expect(new Set(outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.rejection.code])))).toEqual(new Set(['held']));
    expect(await account()).toMatchObject({ reserved: DUE * BigInt(K), spent: 0n });
    await tryAll(admitted.map(({ reservationId }) => settle(reservationId)));
    expect(await account()).toMatchObject({ reserved: 0n, spent: DUE * BigInt(K) });
    const events = await at.store.usageEvents({ tenantId: 'acme', limit: 10 });
    expect(events.map(({ debit }) => debit)).toEqual(
      Array.from({ length: K }, () => ({ currency: 'EUR', perUsdNanos: EUR, microcents: DUE })),
    );
    const [refused] = await tryAll([hold()]);
    expect(refused).toMatchObject({
      ok: false,
      rejection: {
        code: 'balance_empty',
        account: { kind: 'balance', scope: 'tenant:acme', unit: 'EUR_MICROCENTS', remaining: DUE - 1n },
      },
    });
    await verified();
  });

  test('a balance that is not required counts and refuses nothing, neither calls nor what is reported', async () => {
    await execute(credit(1n));
    const call = hold();
    await execute(call);
    await execute(settle(call.reservationId));
    const kept = await account();
    expect(unspentOf(kept)).toBe(1n - DUE);
    const reporter = { id: 'router', secretSealed: 'sealed', previous: null, tenants: ['acme'] };
    await execute({ verb: 'put-usage-reporter', id: commands.id('cmd'), tenantId: SYSTEM_TENANT, reporter, replace: true });
    const { actuals, usage } = settle('report:router:e1');
    if (actuals === null || usage === null) throw new Error('nothing was settled');
    const accounts = [balanceId('acme', 'EUR')];
    const judgement = { kind: 'book' as const, booking: { accounts, actuals, usage } };
    const items = [{ eventId: 'e1', hash: 'h', occurredAtMs: clock.nowMs(), body: null, judgement }];
    const report = { verb: 'report-usage' as const, id: commands.id('cmd'), tenantId: SYSTEM_TENANT, reporterId: 'router' };
    await execute({ ...report, nonce: 'n1', nonceKeepMs: 1000, items });
    expect(unspentOf(await account())).toBe(1n - 2n * DUE);
    expect(await codeOf(hold())).toBe('ok');
    await execute(terms({ requireBalance: true }));
    expect(await codeOf(hold())).toBe('balance_empty');
    await verified();
  });

  test('what a call used is taken from it after its hold has expired, and once', async () => {
    await execute(terms({ requireBalance: true }));
    await execute(credit(DUE));
    const call = hold();
    await execute(call);
    clock.set(clock.nowMs() + 70_000);
    await execute({ verb: 'expire', id: commands.id('cmd'), tenantId: 'acme', reservationId: call.reservationId });
    expect(await account()).toMatchObject({ reserved: 0n, spent: 0n });
    expect(await execute(settle(call.reservationId))).toEqual({ booked: true });
    expect(await execute(settle(call.reservationId))).toEqual({ booked: false, agrees: true });
    expect(await account()).toMatchObject({ reserved: 0n, spent: DUE });
    await verified();
  });

  test('a call whose process died takes its estimate by the rate that was pinned with it', async () => {
    await execute(credit(DUE));
    await execute(hold());
    const rate = { id: 'rate_2', currency: 'EUR', perUsdNanos: 1, appliesFromMs: null };
    await execute({ verb: 'add-exchange-rate', id: commands.id('cmd'), tenantId: SYSTEM_TENANT, rate });
    const writer = {
      execute: async (command: Command) => (await tryAll([command]))[0],
    } as unknown as Parameters<typeof makeSettleInterrupted>[0]['writer'];
    const log = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };
    expect(await makeSettleInterrupted({ writer, store: at.store, log })({ liveOwnerIds: [] })).toEqual({ settled: 1, released: 0 });
    const [event] = await at.store.usageEvents({ tenantId: 'acme', limit: 1 });
    const due = dueMicrocents(7n + 10n * 150n, EUR);
    expect(event?.debit).toEqual({ currency: 'EUR', perUsdNanos: EUR, microcents: due });
    expect(await account()).toMatchObject({ reserved: 0n, spent: due });
    await verified();
  });

  test('the currency changes at 0 only, and calls planned in the old one are told to try again', async () => {
    await execute(credit(DUE));
    expect(await codeOf(terms({ currency: 'USD' }))).toBe('conflict');
    const call = hold();
    await execute(call);
    await execute(settle(call.reservationId));
    const held = hold();
    await execute(held);
    expect(await codeOf(terms({ currency: 'USD' }))).toBe('conflict');
    await execute({ ...settle(held.reservationId), actuals: null, usage: null });
    const { currency, hasBalance } = await execute(terms({ currency: 'USD' }));
    expect([currency, hasBalance]).toEqual(['USD', true]);
    expect(await codeOf(hold())).toBe('held');
    expect(await codeOf(credit(5n))).toBe('conflict');
    expect(await codeOf(terms({ currency: 'EUR' }))).toBe('conflict');
    await execute(credit(5n, { currency: 'USD', rateId: '' }));
    expect((await account('USD')).allocated).toBe(5n);
    expect(unspentOf(await account())).toBe(0n);
    await verified();
  });

  test('verification finds a change of what an event took, of its rate and its currency, of the account, and a credit that is gone', async () => {
    await execute(credit(DUE));
    const call = hold();
    await execute(call);
    await execute(settle(call.reservationId));
    const damages: readonly (readonly [string, string])[] = [
      ['usage_tail SET debit_microcents = debit_microcents + 1', 'usage_tail SET debit_microcents = debit_microcents - 1'],
      ['usage_tail SET debit_per_usd_nanos = debit_per_usd_nanos * 2', 'usage_tail SET debit_per_usd_nanos = debit_per_usd_nanos / 2'],
      [`usage_tail SET debit_currency = 'SEK'`, `usage_tail SET debit_currency = 'EUR'`],
      [`accounts SET unit = 'SEK_MICROCENTS' WHERE kind = 'balance'`, `accounts SET unit = 'EUR_MICROCENTS' WHERE kind = 'balance'`],
    ];
    for (const [damage, repair] of damages) {
      await at.raw(`UPDATE ${damage}`);
      expect((await at.store.verify()).discrepancies).not.toEqual([]);
      await at.raw(`UPDATE ${repair}`);
      await verified();
    }
    await at.raw('DELETE FROM balance_credits');
    expect((await at.store.verify()).discrepancies).toMatchObject([{ found: `${DUE}`, expected: '0' }]);
  });

  test('is refused without a rate that applies: none, one that is not there, that lies ahead, or of another currency', async () => {
    const add = (id: string, currency: string, appliesFromMs: number | null): Command => ({
      verb: 'add-exchange-rate',
      id: commands.id('cmd'),
      tenantId: SYSTEM_TENANT,
      rate: { id, currency, perUsdNanos: EUR, appliesFromMs },
    });
    await tryAll([add('rate_ahead', 'EUR', clock.nowMs() + 60_000), add('rate_sek', 'SEK', null)]);
    for (const rateId of [null, 'rate_9', 'rate_ahead', 'rate_sek']) {
      expect(await codeOf(credit(5n, { rateId }))).toBe('invalid_request');
      expect(await codeOf({ ...terms({ requireBalance: true }), seen: { currency: 'EUR', rateId } })).toBe('invalid_request');
    }
    expect((await at.store.record('tenant', 'acme'))?.hasBalance).toBeUndefined();
  });

  test('a required balance is there from the beginning of a tenant that is made with it', async () => {
    const made = commands.createTenant('beta') as Extract<Command, { verb: 'create-tenant' }>;
    const tenant = { ...made.tenant, currency: 'USD', requireBalance: true };
    expect(await execute({ ...made, tenant, seen: { currency: 'USD', rateId: '' } })).toMatchObject({ hasBalance: true, currency: 'USD' });
    const id = balanceId('beta', 'USD');
    expect((await at.store.accounts([id])).get(id)).toMatchObject({ allocated: 0n, spent: 0n });
    await verified();
  });
}
