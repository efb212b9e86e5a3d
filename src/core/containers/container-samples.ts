import type { UsageWindow } from '../usage/windows.ts';
import { windowRange } from '../usage/windows.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Containers are looked at that often. */
export const SAMPLE_EVERY_MS = 15 * SECOND_MS;

/** Buckets of `levelMs`, kept for `keepMs`: longer than the longest window whose series they serve. */
export const SAMPLE_LEVELS: readonly { readonly levelMs: number; readonly keepMs: number }[] = [
  { levelMs: SAMPLE_EVERY_MS, keepMs: 2 * HOUR_MS },
  { levelMs: 15 * MINUTE_MS, keepMs: 2 * DAY_MS },
  { levelMs: 2 * HOUR_MS, keepMs: 92 * DAY_MS },
];

/**
 * What a container used of its GPUs at one moment: a share of all of them in thousandths of a percent, and memory in bytes, summed over them.
 */
export interface GpuSample {
  readonly utilization: number;
  readonly memoryBytes: number;
  readonly memoryTotalBytes: number;
}

/**
 * What a container used of what it is given at one moment. `cpu` is a share in thousandths of a percent; `gpu` is null where nobody can
 * tell.
 */
export interface ContainerSample {
  readonly containerId: string;
  readonly atMs: number;
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly memoryTotalBytes: number;
  readonly gpu: GpuSample | null;
}

/** The samples of a container in one bucket of a level, summed. Units as in {@link ContainerSample}; totals are the largest. */
export interface SampleBucket {
  readonly containerId: string;
  readonly levelMs: number;
  readonly bucketMs: number;
  readonly samples: number;
  readonly cpuSum: number;
  readonly cpuMax: number;
  readonly memorySum: number;
  readonly memoryMax: number;
  readonly memoryTotal: number;
  readonly gpuSamples: number;
  readonly gpuSum: number;
  readonly gpuMax: number;
  readonly gpuMemorySum: number;
  readonly gpuMemoryMax: number;
  readonly gpuMemoryTotal: number;
}

/** The sums of a bucket; the others of its numbers are maxima. */
export const SAMPLE_SUMS = ['samples', 'cpuSum', 'memorySum', 'gpuSamples', 'gpuSum', 'gpuMemorySum'] as const;
/** The maxima of a bucket. */
export const SAMPLE_MAXIMA = ['cpuMax', 'memoryMax', 'memoryTotal', 'gpuMax', 'gpuMemoryMax', 'gpuMemoryTotal'] as const;

/** At a moment: which buckets of each level may go, those that end before what it keeps. */
export const sampleCutoffs = (nowMs: number): { readonly levelMs: number; readonly beforeMs: number }[] =>
  SAMPLE_LEVELS.map(({ levelMs, keepMs }) => ({ levelMs, beforeMs: nowMs - keepMs - levelMs + 1 }));

type BucketNumbers = Pick<SampleBucket, (typeof SAMPLE_SUMS)[number] | (typeof SAMPLE_MAXIMA)[number]>;

/** Two buckets of one place as one. */
export function joined<T extends BucketNumbers>(a: T, b: BucketNumbers): T {
  const sums = Object.fromEntries(SAMPLE_SUMS.map((name) => [name, a[name] + b[name]]));
  const maxima = Object.fromEntries(SAMPLE_MAXIMA.map((name) => [name, Math.max(a[name], b[name])]));
  return { ...a, ...sums, ...maxima };
}

/** The buckets that a sample is part of, one of each level. */
export const bucketsOf = ({ containerId, atMs, cpu, memoryBytes, memoryTotalBytes, gpu }: ContainerSample): SampleBucket[] =>
  SAMPLE_LEVELS.map(({ levelMs }) => ({
    containerId,
    levelMs,
    bucketMs: atMs - (atMs % levelMs),
    samples: 1,
    cpuSum: cpu,
    cpuMax: cpu,
    memorySum: memoryBytes,
    memoryMax: memoryBytes,
    memoryTotal: memoryTotalBytes,
    gpuSamples: gpu === null ? 0 : 1,
    gpuSum: gpu?.utilization ?? 0,
    gpuMax: gpu?.utilization ?? 0,
    gpuMemorySum: gpu?.memoryBytes ?? 0,
    gpuMemoryMax: gpu?.memoryBytes ?? 0,
    gpuMemoryTotal: gpu?.memoryTotalBytes ?? 0,
  }));

/** One point of a series: shares in percent (0 to 100), totals in GiB. What nobody could tell of GPUs is null. */
export interface SamplePoint {
  readonly atMs: number;
  readonly cpu: { readonly average: number; readonly max: number };
  readonly memory: { readonly average: number; readonly max: number; readonly totalGib: number };
  readonly gpu: { readonly average: number; readonly max: number } | null;
  readonly gpuMemory: { readonly average: number; readonly max: number; readonly totalGib: number } | null;
}

/** The coarsest level whose buckets are no longer than those of a series; the finest for series that are finer still. */
export function sampleLevelMs(intervalMs: number): number {
  const fitting = SAMPLE_LEVELS.filter(({ levelMs }) => intervalMs % levelMs === 0).map(({ levelMs }) => levelMs);
  return fitting.at(-1) ?? SAMPLE_EVERY_MS;
}

const GIB = 1_073_741_824;
const MILLI_PERCENT = 1000;

const round = (value: number): number => Math.round(value * 1000) / 1000;
const percentOf = (part: number, whole: number): number => (whole === 0 ? 0 : round(Math.min(100, (part / whole) * 100)));
const share = (milliPercent: number): number => round(Math.min(100, Math.max(0, milliPercent / MILLI_PERCENT)));

function pointOf(atMs: number, bucket: SampleBucket | undefined, hasGpu: boolean): SamplePoint {
  const { samples = 0, cpuSum = 0, cpuMax = 0, memorySum = 0, memoryMax = 0, memoryTotal = 0 } = bucket ?? {};
  const { gpuSamples = 0, gpuSum = 0, gpuMax = 0, gpuMemorySum = 0, gpuMemoryMax = 0, gpuMemoryTotal = 0 } = bucket ?? {};
  const mean = (sum: number, count: number): number => (count === 0 ? 0 : sum / count);
  return {
    atMs,
    cpu: { average: share(mean(cpuSum, samples)), max: share(cpuMax) },
    memory: {
      average: percentOf(mean(memorySum, samples), memoryTotal),
      max: percentOf(memoryMax, memoryTotal),
      totalGib: round(memoryTotal / GIB),
    },
    gpu: hasGpu ? { average: share(mean(gpuSum, gpuSamples)), max: share(gpuMax) } : null,
    gpuMemory: hasGpu
      ? {
          average: percentOf(mean(gpuMemorySum, gpuSamples), gpuMemoryTotal),
          max: percentOf(gpuMemoryMax, gpuMemoryTotal),
          totalGib: round(gpuMemoryTotal / GIB),
        }
      : null,
  };
}

/**
 * The series of a window from the buckets of its level: a point for each of its intervals, the oldest first, the last one the present,
 * partial one; those without a sample are all zero. GPUs are null throughout where no sample told of them. Source: Tinfoil reference section 1.3, metrics.
 */
export function sampleSeries(window: UsageWindow, buckets: readonly SampleBucket[], nowMs: number): SamplePoint[] {
  const { fromMs, points } = windowRange(window, nowMs);
  const { intervalMs } = window;
  const lastMs = fromMs + (points - 1) * intervalMs;
  const byPoint = new Map<number, SampleBucket>();
  for (const bucket of buckets) {
    const atMs = Math.min(bucket.bucketMs - (bucket.bucketMs % intervalMs), lastMs);
    const known = byPoint.get(atMs);
    byPoint.set(atMs, known === undefined ? bucket : joined(known, bucket));
  }
  const hasGpu = buckets.some(({ gpuSamples }) => gpuSamples > 0);
  return Array.from({ length: points }, (_, index) => {
    const atMs = fromMs + index * intervalMs;
    return pointOf(atMs, byPoint.get(atMs), hasGpu);
  });
}
