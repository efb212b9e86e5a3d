/**
 * `node tools/launch.cjs tools/release-fixture.ts NNNN`: writes what databases of this release hold, to `test/fixtures/schema-NNNN/`, NNNN
 * being the release's newest migration. Run it in a checkout of a release when that is made; later releases must open what it wrote, and
 * a test sees to that.
 *
 * It starts the server on each store, makes tenants, keys, calls, usage and a call in flight whose process is killed, and dumps.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { DATABASE_FILE } from '../src/stores/sqlite/connection.ts';
import { makeControlPlane } from '../test/support/control-plane.ts';
import { bearer, makeHttpClient } from '../test/support/http-client.ts';
import { startOpenAiServer } from '../test/support/openai-server.ts';
import { FIXTURE_ENV } from '../test/support/release-fixtures.ts';
import { startPostgresCluster } from '../test/support/postgres-cluster.ts';
import { makeServer, type TestServer } from '../test/support/server-process.ts';
import { chatBody, testConfig } from '../test/support/test-config.ts';
import { waitUntil } from '../test/support/wait-until.ts';

/** Leaves calls of every end behind, among them one that nobody settled, and returns a key to call with. */
async function populate(server: TestServer): Promise<{ key: string }> {
  const model = await startOpenAiServer();
  const client = makeHttpClient();
  try {
    const config = testConfig(model.url);
    writeFileSync(join(server.dataDir, '..', 'castellan.yaml'), config);
    await server.start();
    const control = makeControlPlane(server, client);
    const tenant = await control.makeTenant('acme');
    await control.setTenantBudget('acme', 500_000_000n);
    const { key, id } = await control.makeKey(tenant, { name: 'works', maxTokens: 100_000 });
    await control.setKeyBudget(id, 400_000_000n);
    const gone = await control.makeKey(tenant, { name: 'gone' });
    await control.operator('DELETE', `/keys/${gone.id}`);
    const ask = (body: object) =>
      client.ask(`${server.runtime}/v1/chat/completions`, {
        method: 'POST',
        headers: bearer(key),
        body: { ...chatBody('a call'), ...body },
      });
    for (let index = 0; index < 5; index += 1) await ask({});
    // Some usage is folded, some is not yet.
    await waitUntil(async () => (await server.reader().rows('SELECT id FROM usage_tail')).length === 0);
    await ask({ stream: true });
    await ask({ model: 'demo-echo' });
    model.behaviour.fault = { kind: 'status', status: 500 };
    await ask({});
    model.behaviour.fault = null;
    model.behaviour.gated = true;
    const cut = ask({}).catch(() => undefined);
    await waitUntil(() => Promise.resolve(model.waiting() === 1));
    await server.kill();
    await cut;
    return { key };
  } finally {
    await client.close();
    await model.close();
  }
}

function dumpSqlite(dataDir: string): string {
  const db = new Database(join(dataDir, DATABASE_FILE));
  try {
    const objects = db
      .prepare<[], { type: string; name: string; sql: string }>(
        `SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type <> 'table', rowid`,
      )
      .all();
    const rowsOf = (table: string): string[] => {
      const columns = db.prepare<[], string>(`SELECT name FROM pragma_table_info('${table}')`).pluck().all();
      const values = columns.map((column) => `quote(${column})`).join(` || ', ' || `);
      const rows = db.prepare<[], string>(`SELECT ${values} FROM ${table}`).pluck().all();
      return rows.map((row) => `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${row});`);
    };
    const tables = objects.filter(({ type }) => type === 'table');
    const rest = objects.filter(({ type }) => type !== 'table');
    const lines = [
      ...tables.map(({ sql }) => `${sql};`),
      ...tables.flatMap(({ name }) => rowsOf(name)),
      ...rest.map(({ sql }) => `${sql};`),
    ];
    return `${lines.join('\n')}\n`;
  } finally {
    db.close();
  }
}

function dumpPostgres(url: string): string {
  const dump = spawnSync('pg_dump', ['--inserts', '--no-owner', '--no-privileges', url], { encoding: 'utf8' });
  if (dump.status !== 0) throw new Error(`pg_dump failed: ${dump.error?.message ?? dump.stderr}`);
  const lines = dump.stdout.split('\n').filter((line) => !line.startsWith('\\') && !line.startsWith('--') && line !== '');
  return `${lines.join('\n')}\n`;
}

const folder = join(import.meta.dirname, '..', 'test', 'fixtures', `schema-${process.argv[2] ?? 'unnamed'}`);
mkdirSync(folder, { recursive: true });
const cluster = await startPostgresCluster({ fsync: false });
try {
  const url = await cluster.createDatabase();
  for (const kind of ['sqlite', 'postgres'] as const) {
    const server = makeServer({ store: kind === 'sqlite' ? { kind } : { kind, url }, config: 'tenants: []', env: FIXTURE_ENV });
    try {
      const { key } = await populate(server);
      writeFileSync(join(folder, `${kind}.sql`), kind === 'sqlite' ? dumpSqlite(server.dataDir) : dumpPostgres(url));
      cpSync(join(server.dataDir, 'credentials.json'), join(folder, `${kind}-credentials.json`));
      writeFileSync(join(folder, `${kind}-key.txt`), `${key}\n`);
    } finally {
      await server.dispose();
    }
  }
} finally {
  await cluster.stop();
}
