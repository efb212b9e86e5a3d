import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Fault } from '../../src/core/fault.ts';
import type { Command } from '../../src/core/verbs.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { allocate, balances, reserve, settleCall, TENANT, TENANT_BUDGET, usageOf } from '../support/ledger-fixtures.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

const MOUNT = '/usr/bin/mount';
const UNMOUNT = '/usr/bin/umount';

/** Mounts a small file system; only root may. */
function mountSmallDisk(megabytes: number): { readonly folder: string; fill(): void; free(): void; unmount(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-disk-'));
  const mounted = spawnSync(MOUNT, ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { encoding: 'utf8' });
  if (mounted.status !== 0) throw new Error(`mount failed: ${mounted.stderr}`);
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill() {
      const file = openSync(ballast, 'a');
      try {
        for (let chunk = Buffer.alloc(1024 * 1024); statfsSync(folder).bavail > 0;) {
          try {
            writeSync(file, chunk);
          } catch {
            // The last bytes, in smaller and smaller pieces.
            chunk = chunk.subarray(0, Math.max(1, chunk.length >> 1));
          }
        }
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(ballast, { force: true }),
    unmount() {
      spawnSync(UNMOUNT, ['-l', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const CALLS_A_BATCH = 20;

const callIds = (round: number): string[] =>
  Array.from({ length: CALLS_A_BATCH }, (_, index) => `res_${String(round).padStart(4, '0')}_${index}`);

/** Calls that are held and settled in one batch, with a context that takes room. */
const calls = (round: number): Command[] =>
  callIds(round).flatMap((reservationId): Command[] => [
    reserve({ id: `cmd_h_${reservationId}`, reservationId, purpose: 'call', amount: 20n, context: { padding: 'x'.repeat(200) } }),
    settleCall({ tokens: 12n, microcents: 7n }, { id: `cmd_s_${reservationId}`, reservationId, usage: usageOf(reservationId) }),
  ]);

type Disk = ReturnType<typeof mountSmallDisk>;
type Store = Awaited<ReturnType<typeof openPostgresStore>>;

/** Hands batches of calls to a store, one after another, and remembers which were acknowledged and which failed. */
function makeCaller(store: Store): {
  readonly acknowledged: number[];
  readonly failed: Map<number, string>;
  readonly call: () => Promise<void>;
} {
  const acknowledged: number[] = [];
  const failed = new Map<number, string>();
  let round = 0;
  return {
    acknowledged,
    failed,
    async call() {
      round += 1;
      try {
        await store.execute(`batch_${round}`, calls(round), 0);
        acknowledged.push(round);
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
        expect(error).toMatchObject({ code: 'store_unavailable', publicMessage: 'The store is unavailable at the moment.' });
        failed.set(round, String(error));
      }
    },
  };
}

/** Keeps the disk full until three batches have failed: a checkpoint may remove files of the log and make room for more. */
async function fillUntilThreeFail(disk: Disk, { failed, call }: ReturnType<typeof makeCaller>): Promise<void> {
  for (let round = 0; round < 300 && failed.size < 3; round += 1) {
    disk.fill();
    await call();
  }
}

/** How many of a batch's calls are in the store. */
const storedCalls = async (store: Store, round: number): Promise<number> =>
  (await Promise.all(callIds(round).map((id) => store.reservation(id)))).filter((found) => found?.state === 'COMMITTED').length;

describePostgres('PostgreSQL on a full disk', () => {
  // Nobody else may mount one; CI runs as root.
  describe.skipIf(process.getuid?.() !== 0)('of its own', () => {
    let disk: Disk;
    let cluster: PostgresCluster;
    let store: Store;

    afterEach(async () => {
      await store.close();
      await cluster.stop();
      disk.unmount();
    });
    const open = async (): Promise<void> => {
      store = await openPostgresStore({ url: await cluster.createDatabase(), lanes: 1, reconnectMs: 300, giveUpMs: 1500 });
      await store.execute('batch_0', [allocate(1_000_000n)], 0);
    };

    test(
      'writes fail as unavailable and reads live; with room again everything acknowledged is there, and nothing else',
      { timeout: 60_000 },
      async () => {
        disk = mountSmallDisk(128);
        cluster = await startPostgresCluster({
          folder: disk.folder,
          settings: { shared_buffers: '16MB', max_wal_size: '32MB', autovacuum: 'off' },
        });
        await open();
        const caller = makeCaller(store);
        const { acknowledged, failed, call } = caller;
        for (let round = 0; round < 3; round += 1) await call();
        expect(failed.size).toBe(0);

        await fillUntilThreeFail(disk, caller);
        expect([...failed.values()]).toEqual(Array.from({ length: 3 }, () => expect.stringContaining('SQLSTATE 53100') as unknown));

        const requests = BigInt(acknowledged.length * CALLS_A_BATCH);
        const account = (await store.accounts([TENANT_BUDGET])).get(TENANT_BUDGET);
        expect(account && balances(account)).toEqual([1_000_000n, requests * 12n, 0n, 0n]);
        const totals = await store.usageTotals({ tenantId: TENANT, fromMs: null, intervalMs: 5000 });
        expect(totals.map((total) => BigInt(total.requests))).toEqual([requests]);

        disk.free();
        await call();
        expect(failed.size).toBe(3);
        for (const round of acknowledged) expect(await storedCalls(store, round)).toBe(CALLS_A_BATCH);
        for (const round of failed.keys()) expect(await storedCalls(store, round)).toBe(0);
        expect((await store.verify()).discrepancies).toEqual([]);
        expect(await store.foldUsage(100_000)).toBe(acknowledged.length * CALLS_A_BATCH);
      },
    );

    test(
      'a server that dies of a full log loses nothing that it acknowledged and does nothing twice or by half',
      { timeout: 60_000 },
      async () => {
        disk = mountSmallDisk(24);
        chmodSync(disk.folder, 0o777);
        cluster = await startPostgresCluster({
          walFolder: join(disk.folder, 'wal'),
          walSegmentMb: 1,
          settings: { max_wal_size: '4MB', min_wal_size: '2MB', wal_recycle: 'off', autovacuum: 'off' },
        });
        await open();
        const caller = makeCaller(store);
        const { acknowledged, failed, call } = caller;
        for (let round = 0; round < 3; round += 1) await call();
        await fillUntilThreeFail(disk, caller);
        expect(failed.size).toBe(3);

        disk.free();
        await cluster.start();
        await call();
        expect(failed.size).toBe(3);
        for (const round of acknowledged) expect(await storedCalls(store, round)).toBe(CALLS_A_BATCH);
        // Where the server died in the middle of a COMMIT nobody could tell; it happened or it did not.
        for (const round of failed.keys()) expect([0, CALLS_A_BATCH]).toContain(await storedCalls(store, round));
        expect((await store.verify()).discrepancies).toEqual([]);
      },
    );
  });
});
