import { describe, expect, test } from 'vitest';
import type { Model, Price, Upstream } from '../records.ts';
import { priceAt, priceTableOf, routeOf } from './candidates.ts';

const price = (changes: Partial<Price>): Price => ({
  id: 'p',
  modelId: 'm',
  upstreamId: null,
  appliesFromMs: 0,
  inputNanos: 1,
  outputNanos: 2,
  cachedInputNanos: null,
  requestNanos: 0,
  createdAtMs: 0,
  ...changes,
});

const at = { modelId: 'm', upstreamId: 'u', nowMs: 100 };
const upstream = (id: string): Upstream => ({ id }) as Upstream;
const model = { id: 'm', upstreams: ['a', 'b', 'c'].map((id) => ({ id, model: `${id}-m` })) } as unknown as Model;

describe('the price that applies', () => {
  test.each<[string, Partial<Price>[], string | null]>([
    ['none where there is none', [], null],
    ['the one of the model', [{ id: 'shared' }], 'shared'],
    [
      "the upstream's own before the model's",
      [
        { id: 'own', upstreamId: 'u' },
        { id: 'shared', appliesFromMs: 50 },
      ],
      'own',
    ],
    ['not the one of another upstream', [{ id: 'other', upstreamId: 'v' }, { id: 'shared' }], 'shared'],
    ['not the one of another model', [{ id: 'other', modelId: 'n' }], null],
    [
      'the newest that has begun',
      [
        { id: 'new', appliesFromMs: 100 },
        { id: 'old', appliesFromMs: 99 },
        { id: 'later', appliesFromMs: 101 },
      ],
      'new',
    ],
    [
      'an own one that has not begun leaves the shared one',
      [{ id: 'own', upstreamId: 'u', appliesFromMs: 101 }, { id: 'shared' }],
      'shared',
    ],
    [
      'of two from the same moment the one declared later',
      [
        { id: 'late', createdAtMs: 9 },
        { id: 'early', createdAtMs: 8 },
      ],
      'late',
    ],
    ['of two declared together the one with the greater id', [{ id: 'b' }, { id: 'a' }], 'b'],
  ])('%s', (_name, prices, expected) => {
    expect(priceAt(prices.map(price), at)?.id ?? null).toBe(expected);
    expect(priceAt(prices.map(price).toReversed(), at)?.id ?? null).toBe(expected);
    for (const list of [prices.map(price), prices.map(price).toReversed()]) {
      const { byUpstream } = priceTableOf(list, at);
      expect((byUpstream.get('u') ?? byUpstream.get(null))?.id ?? null).toBe(expected);
    }
  });

  test('holds in its table until the next one begins', () => {
    const prices = [price({ appliesFromMs: 50 }), price({ appliesFromMs: 200 }), price({ appliesFromMs: 150 })];
    expect(priceTableOf(prices, at)).toMatchObject({ fromMs: 100, untilMs: 150 });
    expect(priceTableOf(prices, { ...at, nowMs: 200 }).untilMs).toBe(Infinity);
  });
});

describe('where a call may go', () => {
  const route = (options: { known: string[]; prices: Price[]; allowUnpriced?: boolean }): ReturnType<typeof routeOf> =>
    routeOf({
      model,
      upstreamOf: (id) => (options.known.includes(id) ? upstream(id) : undefined),
      prices: priceTableOf(options.prices, { modelId: 'm', nowMs: 100 }),
      allowUnpriced: options.allowUnpriced ?? false,
    });
  const ids = (result: ReturnType<typeof routeOf>): string[] | string =>
    result.kind === 'candidates' ? result.candidates.map(({ upstream: { id }, upstreamModel }) => `${id}:${upstreamModel}`) : result.kind;

  test('to the upstreams in the order in which the model declares them', () => {
    expect(ids(route({ known: ['c', 'b', 'a'], prices: [price({})] }))).toEqual(['a:a-m', 'b:b-m', 'c:c-m']);
  });

  test('not to upstreams that are gone', () => {
    expect(ids(route({ known: ['c'], prices: [price({})] }))).toEqual(['c:c-m']);
    expect(ids(route({ known: [], prices: [price({})] }))).toBe('no_upstream');
  });

  test('not to those without a price, unless the tenant allows it', () => {
    const prices = [price({ upstreamId: 'b' })];
    expect(ids(route({ known: ['a', 'b'], prices }))).toEqual(['b:b-m']);
    expect(ids(route({ known: ['a'], prices }))).toBe('unpriced');
    expect(ids(route({ known: ['a', 'b'], prices, allowUnpriced: true }))).toEqual(['a:a-m', 'b:b-m']);
  });
});
