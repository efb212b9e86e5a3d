import { afterAll, beforeAll } from 'vitest';
import { openPostgresStore } from '../../../src/stores/postgres/open-postgres-store.ts';
import type { TestStore } from '../../contract/test-store.ts';
import { makeSqliteStore } from '../../contract/sqlite-store.ts';
import type { ManualClock } from '../../support/fakes.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../../support/postgres-cluster.ts';
import { describeKnownBugs } from './known-bugs-suite.ts';
import { describeTimes } from './times-suite.ts';

type MakeStore = (clock: ManualClock) => Promise<Pick<TestStore, 'store' | 'destroy'>>;

function describeRuntime(makeStore: MakeStore): void {
  describeKnownBugs('known faults of other servers', makeStore);
  describeTimes('as time goes by', makeStore);
}

describeRuntime((clock) => makeSqliteStore({ clock }));

describePostgres('on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());

  describeRuntime(async (clock) => {
    const store = await openPostgresStore({ url: await cluster.createDatabase(), clock });
    return { store, destroy: () => store.close() };
  });
});
