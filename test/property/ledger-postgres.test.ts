import pg from 'pg';
import { parseAccountId } from '../../src/core/ledger/account.ts';
import { termsSum } from '../../src/stores/_shared/checksums.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { makeManualClock } from '../support/fakes.ts';
import { START_MS } from '../support/ledger-fixtures.ts';
import { describePostgres, startPostgresCluster } from '../support/postgres-cluster.ts';
import { describeLedgerProperty, type PropertyStore } from './describe-ledger-property.ts';

const INSERT_ACCOUNTS = `
  INSERT INTO accounts (tenant_id, kind, scope, unit, period, allocated, spent, reserved, debt,
    overdraft_limit, is_over_limit, status, overage_policy, created_at_ms, terms_sum, journal_sum)
  SELECT t, k, s, u, p, 0, 0, 0, 0, o, false, a, NULL, c, sum, 0
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[])
    AS x(t, k, s, u, p, o, a, c, sum)`;

const UPDATE_TERMS = `
  UPDATE accounts SET overdraft_limit = $6, status = $7, terms_sum = $8
  WHERE tenant_id = $1 AND kind = $2 AND scope = $3 AND unit = $4 AND period = $5`;

async function makePostgresStore(): Promise<PropertyStore> {
  // What a power cut would lose is no matter here, and flushing takes most of the time.
  const cluster = await startPostgresCluster({ fsync: false });
  const url = await cluster.createDatabase();
  const clock = makeManualClock(START_MS);
  const store = await openPostgresStore({ url, clock, lanes: 1 });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    store,
    clock,
    makeAccounts: async (accounts) => {
      const columns = ['tenantId', 'kind', 'scope', 'unit', 'period', 'overdraftLimit', 'status', 'createdAtMs'] as const;
      await client.query(INSERT_ACCOUNTS, [
        ...columns.map((column) => accounts.map((account) => String(account[column]))),
        accounts.map((account) => termsSum(account)),
      ]);
    },
    setTerms: async (id, { overdraftLimit, status }) => {
      const { tenantId, kind, scope, unit, period } = parseAccountId(id);
      const account = (await store.accounts([id])).get(id);
      if (account === undefined) return true;
      const sum = termsSum({ ...account, overdraftLimit, status });
      await client.query(UPDATE_TERMS, [tenantId, kind, scope, unit, period, String(overdraftLimit), status, sum]);
      return true;
    },
    close: async () => {
      await client.end();
      await store.close();
      await cluster.stop();
    },
  };
}

describePostgres('the ledger property', () => {
  describeLedgerProperty('PostgreSQL', makePostgresStore, { runs: 40 });
});
