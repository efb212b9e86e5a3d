import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PERMISSIONS } from '../../../src/core/cycles/permissions.ts';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const KEYS = '/v1/admin/api-keys';
const DAY_MS = 24 * 60 * 60 * 1000;

interface NewKey {
  readonly key_id: string;
  readonly key_secret: string;
  readonly key_prefix: string;
}

interface KeyList {
  readonly keys: readonly { readonly key_id: string; readonly status: string }[];
  readonly has_more: boolean;
  readonly next_cursor?: string;
}

let at: TestApp;
let operator: GovernanceClient;

beforeEach(async () => {
  at = await makeTestApp();
  operator = makeGovernanceClient(at);
  for (const id of ['acme-corp', 'globex']) await operator.ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: id, name: id });
});
afterEach(() => at.close());

const create = (body: object) => operator.ask<NewKey & Record<string, unknown>>('createApiKey', 'POST', KEYS, body);
const make = async (fields: object = {}): Promise<NewKey> => {
  const { status, body } = await create({ tenant_id: 'acme-corp', name: 'production-key', ...fields });
  expect(status).toBe(201);
  return body;
};
const update = (id: string, body: object) => operator.ask('updateApiKey', 'PATCH', `${KEYS}/${id}`, body);
const revoke = (id: string, query = '') => operator.ask('revokeApiKey', 'DELETE', `${KEYS}/${id}${query}`);
const list = async (query = '') => (await operator.ask<KeyList>('listApiKeys', 'GET', `${KEYS}${query}`)).body;
const one = async (id: string) => (await list('?limit=100')).keys.find((key) => key.key_id === id);
const introspect = (secret: string) => makeGovernanceClient(at, secret).ask('introspectAuth', 'GET', '/v1/auth/introspect');
const keyEvents = () => at.store.tables.events.filter(({ type }) => type.startsWith('api_key.'));

describe('createApiKey', () => {
  test('201: a key of the guide is made, and its secret told this once', async () => {
    const permissions = ['reservations:create', 'reservations:list', 'balances:read', 'events:create'];
    const { status, body, headers } = await create({ tenant_id: 'acme-corp', name: 'production-key', permissions });
    expect(status).toBe(201);
    expect(body).toEqual({
      key_id: expect.stringMatching(/^key_/) as string,
      key_secret: expect.stringMatching(/^cyc_live_[A-Za-z0-9]{32,}$/) as string,
      key_prefix: body.key_secret.slice(0, 14),
      tenant_id: 'acme-corp',
      permissions,
      created_at: '2026-04-09T00:00:00Z',
      expires_at: '2026-07-08T00:00:00Z',
    });
    expect(headers['x-cycles-tenant']).toBe('acme-corp');
    const shown = await one(body.key_id);
    expect(shown).toEqual({
      key_id: body.key_id,
      tenant_id: 'acme-corp',
      key_prefix: body.key_prefix,
      name: 'production-key',
      permissions,
      status: 'ACTIVE',
      created_at: '2026-04-09T00:00:00Z',
      expires_at: '2026-07-08T00:00:00Z',
    });
    expect(JSON.stringify([...at.store.tables.records.values(), ...at.store.tables.audit, ...at.store.tables.events])).not.toContain(
      body.key_secret,
    );
    expect(keyEvents()).toMatchObject([
      {
        type: 'api_key.created',
        tenantId: 'acme-corp',
        data: { key_id: body.key_id, key_name: 'production-key', new_status: 'ACTIVE', permissions },
      },
    ]);
  });

  test('without permissions it gets the ten of the specification', async () => {
    const { body } = await create({ tenant_id: 'acme-corp', name: 'k' });
    expect(body['permissions']).toEqual([
      'reservations:create',
      'reservations:commit',
      'reservations:release',
      'reservations:extend',
      'reservations:list',
      'balances:read',
      'budgets:read',
      'budgets:write',
      'policies:read',
      'policies:write',
    ]);
  });

  test('everything that is given is kept: all permissions, none, filter, description, metadata to the digit', async () => {
    const given = {
      permissions: [...PERMISSIONS],
      scope_filter: ['workspace:eng', 'agent:*'],
      description: 'd'.repeat(1024),
      metadata: { note: ['x', null], big: 9007199254740993n },
      expires_at: '2026-04-10T00:00:00+02:00',
    };
    const text = JSON.stringify({ tenant_id: 'acme-corp', name: 'ü any name?', ...given, metadata: 0 }).replace(
      '"metadata":0',
      '"metadata":{"note":["x",null],"big":9007199254740993}',
    );
    const made = await at.operator('POST', KEYS, text);
    expect(made.status).toBe(201);
    const shown = await one((made.json as NewKey).key_id);
    expect(shown).toMatchObject({ ...given, expires_at: '2026-04-09T22:00:00Z' });
    const { key_id: id } = await make({ permissions: [], scope_filter: [] });
    expect(await one(id)).toMatchObject({ permissions: [], scope_filter: [] });
  });

  test.each<[string, object, string]>([
    ['without a name', { tenant_id: 'acme-corp' }, 'name'],
    ['without a tenant', { name: 'k' }, 'tenant_id'],
    ['a name of 257 characters', { tenant_id: 'acme-corp', name: 'x'.repeat(257) }, 'name'],
    ['an unknown permission', { tenant_id: 'acme-corp', name: 'k', permissions: ['budgets:read', 'root'] }, 'permissions.1'],
    ['permissions that are no list', { tenant_id: 'acme-corp', name: 'k', permissions: {} }, 'permissions'],
    ['a filter of no level', { tenant_id: 'acme-corp', name: 'k', scope_filter: ['everything'] }, 'scope_filter'],
    ['a blank filter', { tenant_id: 'acme-corp', name: 'k', scope_filter: [''] }, 'scope_filter'],
    ['a description of 1025 characters', { tenant_id: 'acme-corp', name: 'k', description: 'x'.repeat(1025) }, 'description'],
    ['an expiry that is no moment', { tenant_id: 'acme-corp', name: 'k', expires_at: 'tomorrow' }, 'expires_at'],
    ['an expiry that is now', { tenant_id: 'acme-corp', name: 'k', expires_at: '2026-04-09T00:00:00Z' }, 'expires_at'],
    ['metadata that is a list', { tenant_id: 'acme-corp', name: 'k', metadata: [] }, 'metadata'],
    ['an unknown field', { tenant_id: 'acme-corp', name: 'k', key_secret: 'mine' }, 'key_secret'],
  ])('400: %s', async (_what, body, field) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'INVALID_REQUEST', details: { field } });
    expect(keyEvents()).toEqual([]);
  });

  test('400: for a tenant that is not there, or suspended; 409: for a closed one', async () => {
    const missing = await create({ tenant_id: 'nobody', name: 'k' });
    expect(missing).toMatchObject({ status: 400, body: { error: 'INVALID_REQUEST', details: { field: 'tenant_id' } } });
    await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', { status: 'SUSPENDED' });
    const suspended = await create({ tenant_id: 'acme-corp', name: 'k' });
    expect([suspended.status, suspended.body['error']]).toEqual([400, 'TENANT_SUSPENDED']);
    await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', { status: 'CLOSED' });
    const closed = await create({ tenant_id: 'acme-corp', name: 'k' });
    expect([closed.status, closed.body['error']]).toEqual([409, 'TENANT_CLOSED']);
  });
});

describe('listApiKeys', () => {
  let made: NewKey[];

  beforeEach(async () => {
    made = [
      await make({ name: 'Beta', expires_at: '2026-04-20T00:00:00Z' }),
      await make({ name: 'alpha' }),
      await make({ tenant_id: 'globex', name: 'Gamma', expires_at: '2026-12-01T00:00:00Z' }),
    ];
    // Keys of other kinds belong to other surfaces.
    await at.addTenant('initech');
    await revoke(made[1]?.key_id ?? '');
    at.clock.advance(15 * DAY_MS);
  });
  const names = async (query: string) => (await list(query)).keys.map((key) => (key as unknown as { name: string }).name);

  test.each([
    ['?sort_by=name&sort_dir=asc', ['Beta', 'Gamma', 'alpha']],
    ['?sort_by=expires_at&sort_dir=asc', ['Beta', 'alpha', 'Gamma']],
    ['?sort_by=status&sort_dir=asc', ['Gamma', 'Beta', 'alpha']],
    ['?sort_by=tenant_id&sort_dir=desc', ['Gamma', 'alpha', 'Beta']],
    ['?sort_by=key_id', ['Gamma', 'alpha', 'Beta']],
    ['', ['Gamma', 'alpha', 'Beta']],
    ['?tenant_id=acme-corp', ['alpha', 'Beta']],
    ['?tenant_id=nobody', []],
    ['?status=ACTIVE', ['Gamma']],
    ['?status=EXPIRED', ['Beta']],
    ['?status=REVOKED', ['alpha']],
    ['?search=A&status=REVOKED', ['alpha']],
    ['?search=gamm', ['Gamma']],
  ])('200: %s', async (query, expected) => {
    expect(await names(query)).toEqual(expected);
  });

  test.each(['created_at', 'key_id', 'name', 'tenant_id', 'status', 'expires_at'])(
    'pages by %s lose and repeat nothing',
    async (sortBy) => {
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await list(`?limit=1&sort_by=${sortBy}${cursor === undefined ? '' : `&cursor=${cursor}`}`);
        found.push(...page.keys.map(({ key_id: id }) => id));
        cursor = page.next_cursor;
      } while (cursor !== undefined);
      expect(found.toSorted()).toEqual(made.map(({ key_id: id }) => id).toSorted());
    },
  );

  test('400: what a list does not take', async () => {
    for (const query of ['?status=OPEN', '?sort_by=hash', '?limit=x', '?cursor=x', `?search=${'x'.repeat(129)}`])
      expect((await operator.ask('listApiKeys', 'GET', `${KEYS}${query}`)).status).toBe(400);
  });
});

describe('updateApiKey', () => {
  test('200: what is given changes; permissions and filter are told, a name is not', async () => {
    const { key_id: id } = await make({ metadata: { a: 1 } });
    expect((await update(id, { name: 'other', description: 'd', metadata: { b: 2 } })).body).toMatchObject({
      name: 'other',
      description: 'd',
      metadata: { b: 2 },
    });
    expect(keyEvents()).toHaveLength(1);
    const { status, body } = await update(id, { permissions: ['budgets:read'], scope_filter: ['app:bot'] });
    expect(status).toBe(200);
    expect(body).toMatchObject({ permissions: ['budgets:read'], scope_filter: ['app:bot'], name: 'other' });
    expect(keyEvents().slice(1)).toMatchObject([
      {
        type: 'api_key.permissions_changed',
        data: { key_id: id, key_name: 'other', previous_status: 'ACTIVE', new_status: 'ACTIVE', permissions: ['budgets:read'] },
      },
    ]);
    await update(id, { permissions: ['budgets:read'] });
    expect(keyEvents()).toHaveLength(2);
  });

  test('the very next request of the key sees its new permissions', async () => {
    const { key_id: id, key_secret: secret } = await make({ permissions: ['budgets:read'] });
    expect((await introspect(secret)).body).toMatchObject({ permissions: ['budgets:read'] });
    await update(id, { permissions: [] });
    expect((await introspect(secret)).body).toMatchObject({ permissions: [], capabilities: { view_budgets: false } });
  });

  test('404, 409, 400: in this order', async () => {
    const { key_id: id } = await make({ expires_at: '2026-04-10T00:00:00Z' });
    expect((await update('key_nobody', { name: 'x' })).body).toMatchObject({ error: 'NOT_FOUND' });
    expect((await update(id, { expires_at: '2027-01-01T00:00:00Z' })).body).toMatchObject({ details: { field: 'expires_at' } });
    expect((await update(id, { permissions: ['root'] })).body).toMatchObject({ details: { field: 'permissions.0' } });
    at.clock.advance(DAY_MS);
    const expired = await update(id, { name: 'x' });
    expect([expired.status, expired.body['error']]).toEqual([409, 'KEY_EXPIRED']);
    await revoke(id);
    const revoked = await update(id, { name: 'x' });
    expect([revoked.status, revoked.body['error']]).toEqual([409, 'KEY_REVOKED']);
    await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', { status: 'CLOSED' });
    const closed = await update(id, { name: 'x' });
    expect([closed.status, closed.body['error']]).toEqual([409, 'TENANT_CLOSED']);
  });

  test('404: a key of another kind is none of this surface', async () => {
    await at.addTenant('initech');
    const [key] = await at.store.records('key', 'initech');
    expect((await update(key?.id ?? '', { name: 'x' })).status).toBe(404);
    expect((await revoke(key?.id ?? '')).status).toBe(404);
  });
});

describe('revokeApiKey', () => {
  test('200: the key is dead at once and stays in lists, with the reason', async () => {
    const { key_id: id, key_secret: secret } = await make();
    expect((await introspect(secret)).status).toBe(200);
    at.clock.advance(1000);
    const { status, body } = await revoke(id, '?reason=leaked%20%F0%9F%98%80');
    expect(status).toBe(200);
    expect(body).toMatchObject({ key_id: id, status: 'REVOKED', revoked_at: '2026-04-09T00:00:01Z', revoked_reason: 'leaked 😀' });
    expect(await one(id)).toEqual(body);
    const refused = await introspect(secret);
    expect([refused.status, refused.body['error']]).toEqual([401, 'KEY_REVOKED']);
    expect(keyEvents().at(-1)).toMatchObject({
      type: 'api_key.revoked',
      data: { key_id: id, previous_status: 'ACTIVE', new_status: 'REVOKED' },
    });
  });

  test('409: twice', async () => {
    const { key_id: id } = await make();
    await revoke(id);
    const again = await revoke(id);
    expect([again.status, again.body['error']]).toEqual([409, 'KEY_REVOKED']);
    expect(keyEvents()).toHaveLength(2);
  });

  test('400: a reason of 513 characters; 404: a key that is not there', async () => {
    const { key_id: id } = await make();
    expect((await revoke(id, `?reason=${'x'.repeat(513)}`)).body).toMatchObject({ details: { field: 'reason' } });
    expect((await revoke(id, `?reason=${'x'.repeat(512)}`)).status).toBe(200);
    expect((await revoke('key_nobody')).body).toMatchObject({ error: 'NOT_FOUND' });
  });

  test('an expired key is told from a revoked one and from one that never was', async () => {
    const { key_secret: secret } = await make({ expires_at: '2026-04-10T00:00:00Z' });
    at.clock.advance(DAY_MS);
    expect((await introspect(secret)).body).toMatchObject({ error: 'KEY_EXPIRED' });
    expect((await introspect('cyc_live_nobody')).body).toMatchObject({ error: 'UNAUTHORIZED' });
  });

  test('the operator API’s delete is the same revocation', async () => {
    const { key_id: id, key_secret: secret } = await make();
    expect((await at.operator('DELETE', `/v1/x-castellan/keys/${id}`)).status).toBe(204);
    expect(await one(id)).toMatchObject({ status: 'REVOKED' });
    expect((await introspect(secret)).body).toMatchObject({ error: 'KEY_REVOKED' });
    expect(keyEvents().at(-1)).toMatchObject({ type: 'api_key.revoked' });
  });
});

test('when a key was last used shows at once here, and after a flush everywhere, without a write on any request', async () => {
  const { key_id: id, key_secret: secret } = await make();
  expect(await one(id)).not.toHaveProperty('last_used_at');
  const writes = at.store.batchSizes.length;
  at.clock.advance(2000);
  await introspect(secret);
  expect(await one(id)).toMatchObject({ last_used_at: '2026-04-09T00:00:02Z' });
  expect(at.store.batchSizes).toHaveLength(writes);
  await at.keyUses.flush();
  expect((await at.store.keyUses([id])).get(id)).toBe(Date.UTC(2026, 3, 9, 0, 0, 2));
  expect(await one(id)).toMatchObject({ last_used_at: '2026-04-09T00:00:02Z' });
});

test('the operator’s list of keys knows tenants’ keys', async () => {
  const { key_id: id, key_prefix: prefix } = await make();
  const { json } = await at.operator('GET', '/v1/x-castellan/keys?tenant_id=acme-corp');
  expect(json).toMatchObject({
    keys: [{ id, kind: 'tenant', name: 'production-key', masked_key: expect.stringContaining(`${prefix}***`) as string }],
  });
  const rotated = await at.operator('POST', `/v1/x-castellan/keys/${id}/rotate`, { grace_seconds: 0 });
  expect(rotated.status).toBe(200);
  expect((await introspect((rotated.json as { key: string }).key)).status).toBe(200);
  expect(await one(id)).toMatchObject({ key_prefix: prefix });
});
