import { expect, test } from 'vitest';
import { makePace } from './pace.ts';

function make() {
  const at = { nowMs: 1000, isBusy: false };
  const waits: number[] = [];
  const pace = makePace({
    isBusy: () => at.isBusy,
    elapsedMs: () => at.nowMs,
    wait: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  });
  return { at, waits, pace };
}

test('while no command waits, any number of requests begins at once', async () => {
  const { pace, waits } = make();
  for (let n = 0; n < 100; n++) await pace();
  expect(waits).toEqual([]);
});

test('while commands wait, 25 begin in a tenth of a second', async () => {
  const { at, pace, waits } = make();
  at.isBusy = true;
  for (let n = 0; n < 25; n++) await pace();
  expect(waits).toEqual([]);
  for (let n = 0; n < 30; n++) await pace();
  expect(waits).toEqual([...Array<number>(25).fill(100), ...Array<number>(5).fill(200)]);
  at.nowMs += 250;
  for (let n = 0; n < 21; n++) await pace();
  expect(waits.slice(30)).toEqual([50]);
});

test('what was not used of a quiet while is not made up for', async () => {
  const { at, pace, waits } = make();
  at.isBusy = true;
  await pace();
  at.nowMs += 10_000;
  for (let n = 0; n < 26; n++) await pace();
  expect(waits).toEqual([100]);
});
