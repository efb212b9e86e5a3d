import { Buffer } from 'node:buffer';
import o200k from 'gpt-tokenizer/bpeRanks/o200k_base';
import { O200K_TOKEN_SPLIT_REGEX } from 'gpt-tokenizer/encodingParams/constants';
import { describe, expect, test } from 'vitest';
import { makeBytePairCounter, makeMerge, type Merge } from './byte-pair-counter.ts';
import { buildRankTable, type RankOf } from './rank-table.ts';

const table = buildRankTable(o200k);

/** What counting one text took. A merge looks at each of its bytes again for each pair that it joins: the square of its length. */
interface Work {
  merges: number[];
  lookUps: number;
  tokens: number;
}

/** Counts a text by a counter that remembers nothing yet, and its work. */
function work(text: string): Work {
  const done: Work = { merges: [], lookUps: 0, tokens: 0 };
  const counted = (rankOf: RankOf): Merge => {
    const merge = makeMerge((...place) => {
      done.lookUps += 1;
      return rankOf(...place);
    });
    return (bytes) => {
      done.merges.push(bytes.length);
      return merge(bytes);
    };
  };
  done.tokens = makeBytePairCounter(table, O200K_TOKEN_SPLIT_REGEX, counted)(text);
  return done;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

describe('the work of counting', () => {
  test.each([
    ['one letter', 'a'.repeat(65_536)],
    ['one letter of three bytes', '\u6771'.repeat(32_768)],
    ['spaces', ' '.repeat(65_536)],
    ['emoji', '\u{1f600}\u{1f389}'.repeat(16_000)],
  ])('grows with the length of a run of %s, never with its square', (_name, text) => {
    const { merges, lookUps } = work(text);
    const bytes = Buffer.byteLength(text);
    expect(merges.length).toBeGreaterThan(0);
    expect(Math.max(...merges)).toBeLessThanOrEqual(128);
    expect(sum(merges)).toBeLessThanOrEqual(bytes);
    expect(sum(merges.map((length) => length ** 2))).toBeLessThanOrEqual(128 * bytes);
    expect(lookUps).toBeLessThanOrEqual(3 * bytes);
  });

  test('ends after 8 KiB of pieces that are no token: the others count as their bytes', () => {
    const words = Array.from({ length: 8_000 }, (_, index) => `q${(index * 2_654_435_761).toString(36)}x`);
    const { merges, lookUps, tokens } = work(words.join(' '));
    const bound = 8_192 + 128;
    expect(sum(merges)).toBeGreaterThan(8_192 / 2);
    expect(sum(merges)).toBeLessThanOrEqual(bound);
    expect(lookUps).toBeLessThanOrEqual(3 * bound);
    expect(tokens).toBeGreaterThan(Buffer.byteLength(words.slice(2_000).join(' ')));
  });

  test('of a piece that was merged before is none', () => {
    let merges = 0;
    const count = makeBytePairCounter(table, O200K_TOKEN_SPLIT_REGEX, (rankOf) => {
      const merge = makeMerge(rankOf);
      return (bytes) => {
        merges += 1;
        return merge(bytes);
      };
    });
    const first = count('zqxjvk');
    expect(merges).toBe(1);
    expect(count('zqxjvk')).toBe(first);
    expect(merges).toBe(1);
  });
});
