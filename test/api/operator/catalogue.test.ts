import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestApp, TEST_START_MS, type TestApp } from '../../support/test-app.ts';

const BASE = '/v1/x-castellan';
const UPSTREAM = {
  id: 'scw',
  base_url: 'http://127.0.0.1:9001/v1/',
  api_key: 'sk-canary-1',
  provider: 'scaleway',
  region: 'fr',
  eu_native: true,
  retention_days: 0,
};

let at: TestApp;

beforeEach(async () => {
  at = await makeTestApp({
    declared: [
      'upstream filed base_url',
      'upstream filed id',
      'model filed-model id',
      'model filed-model tags',
      'price filed-model id',
      'price open@filed id',
    ],
  });
});
afterEach(() => at.close());

describe('upstreams', () => {
  test('201: one that takes sealed calls, which is where its callers name it; 200 once it takes plain ones again', async () => {
    const sealed = {
      enclave_urls: ['https://a.example/', 'https://b.example'],
      attestation_url: 'https://a.example/att',
      max_output_tokens: 9,
    };
    const made = await at.operator('POST', `${BASE}/upstreams`, { id: 'enc', sealed });
    expect([made.status, made.json]).toMatchObject([
      201,
      { base_url: '', sealed: { ...sealed, enclave_urls: ['https://a.example', 'https://b.example'] } },
    ]);
    const less = await at.operator('PATCH', `${BASE}/upstreams/enc`, { sealed: { enclave_urls: ['https://b.example'] } });
    expect(less.json).toMatchObject({ sealed: { enclave_urls: ['https://b.example'], attestation_url: null, max_output_tokens: null } });
    expect((await at.operator('PATCH', `${BASE}/upstreams/enc`, { sealed: null })).status).toBe(400);
    const plain = await at.operator('PATCH', `${BASE}/upstreams/enc`, { sealed: null, base_url: 'https://b.example/v1' });
    expect([plain.status, plain.json]).toMatchObject([200, { sealed: null, base_url: 'https://b.example/v1' }]);
  });

  test.each([
    [{ enclave_urls: [] }, 'sealed.enclave_urls must list at least one address'],
    [{ enclave_urls: ['ftp://x'] }, 'sealed.enclave_urls must be an http:// or https:// address'],
    [{ enclave_urls: ['https://u:p@x.example'] }, 'sealed.enclave_urls must not hold a user or password'],
    [{ enclave_urls: ['https://x.example', 'https://x.example/'] }, 'sealed.enclave_urls must list each address once'],
    [{ enclave_urls: ['https://x.example'], attestation_url: 'x' }, 'sealed.attestation_url must be an http:// or https:// address'],
    [{ enclave_urls: ['https://x.example'], max_output_tokens: 0 }, 'sealed.max_output_tokens must be a whole number from 1'],
    [{ enclave_urls: ['https://x.example'], dragons: 1 }, 'dragons'],
    [{}, 'enclave_urls'],
  ])('400: sealed %j', async (sealed, told) => {
    const { status, text } = await at.operator('POST', `${BASE}/upstreams`, { id: 'enc', sealed });
    expect([status, text]).toEqual([400, expect.stringContaining(told)]);
  });

  test('400: sealed beside a base_url, or of kind demo', async () => {
    const sealed = { enclave_urls: ['https://x.example'] };
    const beside = await at.operator('POST', `${BASE}/upstreams`, { id: 'enc', sealed, base_url: 'https://x.example/v1' });
    expect([beside.status, beside.text]).toEqual([400, expect.stringContaining('base_url must not be given beside sealed')]);
    const demo = await at.operator('POST', `${BASE}/upstreams`, { id: 'enc', sealed, kind: 'demo' });
    expect([demo.status, demo.text]).toEqual([400, expect.stringContaining('sealed must not be given')]);
  });

  test('201: the credential is sealed and never shown again', async () => {
    const { status, text, json } = await at.operator('POST', `${BASE}/upstreams`, UPSTREAM);
    expect(status).toBe(201);
    expect(json).toEqual({
      id: 'scw',
      kind: 'openai',
      base_url: 'http://127.0.0.1:9001/v1',
      has_api_key: true,
      provider: 'scaleway',
      region: 'fr',
      eu_native: true,
      quantized: false,
      retention_days: 0,
      continuous_usage: false,
      timeout_ms: null,
      header_names: [],
      health: {
        state: 'closed',
        consecutive_failures: 0,
        recent_attempts: 0,
        recent_failures: 0,
        opened_count: 0,
        retry_in_ms: null,
        rests_for_ms: null,
        last_failure: null,
      },
      speeds: [],
      speaks: ['openai'],
      rate_limits: null,
      sealed: null,
      created_at: '2026-04-09T00:00:00Z',
    });
    const lists = await Promise.all([at.operator('GET', `${BASE}/upstreams`), at.operator('GET', `${BASE}/upstreams/scw`)]);
    expect(lists[0].json).toEqual({ upstreams: [json] });
    expect(lists[1].json).toEqual(json);
    const everything = [
      text,
      ...lists.map((each) => each.text),
      JSON.stringify([[...at.store.tables.records], at.store.tables.audit, at.store.tables.events, at.log.lines]),
    ];
    expect(everything.join()).not.toContain('sk-canary-1');
    const record = at.store.tables.records.get('upstream scw') as { apiKeySealed: string };
    expect(at.secretBox.open(record.apiKeySealed, 'upstream:scw')).toBe('sk-canary-1');
  });

  test('201 and 200: what it speaks is declared, changed and shown', async () => {
    const made = await at.operator('POST', `${BASE}/upstreams`, { ...UPSTREAM, speaks: ['anthropic'] });
    expect([made.status, made.json]).toMatchObject([201, { speaks: ['anthropic'] }]);
    const path = `${BASE}/upstreams/scw`;
    expect((await at.operator('PATCH', path, { speaks: ['openai', 'anthropic'] })).json).toMatchObject({ speaks: ['openai', 'anthropic'] });
    expect((await at.operator('PATCH', path, { region: 'nl' })).json).toMatchObject({ speaks: ['openai', 'anthropic'] });
    await at.operator('POST', `${BASE}/upstreams`, { id: 'inside', kind: 'demo' });
    expect((await at.operator('GET', `${BASE}/upstreams/inside`)).json).toMatchObject({ speaks: ['openai', 'anthropic'] });
  });

  test.each([[[]], [['openai', 'openai']], [['gopher']], ['openai'], [null]])('400: speaks %j', async (speaks) => {
    const { status, json } = await at.operator('POST', `${BASE}/upstreams`, { ...UPSTREAM, speaks });
    expect(status).toBe(400);
    expect((json as { message: string }).message).toContain('speaks');
  });

  test('200: PATCH changes what it names; null takes the credential away', async () => {
    await at.operator('POST', `${BASE}/upstreams`, UPSTREAM);
    const path = `${BASE}/upstreams/scw`;
    expect((await at.operator('PATCH', path, { quantized: true })).json).toMatchObject({
      quantized: true,
      provider: 'scaleway',
      has_api_key: true,
    });
    expect((await at.operator('PATCH', path, { api_key: null })).json).toMatchObject({ has_api_key: false, quantized: true });
  });

  test('204 and 409: one that a model uses stays until the model is gone', async () => {
    await at.operator('POST', `${BASE}/upstreams`, UPSTREAM);
    await at.operator('POST', `${BASE}/models`, { id: 'm', upstreams: [{ id: 'scw' }] });
    expect(await at.operator('DELETE', `${BASE}/upstreams/scw`)).toMatchObject({
      status: 409,
      json: { message: 'the upstream scw is in use by the model m' },
    });
    expect((await at.operator('DELETE', `${BASE}/models/m`)).status).toBe(204);
    expect((await at.operator('DELETE', `${BASE}/upstreams/scw`)).status).toBe(204);
    expect((await at.operator('GET', `${BASE}/upstreams/scw`)).status).toBe(404);
  });

  test.each([
    [{ id: 'x' }, 'base_url'],
    [{ id: 'x', base_url: 'ftp://a' }, 'base_url'],
    [{ id: 'x', base_url: 'http://user:pass@a' }, 'base_url'],
    [{ id: 'x', base_url: 'http://a?key=1' }, 'base_url'],
    [{ id: 'x', base_url: 'http://a', api_key: 'with space' }, 'api_key'],
    [{ id: 'x', base_url: 'http://a', api_key: '' }, 'api_key'],
    [{ id: 'x', base_url: 'http://a', timeout_ms: 5 }, 'timeout_ms'],
    [{ id: 'x', base_url: 'http://a', retention_days: -1 }, 'retention_days'],
    [{ id: 'x', base_url: 'http://a', eu: true }, 'eu'],
    [{ id: '../x', base_url: 'http://a' }, 'id'],
  ])('400: %j names %s, and repeats no value', async (body, field) => {
    const { status, text, json } = await at.operator('POST', `${BASE}/upstreams`, body);
    expect([status, (json as { details: { field: string } }).details.field]).toEqual([400, field]);
    expect(text).not.toContain('user:pass');
  });

  test('404: what is not there', async () => {
    for (const method of ['GET', 'DELETE'] as const) expect((await at.operator(method, `${BASE}/upstreams/none`)).status).toBe(404);
    expect((await at.operator('PATCH', `${BASE}/upstreams/none`, { quantized: true })).status).toBe(404);
  });

  test('409: taken, or declared in the file', async () => {
    await at.operator('POST', `${BASE}/upstreams`, UPSTREAM);
    expect((await at.operator('POST', `${BASE}/upstreams`, UPSTREAM)).status).toBe(409);
    await at.operator('POST', `${BASE}/upstreams`, { ...UPSTREAM, id: 'filed' });
    const declined = { status: 409, json: { error: 'MANAGED_BY_FILE' } };
    expect(await at.operator('PATCH', `${BASE}/upstreams/filed`, { base_url: 'http://b' })).toMatchObject(declined);
    expect(await at.operator('DELETE', `${BASE}/upstreams/filed`)).toMatchObject(declined);
    expect((await at.operator('PATCH', `${BASE}/upstreams/filed`, { region: 'de' })).status).toBe(200);
  });
});

describe('models', () => {
  beforeEach(() => at.operator('POST', `${BASE}/upstreams`, UPSTREAM));

  test('201: what is not said is as the defaults have it, no limit above the context', async () => {
    const { status, json } = await at.operator('POST', `${BASE}/models`, {
      id: 'org/small:1b',
      upstreams: [{ id: 'scw', model: 'small' }],
      context_tokens: 2048,
    });
    expect(status).toBe(201);
    expect(json).toEqual({
      id: 'org/small:1b',
      upstreams: [{ id: 'scw', model: 'small' }],
      context_tokens: 2048,
      max_output_tokens: 2048,
      default_output_tokens: 2048,
      output_limit_field: 'max_tokens',
      tokenizer: null,
      prompt_overhead_tokens: 256,
      margin_percent: 10,
      max_image_tokens: null,
      max_audio_tokens: null,
      max_audio_seconds: null,
      max_file_tokens: null,
      aliases: [],
      tags: [],
      description: null,
      rate_limits: null,
      created_at: '2026-04-09T00:00:00Z',
    });
    expect((await at.operator('GET', `${BASE}/models/org%2Fsmall:1b`)).json).toEqual(json);
    expect((await at.operator('GET', `${BASE}/models`)).json).toEqual({ models: [json] });
  });

  test.each(['models/m', 'upstreams/scw'])(
    '201 and 200: limits of a minute are declared, replaced as a whole, shown and taken back: %s',
    async (path) => {
      await at.operator('POST', `${BASE}/models`, { id: 'm', upstreams: [{ id: 'scw' }], rate_limits: { requests_per_minute: 7 } });
      expect((await at.operator('GET', `${BASE}/models/m`)).json).toMatchObject({
        rate_limits: { requests_per_minute: 7, tokens_per_minute: null },
      });
      const patch = async (limits: object | null): Promise<unknown> =>
        (await at.operator('PATCH', `${BASE}/${path}`, { rate_limits: limits })).json;
      const both = { requests_per_minute: 60, tokens_per_minute: 1000 };
      expect(await patch(both)).toMatchObject({ rate_limits: both });
      const tokens = { requests_per_minute: null, tokens_per_minute: 5 };
      expect(await patch({ tokens_per_minute: 5 })).toMatchObject({ rate_limits: tokens });
      expect((await at.operator('PATCH', `${BASE}/${path}`, path.startsWith('m') ? { tags: [] } : { region: 'de' })).json).toMatchObject({
        rate_limits: tokens,
      });
      expect(await patch(null)).toMatchObject({ rate_limits: null });
    },
  );

  test.each<[object, string]>([
    [{}, 'rate_limits'],
    [{ requests_per_minute: null }, 'rate_limits'],
    [{ requests_per_minute: 0 }, 'rate_limits'],
    [{ requests_per_minute: -1 }, 'rate_limits'],
    [{ requests_per_minute: 1.5 }, 'rate_limits'],
    [{ requests_per_minute: '5' }, 'rate_limits'],
    [{ requests_per_minute: 1_000_000_001 }, 'rate_limits.requests_per_minute'],
    [{ tokens_per_minute: 1_000_000_000_001 }, 'rate_limits.tokens_per_minute'],
    [{ requests_per_hour: 5 }, 'rate_limits'],
  ])('400: rate_limits %j', async (limits, field) => {
    await at.operator('POST', `${BASE}/models`, { id: 'm', upstreams: [{ id: 'scw' }] });
    for (const path of ['models/m', 'upstreams/scw']) {
      const { status, json } = await at.operator('PATCH', `${BASE}/${path}`, { rate_limits: limits });
      expect(status).toBe(400);
      expect(JSON.stringify(json)).toContain(field);
    }
  });

  test('200: PATCH changes what it names, and calls see it at once', async () => {
    await at.operator('POST', `${BASE}/models`, { id: 'm', upstreams: [{ id: 'scw' }] });
    const changes = { tags: ['Tools'], tokenizer: 'o200k_base', description: 'Small and quick' };
    expect((await at.operator('PATCH', `${BASE}/models/m`, changes)).json).toMatchObject({
      tags: ['Tools'],
      description: 'Small and quick',
      tokenizer: 'o200k_base',
      context_tokens: 131_072,
      upstreams: [{ id: 'scw', model: 'm' }],
    });
    await at.directory.refresh();
    expect(at.directory.catalogue.model('m')).toMatchObject({ tags: ['Tools'] });
    expect(at.directory.catalogue.models().map(({ id }) => id)).toEqual(['m']);
  });

  test.each([
    [{ id: 'm' }, 'upstreams'],
    [{ id: 'm', upstreams: [] }, 'upstreams'],
    [{ id: 'm', upstreams: [{ id: 'none' }] }, 'upstreams'],
    [{ id: 'm', upstreams: [{ id: 'scw' }, { id: 'scw' }] }, 'upstreams'],
    [{ id: 'm', upstreams: ['scw'] }, 'upstreams.0'],
    [{ id: 'm', upstreams: [{ id: 'scw' }], tokenizer: 'none' }, 'tokenizer'],
    [{ id: 'm', upstreams: [{ id: 'scw' }], max_output_tokens: 5, default_output_tokens: 6 }, 'default_output_tokens'],
    [{ id: 'm', upstreams: [{ id: 'scw' }], context_tokens: 0 }, 'context_tokens'],
    [{ id: 'm', upstreams: [{ id: 'scw' }], price: {} }, 'price'],
    [{ id: 'a b', upstreams: [{ id: 'scw' }] }, 'id'],
  ])('400: %j names %s', async (body, field) => {
    const { status, json } = await at.operator('POST', `${BASE}/models`, body);
    expect([status, (json as { details?: { field: string } }).details?.field]).toEqual([400, field]);
  });

  test('404 and 409', async () => {
    expect((await at.operator('GET', `${BASE}/models/none`)).status).toBe(404);
    expect((await at.operator('PATCH', `${BASE}/models/none`, { tags: [] })).status).toBe(404);
    const filed = { id: 'filed-model', upstreams: [{ id: 'scw' }] };
    await at.operator('POST', `${BASE}/models`, filed);
    expect((await at.operator('POST', `${BASE}/models`, filed)).status).toBe(409);
    expect(await at.operator('PATCH', `${BASE}/models/filed-model`, { tags: [] })).toMatchObject({
      status: 409,
      json: { error: 'MANAGED_BY_FILE' },
    });
    expect(await at.operator('DELETE', `${BASE}/models/filed-model`)).toMatchObject({ status: 409, json: { error: 'MANAGED_BY_FILE' } });
  });
});

describe('prices', () => {
  beforeEach(async () => {
    for (const id of ['scw', 'filed']) await at.operator('POST', `${BASE}/upstreams`, { ...UPSTREAM, id });
    for (const id of ['open', 'filed-model'])
      await at.operator('POST', `${BASE}/models`, { id, upstreams: [{ id: 'scw' }, { id: 'filed' }] });
  });
  const add = (body: unknown) => at.operator('POST', `${BASE}/prices`, body);

  test('201: now where nothing is said, and exact', async () => {
    const { status, text, json } = await add(
      '{"model_id":"open","input_per_1m":0.15,"output_per_1m":"0.60","cached_input_per_1m":0.075,"per_request":0.000000001}',
    );
    expect(status).toBe(201);
    expect(text).toContain(
      '"input_per_1m":0.15,"output_per_1m":0.6,"cached_input_per_1m":0.075,"cache_write_input_per_1m":null,"per_request":0.000000001,"applies_from":"2026-04-09T00:00:00Z"',
    );
    expect((await at.operator('GET', `${BASE}/prices`)).json).toEqual({ prices: [json] });
    expect((await at.operator('GET', `${BASE}/prices?model_id=other`)).json).toEqual({ prices: [] });
    await at.directory.refresh();
    expect(at.directory.catalogue.prices('open')).toMatchObject([
      { inputNanos: 150, outputNanos: 600, cachedInputNanos: 75, requestNanos: 1 },
    ]);
  });

  test('201: a price of its own for what is written into a cache', async () => {
    const { status, text } = await add('{"model_id":"open","input_per_1m":3,"output_per_1m":15,"cache_write_input_per_1m":3.75}');
    expect(status).toBe(201);
    expect(text).toContain('"cache_write_input_per_1m":3.75');
    await at.directory.refresh();
    expect(at.directory.catalogue.prices('open')).toMatchObject([{ inputNanos: 3000, cacheWriteInputNanos: 3750 }]);
  });

  test('201: prices of media, exact, and shown only where they are set', async () => {
    const media = '"per_second":0.0001,"per_1m_characters":15,"per_image":0.04';
    const { status, text } = await add(`{"model_id":"open","input_per_1m":0,"output_per_1m":0,${media}}`);
    expect({ status, isShown: text.includes(media) }).toEqual({ status: 201, isShown: true });
    await at.directory.refresh();
    expect(at.directory.catalogue.prices('open')).toMatchObject([{ secondNanos: 100_000, characterNanos: 15_000, imageNanos: 40_000_000 }]);
    const plain = await add('{"model_id":"open","input_per_1m":0,"output_per_1m":0}');
    expect(plain.json).not.toHaveProperty('per_image');
  });

  test('201, 204 and 409: a price that lies ahead may be taken back, one that applies may not', async () => {
    const { json } = await add({
      model_id: 'open',
      upstream_id: 'scw',
      input_per_1m: 1,
      output_per_1m: 2,
      applies_from: '2026-04-09T00:00:01Z',
    });
    const { id } = json as { id: string };
    at.clock.set(TEST_START_MS + 1000);
    expect((await at.operator('DELETE', `${BASE}/prices/${id}`)).status).toBe(409);
    const later = await add({ model_id: 'open', input_per_1m: 1, output_per_1m: 2, applies_from: '2026-05-01T00:00:00Z' });
    expect((await at.operator('DELETE', `${BASE}/prices/${(later.json as { id: string }).id}`)).status).toBe(204);
    expect((await at.operator('DELETE', `${BASE}/prices/none`)).status).toBe(404);
  });

  test.each([
    [{ model_id: 'none', input_per_1m: 1, output_per_1m: 1 }, 'model_id'],
    [{ model_id: 'open', upstream_id: 'none', input_per_1m: 1, output_per_1m: 1 }, 'upstream_id'],
    [{ model_id: 'open', output_per_1m: 1 }, 'input_per_1m'],
    [{ model_id: 'open', input_per_1m: -1, output_per_1m: 1 }, 'input_per_1m'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 'free' }, 'output_per_1m'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1_000_001 }, 'output_per_1m'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, per_request: true }, 'per_request'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, cache_write_input_per_1m: -1 }, 'cache_write_input_per_1m'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, cache_write_input_per_1m: 1_000_001 }, 'cache_write_input_per_1m'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, per_second: -1 }, 'per_second'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, per_1m_characters: 'dear' }, 'per_1m_characters'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, per_image: 1001 }, 'per_image'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, applies_from: '2026-04-08T23:59:59Z' }, 'applies_from'],
    [{ model_id: 'open', input_per_1m: 1, output_per_1m: 1, applies_from: 'now' }, 'applies_from'],
  ])('400: %j names %s', async (body, field) => {
    const { status, json } = await add(body);
    expect([status, (json as { details?: { field: string } }).details?.field]).toEqual([400, field]);
  });

  test('409: a price that the file declares', async () => {
    const declined = { status: 409, json: { error: 'MANAGED_BY_FILE' } };
    expect(await add({ model_id: 'filed-model', input_per_1m: 1, output_per_1m: 1 })).toMatchObject(declined);
    expect(await add({ model_id: 'open', upstream_id: 'filed', input_per_1m: 1, output_per_1m: 1 })).toMatchObject(declined);
    expect((await add({ model_id: 'open', upstream_id: 'scw', input_per_1m: 1, output_per_1m: 1 })).status).toBe(201);
  });

  test('405: a price is never changed', async () => {
    expect(await at.operator('PATCH', `${BASE}/prices/x`, { input_per_1m: 1 })).toMatchObject({
      status: 405,
      headers: { allow: 'DELETE' },
    });
  });
});
