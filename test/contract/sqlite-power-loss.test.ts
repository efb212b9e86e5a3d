import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Command } from '../../src/core/verbs.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { openWriterConnection } from '../../src/stores/sqlite/connection.ts';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { makeWriter } from '../../src/stores/sqlite/writer.ts';
import { packCommand } from '../../src/stores/sqlite/packed-command.ts';
import { allocate, reserve } from '../support/ledger-fixtures.ts';

const noFailpoints = { hit: () => undefined };

/** What a disk would hold if the power went at the moment of the last flush: the files as they were when it began. */
const disk = vi.hoisted(() => ({ file: '', copy: '', flushes: 0, take: (): void => undefined }));

vi.mock('node:fs', async (importOriginal) => {
  const actual = await importOriginal<typeof import('node:fs')>();
  const fdatasync = (fd: number, done: (error: NodeJS.ErrnoException | null) => void): void => {
    disk.take();
    actual.fdatasync(fd, (error) => {
      disk.flushes += 1;
      done(error ?? null);
    });
  };
  return { ...actual, fdatasync };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-power-'));
  disk.file = join(folder, 'castellan.db');
  disk.copy = join(folder, 'on-disk.db');
  disk.flushes = 0;
  disk.take = () => {
    for (const suffix of ['', '-wal']) if (existsSync(disk.file + suffix)) copyFileSync(disk.file + suffix, disk.copy + suffix);
    rmSync(`${disk.copy}-shm`, { force: true });
  };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The reservations that a start after the loss of power would find. */
function reservationsOnDisk(): string[] {
  const db = new Database(disk.copy);
  try {
    return db.prepare<[], string>('SELECT id FROM reservations ORDER BY id').pluck().all();
  } finally {
    db.close();
  }
}

describe('a batch that was promised to be durable', () => {
  let store: LedgerStore;
  beforeEach(async () => {
    store = await openSqliteStore({ file: disk.file, clock: { nowMs: Date.now } });
    await store.execute('b0', [allocate(1_000_000n)], 0);
  });
  afterEach(() => store.close());

  test('is in what was flushed before the promise, and its writing was told earlier', async () => {
    const order: string[] = [];
    await store.execute('b1', [reserve({ reservationId: 'res_a' })], 0, () => order.push(`written after ${disk.flushes} flushes`));
    order.push(`durable after ${disk.flushes} flushes`);
    expect(order).toEqual(['written after 0 flushes', 'durable after 1 flushes']);
    expect(reservationsOnDisk()).toEqual(['res_a']);
  });

  test('is so with any number of batches under way at once, which share flushes', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `res_${String(index).padStart(2, '0')}`);
    const missing: string[] = [];
    await Promise.all(
      ids.map(async (id) => {
        await store.execute(`b_${id}`, [reserve({ reservationId: id, id: `cmd_${id}` })], 0, () => undefined);
        if (!reservationsOnDisk().includes(id)) missing.push(id);
      }),
    );
    expect(missing).toEqual([]);
    expect(disk.flushes).toBeLessThan(ids.length);
  });
});

test('the writer flushes a batch that nobody waits for in parts before it answers', () => {
  const db = openWriterConnection(disk.file);
  migrate(db, loadMigrations('sqlite'), noFailpoints);
  const steps: string[] = [];
  const writer = makeWriter(db, {
    failpoints: { hit: (point) => void steps.push(point) },
    flush: () => {
      disk.take();
      steps.push(`flushed ${reservationsOnDisk().join()}`);
    },
  });
  const execute = (command: Command, flush: boolean): unknown =>
    writer.answer({ type: 'execute', commands: [packCommand(command)], clockMs: 1, flush });
  execute(allocate(1000n), false);
  expect(steps.at(-1)).toBe('batch.committed');
  execute(reserve({ reservationId: 'res_a' }), true);
  expect(steps.slice(-2)).toEqual(['batch.committed', 'flushed res_a']);
  db.close();
});
