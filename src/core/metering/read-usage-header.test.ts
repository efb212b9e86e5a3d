import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimateUsage, MAX_CALL_TOKENS } from './token-usage.ts';
import { readUsageHeader, usageHeaderValue } from './usage-header.ts';

describe('the usage header of another server', () => {
  test('is read as it is written, cost apart', () => {
    const count = fc.nat({ max: 1_000_000 });
    fc.assert(
      fc.property(
        count,
        count,
        fc.option(count),
        fc.option(fc.stringMatching(/^[a-z0-9./-]{1,20}$/)),
        (prompt, completion, cached, model) => {
          const counts = { promptTokens: prompt, completionTokens: completion };
          const usage = { ...estimateUsage(counts, null), cachedPromptTokens: cached === null ? null : Math.min(cached, prompt) };
          expect(readUsageHeader(usageHeaderValue(usage, { model, costNanoUsd: 45_000n }))).toEqual({ usage, model });
        },
      ),
    );
  });

  test.each([
    ['prompt=3,completion=4', 3, 4, null],
    ['total=9', 9, 0, null],
    ['prompt=3,total=9', 3, 6, null],
    ['prompt=3', 3, 0, null],
    ['prompt=9,total=3', 9, 0, null],
    ['prompt=0,completion=0,total=9,model=a', 9, 0, 'a'],
    [' prompt = 3 , completion = 4 , total=7, extra=yes ', 3, 4, null],
    ['prompt=999999999999999,completion=0,total=0', MAX_CALL_TOKENS, 0, null],
    ['prompt=1,completion=2,total=99,model=a=b', 1, 2, 'a=b'],
  ])('%j', (value, promptTokens, completionTokens, model) => {
    expect(readUsageHeader(value)).toMatchObject({ usage: { promptTokens, completionTokens }, model });
  });

  test.each([
    '',
    'x',
    'model=a',
    'completion=4',
    'prompt=',
    'prompt=-1',
    'prompt=1.5',
    'prompt=1e3',
    'prompt=1,prompt=1',
    'prompt=9999999999999999',
    '=1,prompt=2',
    'prompt=1,completion=2, prompt=3,completion=4',
  ])('says nothing: %j', (value) => expect(readUsageHeader(value)).toBeNull());
});
