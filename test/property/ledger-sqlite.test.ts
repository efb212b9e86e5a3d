import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Account } from '../../src/core/ledger/account.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeManualClock } from '../support/fakes.ts';
import { START_MS } from '../support/ledger-fixtures.ts';
import { describeLedgerProperty, type PropertyStore } from './describe-ledger-property.ts';

async function makeSqliteStore(): Promise<PropertyStore> {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-property-'));
  const file = join(folder, 'property.db');
  const clock = makeManualClock(START_MS);
  const store = await openSqliteStore({ file, clock });
  const database = new Database(file);
  const insert = database.prepare(
    `INSERT INTO accounts (tenant_id, kind, scope, unit, period, allocated, spent, reserved, debt,
       overdraft_limit, is_over_limit, status, overage_policy, created_at_ms)
     VALUES (@tenantId, @kind, @scope, @unit, @period, 0, 0, 0, 0, @overdraftLimit, 0, @status, NULL, @createdAtMs)`,
  );
  const insertAll = database.transaction((accounts: readonly Account[]) => {
    for (const { tenantId, kind, scope, unit, period, overdraftLimit, status, createdAtMs } of accounts) {
      insert.run({ tenantId, kind, scope, unit, period, overdraftLimit, status, createdAtMs });
    }
  });
  return {
    store,
    clock,
    makeAccounts: (accounts) => Promise.resolve(insertAll(accounts)),
    close: async () => {
      database.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describeLedgerProperty('SQLite', makeSqliteStore, { runs: 40 });
