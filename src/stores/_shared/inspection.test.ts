import { expect, test } from 'vitest';
import { schemaStateOf } from './inspection.ts';

const known = [1, 4, 5].map((version) => ({ version }));

test.each([
  [[], 'empty', 0],
  [[1], 'older', 1],
  // A step that came late, with a number between the others.
  [[1, 5], 'older', 5],
  [[5, 4, 1], 'current', 5],
  [[1, 4, 5, 6], 'newer', 6],
  [[1, 6], 'newer', 6],
])('a database that has taken the steps %j is %s', (applied, state, version) => {
  const taken = applied.map((step) => ({ version: step, compatibleWith: step > 5 ? null : 1 }));
  expect(schemaStateOf(taken, known)).toEqual({ state, version, known: 5, applied: applied.toSorted((a, b) => a - b) });
});

test.each([
  [5, 'ahead'],
  [6, 'newer'],
])('a database with a step that is not known, for programs that know %d, is %s', (compatibleWith, state) => {
  const taken = [...known.map(({ version }) => ({ version, compatibleWith: 1 })), { version: 6, compatibleWith }];
  expect(schemaStateOf(taken, known).state).toBe(state);
});
