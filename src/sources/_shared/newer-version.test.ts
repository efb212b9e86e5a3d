import { expect, test } from 'vitest';
import { newerVersion } from './newer-version.ts';

test.each([
  ['v1.0.0', ['v1.0.0', 'v1.2.0', 'v1.10.0', 'v1.9.9'], 'v1.10.0'],
  ['1.0.0', ['v1.0.1'], 'v1.0.1'],
  ['v2.0.0', ['v1.9.9', 'v2.0.0'], null],
  ['v1.0.0', ['v2.0.0-rc.1', 'v1.0.1'], 'v1.0.1'],
  ['v2.0.0-rc.1', ['v2.0.0-rc.2', 'v2.0.0-beta.9'], 'v2.0.0-rc.2'],
  ['v2.0.0-rc.1', ['v2.0.0'], 'v2.0.0'],
  ['v1.0.0', ['latest', 'v2', 'release-3.0.0', 'v1.0', 'vv9.0.0', '', `v${'9'.repeat(400)}.0.0`], null],
  ['main', ['v1.0.0'], null],
  ['v1.0.0', ['v1.0.0+build.2'], null],
])('after %s of %j comes %j', (than, tags, newest) => {
  expect(newerVersion(tags, than)).toBe(newest);
});
