import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteStore } from '../../../src/stores/sqlite/open-sqlite-store.ts';
import { Fault } from '../../../src/core/fault.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectCyclesError } from '../../support/cycles-answers.ts';
import { makeManualClock } from '../../support/fakes.ts';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, OPERATOR_KEY, TEST_START_MS, type TestApp } from '../../support/test-app.ts';

interface NewKey {
  readonly key_id: string;
  readonly key_secret: string;
}

let at: TestApp;
let operator: GovernanceClient;
let key: NewKey;

const setUp = async (options: Parameters<typeof makeTestApp>[0] = {}): Promise<void> => {
  at = await makeTestApp(options);
  operator = makeGovernanceClient(at);
  await operator.ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: 'acme-corp', name: 'Acme' });
  key = (await operator.ask<NewKey>('createApiKey', 'POST', '/v1/admin/api-keys', { tenant_id: 'acme-corp', name: 'k' })).body;
};

beforeEach(() => setUp());
afterEach(() => at.close());

const newBudget = (scope: string) => ({ scope, unit: 'USD_MICROCENTS', allocated: { unit: 'USD_MICROCENTS', amount: 100 } });

describe('a tenant that closes between the check of a key and what the key asks for', () => {
  test('is closed for that request, as the decision sees it and not as the check did', async () => {
    const client = makeGovernanceClient(at, key.key_secret);
    // The check still finds the tenant as it was: the writer closes it just before it decides.
    let closes = true;
    at.store.beforeBatch = async (commands) => {
      if (!closes || !commands.some(({ verb }) => verb === 'create-budget')) return;
      closes = false;
      const closing = { verb: 'update-tenant', id: 'cmd_close', tenantId: 'acme-corp', status: 'CLOSED' } as const;
      await at.store.execute('batch_close', [closing], 0);
    };
    const { status, body } = await client.ask('createBudget', 'POST', '/v1/admin/budgets', newBudget('tenant:acme-corp'));
    expect([status, body['error']]).toEqual([409, 'TENANT_CLOSED']);
    const scoped = newBudget('tenant:acme-corp/app:bot');
    const asOperator = await operator.ask('createBudget', 'POST', '/v1/admin/budgets', { ...scoped, tenant_id: 'acme-corp' });
    expect([asOperator.status, asOperator.body['error']]).toEqual([409, 'TENANT_CLOSED']);
  });
});

describe('a cascade that died half-way', () => {
  test('is finished by closing again, which is no error', async () => {
    await at.writer.execute({ verb: 'update-tenant', id: 'cmd_close', tenantId: 'acme-corp', status: 'CLOSED' });
    expect((await at.store.record('key', key.key_id))?.deletedAtMs).toBeNull();
    const { status } = await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', { status: 'CLOSED' });
    expect(status).toBe(200);
    expect((await at.store.record('key', key.key_id))?.deletedAtMs).not.toBeNull();
  });
});

describe('empty lists', () => {
  test('come back as empty lists from a database, and take no permission away', async () => {
    await at.close();
    const folder = mkdtempSync(join(tmpdir(), 'castellan-lists-'));
    const clock = makeManualClock(TEST_START_MS);
    const store = await openSqliteStore({ dataDir: folder, clock });
    try {
      await setUp({ store, clock });
      const update = (body: object) => operator.ask('updateApiKey', 'PATCH', `/v1/admin/api-keys/${key.key_id}`, body);
      await update({ permissions: ['budgets:read'], scope_filter: [] });
      const { body } = await update({ name: 'renamed' });
      expect(body).toMatchObject({ permissions: ['budgets:read'], scope_filter: [] });
      await update({ permissions: [] });
      const { body: listed } = await operator.ask('listApiKeys', 'GET', '/v1/admin/api-keys');
      expect(listed).toMatchObject({ keys: [{ permissions: [], scope_filter: [], name: 'renamed' }] });
    } finally {
      await at.close();
      await store.close();
      rmSync(folder, { recursive: true });
      await setUp();
    }
  });
});

describe('refusals before any route', () => {
  test.each<[string, Record<string, string>, number]>([
    ['without a credential', {}, 401],
    ['with a wrong operator key', { 'x-admin-api-key': 'wrong' }, 401],
    ['with a key that nobody has', { 'x-cycles-api-key': 'cyc_live_nobody' }, 401],
    ['with two operator keys', { 'x-admin-api-key': `${OPERATOR_KEY}, ${OPERATOR_KEY}` }, 401],
  ])('tell the trace and the request: %s', async (_what, headers, status) => {
    const trace = 'b'.repeat(32);
    const answer = await at.as(null)('GET', '/v1/admin/budgets', undefined, { ...headers, 'x-cycles-trace-id': trace });
    expect(answer.status).toBe(status);
    expectCyclesError('governance', answer.json);
    expect(answer.json).toMatchObject({ trace_id: trace, request_id: answer.headers['x-request-id'] });
    expect(answer.headers['x-cycles-trace-id']).toBe(trace);
  });

  test('a trace that is malformed is replaced, never refused', async () => {
    for (const headers of [
      { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` },
      { traceparent: `00-${'A'.repeat(32)}-00f067aa0ba902b7-01` },
      { traceparent: 'nonsense', 'x-cycles-trace-id': 'x' },
    ] as Record<string, string>[]) {
      const { status, headers: answered } = await operator.ask('getTenant', 'GET', '/v1/admin/tenants/acme-corp', undefined, headers);
      expect(status).toBe(200);
      expect(answered['x-cycles-trace-id']).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    }
  });
});

describe('what other servers answer with 500', () => {
  const asOperator = { 'x-admin-api-key': OPERATOR_KEY };

  test.each<[string, 'GET' | 'POST' | 'PUT' | 'DELETE', string, string]>([
    ['a tenant’s delete', 'DELETE', '/v1/admin/tenants/acme-corp', 'GET, HEAD, PATCH'],
    ['a key that is put', 'PUT', '/v1/admin/api-keys', 'GET, HEAD, POST'],
    ['an introspection that is posted', 'POST', '/v1/auth/introspect', 'GET, HEAD'],
    ['a validation that is got', 'GET', '/v1/auth/validate', 'POST'],
  ])('405: %s', async (_what, method, url, allow) => {
    const answer = await at.as(null)(method, url, undefined, asOperator);
    expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
    expectCyclesError('governance', answer.json);
    expect(answer.headers['x-cycles-trace-id']).toMatch(/^[0-9a-f]{32}$/);
  });

  test.each(['/v1/admin', '/v1/admin/nothing', '/v1/auth/nothing', '/v1/webhooks/a/b/c/d', '/v1/admin/tenants/a/b'])(
    '404: %s, in the protocol’s form',
    async (url) => {
      const answer = await at.as(null)('GET', url, undefined, asOperator);
      expect(answer.status).toBe(404);
      expectCyclesError('governance', answer.json);
      expect(answer.json).toMatchObject({ error: 'NOT_FOUND', trace_id: answer.headers['x-cycles-trace-id'] });
    },
  );

  test.each(['{', '{"tenant_id":', '[]', '"x"', '1', 'null', '', '{"tenant_id":"abc","name":"x","__proto__":{}}', '\u0000'])(
    '400: the body %j',
    async (body) => {
      const answer = await at.operator('POST', '/v1/admin/tenants', body);
      expect(answer.status).toBe(400);
      expectCyclesError('governance', answer.json);
    },
  );

  test('415: another content type', async () => {
    const answer = await at.operator('POST', '/v1/admin/tenants', '<x/>', { 'content-type': 'application/xml' });
    expect(answer.status).toBe(415);
    expectCyclesError('governance', answer.json);
  });

  test.each(['..', '%2e%2e', '.', '%2E', '..%2fbudgets', 'x%2f..'])('400: the segment %s', async (segment) => {
    const answer = await at.as(null)('GET', `/v1/admin/tenants/${segment}`, undefined, asOperator);
    expect([400, 404]).toContain(answer.status);
    expectCyclesError('governance', answer.json);
    expect(answer.text).not.toContain('acme-corp');
  });
});

describe('a store that cannot be read', () => {
  test('is not taken for a bad key', async () => {
    const client = makeGovernanceClient(at, key.key_secret);
    at.store.beforeRead = () => {
      throw new Fault({ code: 'store_unavailable', publicMessage: 'The store is unavailable at the moment.', message: 'the pool ran out' });
    };
    const { status, body } = await client.ask('introspectAuth', 'GET', '/v1/auth/introspect');
    expect([status, body['error']]).toEqual([503, 'INTERNAL_ERROR']);
    at.store.beforeRead = null;
    expect((await client.ask('introspectAuth', 'GET', '/v1/auth/introspect')).status).toBe(200);
  });
});

describe('what comes from outside', () => {
  test('never breaks a line of the log or of an answer', async () => {
    const evil = 'a\r\nx-injected: 1';
    for (const body of [
      { tenant_id: evil, name: 'x' },
      { tenant_id: 'abc', name: evil },
    ])
      expect((await operator.ask('createTenant', 'POST', '/v1/admin/tenants', body)).status).toBe(400);
    const answer = await at.as(null)('GET', '/v1/admin/tenants/a%0d%0ax-injected:%201', undefined, { 'x-admin-api-key': OPERATOR_KEY });
    expect(answer.status).toBe(404);
    expect(answer.headers['x-injected']).toBeUndefined();
    expect(JSON.stringify(at.log)).not.toContain('x-injected');
  });
});

describe('the dashboard', () => {
  test('logs in, and asks for more than a page holds', async () => {
    const { body } = await operator.ask('introspectAuth', 'GET', '/v1/auth/introspect');
    expect(body).toMatchObject({ authenticated: true, permissions: ['*'] });
    for (const name of ['overview', 'budgets', 'events', 'webhooks', 'audit', 'tenants', 'api_keys', 'policies'])
      expect(body['capabilities']).toHaveProperty(`view_${name}`, true);
    expect((await operator.ask('listTenants', 'GET', '/v1/admin/tenants?status=CLOSED&limit=1000')).status).toBe(200);
    expect((await operator.ask('listBudgets', 'GET', '/v1/admin/budgets?utilization_min=0.9&limit=2000')).status).toBe(200);
  });

  test('is told 403 and not 401 where a key lacks a permission, so that it stays logged in', async () => {
    await operator.ask('updateApiKey', 'PATCH', `/v1/admin/api-keys/${key.key_id}`, { permissions: [] });
    const { status, body } = await makeGovernanceClient(at, key.key_secret).ask('listBudgets', 'GET', '/v1/admin/budgets');
    expect([status, body['error']]).toEqual([403, 'INSUFFICIENT_PERMISSIONS']);
  });
});

test('200 clients that come at once with a new key are answered without a slow hash for each', async () => {
  const client = makeGovernanceClient(at, key.key_secret);
  const answers = await Promise.all(Array.from({ length: 200 }, () => client.ask('introspectAuth', 'GET', '/v1/auth/introspect')));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(at.store.reads.get('keyByHash')).toBe(1);
});
