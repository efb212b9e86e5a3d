import { expect, test } from 'vitest';
import { GateBusy, makeGate } from './gate.ts';

test('no more go on at once than may, in the order in which they came, also where one fails', async () => {
  const gate = makeGate({ atOnce: 2, waitMs: 10_000 });
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const works = [0, 1, 2, 3].map((n) =>
    gate(async () => {
      begun.push(n);
      await new Promise<void>((resolve) => ends.push(resolve));
      if (n === 0) throw new Error('failed');
      return n;
    }),
  );
  const settled = Promise.allSettled(works);
  await Promise.resolve();
  expect(begun).toEqual([0, 1]);
  ends[0]?.();
  await expect(works[0]).rejects.toThrow('failed');
  expect(begun).toEqual([0, 1, 2]);
  ends[1]?.();
  await works[1];
  ends[2]?.();
  await works[2];
  ends[3]?.();
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
  expect(begun).toEqual([0, 1, 2, 3]);
  expect(await gate(async () => 'after')).toBe('after');
});

test('one that waits too long is not begun, and leaves its place to the next', async () => {
  const gate = makeGate({ atOnce: 1, waitMs: 5 });
  const ends: (() => void)[] = [];
  const first = gate(() => new Promise<void>((resolve) => ends.push(resolve)));
  let hasBegun = false;
  await expect(gate(async () => (hasBegun = true))).rejects.toThrow(GateBusy);
  ends[0]?.();
  await first;
  expect(hasBegun).toBe(false);
  expect(await gate(async () => 'next')).toBe('next');
});
