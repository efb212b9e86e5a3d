import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DATABASE_FILE } from '../../src/stores/sqlite/connection.ts';
import { bearer, makeHttpClient, operator, type HttpClient } from '../support/http-client.ts';
import { FIXTURE_ENV, fixtureFile, RELEASES } from '../support/release-fixtures.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { chatBody } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Starts the program on what an earlier release left behind. */
function describeFixture(makeStore: () => Promise<{ store: TestStore; fill: (dataDir: string, sql: string) => Promise<void> }>): void {
  let client: HttpClient;
  let server: TestServer;
  beforeEach(() => {
    client = makeHttpClient();
  });
  afterEach(async () => {
    await client.close();
    await server.dispose();
  });

  test.each(RELEASES)('of the release of schema %s: keys call, secrets open, the call that was cut is settled', async (release) => {
    const { store, fill } = await makeStore();
    server = makeServer({ store, env: FIXTURE_ENV });
    copyFileSync(fixtureFile(release, `${store.kind}-credentials.json`), join(server.dataDir, 'credentials.json'));
    await fill(server.dataDir, readFileSync(fixtureFile(release, `${store.kind}.sql`), 'utf8'));
    const key = readFileSync(fixtureFile(release, `${store.kind}-key.txt`), 'utf8').trim();
    await server.start();

    const called = await client.ask(`${server.runtime}/v1/chat/completions`, {
      method: 'POST',
      headers: bearer(key),
      body: { ...chatBody('after the upgrade'), model: 'demo-echo' },
    });
    expect(called.status).toBe(200);
    const keys = await client.ask(`${server.admin}/v1/x-castellan/keys?tenant_id=acme`, { headers: operator(FIXTURE_ENV.ADMIN_API_KEY) });
    expect(keys.status).toBe(200);
    expect(keys.text).toContain('works');
    // Its process was killed; with PostgreSQL it is taken for dead when it has been silent for long enough.
    const open = async (): Promise<number> =>
      Number((await server.reader().rows(`SELECT count(*) AS n FROM reservations WHERE state = 'ACTIVE'`))[0]?.['n']);
    await waitUntil(async () => (await open()) === 0, 30_000);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect((await server.verify()).discrepancies).toEqual([]);
  });
}

describe('SQLite: a start on the database', () => {
  describeFixture(() =>
    Promise.resolve({
      store: { kind: 'sqlite' },
      fill: (dataDir, sql) => {
        const db = new Database(join(dataDir, DATABASE_FILE));
        db.exec(sql);
        db.close();
        return Promise.resolve();
      },
    }),
  );
});

describePostgres('PostgreSQL: a start on the database', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());
  describeFixture(async () => {
    const url = await cluster.createDatabase();
    return {
      store: { kind: 'postgres', url },
      fill: async (_dataDir, sql) => {
        const loader = new pg.Client({ connectionString: url });
        await loader.connect();
        await loader.query(sql);
        await loader.end();
      },
    };
  });
});
