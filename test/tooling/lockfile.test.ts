import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { missingPlatformPackages } from '../../tools/lockfile.ts';
import type { Lockfile } from '../../tools/lockfile.ts';

test('the lockfile names the binaries of every platform, else `npm ci` refuses it', () => {
  const lockfile = JSON.parse(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')) as Lockfile;
  expect(Object.keys(missingPlatformPackages(lockfile)), 'mend it with: node tools/launch.cjs tools/complete-lockfile.ts').toEqual([]);
});

describe('what an install left out', () => {
  const owner = { version: '1.2.3', dev: true, optionalDependencies: { '@x/core-linux-x64-gnu': '1.2.3' } };

  test.each([
    ['@x/core-linux-x64-gnu', { os: ['linux'], cpu: ['x64'], libc: ['glibc'] }],
    ['@x/core-linux-arm64-musl', { os: ['linux'], cpu: ['arm64'], libc: ['musl'] }],
    ['@x/core-linux-arm-gnueabihf', { os: ['linux'], cpu: ['arm'], libc: ['glibc'] }],
    ['@x/core-android-arm-eabi', { os: ['android'], cpu: ['arm'] }],
    ['@x/darwin-arm64', { os: ['darwin'], cpu: ['arm64'] }],
    ['@x/core-win32-ia32-msvc', { os: ['win32'], cpu: ['ia32'] }],
  ])('%s', (name, platform) => {
    const lockfile = { packages: { 'node_modules/x': { version: '1.2.3', dev: true, optionalDependencies: { [name]: '1.2.3' } } } };
    expect(missingPlatformPackages(lockfile)).toEqual({
      [`node_modules/${name}`]: { version: '1.2.3', ...platform, dev: true, optional: true },
    });
  });

  test('is nothing where the entry is there, hoisted or nested', () => {
    const entry = { version: '1.2.3' };
    for (const key of ['node_modules/@x/core-linux-x64-gnu', 'node_modules/x/node_modules/@x/core-linux-x64-gnu']) {
      expect(missingPlatformPackages({ packages: { 'node_modules/x': owner, [key]: entry } })).toEqual({});
    }
  });

  test.each([
    ['left-pad', '1.2.3'],
    ['@x/core-linux-x64-gnu', '^1.2.3'],
  ])('cannot be guessed for %s@%s', (name, version) => {
    const lockfile = { packages: { 'node_modules/x': { optionalDependencies: { [name]: version } } } };
    expect(() => missingPlatformPackages(lockfile)).toThrow(`${name}@${version}`);
  });
});
