import type { SampleBucket } from '../../core/containers/container-samples.ts';
import { SAMPLE_MAXIMA, SAMPLE_SUMS } from '../../core/containers/container-samples.ts';

/** Every column of `container_samples` by the field that it holds, in the order of {@link sampleValues}; the first three are its key. */
const COLUMN_BY_FIELD = {
  containerId: 'container_id',
  levelMs: 'level_ms',
  bucketMs: 'bucket_ms',
  samples: 'samples',
  cpuSum: 'cpu_sum',
  cpuMax: 'cpu_max',
  memorySum: 'memory_sum',
  memoryMax: 'memory_max',
  memoryTotal: 'memory_total',
  gpuSamples: 'gpu_samples',
  gpuSum: 'gpu_sum',
  gpuMax: 'gpu_max',
  gpuMemorySum: 'gpu_memory_sum',
  gpuMemoryMax: 'gpu_memory_max',
  gpuMemoryTotal: 'gpu_memory_total',
} as const satisfies Readonly<Record<keyof SampleBucket, string>>;

const FIELDS = Object.keys(COLUMN_BY_FIELD) as (keyof typeof COLUMN_BY_FIELD)[];

/** The columns of a bucket of samples. */
export const SAMPLE_COLUMNS: readonly string[] = FIELDS.map((field) => COLUMN_BY_FIELD[field]);

/** The values of a bucket's columns. */
export const sampleValues = (bucket: SampleBucket): (string | number)[] => FIELDS.map((field) => bucket[field]);

/** What an upsert does to a bucket that is there. `max` is the dialect's function of the greatest of two values. */
export const addToSample = (max: string): string =>
  [
    ...SAMPLE_SUMS.map((field) => COLUMN_BY_FIELD[field]).map((column) => `${column} = container_samples.${column} + excluded.${column}`),
    ...SAMPLE_MAXIMA.map((field) => COLUMN_BY_FIELD[field]).map(
      (column) => `${column} = ${max}(container_samples.${column}, excluded.${column})`,
    ),
  ].join(', ');

/** A row as a driver gives it; numbers may be bigints. */
export type SampleRow = Readonly<Record<string, string | number | bigint>>;

/** The bucket of a row. */
export const sampleFromRow = (row: SampleRow): SampleBucket =>
  Object.fromEntries(
    FIELDS.map((field) => {
      const value = row[COLUMN_BY_FIELD[field]];
      return [field, field === 'containerId' ? String(value) : Number(value)];
    }),
  ) as unknown as SampleBucket;
