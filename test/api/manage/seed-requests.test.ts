import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../../src/server/boot.ts';
import { disagreements } from '../../observability/documented.ts';
import { makeTestFolder, type TestFolder } from '../../server/in-process.ts';

/** The requests of the published document in its order, with the examples that it gives; the moments are its own. */
const SEED = [
  ['GET', '/manage/api-keys', undefined, 200],
  ['POST', '/manage/api-keys', '{"name":"my-new-key","is_management_key":false}', 201],
  ['DELETE', '/manage/api-keys', '{"name":"my-old-key"}', 200],
  ['GET', '/manage/project-configs', undefined, 200],
  [
    'PUT',
    '/manage/project-configs',
    '{"allow_overwrite":false,"created_at":"2025-09-25T08:29:50.735Z","updated_at":"2025-09-25T08:29:50.735Z"}',
    200,
  ],
  ['GET', '/manage/users/balance', undefined, 200],
] as const;

const CALL = { model: 'demo-echo', messages: [{ role: 'user', content: 'hello' }], max_tokens: 16 };

let folder: TestFolder;
let running: Running;
let managementKey: string;

beforeAll(async () => {
  folder = makeTestFolder();
  running = await folder.start();
  managementKey = running.prepared.credentials.management_key ?? '';
});
afterAll(() => folder.dispose());

interface Asked {
  readonly plane: 'runtime' | 'admin';
  readonly base?: '' | '/v1';
  readonly key?: string;
}

async function ask({ plane, base = '', key = managementKey }: Asked, method: string, path: string, body?: string) {
  const answer = await fetch(running.listeners[plane].origin + base + path, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body }),
  });
  const text = await answer.text();
  const type = answer.headers.get('content-type') ?? '';
  if (path.startsWith('/manage')) expect(disagreements(`${method} ${base}${path}`, { status: answer.status, text, type })).toEqual([]);
  return { status: answer.status, json: JSON.parse(text) as Record<string, unknown> };
}

describe.each([
  ['runtime', ''],
  ['runtime', '/v1'],
  ['admin', ''],
  ['admin', '/v1'],
] as const)('on the %s listener below %j', (plane, base) => {
  test('every request of the published document works as written, with the key of the first start', async () => {
    await ask({ plane, base }, 'POST', '/manage/api-keys', '{"name":"my-old-key"}');
    for (const [method, path, body, status] of SEED) {
      const answer = await ask({ plane, base }, method, path, body);
      expect([method, path, answer.status]).toEqual([method, path, status]);
    }
    expect((await ask({ plane, base }, 'DELETE', '/manage/api-keys', '{"name":"my-new-key"}')).json).toEqual({
      success: true,
      deleted: 'my-new-key',
    });
  });

  test('what nobody serves there is refused in its form', async () => {
    const answer = await fetch(`${running.listeners[plane].origin}${base}/manage/members`);
    expect([answer.status, Object.keys((await answer.json()) as object)]).toEqual([404, ['error']]);
  });
});

test('a key made here calls the gateway, has its usage there under its name, and is dead at once when it is deleted', async () => {
  const made = await ask({ plane: 'admin' }, 'POST', '/manage/api-keys', '{"name":"caller"}');
  const key = String(made.json['api_key']);
  const call = (of: string) => ask({ plane: 'runtime', key: of }, 'POST', '/v1/chat/completions', JSON.stringify(CALL));
  expect((await call(key)).status).toBe(200);
  const admin = running.prepared.credentials.admin_key ?? '';
  const usage = await ask({ plane: 'admin', key: admin }, 'GET', '/api/billing/usage?time=1h');
  expect(usage.json).toMatchObject({ keys: { caller: { total_requests: 1 } } });
  const listed = await ask({ plane: 'admin', key: admin }, 'GET', '/api/keys');
  expect(listed.json).toContainEqual(
    expect.objectContaining({ name: 'caller', key: `${key.slice(0, 8)}${'*'.repeat(26)}`, request_count: 1 }) as object,
  );
  expect((await ask({ plane: 'runtime' }, 'DELETE', '/manage/api-keys', '{"name":"caller"}')).status).toBe(200);
  expect((await call(key)).status).toBe(401);
});

test('a management key made here calls the gateway too, and one made by the operator manages its member', async () => {
  const made = await ask({ plane: 'runtime' }, 'POST', '/manage/api-keys', '{"name":"manager two","is_management_key":true}');
  const key = String(made.json['api_key']);
  expect((await ask({ plane: 'admin', key }, 'POST', '/v1/chat/completions', JSON.stringify(CALL))).status).toBe(200);
  const { tenant, operator_key: operator } = running.prepared.credentials;
  const first = await ask({ plane: 'runtime', key }, 'GET', '/manage/project-configs');
  expect(first.json).toMatchObject({ project_id: tenant });
  const asOperator = await fetch(`${running.listeners.admin.origin}/v1/x-castellan/tenants/${tenant}/members`, {
    headers: { 'x-admin-api-key': operator },
  });
  const { members } = (await asOperator.json()) as { members: { id: string }[] };
  const given = await fetch(`${running.listeners.admin.origin}/v1/x-castellan/tenants/${tenant}/management-keys`, {
    method: 'POST',
    headers: { 'x-admin-api-key': operator, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'given', member_id: members[0]?.id }),
  });
  const { key: value } = (await given.json()) as { key: string };
  const { json } = await ask({ plane: 'runtime', key: value }, 'GET', '/manage/api-keys');
  expect((json['api_keys'] as { name: string }[]).map(({ name }) => name)).toEqual(expect.arrayContaining(['given', 'manager two']));
});
