import { describe, expect, test } from 'vitest';
import { levelFor, ROLLUP_LEVELS, spansFrom } from './rollups.ts';
import { USAGE_WINDOWS, windowRange } from './windows.ts';

const at = (time: string): number => Date.parse(time);
const TIMED = ROLLUP_LEVELS.filter(({ levelMs }) => levelMs > 0);

describe('rollup levels', () => {
  test('each divides the next, so that coarse buckets are made of whole fine ones', () => {
    const remainders = TIMED.slice(1).map(({ levelMs }, index) => levelMs % (TIMED[index]?.levelMs ?? 1));
    expect(remainders).toEqual([0, 0, 0, 0, 0]);
  });

  test('serve every window for longer than it reaches back', () => {
    for (const { intervalMs, windowMs } of USAGE_WINDOWS) {
      const level = TIMED.find(({ levelMs }) => levelMs === levelFor(intervalMs));
      expect(level).toBeDefined();
      expect(level?.keepMs ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(windowMs + intervalMs);
    }
  });

  test('the coarsest one whose buckets make up the interval is taken', () => {
    const levels = USAGE_WINDOWS.map(({ name, intervalMs }) => `${name} from ${levelFor(intervalMs) / 1000} s`);
    expect(levels).toEqual([
      '5m from 5 s',
      '15m from 5 s',
      '30m from 30 s',
      '1h from 30 s',
      '24h from 900 s',
      '7d from 7200 s',
      '30d from 28800 s',
      '60d from 86400 s',
      '90d from 86400 s',
    ]);
    expect(() => levelFor(7000)).toThrow(RangeError);
    expect(() => levelFor(0)).toThrow(RangeError);
  });
});

describe('spansFrom', () => {
  test('takes fine buckets until a coarser one starts', () => {
    expect(spansFrom(at('2026-11-21T10:15:00Z'), 900_000)).toEqual([
      { levelMs: 900_000, fromMs: at('2026-11-21T10:15:00Z'), toMs: at('2026-11-21T12:00:00Z') },
      { levelMs: 7_200_000, fromMs: at('2026-11-21T12:00:00Z'), toMs: at('2026-11-21T16:00:00Z') },
      { levelMs: 28_800_000, fromMs: at('2026-11-21T16:00:00Z'), toMs: at('2026-11-22T00:00:00Z') },
      { levelMs: 86_400_000, fromMs: at('2026-11-22T00:00:00Z'), toMs: null },
    ]);
  });

  test('is one span where nothing coarser exists', () => {
    expect(spansFrom(at('2026-08-25T00:00:00Z'), 86_400_000)).toEqual([
      { levelMs: 86_400_000, fromMs: at('2026-08-25T00:00:00Z'), toMs: null },
    ]);
  });

  test('follow one another without gap or overlap, each of whole buckets', () => {
    for (const window of USAGE_WINDOWS) {
      const { fromMs } = windowRange(window, at('2026-11-22T10:07:03Z'));
      let nextMs: number | null = fromMs;
      for (const { levelMs, fromMs: startMs, toMs } of spansFrom(fromMs, window.intervalMs)) {
        expect([startMs, startMs % levelMs]).toEqual([nextMs, 0]);
        nextMs = toMs;
      }
      expect(nextMs).toBeNull();
    }
  });
});
