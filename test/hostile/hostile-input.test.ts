import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey, type MadeTenant } from '../support/control-plane.ts';
import { bearer, makeHttpClient, operator, type HttpClient } from '../support/http-client.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { dumpState, type StoreReader } from '../support/store-reader.ts';
import { waitUntil } from '../support/wait-until.ts';

const MAX_BODY_BYTES = 300_000;
const SLOW_MS = 300;

let server: TestServer;
let client: HttpClient;
let control: ControlPlane;
let reader: StoreReader;
let tenant: MadeTenant;
let key: MadeKey;
let foreign: MadeKey;
let before: string;

beforeAll(async () => {
  server = await startServer({ store: { kind: 'sqlite' }, config: `gateway: { max_body_bytes: ${MAX_BODY_BYTES} }\n`, slowClientMs: SLOW_MS });
  client = makeHttpClient();
  control = makeControlPlane(server, client);
  reader = await server.reader();
  tenant = control.firstTenant();
  key = await control.makeKey(tenant, { name: 'victim', maxTokens: 100_000 });
  foreign = await control.makeKey(await control.makeTenant('other'), { name: 'foreign' });
  // The folder of usage works on its own; without usage it changes nothing.
  before = await dumpState(reader);
});

afterAll(async () => {
  await client.close();
  await server.dispose();
});

beforeEach(async () => {
  before = await dumpState(reader);
});

// Whatever was sent: nothing in the tables is another.
afterEach(async () => {
  expect(await dumpState(reader)).toBe(before);
});

/** What a refusal looks like on each surface: which fields it has, and where the code is. */
const FORMS = {
  tinfoil: (body: unknown): unknown => expect(body).toEqual({ error: expect.any(String) as unknown, code: expect.any(String) as unknown, status: 'error', message: expect.any(String) as unknown }),
  openai: (body: unknown): unknown =>
    expect(body).toMatchObject({ error: { message: expect.any(String) as unknown, type: expect.any(String) as unknown, code: expect.toSatisfy((code: unknown) => code === null || typeof code === 'string') as unknown } }),
  cycles: (body: unknown): unknown => expect(body).toMatchObject({ error: expect.stringMatching(/^[A-Z_]+$/) as unknown, message: expect.any(String) as unknown, request_id: expect.any(String) as unknown }),
};
type Form = keyof typeof FORMS;

/** One request that has to be refused. Texts as bodies go as they are, with the content type of JSON unless another is given. */
interface Hostile {
  readonly what: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  /** A word that the message must have: it names the field or the rule. */
  readonly says?: RegExp;
}

async function expectRefused(form: Form, plane: 'admin' | 'runtime', credential: Readonly<Record<string, string>>, hostile: Hostile): Promise<void> {
  const { method = 'POST', path, headers = {}, body, status, says } = hostile;
  const content: Record<string, string> = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
  const answer = await client.ask(`${server[plane]}${path}`, { method, headers: { ...content, ...credential, ...headers }, body });
  expect({ what: hostile.what, status: answer.status, text: answer.text }).toEqual({ what: hostile.what, status, text: expect.any(String) as unknown });
  FORMS[form](answer.json());
  if (says !== undefined) expect(answer.text).toMatch(says);
}

const LONG_NAME = 'x'.repeat(5000);
const tinfoil = (bodies: readonly Omit<Hostile, 'path' | 'status'>[], path: string): Hostile[] => bodies.map((each) => ({ path, status: 400, ...each }));

const BAD_CREATIONS: readonly Omit<Hostile, 'path' | 'status'>[] = [
  { what: 'malformed JSON', body: '{"name":' },
  { what: 'no body', body: '' },
  { what: 'an array', body: '[]' },
  { what: 'null', body: 'null' },
  { what: 'a bare string', body: '"name"' },
  { what: 'invalid UTF-8', body: Buffer.from([0x7b, 0x22, 0x6e, 0x61, 0x6d, 0x65, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]), headers: { 'content-type': 'application/json' } },
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
  test.each(tinfoil(BAD_CREATIONS, '/api/keys'))('POST /api/keys with $what', (hostile) => expectRefused('tinfoil', 'admin', bearer(tenant.adminKey), hostile));

  test.each([
    { what: 'the content type of a form', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'name=k' },
    { what: 'the content type of plain text', headers: { 'content-type': 'text/plain' }, body: '{"name":"k"}' },
    { what: 'the content type of a multipart form', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--' },
  ])('POST /api/keys with $what', (hostile) => expectRefused('tinfoil', 'admin', bearer(tenant.adminKey), { ...hostile, path: '/api/keys', status: 415 }));

  test('a body over the limit', () =>
    expectRefused('tinfoil', 'admin', bearer(tenant.adminKey), { what: 'large', path: '/api/keys', body: { name: 'k', metadata: { m: 'x'.repeat(100_000) } }, status: 413 }));

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
    for (const hostile of cases) await expectRefused('tinfoil', 'admin', admin, hostile);
  });

  test.each(['120s', '', '7D', ' 7d', '7d ', '-7d', '1h;drop', '999d', '__proto__', 'constructor'])('the window %j', async (time) => {
    for (const path of ['/api/billing/usage', '/api/billing/time-series']) {
      await expectRefused('tinfoil', 'admin', bearer(tenant.adminKey), { what: time, method: 'GET', path: `${path}?time=${encodeURIComponent(time)}`, status: 400, says: /time/ });
    }
  });

  test('a window that comes twice', () =>
    expectRefused('tinfoil', 'admin', bearer(tenant.adminKey), { what: 'twice', method: 'GET', path: '/api/billing/usage?time=7d&time=1h', status: 400, says: /time/ }));

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
      await expectRefused('tinfoil', 'admin', headers, { what: Object.values(headers).join(), method: 'GET', path: '/api/keys', status: 401 });
      await expectRefused('tinfoil', 'admin', headers, { what: Object.values(headers).join(), path: '/api/keys', body: { name: 'k' }, status: 401 });
    }
  });
});

const chat = (extra: object): Record<string, unknown> => ({ model: 'demo-echo', messages: [{ role: 'user', content: 'hi' }], max_tokens: 16, ...extra });

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
  { what: 'a limit past 2^53', body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"max_tokens":9007199254740993}', says: /max_tokens/ },
  { what: 'a limit past 2^63', body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"max_tokens":99999999999999999999}', says: /max_tokens/ },
  { what: 'a limit that the model cannot keep', body: chat({ max_tokens: 100_000_000 }), says: /max_tokens/ },
  { what: 'n of 0', body: chat({ n: 0 }), says: /\bn\b/ },
  { what: 'n past 2^53', body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"max_tokens":16,"n":9007199254740993}', says: /\bn\b/ },
  { what: 'stream as text', body: chat({ stream: 'true' }), says: /stream/ },
  { what: '__proto__ in the body', body: '{"model":"demo-echo","messages":[],"__proto__":{}}', says: /__proto__/ },
  { what: 'constructor in a message', body: '{"model":"demo-echo","messages":[{"role":"user","content":"hi","constructor":{}}]}', says: /constructor/ },
  { what: 'nesting without end', body: `{"model":"demo-echo","messages":${'['.repeat(3000)}${']'.repeat(3000)}}` },
];

describe('the gateway refuses in its own form, holds and books nothing, on', () => {
  test.each(BAD_CHATS)('a chat with $what, on both listeners', async (hostile) => {
    for (const plane of ['runtime', 'admin'] as const) await expectRefused('openai', plane, bearer(key.key), { path: '/v1/chat/completions', status: 400, ...hostile });
  });

  test('a wrong content type', async () => {
    const body = JSON.stringify(chat({}));
    await expectRefused('openai', 'runtime', bearer(key.key), { what: 'text', path: '/v1/chat/completions', headers: { 'content-type': 'text/plain' }, body, status: 415 });
    await expectRefused('openai', 'runtime', bearer(key.key), { what: 'a form', path: '/v1/embeddings', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'model=x', status: 415 });
  });

  test('a body over the limit', () =>
    expectRefused('openai', 'runtime', bearer(key.key), { what: 'large', path: '/v1/chat/completions', body: chat({ messages: [{ role: 'user', content: 'x'.repeat(MAX_BODY_BYTES) }] }), status: 413 }));

  test('an unknown model, and one whose name is a way out', async () => {
    for (const model of ['none', '../demo-echo', '__proto__', 'constructor', 'demo-echo\u0000']) {
      await expectRefused('openai', 'runtime', bearer(key.key), { what: model, path: '/v1/chat/completions', body: chat({ model }), status: 404 });
    }
  });

  test('missing and wrong credentials', async () => {
    const admin: Readonly<Record<string, string>> = bearer(tenant.adminKey);
    for (const headers of [{}, { authorization: 'Bearer' }, { authorization: 'Basic eDp5' }, bearer('tk_0000000000000000000000000000000'), bearer(`${key.key} `.repeat(2).trim())]) {
      await expectRefused('openai', 'runtime', headers, { what: JSON.stringify(headers), path: '/v1/chat/completions', body: chat({}), status: 401 });
    }
    await expectRefused('openai', 'runtime', admin, { what: 'an admin key', path: '/v1/chat/completions', body: chat({}), status: 403 });
  });
});

const BAD_OPERATOR: readonly Hostile[] = [
  { what: 'malformed JSON', path: '/tenants', body: '{', status: 400 },
  { what: 'an id outside the pattern', path: '/tenants', body: { id: 'A B', name: 'x' }, status: 400, says: /\bid\b/ },
  { what: 'an id that is there', path: '/tenants', body: { id: 'other', name: 'x' }, status: 409 },
  { what: '__proto__', path: '/tenants', body: '{"id":"t","name":"x","__proto__":{}}', status: 400, says: /__proto__/ },
  { what: 'an unknown tenant', method: 'PUT', path: '/tenants/none/money-budget', body: { money_budget_usd: 1 }, status: 404 },
  { what: 'a negative budget', method: 'PUT', path: '/tenants/other/money-budget', body: { money_budget_usd: -1 }, status: 400, says: /money_budget_usd/ },
  { what: 'an enormous budget', method: 'PUT', path: '/tenants/other/money-budget', body: { money_budget_usd: 1e300 }, status: 400, says: /money_budget_usd/ },
  { what: 'a budget as text', method: 'PUT', path: '/tenants/other/money-budget', body: { money_budget_usd: 'plenty' }, status: 400, says: /money_budget_usd/ },
  { what: 'a switch as text', method: 'PATCH', path: '/tenants/other/entitlements', body: { token_billing: 'yes' }, status: 400, says: /token_billing/ },
  { what: 'a fractional limit', method: 'PATCH', path: '/tenants/other/entitlements', body: { max_keys: 1.5 }, status: 400, says: /max_keys/ },
  { what: 'a tenant behind an escaped slash', method: 'GET', path: '/tenants/x%2Fother', status: 404 },
  { what: 'a price that applied before now', path: '/prices', body: { model_id: 'demo-echo', input_per_1m: 1, output_per_1m: 1, applies_from: '2020-01-01T00:00:00Z' }, status: 400, says: /applies_from/ },
];

describe('the operator API refuses in its own form, and changes nothing, on', () => {
  test.each(BAD_OPERATOR)('$path with $what', (hostile) =>
    expectRefused('cycles', 'admin', operator(server.credentials().operator_key), { ...hostile, path: `/v1/x-castellan${hostile.path}` }));

  test('missing and wrong credentials, and any credential on the data plane', async () => {
    const right = operator(server.credentials().operator_key);
    for (const headers of [{}, operator('x'), operator(`${server.credentials().operator_key}x`), bearer(tenant.adminKey), bearer(server.credentials().operator_key)]) {
      await expectRefused('cycles', 'admin', headers, { what: Object.keys(headers).join(), method: 'GET', path: '/v1/x-castellan/tenants', status: 401 });
    }
    await expectRefused('cycles', 'runtime', right, { what: 'the data plane', method: 'GET', path: '/v1/x-castellan/tenants', status: 404 });
  });
});

describe('a credential that comes twice', () => {
  const doubled = async (plane: 'admin' | 'runtime', path: string, headers: readonly string[]): Promise<unknown> => {
    const body = path.startsWith('/v1/x-castellan') ? '{"id":"twice","name":"twice"}' : path.startsWith('/v1') ? JSON.stringify(chat({})) : '{"name":"twice"}';
    const answer = await sendRaw(server[plane], [rawRequest({ method: 'POST', path, headers: ['Content-Type: application/json', ...headers], body })]);
    expect({ path, headers: headers.length, status: answer.status }).toEqual({ path, headers: headers.length, status: 400 });
    return JSON.parse(answer.body);
  };

  test('is a 400 before any look-up, on every surface', async () => {
    const bearerLine = (value: string): string => `Authorization: Bearer ${value}`;
    const operatorLine = `X-Admin-API-Key: ${server.credentials().operator_key}`;
    FORMS.tinfoil(await doubled('admin', '/api/keys', [bearerLine(tenant.adminKey), bearerLine(tenant.adminKey)]));
    FORMS.tinfoil(await doubled('admin', '/api/keys', [bearerLine(tenant.adminKey), bearerLine(key.key)]));
    FORMS.openai(await doubled('runtime', '/v1/chat/completions', [bearerLine(key.key), bearerLine(key.key)]));
    FORMS.openai(await doubled('admin', '/v1/chat/completions', [bearerLine('x'), bearerLine(key.key)]));
    FORMS.cycles(await doubled('admin', '/v1/x-castellan/tenants', [operatorLine, operatorLine]));
  });
});

describe('slow clients are cut off', () => {
  const head = (path: string, credential: string, length: number): string =>
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer ${credential}\r\nContent-Length: ${length}\r\n\r\n`;

  test.each(['admin', 'runtime'] as const)('that do not finish their headers, on the %s listener', async (plane) => {
    const answer = await sendRaw(server[plane], ['POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n', ...Array.from({ length: 50 }, () => [100, 'X-Slow: 1\r\n']).flat()]);
    expect([0, 408]).toContain(answer.status);
    expect(answer.tookMs).toBeLessThan(SLOW_MS * 10);
  });

  test('that do not finish their body', async () => {
    const slowly = Array.from({ length: 50 }, () => [100, ' ']).flat();
    const [gateway, admin] = await Promise.all([
      sendRaw(server.runtime, [head('/v1/chat/completions', key.key, 10_000), '{', ...slowly]),
      sendRaw(server.admin, [head('/api/keys', tenant.adminKey, 10_000), '{"name":"slow"', ...slowly]),
    ]);
    for (const answer of [gateway, admin]) {
      expect([0, 408]).toContain(answer.status);
      expect(answer.tookMs).toBeLessThan(SLOW_MS * 15);
    }
  });

  test('that promise more than they may send are refused before they send it', async () => {
    const answer = await sendRaw(server.runtime, [head('/v1/chat/completions', key.key, 1_000_000_000)]);
    expect(answer.status).toBe(413);
  });
});

describe('requests that are no proper HTTP', () => {
  test.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['two lengths', 'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x'],
    ['a length and chunks', 'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a header with a NUL', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Bad: a\u0000b\r\n\r\n'],
    ['headers of 100 KB', `GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`],
    ['no host', 'GET /v1/models HTTP/1.1\r\n\r\n'],
  ])('are refused or cut off: %s', async (_what, text) => {
    for (const plane of ['admin', 'runtime'] as const) {
      const answer = await sendRaw(server[plane], [text]);
      expect(answer.status === 0 || (answer.status >= 400 && answer.status < 500)).toBe(true);
      if (answer.body !== '') expect(() => JSON.parse(answer.body) as unknown).not.toThrow();
    }
  });
});

describe('the control plane against browsers', () => {
  const ask = (headers: readonly string[], path = '/api/keys'): ReturnType<typeof sendRaw> =>
    sendRaw(server.admin, [rawRequest({ method: 'POST', path, headers: ['Content-Type: application/json', `Authorization: Bearer ${tenant.adminKey}`, ...headers], body: '{"name":"browser"}' })]);

  test.each(['evil.example', 'evil.example:7979', '127.0.0.1.evil.example', 'localhost.evil.example', '169.254.169.254', '[::ffff:1.2.3.4]', 'a b'])('answers 421 to the foreign host %s', async (host) => {
    const answer = await ask([`Host: ${host}`]);
    expect([400, 421]).toContain(answer.status);
    if (host !== 'a b') expect(answer.status).toBe(421);
  });

  test.each(['http://evil.example', 'https://127.0.0.1', 'http://127.0.0.1:1', 'null', 'file://', 'http://localhost.evil.example'])('answers 403 to the foreign origin %s', async (origin) => {
    expect((await ask([`Host: ${new URL(server.admin).host}`, `Origin: ${origin}`])).status).toBe(403);
  });

  test('guards the gateway paths that it serves as well', async () => {
    expect((await ask(['Host: evil.example'], '/v1/chat/completions')).status).toBe(421);
    expect((await ask([`Host: ${new URL(server.admin).host}`, 'Origin: http://evil.example'], '/v1/chat/completions')).status).toBe(403);
  });

  test('sets no cookie and allows no other origin', async () => {
    const answer = await client.ask(`${server.admin}/api/keys`, { headers: bearer(tenant.adminKey) });
    expect(answer.status).toBe(200);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('addresses and methods that nobody serves', () => {
  const CREDENTIALS: readonly { readonly kind: string; readonly form: Form; readonly headers: () => Readonly<Record<string, string>> }[] = [
    { kind: 'a bearer key', form: 'openai', headers: () => bearer(key.key) },
    { kind: "the operator's key", form: 'cycles', headers: () => operator(server.credentials().operator_key) },
    { kind: 'a Cycles key', form: 'cycles', headers: () => ({ 'x-cycles-api-key': 'cyc_live_nobody' }) },
    { kind: 'none', form: 'cycles', headers: () => ({}) },
  ];
  const UNKNOWN = ['/', '/nothing', '/v2/keys', '/admin', '/.env', '/etc/passwd', '/health/../nothing', '/nothing%2Fmore', '/%2e%2e/nothing'];

  test.each(CREDENTIALS)('are 404 in the form of the credential: $kind', async ({ form, headers }) => {
    for (const plane of ['admin', 'runtime'] as const) {
      for (const path of UNKNOWN) {
        const lines = Object.entries(headers()).map(([name, value]) => `${name}: ${value}`);
        const answer = await sendRaw(server[plane], [rawRequest({ method: 'GET', path, headers: lines })]);
        expect({ plane, path, status: answer.status }).toEqual({ plane, path, status: 404 });
        FORMS[form](JSON.parse(answer.body));
      }
    }
  });

  test('are 404 in the form of the surface that owns the prefix', async () => {
    for (const path of ['/api', '/api/nothing', '/api/keys/a/b', '/api/../v1/x-castellan/tenants', '/api/keys/..%2F..']) {
      const answer = await sendRaw(server.admin, [rawRequest({ method: 'GET', path, headers: [`Authorization: Bearer ${tenant.adminKey}`] })]);
      expect({ path, is4xx: answer.status >= 400 && answer.status < 500 }).toEqual({ path, is4xx: true });
      FORMS.tinfoil(JSON.parse(answer.body));
    }
    await expectRefused('openai', 'runtime', bearer(key.key), { what: 'a gateway path', path: '/v1/chat/nothing', body: {}, status: 404 });
  });

  test('are 405 with Allow where only the method is wrong', async () => {
    const cases: readonly { readonly method: string; readonly path: string; readonly allow: string; readonly form: Form; readonly headers: Readonly<Record<string, string>> }[] = [
      { method: 'PUT', path: '/api/keys', allow: 'POST', form: 'tinfoil', headers: bearer(tenant.adminKey) },
      { method: 'GET', path: '/api/keys/update', allow: 'POST', form: 'tinfoil', headers: bearer(tenant.adminKey) },
      { method: 'GET', path: '/v1/chat/completions', allow: 'POST', form: 'openai', headers: bearer(key.key) },
      { method: 'DELETE', path: '/v1/models', allow: 'GET', form: 'openai', headers: bearer(key.key) },
      { method: 'DELETE', path: '/v1/x-castellan/tenants', allow: 'POST', form: 'cycles', headers: operator(server.credentials().operator_key) },
    ];
    for (const { method, path, allow, form, headers } of cases) {
      const answer = await client.ask(`${server.admin}${path}`, { method, headers });
      expect({ path, status: answer.status }).toEqual({ path, status: 405 });
      expect(answer.headers['allow']).toContain(allow);
      FORMS[form](answer.json());
    }
  });
});

test('after all of it the server still answers, has held nothing and used nothing', async () => {
  const answer = await client.ask(`${server.runtime}/v1/models`, { headers: bearer(key.key) });
  expect(answer.status).toBe(200);
  const usage = await control.asAdmin(tenant, 'POST', '/api/billing/usage/key', { key: key.key });
  expect(usage.json()).toEqual({ prompt_tokens: 0, completion_tokens: 0, requests: 0, cost: 0 });
  await waitUntil(() => Promise.resolve(!/"level":"(error|fatal)"/.test(server.stderr())));
});
