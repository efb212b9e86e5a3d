import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MODEL_ALIASES } from '../../../src/core/records.ts';
import { makeTestApp, type TestApp, type TestResponse } from '../../support/test-app.ts';

const BASE = '/v1/x-castellan';
const UPSTREAM = { id: 'one', base_url: 'http://127.0.0.1:9001/v1' };

let at: TestApp;

beforeEach(async () => {
  at = await makeTestApp({ declared: ['model filed aliases', 'upstream filed headers', 'key key_filed output_bound'] });
  for (const id of ['one', 'two', 'filed']) await at.operator('POST', `${BASE}/upstreams`, { ...UPSTREAM, id });
});
afterEach(() => at.close());

const makeModel = (id: string, fields: object = {}): Promise<TestResponse> =>
  at.operator('POST', `${BASE}/models`, { id, upstreams: [{ id: 'one' }], ...fields });
const patchModel = (id: string, fields: object): Promise<TestResponse> => at.operator('PATCH', `${BASE}/models/${id}`, fields);
const fieldOf = ({ json }: TestResponse): string | undefined => (json as { details?: { field?: string } }).details?.field;
const everythingKept = (): string =>
  JSON.stringify([[...at.store.tables.records], at.store.tables.audit, at.store.tables.events, at.log.lines]);

describe('aliases of a model', () => {
  test('201 and 200: are shown, replaced as a whole, and kept where a change does not name them', async () => {
    expect(await makeModel('m', { aliases: ['small', 'org/best'] })).toMatchObject({
      status: 201,
      json: { aliases: ['small', 'org/best'] },
    });
    expect((await patchModel('m', { tags: ['x'] })).json).toMatchObject({ aliases: ['small', 'org/best'] });
    expect((await patchModel('m', { aliases: ['small', 'tiny'] })).json).toMatchObject({ aliases: ['small', 'tiny'] });
    expect((await at.operator('GET', `${BASE}/models/m`)).json).toMatchObject({ aliases: ['small', 'tiny'] });
    expect(at.store.tables.records.get(`setting ${MODEL_ALIASES}`)).toMatchObject({ value: { small: 'm', tiny: 'm' } });
  });

  test('400: of a wrong form, named twice, or the own id', async () => {
    for (const aliases of [['a b'], [''], ['x', 'x'], ['m'], Array.from({ length: 51 }, (_, index) => `a${index}`), 'x', [1]]) {
      const refused = await makeModel('m', { aliases });
      expect([refused.status, fieldOf(refused)?.split('.')[0]]).toEqual([400, 'aliases']);
    }
    expect((await at.operator('GET', `${BASE}/models`)).json).toEqual({ models: [] });
  });

  test('409: a name stands for one model, be it as id or as alias', async () => {
    await makeModel('m', { aliases: ['small'] });
    await makeModel('n');
    for (const refused of [
      await makeModel('small'),
      await makeModel('o', { aliases: ['small'] }),
      await makeModel('o', { aliases: ['n'] }),
      await patchModel('n', { aliases: ['small'] }),
      await patchModel('n', { aliases: ['m'] }),
    ]) {
      expect(refused.status).toBe(409);
      expect(refused.text).toMatch(/alias/);
    }
    expect((await at.operator('GET', `${BASE}/models/o`)).status).toBe(404);
    expect((await at.operator('GET', `${BASE}/models/n`)).json).toMatchObject({ aliases: [] });
  });

  test('of two that want the same name at once one has it', async () => {
    await makeModel('m');
    await makeModel('n');
    const answers = await Promise.all([patchModel('m', { aliases: ['best'] }), patchModel('n', { aliases: ['best'] })]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
  });

  test('are free again where a model gives them up, or is gone', async () => {
    await makeModel('m', { aliases: ['small', 'tiny'] });
    expect((await patchModel('m', { aliases: ['tiny'] })).status).toBe(200);
    expect((await makeModel('n', { aliases: ['small'] })).status).toBe(201);
    expect((await at.operator('DELETE', `${BASE}/models/m`)).status).toBe(204);
    expect((await makeModel('tiny')).status).toBe(201);
  });

  test('resolve for callers at once; an id goes before an alias', async () => {
    await makeModel('m', { aliases: ['small'] });
    await at.directory.refresh();
    expect(at.directory.catalogue.model('small')?.id).toBe('m');
    await patchModel('m', { aliases: [] });
    await at.directory.refresh();
    expect(at.directory.catalogue.model('small')).toBeUndefined();
  });

  test('409: declared in the file', async () => {
    await makeModel('filed');
    expect(await patchModel('filed', { aliases: ['x'] })).toMatchObject({ status: 409, json: { error: 'MANAGED_BY_FILE' } });
  });
});

describe('weights of upstreams', () => {
  test('201 and 200: are shown as they were given', async () => {
    const upstreams = [
      { id: 'one', model: 'a', weight: 3 },
      { id: 'two', model: 'b' },
    ];
    expect(await makeModel('m', { upstreams })).toMatchObject({ status: 201, json: { upstreams } });
    const changed = [
      { id: 'one', model: 'm', weight: 0 },
      { id: 'two', model: 'm', weight: 1_000_000 },
    ];
    expect((await patchModel('m', { upstreams: changed })).json).toMatchObject({ upstreams: changed });
  });

  test.each([
    [[{ id: 'one', weight: -1 }], 'upstreams.0.weight'],
    [[{ id: 'one', weight: 1.5 }], 'upstreams.0.weight'],
    [[{ id: 'one', weight: 1_000_001 }], 'upstreams.weight'],
    [
      [
        { id: 'one', weight: 0 },
        { id: 'two', weight: 0 },
      ],
      'upstreams',
    ],
  ])('400: %j', async (upstreams, field) => {
    const refused = await makeModel('m', { upstreams });
    expect([refused.status, fieldOf(refused)]).toEqual([400, field]);
  });
});

describe("an upstream's own limits for a model", () => {
  const LIMITS = { context_tokens: 8000, max_output_tokens: 1000 };

  test('201 and 200: are shown as they were given, and may be left out', async () => {
    const upstreams = [
      { id: 'one', model: 'a', context_tokens: 8000 },
      { id: 'two', model: 'b', weight: 2, max_output_tokens: 1000 },
    ];
    expect(await makeModel('m', { ...LIMITS, default_output_tokens: 10, upstreams })).toMatchObject({ status: 201, json: { upstreams } });
    const changed = [{ id: 'one', model: 'm' }];
    expect((await patchModel('m', { upstreams: changed })).json).toMatchObject({ upstreams: changed });
  });

  test.each([
    [[{ id: 'one', context_tokens: 8001 }], 'upstreams.context_tokens'],
    [[{ id: 'one', context_tokens: 0 }], 'upstreams.context_tokens'],
    [[{ id: 'one' }, { id: 'two', max_output_tokens: 1001 }], 'upstreams.max_output_tokens'],
    [[{ id: 'one', max_output_tokens: '9' }], 'upstreams.0.max_output_tokens'],
  ])('400: %j', async (upstreams, field) => {
    const refused = await makeModel('m', { ...LIMITS, default_output_tokens: 10, upstreams });
    expect([refused.status, fieldOf(refused)]).toEqual([400, field]);
  });

  test('400: a model that takes less than one of its upstreams', async () => {
    await makeModel('m', { ...LIMITS, default_output_tokens: 10, upstreams: [{ id: 'one', context_tokens: 8000 }] });
    const refused = await patchModel('m', { context_tokens: 7999 });
    expect([refused.status, fieldOf(refused)]).toEqual([400, 'upstreams.context_tokens']);
  });
});

describe('headers of an upstream', () => {
  const HEADERS = { 'X-Team': 'castle-canary-1', Authorization: 'Basic castle-canary-2' };

  test('201: names are shown, values are sealed and nowhere else', async () => {
    const made = await at.operator('POST', `${BASE}/upstreams`, { ...UPSTREAM, id: 'new', headers: HEADERS });
    expect(made).toMatchObject({ status: 201, json: { header_names: ['X-Team', 'Authorization'], has_api_key: false } });
    const shown = await at.operator('GET', `${BASE}/upstreams`);
    expect(made.text + shown.text + everythingKept()).not.toContain('castle-canary');
    const record = at.store.tables.records.get('upstream new') as { headersSealed: string };
    expect(JSON.parse(at.secretBox.open(record.headersSealed, 'upstream:new:headers'))).toEqual(HEADERS);
  });

  test('200: PATCH replaces them as a whole, keeps them where it does not name them, and takes them away with null', async () => {
    const path = `${BASE}/upstreams/one`;
    await at.operator('PATCH', path, { headers: HEADERS });
    expect((await at.operator('PATCH', path, { region: 'fr' })).json).toMatchObject({ header_names: ['X-Team', 'Authorization'] });
    expect((await at.operator('PATCH', path, { headers: { 'x-other': 'b' } })).json).toMatchObject({ header_names: ['x-other'] });
    expect((await at.operator('PATCH', path, { headers: null })).json).toMatchObject({ header_names: [] });
    expect(at.store.tables.records.get('upstream one')).toMatchObject({ headersSealed: null });
  });

  test.each<[string, unknown]>([
    ['a header of the connection', { Connection: 'castle-canary' }],
    ['the host', { host: 'castle-canary' }],
    ['the length', { 'Content-Length': '1' }],
    ['the encoding of the body', { 'transfer-encoding': 'chunked' }],
    ['the encoding of the answer', { 'Accept-Encoding': 'br' }],
    ['a name with a blank', { 'x y': 'castle-canary' }],
    ['an empty name', { '': 'castle-canary' }],
    ['a line break in a name', { 'x\r\ny': 'castle-canary' }],
    ['a line break in a value', { 'x-a': 'castle-canary\r\nx-b: 1' }],
    ['a value of other letters', { 'x-a': 'castle-canary-é' }],
    ['an empty value', { 'x-a': '' }],
    ['a value with a blank at its end', { 'x-a': 'castle-canary ' }],
    ['a value that is too long', { 'x-a': 'a'.repeat(4097) }],
    ['one name in two forms', { 'X-A': 'castle-canary', 'x-a': 'b' }],
    ['too many', Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`x-${index}`, 'a']))],
    ['a value that is no string', { 'x-a': 1 }],
    ['a list', ['x-a']],
  ])('400: %s, and no value is repeated', async (_name, headers) => {
    const refused = await at.operator('PATCH', `${BASE}/upstreams/one`, { headers });
    expect([refused.status, fieldOf(refused)?.split('.')[0]]).toEqual([400, 'headers']);
    expect(refused.text + everythingKept()).not.toContain('castle-canary');
    expect((await at.operator('GET', `${BASE}/upstreams/one`)).json).toMatchObject({ header_names: [] });
  });

  test('400: authorization beside an api_key, whichever came first', async () => {
    const path = `${BASE}/upstreams/one`;
    expect((await at.operator('PATCH', path, { headers: HEADERS, api_key: 'sk-1' })).status).toBe(400);
    expect((await at.operator('PATCH', path, { headers: HEADERS })).status).toBe(200);
    expect((await at.operator('PATCH', path, { api_key: 'sk-1' })).status).toBe(400);
    expect((await at.operator('PATCH', path, { api_key: 'sk-1', headers: { 'x-team': 'a' } })).status).toBe(200);
  });

  test('400: of an upstream in our own process', async () => {
    const refused = await at.operator('POST', `${BASE}/upstreams`, { id: 'inner', kind: 'demo', headers: { 'x-a': 'b' } });
    expect([refused.status, fieldOf(refused)]).toEqual([400, 'headers']);
  });

  test('409: declared in the file', async () => {
    const refused = await at.operator('PATCH', `${BASE}/upstreams/filed`, { headers: { 'x-a': 'b' } });
    expect(refused).toMatchObject({ status: 409, json: { error: 'MANAGED_BY_FILE' } });
  });
});

describe('models that a key may call', () => {
  let keyId: string;

  beforeEach(async () => {
    await at.addTenant('acme');
    keyId = (await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' })).id;
    await makeModel('m', { aliases: ['small'] });
    await makeModel('n');
  });
  const patchKey = (body: object, id = keyId): Promise<TestResponse> => at.operator('PATCH', `${BASE}/keys/${id}`, body);

  test('200: a list, which stays where it is not named; null is every model', async () => {
    expect((await patchKey({ allowed_models: ['m', 'n'] })).json).toMatchObject({ allowed_models: ['m', 'n'] });
    expect((await patchKey({ disabled: true })).json).toMatchObject({ allowed_models: ['m', 'n'] });
    expect((await at.operator('GET', `${BASE}/keys/${keyId}`)).json).toMatchObject({ allowed_models: ['m', 'n'] });
    expect((await patchKey({ allowed_models: null })).json).toMatchObject({ allowed_models: null });
  });

  test.each([[[]], [['m', 'm']], [['nobody']], [['small']], ['m'], [[1]]])('400: %j', async (models) => {
    const refused = await patchKey({ allowed_models: models });
    expect([refused.status, fieldOf(refused)?.split('.')[0]]).toEqual([400, 'allowed_models']);
  });

  test('400: for a key that makes no calls', async () => {
    const admin = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin' });
    expect((await patchKey({ allowed_models: ['m'] }, admin.id)).status).toBe(400);
  });

  test('a model that goes away does not stand in the way of another change', async () => {
    await patchKey({ allowed_models: ['m', 'n'] });
    await at.operator('DELETE', `${BASE}/models/n`);
    expect((await patchKey({ output_bound: 'soft' })).status).toBe(200);
  });
});
