import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { budgetId, USD_MICROCENTS } from '../../src/core/ledger/account.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeSystemClock } from '../../src/server/secrets/system-clock.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeControlPlane } from '../support/control-plane.ts';
import { expectAnswer } from '../support/cycles-answers.ts';
import { bearer, makeHttpClient, operator, type Answer, type HttpClient } from '../support/http-client.ts';
import { reserve } from '../support/ledger-fixtures.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import type { Row, TestStore } from '../support/store-reader.ts';
import { waitUntil } from '../support/wait-until.ts';
import { CLOSE_POINTS } from './kill-points.ts';

const HOLDS = 3;
const DEAD = { code: null, signal: 'SIGKILL' };

let http: HttpClient;
beforeAll(() => void (http = makeHttpClient()));
afterAll(() => http.close());

/** What one tenant owns: a thing of each kind that the program knows, each made as its owner makes it. */
interface Estate {
  readonly tenantId: string;
  /** One value of each kind of key, with the address that shows whether it is good. */
  readonly keys: readonly { readonly url: () => string; readonly headers: Readonly<Record<string, string>> }[];
  readonly policyId: string;
}

/** Asks a governance operation as the operator; the answer has its closed shape. */
async function ask(server: TestServer, id: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await http.ask(`${server.admin}${path}`, { method, body, headers: operator(server.credentials().operator_key) });
  expectAnswer(id, answer.status, answer.json(), 'governance');
  return answer;
}

async function makeEstate(server: TestServer, tenantId: string): Promise<Estate> {
  const control = makeControlPlane(server, http);
  const { adminKey } = await control.makeTenant(tenantId);
  const inference = await control.makeKey({ id: tenantId, adminKey }, { name: 'of a model' });
  const path = `/tenants/${tenantId}/management-keys`;
  const management = (await control.operator('POST', path, { name: 'of a machine', member_id: 'ann' })).json<{ key: string }>();
  const made = await ask(server, 'createApiKey', 'POST', '/v1/admin/api-keys', { tenant_id: tenantId, name: 'of a client' });
  const client = { 'x-cycles-api-key': made.json<{ key_secret: string }>().key_secret };
  const scope = `tenant:${tenantId}`;
  const allocated = { unit: USD_MICROCENTS, amount: 100 };
  await ask(server, 'createBudget', 'POST', '/v1/admin/budgets', { tenant_id: tenantId, scope, unit: USD_MICROCENTS, allocated });
  for (let index = 0; index < HOLDS; index++) {
    const answer = await http.ask(`${server.runtime}/v1/reservations`, {
      method: 'POST',
      headers: client,
      body: {
        idempotency_key: `hold-${index}`,
        subject: { tenant: tenantId },
        action: { kind: 'llm.completion', name: 'x' },
        estimate: { unit: USD_MICROCENTS, amount: 10 },
        ttl_ms: 3_600_000,
      },
    });
    expectAnswer('createReservation', answer.status, answer.json(), 'runtime');
    expect(answer.status).toBe(200);
  }
  for (const status of ['ACTIVE', 'PAUSED']) {
    const webhook = { url: 'https://hooks.invalid/', event_types: ['budget.exhausted'] };
    const subscribed = await ask(server, 'createWebhookSubscription', 'POST', `/v1/admin/webhooks?tenant_id=${tenantId}`, webhook);
    const { subscription } = subscribed.json<{ subscription: { subscription_id: string } }>();
    if (status === 'ACTIVE') continue;
    await ask(server, 'updateWebhookSubscription', 'PATCH', `/v1/admin/webhooks/${subscription.subscription_id}`, { status });
  }
  const policy = { tenant_id: tenantId, name: 'p', scope_pattern: `${scope}/*`, caps: { max_tokens: 5 } };
  const { policy_id: policyId } = (await ask(server, 'createPolicy', 'POST', '/v1/admin/policies', policy)).json<{ policy_id: string }>();
  return {
    tenantId,
    policyId,
    keys: [
      { url: () => `${server.admin}/api/keys`, headers: bearer(adminKey) },
      { url: () => `${server.runtime}/v1/models`, headers: bearer(management.key) },
      { url: () => `${server.runtime}/v1/models`, headers: bearer(inference.key) },
      { url: () => `${server.runtime}/v1/reservations?limit=1`, headers: client },
    ],
  };
}

/** What is still good of the tenant, and what was told of its end, from the rows themselves. */
async function found(server: TestServer, tenantId: string) {
  const [reservations = [], accounts = [], keys = [], webhooks = [], events = [], audit = [], marks = []] = await server
    .reader()
    .snapshot([
      `SELECT state, count(*) AS n FROM reservations WHERE tenant_id = '${tenantId}' GROUP BY state`,
      `SELECT status, reserved AS n FROM accounts WHERE tenant_id = '${tenantId}' AND kind = 'budget'`,
      `SELECT kind, count(*) AS n FROM api_keys WHERE tenant_id = '${tenantId}' AND deleted_at_ms IS NULL GROUP BY kind`,
      `SELECT body FROM webhooks WHERE tenant_id = '${tenantId}'`,
      `SELECT type, count(*) AS n FROM events WHERE tenant_id = '${tenantId}' AND type LIKE '%cascade' GROUP BY type ORDER BY type`,
      `SELECT operation, count(*) AS n FROM audit WHERE tenant_id = '${tenantId}' AND operation LIKE '%cascade' GROUP BY operation ORDER BY operation`,
      `SELECT id FROM settings WHERE id = 'tenant-close:${tenantId}'`,
    ]);
  const counts = (rows: readonly Row[], name: string): string[] => rows.map((row) => `${String(row[name])} ${String(row['n'])}`);
  const bodies = webhooks.map(({ body }) => (typeof body === 'string' ? JSON.parse(body) : body) as { status: string });
  return {
    reservations: counts(reservations, 'state'),
    accounts: counts(accounts, 'status'),
    keys: counts(keys, 'kind'),
    webhooks: bodies.map(({ status }) => status),
    events: counts(events, 'type'),
    audit: counts(audit, 'operation'),
    isMarked: marks.length > 0,
  };
}

/** All that a close leaves, each end told once: what budgets got back as one sum, everything else one by one. */
const CLOSED = {
  reservations: [`RELEASED ${HOLDS}`],
  accounts: ['CLOSED 0'],
  keys: [],
  webhooks: ['DISABLED', 'DISABLED'],
  events: [
    'api_key.revoked_via_tenant_cascade 4',
    'budget.closed_via_tenant_cascade 1',
    'reservation.released_via_tenant_cascade 1',
    'webhook.disabled_via_tenant_cascade 2',
  ],
  audit: [
    'api_key.revoked_via_tenant_cascade 4',
    'budget.closed_via_tenant_cascade 1',
    `reservation.released_via_tenant_cascade ${HOLDS}`,
    'webhook.disabled_via_tenant_cascade 2',
  ],
  isMarked: false,
};

/** A store of the test's own on what a killed process left, half a close: whoever comes now meets a closed tenant. */
async function expectRefused({ store, dataDir }: TestServer, { tenantId, policyId }: Estate): Promise<void> {
  const opened =
    store.kind === 'sqlite'
      ? await openSqliteStore({ dataDir, clock: makeSystemClock() })
      : await openPostgresStore({ url: store.url, lanes: 1, readers: 1 });
  const accountId = budgetId(tenantId, `tenant:${tenantId}`, USD_MICROCENTS);
  const commands: Command[] = [
    {
      ...reserve({ id: 'late_hold', reservationId: 'late', amount: 1n }),
      tenantId,
      purpose: 'budget',
      legs: [{ accountId, base: 1n, perUnit: 0n, divisor: 1n, required: true }],
    },
    { verb: 'fund', id: 'late_fund', tenantId, accountId, operation: 'CREDIT', amount: 1n },
    { verb: 'freeze-budget', id: 'late_freeze', tenantId, accountId },
    { verb: 'update-policy', id: 'late_policy', tenantId, policyId, changes: { name: 'x' } },
  ];
  try {
    const { outcomes } = await opened.execute(`late ${tenantId}`, commands, 0);
    expect(outcomes.map((outcome) => (outcome.ok ? 'done' : outcome.rejection.code))).toEqual(commands.map(() => 'tenant_closed'));
  } finally {
    await opened.close();
  }
}

/** Each start goes on from what the kill before left, and is killed itself while it closes the next tenant. Gives what is wrong in the end. */
async function testKills(store: TestStore, points = CLOSE_POINTS): Promise<readonly unknown[]> {
  const server = makeServer({ store, env: { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64') } });
  const close = (tenantId: string): Promise<Answer> =>
    ask(server, 'updateTenant', 'PATCH', `/v1/admin/tenants/${tenantId}`, { status: 'CLOSED' });
  const estates: Estate[] = [];
  /** The start alone brings the tenant's things to their end; closing once more is no error and tells nothing twice. */
  const expectConverged = async (estate: Estate): Promise<void> => {
    await waitUntil(async () => !(await found(server, estate.tenantId)).isMarked);
    expect(await found(server, estate.tenantId)).toEqual(CLOSED);
    const again = await close(estate.tenantId);
    expect([again.status, again.json()]).toEqual([200, expect.objectContaining({ status: 'CLOSED' })]);
    expect(await found(server, estate.tenantId)).toEqual(CLOSED);
    for (const { url, headers } of estate.keys) expect((await http.ask(url(), { headers })).status).toBe(401);
  };
  try {
    for (const [index, point] of points.entries()) {
      const armFile = join(server.dataDir, 'armed');
      await server.start({ kill: { point, hit: 1, armFile } });
      const before = estates.at(-1);
      if (before !== undefined) await expectConverged(before);
      const estate = await makeEstate(server, `killed-${index}`);
      for (const { url, headers } of estate.keys) expect((await http.ask(url(), { headers })).status).toBe(200);
      writeFileSync(armFile, '');
      await expect(close(estate.tenantId)).rejects.toThrow(/other side closed|ECONNRESET|socket/);
      expect([point, await server.ended()]).toEqual([point, DEAD]);
      rmSync(armFile);
      expect((await found(server, estate.tenantId)).isMarked).toBe(true);
      await expectRefused(server, estate);
      estates.push(estate);
    }
    await server.start();
    for (const estate of estates) await expectConverged(estate);
    expect((await server.stop()).code).toBe(0);
    return (await server.verify()).discrepancies;
  } finally {
    await server.dispose();
  }
}

const NAME = 'a close that is killed at any step takes nothing from then on, converges with the next start and tells every end once';

test(NAME, { timeout: 120_000 }, async () => {
  expect(await testKills({ kind: 'sqlite' })).toEqual([]);
});

describePostgres('on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => void (cluster = await startPostgresCluster()));
  afterAll(() => cluster.stop());

  test(NAME, { timeout: 120_000 }, async () => {
    // The steps are the program's own and the same: what the other store adds is its transactions, which every second one shows.
    const points = CLOSE_POINTS.filter((_, index) => index % 2 === 0);
    expect(await testKills({ kind: 'postgres', url: await cluster.createDatabase() }, points)).toEqual([]);
  });
});
