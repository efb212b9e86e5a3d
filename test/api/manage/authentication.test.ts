import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeManage, refused, type Manage, type Manager } from './manage-harness.ts';

let manage: Manage;
let ann: Manager;

const MOMENTS = { created_at: '2025-09-25T08:29:50.735Z', updated_at: '2025-09-25T08:29:50.735Z' };

const OPERATIONS = [
  ['GET', '/api-keys', undefined],
  ['POST', '/api-keys', { name: 'a' }],
  ['DELETE', '/api-keys', { name: 'a' }],
  ['GET', '/project-configs', undefined],
  ['PUT', '/project-configs', MOMENTS],
  ['GET', '/users/balance', undefined],
] as const;

beforeAll(async () => {
  manage = await makeManage();
  ann = await manage.manager('ann');
});
afterAll(() => manage.at.close());

describe.each(OPERATIONS)('%s %s', (method, path, body) => {
  test.each([
    ['no credential', {}],
    ['a credential of another kind', { authorization: 'Basic YW5uOmE=' }],
    ["a client's key of another surface", { 'x-cycles-api-key': 'cyc_live_x' }],
    ['a key that nobody has', { authorization: 'Bearer mk_nobody' }],
  ])('401: %s', async (_what, headers) => {
    const answer = await manage.as(null)(method, path, body, headers);
    expect(answer).toMatchObject(refused(401, '.'));
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  test('400: a credential that comes twice', async () => {
    const { value } = ann.key;
    const answer = await manage.at.app.inject({
      method,
      url: `/manage${path}`,
      headers: { authorization: [`Bearer ${value}`, `Bearer ${value}`] as unknown as string },
      ...(body === undefined ? {} : { payload: body }),
    });
    expect([answer.statusCode, Object.keys(answer.json<object>())]).toEqual([400, ['error']]);
  });

  test.each(['inference', 'admin', 'tenant'] as const)('403: a key of kind %s', async (kind) => {
    const { value } = await manage.at.addKey({ tenantId: 'acme', memberId: 'ann', kind });
    expect(await manage.as(value)(method, path, body)).toMatchObject(refused(403, '^this API key is not a management key$'));
  });

  test('401: a key that has expired or is disabled, from the very next request on', async () => {
    const expiring = await manage.manager('ann');
    await manage.at.operator('PATCH', `/v1/x-castellan/keys/${expiring.key.id}`, { disabled: true });
    expect(await expiring.ask(method, path, body)).toMatchObject(refused(401, 'disabled'));
    const inAMinute = new Date(manage.at.clock.nowMs() + 60_000).toISOString();
    await manage.at.operator('PATCH', `/v1/x-castellan/keys/${expiring.key.id}`, { disabled: false, expires_at: inAMinute });
    expect((await expiring.ask('GET', '/users/balance')).status).toBe(200);
    manage.at.clock.advance(60_000);
    expect(await expiring.ask(method, path, body)).toMatchObject(refused(401, 'expired'));
  });

  test('403: a member who was removed, from the very next request on', async () => {
    const id = `gone-${method}-${path.slice(1).replaceAll('/', '-')}`;
    await manage.at.operator('POST', '/v1/x-castellan/tenants/acme/members', { id, email: 'g@example.com', role: 'admin' });
    const gone = await manage.manager(id);
    expect((await gone.ask('GET', '/users/balance')).status).toBe(200);
    await manage.at.operator('DELETE', `/v1/x-castellan/tenants/acme/members/${id}`);
    expect(await gone.ask(method, path, body)).toMatchObject(refused(403, 'no access'));
  });
});

describe('what is refused below the paths of this surface is refused in its form', () => {
  test.each([
    ['GET', '/manage', 404],
    ['GET', '/v1/manage', 404],
    ['GET', '/manage/api-keys/x', 404],
    ['GET', '/v1/manage/usage', 404],
    ['GET', '/manage/budgets%zz', 400],
  ] as const)('%s %s: %i', async (method, url, status) => {
    const answer = await manage.at.as(ann.key.value)(method, url);
    expect([answer.status, Object.keys(answer.json as object)]).toEqual([status, ['error']]);
  });

  test.each([
    ['PUT', '/manage/api-keys', 'DELETE, GET, HEAD, POST'],
    ['PATCH', '/v1/manage/api-keys', 'DELETE, GET, HEAD, POST'],
    ['DELETE', '/manage/project-configs', 'GET, HEAD, PUT'],
    ['POST', '/v1/manage/users/balance', 'GET, HEAD'],
  ] as const)('%s %s: 405, allowing %s', async (method, url, allow) => {
    const answer = await manage.at.as(ann.key.value)(method, url);
    expect([answer.status, answer.headers['allow'], Object.keys(answer.json as object)]).toEqual([405, allow, ['error']]);
  });

  test('another type of body is 415, one too long 413', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(await ann.ask('POST', '/api-keys', 'name=a', form)).toMatchObject(refused(415, 'application/json'));
    expect(await ann.ask('DELETE', '/api-keys', 'name=a', form)).toMatchObject(refused(415, 'application/json'));
    expect(await ann.ask('POST', '/api-keys', { name: 'x'.repeat(300_000) })).toMatchObject(refused(413, 'larger'));
  });

  test('a page from elsewhere is 403 on the control plane', async () => {
    expect(await ann.ask('GET', '/api-keys', undefined, { origin: 'http://evil.example' })).toMatchObject(refused(403, '.'));
  });

  test.each(['/api-keys?limit=1', '/project-configs?id=1', '/users/balance?currency=USD'])(
    'a parameter that is not known is 400: %s',
    async (path) => {
      expect(await ann.ask('GET', path)).toMatchObject(refused(400, 'is not a known parameter'));
    },
  );
});

test('every answer has the id of its request', async () => {
  const answers = [await ann.ask('GET', '/api-keys'), await manage.as(null)('GET', '/api-keys'), await ann.ask('POST', '/api-keys', {})];
  for (const { headers } of answers) expect(headers['x-request-id']).toMatch(/^req_/);
});
