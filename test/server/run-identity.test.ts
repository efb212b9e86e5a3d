import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beginRun, takeRunLock } from '../../src/server/run-identity.ts';
import { makeSystemClock } from '../../src/server/secrets/system-clock.ts';
import { makeSystemIds } from '../../src/server/secrets/system-ids.ts';

const ids = makeSystemIds({ clock: makeSystemClock() });
let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'castellan-run-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const keep = (text: string): void => writeFileSync(join(dataDir, 'run.json'), text);
const begin = (isLocked = true): ReturnType<typeof beginRun> => beginRun({ dataDir, ids, isLocked });

test('a folder that nobody used has no dead run', () => {
  expect(begin()).toEqual({ ownerId: expect.stringMatching(/^run_[0-9A-Z]{26}$/) as string, deadOwnerId: null });
});

test('the run before is dead for whoever holds the lock of the folder', () => {
  const first = begin();
  expect(begin().deadOwnerId).toBe(first.ownerId);
});

test('the run before is not called dead without the lock, or where another machine wrote it', () => {
  begin();
  expect(begin(false).deadOwnerId).toBeNull();
  keep(JSON.stringify({ owner_id: 'run_before', host: 'elsewhere' }));
  expect(begin().deadOwnerId).toBeNull();
});

test.each(['', '{', 'null', '[]', '{"owner_id":7}'])('a damaged file (%j) only costs the knowledge', (text) => {
  keep(text);
  expect(begin().deadOwnerId).toBeNull();
});

test('a folder has one run at a time: the second is refused with one sentence, until the first has let go', () => {
  const lock = takeRunLock(dataDir);
  expect(lock).not.toBeNull();
  expect(() => takeRunLock(dataDir)).toThrow(/^Another Castellan is running on the data folder [^:]+: [^:.]+\(CASTELLAN_DATA_DIR\)\.$/);
  lock?.release();
  takeRunLock(dataDir)?.release();
});

test('a file system that cannot lock costs the lock, and no more', () => {
  mkdirSync(join(dataDir, 'run.lock'));
  expect(takeRunLock(dataDir)).toBeNull();
});
