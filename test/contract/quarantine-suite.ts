import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeLedgerWriter, type LedgerWriter } from '../../src/app/ledger-writer.ts';
import { Fault } from '../../src/core/fault.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { Command, CommandValue } from '../../src/core/verbs.ts';
import { makeExpireReservations } from '../../src/jobs/expire-reservations.ts';
import { makeCountingIds, makeMemoryLog, makeRecordingFailpoints, type MemoryLog } from '../support/fakes.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

/** Rows that no program of ours writes, as SQL for `legs`. */
const UNREADABLE_LEGS = [`'{}'`, `'[[4000,"1000"]]'`, `'[["1","many"]]'`, `'"[]"'`];

type Execute = <C extends Command>(command: C) => Promise<Outcome<CommandValue<C>>>;

const writerOf = ({ store }: TestStore): LedgerWriter =>
  makeLedgerWriter({
    store,
    ids: makeCountingIds(),
    onRecordsChanged: () => undefined,
    maxQueued: 1000,
    failpoints: makeRecordingFailpoints(),
    log: makeMemoryLog(),
  });

/** The sweep of what has expired, where some of it cannot be read. */
export function describeQuarantine(makeStore: MakeStore): void {
  describe('a row that cannot be read', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;
    let writer: LedgerWriter;
    let log: MemoryLog;
    let quarantined: number;

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
      log = makeMemoryLog();
      quarantined = 0;
      writer = writerOf(at);
    });
    afterEach(async () => {
      await writer.close();
      await at.destroy();
    });

    const sweepWith = (parts: { limit?: number; execute?: Execute } = {}): ReturnType<typeof makeExpireReservations> =>
      makeExpireReservations({
        records: at.store,
        writer: { execute: parts.execute ?? ((command) => writer.execute(command)) },
        ids: makeCountingIds(),
        log,
        onQuarantined: () => (quarantined += 1),
        ...(parts.limit === undefined ? {} : { limit: parts.limit }),
      });

    /** Holds of a tenant that are past their time, in the order of their ids; the first of them are damaged. */
    const populate = async (damages: readonly string[], sound: number): Promise<{ damaged: string[]; sound: string[] }> => {
      const holds = [...damages, ...Array.from({ length: sound })].map((_, index) =>
        commands.hold({ purpose: 'budget', ttlMs: 1000 + index, graceMs: 0 }),
      );
      const batch: Command[] = [
        commands.createTenant('acme'),
        commands.createKey('acme', 'key_1'),
        commands.allocate(moneyOf('acme'), 90_000n),
      ];
      await at.store.execute('batch_0', [...batch, ...holds], 0);
      const ids = holds.map(({ reservationId }) => reservationId);
      for (const [index, legs] of damages.entries())
        await at.raw(`UPDATE reservations SET legs = ${legs} WHERE id = '${ids[index] ?? ''}'`);
      // What the writer remembers of them was read before they were damaged.
      at = await at.reopen({ clock });
      await writer.close();
      writer = writerOf(at);
      clock.set(clock.nowMs() + 60_000);
      return { damaged: ids.slice(0, damages.length), sound: ids.slice(damages.length) };
    };
    const stateOf = async (id: string): Promise<unknown> =>
      (await at.raw(`SELECT state FROM reservations WHERE id = '${id}'`))[0]?.['state'];

    test('is told once and set aside, and all the others expire', async () => {
      const { damaged, sound } = await populate(UNREADABLE_LEGS, 3);
      const sweep = sweepWith();
      expect(await sweep()).toEqual({ more: false });
      expect(await sweep()).toEqual({ more: false });
      expect(await Promise.all(sound.map(stateOf))).toEqual(['EXPIRED', 'EXPIRED', 'EXPIRED']);
      expect(log.lines.map(({ level, fields }) => [level, fields['reservationId']])).toEqual(damaged.map((id) => ['error', id]));
      expect(quarantined).toBe(damaged.length);
      expect(await at.store.expiredReservations({ limit: 10, except: damaged })).toEqual([]);
    });

    test('does not stand in the way of those behind it, however many there are', async () => {
      const { damaged, sound } = await populate([...UNREADABLE_LEGS, ...UNREADABLE_LEGS], 2);
      const sweep = sweepWith({ limit: 2 });
      while ((await sweep())?.more);
      expect(await Promise.all(sound.map(stateOf))).toEqual(['EXPIRED', 'EXPIRED']);
      expect(quarantined).toBe(damaged.length);
    });

    test('is named by verify, which reads on', async () => {
      const { damaged, sound } = await populate(UNREADABLE_LEGS, 1);
      const { discrepancies, reservations } = await at.store.verify();
      expect(reservations).toBe(damaged.length + sound.length);
      const named = new Set(discrepancies.map(({ subject }) => subject.split(' ', 1)[0]));
      expect(damaged.filter((id) => !named.has(id))).toEqual([]);
      expect(sound.filter((id) => named.has(id))).toEqual([]);
    });

    test('is not looked for among a store that is away: the run fails and nothing is set aside', async () => {
      const { sound } = await populate([], 2);
      const away = new Fault({ code: 'store_unavailable', message: 'away', publicMessage: 'away' });
      let isAway = true;
      const execute: Execute = (command) => (isAway ? Promise.reject(away) : writer.execute(command));
      const sweep = sweepWith({ execute });
      await expect(sweep()).rejects.toBe(away);
      isAway = false;
      await sweep();
      expect(await Promise.all(sound.map(stateOf))).toEqual(['EXPIRED', 'EXPIRED']);
      expect(quarantined).toBe(0);
    });

    test('of a call is left to the sweep by what settles interrupted calls', async () => {
      const calls = [commands.hold({ ownerId: 'run_dead' }), commands.hold({ ownerId: 'run_dead' })] as const;
      const batch: Command[] = [
        commands.createTenant('acme'),
        commands.createKey('acme', 'key_1'),
        commands.allocate(moneyOf('acme'), 90_000n),
      ];
      await at.store.execute('batch_0', [...batch, ...calls], 0);
      await at.raw(`UPDATE reservations SET legs = '[["1","many"]]' WHERE id = '${calls[0].reservationId}'`);
      expect((await at.store.unsettledCalls({ liveOwnerIds: [], limit: 10 })).map(({ id }) => id)).toEqual([calls[1].reservationId]);
    });
  });
}
