import { describe, expect, test } from 'vitest';
import { joinGpus, readGpuProbe } from './gpu-probe.ts';

const GIB = 1_073_741_824;

describe('what a probe of GPUs printed', () => {
  test('is a line for each, as nvidia-smi prints it', () => {
    expect(readGpuProbe('37, 1024, 81920\n0, 0, 81920\n')).toEqual([
      { utilization: 37_000, memoryBytes: GIB, memoryTotalBytes: 80 * GIB },
      { utilization: 0, memoryBytes: 0, memoryTotalBytes: 80 * GIB },
    ]);
  });

  test.each([
    '',
    '\n',
    'no devices were found',
    '37, 1024',
    '137, 1, 2',
    '1, 3, 2',
    '-1, 0, 1',
    '1e9, 1, 2',
    'NaN, 1, 2',
    '1, 1, 99999999999',
    '1,2,3\n'.repeat(17),
  ])('is not believed where it is %j', (printed) => {
    expect(readGpuProbe(printed)).toBeNull();
  });

  test('of several is their average, and their memory together', () => {
    expect(joinGpus(readGpuProbe('10, 1, 4\n30, 2, 4') ?? [])).toEqual({
      utilization: 20_000,
      memoryBytes: 3_145_728,
      memoryTotalBytes: 8_388_608,
    });
    expect(joinGpus([])).toBeNull();
  });
});
