import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestApp, type TestApp, type TestResponse } from '../../support/test-app.ts';

const VALUE = 'postgres://secret-value@db';

let at: TestApp;
let ann: string;
let other: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  ({ ann: other } = await at.addTenant('other'));
});
afterEach(async () => {
  // Whatever was asked: the value is in no row, event, audit line or log.
  const { records, events, audit } = at.store.tables;
  const kept = JSON.stringify([[...records], events, audit, at.log.lines]);
  await at.close();
  expect(kept).not.toContain('secret-value');
});

const create = (body: unknown, key = ann): Promise<TestResponse> => at.as(key)('POST', '/api/secrets', body);
const DB = { name: 'DATABASE_URL', value: VALUE };
const eventsOf = () => at.store.tables.events.filter(({ type }) => type.startsWith('secret.'));
const auditOf = () => at.store.tables.audit.filter(({ resourceKind }) => resourceKind === 'secret');

/** Puts an entry into the tenant's roster, as a container that uses the secret does. */
function useBy(names: readonly string[]): void {
  const containers = names.map((name) => ({ id: name, name, secrets: ['DATABASE_URL'], staleSinceMs: null }));
  at.store.tables.records.set('container-roster acme', { id: 'acme', containers } as never);
}

describe('200 and 201', () => {
  test('a secret is made, shown, changed and deleted; no answer has its value', async () => {
    const made = await create(DB);
    expect(made.status).toBe(201);
    expect(made.json).toEqual({
      id: expect.stringMatching(/^sec_/) as string,
      name: 'DATABASE_URL',
      created_at: '2026-04-09T00:00:00Z',
      updated_at: '2026-04-09T00:00:00Z',
      used_by: [],
    });
    at.clock.advance(1000);
    const changed = await at.as(ann)('PUT', '/api/secrets/DATABASE_URL', { value: `${VALUE}2` });
    expect([changed.status, changed.json]).toEqual([200, { ...(made.json as object), updated_at: '2026-04-09T00:00:01Z' }]);
    expect((await at.as(ann)('GET', '/api/secrets/DATABASE_URL')).json).toEqual(changed.json);
    expect((await at.as(ann)('GET', '/api/secrets')).json).toEqual([changed.json]);
    const deleted = await at.as(ann)('DELETE', '/api/secrets/DATABASE_URL');
    expect([deleted.status, deleted.json]).toEqual([200, { message: 'Secret deleted' }]);
    expect((await at.as(ann)('GET', '/api/secrets')).text).toBe('[]');
    expect(eventsOf().map(({ type, data }) => [type, data])).toEqual([
      ['secret.created', { tenant_id: 'acme', name: 'DATABASE_URL' }],
      ['secret.updated', { tenant_id: 'acme', name: 'DATABASE_URL', used_by: [] }],
      ['secret.deleted', { tenant_id: 'acme', name: 'DATABASE_URL' }],
    ]);
    expect(auditOf().map(({ operation, resourceId }) => [operation, resourceId])).toEqual([
      ['create-secret', 'DATABASE_URL'],
      ['update-secret', 'DATABASE_URL'],
      ['delete-secret', 'DATABASE_URL'],
    ]);
  });

  test('the list is by name, and shows which containers use each', async () => {
    for (const name of ['B', 'a-key', 'DATABASE_URL', 'A']) expect((await create({ name, value: 'x' })).status).toBe(201);
    useBy(['web', 'api', 'web']);
    const list = (await at.as(ann)('GET', '/api/secrets')).json as { name: string; used_by: string[] }[];
    expect(list.map(({ name, used_by: usedBy }) => [name, usedBy])).toEqual([
      ['A', []],
      ['B', []],
      ['DATABASE_URL', ['api', 'web']],
      ['a-key', []],
    ]);
  });

  test('a name that was deleted is free again', async () => {
    await create(DB);
    await at.as(ann)('DELETE', '/api/secrets/DATABASE_URL');
    expect((await create(DB)).status).toBe(201);
  });

  test('a value of 64 KiB is taken, also where JSON escapes all of it', async () => {
    expect((await create({ name: 'BIG', value: '\u0001'.repeat(65_536) })).status).toBe(201);
  });

  test('each tenant has its own, sealed by its own key', async () => {
    await create(DB);
    expect((await create(DB, other)).status).toBe(201);
    const { records } = at.store.tables;
    const key = (tenant: string) => records.get(`tenant-key ${tenant}`) as { keyId: string; keySealed: string };
    const sealed = (tenant: string) => (records.get(`secret ${tenant}/DATABASE_URL`) as { valueSealed: string }).valueSealed;
    expect(key('acme').keyId).not.toBe(key('other').keyId);
    for (const tenant of ['acme', 'other']) expect(sealed(tenant).endsWith(`.${key(tenant).keyId}`)).toBe(true);
  });
});

describe('400', () => {
  test.each([
    [undefined, 'body'],
    [null, 'body'],
    [{ name: 'A' }, 'value'],
    [{ value: 'x' }, 'name'],
    [{ name: 'A', value: 5 }, 'value'],
    [{ name: 'A', value: null }, 'value'],
    [{ name: 'A', value: '' }, 'value'],
    [{ name: 'A', value: 'x'.repeat(65_537) }, 'value'],
    [{ name: 'A', value: 'secret-value\u0000' }, 'value'],
    [{ name: 'no_good', value: 'secret-value' }, 'name'],
    [{ name: ['A'], value: 'secret-value' }, 'name'],
  ])('%# names the field and no value', async (body, field) => {
    const { status, json, text } = await create(body);
    expect(status).toBe(400);
    expect((json as { error: string }).error).toContain(field);
    expect(text).not.toContain('secret-value');
    expect(at.store.tables.records.has('tenant-key acme')).toBe(false);
  });

  test('a change needs a value', async () => {
    await create(DB);
    for (const body of [undefined, {}, { value: '' }, { value: 7 }]) {
      expect((await at.as(ann)('PUT', '/api/secrets/DATABASE_URL', body)).status).toBe(400);
    }
  });
});

test('401 without an admin key', async () => {
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['GET', '/A'],
    ['PUT', '/A'],
    ['DELETE', '/A'],
  ] as const) {
    expect((await at.as('tk_nobody')(method, `/api/secrets${path}`)).status).toBe(401);
  }
});

test('403 for more than there may be', async () => {
  await create(DB);
  const key = at.store.tables.records.get('tenant-key acme') as { secretCount: number; secretBytes: number };
  at.store.tables.records.set('tenant-key acme', { ...key, secretCount: 1000 } as never);
  expect(await create({ name: 'A', value: 'x' })).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
  at.store.tables.records.set('tenant-key acme', { ...key, secretBytes: 16 * 1024 * 1024 } as never);
  expect(await create({ name: 'A', value: 'x' })).toMatchObject({ status: 403 });
  at.store.tables.records.set('tenant-key acme', key as never);
  await at.as(ann)('DELETE', '/api/secrets/DATABASE_URL');
  expect(at.store.tables.records.get('tenant-key acme')).toMatchObject({ secretCount: 0, secretBytes: 0 });
});

test.each(['NONE', 'no%20name', '..%2Fother', 'A%00', 'x'.repeat(300)])('404 for %j, and for what another tenant has', async (name) => {
  await create({ name: 'NONE', value: 'x' }, other);
  for (const [method, body] of [['GET'], ['PUT', { value: 'x' }], ['DELETE']] as const) {
    const { status } = await at.as(ann)(method, `/api/secrets/${name}`, body);
    expect([method, status]).toEqual([method, 404]);
  }
  expect(eventsOf().filter(({ tenantId }) => tenantId === 'acme')).toEqual([]);
});

describe('409', () => {
  test('for a name that is taken; the value stays', async () => {
    await create(DB);
    const before = at.store.tables.records.get('secret acme/DATABASE_URL');
    expect(await create({ ...DB, value: 'y' })).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
    expect(at.store.tables.records.get('secret acme/DATABASE_URL')).toBe(before);
  });

  test('while containers use it, with their names in the sentence and as a list', async () => {
    await create(DB);
    useBy(['web', 'api']);
    const { status, json } = await at.as(ann)('DELETE', '/api/secrets/DATABASE_URL');
    expect([status, json]).toMatchObject([
      409,
      { error: 'secret is in use by: api, web', code: 'CONFLICT', containers: ['api', 'web'], used_by: ['api', 'web'] },
    ]);
    expect((await at.as(ann)('GET', '/api/secrets/DATABASE_URL')).status).toBe(200);
  });
});

test('413 for a body that is larger than any value', async () => {
  expect((await create({ name: 'A', value: 'x'.repeat(2_000_000) })).status).toBe(413);
});
