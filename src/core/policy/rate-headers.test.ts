import { describe, expect, test } from 'vitest';
import type { RateStanding } from './rate-window.ts';
import { formatDuration, rateHeaders } from './rate-headers.ts';

const RESET = Date.parse('2026-11-22T10:08:00Z');
const standing = (on: RateStanding['on'], unit: RateStanding['unit'], remaining: number, limit = 60): RateStanding => ({
  on,
  unit,
  limit,
  remaining,
  resetAtMs: RESET,
});

describe('formatDuration', () => {
  test.each<[number, string]>([
    [-5, '0s'],
    [0, '0s'],
    [0.2, '1ms'],
    [12, '12ms'],
    [999, '999ms'],
    [1000, '1s'],
    [6500, '6.5s'],
    [59_999, '59.999s'],
    [60_000, '1m0s'],
    [360_250, '6m0.25s'],
  ])('%d ms is %s', (ms, text) => expect(formatDuration(ms)).toBe(text));
});

describe('rateHeaders', () => {
  const at = { nowMs: RESET - 12_500 };

  test('are none without limits', () => {
    expect(rateHeaders(undefined, { dialect: 'openai', ...at })).toEqual({});
    expect(rateHeaders([], { dialect: 'anthropic', ...at })).toEqual({});
  });

  test("in OpenAI's names, for the unit that has a limit only", () => {
    expect(rateHeaders([standing('key', 'requests', 59)], { dialect: 'openai', ...at })).toEqual({
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '12.5s',
    });
  });

  test("in Anthropic's names, with the moment", () => {
    expect(rateHeaders([standing('model', 'tokens', 0)], { dialect: 'anthropic', ...at })).toEqual({
      'anthropic-ratelimit-tokens-limit': '60',
      'anthropic-ratelimit-tokens-remaining': '0',
      'anthropic-ratelimit-tokens-reset': '2026-11-22T10:08:00Z',
    });
  });

  test.each<[string, RateStanding[], string]>([
    ['what leaves least', [standing('key', 'tokens', 500, 1000), standing('model', 'tokens', 20, 9000)], '9000'],
    ['the smaller one, where both leave the same', [standing('key', 'tokens', 0, 1000), standing('model', 'tokens', 0, 900)], '900'],
    ['the first, where they are alike', [standing('key', 'tokens', 5, 900), standing('model', 'tokens', 5, 900)], '900'],
  ])('tell of several limits %s', (_what, rates, limit) => {
    expect(rateHeaders(rates, { dialect: 'openai', ...at })['x-ratelimit-limit-tokens']).toBe(limit);
  });
});
