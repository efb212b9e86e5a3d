import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GUIDE_PERMISSIONS, PERMISSIONS } from '../../../src/core/cycles/permissions.ts';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, OPERATOR_KEY, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let operator: GovernanceClient;

beforeEach(async () => {
  at = await makeTestApp();
  operator = makeGovernanceClient(at);
  await operator.ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: 'acme-corp', name: 'Acme' });
});
afterEach(() => at.close());

const makeKey = async (fields: object = {}) =>
  (
    await operator.ask<{ key_id: string; key_secret: string }>('createApiKey', 'POST', '/v1/admin/api-keys', {
      tenant_id: 'acme-corp',
      name: 'k',
      ...fields,
    })
  ).body;
const validate = async (secret: unknown) =>
  (await operator.ask('validateApiKey', 'POST', '/v1/auth/validate', { key_secret: secret })).body;
const setStatus = (status: string) => operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', { status });

describe('validateApiKey', () => {
  test('200: a good key is told with what it may do', async () => {
    const { key_id: id, key_secret: secret } = await makeKey({ permissions: ['budgets:read'], scope_filter: ['app:bot'] });
    expect(await validate(secret)).toEqual({
      valid: true,
      tenant_id: 'acme-corp',
      key_id: id,
      permissions: ['budgets:read'],
      scope_filter: ['app:bot'],
      expires_at: '2026-07-08T00:00:00Z',
    });
  });

  test('200: why a key is not good, the first of several reasons', async () => {
    const { key_id: id, key_secret: secret } = await makeKey({ expires_at: '2026-04-10T00:00:00Z' });
    const known = { valid: false, tenant_id: 'acme-corp', key_id: id, expires_at: '2026-04-10T00:00:00Z' };
    await setStatus('SUSPENDED');
    expect(await validate(secret)).toEqual({ ...known, reason: 'TENANT_SUSPENDED' });
    at.clock.advance(24 * 60 * 60 * 1000);
    expect(await validate(secret)).toEqual({ ...known, reason: 'KEY_EXPIRED' });
    await operator.ask('revokeApiKey', 'DELETE', `/v1/admin/api-keys/${id}`);
    expect(await validate(secret)).toEqual({ ...known, reason: 'KEY_REVOKED' });
    await setStatus('CLOSED');
    expect(await validate(secret)).toEqual({ ...known, reason: 'KEY_REVOKED' });
  });

  test('the whole value is looked at first: a prefix tells nothing, nor does a key of another kind', async () => {
    const { key_id: id, key_secret: secret } = await makeKey();
    await operator.ask('revokeApiKey', 'DELETE', `/v1/admin/api-keys/${id}`);
    const { ann } = await at.addTenant('initech');
    for (const text of [`${secret.slice(0, 14)}xxxx`, secret.slice(0, -1), '', 'x'.repeat(10_000), ann])
      expect(await validate(text)).toEqual({ valid: false, tenant_id: '', reason: 'KEY_NOT_FOUND' });
  });

  test('a disabled key is not good, and neither is a value past the grace of its rotation', async () => {
    const { key_id: id, key_secret: secret } = await makeKey();
    await at.operator('PATCH', `/v1/x-castellan/keys/${id}`, { disabled: true });
    expect(await validate(secret)).toMatchObject({ valid: false, reason: 'INVALID_KEY' });
    await at.operator('PATCH', `/v1/x-castellan/keys/${id}`, { disabled: false });
    await at.operator('POST', `/v1/x-castellan/keys/${id}/rotate`, { grace_seconds: 10 });
    expect(await validate(secret)).toMatchObject({ valid: true });
    at.clock.advance(10_000);
    expect(await validate(secret)).toEqual({ valid: false, tenant_id: '', reason: 'KEY_NOT_FOUND' });
  });

  test('400: no key, a key that is no text, an unknown field', async () => {
    for (const body of [{}, { key_secret: 1 }, { key_secret: 'x', other: 1 }])
      expect((await operator.ask('validateApiKey', 'POST', '/v1/auth/validate', body)).status).toBe(400);
  });

  test('401: only the operator may ask', async () => {
    const { key_secret: secret } = await makeKey();
    expect((await makeGovernanceClient(at, secret).ask('validateApiKey', 'POST', '/v1/auth/validate', { key_secret: secret })).status).toBe(
      401,
    );
  });
});

const CAPABILITIES = [
  'view_overview',
  'view_budgets',
  'view_events',
  'view_webhooks',
  'view_audit',
  'view_tenants',
  'view_api_keys',
  'view_policies',
  'view_reservations',
  'manage_budgets',
  'manage_policies',
  'manage_webhooks',
  'manage_tenants',
  'manage_api_keys',
  'manage_reservations',
];

/** Which capabilities each permission gives, as the document's table has it. */
const GIVES: Readonly<Record<string, readonly string[]>> = {
  'reservations:create': ['view_reservations', 'manage_reservations'],
  'reservations:commit': ['view_reservations', 'manage_reservations'],
  'reservations:release': ['view_reservations', 'manage_reservations'],
  'reservations:extend': ['view_reservations', 'manage_reservations'],
  'reservations:list': ['view_reservations'],
  'budgets:read': ['view_budgets'],
  'budgets:write': ['manage_budgets'],
  'policies:read': ['view_policies'],
  'policies:write': ['manage_policies'],
  'webhooks:read': ['view_webhooks'],
  'webhooks:write': ['manage_webhooks'],
  'events:read': ['view_events'],
  'admin:read': ['view_budgets', 'view_policies', 'view_webhooks', 'view_events', 'view_reservations'],
  'admin:write': ['manage_budgets', 'manage_policies', 'manage_webhooks', 'manage_reservations'],
  'admin:budgets:read': ['view_budgets'],
  'admin:budgets:write': ['manage_budgets'],
  'admin:policies:read': ['view_policies'],
  'admin:policies:write': ['manage_policies'],
  'admin:webhooks:read': ['view_webhooks'],
  'admin:webhooks:write': ['manage_webhooks'],
  'admin:events:read': ['view_events'],
};

describe('introspectAuth', () => {
  const introspect = (secret: string) => makeGovernanceClient(at, secret).ask('introspectAuth', 'GET', '/v1/auth/introspect');

  test('200: the operator may do everything and belongs to no tenant', async () => {
    const { status, body } = await operator.ask('introspectAuth', 'GET', '/v1/auth/introspect');
    expect(status).toBe(200);
    expect(body).toEqual({
      authenticated: true,
      auth_type: 'admin',
      permissions: ['*'],
      capabilities: Object.fromEntries(CAPABILITIES.map((name) => [name, true])),
    });
  });

  test('200: each permission of a tenant’s key gives what the table says, and every flag is told', async () => {
    const { key_id: id, key_secret: secret } = await makeKey();
    for (const permission of [...PERMISSIONS, ...GUIDE_PERMISSIONS]) {
      await operator.ask('updateApiKey', 'PATCH', `/v1/admin/api-keys/${id}`, { permissions: [permission] });
      const { body, headers } = await introspect(secret);
      expect(body).toEqual({
        authenticated: true,
        auth_type: 'tenant',
        permissions: [permission],
        capabilities: Object.fromEntries(CAPABILITIES.map((name) => [name, GIVES[permission]?.includes(name) ?? false])),
        tenant_id: 'acme-corp',
      });
      expect(headers['x-cycles-tenant']).toBe('acme-corp');
    }
  });

  test('a filter is told where there is one', async () => {
    const filtered = await makeKey({ scope_filter: ['workspace:eng', 'agent:*'] });
    expect((await introspect(filtered.key_secret)).body).toMatchObject({ scope_filter: ['workspace:eng', 'agent:*'] });
    const empty = await makeKey({ scope_filter: [] });
    expect((await introspect(empty.key_secret)).body).not.toHaveProperty('scope_filter');
  });

  test('200: a key of a suspended tenant is still somebody', async () => {
    const { key_secret: secret } = await makeKey();
    await setStatus('SUSPENDED');
    expect((await introspect(secret)).status).toBe(200);
  });

  test('401: the operator’s header is judged alone where both come', async () => {
    const { key_secret: secret } = await makeKey();
    const both = (admin: string) => at.cycles(secret)('GET', '/v1/auth/introspect', undefined, { 'x-admin-api-key': admin });
    expect((await both('wrong')).status).toBe(401);
    expect((await both(OPERATOR_KEY)).json).toMatchObject({ auth_type: 'admin' });
  });

  test('401: without a credential, in words that do not send the dashboard elsewhere', async () => {
    const { status, json } = await at.as(null)('GET', '/v1/auth/introspect');
    expect([status, (json as { error: string }).error]).toEqual([401, 'UNAUTHORIZED']);
    expect((json as { message: string }).message.toLowerCase()).not.toContain('cycles-api-key');
  });

  test('401: a bearer credential is none here, and keys of other kinds are not known', async () => {
    const { ann } = await at.addTenant('initech');
    expect((await at.as(ann)('GET', '/v1/auth/introspect')).status).toBe(401);
    expect((await introspect(ann)).status).toBe(401);
  });
});
