import { describe, expect, test } from 'vitest';
import type { MeasuredSpeed } from './rank-by-preference.ts';
import { noteSpeed, readSpeeds, SPEED_LASTS_MS, speedAt, writeSpeeds, type Speed, type SpeedSample } from './speed.ts';

const sample = (firstTokenMs: number | null, outputTokens: number, outputMs: number): SpeedSample => ({
  firstTokenMs,
  outputTokens,
  outputMs,
});
const known: Speed = { firstTokenMs: 100, tokensPerSecond: 50, paceTokens: 500, atMs: 1000 };

describe('the speed of an upstream', () => {
  test.each<[string, Speed | undefined, SpeedSample, MeasuredSpeed]>([
    ['begins with the first answer', undefined, sample(200, 100, 1000), { firstTokenMs: 200, tokensPerSecond: 100 }],
    ['moves by a fifth of the way with each', known, sample(200, 100, 7000), { firstTokenMs: 120, tokensPerSecond: 500 / 15 }],
    ['keeps its pace by an answer without output', known, sample(200, 0, 5), { firstTokenMs: 120, tokensPerSecond: 50 }],
    [
      'takes an answer that came whole as all output at first',
      undefined,
      sample(null, 100, 1000),
      { firstTokenMs: 0, tokensPerSecond: 100 },
    ],
    [
      'takes the known time to the first token from one that came whole',
      known,
      sample(null, 100, 1100),
      { firstTokenMs: 100, tokensPerSecond: 500 / 9 },
    ],
    ['takes the whole time where there is no output', known, sample(null, 0, 200), { firstTokenMs: 120, tokensPerSecond: 50 }],
    ['stays finite where all came at once', undefined, sample(1, 5, 0), { firstTokenMs: 1, tokensPerSecond: 1_000_000 }],
  ])('%s', (_name, before, answer, expected) => {
    expect(noteSpeed(before, answer, 2000)).toMatchObject({ ...expected, atMs: 2000 });
  });

  test('is hardly moved by a few tokens that came at once, and soon right again where it began with them', () => {
    expect(noteSpeed(known, sample(100, 3, 0), 2000).tokensPerSecond).toBeLessThan(51);
    const begun = noteSpeed(undefined, sample(100, 3, 0), 2000);
    expect(noteSpeed(begun, sample(100, 100, 2000), 2000).tokensPerSecond).toBeCloseTo(51, 0);
  });

  test('follows an upstream that stalls in a short answer', () => {
    expect(noteSpeed(known, sample(100, 3, 20_000), 2000).tokensPerSecond).toBeLessThan(15);
  });

  test('is unknown again after an hour without an answer, and then begun anew', () => {
    expect(speedAt(known, known.atMs + SPEED_LASTS_MS)).toBe(known);
    expect(speedAt(known, known.atMs + SPEED_LASTS_MS + 1)).toBeNull();
    expect(speedAt(undefined, 0)).toBeNull();
    const late = known.atMs + SPEED_LASTS_MS + 1;
    expect(noteSpeed(known, sample(300, 10, 1000), late)).toEqual({ firstTokenMs: 300, tokensPerSecond: 10, paceTokens: 10, atMs: late });
  });

  test('is kept and read again, old ones left out', () => {
    const speeds = new Map([
      ['a m', known],
      ['b m', { firstTokenMs: 5, tokensPerSecond: null, paceTokens: 0, atMs: 900 }],
      ['old m', { ...known, atMs: 1000 - SPEED_LASTS_MS }],
    ]);
    const kept = writeSpeeds(speeds, 1001);
    expect(readSpeeds(kept)).toEqual(new Map([...speeds].slice(0, 2)));
  });

  test('is read as the version before kept it', () => {
    expect(readSpeeds({ 'a m': [100, 50, 1000] })).toEqual(new Map([['a m', { ...known, paceTokens: 100 }]]));
  });

  test.each([[undefined], [null], ['x'], [[1]], [{ a: 1, b: ['x', 1, 1], c: [1, -1, 1], d: [1, 1, null], e: [1, 1, 1, -1] }]])(
    'reads nothing from %j',
    (value) => {
      expect(readSpeeds(value)).toEqual(new Map());
    },
  );
});
