import { describe, expect, test } from 'vitest';
import {
  mergeMessagesReports,
  messagesUsageFromObject,
  readMessagesReport,
  usageOfMessages,
  type MessagesReport,
} from './messages-usage.ts';
import { MAX_CALL_TOKENS, type TokenUsage } from './token-usage.ts';

const usage = (promptTokens: number, completionTokens: number, rest: Partial<TokenUsage> = {}): TokenUsage => ({
  promptTokens,
  completionTokens,
  totalTokens: promptTokens + completionTokens,
  cachedPromptTokens: null,
  reasoningTokens: null,
  ...rest,
});

describe('a report', () => {
  test.each([
    ['input and output', { input_tokens: 3, output_tokens: 4 }, usage(3, 4)],
    [
      'reads and writes of the cache come on top of input',
      { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 4 },
      usage(123, 4, { cachedPromptTokens: 100, cacheWritePromptTokens: 20 }),
    ],
    [
      'no cache',
      { input_tokens: 3, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 4 },
      usage(3, 4, { cachedPromptTokens: 0 }),
    ],
    [
      'null is not reported',
      { input_tokens: 3, cache_creation_input_tokens: null, cache_read_input_tokens: null, output_tokens: 4 },
      usage(3, 4),
    ],
    ['all of it cached', { input_tokens: 0, cache_read_input_tokens: 9, output_tokens: 1 }, usage(9, 1, { cachedPromptTokens: 9 })],
    [
      'writes by their life, where no sum is given',
      { input_tokens: 1, output_tokens: 0, cache_creation: { ephemeral_5m_input_tokens: 4, ephemeral_1h_input_tokens: 5 } },
      usage(10, 0, { cacheWritePromptTokens: 9 }),
    ],
    [
      'writes by their life add nothing to their sum',
      { input_tokens: 1, output_tokens: 0, cache_creation_input_tokens: 9, cache_creation: { ephemeral_5m_input_tokens: 9 } },
      usage(10, 0, { cacheWritePromptTokens: 9 }),
    ],
    [
      'thinking is a part of output',
      { input_tokens: 1, output_tokens: 9, output_tokens_details: { thinking_tokens: 7 } },
      usage(1, 9, { reasoningTokens: 7 }),
    ],
    [
      'summaries of the upstream come on top, the turns of its tools do not',
      {
        input_tokens: 10,
        output_tokens: 5,
        cache_read_input_tokens: 2,
        iterations: [
          { type: 'compaction', input_tokens: 1000, output_tokens: 300, cache_creation_input_tokens: 7 },
          { type: 'message', input_tokens: 10, output_tokens: 5 },
          { type: 'compaction', input_tokens: 1, output_tokens: 1 },
        ],
      },
      usage(1020, 306, { cachedPromptTokens: 2, cacheWritePromptTokens: 7 }),
    ],
    [
      'past 2^53 is the most that a call can use',
      { input_tokens: 2n ** 60n, cache_read_input_tokens: 2n ** 60n, output_tokens: 1e300 },
      usage(MAX_CALL_TOKENS, MAX_CALL_TOKENS, { cachedPromptTokens: MAX_CALL_TOKENS }),
    ],
    ['negative is 0', { input_tokens: -3, output_tokens: 4 }, usage(0, 4)],
    ['zeros are a report', { input_tokens: 0, output_tokens: 0 }, usage(0, 0)],
  ])('%s', (_name, reported, expected) => {
    expect(messagesUsageFromObject(reported)).toStrictEqual(expected);
  });

  test.each([null, 5, 'x', [], {}, { input_tokens: '3' }, { prompt_tokens: 3 }, { service_tier: 'standard' }])('%j is none', (value) => {
    expect(messagesUsageFromObject(value)).toBeNull();
  });
});

describe('reports of one stream', () => {
  const merge = (...reports: readonly object[]): TokenUsage | null => {
    let merged: MessagesReport | null = null;
    for (const report of reports) {
      const next = readMessagesReport(report);
      if (next !== null) merged = mergeMessagesReports(merged, next);
    }
    return merged === null ? null : usageOfMessages(merged);
  };
  const START = { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 1 };

  test.each([
    ['the end counts the output', [START, { output_tokens: 9 }], 123, 9],
    [
      'an end that repeats the input without its cache changes nothing of the cache',
      [START, { input_tokens: 3, output_tokens: 9 }],
      123,
      9,
    ],
    ['input that tools of the upstream added', [START, { input_tokens: 30, output_tokens: 9 }], 150, 9],
    ['zeros and nulls keep what was seen', [START, { output_tokens: 9 }, { input_tokens: null, output_tokens: 0 }], 123, 9],
  ])('%s', (_name, reports, prompt, completion) => {
    expect(merge(...reports)).toStrictEqual(usage(prompt, completion, { cachedPromptTokens: 100, cacheWritePromptTokens: 20 }));
  });

  test('a summary that is reported at the end leaves the input of the start', () => {
    const end = { output_tokens: 9, iterations: [{ type: 'compaction', input_tokens: 50, output_tokens: 5 }] };
    expect(merge(START, end)).toMatchObject({ promptTokens: 173, completionTokens: 14 });
    expect(merge(START, end, { output_tokens: 10 })).toMatchObject({ promptTokens: 173, completionTokens: 15 });
  });
});
