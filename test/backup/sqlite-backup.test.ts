import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe } from 'vitest';
import { testBackups } from './backup-suite.ts';

const FILL = `
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  INSERT INTO idempotency (tenant_id, operation, target, key, hash, answer, expires_at_ms)
  SELECT 'default', 'fill', '', i, '', '"' || hex(randomblob(2000)) || '"', 9000000000000000 FROM n`;

describe('backups of the embedded database', () => {
  testBackups(async () => ({
    store: { kind: 'sqlite' },
    raw: async ({ dataDir }, sql) => {
      const db = new Database(join(dataDir, 'castellan.db'), { timeout: 10_000 });
      try {
        const statement = db.prepare<[], Record<string, unknown>>(sql);
        if (statement.reader) return statement.all();
        statement.run();
        return [];
      } finally {
        db.close();
      }
    },
    another: async () => ({ kind: 'sqlite' }),
    fill: FILL,
    isRestoring: async ({ dataDir }) => existsSync(join(dataDir, 'castellan.db.restoring')),
  }));
});
