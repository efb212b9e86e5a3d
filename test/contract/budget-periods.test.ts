import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CreateBudgetCommand } from '../../src/core/budgets/commands.ts';
import { budgetId, TOKENS, type Account } from '../../src/core/ledger/account.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeCommands } from './commands.ts';
import { makeTestClock, type TestClock } from './test-store.ts';

type Store = LedgerStore & RecordStore;

const DAY_MS = 86_400_000;
const ID = budgetId('acme', 'tenant:acme', TOKENS);

const commands = makeCommands();

/** A budget of a day from `startMs`, of which 30 of 100 are spent. */
const aDay = (startMs: number): Command[] => {
  const made: CreateBudgetCommand = {
    verb: 'create-budget',
    id: commands.id('cmd'),
    tenantId: 'acme',
    ledgerId: 'ldg_1',
    scope: 'tenant:acme',
    unit: TOKENS,
    allocated: 100n,
    overdraftLimit: 0n,
    overagePolicy: null,
    rolloverPolicy: 'CARRY_FORWARD',
    periodStartMs: startMs,
    periodEndMs: startMs + DAY_MS,
    metadata: {},
  };
  return [made, spend(30n)];
};
const spend = (amount: bigint): Command => ({
  verb: 'debit',
  id: commands.id('cmd'),
  tenantId: 'acme',
  debitId: commands.id('evt'),
  accounts: [ID],
  otherUnitAccounts: [],
  amount,
  overagePolicy: 'REJECT',
});
const refresh = (): Command => ({ verb: 'refresh-budget', id: commands.id('cmd'), tenantId: 'acme', accountId: ID });
const stored = async (store: Store): Promise<Account | undefined> => (await store.accounts([ID])).get(ID);
const toldOnce = async (store: Store): Promise<void> => {
  expect(await store.events({ tenantId: 'acme', type: 'budget.reset_spent', limit: 10 })).toHaveLength(1);
  expect((await store.verify()).discrepancies).toEqual([]);
};

describe('a writer that dies while a period ends', () => {
  let dataDir: string;
  let clock: TestClock;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'castellan-periods-'));
    clock = makeTestClock();
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  test.each(['batch.loaded', 'batch.decided', 'batch.written', 'batch.committed'])(
    'at %s has ended it or not, and it ends once',
    async (point) => {
      const startMs = clock.nowMs();
      const armed = join(dataDir, 'armed');
      const body = `if (point === '${point}' && process.getBuiltinModule('fs').existsSync(${JSON.stringify(armed)})) process.exit(3);`;
      const failpointsModule = `data:text/javascript,${encodeURIComponent(`export const failpoints = { hit: (point) => { ${body} } };`)}`;
      const dying = await openSqliteStore({ dataDir, clock, failpointsModule });
      await dying.execute('b', [commands.createTenant('acme'), ...aDay(startMs)], 0);
      clock.set(startMs + DAY_MS + 1);
      await writeFile(armed, '');
      await expect(dying.execute('b', [spend(10n)], 0)).rejects.toMatchObject({ code: 'store_unavailable' });
      await dying.close();

      const store = await openSqliteStore({ dataDir, clock });
      try {
        const found = await stored(store);
        const hasEnded = point === 'batch.committed';
        expect([found?.allocated, found?.spent, found?.budget?.carried]).toEqual(hasEnded ? [170n, 10n, '70'] : [100n, 30n, undefined]);
        await store.execute('b', [refresh()], 0);
        await store.execute('b', [refresh()], 0);
        const after = await stored(store);
        expect([after?.allocated, after?.spent, after?.budget?.carried]).toEqual([170n, hasEnded ? 10n : 0n, '70']);
        await toldOnce(store);
      } finally {
        await store.close();
      }
    },
  );
});

describePostgres('two nodes that notice the end of a period at once', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());

  test('end it once, and admit no more than the new one has', async () => {
    const database = await cluster.createDatabase();
    const clock = makeTestClock();
    const nodes: Store[] = await Promise.all(['a', 'b'].map((nodeId) => openPostgresStore({ url: database, nodeId, clock })));
    const [first, second] = nodes as [Store, Store];
    try {
      const startMs = clock.nowMs();
      await first.execute('b0', [commands.createTenant('acme'), ...aDay(startMs)], 0);
      clock.set(startMs + DAY_MS);
      const attempts = Array.from({ length: 40 }, (_, n) => (n % 5 === 0 ? [refresh()] : [spend(10n)]));
      const results = await Promise.all(attempts.map((batch, n) => (n % 2 === 0 ? first : second).execute(`b_${n}`, batch, 0)));
      const admitted = results
        .flatMap(({ outcomes }) => outcomes)
        .filter((outcome) => outcome.ok && 'charged' in (outcome.value as object));
      expect(admitted).toHaveLength(17);
      expect(await stored(first)).toMatchObject({
        allocated: 170n,
        spent: 170n,
        budget: { carried: '70', periodStartMs: startMs + DAY_MS },
      });
      await toldOnce(second);
    } finally {
      await Promise.all(nodes.map((node) => node.close()));
    }
  });
});
