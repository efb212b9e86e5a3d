import { describe, expect, test } from 'vitest';
import type { RouteCandidate } from './candidates.ts';
import { GOOD_STANDING, type Standing } from './circuit.ts';
import { orderByStanding, rankCandidates } from './rank.ts';

const candidates = (weights: Readonly<Record<string, number | null>>): RouteCandidate[] =>
  Object.entries(weights).map(
    ([id, weight]) => ({ upstream: { id }, upstreamModel: id, weight, price: null }) as unknown as RouteCandidate,
  );
const ids = (ranked: readonly RouteCandidate[]): string => ranked.map(({ upstream }) => upstream.id).join('');

/** How often each order comes out of `count` draws that lie evenly in [0, 1). */
function orders(weights: Readonly<Record<string, number | null>>, count: number): Record<string, number> {
  const seen: Record<string, number> = {};
  for (let draw = 0; draw < count; draw++) {
    const order = ids(rankCandidates(candidates(weights), (draw + 0.5) / count));
    seen[order] = (seen[order] ?? 0) + 1;
  }
  return seen;
}

describe('the order by weight', () => {
  test('is the declared one where nothing has a weight, whatever is drawn', () => {
    expect(orders({ a: null, b: null, c: null }, 100)).toEqual({ abc: 100 });
  });

  test('gives each upstream its share of first trials', () => {
    expect(orders({ a: 3, b: 1 }, 400)).toEqual({ ab: 300, ba: 100 });
  });

  test('gives the share of a failing upstream to the others by their weights', () => {
    // After a (half of all): b and c by 1 to 1; after b or c (a quarter each): a and the other by 2 to 1.
    expect(orders({ a: 2, b: 1, c: 1 }, 2400)).toEqual({ abc: 600, acb: 600, bac: 400, bca: 200, cab: 400, cba: 200 });
  });

  test('counts an upstream without a weight as 1 beside one that has one', () => {
    expect(orders({ a: null, b: 3 }, 400)).toEqual({ ab: 100, ba: 300 });
  });

  test('keeps those of weight 0 for fallback, as declared', () => {
    expect(orders({ x: 0, a: 1, y: 0, b: 1 }, 200)).toEqual({ abxy: 100, baxy: 100 });
    expect(orders({ x: 0, y: 0 }, 10)).toEqual({ xy: 10 });
  });

  test.each([0, 1 - Number.EPSILON / 2, 0.5])('names each upstream once at the draw %d', (draw) => {
    const many = candidates(Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`u${index}`, index % 7])));
    const ranked = rankCandidates(many, draw);
    expect(new Set(ranked)).toEqual(new Set(many));
    expect(ranked).toHaveLength(50);
  });
});

describe('the order by standing', () => {
  const order = (standings: Readonly<Record<string, Standing>>): string =>
    ids(orderByStanding(candidates({ a: 1, b: 1, c: 1, d: 1 }), ({ upstream }) => standings[upstream.id] ?? GOOD_STANDING));

  test('stays where all are good', () => {
    expect(order({})).toBe('abcd');
  });

  test('puts those that rest behind the good ones, and the open ones last', () => {
    expect(order({ a: { kind: 'open', backInMs: 1 }, b: { kind: 'resting', backInMs: 9 } })).toBe('cdba');
  });

  test('puts the one that is back soonest first among its like', () => {
    expect(order({ a: { kind: 'open', backInMs: 30 }, b: { kind: 'open', backInMs: 10 }, d: { kind: 'open', backInMs: 20 } })).toBe('cbda');
  });
});
