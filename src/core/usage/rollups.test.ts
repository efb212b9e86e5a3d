import { describe, expect, test } from 'vitest';
import { levelFor, ROLLUP_LEVELS, spansFrom } from './rollups.ts';
import { USAGE_WINDOWS, windowRange } from './windows.ts';

const at = (time: string): number => Date.parse(time);
const TIMED = ROLLUP_LEVELS.filter(({ levelMs }) => levelMs > 0);

describe('rollup levels', () => {
  test('each divides the next, so that coarse buckets are made of whole fine ones', () => {
    const remainders = TIMED.slice(1).map(({ levelMs }, index) => levelMs % (TIMED[index]?.levelMs ?? 1));
    expect(remainders).toEqual(TIMED.slice(1).map(() => 0));
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
  const dayMs = 86_400_000;

  test('takes fine buckets until a coarser one starts', () => {
    // The day numbers of 11-21, 11-24 and 12-03 are multiples of 3, of 9 and of 27.
    expect(spansFrom(at('2026-11-18T10:15:00Z'), 900_000)).toEqual([
      { levelMs: 900_000, fromMs: at('2026-11-18T10:15:00Z'), toMs: at('2026-11-18T12:00:00Z') },
      { levelMs: 7_200_000, fromMs: at('2026-11-18T12:00:00Z'), toMs: at('2026-11-18T16:00:00Z') },
      { levelMs: 28_800_000, fromMs: at('2026-11-18T16:00:00Z'), toMs: at('2026-11-19T00:00:00Z') },
      { levelMs: dayMs, fromMs: at('2026-11-19T00:00:00Z'), toMs: at('2026-11-21T00:00:00Z') },
      { levelMs: 3 * dayMs, fromMs: at('2026-11-21T00:00:00Z'), toMs: at('2026-11-24T00:00:00Z') },
      { levelMs: 9 * dayMs, fromMs: at('2026-11-24T00:00:00Z'), toMs: at('2026-12-03T00:00:00Z') },
      { levelMs: 27 * dayMs, fromMs: at('2026-12-03T00:00:00Z'), toMs: null },
    ]);
  });

  test('is one open span where nothing coarser exists', () => {
    const fromMs = 27 * dayMs * 760;
    expect(spansFrom(fromMs, dayMs)).toEqual([{ levelMs: 27 * dayMs, fromMs, toMs: null }]);
  });

  test('are few buckets for every window of a day and more, wherever it starts', () => {
    for (const window of USAGE_WINDOWS.filter(({ windowMs }) => windowMs >= dayMs)) {
      for (let hour = 0; hour < 24 * 27; hour++) {
        const nowMs = at('2026-11-22T10:07:03Z') + hour * 3_600_000;
        const spans = spansFrom(windowRange(window, nowMs).fromMs, window.intervalMs);
        const buckets = spans.map(({ levelMs, fromMs, toMs }) =>
          Math.max(0, Math.ceil((Math.min(toMs ?? nowMs + 1, nowMs + 1) - fromMs) / levelMs)),
        );
        expect(buckets.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(15);
      }
    }
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
