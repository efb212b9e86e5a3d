import { afterAll, beforeAll } from 'vitest';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import type { TestStore } from '../contract/test-store.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { describeCyclesProperty } from './describe-cycles-property.ts';

describePostgres('the budget authority', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    // What a power cut would lose is no matter here, and flushing takes most of the time.
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());

  describeCyclesProperty(
    'PostgreSQL',
    async (clock) => {
      const store = await openPostgresStore({ url: await cluster.createDatabase(), clock });
      return { store, destroy: () => store.close() } as Partial<TestStore> as TestStore;
    },
    { runs: 15 },
  );
});
