import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Command } from '../../src/core/verbs.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

/** A column whose digits `verify` vouches for, of the rows that `where` selects. */
interface VouchedColumn {
  readonly table: string;
  readonly key: string;
  readonly column: string;
  readonly where?: string;
}

const ENTRY_OF_RESERVATION = `verb IN ('reserve', 'commit', 'release', 'expire')`;

const VOUCHED: readonly VouchedColumn[] = [
  ...['allocated', 'spent', 'reserved', 'debt'].map((column) => ({ table: 'accounts', key: 'no', column })),
  ...['account_no', 'd_allocated', 'd_spent', 'd_reserved', 'd_debt'].map((column) => ({ table: 'ledger_entries', key: 'seq', column })),
  ...['command', 'at_ms'].map((column) => ({ table: 'ledger_entries', key: 'seq', column, where: ENTRY_OF_RESERVATION })),
  ...['legs', 'charged', 'created_at_ms', 'finalized_at_ms'].map((column) => ({ table: 'reservations', key: 'id', column })),
  { table: 'reservations', key: 'id', column: 'settled_at_ms', where: `state <> 'EXPIRED' OR charged IS NOT NULL` },
  { table: 'usage_events', key: 'id', column: 'charge_microcents' },
];

/** Rows of each column that lose a digit: enough that every verb and every state comes up, few enough for a short run. */
const ROWS_PER_COLUMN = 5;

/** Rows spread evenly over all of them. */
const sample = <T>(rows: readonly T[]): T[] => {
  const step = Math.max(1, Math.floor(rows.length / ROWS_PER_COLUMN));
  return rows.filter((_, index) => index % step === 0).slice(0, ROWS_PER_COLUMN + 1);
};

const SUMS = ['requests', 'prompt_tokens', 'completion_tokens', 'cached_prompt_tokens', 'cost_nano_usd', 'charge_microcents'];

/** Another digit in the place of one: the greatest change at the start, the smallest at the end, whichever `place` falls on. */
function flipDigit(text: string, place: number): string | null {
  const places = [...text.matchAll(/\d/g)].map(({ index }) => index);
  const at = places[place % places.length];
  if (at === undefined) return null;
  return text.slice(0, at) + String((Number(text[at]) + 1) % 10) + text.slice(at + 1);
}

const literal = (value: string): string => (/^-?\d+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`);

/** Verification: silent on what the writer left, loud on anything else. */
export function describeVerify(makeStore: MakeStore): void {
  describe('verify', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
    });
    afterEach(() => at.destroy());

    const execute = async (...batch: Command[]): Promise<void> => {
      const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
      expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
    };

    /** One reservation of each end, late charges, debt, a cleared limit and direct debits. */
    const populate = async (): Promise<void> => {
      await execute(
        commands.createTenant('acme'),
        commands.createKey('acme', 'key_1', { maxTokens: 70_000n }),
        commands.allocate(moneyOf('acme'), 9000n),
      );
      const short = { ttlMs: 1000, graceMs: 0 };
      const [active, committed, released, expired, late, budget, released2] = [
        commands.hold({ tokens: 123n, microcents: 456n }),
        commands.hold({ tokens: 234n, microcents: 567n }),
        commands.hold({ tokens: 345n, microcents: 678n }),
        commands.hold({ tokens: 456n, microcents: 789n, ...short }),
        commands.hold({ tokens: 567n, microcents: 890n, ...short }),
        commands.hold({ tokens: 0n, microcents: 91n, purpose: 'budget' }),
        commands.hold({ tokens: 12n, microcents: 13n, purpose: 'budget' }),
      ];
      await execute(active, committed, released, expired, late, released2);
      await execute({ ...budget, legs: budget.legs.slice(1) });
      clock.set(clock.nowMs() + 700);
      await execute(commands.settle(committed, { promptTokens: 101, completionTokens: 22, microcents: 333n }), commands.cancel(released));
      clock.set(clock.nowMs() + 5000);
      const expire = (reservationId: string): Command => ({ verb: 'expire', id: commands.id('cmd'), tenantId: 'acme', reservationId });
      await execute(expire(expired.reservationId), expire(late.reservationId));
      clock.set(clock.nowMs() + 900);
      await execute(
        commands.settle(late, { promptTokens: 31, completionTokens: 45, microcents: 8200n }),
        {
          verb: 'commit',
          id: commands.id('cmd'),
          tenantId: 'acme',
          reservationId: budget.reservationId,
          actual: 77n,
          unit: 'USD_MICROCENTS',
        },
        { verb: 'release', id: commands.id('cmd'), tenantId: 'acme', reservationId: released2.reservationId },
      );
      await execute(
        {
          verb: 'debit',
          id: commands.id('cmd'),
          debitId: commands.id('dbt'),
          tenantId: 'acme',
          accounts: [moneyOf('acme')],
          otherUnitAccounts: [],
          amount: 12n,
          overagePolicy: 'ALLOW_IF_AVAILABLE',
        },
        commands.allocate(moneyOf('acme'), null),
        commands.allocate(moneyOf('acme'), 10_500n),
      );
      while ((await at.store.foldUsage(100)) > 0);
    };

    test('finds nothing to object to in what the writer left', async () => {
      await populate();
      const { accounts, entries, reservations, discrepancies } = await at.store.verify();
      expect(discrepancies).toEqual([]);
      expect([accounts, reservations]).toEqual([2, 7]);
      expect(entries).toBeGreaterThan(20);
    });

    test('counts nothing in an empty store', async () => {
      expect(await at.store.verify()).toEqual({ accounts: 0, entries: 0, reservations: 0, discrepancies: [] });
    });

    test('finds one changed digit in any balance, leg, charge, moment or entry', { timeout: 240_000 }, async () => {
      await populate();
      await at.unlockJournal();
      const missed: string[] = [];
      let flips = 0;
      for (const { table, key, column, where } of VOUCHED) {
        const rows = await at.raw(
          `SELECT CAST(${key} AS text) AS key, CAST(${column} AS text) AS value FROM ${table} WHERE ${where ?? 'true'} ORDER BY ${key}`,
        );
        for (const [index, row] of sample(rows).entries()) {
          const [id, value] = [row['key'] as string, (row['value'] as string | null) ?? ''];
          const flipped = flipDigit(value, index * 7 + flips);
          if (flipped === null) continue;
          flips++;
          await at.raw(`UPDATE ${table} SET ${column} = ${literal(flipped)} WHERE ${key} = ${literal(id)}`);
          if ((await at.store.verify()).discrepancies.length === 0) missed.push(`${table}.${column} of ${id}: ${value} -> ${flipped}`);
          await at.raw(`UPDATE ${table} SET ${column} = ${literal(value)} WHERE ${key} = ${literal(id)}`);
        }
      }
      expect(missed).toEqual([]);
      expect(flips).toBeGreaterThan(60);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('finds one changed digit in the sums of all time', async () => {
      await populate();
      for (const column of SUMS) {
        for (const key of ['', 'key_1']) {
          const where = `level_ms = 0 AND key_id = '${key}'`;
          await at.raw(`UPDATE usage_rollups SET ${column} = ${column} + 10 WHERE ${where}`);
          expect((await at.store.verify()).discrepancies, `${column} of ${key}`).not.toEqual([]);
          await at.raw(`UPDATE usage_rollups SET ${column} = ${column} - 10 WHERE ${where}`);
        }
      }
    });

    test('finds a line of the journal that is missing, doubled or of an unknown account', async () => {
      await populate();
      await at.unlockJournal();
      const columns = 'account_no, command, verb, d_allocated, d_spent, d_reserved, d_debt, at_ms';
      const [{ seq } = { seq: 0 }] = await at.raw(`SELECT max(seq) AS seq FROM ledger_entries WHERE verb = 'reserve'`);
      await at.raw(`INSERT INTO ledger_entries (${columns}) SELECT ${columns} FROM ledger_entries WHERE seq = ${String(seq)}`);
      expect((await at.store.verify()).discrepancies).not.toEqual([]);
      await at.raw('DELETE FROM ledger_entries WHERE seq = (SELECT max(seq) FROM ledger_entries)');
      expect((await at.store.verify()).discrepancies).toEqual([]);
      await at.raw(`UPDATE ledger_entries SET account_no = account_no + 4000 WHERE seq = ${String(seq)}`);
      expect((await at.store.verify()).discrepancies).not.toEqual([]);
      await at.raw(`UPDATE ledger_entries SET account_no = account_no - 4000 WHERE seq = ${String(seq)}`);
      await at.raw(`DELETE FROM ledger_entries WHERE seq = ${String(seq)}`);
      expect((await at.store.verify()).discrepancies).not.toEqual([]);
    });

    test.each(['ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED'])('finds a reservation that is %s against its entries', async (state) => {
      await populate();
      const others = await at.raw(`SELECT id, state FROM reservations WHERE state <> '${state}'`);
      expect(others.length).toBeGreaterThan(2);
      for (const { id, state: original } of others) {
        await at.raw(`UPDATE reservations SET state = '${state}' WHERE id = '${String(id)}'`);
        expect((await at.store.verify()).discrepancies, `${String(original)} as ${state}`).not.toEqual([]);
        await at.raw(`UPDATE reservations SET state = '${String(original)}' WHERE id = '${String(id)}'`);
      }
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('tells which row contradicts which, with both figures', async () => {
      await populate();
      await at.raw(`UPDATE accounts SET spent = spent + 1 WHERE kind = 'budget'`);
      const { discrepancies } = await at.store.verify();
      expect(discrepancies).toHaveLength(1);
      const [first] = discrepancies;
      expect(first?.subject).toContain('tenant:acme');
      expect(Number(first?.found) - Number(first?.expected)).toBe(1);
    });
  });
}
