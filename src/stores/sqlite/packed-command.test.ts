import { describe, expect, test } from 'vitest';
import { keyCapId, TOKENS, USD_MICROCENTS } from '../../core/ledger/account.ts';
import type { ReserveCommand, SettleCallCommand } from '../../core/ledger/commands.ts';
import type { CommandOrigin } from '../../core/command-origin.ts';
import type { ReserveBudgetCommand } from '../../core/cycles/runtime-commands.ts';
import type { Command } from '../../core/verbs.ts';
import { packCommand, unpackCommand } from './packed-command.ts';

const reserve: ReserveCommand = {
  verb: 'reserve',
  id: 'r1.hold',
  tenantId: 'acme',
  reservationId: 'r1',
  purpose: 'call',
  legs: [
    { accountId: keyCapId('acme', 'k', TOKENS), base: 2n ** 62n, perUnit: 1n, divisor: 1n, required: true },
    { accountId: keyCapId('acme', 'k', USD_MICROCENTS), base: -5n, perUnit: 0n, divisor: 10n, required: false },
  ],
  output: { min: 16n, max: 64n },
  mustCover: false,
  mustCoverMoney: true,
  otherUnitAccounts: [keyCapId('acme', 'other', TOKENS)],
  overagePolicy: 'ALLOW_WITH_OVERDRAFT',
  ttlMs: 60_000,
  graceMs: 5000,
  maxExtensions: 3,
  ownerId: 'run_1',
  context: { model: 'm', nested: [1, null, { deep: 'é' }] },
};

const settle: SettleCallCommand = {
  verb: 'settle-call',
  id: 'r1.settle',
  tenantId: 'acme',
  reservationId: 'r1',
  actuals: { tokens: 2n ** 62n, microcents: 0n },
  usage: {
    id: 'r1',
    tenantId: 'acme',
    keyId: 'k',
    model: 'm',
    upstreamId: 'u',
    priceId: '',
    route: '/chat/completions',
    requests: 1,
    promptTokens: 2,
    completionTokens: 3,
    cachedPromptTokens: 1,
    cacheWritePromptTokens: 2,
    reasoningTokens: 0,
    costNanoUsd: 2n ** 60n,
    chargeMicrocents: 7n,
    streaming: true,
    estimated: false,
    interrupted: true,
  },
};

const origin: CommandOrigin = {
  requestId: 'req_1',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  traceFlags: '01',
  actor: { type: 'api_key', keyId: 'k', sourceIp: '127.0.0.1' },
  source: 'cycles-server',
  correlationId: 'c',
};

const idempotency = { ref: { tenantId: 'acme', operation: 'createReservation', target: '', key: 'k' }, hash: 'h', keepMs: 1 };

const hold: ReserveBudgetCommand = {
  verb: 'reserve-budget',
  id: 'c1',
  tenantId: 'acme',
  origin,
  reservationId: 'r1',
  scopePath: 'tenant:acme/agent:a',
  unit: 'TOKENS',
  amount: 2n ** 62n,
  limit: { policyId: 'p', kind: 'reserve', perMinute: 5 },
  caps: { max_tokens: 5 },
  withOtherUnits: false,
  overagePolicy: null,
  ttlMs: 60_000,
  graceMs: 5000,
  maxExtensions: 3,
  details: '{"subject":{}}',
  idempotency,
};

const audit = {
  id: 'a',
  operation: 'o',
  actorKind: 'operator',
  actorId: 'x',
  resourceKind: 'key',
  resourceId: 'k',
  requestId: 'q',
} as const;

describe('a command that went to another thread is the one that was sent', () => {
  test.each<[string, Command]>([
    ['a hold', reserve],
    ['a hold without legs', { ...reserve, legs: [] }],
    [
      'a hold with an idempotency key',
      { ...reserve, idempotency: { ref: { tenantId: 'acme', operation: 'o', target: '', key: 'k' }, hash: 'h', keepMs: 1 } },
    ],
    ['an audited hold', { ...reserve, audit }],
    ['a settlement', settle],
    ['a cancellation', { ...settle, actuals: null, usage: null }],
    ['a settlement without usage', { ...settle, usage: null }],
    [
      'a settlement of media, with what its upstream keeps',
      {
        ...settle,
        usage: { ...settle.usage, media: { unit: 'images', quantity: 2 } } as SettleCallCommand['usage'],
        objects: [{ id: 'resp_1', upstreamId: 'u', model: 'm', tokens: null }],
      },
    ],
    ['an audited settlement', { ...settle, audit }],
    ['a hold on budgets', hold],
    ['a hold on budgets of whom nothing is known', { ...hold, origin: { requestId: 'req_1', actor: { type: 'system' }, source: 's' } }],
    [
      'a commit',
      { verb: 'commit', id: 'c', tenantId: 'acme', origin, reservationId: 'r1', actual: 0n, unit: 'TOKENS', details: null, idempotency },
    ],
    [
      'a commit without an origin',
      { verb: 'commit', id: 'c', tenantId: 'acme', reservationId: 'r1', actual: 5n, unit: 'TOKENS', idempotency },
    ],
    ['a commit without a key', { verb: 'commit', id: 'c', tenantId: 'acme', reservationId: 'r1', actual: 5n, unit: 'TOKENS' }],
    ['any other command', { verb: 'expire', id: 'c', tenantId: 'acme', reservationId: 'r1' }],
  ])('%s', (_what, command) => {
    expect(unpackCommand(structuredClone(packCommand(command)))).toStrictEqual(command);
  });
});
