import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeManage, refused, type Manage, type Manager } from './manage-harness.ts';

const PATH = '/project-configs';
const MOMENTS = { created_at: '2025-09-25T08:29:50.735Z', updated_at: '2025-09-25T08:29:50.735Z' };

const DEFAULTS = {
  preference: 'balanced',
  allowed_providers: null,
  blacklisted_models: [],
  eu_native: false,
  allow_quantization: true,
  allow_zero_data_retention: false,
  include_metadata: false,
  enable_model_fallback: false,
  fallbacks: [],
};

let manage: Manage;
let tenantId: string;
let madeAt: string;
let ann: Manager;
let put: (fields: object) => ReturnType<Manager['ask']>;
const read = async (): Promise<unknown> => (await ann.ask('GET', PATH)).json;

const isoNow = (): string => new Date(manage.at.clock.nowMs()).toISOString();

beforeAll(async () => void (manage = await makeManage()));
beforeEach(async () => {
  tenantId = await manage.newTenant();
  madeAt = isoNow();
  ann = await manage.manager('ann', tenantId);
  put = (fields) => ann.ask('PUT', PATH, { ...MOMENTS, ...fields });
});
afterAll(() => manage.at.close());

describe('GET, 200', () => {
  test('the defaults where nobody has set any, as old as the project, open to what calls ask for', async () => {
    expect(await ann.ask('GET', PATH)).toMatchObject({
      status: 200,
      json: {
        _id: expect.stringMatching(/^[0-9a-f]{24}$/) as string,
        project_id: tenantId,
        inference_config: DEFAULTS,
        allow_overwrite: true,
        created_at: madeAt,
        updated_at: madeAt,
      },
    });
  });

  test('a member who is no admin reads them too', async () => {
    expect(await (await manage.manager('cy', tenantId)).ask('GET', PATH)).toMatchObject({ status: 200, json: { project_id: tenantId } });
  });

  test('each project has its own, under an id that stays', async () => {
    const otherId = await manage.newTenant();
    const other = await manage.manager('ann', otherId);
    const before = (await read()) as { _id: string };
    await put({ inference_config: { preference: 'cost' } });
    expect(await read()).toMatchObject({ _id: before._id, inference_config: { preference: 'cost' } });
    const theirs = (await other.ask('GET', PATH)).json as { _id: string };
    expect(theirs).toMatchObject({ project_id: otherId, inference_config: DEFAULTS });
    expect(theirs._id).not.toBe(before._id);
  });
});

describe('PUT, 200', () => {
  const WHOLE = {
    preference: 'speed',
    allowed_providers: ['mistral', 'scaleway'],
    blacklisted_models: ['gpt-oss-120b'],
    eu_native: true,
    allow_quantization: false,
    allow_zero_data_retention: true,
    include_metadata: true,
    enable_model_fallback: true,
    fallbacks: ['mistral-small', 'qwen3'],
  };

  test('sets every member, and the very next request sees it with the moment of the server', async () => {
    manage.at.clock.advance(1234);
    expect(await put({ inference_config: WHOLE, allow_overwrite: false })).toMatchObject({ status: 200, json: { success: true } });
    expect(await read()).toMatchObject({
      inference_config: WHOLE,
      allow_overwrite: false,
      created_at: madeAt,
      updated_at: isoNow(),
    });
  });

  test("the example of the API's earlier document", async () => {
    const example = `{"inference_config":{"allowed_providers":["mistral","scaleway"],"blacklisted_models":[],"eu_native":false,"include_metadata":true,"preference":"speed"},"active":true,"allow_overwrite":false,"created_at":"2025-09-25T08:29:50.735Z","updated_at":"2025-09-25T08:29:50.735Z","schema_version":"v1"}`;
    expect((await ann.ask('PUT', PATH, example)).status).toBe(200);
    expect(await read()).toMatchObject({
      inference_config: { ...DEFAULTS, allowed_providers: ['mistral', 'scaleway'], include_metadata: true, preference: 'speed' },
      allow_overwrite: false,
    });
  });

  test('inference_config replaces the one before as a whole; allow_overwrite stays where it is not given or null', async () => {
    await put({ inference_config: WHOLE, allow_overwrite: false });
    await put({ inference_config: { preference: 'cost' } });
    expect(await read()).toMatchObject({ inference_config: { ...DEFAULTS, preference: 'cost' }, allow_overwrite: false });
    await put({ allow_overwrite: null, inference_config: null });
    expect(await read()).toMatchObject({ inference_config: { ...DEFAULTS, preference: 'cost' }, allow_overwrite: false });
    await put({ allow_overwrite: true });
    expect(await read()).toMatchObject({ inference_config: { ...DEFAULTS, preference: 'cost' }, allow_overwrite: true });
  });

  test('null for a member is its default', async () => {
    await put({ inference_config: WHOLE });
    await put({ inference_config: Object.fromEntries(Object.keys(WHOLE).map((name) => [name, null])) });
    expect(await read()).toMatchObject({ inference_config: DEFAULTS });
  });

  test('an answer of GET is good as a body, and changes nothing', async () => {
    await put({ inference_config: WHOLE, allow_overwrite: false });
    const before = await read();
    manage.at.clock.advance(1000);
    expect((await ann.ask('PUT', PATH, before)).status).toBe(200);
    const after = (await read()) as { inference_config: object };
    expect(after).toEqual({ ...(before as object), updated_at: (before as { updated_at: string }).updated_at });
  });

  test('what is so already changes nothing; a change is told once and leaves an audit row', async () => {
    const eventsOf = async (): Promise<unknown[]> => {
      const { json } = await manage.at.operator('GET', `/v1/x-castellan/events?tenant_id=${tenantId}&type=project_settings.updated`);
      return (json as { events: { data: unknown }[] }).events.map(({ data }) => data);
    };
    for (let round = 0; round < 2; round += 1) await put({ inference_config: { eu_native: true }, allow_overwrite: true });
    expect(await eventsOf()).toEqual([{ tenant_id: tenantId, member_id: 'ann', changed_fields: ['inference_config'] }]);
    await put({ inference_config: {}, allow_overwrite: false });
    expect((await eventsOf())[0]).toMatchObject({ changed_fields: ['allow_overwrite', 'inference_config'] });
    const { json } = await manage.at.operator('GET', `/v1/admin/audit/logs?tenant_id=${tenantId}&limit=50`);
    expect((json as { logs: object[] }).logs).toContainEqual(
      expect.objectContaining({ operation: 'set-project-settings', key_id: ann.key.id, status: 200 }) as object,
    );
  });

  test('other changes of the tenant leave the settings as they are', async () => {
    await put({ inference_config: WHOLE });
    await manage.at.operator('PATCH', `/v1/x-castellan/tenants/${tenantId}`, { hide_amounts: true });
    await manage.at.operator('PATCH', `/v1/admin/tenants/${tenantId}`, { name: 'Acme again' });
    await ann.ask('POST', '/api-keys', { name: 'a' });
    expect(await read()).toMatchObject({ inference_config: WHOLE });
  });
});

describe('PUT, 400', () => {
  test.each([
    ['no created_at', { created_at: undefined }, /^created_at is required$/],
    ['no updated_at', { updated_at: undefined }, /^updated_at is required$/],
    ['a moment that is none', { created_at: 'yesterday' }, /^created_at must be an RFC 3339 timestamp/],
    ['a day that no calendar has', { updated_at: '2025-02-30T00:00:00Z' }, /^updated_at must be an RFC 3339 timestamp/],
    ['seconds for a moment', { created_at: 1_758_788_990 }, /^created_at must be an RFC 3339 timestamp/],
    ['a flag that is none', { allow_overwrite: 'yes' }, /^allow_overwrite must be true, false or null$/],
    ['a config that is a list', { inference_config: [] }, /^inference_config must be an object/],
    ['a preference that is none', { inference_config: { preference: 'fast' } }, /^inference_config\.preference must be one of/],
    ['a member that is not known', { inference_config: { eu_nativ: true } }, /^inference_config\.eu_nativ must be one of/],
    ['a provider that is none', { inference_config: { allowed_providers: [''] } }, /^inference_config\.allowed_providers\.0 must/],
    ['a model that is none', { inference_config: { blacklisted_models: ['a b'] } }, /^inference_config\.blacklisted_models\.0 must/],
    ['a flag in it that is none', { inference_config: { eu_native: 1 } }, /^inference_config\.eu_native must be true or false$/],
    ['a field that is not known', { tenant: 'acme' }, /^tenant is not a known field$/],
  ])('%s, and nothing is changed', async (_what, fields, words) => {
    expect(await put({ allow_overwrite: false, ...fields })).toMatchObject(refused(400, words));
    expect(await read()).toMatchObject({ inference_config: DEFAULTS, allow_overwrite: true });
  });

  test('no body', async () => {
    expect(await ann.ask('PUT', PATH)).toMatchObject(refused(400, 'the body must be a JSON object'));
  });

  test('lists at their limits are taken, and fit into a body', async () => {
    const ids = Array.from({ length: 500 }, (_, index) => `m${String(index).padStart(4, '0')}${'x'.repeat(195)}`);
    expect((await put({ inference_config: { blacklisted_models: ids } })).status).toBe(200);
    expect(await put({ inference_config: { blacklisted_models: [...ids, 'one-more'] } })).toMatchObject(refused(400, 'at most 500'));
  });
});

describe('PUT, 403', () => {
  test('a member who is no admin, whatever allow_overwrite says; the refusal leaves an audit row', async () => {
    const cy = await manage.manager('cy', tenantId);
    for (const allowOverwrite of [true, false]) {
      await put({ allow_overwrite: allowOverwrite });
      expect(await cy.ask('PUT', PATH, { ...MOMENTS, inference_config: {} })).toMatchObject(refused(403, 'only admins'));
    }
    const { json } = await manage.at.operator('GET', `/v1/admin/audit/logs?tenant_id=${tenantId}&limit=50`);
    expect((json as { logs: object[] }).logs).toContainEqual(
      expect.objectContaining({ operation: 'set-project-settings', key_id: cy.key.id, status: 403, error_code: 'FORBIDDEN' }) as object,
    );
  });
});
