import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { parseAccountId, type Account } from '../../src/core/ledger/account.ts';
import { termsSum } from '../../src/stores/_shared/checksums.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeManualClock } from '../support/fakes.ts';
import { START_MS } from '../support/ledger-fixtures.ts';
import { describeLedgerProperty, type PropertyStore } from './describe-ledger-property.ts';

async function makeSqliteStore(): Promise<PropertyStore> {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-property-'));
  const file = join(folder, 'property.db');
  const clock = makeManualClock(START_MS);
  let store = await openSqliteStore({ file, clock });
  const database = new Database(file);
  const insert = database.prepare(
    `INSERT INTO accounts (tenant_id, kind, scope, unit, period, allocated, spent, reserved, debt,
       overdraft_limit, is_over_limit, status, overage_policy, created_at_ms, terms_sum, journal_sum)
     VALUES (@tenantId, @kind, @scope, @unit, @period, 0, 0, 0, 0, @overdraftLimit, 0, @status, NULL, @createdAtMs, @termsSum, 0)`,
  );
  const insertAll = database.transaction((accounts: readonly Account[]) => {
    for (const account of accounts) {
      const { tenantId, kind, scope, unit, period, overdraftLimit, status, createdAtMs } = account;
      insert.run({ tenantId, kind, scope, unit, period, overdraftLimit, status, createdAtMs, termsSum: termsSum(account) });
    }
  });
  const update = database.prepare(
    `UPDATE accounts SET overdraft_limit = @overdraftLimit, status = @status, terms_sum = @termsSum
     WHERE tenant_id = @tenantId AND kind = @kind AND scope = @scope AND unit = @unit AND period = @period`,
  );
  return {
    get store() {
      return store;
    },
    clock,
    makeAccounts: (accounts) => Promise.resolve(insertAll(accounts)),
    // The open store keeps its rows in memory, so it is closed meanwhile and starts from what it wrote. That takes a while: not each time.
    setTerms: async (id, { overdraftLimit, status }) => {
      if (status !== 'FROZEN') return false;
      const account = (await store.accounts([id])).get(id);
      await store.close();
      if (account !== undefined) {
        update.run({ ...parseAccountId(id), overdraftLimit, status, termsSum: termsSum({ ...account, overdraftLimit, status }) });
      }
      store = await openSqliteStore({ file, clock });
      return true;
    },
    close: async () => {
      database.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describeLedgerProperty('SQLite', makeSqliteStore, { runs: 30 });
