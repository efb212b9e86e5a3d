import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeTestClock } from './test-store.ts';

/** A row of usage as the first version wrote it. */
const usage = (table: string, id: string): string => `
  INSERT INTO ${table} (id, tenant_id, key_id, model, upstream_id, price_id, route, at_ms, held_at_ms, requests, prompt_tokens,
    completion_tokens, cached_prompt_tokens, reasoning_tokens, cost_nano_usd, charge_microcents, streaming, estimated, interrupted)
  VALUES ('${id}', 'acme', 'k1', 'm1', 'u1', 'p1', '/embeddings', 5, 5, 1, 3, 0, 0, 0, 10, 1, 0, 0, 0)`;

test('a database of the version before opens, and its usage reads and folds as it was', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'castellan-upgrade-'));
  const file = join(dataDir, 'castellan.db');
  const db = new Database(file);
  migrate(db, loadMigrations('sqlite').slice(0, 1), { hit: () => undefined });
  db.exec(`${usage('usage_events', 'call_1')}; ${usage('usage_tail', 'call_2')}`);
  db.close();
  const store = await openSqliteStore({ file, clock: makeTestClock() });
  try {
    const idsOf = async (): Promise<string[]> => {
      const events = await store.usageEvents({ tenantId: 'acme', limit: 9 });
      expect(events.every((event) => !('media' in event) && event.promptTokens === 3)).toBe(true);
      return events.map(({ id }) => id).toSorted();
    };
    expect(await idsOf()).toEqual(['call_1', 'call_2']);
    expect(await store.foldUsage(9)).toBe(1);
    expect(await idsOf()).toEqual(['call_1', 'call_2']);
    expect(await store.upstreamObjects({ tenantId: 'acme', ids: ['resp_1'] })).toEqual([]);
  } finally {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
