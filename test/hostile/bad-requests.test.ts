import { beforeAll, describe, expect, test } from 'vitest';
import type { ControlPlane, MadeKey, MadeTenant } from '../support/control-plane.ts';
import { bearer, operator, type HttpClient } from '../support/http-client.ts';
import type { TestServer } from '../support/server-process.ts';
import { expectRefused, MAX_BODY_BYTES, useHostileTarget, type Form, type Hostile } from './hostile-target.ts';

let server: TestServer;
let client: HttpClient;
let control: ControlPlane;
let tenant: MadeTenant;
let key: MadeKey;
let foreign: MadeKey;
const target = useHostileTarget();

beforeAll(() => {
  ({ server, client, control, tenant, key, foreign } = target.get());
});

type Credential = Readonly<Record<string, string>>;
const expectRefusal = (form: Form, plane: 'admin' | 'runtime', credential: Credential, hostile: Hostile): Promise<void> =>
  expectRefused(target.get(), form, plane, { ...hostile, headers: { ...credential, ...hostile.headers } });

const LONG_NAME = 'x'.repeat(5000);
const tinfoil = (bodies: readonly Omit<Hostile, 'path' | 'status'>[], path: string): Hostile[] =>
  bodies.map((each) => ({ path, status: 400, ...each }));

const BAD_CREATIONS: readonly Omit<Hostile, 'path' | 'status'>[] = [
  { what: 'malformed JSON', body: '{"name":' },
  { what: 'no body', body: '' },
  { what: 'an array', body: '[]' },
  { what: 'null', body: 'null' },
  { what: 'a bare string', body: '"name"' },
  {
    what: 'invalid UTF-8',
    body: Buffer.from([0x7b, 0x22, 0x6e, 0x61, 0x6d, 0x65, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
    headers: { 'content-type': 'application/json' },
  },
  { what: 'no name', body: {}, says: /name/ },
  { what: 'a number as name', body: { name: 7 }, says: /name/ },
  { what: 'an empty name', body: { name: '' }, says: /name/ },
  { what: 'a name outside the pattern', body: { name: 'User: [email protected]' }, says: /name/ },
  { what: 'a name with a line break', body: { name: 'a\nb' }, says: /name/ },
  { what: 'a name with a NUL', body: { name: 'a\u0000b' }, says: /name/ },
  { what: 'a name of 5,000 characters', body: { name: LONG_NAME }, says: /name/ },
  { what: 'an expiry in the past', body: { name: 'k', expires_at: '2020-01-01T00:00:00Z' }, says: /expires_at/ },
  { what: 'an expiry that is no date', body: { name: 'k', expires_at: 'tomorrow' }, says: /expires_at/ },
  { what: 'an expiry on a day that does not exist', body: { name: 'k', expires_at: '2099-02-30T00:00:00Z' }, says: /expires_at/ },
  { what: 'a number as expiry', body: { name: 'k', expires_at: 4_102_444_800 }, says: /expires_at/ },
  { what: 'a negative cap', body: { name: 'k', max_tokens: -1 }, says: /max_tokens/ },
  { what: 'a fractional cap', body: '{"name":"k","max_tokens":1.5}', says: /max_tokens/ },
  { what: 'a cap as text', body: { name: 'k', max_tokens: '100' }, says: /max_tokens/ },
  { what: 'a cap past 2^63', body: '{"name":"k","max_tokens":9223372036854775808}', says: /max_tokens/ },
  { what: 'a cap in scientific notation', body: '{"name":"k","max_tokens":1e300}', says: /max_tokens/ },
  { what: 'metadata that is a list', body: { name: 'k', metadata: [1] }, says: /metadata/ },
  { what: 'metadata of 5 KB and 1 byte', body: { name: 'k', metadata: { m: 'x'.repeat(5121 - '{"m":""}'.length) } }, says: /metadata/ },
  { what: '__proto__ in the body', body: '{"name":"k","__proto__":{"admin":true}}', says: /__proto__/ },
  { what: 'constructor in the body', body: '{"name":"k","metadata":{"constructor":{"prototype":{}}}}', says: /constructor/ },
  { what: '__proto__ written with an escape', body: '{"name":"k","\\u005f_proto__":{"admin":true}}', says: /__proto__/ },
  { what: 'nesting without end', body: `{"name":"k","metadata":${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}}` },
];

describe('the Tinfoil surface refuses in its own form, and changes nothing, on', () => {
  test.each(tinfoil(BAD_CREATIONS, '/api/keys'))('POST /api/keys with $what', (hostile) =>
    expectRefusal('tinfoil', 'admin', bearer(tenant.adminKey), hostile),
  );

  test.each([
    { what: 'the content type of a form', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'name=k' },
    { what: 'the content type of plain text', headers: { 'content-type': 'text/plain' }, body: '{"name":"k"}' },
    { what: 'the content type of a multipart form', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--' },
  ])('POST /api/keys with $what', (hostile) =>
    expectRefusal('tinfoil', 'admin', bearer(tenant.adminKey), { ...hostile, path: '/api/keys', status: 415 }),
  );

  test('a body over the limit', () =>
    expectRefusal('tinfoil', 'admin', bearer(tenant.adminKey), {
      what: 'large',
      path: '/api/keys',
      body: { name: 'k', metadata: { m: 'x'.repeat(100_000) } },
      status: 413,
    }));

  test('updates that break a rule or name no key that this one may see', async () => {
    const masked = `${key.key.slice(0, 8)}${'*'.repeat(26)}`;
    const admin = bearer(tenant.adminKey);
    const cases: readonly Hostile[] = [
      { what: 'no field', path: '/api/keys/update', body: { key: key.key }, status: 400 },
      { what: 'no key', path: '/api/keys/update', body: { name: 'x' }, status: 400, says: /key/ },
      { what: 'a bad name', path: '/api/keys/update', body: { key: key.key, name: 'a:b' }, status: 400, says: /name/ },
      { what: 'a negative cap', path: '/api/keys/update', body: { key: key.key, max_tokens: -5 }, status: 400, says: /max_tokens/ },
      { what: 'a masked value', path: '/api/keys/update', body: { key: masked, name: 'x' }, status: 404 },
      { what: "another tenant's key", path: '/api/keys/update', body: { key: foreign.key, name: 'x' }, status: 404 },
      { what: 'an admin key', path: '/api/keys/update', body: { key: tenant.adminKey, name: 'x' }, status: 404 },
      { what: 'an unknown key', path: '/api/keys/update', body: { key: 'tk_none', name: 'x' }, status: 404 },
      { what: 'a masked value', path: '/api/keys/rename', body: { key: masked, name: 'x' }, status: 404 },
      { what: "another tenant's key", path: '/api/keys/rename', body: { key: foreign.key, name: 'x' }, status: 404 },
      { what: 'no name', path: '/api/keys/rename', body: { key: key.key }, status: 400, says: /name/ },
      { what: 'a masked value', method: 'DELETE', path: `/api/keys/${masked}`, status: 404 },
      { what: "another tenant's key", method: 'DELETE', path: `/api/keys/${foreign.key}`, status: 404 },
      { what: 'an admin key', method: 'DELETE', path: `/api/keys/${tenant.adminKey}`, status: 404 },
      { what: 'a name', method: 'DELETE', path: '/api/keys/victim', status: 404 },
      { what: 'a key behind an escaped slash', method: 'DELETE', path: `/api/keys/x%2F${key.key}`, status: 404 },
      { what: 'a broken escape', method: 'DELETE', path: '/api/keys/%zz', status: 400 },
      { what: 'a masked value', path: '/api/billing/usage/key', body: { key: masked }, status: 404 },
      { what: "another tenant's key", path: '/api/billing/usage/key', body: { key: foreign.key }, status: 404 },
      { what: 'a number', path: '/api/billing/usage/key', body: { key: 1 }, status: 400, says: /key/ },
    ];
    for (const hostile of cases) await expectRefusal('tinfoil', 'admin', admin, hostile);
  });

  test.each(['120s', '', '7D', ' 7d', '7d ', '-7d', '1h;drop', '999d', '__proto__', 'constructor'])('the window %j', async (time) => {
    for (const path of ['/api/billing/usage', '/api/billing/time-series']) {
      await expectRefusal('tinfoil', 'admin', bearer(tenant.adminKey), {
        what: time,
        method: 'GET',
        path: `${path}?time=${encodeURIComponent(time)}`,
        status: 400,
        says: /time/,
      });
    }
  });

  test('a window that comes twice', () =>
    expectRefusal('tinfoil', 'admin', bearer(tenant.adminKey), {
      what: 'twice',
      method: 'GET',
      path: '/api/billing/usage?time=7d&time=1h',
      status: 400,
      says: /time/,
    }));

  test('missing, wrong and foreign credentials', async () => {
    const unauthorized: readonly Readonly<Record<string, string>>[] = [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: 'Basic YWRtaW46YWRtaW4=' },
      { authorization: tenant.adminKey },
      bearer(`${tenant.adminKey}x`),
      bearer('admin_0000000000000000000000000000000000000000'),
      bearer(key.key),
      operator(server.credentials().operator_key),
    ];
    for (const headers of unauthorized) {
      await expectRefusal('tinfoil', 'admin', headers, {
        what: Object.values(headers).join(),
        method: 'GET',
        path: '/api/keys',
        status: 401,
      });
      await expectRefusal('tinfoil', 'admin', headers, {
        what: Object.values(headers).join(),
        path: '/api/keys',
        body: { name: 'k' },
        status: 401,
      });
    }
  });
});

const chat = (extra: object): Record<string, unknown> => ({
  model: 'demo-echo',
  messages: [{ role: 'user', content: 'hi' }],
  max_tokens: 16,
  ...extra,
});

const BAD_CHATS: readonly Omit<Hostile, 'path' | 'status'>[] = [
  { what: 'malformed JSON', body: '{"model":' },
  { what: 'no body', body: '' },
  { what: 'an array', body: '[]' },
  { what: 'no model', body: { messages: [] }, says: /model/ },
  { what: 'a number as model', body: chat({ model: 5 }), says: /model/ },
  { what: 'no messages', body: { model: 'demo-echo' }, says: /messages/ },
  { what: 'messages that are text', body: chat({ messages: 'hi' }), says: /messages/ },
  { what: 'messages that are empty', body: chat({ messages: [] }), says: /messages/ },
  { what: 'a negative limit', body: chat({ max_tokens: -1 }), says: /max_tokens/ },
  { what: 'a fractional limit', body: chat({ max_tokens: 1.5 }), says: /max_tokens/ },
  { what: 'a limit as text', body: chat({ max_tokens: '16' }), says: /max_tokens/ },
  {
    what: 'a limit past 2^53',
    body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"max_tokens":9007199254740993}',
    says: /max_tokens/,
  },
  {
    what: 'a limit past 2^63',
    body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"max_tokens":99999999999999999999}',
    says: /max_tokens/,
  },
  { what: 'a limit that the model cannot keep', body: chat({ max_tokens: 100_000_000 }), says: /max_tokens/ },
  { what: 'n of 0', body: chat({ n: 0 }), says: /\bn\b/ },
  {
    what: 'n past 2^53',
    body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"max_tokens":16,"n":9007199254740993}',
    says: /\bn\b/,
  },
  { what: 'stream as text', body: chat({ stream: 'true' }), says: /stream/ },
  { what: '__proto__ in the body', body: '{"model":"demo-echo","messages":[],"__proto__":{}}', says: /__proto__/ },
  {
    what: 'constructor in a message',
    body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi","constructor":{}}]}',
    says: /constructor/,
  },
  { what: 'nesting without end', body: `{"model":"demo-echo","messages":${'['.repeat(3000)}${']'.repeat(3000)}}` },
];

describe('the gateway refuses in its own form, holds and books nothing, on', () => {
  test.each(BAD_CHATS)('a chat with $what, on both listeners', async (hostile) => {
    for (const plane of ['runtime', 'admin'] as const)
      await expectRefusal('openai', plane, bearer(key.key), { path: '/v1/chat/completions', status: 400, ...hostile });
  });

  test('a wrong content type', async () => {
    const body = JSON.stringify(chat({}));
    await expectRefusal('openai', 'runtime', bearer(key.key), {
      what: 'text',
      path: '/v1/chat/completions',
      headers: { 'content-type': 'text/plain' },
      body,
      status: 415,
    });
    await expectRefusal('openai', 'runtime', bearer(key.key), {
      what: 'a form',
      path: '/v1/embeddings',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'model=x',
      status: 415,
    });
  });

  test('a body over the limit', () =>
    expectRefusal('openai', 'runtime', bearer(key.key), {
      what: 'large',
      path: '/v1/chat/completions',
      body: chat({ messages: [{ role: 'user', content: 'x'.repeat(MAX_BODY_BYTES) }] }),
      status: 413,
    }));

  test('an unknown model, and one whose name is a way out', async () => {
    for (const model of ['none', '../demo-echo', '__proto__', 'constructor', 'demo-echo\u0000']) {
      await expectRefusal('openai', 'runtime', bearer(key.key), {
        what: model,
        path: '/v1/chat/completions',
        body: chat({ model }),
        status: 404,
      });
    }
  });

  test('missing and wrong credentials', async () => {
    const admin: Readonly<Record<string, string>> = bearer(tenant.adminKey);
    for (const headers of [
      {},
      { authorization: 'Bearer' },
      { authorization: 'Basic eDp5' },
      bearer('tk_0000000000000000000000000000000'),
      bearer(`${key.key} `.repeat(2).trim()),
    ]) {
      await expectRefusal('openai', 'runtime', headers, {
        what: JSON.stringify(headers),
        path: '/v1/chat/completions',
        body: chat({}),
        status: 401,
      });
    }
    await expectRefusal('openai', 'runtime', admin, { what: 'an admin key', path: '/v1/chat/completions', body: chat({}), status: 403 });
  });
});

const BAD_OPERATOR: readonly Hostile[] = [
  { what: 'malformed JSON', path: '/tenants', body: '{', status: 400 },
  { what: 'an id outside the pattern', path: '/tenants', body: { id: 'A B', name: 'x' }, status: 400, says: /\bid\b/ },
  { what: 'an id that is there', path: '/tenants', body: { id: 'other', name: 'x' }, status: 409 },
  { what: '__proto__', path: '/tenants', body: '{"id":"t","name":"x","__proto__":{}}', status: 400, says: /__proto__/ },
  { what: 'an unknown tenant', method: 'PUT', path: '/tenants/none/money-budget', body: { money_budget_usd: 1 }, status: 404 },
  {
    what: 'a negative budget',
    method: 'PUT',
    path: '/tenants/other/money-budget',
    body: { money_budget_usd: -1 },
    status: 400,
    says: /money_budget_usd/,
  },
  {
    what: 'an enormous budget',
    method: 'PUT',
    path: '/tenants/other/money-budget',
    body: { money_budget_usd: 1e300 },
    status: 400,
    says: /money_budget_usd/,
  },
  {
    what: 'a budget as text',
    method: 'PUT',
    path: '/tenants/other/money-budget',
    body: { money_budget_usd: 'plenty' },
    status: 400,
    says: /money_budget_usd/,
  },
  {
    what: 'a switch as text',
    method: 'PATCH',
    path: '/tenants/other/entitlements',
    body: { token_billing: 'yes' },
    status: 400,
    says: /token_billing/,
  },
  {
    what: 'a fractional limit',
    method: 'PATCH',
    path: '/tenants/other/entitlements',
    body: { max_keys: 1.5 },
    status: 400,
    says: /max_keys/,
  },
  { what: 'a tenant behind an escaped slash', method: 'GET', path: '/tenants/x%2Fother', status: 404 },
  {
    what: 'a price that applied before now',
    path: '/prices',
    body: { model_id: 'demo-echo', input_per_1m: 1, output_per_1m: 1, applies_from: '2020-01-01T00:00:00Z' },
    status: 400,
    says: /applies_from/,
  },
];

describe('the operator API refuses in its own form, and changes nothing, on', () => {
  test.each(BAD_OPERATOR)('$path with $what', (hostile) =>
    expectRefusal('cycles', 'admin', operator(server.credentials().operator_key), { ...hostile, path: `/v1/x-castellan${hostile.path}` }),
  );

  test('missing and wrong credentials, and any credential on the data plane', async () => {
    const right = operator(server.credentials().operator_key);
    for (const headers of [
      {},
      operator('x'),
      operator(`${server.credentials().operator_key}x`),
      bearer(tenant.adminKey),
      bearer(server.credentials().operator_key),
    ]) {
      await expectRefusal('cycles', 'admin', headers, {
        what: Object.keys(headers).join(),
        method: 'GET',
        path: '/v1/x-castellan/tenants',
        status: 401,
      });
    }
    await expectRefusal('cycles', 'runtime', right, {
      what: 'the data plane',
      method: 'GET',
      path: '/v1/x-castellan/tenants',
      status: 404,
    });
  });
});

test('after all of it the server still answers, has held nothing and used nothing', async () => {
  const answer = await client.ask(`${server.runtime}/v1/models`, { headers: bearer(key.key) });
  expect(answer.status).toBe(200);
  const usage = await control.asAdmin(tenant, 'POST', '/api/billing/usage/key', { key: key.key });
  expect(usage.json()).toEqual({ prompt_tokens: 0, completion_tokens: 0, requests: 0, cost: 0 });
  expect(server.stderr()).not.toMatch(/"level":"(error|fatal)"/);
});
