import { describe, expect, test } from 'vitest';
import type { RouteCandidate } from './candidates.ts';
import { rankByPreference, type CallEstimate, type MeasuredSpeed } from './rank-by-preference.ts';
import type { Preference } from './settings.ts';

/** Nano-USD for a token in and one out (null: no price), milliseconds to the first token and tokens a second (null: not measured). */
type Row = readonly [price: readonly [number, number] | null, speed: readonly [number, number | null] | null, weight?: number];

const ESTIMATE: CallEstimate = { promptTokens: 1000, outputTokens: 100, media: null };

function order(preference: Preference, rows: Readonly<Record<string, Row>>, estimate = ESTIMATE): string {
  const speeds = new Map<string, MeasuredSpeed | null>();
  const candidates = Object.entries(rows).map(([id, [price, speed, weight]]) => {
    speeds.set(id, speed === null ? null : { firstTokenMs: speed[0], tokensPerSecond: speed[1] });
    const rates =
      price === null ? null : { inputNanos: BigInt(price[0]), outputNanos: BigInt(price[1]), cachedInputNanos: null, requestNanos: 0n };
    return {
      upstream: { id },
      upstreamModel: id,
      weight: weight ?? null,
      price: rates === null ? null : { id, rates },
    } as unknown as RouteCandidate;
  });
  const ranked = rankByPreference(candidates, { preference, estimate, speedOf: ({ upstream }) => speeds.get(upstream.id) ?? null });
  return ranked.map(({ candidate }) => candidate.upstream.id).join('');
}

describe('a ranking', () => {
  test.each<[string, Preference, Readonly<Record<string, Row>>, string]>([
    // 1000 in and 100 out: a costs 10,000 + 90,000, b 50,000 + 1000.
    ['by cost, of this very call', 'cost', { a: [[10, 900], null], b: [[50, 10], null] }, 'ba'],
    ['by cost, one without a price last', 'cost', { x: [null, null], a: [[9, 9], null], y: [null, null] }, 'axy'],
    ['by cost, ties as declared', 'cost', { b: [[1, 1], null], a: [[1, 1], null], c: [[1, 1], null] }, 'bac'],
    // 100 tokens: a needs 100 ms + 2000 ms, b 900 ms + 500 ms.
    ['by speed, to the first token and for the output', 'speed', { a: [null, [100, 50]], b: [null, [900, 200]] }, 'ba'],
    ['by speed, one that was not measured first', 'speed', { a: [null, [1, 1000]], n: [null, null] }, 'na'],
    ['by speed, without a pace by the first token', 'speed', { a: [null, [20, null]], b: [null, [10, null]] }, 'ba'],
    ['by speed, ties as declared', 'speed', { b: [null, [5, 5]], a: [null, [5, 5]] }, 'ba'],
    // Cost 0, 1 and 0.1; time 1, 0 and 0.1.
    [
      'balanced, the best of both',
      'balanced',
      {
        a: [
          [10, 0],
          [1000, null],
        ],
        b: [
          [110, 0],
          [0, null],
        ],
        c: [
          [20, 0],
          [100, null],
        ],
      },
      'cab',
    ],
    [
      'balanced, all the same as declared',
      'balanced',
      {
        b: [
          [1, 1],
          [5, 5],
        ],
        a: [
          [1, 1],
          [5, 5],
        ],
      },
      'ba',
    ],
    [
      'balanced, unmeasured counts as the fastest',
      'balanced',
      {
        a: [
          [1, 1],
          [5, 5],
        ],
        n: [[1, 1], null],
        b: [
          [1, 1],
          [9, 5],
        ],
      },
      'nab',
    ],
    [
      'balanced, without a price as the dearest',
      'balanced',
      {
        x: [null, [5, 5]],
        a: [
          [9, 9],
          [5, 5],
        ],
        b: [
          [1, 1],
          [5, 5],
        ],
      },
      'bxa',
    ],
    ['weight 0 stays behind, ranked by itself', 'cost', { x: [[2, 2], null, 0], y: [[1, 1], null, 0], a: [[9, 9], null, 5] }, 'ayx'],
    ['other weights count for nothing', 'cost', { a: [[9, 9], null, 100], b: [[1, 1], null, 1] }, 'ba'],
  ])('%s', (_name, preference, rows, expected) => {
    expect(order(preference, rows)).toBe(expected);
  });

  test('by cost counts what a call uses beside tokens', () => {
    const candidates = [5n, 4n].map((imageNanos, index) => {
      const rates = { inputNanos: 1n, outputNanos: 1n, cachedInputNanos: null, requestNanos: 0n, imageNanos };
      return { upstream: { id: `u${index}` }, upstreamModel: 'm', weight: null, price: { id: 'p', rates } } as unknown as RouteCandidate;
    });
    const estimate = { promptTokens: 10, outputTokens: 0, media: { unit: 'images', quantity: 3 } } as const;
    const ranked = rankByPreference(candidates, { preference: 'cost', estimate, speedOf: () => null });
    expect(ranked.map(({ candidate, costNanoUsd }) => [candidate.upstream.id, costNanoUsd])).toEqual([
      ['u1', 22],
      ['u0', 25],
    ]);
  });
});
