import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestStore } from './test-store.ts';

/** What the database refuses by itself, whoever asks, and what a store refuses to open. */
export function describeRefusals(makeStore: MakeStore): void {
  describe('refusals of the database', () => {
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      at = await makeStore({ clock: makeTestClock() });
      commands = makeCommands();
      const hold = commands.hold({});
      await at.store.execute(
        'batch_1',
        [
          commands.createTenant('acme'),
          commands.createKey('acme', 'key_1'),
          commands.allocate(moneyOf('acme'), 5000n),
          hold,
          commands.settle(hold, { promptTokens: 1, completionTokens: 2, microcents: 3n }),
        ],
        0,
      );
    });
    afterEach(() => at.destroy());

    test.each(['spent', 'reserved', 'debt'])('an account whose %s would be negative is refused', async (column) => {
      await expect(at.raw(`UPDATE accounts SET ${column} = -1`)).rejects.toThrow(/check|constraint/i);
    });

    test('two accounts of one identity are refused', async () => {
      const columns =
        'tenant_id, kind, scope, unit, period, spent, reserved, debt, overdraft_limit, is_over_limit, status, created_at_ms, terms_sum, journal_sum';
      await expect(at.raw(`INSERT INTO accounts (${columns}) SELECT ${columns} FROM accounts`)).rejects.toThrow(/unique/i);
    });

    test('two live keys of one hash are refused', async () => {
      const columns = 'tenant_id, kind, hash, name, created_at_ms, deleted_at_ms, body';
      await expect(at.raw(`INSERT INTO api_keys (id, ${columns}) SELECT 'other', ${columns} FROM api_keys`)).rejects.toThrow(/unique/i);
    });

    test.each(['UPDATE ledger_entries SET d_spent = d_spent + 1', 'DELETE FROM ledger_entries'])('the journal refuses: %s', async (sql) => {
      await expect(at.raw(sql)).rejects.toThrow(/append-only/);
    });

    test('a usage event that waits in the tail is not taken twice', async () => {
      await expect(at.raw('INSERT INTO usage_tail SELECT * FROM usage_tail')).rejects.toThrow(/unique/i);
    });

    test('a usage event that was folded is not taken again', async () => {
      const columns = Object.keys((await at.raw('SELECT * FROM usage_tail'))[0] ?? {})
        .filter((column) => column !== 'seq')
        .join(', ');
      expect(await at.store.foldUsage(10)).toBe(1);
      await expect(at.raw(`INSERT INTO usage_tail (${columns}) SELECT ${columns} FROM usage_events`)).rejects.toThrow(/already|unique/i);
    });

    test('a database of a newer program is refused in one sentence that names both versions', async () => {
      const [row] = await at.raw('SELECT max(version) AS known FROM schema_version');
      const known = Number(row?.['known']);
      await at.raw(`UPDATE schema_version SET version = 4711, compatible_with = 4711 WHERE version = ${known}`);
      const reopened = at.reopen();
      await expect(reopened).rejects.toThrow(new RegExp(`^[^.]*\\b4711\\b[^.]*\\b${known}\\b[^.]*\\.$`));
      await expect(reopened).rejects.toThrow(/newer/);
    });
  });
}
