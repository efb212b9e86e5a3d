import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { openLogFlusher, type LogFlusher } from './log-flusher.ts';

const disk = vi.hoisted(() => ({ begun: 0, waiting: [] as ((error: NodeJS.ErrnoException | null) => void)[] }));

vi.mock('node:fs', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:fs')>()),
  fdatasync: (_fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
    disk.begun += 1;
    disk.waiting.push(done);
  },
}));

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the flusher of a log', () => {
  let folder: string;
  let flusher: LogFlusher;
  let failures: Error[];
  beforeEach(() => {
    disk.begun = 0;
    disk.waiting = [];
    failures = [];
    folder = mkdtempSync(join(tmpdir(), 'castellan-log-'));
    const file = join(folder, 'log');
    writeFileSync(file, 'x');
    flusher = openLogFlusher(file, (error) => failures.push(error));
  });
  afterEach(async () => {
    for (const done of disk.waiting.splice(0)) done(null);
    await flusher.close();
    rmSync(folder, { recursive: true });
  });

  test('begins at once, and gathers those who come meanwhile in one flush that begins after they came', async () => {
    const ended: number[] = [];
    void flusher.flush().then(() => ended.push(1));
    void flusher.flush().then(() => ended.push(2));
    void flusher.flush().then(() => ended.push(3));
    expect(disk.begun).toBe(1);
    disk.waiting.shift()?.(null);
    await turn();
    expect({ ended, begun: disk.begun }).toEqual({ ended: [1], begun: 2 });
    void flusher.flush().then(() => ended.push(4));
    disk.waiting.shift()?.(null);
    await turn();
    expect({ ended, begun: disk.begun }).toEqual({ ended: [1, 2, 3], begun: 3 });
    disk.waiting.shift()?.(null);
    await turn();
    expect(ended).toEqual([1, 2, 3, 4]);
  });

  test('promises nothing any more after a failure, and says so once', async () => {
    const first = flusher.flush();
    const second = flusher.flush();
    first.catch(() => undefined);
    second.catch(() => undefined);
    disk.waiting.shift()?.(Object.assign(new Error('EIO'), { code: 'EIO' }));
    await expect(first).rejects.toBeInstanceOf(Fault);
    await expect(second).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(flusher.flush()).rejects.toBeInstanceOf(Fault);
    expect({ failures: failures.length, begun: disk.begun }).toEqual({ failures: 1, begun: 1 });
  });

  test('closes when the flush under way has ended', async () => {
    const last = flusher.flush();
    let isClosed = false;
    const closing = flusher.close().then(() => (isClosed = true));
    await turn();
    expect(isClosed).toBe(false);
    disk.waiting.shift()?.(null);
    await last;
    await closing;
    closeSync(openSync(join(folder, 'log'), 'r'));
  });
});
