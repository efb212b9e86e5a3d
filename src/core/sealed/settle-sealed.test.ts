import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimateUsage, type TokenUsage } from '../metering/token-usage.ts';
import { costNanoUsd, dearest, type Rates } from '../pricing/rates.ts';
import { settleSealed, type SealedPrice } from './settle-sealed.ts';

const rates = (inputNanos: bigint, outputNanos: bigint): Rates => ({ inputNanos, outputNanos, cachedInputNanos: null, requestNanos: 0n });
const priced = (names: readonly string[], of: Rates): SealedPrice => ({ names, price: { id: names[0] ?? 'any', rates: of } });
const usageOf = (prompt: number, completion: number): TokenUsage =>
  estimateUsage({ promptTokens: prompt, completionTokens: completion }, null);

const HELD = usageOf(1000, 500);
const CHEAP = priced(['cheap', 'up-cheap'], rates(1n, 2n));
const DEAR = priced(['dear'], rates(10n, 20n));
const ANY = priced([], rates(10n, 20n));

describe('a settlement', () => {
  const report = (model: string | null) => ({ usage: usageOf(7, 3), model });
  test.each([
    ['no usage', [CHEAP, DEAR], true, null, { candidate: 0, usage: HELD, estimated: true, mismatch: null }],
    ['the named model', [CHEAP, DEAR], true, report('up-cheap'), { candidate: 0, mismatch: null }],
    ['a dearer one', [CHEAP, DEAR], true, report('dear'), { candidate: 1, mismatch: { reported: 'dear' } }],
    ['a cheaper one', [DEAR, CHEAP], true, report('cheap'), { candidate: 0, mismatch: { reported: 'cheap' } }],
    ['one that nobody knows', [CHEAP, DEAR], true, report('other'), { candidate: 1, mismatch: { reported: 'other' } }],
    ['none, of a call that named the cheaper one', [CHEAP, DEAR], true, report(null), { candidate: 1, mismatch: { reported: null } }],
    ['none, of a call that named the dearer one', [DEAR, CHEAP], true, report(null), { candidate: 0, mismatch: null }],
    ['none, of a call that named the only one', [CHEAP], true, report(null), { candidate: 0, mismatch: null }],
    ['one of several', [ANY, CHEAP, DEAR], false, report('cheap'), { candidate: 1, mismatch: null }],
    ['none, of a call without a name', [ANY, CHEAP, DEAR], false, report(null), { candidate: 0, mismatch: null }],
    ['one that nobody knows, without a name', [ANY, CHEAP], false, report('other'), { candidate: 0, mismatch: { reported: 'other' } }],
    ['the only one', [CHEAP], false, report('cheap'), { candidate: 0, mismatch: null }],
  ])('by a report of %s', (_what, prices, isNamed, reported, expected) => {
    expect(settleSealed(prices, { isNamed, reported, held: HELD })).toMatchObject(expected);
  });

  test('of a model whose name a header cannot hold', () => {
    const odd = priced(['münze,groß'], rates(1n, 1n));
    expect(settleSealed([ANY, odd], { isNamed: false, reported: report('m_nze_gro_'), held: HELD })).toMatchObject({
      candidate: 1,
      mismatch: null,
    });
  });

  test('costs no more than what was held by the dearest rates, whichever model answered with no more tokens than held', () => {
    const nanos = fc.bigInt({ min: 0n, max: 1_000_000n });
    const anyRates = fc.record({ inputNanos: nanos, outputNanos: nanos, cachedInputNanos: fc.option(nanos), requestNanos: nanos });
    fc.assert(
      fc.property(
        fc.array(anyRates, { minLength: 1, maxLength: 5 }),
        fc.nat({ max: HELD.promptTokens }),
        fc.nat({ max: HELD.completionTokens }),
        fc.option(fc.nat({ max: 6 })),
        (models, prompt, completion, answered) => {
          const dear = dearest(models) as Rates;
          const prices = [priced([], dear), ...models.map((each, index) => priced([`m${index}`], each))];
          const reported = { usage: usageOf(prompt, completion), model: answered === null ? null : `m${answered}` };
          const { candidate, usage } = settleSealed(prices, { isNamed: false, reported, held: HELD });
          const cost = costNanoUsd(prices[candidate]?.price?.rates as Rates, usage);
          expect(cost).toBeLessThanOrEqual(costNanoUsd(dear, HELD));
          if (answered !== null && answered < models.length) expect(candidate).toBe(answered + 1);
        },
      ),
    );
  });
});
