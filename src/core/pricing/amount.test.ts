import { expect, test } from 'vitest';
import { INT64_MAX } from '../int64.ts';
import { microcentsFromAmount } from './amount.ts';

test.each([
  [12.5, 1_250_000_000n],
  [-12.5, -1_250_000_000n],
  ['-0.00000001', -1n],
  [-5n, -500_000_000n],
  ['-0', 0n],
  ['92233720368.54775807', INT64_MAX],
  ['-92233720368.54775807', -INT64_MAX],
])('%s is %s micro-cents', (amount, microcents) => expect(microcentsFromAmount(amount)).toEqual({ ok: true, microcents }));

test.each([
  ['', 'be an amount such as 50, -50 or "12.50"'],
  ['--1', 'be an amount such as 50, -50 or "12.50"'],
  ['+1', 'be an amount such as 50, -50 or "12.50"'],
  ['-0.000000001', 'have at most 8 decimals'],
  [-0.1234567890123456, 'be written as a string where it has more than 15 digits'],
  ['-92233720368.54775808', 'be at most 92233720368.54775807'],
])('%j must %s', (amount, rule) => expect(microcentsFromAmount(amount)).toEqual({ ok: false, rule }));
