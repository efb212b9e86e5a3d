import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault } from '../../../src/core/fault.ts';
import { makeTestApp, TEST_START_MS, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
});
afterEach(() => at.close());

const ask = (credential: string | null) => at.as(credential)('GET', '/api/keys');
const command = { tenantId: 'acme', id: 'c1' } as const;

describe('401', () => {
  const unauthorized = { status: 401, json: { code: 'UNAUTHORIZED', status: 'error' }, headers: { 'www-authenticate': 'Bearer' } };

  test('without a key, and with one of another kind', async () => {
    expect(await ask(null)).toMatchObject(unauthorized);
    for (const kind of ['inference', 'management'] as const) {
      const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind });
      expect(await ask(value)).toMatchObject({ ...unauthorized, json: { error: 'invalid admin API key' } });
    }
  });

  test('with a key that is expired, disabled or deleted', async () => {
    const expiring = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin', expiresAtMs: TEST_START_MS + 1000 });
    expect((await ask(expiring.value)).status).toBe(200);
    at.clock.advance(1000);
    expect(await ask(expiring.value)).toMatchObject(unauthorized);

    const { id, value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin' });
    await at.operator('PATCH', `/v1/x-castellan/keys/${id}`, { disabled: true });
    expect(await ask(value)).toMatchObject(unauthorized);
    await at.operator('PATCH', `/v1/x-castellan/keys/${id}`, { disabled: false });
    expect((await ask(value)).status).toBe(200);
    await at.operator('DELETE', `/v1/x-castellan/keys/${id}`);
    expect(await ask(value)).toMatchObject(unauthorized);
  });
});

describe('403', () => {
  const forbidden = { status: 403, json: { code: 'FORBIDDEN' } };

  test('once its member is removed; the inference keys that they made stay', async () => {
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' });
    expect((await at.operator('DELETE', '/v1/x-castellan/tenants/acme/members/ann')).status).toBe(204);
    expect(await ask(ann)).toMatchObject(forbidden);
    expect(await at.directory.authenticate(value, at.clock.nowMs())).toMatchObject({ ok: true });
  });

  test('once its member is no admin any more; 200 when they are again', async () => {
    const member = { id: 'ann', email: 'ann@example.com' } as const;
    await at.writer.execute({ verb: 'add-member', ...command, member: { ...member, role: 'member' }, replace: true });
    expect(await ask(ann)).toMatchObject(forbidden);
    await at.writer.execute({ verb: 'add-member', ...command, member: { ...member, role: 'admin' }, replace: true });
    expect((await ask(ann)).status).toBe(200);
  });

  test('a key from before its member was removed does not come back with them; a new one works', async () => {
    await at.operator('DELETE', '/v1/x-castellan/tenants/acme/members/ann');
    at.clock.advance(1000);
    await at.operator('POST', '/v1/x-castellan/tenants/acme/members', { id: 'ann', email: 'ann@example.com', role: 'admin' });
    expect(await ask(ann)).toMatchObject(forbidden);
    const { json } = await at.operator('POST', '/v1/x-castellan/tenants/acme/admin-keys', { name: 'new', member_id: 'ann' });
    expect((await ask((json as { key: string }).key)).status).toBe(200);
  });

  test('of a closed organization', async () => {
    await at.writer.execute({ verb: 'update-tenant', ...command, status: 'CLOSED' });
    expect(await ask(ann)).toMatchObject(forbidden);
  });
});

describe('400', () => {
  test('a credential header that comes twice, before any look-up', async () => {
    await at.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = at.app.server.address() as AddressInfo;
    const readsBefore = at.store.reads.get('keyByHash');
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = ['host', `127.0.0.1:${port}`, 'authorization', `Bearer ${ann}`, 'Authorization', 'Bearer other'];
      httpRequest({ host: '127.0.0.1', port, path: '/api/keys', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(400);
    expect(at.store.reads.get('keyByHash')).toBe(readsBefore);
  });
});

describe('503', () => {
  test('while nobody can say whose a key is', async () => {
    at.store.beforeRead = (name) => {
      if (name === 'keyByHash')
        throw new Fault({ code: 'store_unavailable', message: 'gone', publicMessage: 'The database cannot be reached.' });
    };
    expect(await ask(ann)).toMatchObject({ status: 503, json: { code: 'SERVICE_UNAVAILABLE' } });
  });
});

describe('405 and 404', () => {
  test.each([
    ['PATCH', '/api/keys', 'GET, HEAD, POST'],
    ['DELETE', '/api/keys', 'GET, HEAD, POST'],
    ['GET', '/api/keys/update', 'DELETE, POST'],
    ['GET', '/api/keys/tk_1', 'DELETE'],
    ['POST', '/api/billing/usage', 'GET, HEAD'],
    ['PUT', '/api/billing/usage/key', 'POST'],
  ] as const)('405: %s %s names what is allowed', async (method, path, allow) => {
    const { status, headers, json } = await at.as(ann)(method, path);
    expect([status, headers['allow']]).toEqual([405, allow]);
    expect(json).toMatchObject({ code: 'METHOD_NOT_ALLOWED', status: 'error' });
  });

  test.each(['/api', '/api/', '/api/nothing', '/api/keys/', '/api/keys/a/b', '/api/billing/usage/'])(
    '404: %s has the surface’s form, also without a key',
    async (path) => {
      expect(await at.as(null)('GET', path)).toMatchObject({ status: 404, json: { code: 'NOT_FOUND', status: 'error' } });
    },
  );

  test('404 elsewhere has the form of the credential that it came with', async () => {
    const { app } = at;
    const of = async (headers: Record<string, string>, url = '/nothing') =>
      (await app.inject({ url, headers })).json<Record<string, unknown>>();
    expect(await of({ authorization: 'Bearer x' })).toMatchObject({ error: { type: 'invalid_request_error', code: 'unknown_url' } });
    expect(await of({ 'x-admin-api-key': 'x' })).toMatchObject({
      error: 'NOT_FOUND',
      request_id: expect.stringMatching(/^req_/) as string,
    });
    expect(await of({ 'x-cycles-api-key': 'x', authorization: 'Bearer x' })).toMatchObject({ error: 'NOT_FOUND' });
    expect(await of({})).toMatchObject({ error: 'NOT_FOUND' });
    expect(await of({ authorization: 'Bearer x' }, '/v1/x-castellan/nothing')).toMatchObject({ error: 'NOT_FOUND' });
    expect(await of({}, '/apikeys')).toMatchObject({ error: 'NOT_FOUND' });
  });
});
