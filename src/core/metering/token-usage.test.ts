import { describe, expect, test } from 'vitest';
import { estimateUsage, MAX_CALL_TOKENS, mergeUsage, normalizeUsage, type TokenUsage } from './token-usage.ts';
import { usageHeaderValue } from './usage-header.ts';

function usage(promptTokens: number, completionTokens: number, cached: number | null = null, reasoning: number | null = null): TokenUsage {
  const totalTokens = promptTokens + completionTokens;
  return { promptTokens, completionTokens, totalTokens, cachedPromptTokens: cached, reasoningTokens: reasoning };
}

describe('normalizeUsage', () => {
  test.each([
    ['chat names', { usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } }, usage(3, 4)],
    [
      'chat details',
      {
        usage: {
          prompt_tokens: 10,
          completion_tokens: 9,
          prompt_tokens_details: { cached_tokens: 6 },
          completion_tokens_details: { reasoning_tokens: 5 },
        },
      },
      usage(10, 9, 6, 5),
    ],
    [
      'responses names',
      {
        usage: {
          input_tokens: 10,
          output_tokens: 9,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens_details: { reasoning_tokens: 2 },
        },
      },
      usage(10, 9, 0, 2),
    ],
    [
      'writes into a cache, as proxies report them',
      { usage: { prompt_tokens: 10, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 6, cache_write_tokens: 9 } } },
      { ...usage(10, 1, 6), cacheWritePromptTokens: 4 },
    ],
    ['under response', { type: 'response.completed', response: { usage: { input_tokens: 1, output_tokens: 2 } } }, usage(1, 2)],
    ['top level before response', { usage: { prompt_tokens: 5 }, response: { usage: { input_tokens: 9 } } }, usage(5, 0)],
    ['a total alone is input', { usage: { total_tokens: 8 } }, usage(8, 0)],
    ['a total beside zeros is input', { usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 8 } }, usage(8, 0)],
    [
      'a total that disagrees with its parts adds nothing',
      { usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 90 } },
      usage(5, 1),
    ],
    ['zeros are a report', { usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } }, usage(0, 0)],
    [
      'cached above the prompt is the prompt',
      { usage: { prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 50 } } },
      usage(5, 0, 5),
    ],
    ['negative is 0', { usage: { prompt_tokens: -3, completion_tokens: 4 } }, usage(0, 4)],
    ['fractions are cut', { usage: { prompt_tokens: 3.9, completion_tokens: 4.1 } }, usage(3, 4)],
    [
      'past 2^53 is the most that a call can use',
      { usage: { prompt_tokens: 2n ** 60n, completion_tokens: 1e300 } },
      usage(MAX_CALL_TOKENS, MAX_CALL_TOKENS),
    ],
    ['null details are no details', { usage: { prompt_tokens: 3, prompt_tokens_details: null } }, usage(3, 0)],
    ['strings are no counts', { usage: { prompt_tokens: '3', completion_tokens: 4 } }, usage(0, 4)],
  ])('%s', (_name, answer, expected) => {
    expect(normalizeUsage(answer)).toStrictEqual(expected);
  });

  test.each([
    null,
    1,
    'usage',
    [],
    {},
    { usage: null },
    { usage: 5 },
    { usage: [] },
    { usage: {} },
    { usage: { prompt_tokens: '3' } },
    { usage: { prompt_tokens: Number.NaN } },
    { response: null },
    { response: { usage: null } },
  ])('%j has no usage', (answer) => {
    expect(normalizeUsage(answer)).toBeNull();
  });
});

describe('mergeUsage', () => {
  test('keeps the last nonzero value of each count', () => {
    let merged: TokenUsage | null = null;
    for (const next of [usage(10, 0, 4), usage(0, 3), usage(0, 7, 0, 2), usage(0, 0)]) merged = mergeUsage(merged, next);
    expect(merged).toStrictEqual(usage(10, 7, 4, 2));
  });

  test('details that were reported as 0 stay reported', () => {
    expect(mergeUsage(usage(10, 0, 0, 0), usage(10, 5))).toStrictEqual(usage(10, 5, 0, 0));
  });
});

describe('estimateUsage', () => {
  test('without a report, what we counted', () => {
    expect(estimateUsage({ promptTokens: 7, completionTokens: 8 }, null)).toStrictEqual(usage(7, 8));
  });

  test('what was read from a cache and written into it stays as reported', () => {
    const reported = { ...usage(9, 3, 2), cacheWritePromptTokens: 5 };
    expect(estimateUsage({ promptTokens: 7, completionTokens: 8 }, reported)).toStrictEqual({
      ...usage(9, 8, 2),
      cacheWritePromptTokens: 5,
    });
    expect(mergeUsage(reported, usage(9, 4))).toStrictEqual({ ...usage(9, 4, 2), cacheWritePromptTokens: 5 });
  });

  test('a partial report wins where it says more', () => {
    expect(estimateUsage({ promptTokens: 7, completionTokens: 8 }, usage(9, 3, 2))).toStrictEqual(usage(9, 8, 2));
    expect(estimateUsage({ promptTokens: 7, completionTokens: 8 }, usage(0, 20))).toStrictEqual(usage(7, 20));
  });
});

describe('the usage header', () => {
  test('the reference example, in its order', () => {
    expect(usageHeaderValue(usage(100, 50, 40), { model: 'priced-model', costNanoUsd: 45_000n })).toBe(
      'prompt=100,completion=50,total=150,cached_prompt_tokens=40,uncached_prompt_tokens=60,model=priced-model,cost_usd=0.000045',
    );
  });

  test('leaves out what is not known', () => {
    expect(usageHeaderValue(usage(1, 2), { model: null, costNanoUsd: null })).toBe('prompt=1,completion=2,total=3');
  });

  test('a model name cannot break out of its field', () => {
    expect(usageHeaderValue(usage(1, 2), { model: 'a,cost_usd=9\r\nx: ü', costNanoUsd: null })).toBe(
      'prompt=1,completion=2,total=3,model=a_cost_usd=9__x:__',
    );
  });
});
