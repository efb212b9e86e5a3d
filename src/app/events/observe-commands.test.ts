import { expect, test } from 'vitest';
import { writeCallContext } from '../../core/calls/call-context.ts';
import { accepted, rejected, type Outcome, type Rejection } from '../../core/rejection.ts';
import type { ReserveCommand } from '../../core/ledger/commands.ts';
import type { AccountId } from '../../core/ledger/account.ts';
import type { Command } from '../../core/verbs.ts';
import type { Denial } from '../cycles/record-denial.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { observeCommands } from './observe-commands.ts';

const BUDGET = 'acme|budget|tenant:acme/app:bot|USD_MICROCENTS|' as AccountId;

const call = (parts: Partial<ReserveCommand> = {}): ReserveCommand => ({
  verb: 'reserve',
  id: 'call_1.hold',
  tenantId: 'acme',
  reservationId: 'call_1',
  purpose: 'call',
  legs: [{ accountId: BUDGET, base: 101n, perUnit: 3n, divisor: 10n, required: false }],
  output: { min: 1n, max: 100n },
  mustCover: false,
  mustCoverMoney: false,
  otherUnitAccounts: [],
  overagePolicy: 'ALLOW_WITH_OVERDRAFT',
  ttlMs: 1000,
  graceMs: 0,
  maxExtensions: 0,
  ownerId: 'run',
  context: writeCallContext({
    keyId: 'k1',
    model: 'm',
    route: '/x',
    streaming: false,
    promptTokens: 1,
    candidates: [{ upstreamId: 'u1', price: null }],
    scopePath: 'tenant:acme/app:bot',
  }),
  origin: { requestId: 'req_1', actor: { type: 'api_key', keyId: 'k1' }, source: 'castellan-gateway' },
  ...parts,
});

/** Runs one command with a given outcome, and tells what was noted of it. */
async function watch(command: Command, outcome: Outcome<unknown>, how: 'execute' | 'write' = 'write') {
  const denials: Denial[] = [];
  const counted: string[] = [];
  const took: number[] = [];
  let nowMs = 0;
  const plain = {
    execute: () => Promise.resolve(outcome),
    write: () => Promise.resolve({ outcome, durable: Promise.resolve() }),
    pending: 7,
  } as unknown as LedgerWriter;
  const writer = observeCommands(plain, {
    activity: { count: (tenantId, metric) => void counted.push(`${tenantId} ${metric}`) },
    recordDenial: (denial) => void denials.push(denial),
    onTook: (tookMs) => void took.push(tookMs),
    elapsedMs: () => (nowMs += 5),
  });
  expect(writer.pending).toBe(7);
  await writer[how](command);
  await Promise.resolve();
  return { denials, counted, took };
}

const refused = (rejection: Partial<Rejection> & Pick<Rejection, 'code'>): Outcome<unknown> => rejected({ message: 'no', ...rejection });
const snapshot = { kind: 'budget', scope: 'tenant:acme/app:bot', unit: 'USD_MICROCENTS', remaining: 7n } as unknown as NonNullable<
  Rejection['account']
>;
const TOLD = { tenantId: 'acme', action: { kind: 'llm.call', name: 'm' }, origin: call().origin };

test('a call that a budget refuses is told with what it would have held and what was left', async () => {
  const { denials, counted, took } = await watch(call(), refused({ code: 'budget_exceeded', account: snapshot }));
  expect(denials).toEqual([
    { ...TOLD, scope: 'tenant:acme/app:bot', unit: 'USD_MICROCENTS', reasonCode: 'BUDGET_EXCEEDED', requestedAmount: 41n, remaining: 7n },
  ]);
  expect(counted).toEqual(['acme reservations', 'acme denials']);
  expect(took).toEqual([5]);
});

test('a call that the policy of its scopes refuses is told with the policy', async () => {
  const { denials } = await watch(call(), refused({ code: 'rate_limited', details: { policy_id: 'pol_1' } }));
  expect(denials).toEqual([
    {
      ...TOLD,
      scope: 'tenant:acme/app:bot',
      unit: 'TOKENS',
      reasonCode: 'LIMIT_EXCEEDED',
      requestedAmount: null,
      remaining: null,
      policyId: 'pol_1',
    },
  ]);
});

test('a call that lacks the budget that its tenant demands is told', async () => {
  const context = writeCallContext({
    keyId: 'k1',
    model: 'm',
    route: '/x',
    streaming: false,
    promptTokens: 1,
    candidates: [{ upstreamId: 'u1', price: null }],
  });
  const { denials } = await watch(call({ context }), refused({ code: 'budget_required' }));
  expect(denials).toMatchObject([{ scope: 'tenant:acme', unit: 'USD_MICROCENTS', reasonCode: 'BUDGET_NOT_FOUND', remaining: null }]);
});

test.each<[string, Command, Outcome<unknown>, readonly string[]]>([
  [
    'a cap of a key',
    call(),
    refused({ code: 'cap_exceeded', account: { ...snapshot, kind: 'key_cap' } }),
    ['acme reservations', 'acme denials'],
  ],
  [
    "a client's own hold, which its surface tells",
    call({ purpose: 'budget' }),
    refused({ code: 'budget_exceeded', account: snapshot }),
    ['acme reservations', 'acme denials'],
  ],
  ['a request that is to blame itself', call(), refused({ code: 'invalid_request' }), ['acme reservations']],
  ['a hold', call(), accepted({}), ['acme reservations']],
  ['an expiry', { verb: 'expire', id: 'x', tenantId: 'acme', reservationId: 'r' }, accepted({ expired: true }), ['acme expiries']],
  ['an expiry that was none', { verb: 'expire', id: 'x', tenantId: 'acme', reservationId: 'r' }, accepted({ expired: false }), []],
  ['any other command', { verb: 'release', id: 'x', tenantId: 'acme', reservationId: 'r' }, accepted({}), []],
])('no denial is told of %s, and it is counted as what it is', async (_name, command, outcome, wanted) => {
  for (const how of ['execute', 'write'] as const) {
    const { denials, counted } = await watch(command, outcome, how);
    expect([denials, counted]).toEqual([[], wanted]);
  }
});
