import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MediaUnit } from '../metering/media-use.ts';
import { chargeMicrocents, costNanoUsd, dearest, figuresOfRates, holdNanoUsd, ratesFromPrice, ratesOfPrice, type Rates } from './rates.ts';

const FREE = { inputPer1m: 0, outputPer1m: 0 };
const NO_TOKENS = { promptTokens: 0, completionTokens: 0, cachedPromptTokens: null };

function ratesOf(price: object): Rates {
  const result = ratesFromPrice({ ...FREE, ...price });
  if (!result.ok) throw new Error(`${result.field} ${result.message}`);
  return result.rates;
}

describe('prices of media', () => {
  test.each([
    ['a second of sound', { perSecond: 0.0001 }, 'seconds', 90, 9_000_000n],
    ['characters', { per1mCharacters: 15 }, 'characters', 1000, 15_000_000n],
    ['images', { perImage: '0.04' }, 'images', 3, 120_000_000n],
    ['another unit', { perImage: 1 }, 'seconds', 3, 0n],
  ] as const)('%s cost exactly what is declared', (_name, price, unit, quantity, nanos) => {
    expect(costNanoUsd(ratesOf(price), NO_TOKENS, { unit, quantity })).toBe(nanos);
  });

  test('they come on top of tokens and fee', () => {
    const rates = ratesOf({ inputPer1m: 1, outputPer1m: 2, perRequest: 0.01, perSecond: 0.001 });
    const usage = { promptTokens: 10, completionTokens: 5, cachedPromptTokens: null };
    expect(costNanoUsd(rates, usage, { unit: 'seconds', quantity: 2 })).toBe(10_000_000n + 10_000n + 10_000n + 2_000_000n);
  });

  test.each([
    ['perSecond', -1, 'at least 0'],
    ['perSecond', 1001, 'at most 1000'],
    ['perSecond', 1e-10, 'no smaller price'],
    ['per1mCharacters', 'dear', 'decimal number'],
    ['per1mCharacters', 1_000_001, 'at most 1000000'],
    ['per1mCharacters', 0.0001, 'no smaller price'],
    ['perImage', 1001, 'at most 1000'],
  ])('%s %s is refused', (field, value, message) => {
    const result = ratesFromPrice({ ...FREE, [field]: value });
    expect(result).toMatchObject({ ok: false, field });
    expect(result.ok ? '' : result.message).toContain(message);
  });

  test('what costs nothing is not kept, so that a price without media is as it ever was', () => {
    expect(ratesOf({ perSecond: 0, perImage: null })).toEqual(ratesOf({}));
    expect(Object.keys(figuresOfRates(ratesOf({})))).toEqual(['inputNanos', 'outputNanos', 'cachedInputNanos', 'requestNanos']);
  });

  test('figures and rates are the same thing', () => {
    const rates = ratesOf({ cachedInputPer1m: 1, perSecond: 1, per1mCharacters: 2, perImage: 3 });
    expect(ratesOfPrice(figuresOfRates(rates))).toEqual(rates);
  });
});

const nanos = fc.bigInt({ min: 0n, max: 10n ** 9n });
const anyRates: fc.Arbitrary<Rates> = fc
  .record({
    inputNanos: nanos,
    outputNanos: nanos,
    cachedInputNanos: fc.option(nanos),
    requestNanos: nanos,
    secondNanos: nanos,
    characterNanos: nanos,
    imageNanos: nanos,
  })
  .map((rates) => rates);
const unit = fc.constantFrom<MediaUnit>('seconds', 'characters', 'images');

describe('actual ≤ hold', () => {
  test('whichever upstream answers, and however much of what was bounded is used', () => {
    const count = fc.nat(100_000);
    fc.assert(
      fc.property(
        fc.array(anyRates, { minLength: 1, maxLength: 4 }),
        unit,
        fc.tuple(count, count, count),
        fc.tuple(count, count, count),
        (all, what, [prompt, output, media], [morePrompt, moreOutput, moreMedia]) => {
          const dear = dearest(all);
          if (dear === null) throw new Error('there are rates');
          const bound = { inputTokens: prompt + morePrompt, choices: 1, media: { unit: what, quantity: media + moreMedia } };
          const { base, perUnit } = holdNanoUsd(dear, bound);
          const hold = chargeMicrocents(base + perUnit * BigInt(output + moreOutput));
          for (const rates of all) {
            const usage = { promptTokens: prompt, completionTokens: output, cachedPromptTokens: null };
            expect(chargeMicrocents(costNanoUsd(rates, usage, { unit: what, quantity: media }))).toBeLessThanOrEqual(hold);
          }
        },
      ),
    );
  });
});
