import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { UnitConfig } from './config/container-config.ts';
import { allotGpus, gpuRoom, neededGpus, unitGpus } from './gpu-allotment.ts';

describe('GPUs of a host', () => {
  test('go to one deployment each, whatever comes and goes', () => {
    const devices = ['a', 'b', 'c', 'd'];
    fc.assert(
      fc.property(fc.array(fc.record({ count: fc.integer({ min: 0, max: 5 }), leaves: fc.nat(9) }), { maxLength: 30 }), (steps) => {
        const held: (readonly string[])[] = [];
        for (const { count, leaves } of steps) {
          const taken = new Set(held.flat());
          const got = allotGpus({ devices, taken, count });
          if (got === null) expect(devices.length - taken.size).toBeLessThan(count);
          else {
            expect(got).toHaveLength(count);
            held.push(got);
          }
          expect(new Set(held.flat()).size).toBe(held.flat().length);
          if (leaves < held.length) held.splice(leaves, 1);
        }
      }),
    );
  });

  test('fit beside what serves, only after it, or not at all', () => {
    expect(gpuRoom({ total: 4, used: 2, given: 1, count: 2 })).toBe('beside');
    expect(gpuRoom({ total: 4, used: 4, given: 1, count: 1 })).toBe('after');
    expect(gpuRoom({ total: 4, used: 4, given: 1, count: 2 })).toBe('none');
    expect(gpuRoom({ total: 0, used: 0, given: 0, count: 0 })).toBe('beside');
  });
});

describe('GPUs of a unit', () => {
  const allotted = ['5', '7'];
  test.each<readonly [UnitConfig['gpus'], readonly string[] | null]>([
    [null, null],
    ['all', ['5', '7']],
    [1, ['5']],
    [2, ['5', '7']],
    [['1'], ['7']],
    [
      ['1', '0'],
      ['7', '5'],
    ],
    // Never more than the deployment was given.
    [8, ['5', '7']],
    [['5'], []],
  ])('%j are %j', (gpus, devices) => {
    expect(unitGpus(gpus, allotted)).toEqual(devices);
    expect(unitGpus(gpus, [])).toBeNull();
  });

  test('say how many are needed at least', () => {
    const unit = (name: string, gpus: UnitConfig['gpus']) => ({ name, gpus }) as UnitConfig;
    expect(neededGpus({ units: [unit('a', 'all'), unit('b', null)] })).toMatchObject({ count: 0 });
    expect(neededGpus({ units: [unit('a', 2), unit('b', ['0', '3'])] })).toEqual({ count: 4, unit: 'b' });
  });
});
