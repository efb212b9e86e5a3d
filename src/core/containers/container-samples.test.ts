import { describe, expect, test } from 'vitest';
import { usageWindow, USAGE_WINDOWS } from '../usage/windows.ts';
import { bucketsOf, SAMPLE_LEVELS, sampleLevelMs, sampleSeries, type ContainerSample, type SampleBucket } from './container-samples.ts';

const GIB = 1_073_741_824;
const NOW_MS = Date.parse('2026-11-23T10:07:03Z');

const sample = (atMs: number, changes: Partial<ContainerSample> = {}): ContainerSample => ({
  containerId: 'c1',
  atMs,
  cpu: 50_000,
  memoryBytes: GIB,
  memoryTotalBytes: 4 * GIB,
  gpu: null,
  ...changes,
});

const atLevel = (samples: readonly ContainerSample[], levelMs: number): SampleBucket[] =>
  samples.flatMap(bucketsOf).filter((bucket) => bucket.levelMs === levelMs);

const windowOf = (name: string) => usageWindow(name) ?? expect.fail();

describe('the series of a container', () => {
  test.each(USAGE_WINDOWS.map(({ name, intervalMs }) => [name, intervalMs] as const))(
    'has a level for the window %s',
    (name, intervalMs) => {
      const levelMs = sampleLevelMs(intervalMs);
      const keepMs = SAMPLE_LEVELS.find((level) => level.levelMs === levelMs)?.keepMs ?? 0;
      expect(keepMs).toBeGreaterThan(windowOf(name).windowMs);
      expect(intervalMs < levelMs ? name : 'fits').toMatch(/^(5m|fits)$/);
    },
  );

  test('has average and maximum of what each point holds, the present one last, and zeros elsewhere', () => {
    const levelMs = sampleLevelMs(60_000);
    const samples = [
      sample(NOW_MS - 3000),
      sample(NOW_MS - 1000, { cpu: 100_000, memoryBytes: 3 * GIB }),
      sample(NOW_MS - 120_000, { cpu: 12_345 }),
    ];
    const points = sampleSeries(windowOf('1h'), atLevel(samples, levelMs), NOW_MS);
    expect(points).toHaveLength(60);
    expect(points.at(-1)).toEqual({
      atMs: Date.parse('2026-11-23T10:07:00Z'),
      cpu: { average: 75, max: 100 },
      memory: { average: 50, max: 75, totalGib: 4 },
      gpu: null,
      gpuMemory: null,
    });
    expect(points.at(-3)?.cpu).toEqual({ average: 12.345, max: 12.345 });
    expect(points.at(-2)).toMatchObject({ cpu: { average: 0, max: 0 }, memory: { average: 0, max: 0, totalGib: 0 } });
  });

  test('tells of GPUs where a sample did, and of nothing in the points without one', () => {
    const gpu = { utilization: 40_000, memoryBytes: 20 * GIB, memoryTotalBytes: 80 * GIB };
    const points = sampleSeries(windowOf('24h'), atLevel([sample(NOW_MS, { gpu }), sample(NOW_MS - 1000)], 900_000), NOW_MS);
    expect(points.at(-1)).toMatchObject({ gpu: { average: 40, max: 40 }, gpuMemory: { average: 25, max: 25, totalGib: 80 } });
    expect(points[0]?.gpu).toEqual({ average: 0, max: 0 });
  });

  test('of five seconds a point shows a sample where its bucket begins', () => {
    const points = sampleSeries(windowOf('5m'), atLevel([sample(NOW_MS - 20_000)], 15_000), NOW_MS);
    expect(points.filter(({ cpu }) => cpu.max > 0).map(({ atMs }) => new Date(atMs).toISOString())).toEqual(['2026-11-23T10:06:30.000Z']);
  });
});
