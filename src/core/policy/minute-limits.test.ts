import { describe, expect, test } from 'vitest';
import { MemoryLedger } from '../../../test/support/ledger-memory.ts';
import { accountWith, fixedLeg, reserve, settleCall, TENANT, TENANT_BUDGET } from '../../../test/support/ledger-fixtures.ts';
import type { RateLimits } from '../records.ts';
import { checkRateLimits, minuteLimits, minuteRef } from './minute-limits.ts';
import type { MinuteLimit } from './rate-window.ts';

const NOW_MS = Date.parse('2026-11-22T10:07:30Z');

describe('checkRateLimits', () => {
  test.each<[number | null, number | null, string | null]>([
    [1, null, null],
    [null, 1, null],
    [1_000_000_000, 1_000_000_000_000, null],
    [null, null, 'rate_limits'],
    [0, null, 'rate_limits.requests_per_minute'],
    [1_000_000_001, null, 'rate_limits.requests_per_minute'],
    [1.5, 0, 'rate_limits.requests_per_minute'],
    [1, 0, 'rate_limits.tokens_per_minute'],
    [null, 1_000_000_000_001, 'rate_limits.tokens_per_minute'],
  ])('%j requests and %j tokens: %j', (requestsPerMinute, tokensPerMinute, field) => {
    const limits: RateLimits = { requestsPerMinute, tokensPerMinute };
    expect(checkRateLimits(limits)?.rejection.field ?? null).toBe(field);
  });

  test.each([null, undefined])('%j is no limit', (limits) => {
    expect(checkRateLimits(limits)).toBeNull();
    expect(minuteLimits('key', { id: 'k', ...(limits === undefined ? {} : { rateLimits: limits }) })).toEqual([]);
  });
});

describe('a hold under limits', () => {
  const REQUESTS: MinuteLimit = { on: 'key', id: 'k', unit: 'requests', perMinute: 1 };
  const TOKENS: MinuteLimit = { on: 'model', id: 'm', unit: 'tokens', perMinute: 100 };
  const hold = (ledger: MemoryLedger, parts: { n: number; tokens?: number; output?: { min: bigint; max: bigint } }) =>
    ledger.run(
      reserve({
        id: `cmd_${parts.n}`,
        reservationId: `res_${parts.n}`,
        purpose: 'call',
        legs: [{ ...fixedLeg(TENANT_BUDGET, BigInt(parts.tokens ?? 0)), perUnit: 1n }],
        output: parts.output ?? { min: 0n, max: 0n },
        rates: { limits: parts.n < 10 ? [REQUESTS, TOKENS] : [TOKENS], inputTokens: parts.tokens ?? 0 },
      }),
      NOW_MS,
    );
  const ledgerWith = (allocated: bigint, reserved = 0n): MemoryLedger => {
    const ledger = new MemoryLedger();
    ledger.putAccount(accountWith(TENANT_BUDGET, { allocated, reserved }));
    return ledger;
  };
  const messageOf = (outcome: ReturnType<typeof hold>): string =>
    outcome.ok ? 'ok' : `${outcome.rejection.code}: ${outcome.rejection.message}`;

  test('names the first limit without room, and what is left of tokens', () => {
    const ledger = ledgerWith(1000n);
    expect(messageOf(hold(ledger, { n: 1, tokens: 60 }))).toBe('ok');
    expect(messageOf(hold(ledger, { n: 2, tokens: 60 }))).toBe(
      'rate_limited: this API key may take 1 requests a minute; the next minute begins at 2026-11-22T10:08:00Z',
    );
    expect(messageOf(hold(ledger, { n: 11, tokens: 60 }))).toBe(
      'rate_limited: each tenant of this model may take 100 tokens a minute, of which 40 are left, and the call may use 60; the next minute begins at 2026-11-22T10:08:00Z',
    );
    expect(messageOf(hold(ledger, { n: 12, tokens: 40 }))).toBe('ok');
  });

  test.each<[string, bigint, bigint, number, string]>([
    ['an account that is used up goes before', 50n, 0n, 60, 'budget_exceeded'],
    ['an account whose holds are only in the way comes after', 100n, 60n, 101, 'rate_limited'],
    ['and is told where the limit has room', 100n, 60n, 60, 'held'],
  ])('%s', (_name, allocated, reserved, tokens, code) => {
    const ledger = ledgerWith(allocated === 100n && tokens === 101 ? 150n : allocated, reserved);
    expect(messageOf(hold(ledger, { n: 11, tokens })).split(':')[0]).toBe(code);
  });

  test.each<[number, bigint, string]>([
    [30, 500n, '70'],
    [30, 40n, '40'],
    [99, 500n, '1'],
  ])('an open output beside %d tokens and up to %d becomes %s', (tokens, max, output) => {
    expect(hold(ledgerWith(1000n), { n: 11, tokens, output: { min: 1n, max } })).toMatchObject({ ok: true, value: { output } });
  });

  test('a minute in which more was used than it had has no room for anything', () => {
    const ledger = ledgerWith(1000n);
    expect(messageOf(hold(ledger, { n: 11, tokens: 100 }))).toBe('ok');
    const minute = Math.floor(NOW_MS / 60_000);
    const rates = [{ ref: minuteRef(TENANT, TOKENS), minute, change: 1 }];
    ledger.run(settleCall({ tokens: 101n, microcents: 0n }, { reservationId: 'res_11', rates }), NOW_MS);
    expect(messageOf(hold(ledger, { n: 12, tokens: 0 }))).toMatch(/^rate_limited: .* of which 0 are left/);
  });

  test('a call that no minute has room for is told so, without a moment to come back', () => {
    const outcome = hold(ledgerWith(1000n), { n: 1, tokens: 100, output: { min: 1n, max: 5n } });
    expect(messageOf(outcome)).toBe(
      'rate_limited: the call may use 101 tokens, and each tenant of this model may use 100 a minute; ask for less output',
    );
    expect(outcome).not.toHaveProperty('rejection.retryAfterMs');
  });
});
