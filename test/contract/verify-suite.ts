import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FundCommand } from '../../src/core/ledger/commands.ts';
import type { Command } from '../../src/core/verbs.ts';
import { budgetId } from '../../src/core/ledger/account.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

/** A column whose digits `verify` vouches for, of the rows that `where` selects. */
interface VouchedColumn {
  readonly table: string;
  readonly key: string;
  readonly column: string;
  readonly where?: string;
}

const ACCOUNT_COLUMNS =
  'tenant_id kind scope unit period allocated spent reserved debt overdraft_limit is_over_limit status overage_policy created_at_ms terms_sum journal_sum'.split(
    ' ',
  );

const VOUCHED: readonly VouchedColumn[] = [
  ...ACCOUNT_COLUMNS.map((column) => ({ table: 'accounts', key: 'no', column })),
  ...['account_no', 'command', 'verb', 'd_allocated', 'd_spent', 'd_reserved', 'd_debt', 'at_ms'].map((column) => ({
    table: 'ledger_entries',
    key: 'seq',
    column,
  })),
  ...['tenant_id', 'state', 'legs', 'charged', 'created_at_ms', 'finalized_at_ms'].map((column) => ({
    table: 'reservations',
    key: 'id',
    column,
  })),
  { table: 'reservations', key: 'id', column: 'settled_at_ms', where: `state <> 'EXPIRED' OR charged IS NOT NULL` },
  ...['tenant_id', 'key_id', 'model', 'at_ms', 'held_at_ms', 'charge_microcents'].map((column) => ({
    table: 'usage_events',
    key: 'id',
    column,
  })),
];

/** Rows of each column that lose a digit: enough that every verb and every state comes up, few enough for a short run. */
const ROWS_PER_COLUMN = 3;

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

    const fund = (operation: FundCommand['operation'], amount: bigint, spent = 0n): Command => ({
      verb: 'fund',
      id: commands.id('fnd'),
      tenantId: 'acme',
      accountId: moneyOf('acme'),
      operation,
      amount,
      spent,
    });

    /** One reservation of each end, late charges, debt, a cleared limit, direct debits and every funding, also of nothing. */
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
        fund('CREDIT', 0n),
        fund('CREDIT', 250n),
        fund('DEBIT', 40n),
        fund('RESET', 11_000n),
        fund('RESET_SPENT', 11_000n, 8_500n),
        fund('RESET_SPENT', 11_000n, 8_500n),
        fund('REPAY_DEBT', 15n),
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

    const found = async (): Promise<number> => (await at.store.verify()).discrepancies.length;
    const LINE = 'account_no, command, verb, d_allocated, d_spent, d_reserved, d_debt, at_ms';

    test('finds any line of the journal that is gone, whether or not it added up to something', { timeout: 120_000 }, async () => {
      await populate();
      await at.unlockJournal();
      await at.raw('CREATE TABLE kept AS SELECT * FROM ledger_entries');
      const lines = await at.raw('SELECT seq, verb FROM ledger_entries ORDER BY seq');
      const missed: string[] = [];
      // Emptied and filled again, the journal is as it was: what names its lines is their order.
      const restore = async (): Promise<void> => {
        await at.raw('DELETE FROM ledger_entries');
        await at.raw(`INSERT INTO ledger_entries (${LINE}) SELECT ${LINE} FROM kept ORDER BY seq`);
      };
      for (const [index, { verb }] of lines.entries()) {
        await at.raw(`DELETE FROM ledger_entries WHERE seq = (SELECT seq FROM ledger_entries ORDER BY seq LIMIT 1 OFFSET ${index})`);
        if ((await found()) === 0) missed.push(`${String(verb)}, line ${index}`);
        await restore();
        if (index === 0) expect(await found()).toBe(0);
      }
      expect(missed).toEqual([]);
      expect(new Set(lines.map(({ verb }) => verb))).toEqual(
        new Set([
          'reserve',
          'commit',
          'release',
          'expire',
          'debit',
          'allocate',
          'credit',
          'fund_debit',
          'reset',
          'reset_spent',
          'repay_debt',
        ]),
      );
    });

    test.each([
      ['a line of nothing', [['credit', 0]]],
      [
        'a pair that cancels out',
        [
          ['credit', 500],
          ['fund_debit', -500],
        ],
      ],
      [
        'a pair of a verb that does not exist',
        [
          ['gift', 500],
          ['gift', -500],
        ],
      ],
    ] as const)('finds %s that nobody booked', async (_, lines) => {
      await populate();
      const [{ no } = { no: 0 }] = await at.raw(`SELECT no FROM accounts WHERE kind = 'budget'`);
      for (const [verb, amount] of lines) {
        await at.raw(`INSERT INTO ledger_entries (${LINE}) VALUES (${String(no)}, 'fnd_forged', '${verb}', ${amount}, 0, 0, 0, 1)`);
      }
      expect(await found()).toBeGreaterThan(0);
    });

    test('finds a batch that was booked twice, whole', async () => {
      await populate();
      await at.raw(`INSERT INTO ledger_entries (${LINE}) SELECT ${LINE} FROM ledger_entries WHERE verb = 'debit'`);
      await at.raw(`UPDATE accounts SET spent = (SELECT sum(d_spent) FROM ledger_entries WHERE account_no = accounts.no)`);
      const checks = (await at.store.verify()).discrepancies.map(({ subject }) => subject);
      expect(checks.some((subject) => subject.startsWith('debit dbt'))).toBe(true);
    });

    test('finds another verb in a line that verbs of the same effect could have left', async () => {
      await populate();
      await at.unlockJournal();
      for (const [from, to] of [
        ['credit', 'reset'],
        ['reset', 'credit'],
        ['reset_spent', 'allocate'],
        ['fund_debit', 'reset'],
      ]) {
        const [{ seq } = { seq: 0 }] = await at.raw(`SELECT min(seq) AS seq FROM ledger_entries WHERE verb = '${from}'`);
        await at.raw(`UPDATE ledger_entries SET verb = '${to}' WHERE seq = ${String(seq)}`);
        expect(await found(), `${from} as ${to}`).toBeGreaterThan(0);
        await at.raw(`UPDATE ledger_entries SET verb = '${from}' WHERE seq = ${String(seq)}`);
      }
      expect(await found()).toBe(0);
    });

    test('finds other terms of an account, also of one that was never used', async () => {
      await populate();
      const idle = budgetId('acme', 'tenant:acme/workspace:idle', 'TOKENS');
      await execute(commands.allocate(idle, null));
      expect(await found()).toBe(0);
      const [{ flag } = { flag: '' }] = await at.raw(
        `SELECT CAST(is_over_limit AS text) AS flag FROM accounts WHERE scope = 'tenant:acme/workspace:idle'`,
      );
      const [off, on] = flag === '0' ? ['0', '1'] : ['false', 'true'];
      for (const [column, changed, original] of [
        ['scope', `'tenant:acme/workspace:idler'`, `'tenant:acme/workspace:idle'`],
        ['unit', `'RISK_POINTS'`, `'TOKENS'`],
        ['kind', `'key_cap'`, `'budget'`],
        ['tenant_id', `'acne'`, `'acme'`],
        ['allocated', '0', 'NULL'],
        ['overdraft_limit', '1', '0'],
        ['is_over_limit', on, off],
        ['status', `'FROZEN'`, `'ACTIVE'`],
        ['overage_policy', `'REJECT'`, 'NULL'],
      ]) {
        await at.raw(`UPDATE accounts SET ${column} = ${changed} WHERE no = (SELECT max(no) FROM accounts)`);
        expect(await found(), `${column} ${changed}`).toBeGreaterThan(0);
        await at.raw(`UPDATE accounts SET ${column} = ${original} WHERE no = (SELECT max(no) FROM accounts)`);
      }
      expect(await found()).toBe(0);
    });

    test('finds one more in the sums of any level, and of any event', async () => {
      await populate();
      const levels = await at.raw('SELECT DISTINCT level_ms FROM usage_rollups');
      expect(levels.length).toBeGreaterThan(5);
      for (const { level_ms: level } of levels) {
        for (const column of [...SUMS, 'last_at_ms']) {
          const where = `level_ms = ${String(level)} AND key_id = 'key_1'`;
          await at.raw(`UPDATE usage_rollups SET ${column} = ${column} + 1 WHERE ${where}`);
          expect(await found(), `${column} at ${String(level)}`).toBeGreaterThan(0);
          await at.raw(`UPDATE usage_rollups SET ${column} = ${column} - 1 WHERE ${where}`);
        }
      }
      for (const column of SUMS) {
        await at.raw(`UPDATE usage_events SET ${column} = ${column} + 1`);
        expect(await found(), `${column} of the events`).toBeGreaterThan(0);
        await at.raw(`UPDATE usage_events SET ${column} = ${column} - 1`);
      }
      expect(await found()).toBe(0);
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
