import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { FREE_WORD, makeModelTrust, type ModelTrust, type ModelWord } from './model-trust.ts';

const HOUR_MS = 3_600_000;

let nowMs: number;
let trust: ModelTrust;
beforeEach(() => {
  nowMs = 0;
  trust = makeModelTrust({ elapsedMs: () => nowMs });
});

/** How many words of a key are taken of so many at once, all of them ended again. */
function takenOf(count: number, keyId = 'k1'): number {
  const words = Array.from({ length: count }, () => trust.begin(keyId));
  for (const word of words) word.end();
  return words.filter(({ isTaken }) => isTaken).length;
}

function say(shown: Parameters<ModelWord['show']>[0] | null, keyId = 'k1'): void {
  const word = trust.begin(keyId);
  if (shown !== null) word.show(shown);
  word.end();
}

describe('the word of a key', () => {
  test('is taken for one call at once, and for one more with each that proved true', () => {
    expect(takenOf(10)).toBe(1);
    say('true');
    expect(takenOf(10)).toBe(2);
    for (let turn = 0; turn < 5; turn += 1) say('true');
    expect(takenOf(10)).toBe(7);
    expect(takenOf(10, 'k2')).toBe(1);
  });

  test('is not taken for an hour after it was wrong, and then as of a key that nobody knows', () => {
    for (let turn = 0; turn < 5; turn += 1) say('true');
    const [first, second] = [trust.begin('k1'), trust.begin('k1')];
    first.show('false');
    expect(trust.begin('k1').isTaken).toBe(false);
    second.show('true');
    nowMs = HOUR_MS - 1;
    expect(trust.begin('k1').isTaken).toBe(false);
    first.end();
    second.end();
    nowMs = HOUR_MS;
    // The one that was on its way proved true.
    expect(takenOf(10)).toBe(2);
  });

  test('that was not taken counts where it was wrong, and not where it was true', () => {
    const taken = trust.begin('k1');
    const declined = trust.begin('k1');
    expect([taken.isTaken, declined.isTaken]).toEqual([true, false]);
    declined.show('true');
    declined.end();
    taken.end();
    expect(takenOf(10)).toBe(1);
    const [again, wrong] = [trust.begin('k1'), trust.begin('k1')];
    wrong.show('false');
    again.end();
    wrong.end();
    expect(takenOf(10)).toBe(0);
  });

  test('of calls that are cut short uses up those that proved true, then it is not taken for an hour', () => {
    say('true');
    say('nothing');
    expect(takenOf(10)).toBe(1);
    say('nothing');
    expect(takenOf(10)).toBe(0);
    nowMs = HOUR_MS;
    expect(takenOf(10)).toBe(1);
  });

  test('of calls whose answers do not say stands as it stood', () => {
    say(null);
    say(null);
    expect(takenOf(10)).toBe(1);
  });

  test('is counted once, however often its end or its showing is told', () => {
    const word = trust.begin('k1');
    word.show('true');
    word.show('true');
    word.end();
    word.end();
    expect(takenOf(10)).toBe(2);
  });

  test('is free for what costs nothing', () => {
    FREE_WORD.show('false');
    FREE_WORD.end();
    expect(FREE_WORD.isTaken).toBe(true);
  });

  test('of a key is remembered among ten thousand others, and forgotten beyond unless it has calls on their way', () => {
    say('false');
    const waiting = trust.begin('k2');
    for (let other = 0; other < 9_998; other += 1) say('true', `other-${other}`);
    expect(trust.begin('k1').isTaken).toBe(false);
    for (let other = 0; other < 20_000; other += 1) say('true', `more-${other}`);
    expect(trust.begin('k1').isTaken).toBe(true);
    expect(trust.begin('k2').isTaken).toBe(false);
    waiting.end();
  });
});

/** The same rules as a plain account of what happened. */
test('a liar has no more words taken at once than proved true before, and one', () => {
  const steps = fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b'),
      act: fc.constantFrom('begin', 'true', 'nothing', 'silent', 'false', 'hour'),
      at: fc.nat(20),
    }),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      let now = 0;
      const judged = makeModelTrust({ elapsedMs: () => now });
      const open: { key: string; word: ModelWord }[] = [];
      const truths = { a: 0, b: 0 };
      for (const { key, act, at } of script) {
        if (act === 'hour') now += HOUR_MS;
        else if (act === 'begin') open.push({ key, word: judged.begin(key) });
        else {
          const [ended] = open.splice(at % Math.max(1, open.length), 1);
          if (ended === undefined) continue;
          if (act === 'true' && ended.word.isTaken) truths[ended.key as 'a' | 'b'] += 1;
          if (act === 'false') truths[ended.key as 'a' | 'b'] = 0;
          if (act !== 'silent') ended.word.show(act);
          ended.word.end();
          if (act === 'false') expect(judged.begin(ended.key).isTaken).toBe(false);
        }
        for (const each of ['a', 'b'] as const) {
          const believed = open.filter((one) => one.key === each && one.word.isTaken).length;
          const isFresh = act === 'begin' && key === each && open.at(-1)?.word.isTaken === true;
          if (isFresh) expect(believed).toBeLessThanOrEqual(truths[each] + 1);
        }
      }
    }),
  );
});
