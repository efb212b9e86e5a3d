import { describe, expect, test } from 'vitest';
import type { Price } from '../records.ts';
import { ONE_PER_USD } from './currency.ts';
import { listedPricing } from './listed-pricing.ts';

const price = (changes: Partial<Price>): Price => ({
  id: 'p',
  modelId: 'm',
  upstreamId: null,
  appliesFromMs: 0,
  inputNanos: 150,
  outputNanos: 600,
  cachedInputNanos: null,
  requestNanos: 0,
  createdAtMs: 0,
  ...changes,
});

describe('listedPricing', () => {
  test('names tokens alone where nothing else is priced, a price of 0 too', () => {
    expect(listedPricing([price({ outputNanos: 0 })], ONE_PER_USD)).toEqual({ input_token: 0.15, output_token: 0 });
  });

  test('is the least of each price by itself, whichever upstream asks it', () => {
    const prices: [Price, Price] = [
      price({ inputNanos: 100, outputNanos: 900, cachedInputNanos: 90, secondNanos: 100_000 }),
      price({ inputNanos: 200, outputNanos: 300, cachedInputNanos: 50, characterNanos: 15_000, cacheWriteInputNanos: 250 }),
    ];
    expect(listedPricing(prices, ONE_PER_USD)).toEqual({
      input_token: 0.1,
      output_token: 0.3,
      cache_read_cost: 0.05,
      cache_write_cost: 0.1,
      audio_cost: 0.0001,
      speech_cost: 15,
    });
  });

  test.each<[string, number, number]>([
    ['0.92', 920_000_000, 0.138],
    ['1.1', 1_100_000_000, 0.165],
    ['92000, the largest', 92_000 * ONE_PER_USD, 13_800],
  ])('is in the currency of which a USD is worth %s', (_rate, perUsdNanos, input) => {
    expect(listedPricing([price({})], perUsdNanos).input_token).toBe(input);
  });

  test.each([
    [499, 0],
    [500, 0],
    [501, 1e-9],
    [1500, 2e-9],
    [2500, 2e-9],
  ])('goes from %d millionths of a billionth to the nearest billionth, from the half to the even one', (perUsdNanos, input) => {
    expect(listedPricing([price({ inputNanos: 1 })], perUsdNanos).input_token).toBe(input);
  });

  test('is exact for the dearest token', () => {
    expect(listedPricing([price({ inputNanos: 1_000_000_000 })], 92_000 * ONE_PER_USD).input_token).toBe(92_000_000_000);
  });
});
