import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ceilDiv, INT64_MAX } from '../int64.ts';
import { scaleDecimal } from './decimal.ts';
import {
  chargeMicrocents,
  costNanoUsd,
  dearest,
  holdNanoUsd,
  MAX_CALL_COST_NANO_USD,
  MAX_RATE_NANO_USD,
  NANOS_PER_MICROCENT,
  ratesFromPrice,
  renderUsd,
  usdNumber,
  type DeclaredPrice,
  type Rates,
} from './rates.ts';

function rates(price: DeclaredPrice): Rates {
  const result = ratesFromPrice(price);
  if (!result.ok) throw new Error(`${result.field} ${result.message}`);
  return result.rates;
}

function used(promptTokens: number, completionTokens: number, cachedPromptTokens: number | null = null, written?: number) {
  return { promptTokens, completionTokens, cachedPromptTokens, ...(written === undefined ? {} : { cacheWritePromptTokens: written }) };
}

describe('the cost of a call', () => {
  // Tinfoil reference section 5, "Price" and the header's example.
  test.each([
    ['plain', { inputPer1m: 1.5, outputPer1m: 5.25 }, used(1000, 500), '0.004125'],
    [
      'cached with its own price',
      { inputPer1m: 1, outputPer1m: 2, cachedInputPer1m: 0.25, perRequest: 0.01 },
      used(1000, 500, 400),
      '0.0117',
    ],
    ['cached without a price of its own', { inputPer1m: 1, outputPer1m: 0 }, used(1000, 0, 400), '0.001'],
    [
      'cache writes with their own price',
      { inputPer1m: 3, outputPer1m: 15, cachedInputPer1m: 0.3, cacheWriteInputPer1m: 3.75 },
      used(1000, 100, 600, 300),
      // 100 * 3 + 600 * 0.3 + 300 * 3.75 + 100 * 15, in millionths.
      '0.003105',
    ],
    ['cache writes without a price of their own', { inputPer1m: 1, outputPer1m: 0 }, used(1000, 0, 0, 400), '0.001'],
    ['cache writes for nothing', { inputPer1m: 1, outputPer1m: 0, cacheWriteInputPer1m: 0 }, used(1000, 0, 0, 400), '0.0006'],
    [
      'no token is read from the cache and written into it',
      { inputPer1m: 1, outputPer1m: 0, cachedInputPer1m: 0, cacheWriteInputPer1m: 2 },
      used(10, 0, 8, 500),
      '0.000004',
    ],
    ['the header example', { inputPer1m: 0.15, outputPer1m: 0.6 }, used(100, 50, 40), '0.000045'],
    ['nothing used', { inputPer1m: 1, outputPer1m: 1 }, used(0, 0), '0'],
    ['the fee of a request alone', { inputPer1m: 1, outputPer1m: 1, perRequest: 0.0000001 }, used(0, 0), '0.0000001'],
    ['negative counts are 0', { inputPer1m: 1, outputPer1m: 1 }, used(-5, -5, -5), '0'],
    ['cached is at most the prompt', { inputPer1m: 2, outputPer1m: 0, cachedInputPer1m: 1 }, used(10, 0, 500), '0.00001'],
    ['not a number is 0', { inputPer1m: 1, outputPer1m: 1 }, used(Number.NaN, Number.POSITIVE_INFINITY), '0'],
  ] as const)('%s', (_name, price, usage, usd) => {
    expect(renderUsd(costNanoUsd(rates(price), usage))).toBe(usd);
  });

  test('negative rates cost nothing', () => {
    const negative = { inputNanos: -5n, outputNanos: -5n, cachedInputNanos: -5n, requestNanos: -5n };
    expect(costNanoUsd(negative, used(10, 10, 5))).toBe(0n);
  });

  test('stops at a million USD, so that no sum of calls leaves int64', () => {
    const dear = { inputNanos: MAX_RATE_NANO_USD, outputNanos: MAX_RATE_NANO_USD, cachedInputNanos: null, requestNanos: 0n };
    expect(costNanoUsd(dear, used(Number.MAX_SAFE_INTEGER, 0))).toBe(MAX_CALL_COST_NANO_USD);
    expect(MAX_CALL_COST_NANO_USD * 9000n < INT64_MAX).toBe(true);
  });
});

describe('declared prices', () => {
  test.each([
    [0.15, 150n],
    ['0.15', 150n],
    [0.0005, 1n],
    ['0.0014999', 1n],
    ['0.0015', 2n],
    ['0.000', 0n],
    ['0e-7', 0n],
    ['1.5e-1', 150n],
    [20, 20_000n],
    [1.1, 1100n],
    [4.35, 4350n],
    [0, 0n],
    [1_000_000, 1_000_000_000n],
  ])('%s USD per million is %s nano-USD per token', (declared, nanos) => {
    expect(rates({ inputPer1m: declared, outputPer1m: 0 }).inputNanos).toBe(nanos);
  });

  test.each([
    ['inputPer1m', { inputPer1m: -1, outputPer1m: 0 }],
    ['inputPer1m', { inputPer1m: Number.NaN, outputPer1m: 0 }],
    ['inputPer1m', { inputPer1m: '0x10', outputPer1m: 0 }],
    ['inputPer1m', { inputPer1m: '', outputPer1m: 0 }],
    ['outputPer1m', { inputPer1m: 0, outputPer1m: 1_000_001 }],
    ['cachedInputPer1m', { inputPer1m: 0, outputPer1m: 0, cachedInputPer1m: 'free' }],
    ['inputPer1m', { inputPer1m: 0.00049999, outputPer1m: 0 }],
    ['outputPer1m', { inputPer1m: 0, outputPer1m: '1e-7' }],
    ['inputPer1m', { inputPer1m: ' 5', outputPer1m: 0 }],
    ['perRequest', { inputPer1m: 0, outputPer1m: 0, perRequest: 1e-10 }],
    ['perRequest', { inputPer1m: 0, outputPer1m: 0, perRequest: -0.01 }],
    ['perRequest', { inputPer1m: 0, outputPer1m: 0, perRequest: 1001 }],
  ] as const)('a wrong %s is named', (field, price) => {
    expect(ratesFromPrice(price)).toMatchObject({ ok: false, field });
  });

  test('decimals pass exactly, whatever doubles make of them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999 }), fc.integer({ min: 0, max: 999 }), (whole, thousandths) => {
        const text = `${whole}.${String(thousandths).padStart(3, '0')}`;
        const exact = BigInt(whole) * 1000n + BigInt(thousandths);
        expect(scaleDecimal(text, 3)).toBe(exact);
        expect(scaleDecimal(Number(text), 3)).toBe(exact);
      }),
    );
  });
});

describe('charges', () => {
  test.each([
    [0n, 0n],
    [1n, 1n],
    [10n, 1n],
    [11n, 2n],
    [4_125_000n, 412_500n],
    [-5n, 0n],
  ])('%s nano-USD charge %s microcents', (nanos, microcents) => {
    expect(chargeMicrocents(nanos)).toBe(microcents);
  });
});

describe('rendering', () => {
  test.each([
    [0n, '0', 0],
    [1n, '0.000000001', 1e-9],
    [10n, '0.00000001', 1e-8],
    [1_000_000_000n, '1', 1],
    [1_500_000_000n, '1.5', 1.5],
    [123_456_789_012_345n, '123456.789012345', 123456.789012345],
    [-4_125_000n, '-0.004125', -0.004125],
  ])('%s nano-USD is %s', (nanos, text, number) => {
    expect(renderUsd(nanos)).toBe(text);
    expect(usdNumber(nanos)).toBe(number);
  });

  test('a rendered amount reads back as itself, without exponent', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: INT64_MAX }), (nanos) => {
        const text = renderUsd(nanos);
        expect(text).toMatch(/^\d+(\.\d*[1-9])?$/);
        expect(scaleDecimal(text, 9)).toBe(nanos);
      }),
    );
  });
});

const anyRates = fc.record(
  {
    inputNanos: fc.bigInt({ min: 0n, max: 10n ** 6n }),
    outputNanos: fc.bigInt({ min: 0n, max: 10n ** 6n }),
    cachedInputNanos: fc.option(fc.bigInt({ min: 0n, max: 10n ** 6n })),
    cacheWriteInputNanos: fc.bigInt({ min: 0n, max: 10n ** 6n }),
    requestNanos: fc.bigInt({ min: 0n, max: 10n ** 9n }),
  },
  { requiredKeys: ['inputNanos', 'outputNanos', 'cachedInputNanos', 'requestNanos'] },
);

describe('holds', () => {
  test('no usage within the bound costs or charges more than its hold', () => {
    fc.assert(
      fc.property(
        fc.array(anyRates, { minLength: 1, maxLength: 4 }),
        fc.nat(4),
        fc.nat(100_000),
        fc.nat(10_000),
        fc.integer({ min: 1, max: 8 }),
        fc.tuple(fc.nat(100), fc.nat(100), fc.nat(100), fc.nat(100)),
        (all, chosen, inputTokens, perChoice, choices, [input, output, cached, written]) => {
          const dear = dearest(all);
          const actual = all[chosen % all.length];
          if (dear === null || actual === undefined) throw new Error('there is at least one');
          const promptTokens = Math.floor((inputTokens * input) / 100);
          const part = (percent: number): number => Math.floor((promptTokens * percent) / 100);
          const usage = used(promptTokens, Math.floor((perChoice * choices * output) / 100), part(cached), part(written));
          const hold = holdNanoUsd(dear, { inputTokens, choices });
          const held = hold.base + hold.perUnit * BigInt(perChoice);
          expect(costNanoUsd(actual, usage) <= held).toBe(true);
          expect(chargeMicrocents(costNanoUsd(actual, usage)) <= ceilDiv(held, NANOS_PER_MICROCENT)).toBe(true);
        },
      ),
    );
  });

  test('where one has no cached price, cached tokens cost it its input price', () => {
    const plain = { inputNanos: 200n, outputNanos: 5n, cachedInputNanos: null, requestNanos: 0n };
    const cached = { inputNanos: 100n, outputNanos: 9n, cachedInputNanos: 50n, requestNanos: 7n };
    const dear = { inputNanos: 200n, outputNanos: 9n, cachedInputNanos: 200n, requestNanos: 7n };
    expect(dearest([plain, cached])).toStrictEqual(dear);
    expect(dearest([cached, plain])).toStrictEqual(dear);
    expect(dearest([plain, plain])).toStrictEqual(plain);
  });

  test('where one has no price for cache writes, they cost it its input price', () => {
    const plain = { inputNanos: 200n, outputNanos: 5n, cachedInputNanos: null, requestNanos: 0n };
    const writes = { ...plain, inputNanos: 100n, cacheWriteInputNanos: 125n };
    expect(dearest([plain, writes])).toMatchObject({ inputNanos: 200n, cacheWriteInputNanos: 200n });
    expect(dearest([writes, { ...writes, cacheWriteInputNanos: 500n }])).toMatchObject({ cacheWriteInputNanos: 500n });
    expect(holdNanoUsd(writes, { inputTokens: 10, choices: 0 }).base).toBe(1250n);
  });

  test('nothing to choose from has no price', () => {
    expect(dearest([])).toBeNull();
  });
});
