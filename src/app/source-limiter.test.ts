import { expect, test } from 'vitest';
import { makeSourceLimiter } from './source-limiter.ts';

function make(maxSources = 3) {
  let nowMs = 0;
  const limiter = makeSourceLimiter({ limit: { capacity: 5, perSecond: 1 }, maxSources, elapsedMs: () => nowMs });
  return { limiter, pass: (ms: number) => (nowMs += ms) };
}

test('a source asks as often as its allowance says, then waits; others do not', () => {
  const { limiter, pass } = make();
  expect(Array.from({ length: 6 }, () => limiter.ask('10.0.0.1'))).toEqual([0, 0, 0, 0, 0, 1000]);
  expect(limiter.ask('10.0.0.2')).toBe(0);
  pass(1000);
  expect([limiter.ask('10.0.0.1'), limiter.ask('10.0.0.1')]).toEqual([0, 1000]);
});

test('a question that is refused costs nothing', () => {
  const { limiter, pass } = make();
  for (let index = 0; index < 50; index++) limiter.ask('10.0.0.1');
  pass(1000);
  expect(limiter.ask('10.0.0.1')).toBe(0);
});

test('what is charged beyond the allowance is owed', () => {
  const { limiter, pass } = make();
  limiter.ask('10.0.0.1');
  limiter.charge('10.0.0.1', 14);
  expect(limiter.ask('10.0.0.1')).toBe(11_000);
  pass(11_000);
  expect(limiter.ask('10.0.0.1')).toBe(0);
});

test('all addresses of one IPv6 network are one source', () => {
  const { limiter } = make();
  const waits = Array.from({ length: 6 }, (_, index) => limiter.ask(`2001:db8:1:2::${index}`));
  expect(waits.at(-1)).toBe(1000);
});

test('only so many sources are remembered: who has not asked for longest is forgotten', () => {
  const { limiter } = make(3);
  limiter.charge('10.0.0.1', 10);
  for (let index = 2; index <= 4; index++) limiter.ask(`10.0.0.${index}`);
  expect(limiter.size).toBe(3);
  expect(limiter.ask('10.0.0.1')).toBe(0);
  for (let index = 0; index < 1000; index++) limiter.ask(`10.1.${index >> 8}.${index & 255}`);
  expect(limiter.size).toBe(3);
});
