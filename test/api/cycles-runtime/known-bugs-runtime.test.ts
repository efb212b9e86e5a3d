import { afterAll, beforeAll } from 'vitest';
import { openPostgresStore } from '../../../src/stores/postgres/open-postgres-store.ts';
import { makeSqliteStore } from '../../contract/sqlite-store.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../../support/postgres-cluster.ts';
import { describeKnownBugs } from './known-bugs-suite.ts';

describeKnownBugs('on SQLite', (clock) => makeSqliteStore({ clock }));

describePostgres('known faults of other servers', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());

  describeKnownBugs('on PostgreSQL', async (clock) => {
    const store = await openPostgresStore({ url: await cluster.createDatabase(), clock });
    return { store, destroy: () => store.close() };
  });
});
