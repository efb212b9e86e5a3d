import { expect, test } from 'vitest';
import { makeCommands, moneyOf } from './commands.ts';
import { makeSqliteStore } from './sqlite-store.ts';
import { describeStore } from './store-suite.ts';
import { makeTestClock } from './test-store.ts';

describeStore('SQLite', makeSqliteStore);

test('SQLite: verification finds a line of the journal that another was put in the place of', async () => {
  const at = await makeSqliteStore({ clock: makeTestClock() });
  try {
    const commands = makeCommands();
    await at.store.execute('b', [commands.createTenant('acme'), commands.allocate(moneyOf('acme'), 10n)], 0);
    await at.raw(`INSERT OR REPLACE INTO ledger_entries SELECT seq, account_no, 'cmd_other', verb, 10, 0, 0, 0, at_ms FROM ledger_entries`);
    expect((await at.store.verify()).discrepancies).toHaveLength(1);
  } finally {
    await at.destroy();
  }
});
