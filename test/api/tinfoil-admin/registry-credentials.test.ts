import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestApp, type TestApp, type TestResponse } from '../../support/test-app.ts';

const TOKEN = 'ghp_token-canary';
const KEY = JSON.stringify({ type: 'service_account', client_email: 'sa@acme.example', private_key: 'pem-canary' });

let at: TestApp;
let ann: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
});
afterEach(async () => {
  const { records, events, audit } = at.store.tables;
  const kept = JSON.stringify([[...records], events, audit, at.log.lines]);
  await at.close();
  expect(kept).not.toContain('canary');
});

const put = (registry: string, body: unknown): Promise<TestResponse> => at.as(ann)('PUT', `/api/registry-credentials/${registry}`, body);
const status = async (): Promise<unknown> => (await at.as(ann)('GET', '/api/registry-credentials')).json;
const NOTHING = { has_credentials: false, expired: false };

describe('200', () => {
  test('all three are always there', async () => {
    expect(await status()).toEqual({ ghcr: NOTHING, gcr: NOTHING, dockerhub: NOTHING });
  });

  test('credentials are kept, replaced and forgotten; no answer has what opens the registry', async () => {
    expect(await put('ghcr', { username: 'ann', token: TOKEN })).toMatchObject({
      status: 200,
      json: { message: 'Credentials for ghcr saved' },
    });
    expect((await put('gcr', { key: KEY })).status).toBe(200);
    at.clock.advance(5000);
    expect((await put('ghcr', { username: 'bob', token: TOKEN, key: null })).status).toBe(200);
    const kept = { has_credentials: true, expired: false };
    expect(await status()).toEqual({
      ghcr: { ...kept, username: 'bob', updated_at: '2026-04-09T00:00:05Z' },
      gcr: { ...kept, username: 'sa@acme.example', updated_at: '2026-04-09T00:00:00Z' },
      dockerhub: NOTHING,
    });
    expect(await at.as(ann)('DELETE', '/api/registry-credentials/ghcr')).toMatchObject({
      status: 200,
      json: { message: 'Credentials for ghcr deleted' },
    });
    expect(await status()).toMatchObject({ ghcr: NOTHING });
    const told = at.store.tables.events.filter(({ type }) => type.startsWith('registry_credential.'));
    expect(told.map(({ type, data }) => [type, data])).toEqual([
      ['registry_credential.updated', { tenant_id: 'acme', registry: 'ghcr', username: 'ann' }],
      ['registry_credential.updated', { tenant_id: 'acme', registry: 'gcr', username: 'sa@acme.example' }],
      ['registry_credential.updated', { tenant_id: 'acme', registry: 'ghcr', username: 'bob' }],
      ['registry_credential.deleted', { tenant_id: 'acme', registry: 'ghcr' }],
    ]);
    const rows = at.store.tables.audit.filter(({ resourceKind }) => resourceKind === 'registry_credential');
    expect(rows.map(({ operation, resourceId }) => `${operation} ${resourceId}`)).toEqual([
      'put-registry-credential ghcr',
      'put-registry-credential gcr',
      'put-registry-credential ghcr',
      'delete-registry-credential ghcr',
    ]);
  });
});

describe('400', () => {
  test.each([
    ['ghcr', undefined, 'body'],
    ['ghcr', {}, 'username'],
    ['ghcr', { username: 'ann' }, 'token'],
    ['ghcr', { username: 5, token: TOKEN }, 'username'],
    ['dockerhub', { key: KEY }, 'key'],
    ['gcr', { username: 'ann', token: TOKEN }, 'username'],
    ['gcr', { key: 'pem-canary' }, 'key'],
    ['gcr', { key: { private_key: 'pem-canary' } }, 'key'],
    ['quay', { username: 'ann', token: TOKEN }, 'registry must be one of ghcr, gcr, dockerhub'],
    ['__proto__', { username: 'ann', token: TOKEN }, 'registry'],
  ])('%s with body %#', async (registry, body, told) => {
    const { status: code, json, text } = await put(registry, body);
    expect(code).toBe(400);
    expect((json as { error: string }).error).toContain(told);
    expect(text).not.toContain('canary');
    expect(await status()).toEqual({ ghcr: NOTHING, gcr: NOTHING, dockerhub: NOTHING });
  });

  test('there is no registry of that name to forget', async () => {
    expect((await at.as(ann)('DELETE', '/api/registry-credentials/quay')).status).toBe(400);
  });
});

test('403 on all of them where the organization has no private registry access', async () => {
  const { ann: other } = await at.addTenant('other', { privateRegistries: false });
  for (const [method, path, body] of [
    ['GET', '', undefined],
    ['PUT', '/ghcr', { username: 'ann', token: TOKEN }],
    ['PUT', '/quay', {}],
    ['DELETE', '/ghcr', undefined],
  ] as const) {
    const answer = await at.as(other)(method, `/api/registry-credentials${path}`, body);
    expect([path, answer.status, (answer.json as { error: string }).error]).toEqual([
      path,
      403,
      'private registry access is not enabled for this organization',
    ]);
  }
});

test('404 where there is nothing to forget', async () => {
  expect((await at.as(ann)('DELETE', '/api/registry-credentials/ghcr')).status).toBe(404);
});
