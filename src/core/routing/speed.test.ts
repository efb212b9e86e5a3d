import { describe, expect, test } from 'vitest';
import { noteSpeed, readSpeeds, SPEED_LASTS_MS, speedAt, writeSpeeds, type Speed, type SpeedSample } from './speed.ts';

const sample = (firstTokenMs: number | null, outputTokens: number, outputMs: number): SpeedSample => ({
  firstTokenMs,
  outputTokens,
  outputMs,
});
const known: Speed = { firstTokenMs: 100, tokensPerSecond: 50, atMs: 1000 };

describe('the speed of an upstream', () => {
  test.each<[string, Speed | undefined, SpeedSample, Omit<Speed, 'atMs'>]>([
    ['begins with the first answer', undefined, sample(200, 100, 1000), { firstTokenMs: 200, tokensPerSecond: 100 }],
    ['moves by a fifth of the way with each', known, sample(200, 100, 1000), { firstTokenMs: 120, tokensPerSecond: 60 }],
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
      sample(null, 90, 1000),
      { firstTokenMs: 100, tokensPerSecond: 60 },
    ],
    ['takes the whole time where there is no output', known, sample(null, 0, 200), { firstTokenMs: 120, tokensPerSecond: 50 }],
    ['stays finite where all came at once', undefined, sample(1, 5, 0), { firstTokenMs: 1, tokensPerSecond: 1_000_000 }],
  ])('%s', (_name, before, answer, expected) => {
    expect(noteSpeed(before, answer, 2000)).toEqual({ ...expected, atMs: 2000 });
  });

  test('is unknown again after an hour without an answer, and then begun anew', () => {
    expect(speedAt(known, known.atMs + SPEED_LASTS_MS)).toBe(known);
    expect(speedAt(known, known.atMs + SPEED_LASTS_MS + 1)).toBeNull();
    expect(speedAt(undefined, 0)).toBeNull();
    const late = known.atMs + SPEED_LASTS_MS + 1;
    expect(noteSpeed(known, sample(300, 10, 1000), late)).toEqual({ firstTokenMs: 300, tokensPerSecond: 10, atMs: late });
  });

  test('is kept and read again, old ones left out', () => {
    const speeds = new Map([
      ['a m', known],
      ['b m', { firstTokenMs: 5, tokensPerSecond: null, atMs: 900 }],
      ['old m', { ...known, atMs: 1000 - SPEED_LASTS_MS }],
    ]);
    const kept = writeSpeeds(speeds, 1001);
    expect(readSpeeds(kept)).toEqual(new Map([...speeds].slice(0, 2)));
  });

  test.each([[undefined], [null], ['x'], [[1]], [{ a: 1, b: ['x', 1, 1], c: [1, -1, 1], d: [1, 1, null] }]])(
    'reads nothing from %j',
    (value) => {
      expect(readSpeeds(value)).toEqual(new Map());
    },
  );
});
