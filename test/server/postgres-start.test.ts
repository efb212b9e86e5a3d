import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { DEMO_BODY } from '../../src/server/demo-call.ts';
import type { Running } from '../../src/server/boot.ts';
import { startDropProxy } from '../support/drop-proxy.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';

describePostgres('starts on PostgreSQL', () => {
  let cluster: PostgresCluster;
  let first: TestFolder;
  let second: TestFolder;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    env = { DATABASE_URL: await cluster.createDatabase(), CASTELLAN_MASTER_KEY: Buffer.alloc(32, 3).toString('base64') };
    first = makeTestFolder();
    second = makeTestFolder();
  });
  afterEach(async () => {
    await first.dispose();
    await second.dispose();
  });

  const call = async (running: Running, key: string | undefined): Promise<number> =>
    (
      await fetch(`${running.listeners.runtime.origin}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(DEMO_BODY),
      })
    ).status;

  test('two nodes with one master key share keys and budgets: what one has spent, the other refuses', async () => {
    const one = await first.start({ env });
    const other = await second.start({ env });
    expect([one.prepared.isFirstStart, other.prepared.isFirstStart]).toEqual([true, false]);
    const { demo_key: key } = one.prepared.credentials;
    expect(Object.keys(other.prepared.credentials)).toEqual(['operator_key']);
    expect(await call(one, key)).toBe(200);
    expect(await call(other, key)).toBe(402);
  });

  test('a node with another master key is refused with one sentence', async () => {
    await first.start({ env });
    const wrong = { ...env, CASTELLAN_MASTER_KEY: Buffer.alloc(32, 4).toString('base64') };
    await expect(second.start({ env: wrong })).rejects.toThrow(
      /^The master key in CASTELLAN_MASTER_KEY is not the one that this database was made with: /,
    );
  });

  test('a node without any master key makes none for a database that has one', async () => {
    await first.start({ env });
    await expect(second.start({ env: { DATABASE_URL: env['DATABASE_URL'] } })).rejects.toThrow(
      /master\.key is missing, and without the master key/,
    );
  });

  test('two first starts at the same moment leave one tenant and two sets of keys that work', async () => {
    const [one, other] = await Promise.all([first.start({ env }), second.start({ env })]);
    for (const running of [one, other]) {
      const { credentials } = running.prepared;
      if (credentials.demo_key !== undefined) expect(await call(running, credentials.demo_key)).toBe(200);
      const tenants = await fetch(`${running.listeners.admin.origin}/v1/x-castellan/tenants`, {
        headers: { 'x-admin-api-key': credentials.operator_key },
      });
      expect(tenants.status).toBe(200);
      expect(await tenants.text()).toContain('"default"');
    }
  });

  test('readiness is DOWN while the database is out of reach, and UP again after; liveness stays UP', { timeout: 60_000 }, async () => {
    const proxy = await startDropProxy(cluster.port);
    try {
      const { listeners } = await first.start({ env: { ...env, DATABASE_URL: proxy.url(env['DATABASE_URL'] ?? '') } });
      const health = async (path: string): Promise<number> => (await fetch(`${listeners.runtime.origin}/actuator/health/${path}`)).status;
      expect(await health('readiness')).toBe(200);
      proxy.cut(true);
      await waitUntil(async () => (await health('readiness')) === 503, 20_000);
      expect(await health('liveness')).toBe(200);
      proxy.cut(false);
      await waitUntil(async () => (await health('readiness')) === 200, 20_000);
    } finally {
      await first.dispose();
      await proxy.close();
    }
  });

  test('two programs on one data folder are refused, since a run must know for certain that the one before it is gone', async () => {
    await first.start({ env });
    await expect(first.start({ env })).rejects.toThrow(/^Another Castellan is running on the data folder /);
  });

  test('a server that is not there stops the start', async () => {
    const nowhere = { ...env, DATABASE_URL: 'postgres://nobody:hunter2@127.0.0.1:1/none' };
    const error: unknown = await first.start({ env: nowhere }).catch((thrown: unknown) => thrown);
    expect((error as Error).name).toBe('Fault');
    expect((error as Error).message).not.toContain('hunter2');
  });
});
