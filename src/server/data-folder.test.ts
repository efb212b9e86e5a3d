import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ConfigError } from './config-error.ts';
import { openDataFolder } from './data-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'castellan-folder-'));
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('openDataFolder', () => {
  test('makes the folder and those above it, for its owner only', () => {
    const folder = join(root, 'a', 'b');
    openDataFolder(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test.runIf(process.platform === 'linux')('a file system that has no room for folders is refused with a sentence, at once', () => {
    expect(() => openDataFolder('/proc/castellan/data')).toThrow(ConfigError);
    expect(() => openDataFolder('/proc/castellan/data')).toThrow(/cannot be written \(ENOENT\)/);
  });
});
