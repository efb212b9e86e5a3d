import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Fault } from '../../src/core/fault.ts';
import type { ReserveCommand } from '../../src/core/ledger/commands.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeCommands, moneyOf } from './commands.ts';
import { makeTestClock } from './test-store.ts';

const DISK_BYTES = 12 * 1024 * 1024;
const OTHERS_BYTES = 6 * 1024 * 1024;

// Mounting takes root, as a container of a pipeline has it.
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

describe.skipIf(!isRoot)(isRoot ? 'SQLite on a full disk' : 'SQLite on a full disk (run as root on Linux to mount one)', () => {
  let disk: string;

  beforeAll(() => {
    disk = mkdtempSync(join(tmpdir(), 'castellan-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'castellan-test', disk]);
  });
  afterAll(() => {
    execFileSync('umount', [disk]);
    rmdirSync(disk);
  });

  test('a batch that does not fit fails as unavailable, reads go on, nothing is lost, and freed space is used', async () => {
    const commands = makeCommands();
    const store = await openSqliteStore({ dataDir: join(disk, 'data'), clock: makeTestClock() });
    await store.execute(
      'b',
      [commands.createTenant('acme'), commands.createKey('acme', 'key_1'), commands.allocate(moneyOf('acme'), 10n ** 15n)],
      0,
    );
    // Something else fills the disk up to the store's share.
    const filler = join(disk, 'filler');
    await writeFile(filler, Buffer.alloc(OTHERS_BYTES));

    const acknowledged: ReserveCommand[] = [];
    const holdUntilFull = async (): Promise<unknown> => {
      for (let batch = 0; batch < 10_000; batch++) {
        const holds = Array.from({ length: 50 }, () => commands.hold({ microcents: 7n }));
        try {
          await store.execute('b', holds, 0);
        } catch (error) {
          return error;
        }
        acknowledged.push(...holds);
      }
      return 'never full';
    };
    const error = await holdUntilFull();
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ code: 'store_unavailable', publicMessage: 'The store is unavailable at the moment.' });
    expect(acknowledged.length).toBeGreaterThan(100);

    const expectAcknowledged = async (): Promise<void> => {
      const account = (await store.accounts([moneyOf('acme')])).get(moneyOf('acme'));
      expect(account?.reserved).toBe(BigInt(acknowledged.length) * 7n);
      for (const { reservationId } of [acknowledged[0]!, acknowledged.at(-1)!]) {
        expect((await store.reservation(reservationId))?.state).toBe('ACTIVE');
      }
      const { reservations, discrepancies } = await store.verify();
      expect([reservations, discrepancies]).toEqual([acknowledged.length, []]);
    };
    await expectAcknowledged();
    // Still full: every further attempt fails alike, and does no harm.
    await expect(
      store.execute(
        'b',
        Array.from({ length: 50 }, () => commands.hold({ microcents: 7n })),
        0,
      ),
    ).rejects.toBeInstanceOf(Fault);
    await expectAcknowledged();

    await rm(filler);
    const [first] = acknowledged;
    const settled = await store.execute(
      'b',
      [commands.settle(first!, { promptTokens: 1, completionTokens: 1, microcents: 5n }), commands.hold({ microcents: 2n })],
      0,
    );
    expect(settled.outcomes.map((outcome) => outcome.ok)).toEqual([true, true]);
    expect(await store.foldUsage(10)).toBe(1);
    expect((await store.verify()).discrepancies).toEqual([]);
    await store.close();

    const again = await openSqliteStore({ dataDir: join(disk, 'data'), clock: makeTestClock() });
    const { reservations, discrepancies } = await again.verify();
    expect([reservations, discrepancies]).toEqual([acknowledged.length + 1, []]);
    await again.close();
  });
});
