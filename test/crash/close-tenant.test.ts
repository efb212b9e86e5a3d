import { cpSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { budgetId, USD_MICROCENTS } from '../../src/core/ledger/account.ts';
import type { Command } from '../../src/core/verbs.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeHttpClient, operator, type HttpClient } from '../support/http-client.ts';
import { reserve } from '../support/ledger-fixtures.ts';
import { makeServer, startServer, type TestServer } from '../support/server-process.ts';
import { waitUntil } from '../support/wait-until.ts';
import { CLOSE_POINTS } from './kill-points.ts';

const TENANT = 'acme-corp';
const BUDGET = budgetId(TENANT, `tenant:${TENANT}`, USD_MICROCENTS);
const HOLDS = 3;

let http: HttpClient;
/** A server that runs no more, with a tenant that owns one thing of each kind; each test goes on from a copy of its folder. */
let before: TestServer;

const ask = async (server: TestServer, method: string, path: string, body?: unknown) => {
  const answer = await http.ask(`${server.admin}${path}`, { method, body, headers: operator(server.credentials().operator_key) });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer;
};

beforeAll(async () => {
  http = makeHttpClient();
  before = await startServer({ store: { kind: 'sqlite' } });
  await ask(before, 'POST', '/v1/admin/tenants', { tenant_id: TENANT, name: 'Acme' });
  await ask(before, 'POST', '/v1/admin/api-keys', { tenant_id: TENANT, name: 'k' });
  await before.stop();
  const store = await openSqliteStore({ dataDir: before.dataDir, clock: { nowMs: () => Date.now() } });
  const holds = Array.from({ length: HOLDS }, (_, index): Command => ({
    ...reserve({ id: `cmd_${index}`, reservationId: `res_${index}`, amount: 10n, ttlMs: 86_400_000 }),
    tenantId: TENANT,
    purpose: 'budget',
    legs: [{ accountId: BUDGET, base: 10n, perUnit: 0n, divisor: 1n, required: true }],
  }));
  const { outcomes } = await store.execute(
    'batch',
    [{ verb: 'allocate', id: 'cmd', tenantId: TENANT, accountId: BUDGET, allocated: 100n }, ...holds],
    0,
  );
  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  await store.close();
  const db = new Database(join(before.dataDir, 'castellan.db'));
  const webhook = {
    id: 'hook',
    tenantId: TENANT,
    name: null,
    description: null,
    url: 'https://hooks.example.com/',
    eventTypes: ['budget.exhausted'],
    eventCategories: [],
    scopeFilter: null,
    status: 'PAUSED',
    secretSealed: '',
    headerNames: [],
    headersSealed: null,
    retryPolicy: {},
    thresholds: {},
    disableAfterFailures: 10,
    metadata: {},
    createdAtMs: 1,
    updatedAtMs: 1,
  };
  db.prepare('INSERT INTO webhooks (id, tenant_id, body) VALUES (?, ?, ?)').run('hook', TENANT, JSON.stringify(webhook));
  db.close();
});
afterAll(async () => {
  await before.dispose();
  await http.close();
});

/** What the tenant still has, and what was told, from the rows themselves. */
async function found(server: TestServer) {
  const [reservations, accounts, keys, webhooks, events, audit, marks] = await server
    .reader()
    .snapshot([
      `SELECT state, count(*) AS n FROM reservations WHERE tenant_id = '${TENANT}' GROUP BY state`,
      `SELECT status, reserved FROM accounts WHERE tenant_id = '${TENANT}' AND kind = 'budget'`,
      `SELECT count(*) AS n FROM api_keys WHERE tenant_id = '${TENANT}' AND deleted_at_ms IS NULL`,
      `SELECT json_extract(body, '$.status') AS status FROM webhooks`,
      `SELECT type, count(*) AS n FROM events WHERE tenant_id = '${TENANT}' AND type LIKE '%cascade' GROUP BY type ORDER BY type`,
      `SELECT operation, count(*) AS n FROM audit WHERE operation LIKE '%cascade' GROUP BY operation ORDER BY operation`,
      `SELECT count(*) AS n FROM settings WHERE id LIKE 'tenant-close:%'`,
    ]);
  return { reservations, accounts, keys, webhooks, events, audit, marks };
}

const count = (rows: unknown): number => Number((rows as { n: number | bigint }[])[0]?.n);

test.each(CLOSE_POINTS)(
  'a close that is killed at %s converges with the next start, and tells everything once',
  { timeout: 60_000 },
  async (point) => {
    const server = makeServer({ store: { kind: 'sqlite' } });
    try {
      cpSync(before.dataDir, server.dataDir, { recursive: true });
      await server.start({ kill: { point, hit: 1, armFile: null } });
      const closing = http.ask(`${server.admin}/v1/admin/tenants/${TENANT}`, {
        method: 'PATCH',
        body: { status: 'CLOSED' },
        headers: operator(server.credentials().operator_key),
      });
      await expect(closing).rejects.toThrow(/other side closed|ECONNRESET|socket/);
      expect(await server.ended()).toEqual({ code: null, signal: 'SIGKILL' });
      expect(count((await found(server)).marks)).toBe(1);

      await server.start();
      await waitUntil(async () => count((await found(server)).marks) === 0);
      const { reservations, accounts, keys, webhooks, events, audit } = await found(server);
      expect(
        JSON.stringify({ reservations, accounts, webhooks }, (_name, value: unknown) =>
          typeof value === 'bigint' ? Number(value) : value,
        ),
      ).toBe(
        JSON.stringify({
          reservations: [{ state: 'RELEASED', n: HOLDS }],
          accounts: [{ status: 'CLOSED', reserved: 0 }],
          webhooks: [{ status: 'DISABLED' }],
        }),
      );
      expect(count(keys)).toBe(0);
      expect((events as { type: string; n: number | bigint }[]).map(({ type, n }) => `${type} ${n}`)).toEqual([
        'api_key.revoked_via_tenant_cascade 1',
        'budget.closed_via_tenant_cascade 1',
        'reservation.released_via_tenant_cascade 1',
        'webhook.disabled_via_tenant_cascade 1',
      ]);
      expect((audit as { operation: string; n: number | bigint }[]).map(({ operation, n }) => `${operation} ${n}`)).toEqual([
        'api_key.revoked_via_tenant_cascade 1',
        'budget.closed_via_tenant_cascade 1',
        `reservation.released_via_tenant_cascade ${HOLDS}`,
        'webhook.disabled_via_tenant_cascade 1',
      ]);
      const verified = await ask(server, 'POST', '/v1/x-castellan/verify');
      expect(verified.json()).toMatchObject({ discrepancies: [] });
    } finally {
      await server.dispose();
    }
  },
);
