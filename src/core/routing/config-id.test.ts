import { expect, test } from 'vitest';
import { projectConfigId } from './config-id.ts';

// The hashes are those of the published test vectors of FNV-1a, 64 bits.
test.each([
  ['', 0, '00000000cbf29ce484222325'],
  ['a', 1_758_788_990_735, '68d4fd7eaf63dc4c8601ec8c'],
  ['foobar', 999, '0000000085944171f73967e8'],
])('the configuration of %j made at %i has the id %s', (id, createdAtMs, expected) => {
  expect(projectConfigId({ id, createdAtMs })).toBe(expected);
});
