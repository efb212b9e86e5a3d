import { describe, expect, test } from 'vitest';
import { keyCapId, TOKENS, USD_MICROCENTS } from '../../core/ledger/account.ts';
import type { ReserveCommand, SettleCallCommand } from '../../core/ledger/commands.ts';
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
    ['any other command', { verb: 'expire', id: 'c', tenantId: 'acme', reservationId: 'r1' }],
  ])('%s', (_what, command) => {
    expect(unpackCommand(structuredClone(packCommand(command)))).toEqual(command);
  });
});
