import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  CERTIFICATE,
  DSA_KEY,
  ECDSA_521_KEY,
  ECDSA_KEY,
  ED25519_FINGERPRINT,
  ED25519_KEY,
  RSA_KEY,
  SHORT_RSA_KEY,
} from '../../support/ssh-keys.ts';
import { makeTestApp, type TestApp, type TestResponse } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let other: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  ({ ann: other } = await at.addTenant('other'));
});
afterEach(() => at.close());

const create = (body: unknown, key = ann): Promise<TestResponse> => at.as(key)('POST', '/api/ssh-keys', body);
const LAPTOP = { name: 'laptop', public_key: ED25519_KEY };
const eventsOf = () => at.store.tables.events.filter(({ type }) => type.startsWith('ssh_key.'));

/** Puts entries into the tenant's roster, as containers that use the key do. */
function useBy(names: readonly string[]): void {
  const before = at.store.tables.records.get('container-roster acme') as object;
  const containers = names.map((name) => ({ id: name, name, sshKeys: ['laptop'] }));
  at.store.tables.records.set('container-roster acme', { ...before, containers } as never);
}

describe('200 and 201', () => {
  test('a key is added, listed and deleted; no answer has the key itself', async () => {
    const made = await create(LAPTOP);
    expect(made.status).toBe(201);
    expect(made.json).toEqual({
      id: expect.stringMatching(/^ssh_/) as string,
      name: 'laptop',
      key_type: 'ssh-ed25519',
      fingerprint: ED25519_FINGERPRINT,
      created_at: '2026-04-09T00:00:00Z',
      used_by: [],
    });
    const listed = await at.as(ann)('GET', '/api/ssh-keys');
    expect([listed.status, listed.json]).toEqual([200, [made.json]]);
    const deleted = await at.as(ann)('DELETE', '/api/ssh-keys/laptop');
    expect([deleted.status, deleted.json]).toEqual([200, { message: 'SSH key deleted' }]);
    expect((await at.as(ann)('GET', '/api/ssh-keys')).text).toBe('[]');
    const data = { tenant_id: 'acme', name: 'laptop', key_type: 'ssh-ed25519', fingerprint: ED25519_FINGERPRINT };
    expect(eventsOf().map((event) => [event.type, event.data])).toEqual([
      ['ssh_key.created', data],
      ['ssh_key.deleted', data],
    ]);
    const audit = at.store.tables.audit.filter(({ resourceKind }) => resourceKind === 'ssh-key');
    expect(audit.map(({ operation, resourceId, metadata }) => [operation, resourceId, metadata])).toEqual([
      ['create-ssh-key', 'laptop', data],
      ['delete-ssh-key', 'laptop', data],
    ]);
  });

  test.each([
    ['ecdsa-sha2-nistp256', ECDSA_KEY],
    ['ecdsa-sha2-nistp521', ECDSA_521_KEY],
    ['ssh-rsa', `${RSA_KEY} ann@laptop\n`],
    ['ssh-ed25519', `${ED25519_KEY}\r\n`],
  ])('%s is taken', async (type, key) => {
    expect(await create({ name: 'laptop', public_key: key })).toMatchObject({ status: 201, json: { key_type: type } });
  });

  test("the list is by name, shows which containers use each, and has no other tenant's", async () => {
    await create({ ...LAPTOP, name: 'theirs' }, other);
    for (const name of ['b', 'a', 'laptop']) expect((await create({ ...LAPTOP, name })).status).toBe(201);
    useBy(['web', 'api', 'web']);
    const list = (await at.as(ann)('GET', '/api/ssh-keys')).json as { name: string; used_by: string[] }[];
    expect(list.map(({ name, used_by: usedBy }) => [name, usedBy])).toEqual([
      ['a', []],
      ['b', []],
      ['laptop', ['api', 'web']],
    ]);
  });
});

describe('400', () => {
  const point = (base64: string): string => Buffer.from(base64, 'base64').fill(7, 40).toString('base64');
  const [, ecdsa = ''] = ECDSA_KEY.split(' ');
  const [, rsa = ''] = RSA_KEY.split(' ');

  test.each([
    ['body', undefined],
    ['name', { public_key: ED25519_KEY }],
    ['public_key', { name: 'laptop' }],
    ['public_key', { name: 'laptop', public_key: 5 }],
    ['public_key', { name: 'laptop', public_key: null }],
    ['name', { ...LAPTOP, name: 'My_Key' }],
    ['name', { ...LAPTOP, name: ['laptop'] }],
    ['2048 to 16384 bits', { ...LAPTOP, public_key: SHORT_RSA_KEY }],
    ['one of the types', { ...LAPTOP, public_key: DSA_KEY }],
    ['certificates', { ...LAPTOP, public_key: CERTIFICATE }],
    ['options', { ...LAPTOP, public_key: `no-pty ${ED25519_KEY}` }],
    ['one line', { ...LAPTOP, public_key: `${ED25519_KEY}\n${ED25519_KEY}` }],
    ['the type that it names', { ...LAPTOP, public_key: `ssh-ed25519 ${rsa}` }],
    ['the type that it names', { ...LAPTOP, public_key: `ecdsa-sha2-nistp256 ${point(ecdsa)}` }],
    ['the type that it names', { ...LAPTOP, public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAA' }],
    ['public_key', { ...LAPTOP, public_key: `ssh-rsa ${rsa}AAAA` }],
    ['private', { ...LAPTOP, public_key: '-----BEGIN OPENSSH PRIVATE KEY-----\nsecret-value' }],
  ])('names %s', async (said, body) => {
    const { status, json, text } = await create(body);
    expect([status, (json as { code: string }).code]).toEqual([400, 'BAD_REQUEST']);
    expect((json as { error: string }).error).toContain(said);
    expect(text).not.toContain('secret-value');
    expect(at.store.tables.records.has('ssh-key acme/laptop')).toBe(false);
  });
});

test('401 without an admin key', async () => {
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['DELETE', '/a'],
  ] as const) {
    expect((await at.as('tk_nobody')(method, `/api/ssh-keys${path}`)).status).toBe(401);
  }
});

test('403 for more than there may be; a deleted one makes room', async () => {
  await create(LAPTOP);
  const roster = at.store.tables.records.get('container-roster acme') as object;
  expect(roster).toMatchObject({ sshKeyCount: 1 });
  at.store.tables.records.set('container-roster acme', { ...roster, sshKeyCount: 1000 } as never);
  expect(await create({ ...LAPTOP, name: 'b' })).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
  await at.as(ann)('DELETE', '/api/ssh-keys/laptop');
  expect((await create({ ...LAPTOP, name: 'b' })).status).toBe(201);
});

test.each(['none', 'no%20name', '..%2Fother', 'a%00', 'x'.repeat(300)])('404 for %j, and for what another tenant has', async (name) => {
  await create({ ...LAPTOP, name: 'none' }, other);
  expect((await at.as(ann)('DELETE', `/api/ssh-keys/${name}`)).status).toBe(404);
});

describe('409', () => {
  test('for a name that is taken', async () => {
    await create(LAPTOP);
    expect(await create({ ...LAPTOP, public_key: RSA_KEY })).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
    expect(at.store.tables.records.get('ssh-key acme/laptop')).toMatchObject({ keyType: 'ssh-ed25519' });
  });

  test('while containers use it, with their names in the sentence and as a list', async () => {
    await create(LAPTOP);
    useBy(['web', 'api']);
    expect(await at.as(ann)('DELETE', '/api/ssh-keys/laptop')).toMatchObject({
      status: 409,
      json: { error: 'SSH key is in use by: api, web', code: 'CONFLICT', containers: ['api', 'web'], used_by: ['api', 'web'] },
    });
  });
});
