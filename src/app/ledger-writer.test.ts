import { describe, expect, test } from 'vitest';
import { Fault } from '../core/fault.ts';
import type { RecordRef } from '../core/records.ts';
import { accepted } from '../core/rejection.ts';
import type { Command } from '../core/verbs.ts';
import type { BatchResult, LedgerStore } from '../ports/ledger-store.ts';
import { makeLedgerWriter, type LedgerWriter, type LedgerWriterOptions } from './ledger-writer.ts';

/** One batch that a {@link SlowStore} was given and has not answered. */
interface PendingBatch {
  readonly batchId: string;
  readonly ids: readonly string[];
  readonly lane: number;
  /** Says that the batch is written and not yet durable; false where nobody asked. */
  write(): Promise<boolean>;
  finish(changed?: readonly RecordRef[]): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A store that answers a batch when it is told to. */
function makeSlowStore(
  lanes = 1,
): Pick<LedgerStore, 'lanes' | 'execute'> & { readonly open: PendingBatch[]; readonly all: PendingBatch[] } {
  const open: PendingBatch[] = [];
  const all: PendingBatch[] = [];
  return {
    lanes,
    open,
    all,
    execute: (batchId, commands, lane, onWritten) =>
      new Promise<BatchResult>((resolve, reject) => {
        const done = (): Promise<void> => {
          open.splice(open.indexOf(batch), 1);
          return settle();
        };
        const result = (changedRecords: readonly RecordRef[]): BatchResult => ({
          outcomes: commands.map(({ id }) => accepted({ id, value: id })),
          nowMs: 1,
          changedRecords,
        });
        const batch: PendingBatch = {
          write: async () => {
            onWritten?.(result([]));
            await settle();
            return onWritten !== undefined;
          },
          batchId,
          ids: commands.map(({ id }) => id),
          lane,
          finish: (changedRecords = []) => {
            resolve(result(changedRecords));
            return done();
          },
          fail: (error) => {
            reject(error);
            return done();
          },
        };
        open.push(batch);
        all.push(batch);
      }),
  };
}

const command = (id: string, tenantId = 'acme'): Command => ({ verb: 'init-setting', id, tenantId, setting: { id, value: 1 } });
const storeGone = new Fault({ code: 'store_unavailable', message: 'gone', publicMessage: 'gone' });

function start(options: Partial<LedgerWriterOptions> & { lanes?: number } = {}) {
  const { lanes, ...rest } = options;
  const store = makeSlowStore(lanes);
  const journal: string[] = [];
  let count = 0;
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => void journal.push('warn'),
    error: () => void journal.push('error'),
  };
  const writer = makeLedgerWriter({
    store,
    ids: { next: (prefix) => `${prefix}_${++count}` },
    onRecordsChanged: (refs) => void journal.push(`changed ${refs.map(({ id }) => id).join()}`),
    maxQueued: 1000,
    failpoints: { hit: (point) => void journal.push(point) },
    log,
    ...rest,
  });
  /** Executes and notes how it ended. */
  const execute = (...ids: string[]): void => {
    for (const id of ids) {
      void writer.execute(command(id)).then(
        () => void journal.push(`${id} ok`),
        (error: unknown) => void journal.push(`${id} ${error instanceof Fault ? error.code : 'threw'}`),
      );
    }
  };
  return { writer, store, journal, execute };
}

describe('batches', () => {
  test('what arrives together shares a batch; what arrives meanwhile is the next one', async () => {
    const { store, execute } = start();
    execute('a', 'b');
    await settle();
    execute('c');
    execute('d');
    await settle();
    expect(store.all.map(({ ids }) => ids)).toEqual([['a', 'b']]);
    await store.open[0]?.finish();
    expect(store.all.map(({ ids }) => ids)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  test('each command gets the outcome of its own place', async () => {
    const { writer, store } = start();
    const outcomes = Promise.all(['a', 'b', 'c'].map((id) => writer.execute(command(id))));
    await settle();
    await store.open[0]?.finish();
    expect((await outcomes).map((outcome) => outcome.ok && (outcome.value as { id: string }).id)).toEqual(['a', 'b', 'c']);
  });

  test('none is larger than the limit, and order is kept', async () => {
    const { store, execute } = start({ maxBatch: 2 });
    execute('a', 'b', 'c', 'd', 'e');
    await settle();
    while (store.open[0] !== undefined) await store.open[0].finish();
    expect(store.all.map(({ ids }) => ids)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  test('each has an id of its own', async () => {
    const { store, execute } = start({ maxBatch: 1 });
    execute('a', 'b', 'c');
    await settle();
    while (store.open[0] !== undefined) await store.open[0].finish();
    expect(new Set(store.all.map(({ batchId }) => batchId)).size).toBe(3);
  });

  test('one tenant keeps to one lane; lanes do not wait for each other', async () => {
    const { writer, store } = start({ lanes: 4 });
    const tenants = Array.from({ length: 40 }, (_, index) => `tenant-${index}`);
    const all = Promise.all(
      tenants.flatMap((tenant) => [writer.execute(command(`${tenant} 1`, tenant)), writer.execute(command(`${tenant} 2`, tenant))]),
    );
    await settle();
    expect(store.open.map(({ lane }) => lane).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    const laneOf = new Map<string, number>();
    for (const { ids, lane } of store.all) for (const id of ids) laneOf.set(id, lane);
    for (const tenant of tenants) expect(laneOf.get(`${tenant} 1`)).toBe(laneOf.get(`${tenant} 2`));
    for (const batch of [...store.open].toReversed()) await batch.finish();
    await all;
  });

  test('the next one begins when the one before is written, durable or not', async () => {
    const { store, execute, writer } = start({ maxBatch: 1 });
    void writer.write(command('a'));
    execute('b', 'c');
    await settle();
    expect(store.open.map(({ ids }) => ids)).toEqual([['a']]);
    expect(await store.open[0]?.write()).toBe(true);
    expect(store.open.map(({ ids }) => ids)).toEqual([['a'], ['b']]);
  });
});

describe('a caller who asks for the writing only', () => {
  test('is answered when the batch is written, and told when it is durable', async () => {
    const { store, writer, journal, execute } = start();
    const early = writer.write(command('a'));
    execute('b');
    await settle();
    await store.open[0]?.write();
    const { outcome, durable } = await early;
    expect(outcome.ok).toBe(true);
    let isDurable = false;
    void durable.then(() => (isDurable = true));
    await settle();
    expect({ isDurable, journal }).toEqual({ isDurable: false, journal: [] });
    await store.open[0]?.finish();
    expect({ isDurable, journal }).toEqual({ isDurable: true, journal: ['batch.answered', 'b ok'] });
  });

  test('is answered with the rest by a store that writes and flushes in one step', async () => {
    const { store, writer } = start();
    const early = writer.write(command('a'));
    await settle();
    await store.open[0]?.finish();
    const { outcome, durable } = await early;
    expect(outcome.ok).toBe(true);
    await durable;
  });

  test('learns of a failure before the writing by it, of one after it from its promise', async () => {
    const { store, writer } = start();
    const first = writer.write(command('a'));
    await settle();
    first.catch(() => undefined);
    await store.open[0]?.fail(storeGone);
    await expect(first).rejects.toBe(storeGone);
    const second = writer.write(command('b'));
    await settle();
    await store.open[0]?.write();
    await store.open[0]?.fail(storeGone);
    await expect((await second).durable).rejects.toBe(storeGone);
  });

  test('is not asked for where every caller waits until it is durable', async () => {
    const { store, execute } = start();
    execute('a');
    await settle();
    expect(await store.open[0]?.write()).toBe(false);
  });
});

describe('changed records', () => {
  test('are told before any caller of the batch is answered', async () => {
    const { store, journal, execute } = start();
    execute('a', 'b');
    await settle();
    await store.open[0]?.finish([{ kind: 'key', id: 'k1' }]);
    expect(journal).toEqual(['changed k1', 'batch.answered', 'a ok', 'b ok']);
  });

  test('a listener that fails takes nothing from the callers', async () => {
    const { store, journal, execute } = start({
      onRecordsChanged: () => {
        throw new Error('listener');
      },
    });
    execute('a');
    await settle();
    await store.open[0]?.finish([{ kind: 'key', id: 'k1' }]);
    expect(journal).toEqual(['error', 'batch.answered', 'a ok']);
  });
});

describe('failures', () => {
  test('a store that is gone fails the whole batch once, and the next batch is tried', async () => {
    const { store, journal, execute } = start();
    execute('a', 'b');
    await settle();
    execute('c');
    await store.open[0]?.fail(storeGone);
    expect(journal).toEqual(['a store_unavailable', 'b store_unavailable']);
    expect(store.all.map(({ ids }) => ids)).toEqual([['a', 'b'], ['c']]);
    await store.open[0]?.finish();
    expect(journal.at(-1)).toBe('c ok');
  });

  test('a command that throws is found by running its batch again one by one; only it fails', async () => {
    const { store, journal, execute } = start();
    execute('a', 'bad', 'c');
    await settle();
    await store.open[0]?.fail(new Error('a bug'));
    await store.open[0]?.finish();
    await store.open[0]?.fail(new Error('a bug'));
    await store.open[0]?.finish();
    expect(store.all.map(({ ids }) => ids)).toEqual([['a', 'bad', 'c'], ['a'], ['bad'], ['c']]);
    expect(journal.filter((line) => / (ok|threw)$/.test(line))).toEqual(['a ok', 'bad threw', 'c ok']);
    expect(new Set(store.all.map(({ batchId }) => batchId)).size).toBe(4);
  });

  test('a command that is alone in its batch is not run twice', async () => {
    const { store, journal, execute } = start();
    execute('bad');
    await settle();
    await store.open[0]?.fail(new Error('a bug'));
    expect([store.all.length, journal]).toEqual([1, ['error', 'bad threw']]);
  });

  test('what arrives while a batch runs one by one still waits for its turn', async () => {
    const { store, execute } = start();
    execute('a', 'b');
    await settle();
    await store.open[0]?.fail(new Error('a bug'));
    execute('c');
    await settle();
    expect(store.open.map(({ ids }) => ids)).toEqual([['a']]);
    while (store.open[0] !== undefined) await store.open[0].finish();
    expect(store.all.at(-1)?.ids).toEqual(['c']);
  });
});

describe('the queue', () => {
  test('turns away at once when it is full, and takes again when there is room', async () => {
    const { store, journal, execute, writer } = start({ maxQueued: 2 });
    execute('a', 'b', 'c');
    await settle();
    expect(journal).toEqual(['c overloaded']);
    await expect(writer.execute(command('d'))).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 1000 });
    await store.open[0]?.finish();
    expect(writer.pending).toBe(0);
    execute('e');
    await settle();
    await store.open[0]?.finish();
    expect(journal.at(-1)).toBe('e ok');
  });

  test('failures make room too', async () => {
    const { store, execute, writer } = start({ maxQueued: 2 });
    execute('a', 'b');
    await settle();
    await store.open[0]?.fail(storeGone);
    expect(writer.pending).toBe(0);
  });
});

describe('barrier', () => {
  const watch = (writer: LedgerWriter, tenantId?: string): { passed: boolean } => {
    const seen = { passed: false };
    void writer.barrier(tenantId).then(() => (seen.passed = true));
    return seen;
  };

  test('passes at once where nothing waits', async () => {
    await expect(start().writer.barrier()).resolves.toBeUndefined();
  });

  test('waits for what was given before, and not for what came after', async () => {
    const { store, execute, writer } = start({ maxBatch: 1 });
    execute('a', 'b');
    const barrier = watch(writer);
    execute('c');
    await settle();
    expect(barrier.passed).toBe(false);
    await store.open[0]?.finish();
    expect(barrier.passed).toBe(false);
    await store.open[0]?.finish();
    expect(barrier.passed).toBe(true);
    expect(writer.pending).toBe(1);
  });

  test('passes after a failure as well', async () => {
    const { store, execute, writer } = start();
    execute('a');
    await settle();
    const barrier = watch(writer);
    await store.open[0]?.fail(storeGone);
    expect(barrier.passed).toBe(true);
  });

  test('waits for the slower of two batches under way', async () => {
    const { store, writer } = start({ maxBatch: 1 });
    void writer.write(command('a'));
    void writer.write(command('b'));
    await settle();
    await store.open[0]?.write();
    const barrier = watch(writer);
    await store.open[1]?.finish();
    expect(barrier.passed).toBe(false);
    await store.open[0]?.finish();
    expect(barrier.passed).toBe(true);
  });

  test('of one tenant does not wait for the lanes of others', async () => {
    const { store, writer } = start({ lanes: 64 });
    void writer.execute(command('a', 'slow-tenant'));
    await settle();
    expect(watch(writer, 'slow-tenant').passed).toBe(false);
    await writer.barrier('another-tenant');
    await store.open[0]?.finish();
  });
});

describe('close', () => {
  test('takes nothing more and waits for all that was given', async () => {
    const { store, journal, execute, writer } = start({ maxBatch: 1 });
    execute('a', 'b');
    let closed = false;
    const closing = writer.close().then(() => (closed = true));
    await expect(writer.execute(command('c'))).rejects.toMatchObject({ code: 'store_unavailable' });
    await settle();
    await store.open[0]?.finish();
    expect(closed).toBe(false);
    await store.open[0]?.finish();
    await closing;
    expect(journal.filter((line) => line.endsWith(' ok'))).toEqual(['a ok', 'b ok']);
    await writer.close();
  });
});
