import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beginRun } from '../../src/server/run-identity.ts';
import { makeSystemClock } from '../../src/server/secrets/system-clock.ts';
import { makeSystemIds } from '../../src/server/secrets/system-ids.ts';

const ids = makeSystemIds({ clock: makeSystemClock() });
let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'castellan-run-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const keep = (text: string): void => writeFileSync(join(dataDir, 'run.json'), text);
const keepRun = (run: object): void => keep(JSON.stringify({ owner_id: 'run_before', pid: 1, host: hostname(), ...run }));
/** The id of a process that has ended. */
const endedPid = (): number => spawnSync('true').pid;

test('a folder that nobody used has no dead run', () => {
  expect(beginRun({ dataDir, ids })).toEqual({ ownerId: expect.stringMatching(/^run_[0-9A-Z]{26}$/) as string, deadOwnerId: null });
});

test('the run before is dead where its process is gone', () => {
  keepRun({ pid: endedPid() });
  expect(beginRun({ dataDir, ids }).deadOwnerId).toBe('run_before');
});

test('the run before is dead where this process has its number, as the first process of a container has', () => {
  const first = beginRun({ dataDir, ids });
  expect(beginRun({ dataDir, ids }).deadOwnerId).toBe(first.ownerId);
});

test('the run before is not called dead while a process of its number lives, or on another machine', () => {
  keepRun({ pid: process.ppid });
  expect(beginRun({ dataDir, ids }).deadOwnerId).toBeNull();
  keepRun({ pid: endedPid(), host: 'elsewhere' });
  expect(beginRun({ dataDir, ids }).deadOwnerId).toBeNull();
});

test.each(['', '{', 'null', '[]', '{"owner_id":7}'])('a damaged file (%j) only costs the knowledge', (text) => {
  keep(text);
  expect(beginRun({ dataDir, ids }).deadOwnerId).toBeNull();
});
