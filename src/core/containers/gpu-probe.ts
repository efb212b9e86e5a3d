import type { GpuSample } from './container-samples.ts';

const MAX_GPUS = 16;
const MIB = 1_048_576;
const MILLI_PERCENT = 1000;
/** A GPU has no more memory than that, in MiB. */
const MAX_MEMORY_MIB = 16_777_216;

/**
 * Reads what a probe of GPUs printed: a line for each, of its utilization in percent, the memory that is used and all of it, in MiB, with
 * commas between. Null where it is anything else: whoever owns the image writes it. Source: `nvidia-smi`, `--query-gpu` with `--format=csv,noheader,nounits`.
 */
export function readGpuProbe(printed: string): readonly GpuSample[] | null {
  const lines = printed.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0 || lines.length > MAX_GPUS) return null;
  const gpus = lines.map((line): GpuSample | null => {
    const parts = line.split(',').map((part) => part.trim());
    const [percent = NaN, used = NaN, total = NaN] = parts.map((part) => (/^\d{1,9}(?:\.\d{1,6})?$/.test(part) ? Number(part) : NaN));
    const isGood = parts.length === 3 && percent <= 100 && total <= MAX_MEMORY_MIB && used <= total;
    return isGood
      ? { utilization: Math.round(percent * MILLI_PERCENT), memoryBytes: Math.round(used * MIB), memoryTotalBytes: Math.round(total * MIB) }
      : null;
  });
  return gpus.includes(null) ? null : (gpus as GpuSample[]);
}

/** Several GPUs as one: the average of their utilization, the sums of their memory. Null for none. */
export function joinGpus(gpus: readonly GpuSample[]): GpuSample | null {
  if (gpus.length === 0) return null;
  const sum = (of: (gpu: GpuSample) => number): number => gpus.reduce((total, gpu) => total + of(gpu), 0);
  return {
    utilization: Math.round(sum(({ utilization }) => utilization) / gpus.length),
    memoryBytes: sum(({ memoryBytes }) => memoryBytes),
    memoryTotalBytes: sum(({ memoryTotalBytes }) => memoryTotalBytes),
  };
}
