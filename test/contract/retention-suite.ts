import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cutoffsAt, type Retention } from '../../src/core/retention/retention.ts';
import type { Command } from '../../src/core/verbs.ts';
import { audited, makeCommands, moneyOf, type CommandMaker, type HoldOptions } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Lengths that differ, so that no kind can be taken for another. */
const RETENTION: Retention = {
  eventsMs: 3 * DAY_MS,
  deliveriesMs: 2 * DAY_MS,
  idempotencyMs: 6 * HOUR_MS,
  auditMs: 9 * DAY_MS,
  reservationsMs: 5 * DAY_MS,
  usageEventsMs: 7 * DAY_MS,
};

/** Everything is kept for longer than any test lasts. */
const NOTHING: Retention = {
  eventsMs: 999 * DAY_MS,
  deliveriesMs: 999 * DAY_MS,
  idempotencyMs: 999 * DAY_MS,
  auditMs: 999 * DAY_MS,
  reservationsMs: 999 * DAY_MS,
  usageEventsMs: 999 * DAY_MS,
};

/** A column of which verification notices one changed digit, also after folding. */
const VOUCHED: readonly (readonly [table: string, key: string, columns: string])[] = [
  ['ledger_checkpoints', 'account_no', 'account_no d_allocated d_spent d_reserved d_debt journal_sum'],
  ['accounts', 'no', 'allocated spent reserved debt terms_sum journal_sum'],
  ['ledger_entries', 'seq', 'account_no command d_allocated d_spent d_reserved d_debt at_ms'],
  ['reservations', 'id', 'legs charged created_at_ms settled_at_ms'],
];

const literal = (value: string): string => (/^-?\d+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`);

/** What every store forgets, when, and what it does not forget with it. */
export function describeRetention(makeStore: MakeStore): void {
  describe('retention', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;
    let startMs: number;

    beforeEach(async () => {
      clock = makeTestClock();
      startMs = clock.nowMs();
      at = await makeStore({ clock });
      commands = makeCommands();
    });
    afterEach(() => at.destroy());

    const execute = async (...batch: Command[]): Promise<void> => {
      const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
      expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
    };
    const count = async (table: string, where = 'true'): Promise<number> =>
      Number((await at.raw(`SELECT count(*) AS n FROM ${table} WHERE ${where}`))[0]?.['n']);
    /** Moves the store's time; an embedded one goes by its last batch. */
    const moveTo = async (nowMs: number): Promise<void> => {
      clock.set(nowMs);
      await execute(commands.allocate(moneyOf('acme'), BigInt(nowMs)));
    };
    const fold = async (): Promise<void> => {
      while ((await at.store.foldUsage(100)) > 0);
    };
    const isSound = async (): Promise<void> => expect((await at.store.verify()).discrepancies).toEqual([]);
    const isFound = async (): Promise<boolean> => (await at.store.verify()).discrepancies.length > 0;

    /** A call that was held and settled at once. */
    const call = async (options: HoldOptions = {}): Promise<string> => {
      const held = commands.hold(options);
      await execute(held);
      await execute(commands.settle(held, { promptTokens: 21, completionTokens: 32, microcents: 43n }));
      return held.reservationId;
    };

    const begin = (): Promise<void> =>
      execute(
        audited(commands.createTenant('acme')),
        commands.createKey('acme', 'key_1', { maxTokens: 70_000n }),
        commands.allocate(moneyOf('acme'), 900_000n),
      );

    describe('each kind goes when its time is over, and not a moment sooner', () => {
      test.each<[kind: string, table: string, where: string, lengthMs: number, prepare?: string]>([
        [
          'an event, handed out or not',
          'events',
          'true',
          RETENTION.eventsMs,
          'UPDATE events SET delivered_at_ms = at_ms WHERE seq % 2 = 0',
        ],
        ['an audit row', 'audit', 'true', RETENTION.auditMs],
        ['a usage event', 'usage_events', 'true', RETENTION.usageEventsMs],
      ])('%s', async (_kind, table, where, lengthMs, prepare) => {
        await begin();
        await call();
        await fold();
        if (prepare !== undefined) await at.raw(prepare);
        const rows = await count(table, where);
        expect(rows).toBeGreaterThan(0);
        await moveTo(startMs + lengthMs);
        await at.store.prune(RETENTION);
        // What moving the clock made is of no account.
        const old = `${where} AND at_ms <= ${startMs}`;
        expect(await count(table, old)).toBe(rows);
        await moveTo(startMs + lengthMs + 1);
        await at.store.prune(RETENTION);
        expect(await count(table, old)).toBe(0);
        await isSound();
      });

      test('the answer to an idempotency key, which answers until then', async () => {
        await begin();
        const held = commands.hold({ idempotencyKey: 'once' });
        const again = { ...held, idempotency: { ...held.idempotency!, keepMs: RETENTION.idempotencyMs } };
        await execute(again);
        const replay = async (): Promise<unknown> => {
          const other = { ...again, id: commands.id('cmd'), reservationId: commands.id('res') };
          const { outcomes } = await at.store.execute(commands.id('batch'), [other], 0);
          return outcomes[0];
        };
        await moveTo(startMs + RETENTION.idempotencyMs - 1);
        await at.store.prune(RETENTION);
        expect(await count('idempotency')).toBe(1);
        expect(await replay()).toMatchObject({ ok: true, value: { reservationId: held.reservationId } });
        expect(await count('reservations')).toBe(1);
        await moveTo(startMs + RETENTION.idempotencyMs);
        await at.store.prune(RETENTION);
        expect(await count('idempotency')).toBe(0);
        expect(await replay()).not.toMatchObject({ value: { reservationId: held.reservationId } });
        await isSound();
      });

      test('a reservation, from the moment it was settled, with its lines of the journal', async () => {
        await begin();
        const held = commands.hold({ ttlMs: 3 * DAY_MS });
        await execute(held);
        const settledMs = startMs + 2 * DAY_MS;
        clock.set(settledMs);
        await execute(commands.settle(held, { promptTokens: 1, completionTokens: 2, microcents: 3n }));
        const lines = `command = '${held.reservationId}'`;
        const reservation = `id = '${held.reservationId}'`;
        expect(await count('ledger_entries', lines)).toBe(4);
        // The last moment of the last day on which it has to be kept.
        const dayMs = settledMs - (settledMs % DAY_MS);
        await moveTo(dayMs + DAY_MS + RETENTION.reservationsMs - 1);
        await at.store.prune(RETENTION);
        expect([await count('reservations', reservation), await count('ledger_entries', lines)]).toEqual([1, 4]);
        await moveTo(dayMs + DAY_MS + RETENTION.reservationsMs);
        await at.store.prune(RETENTION);
        expect([await count('reservations', reservation), await count('ledger_entries', lines)]).toEqual([0, 0]);
        await isSound();
        expect(await at.store.prune(RETENTION)).toBe(0);
      });
    });

    test('the audit trail goes from its start: nothing goes before what came before it', async () => {
      await execute(audited(commands.createTenant('acme')));
      clock.set(startMs + 2 * DAY_MS);
      await execute(audited(commands.createTenant('later')));
      await at.raw(`UPDATE audit SET at_ms = ${startMs - DAY_MS} WHERE tenant_id = 'later'`);
      const trail = async (): Promise<unknown[]> =>
        (await at.raw('SELECT tenant_id FROM audit ORDER BY seq')).map((row) => row['tenant_id']);
      await moveTo(startMs + RETENTION.auditMs);
      await at.store.prune(RETENTION);
      expect(await trail()).toEqual(['acme', 'later']);
      await moveTo(startMs + RETENTION.auditMs + 1);
      await at.store.prune(RETENTION);
      expect(await trail()).toEqual([]);
    });

    test('what is settled late or not at all stays, whatever its age', async () => {
      await begin();
      const [open, late] = [commands.hold({ ttlMs: 400 * DAY_MS }), commands.hold({ ttlMs: 1000, graceMs: 0 })];
      await execute(open, late);
      clock.set(startMs + 5000);
      await execute({ verb: 'expire', id: commands.id('cmd'), tenantId: 'acme', reservationId: late.reservationId });
      await moveTo(startMs + 100 * DAY_MS);
      await at.store.prune(RETENTION);
      expect((await at.raw('SELECT id FROM reservations ORDER BY id')).map(({ id }) => id)).toEqual([
        open.reservationId,
        late.reservationId,
      ]);
      await isSound();
      await execute(
        commands.settle(open, { promptTokens: 1, completionTokens: 2, microcents: 3n }),
        commands.settle(late, { promptTokens: 3, completionTokens: 4, microcents: 5n }),
      );
      await fold();
      await isSound();
      await moveTo(startMs + 200 * DAY_MS);
      await at.store.prune(RETENTION);
      expect(await count('reservations')).toBe(0);
      await isSound();
    });

    /** Reservations of every end, old and young, with debits and fundings between them; pruned, so that checkpoints exist. */
    const populateAndPrune = async (): Promise<void> => {
      await begin();
      for (const [index, day] of [0, 1, 2, 30, 31].entries()) {
        clock.set(startMs + day * DAY_MS);
        const [budget, gone] = [commands.hold({ purpose: 'budget' }), commands.hold({ tokens: 12n, microcents: 13n })];
        await execute(budget, gone);
        await call({ tokens: BigInt(100 + index) });
        clock.set(clock.nowMs() + 700);
        await execute(
          { verb: 'release', id: commands.id('cmd'), tenantId: 'acme', reservationId: budget.reservationId },
          commands.cancel(gone),
          {
            verb: 'debit',
            id: commands.id('cmd'),
            debitId: commands.id('dbt'),
            tenantId: 'acme',
            accounts: [moneyOf('acme')],
            otherUnitAccounts: [],
            amount: 17n,
            overagePolicy: 'ALLOW_IF_AVAILABLE',
          },
          {
            verb: 'fund',
            id: commands.id('fnd'),
            tenantId: 'acme',
            accountId: moneyOf('acme'),
            operation: 'CREDIT',
            amount: 250n,
            spent: 0n,
          },
        );
      }
      await fold();
      await isSound();
      expect(await at.store.prune(RETENTION)).toBeGreaterThan(0);
    };

    test('verification holds after pruning, and finds one changed digit in whatever is left', { timeout: 120_000 }, async () => {
      await populateAndPrune();
      await isSound();
      expect(await count('reservations')).toBe(6);
      expect(await count('ledger_checkpoints')).toBe(2);
      // And what comes later adds to it.
      await call();
      await fold();
      await isSound();
      await at.unlockJournal();
      const missed: string[] = [];
      for (const [table, key, columns] of VOUCHED) {
        for (const column of columns.split(' ')) {
          const rows = await at.raw(`SELECT CAST(${key} AS text) AS key, CAST(${column} AS text) AS value FROM ${table} ORDER BY ${key}`);
          for (const row of rows.slice(0, 3)) {
            const [id, value] = [row['key'] as string, (row['value'] as string | null) ?? ''];
            const place = value.search(/\d(?=\D*$)/);
            if (place < 0) continue;
            const flipped = `${value.slice(0, place)}${(Number(value[place]) + 5) % 10}${value.slice(place + 1)}`;
            const back = column === key ? flipped : id;
            await at.raw(`UPDATE ${table} SET ${column} = ${literal(flipped)} WHERE ${key} = ${literal(id)}`);
            if (!(await isFound())) missed.push(`${table}.${column} of ${id}: ${value} -> ${flipped}`);
            await at.raw(`UPDATE ${table} SET ${column} = ${literal(value)} WHERE ${key} = ${literal(back)}`);
          }
        }
      }
      expect(missed).toEqual([]);
      await isSound();
    });

    test('verification finds a checkpoint that is gone, and a line that went without being folded', async () => {
      await populateAndPrune();
      await at.raw('CREATE TABLE kept AS SELECT * FROM ledger_checkpoints');
      await at.raw('DELETE FROM ledger_checkpoints WHERE account_no = (SELECT min(account_no) FROM ledger_checkpoints)');
      expect(await isFound()).toBe(true);
      await at.raw('DELETE FROM ledger_checkpoints');
      await at.raw('INSERT INTO ledger_checkpoints SELECT * FROM kept');
      await isSound();
      await at.unlockJournal();
      await at.raw('DELETE FROM ledger_entries WHERE seq = (SELECT min(seq) FROM ledger_entries)');
      expect(await isFound()).toBe(true);
    });

    test('the journal lets go of no line that is not old enough to be folded', async () => {
      await populateAndPrune();
      await expect(at.raw('DELETE FROM ledger_entries WHERE seq = (SELECT min(seq) FROM ledger_entries)')).rejects.toThrow('append-only');
      await expect(at.raw('UPDATE ledger_entries SET d_spent = 0')).rejects.toThrow('append-only');
    });

    test('a longer time brings nothing back and takes nothing', async () => {
      await populateAndPrune();
      const before = await count('ledger_entries');
      expect(await at.store.prune(NOTHING)).toBe(0);
      expect(await count('ledger_entries')).toBe(before);
      await isSound();
    });

    test('accounts go on as they were: balances, refusals and numbers are the same after folding', async () => {
      await populateAndPrune();
      const accounts = await at.raw('SELECT * FROM accounts ORDER BY no');
      await at.store.prune({ ...RETENTION, reservationsMs: DAY_MS });
      expect(await at.raw('SELECT * FROM accounts ORDER BY no')).toEqual(accounts);
      const again = await at.reopen();
      at = again;
      await call();
      await isSound();
    });

    test('batches go on while many rows are pruned', { timeout: 60_000 }, async () => {
      await begin();
      for (let batch = 0; batch < 12; batch += 1) {
        const held = Array.from({ length: 200 }, () => commands.hold({ tokens: 1n, microcents: 1n }));
        await execute(...held);
        await execute(...held.map((one) => commands.cancel(one)));
      }
      await moveTo(startMs + 50 * DAY_MS);
      let isPruned = false;
      const pruning = at.store.prune(RETENTION);
      const ended = pruning.then(
        () => (isPruned = true),
        () => (isPruned = true),
      );
      let meanwhile = 0;
      while (!isPruned) {
        await execute(commands.allocate(moneyOf('acme'), BigInt(900_000 + meanwhile)));
        meanwhile += 1;
      }
      await ended;
      expect(await pruning).toBeGreaterThan(10_000);
      expect(meanwhile).toBeGreaterThan(2);
      await isSound();
    });

    test('a stop ends pruning between two transactions, and the next one takes the rest', async () => {
      await populateAndPrune();
      await moveTo(startMs + 100 * DAY_MS);
      await at.store.prune(RETENTION, () => true);
      expect(await count('reservations')).toBeGreaterThan(0);
      await isSound();
      await at.store.prune(RETENTION);
      expect(await count('reservations')).toBe(0);
      await isSound();
    });

    test('the cut-offs of a store are those of the rule', async () => {
      // A store that reckoned by itself would part from what is documented.
      await begin();
      await call();
      await moveTo(startMs + 40 * DAY_MS);
      await at.store.prune(RETENTION);
      const { ledgerBeforeMs } = cutoffsAt(RETENTION, clock.nowMs());
      const [mark] = await at.raw(`SELECT before_ms, step FROM retention_marks WHERE kind = 'ledger'`);
      expect([Number(mark?.['before_ms']), mark?.['step']]).toEqual([ledgerBeforeMs, 'done']);
    });
  });
}
