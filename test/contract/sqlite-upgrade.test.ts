import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeCommands } from './commands.ts';
import { makeTestClock } from './test-store.ts';

/** A key as the first release wrote it: without a word of rotation. */
const OLD_KEY = {
  id: 'key_1',
  tenantId: 'acme',
  kind: 'inference',
  name: 'robot',
  hash: 'old hash',
  mask: 'tk_abcde****',
  sealed: null,
  createdBy: 'ann',
  disabled: false,
  expiresAtMs: null,
  metadata: {},
  outputBound: 'hard',
  createdAtMs: 1,
  deletedAtMs: null,
};

test('a database of the first release opens; its keys are found, listed and rotated', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'castellan-upgrade-'));
  const file = join(dataDir, 'castellan.db');
  const db = new Database(file);
  migrate(
    db,
    loadMigrations('sqlite').filter(({ version }) => version === 1),
    { hit: () => undefined },
  );
  const columns = 'id, tenant_id, kind, hash, name, created_at_ms, deleted_at_ms, body';
  db.prepare(`INSERT INTO api_keys (${columns}) VALUES ('key_1', 'acme', 'inference', 'old hash', 'robot', 1, NULL, ?)`).run(
    JSON.stringify(OLD_KEY),
  );
  db.prepare(`INSERT INTO events (id, type, tenant_id, at_ms, data) VALUES ('evt_1', 'tenant.created', 'acme', 1, '{}')`).run();
  db.close();

  const store = await openSqliteStore({ file, clock: makeTestClock() });
  try {
    expect(await store.keyByHash('old hash')).toEqual(OLD_KEY);
    expect(await store.keys({ tenantId: 'acme', kinds: ['inference'], limit: 10 })).toEqual([OLD_KEY]);
    expect((await store.events({ tenantId: 'acme', limit: 10 })).map(({ event }) => event.id)).toEqual(['evt_1']);
    const rotate = { verb: 'rotate-key', tenantId: 'acme', keyId: 'key_1', hash: 'new hash', mask: OLD_KEY.mask, sealed: null } as const;
    const batch = [makeCommands().createTenant('acme'), { ...rotate, id: 'cmd_rotate', graceMs: 1000 }];
    expect((await store.execute('batch_1', batch, 0)).outcomes.map(({ ok }) => ok)).toEqual([true, true]);
    expect([(await store.keyByHash('old hash'))?.id, (await store.keyByHash('new hash'))?.id]).toEqual(['key_1', 'key_1']);
    // The release before writes these columns of a key it changes, and the body with what it does not know: the old value stays known.
    const kept = await store.record('key', 'key_1');
    const older = new Database(file);
    older
      .prepare('UPDATE api_keys SET name = ?, body = ? WHERE id = ?')
      .run('renamed', JSON.stringify({ ...kept, name: 'renamed' }), 'key_1');
    older.close();
    expect(await store.keyByHash('old hash')).toEqual({ ...kept, name: 'renamed' });
  } finally {
    await store.close();
    rmSync(dataDir, { recursive: true });
  }
});
