import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeManage, refused, type Manage, type Manager } from './manage-harness.ts';

const PATH = '/api-keys';

let manage: Manage;
let tenantId: string;
let ann: Manager;

beforeAll(async () => void (manage = await makeManage()));
beforeEach(async () => {
  tenantId = await manage.newTenant();
  ann = await manage.manager('ann', tenantId);
});
afterAll(() => manage.at.close());

const seconds = (): number => Math.floor(manage.at.clock.nowMs() / 1000);

interface Listed {
  readonly api_keys: readonly { readonly name: string; readonly created_at: number; readonly is_management_key: boolean }[];
}

const namesOf = async (manager: Manager): Promise<string[]> =>
  ((await manager.ask('GET', PATH)).json as Listed).api_keys.map(({ name }) => name);

const auditRows = async (): Promise<object[]> => {
  const { json } = await manage.at.operator('GET', `/v1/admin/audit/logs?tenant_id=${tenantId}&limit=100`);
  return (json as { logs: object[] }).logs;
};

describe('GET, 200', () => {
  test("lists the member's inference and management keys wherever they were made, with seconds and without values", async () => {
    const before = seconds();
    manage.at.clock.advance(1500);
    await ann.ask('POST', PATH, { name: 'here' });
    await manage.at.addKey({ tenantId, memberId: 'ann', kind: 'inference', name: 'elsewhere' });
    await manage.at.addKey({ tenantId, memberId: 'bob', kind: 'inference', name: 'of another' });
    const { status, json } = await ann.ask('GET', PATH);
    expect(status).toBe(200);
    expect(json).toEqual({
      api_keys: [
        { name: 'manager ann', created_at: before, is_management_key: true },
        { name: 'here', created_at: seconds(), is_management_key: false },
        { name: 'elsewhere', created_at: seconds(), is_management_key: false },
      ],
    });
  });

  test('deleted keys are gone, and keys of other members and tenants are none of theirs', async () => {
    await ann.ask('POST', PATH, { name: 'a' });
    await ann.ask('DELETE', PATH, { name: 'a' });
    expect(await namesOf(await manage.manager('ann', await manage.newTenant()))).toEqual(['manager ann']);
    expect(await namesOf(await manage.manager('cy', tenantId))).toEqual(['manager cy']);
    expect(await namesOf(ann)).toEqual(['manager ann']);
  });

  test('a member who is no admin lists, makes and deletes keys of their own', async () => {
    const cy = await manage.manager('cy', tenantId);
    expect((await cy.ask('POST', PATH, { name: 'mine' })).status).toBe(201);
    expect((await cy.ask('DELETE', PATH, { name: 'mine' })).status).toBe(200);
  });
});

describe('POST, 201', () => {
  test.each([
    ['an inference key', undefined, /^tk_[0-9A-Za-z]{31}$/],
    ['an inference key', false, /^tk_[0-9A-Za-z]{31}$/],
    ['a management key', true, /^mk_[0-9A-Za-z]{40}$/],
  ])('makes %s where is_management_key is %s, and tells its value once', async (_what, isManagement, value) => {
    const answer = await ann.ask('POST', PATH, {
      name: 'my-new-key',
      ...(isManagement === undefined ? {} : { is_management_key: isManagement }),
    });
    expect(answer.status).toBe(201);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json).toEqual({
      api_key: expect.stringMatching(value) as string,
      name: 'my-new-key',
      is_management_key: isManagement ?? false,
      created_at: seconds(),
    });
    const secret = (answer.json as { api_key: string }).api_key;
    expect((await ann.ask('GET', PATH)).text).not.toContain(secret);
    expect(JSON.stringify(await manage.at.store.keys({ tenantId, kinds: ['inference', 'management'] }))).not.toContain(secret);
  });

  test('a new management key works at once, as the same member', async () => {
    const { api_key: value } = (await ann.ask('POST', PATH, { name: 'second', is_management_key: true })).json as { api_key: string };
    const second = manage.as(value);
    expect((await second('POST', PATH, { name: 'third' })).status).toBe(201);
    expect(await namesOf(ann)).toEqual(['manager ann', 'second', 'third']);
  });

  test('shows masked on the Tinfoil surface, to the member who made it too, and is deleted there by its value', async () => {
    const { api_key: value } = (await ann.ask('POST', PATH, { name: 'here' })).json as { api_key: string };
    await ann.ask('POST', PATH, { name: 'manager', is_management_key: true });
    const admin = await manage.at.addKey({ tenantId, memberId: 'ann', kind: 'admin' });
    const { json } = await manage.at.as(admin.value)('GET', '/api/keys');
    expect(json).toMatchObject([{ name: 'here', key: `${value.slice(0, 8)}${'*'.repeat(26)}`, is_owner: true }]);
    expect(await manage.at.as(admin.value)('DELETE', `/api/keys/${value}`)).toMatchObject({ status: 200 });
    expect(await namesOf(ann)).toEqual(['manager ann', 'manager']);
  });

  test('leaves an audit row that names the management key, and no secret', async () => {
    const { api_key: value } = (await ann.ask('POST', PATH, { name: 'here' })).json as { api_key: string };
    const rows = await auditRows();
    expect(rows).toContainEqual(expect.objectContaining({ operation: 'create-key', key_id: ann.key.id, status: 201 }) as object);
    expect(JSON.stringify(rows)).not.toContain(value);
  });
});

describe('POST, 400', () => {
  test.each([
    ['no name', {}, /^name is required$/],
    ['a name that is no string', { name: 5 }, /^name must be a string$/],
    ['an empty name', { name: '' }, /^name must have 1 to 256 characters$/],
    ['a name too long', { name: 'x'.repeat(257) }, /^name must have 1 to 256 characters$/],
    ['a name with other characters', { name: 'käse' }, /^name must contain only/],
    ['a flag that is none', { name: 'a', is_management_key: 'true' }, /^is_management_key must be true or false$/],
    ['null for the flag', { name: 'a', is_management_key: null }, /^is_management_key must be true or false$/],
    ['a field that is not known', { name: 'a', expires_at: null }, /^expires_at is not a known field$/],
    ['a list', [], /^the body must be a JSON object$/],
    ['broken JSON', '{"name":', /^the body is not valid JSON$/],
    ['a key of a prototype', '{"name":"a","__proto__":{}}', /__proto__/],
  ])('%s', async (_what, body, words) => {
    expect(await ann.ask('POST', PATH, body)).toMatchObject(refused(400, words));
    expect(await namesOf(ann)).toEqual(['manager ann']);
  });

  test('no body', async () => {
    expect(await ann.ask('POST', PATH)).toMatchObject(refused(400, 'the body must be a JSON object'));
  });

  test('a name at its limit is taken', async () => {
    expect((await ann.ask('POST', PATH, { name: 'x'.repeat(256) })).status).toBe(201);
  });

  test('a name that another key of the member has, wherever that was made; but not one of another member', async () => {
    await manage.at.addKey({ tenantId, memberId: 'ann', kind: 'inference', name: 'elsewhere' });
    await manage.at.addKey({ tenantId, memberId: 'bob', kind: 'inference', name: 'free' });
    await ann.ask('POST', PATH, { name: 'here' });
    for (const name of ['elsewhere', 'here', 'manager ann'])
      expect(await ann.ask('POST', PATH, { name })).toMatchObject(refused(400, `^an API key named ${name} exists already$`));
    expect((await ann.ask('POST', PATH, { name: 'free' })).status).toBe(201);
  });

  test('of many who ask for one name at once, one is given it', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ann.ask('POST', PATH, { name: 'one' })));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, ...Array<number>(19).fill(400)]);
    expect(await namesOf(ann)).toEqual(['manager ann', 'one']);
  });

  test('a name is free again once its key is deleted', async () => {
    for (let round = 0; round < 2; round += 1) {
      expect((await ann.ask('POST', PATH, { name: 'again' })).status).toBe(201);
      expect((await ann.ask('DELETE', PATH, { name: 'again' })).status).toBe(200);
    }
  });

  test('beyond the number of keys that the tenant is entitled to', async () => {
    await manage.at.operator('PATCH', `/v1/x-castellan/tenants/${tenantId}/entitlements`, { max_keys: 2 });
    expect((await ann.ask('POST', PATH, { name: 'a' })).status).toBe(201);
    expect(await ann.ask('POST', PATH, { name: 'b' })).toMatchObject(refused(400, 'limit of 2 API keys'));
    await ann.ask('DELETE', PATH, { name: 'a' });
    expect((await ann.ask('POST', PATH, { name: 'b' })).status).toBe(201);
  });
});

describe('DELETE, 200', () => {
  test.each([
    ['in the body', '', { name: 'my-old-key' }],
    ['in the query', '?name=my-old-key', undefined],
    ['in both', '?name=my-old-key', { name: 'my-old-key' }],
  ])('named %s', async (_where, query, body) => {
    await ann.ask('POST', PATH, { name: 'my-old-key' });
    expect(await ann.ask('DELETE', PATH + query, body)).toMatchObject({
      status: 200,
      json: { success: true, deleted: 'my-old-key' },
    });
    expect(await namesOf(ann)).toEqual(['manager ann']);
  });

  test('a name with a space, which a query writes with a plus or an escape', async () => {
    for (const text of ['my+key', 'my%20key']) {
      await ann.ask('POST', PATH, { name: 'my key' });
      expect(await ann.ask('DELETE', `${PATH}?name=${text}`)).toMatchObject({ status: 200, json: { deleted: 'my key' } });
    }
  });

  test('another management key, whose very next request is refused', async () => {
    const { api_key: value } = (await ann.ask('POST', PATH, { name: 'second', is_management_key: true })).json as { api_key: string };
    expect((await manage.as(value)('GET', PATH)).status).toBe(200);
    expect((await ann.ask('DELETE', PATH, { name: 'second' })).status).toBe(200);
    expect(await manage.as(value)('GET', PATH)).toMatchObject(refused(401, 'not known'));
  });

  test('leaves an audit row that names the management key', async () => {
    await ann.ask('POST', PATH, { name: 'a' });
    await ann.ask('DELETE', PATH, { name: 'a' });
    expect(await auditRows()).toContainEqual(
      expect.objectContaining({ operation: 'delete-key', key_id: ann.key.id, status: 200 }) as object,
    );
  });
});

describe('DELETE, 400', () => {
  test.each([
    ['no name', '', {}, /^name is required$/],
    ['no body', '', undefined, /^name is required$/],
    ['a name that is no string', '', { name: ['a'] }, /^name must be a string$/],
    ['a field that is not known', '', { name: 'a', force: true }, /^force is not a known field$/],
    ['a name that comes twice', '?name=a&name=b', undefined, /^name must come once$/],
    ['two names', '?name=a', { name: 'b' }, /^name must be the same/],
    ['a parameter that is not known', '?name=a&id=1', undefined, /^id is not a known parameter$/],
  ])('%s', async (_what, query, body, words) => {
    await ann.ask('POST', PATH, { name: 'a' });
    expect(await ann.ask('DELETE', PATH + query, body)).toMatchObject(refused(400, words));
    expect(await namesOf(ann)).toEqual(['manager ann', 'a']);
  });

  test('the key that asks cannot delete itself, but another one can', async () => {
    expect(await ann.ask('DELETE', PATH, { name: 'manager ann' })).toMatchObject(refused(400, 'must not be that of the management key'));
    const { api_key: value } = (await ann.ask('POST', PATH, { name: 'second', is_management_key: true })).json as { api_key: string };
    expect(await manage.as(value)('DELETE', PATH, { name: 'manager ann' })).toMatchObject({ status: 200 });
    expect(await ann.ask('GET', PATH)).toMatchObject(refused(401, 'not known'));
  });

  test('a name that several keys have deletes none of them', async () => {
    for (const kind of ['inference', 'management'] as const) await manage.at.addKey({ tenantId, memberId: 'ann', kind, name: 'twice' });
    expect(await ann.ask('DELETE', PATH, { name: 'twice' })).toMatchObject(refused(400, '^2 API keys have this name'));
    expect(await namesOf(ann)).toEqual(['manager ann', 'twice', 'twice']);
  });

  test('a refused deletion leaves an audit row', async () => {
    await ann.ask('DELETE', PATH, { name: 'manager ann' });
    expect(await auditRows()).toContainEqual(
      expect.objectContaining({ operation: 'DELETE:/manage/api-keys', status: 400, error_code: 'INVALID_REQUEST' }) as object,
    );
  });
});

describe('DELETE, 404', () => {
  test.each([
    ['a name that nobody has', 'nobody'],
    ["another member's key", 'of bob too'],
    ['an admin key, which is none of these', 'of ann'],
  ])('%s', async (_what, name) => {
    await manage.at.addKey({ tenantId, memberId: 'bob', kind: 'inference', name: 'of bob too' });
    expect(await ann.ask('DELETE', PATH, { name })).toMatchObject(refused(404, '^API key not found$'));
  });
});

test("keys of another tenant's member of the same name are neither taken for one's own nor deleted", async () => {
  const other = await manage.manager('ann', await manage.newTenant());
  expect((await other.ask('POST', PATH, { name: 'same' })).status).toBe(201);
  expect(await ann.ask('DELETE', PATH, { name: 'same' })).toMatchObject(refused(404, '^API key not found$'));
  expect((await ann.ask('POST', PATH, { name: 'same' })).status).toBe(201);
  expect((await ann.ask('DELETE', PATH, { name: 'same' })).status).toBe(200);
  expect(await namesOf(other)).toEqual(['manager ann', 'same']);
});

describe('suspended and closed tenants', () => {
  const setStatus = (status: string) => manage.at.operator('PATCH', `/v1/admin/tenants/${tenantId}`, { status });

  test('a suspended one is shown its keys and makes none (403)', async () => {
    await setStatus('SUSPENDED');
    expect((await ann.ask('GET', PATH)).status).toBe(200);
    expect(await ann.ask('POST', PATH, { name: 'a' })).toMatchObject(refused(403, 'suspended'));
  });

  test('one without token billing makes no inference keys (403)', async () => {
    await manage.at.operator('PATCH', `/v1/x-castellan/tenants/${tenantId}/entitlements`, { token_billing: false });
    expect(await ann.ask('POST', PATH, { name: 'a' })).toMatchObject(refused(403, 'token billing'));
    expect((await ann.ask('POST', PATH, { name: 'm', is_management_key: true })).status).toBe(201);
  });

  test("a closed one's keys open nothing", async () => {
    await setStatus('CLOSED');
    expect([401, 403]).toContain((await ann.ask('GET', PATH)).status);
  });
});
