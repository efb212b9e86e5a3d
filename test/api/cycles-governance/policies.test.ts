import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGovernance, type Checked, type Governance, type Sender } from './budget-harness.ts';

let app: Governance;
let ofAcme: Sender;
let ofOther: Sender;
let count = 0;

beforeAll(async () => {
  app = await makeGovernance();
  ofAcme = await app.keyOf('acme');
  ofOther = await app.keyOf('other');
  for (const id of ['suspended', 'closed', 'listed']) await app.operator('POST', '/v1/admin/tenants', { tenant_id: id, name: id });
});
afterAll(() => app.close());

const create = (body: object, sender: Sender = app.operator): Promise<Checked> =>
  app.ask('createPolicy', sender, 'POST', '/v1/admin/policies', body);
const patch = (id: string, body: object, sender: Sender = app.operator): Promise<Checked> =>
  app.ask('updatePolicy', sender, 'PATCH', `/v1/admin/policies/${id}`, body);
const list = (query: string, sender: Sender = app.operator): Promise<Checked> =>
  app.ask('listPolicies', sender, 'GET', `/v1/admin/policies?${query}`);
const newName = (): string => `policy ${(count += 1)}`;
/** Makes a policy of acme and returns its id. */
const made = async (parts: object = {}, sender: Sender = app.operator): Promise<string> => {
  const tenant = sender === app.operator ? { tenant_id: 'acme' } : {};
  const { status, body } = await create({ ...tenant, name: newName(), scope_pattern: 'tenant:acme/*', ...parts }, sender);
  expect(status).toBe(201);
  return (body as { policy_id: string }).policy_id;
};
const namesOf = (answer: Checked): string[] => (answer.body as { policies: { name: string }[] }).policies.map(({ name }) => name);

/** Everything that a policy may say. */
const EVERYTHING = {
  description: 'for the night',
  priority: 100,
  caps: { max_tokens: 4096, max_steps_remaining: 10, tool_allowlist: ['search'], tool_denylist: [], cooldown_ms: 0 },
  commit_overage_policy: 'REJECT',
  reservation_ttl_override: { default_ttl_ms: 1000, max_ttl_ms: 86_400_000, max_extensions: 0 },
  rate_limits: { max_reservations_per_minute: 1, max_commits_per_minute: 100 },
  effective_from: '2026-05-01T00:00:00Z',
  effective_until: '2026-06-01T00:00:00Z',
} as const;

describe('a new policy', () => {
  test('says what it was given, and is told of', async () => {
    const { status, body, headers } = await create({
      tenant_id: 'acme',
      name: 'everything',
      scope_pattern: 'Tenant:ACME/Agent:*',
      ...EVERYTHING,
    });
    expect([status, body]).toEqual([
      201,
      {
        policy_id: expect.stringMatching(/^pol_/) as unknown,
        name: 'everything',
        scope_pattern: 'tenant:acme/agent:*',
        status: 'ACTIVE',
        ...EVERYTHING,
        created_at: '2026-04-09T00:00:00Z',
        updated_at: '2026-04-09T00:00:00Z',
      },
    ]);
    expect(headers['x-cycles-tenant']).toBe('acme');
    const { policy_id: id } = body as { policy_id: string };
    expect(app.eventsOf('policy.created').at(-1)).toMatchObject({
      event: { tenantId: 'acme', origin: { actor: { type: 'admin_on_behalf_of' } } },
      data: { policy_id: id, name: 'everything', scope_pattern: 'tenant:acme/agent:*' },
    });
    expect(app.store.tables.audit.at(-1)).toMatchObject({
      operation: 'createPolicy',
      tenantId: 'acme',
      resourceKind: 'policy',
      resourceId: id,
      code: null,
      metadata: { actor_type: 'admin_on_behalf_of' },
    });
  });

  test('needs a name and a pattern alone, and takes the overage policy under its old name', async () => {
    const body = {
      tenant_id: 'acme',
      name: 'limit-gpt4',
      scope_pattern: 'tenant:acme/agent:*',
      caps: { max_tokens: 4096 },
      overage_policy: 'REJECT',
    };
    expect((await create({ ...body, priority: 100 })).body).toMatchObject({ commit_overage_policy: 'REJECT', priority: 100 });
    expect((await create({ ...body, name: newName(), overage_policy: undefined, caps: undefined })).body).toEqual({
      policy_id: expect.any(String) as unknown,
      name: expect.any(String) as unknown,
      scope_pattern: 'tenant:acme/agent:*',
      priority: 0,
      status: 'ACTIVE',
      created_at: expect.any(String) as unknown,
      updated_at: expect.any(String) as unknown,
    });
    const torn = await create({ ...body, name: newName(), commit_overage_policy: 'ALLOW_IF_AVAILABLE' });
    expect([torn.status, torn.body]).toEqual([400, expect.objectContaining({ details: { field: 'overage_policy' } })]);
  });

  test.each(['tenant:acme', 'tenant:acme/*', 'agent:*', '*/agent:summarizer', 'tenant:acme/app:bot/*', 'agent:bot', '*'])(
    'has a pattern such as %s',
    async (pattern) => {
      expect((await create({ tenant_id: 'acme', name: newName(), scope_pattern: pattern })).body).toMatchObject({ scope_pattern: pattern });
    },
  );

  test.each<[string, object, string]>([
    ['the pattern of another tenant', { scope_pattern: 'tenant:other/*' }, 'scope_pattern'],
    ['a pattern out of order', { scope_pattern: 'tenant:acme/agent:a/app:b' }, 'scope_pattern'],
    ['a pattern of no level', { scope_pattern: 'team:x' }, 'scope_pattern'],
    ['a star in its middle', { scope_pattern: 'tenant:acme/*/agent:a' }, 'scope_pattern'],
    ['an empty pattern', { scope_pattern: '' }, 'scope_pattern'],
    ['no name', { name: undefined }, 'name'],
    ['an empty name', { name: '' }, 'name'],
    ['a name of 257 characters', { name: 'n'.repeat(257) }, 'name'],
    ['a description of 1025 characters', { description: 'd'.repeat(1025) }, 'description'],
    ['a priority below 0', { priority: -1 }, 'priority'],
    ['a priority that is a fraction', { priority: 1.5 }, 'priority'],
    ['a cap below 0', { caps: { max_tokens: -1 } }, 'caps.max_tokens'],
    ['an unknown cap', { caps: { max_money: 1 } }, 'caps.max_money'],
    ['a tool of 257 characters', { caps: { tool_allowlist: ['t'.repeat(257)] } }, 'caps.tool_allowlist.0'],
    ['an overage policy that is none', { commit_overage_policy: 'MAYBE' }, 'commit_overage_policy'],
    ['a time to live of 999 ms', { reservation_ttl_override: { default_ttl_ms: 999 } }, 'reservation_ttl_override.default_ttl_ms'],
    ['a time to live above a day', { reservation_ttl_override: { max_ttl_ms: 86_400_001 } }, 'reservation_ttl_override.max_ttl_ms'],
    ['extensions below 0', { reservation_ttl_override: { max_extensions: -1 } }, 'reservation_ttl_override.max_extensions'],
    ['a rate of 0', { rate_limits: { max_commits_per_minute: 0 } }, 'rate_limits.max_commits_per_minute'],
    ['a date that is none', { effective_from: 'tomorrow' }, 'effective_from'],
    ['dates in the wrong order', { effective_from: '2026-05-02T00:00:00Z', effective_until: '2026-05-01T00:00:00Z' }, 'effective_until'],
    ['dates that leave nothing', { effective_from: '2026-05-02T00:00:00Z', effective_until: '2026-05-02T00:00:00Z' }, 'effective_until'],
    ['an unknown field', { colour: 'red' }, 'colour'],
    ['a status', { status: 'ACTIVE' }, 'status'],
    ['no tenant', { tenant_id: undefined }, 'tenant_id'],
  ])('is refused with %s, and nothing is made', async (_what, parts, field) => {
    const before = app.store.tables.events.length;
    const refused = await create({ tenant_id: 'acme', name: newName(), scope_pattern: 'tenant:acme/*', ...parts });
    expect([refused.status, refused.body]).toEqual([400, expect.objectContaining({ error: 'INVALID_REQUEST', details: { field } })]);
    expect(app.store.tables.events.length).toBe(before);
  });

  test('has a name of its own in its tenant', async () => {
    const name = newName();
    await made({ name });
    const twice = await create({ tenant_id: 'acme', name, scope_pattern: 'tenant:acme/agent:x' });
    expect([twice.status, twice.body]).toEqual([409, expect.objectContaining({ error: 'DUPLICATE_RESOURCE', details: { field: 'name' } })]);
    expect((await create({ tenant_id: 'other', name, scope_pattern: 'tenant:other' })).status).toBe(201);
    // Another name is another name, in its letters too.
    expect((await create({ tenant_id: 'acme', name: name.toUpperCase(), scope_pattern: 'tenant:acme' })).status).toBe(201);
  });

  test('of two that are made at once under one name one is made', async () => {
    const name = newName();
    const both = await Promise.all([1, 2].map(() => create({ tenant_id: 'acme', name, scope_pattern: 'tenant:acme' })));
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409]);
  });

  test('is made by a key for its own tenant, within its scope filter', async () => {
    const body = { name: newName(), scope_pattern: 'tenant:acme/workspace:eng/*' };
    expect((await create({ ...body, tenant_id: 'acme' }, ofAcme)).body).toMatchObject({ details: { field: 'tenant_id' } });
    const limited = await app.keyOf('acme', { scope_filter: ['workspace:eng'] });
    expect((await create(body, limited)).status).toBe(201);
    expect(app.eventsOf('policy.created').at(-1)?.event.origin?.actor.type).toBe('api_key');
    for (const pattern of ['tenant:acme/*', 'tenant:acme/workspace:ops', 'agent:*']) {
      const refused = await create({ name: newName(), scope_pattern: pattern }, limited);
      expect([refused.status, refused.body]).toEqual([403, expect.objectContaining({ error: 'INSUFFICIENT_PERMISSIONS' })]);
    }
    const reader = await app.keyOf('acme', { permissions: ['policies:read'] });
    expect((await create({ ...body, name: newName() }, reader)).status).toBe(403);
    expect((await create(body, app.as(null))).status).toBe(401);
  });

  test('needs a tenant that is active', async () => {
    await app.operator('PATCH', '/v1/admin/tenants/suspended', { status: 'SUSPENDED' });
    const bodyOf = (id: string): object => ({ tenant_id: id, name: newName(), scope_pattern: `tenant:${id}` });
    expect((await create(bodyOf('suspended'))).body).toMatchObject({ error: 'TENANT_SUSPENDED' });
    expect((await create(bodyOf('nobody'))).body).toMatchObject({ error: 'TENANT_NOT_FOUND' });
  });
});

describe('changing a policy', () => {
  test('changes what is given, whole, and tells what that was', async () => {
    const id = await made({ ...EVERYTHING });
    app.clock.advance(1000);
    const { body } = await patch(id, {
      caps: { max_tokens: 8192 },
      status: 'DISABLED',
      overage_policy: 'ALLOW_WITH_OVERDRAFT',
      priority: 100,
    });
    expect(body).toMatchObject({ caps: { max_tokens: 8192 }, status: 'DISABLED', commit_overage_policy: 'ALLOW_WITH_OVERDRAFT' });
    expect((body as { caps: object }).caps).toEqual({ max_tokens: 8192 });
    expect(body).toMatchObject({ rate_limits: EVERYTHING.rate_limits, created_at: '2026-04-09T00:00:00Z' });
    expect((body as { updated_at: string }).updated_at > '2026-04-09T00:00:00Z').toBe(true);
    expect(app.eventsOf('policy.updated').at(-1)).toMatchObject({
      event: { tenantId: 'acme' },
      data: { policy_id: id, scope_pattern: 'tenant:acme/*', changed_fields: ['caps', 'commit_overage_policy', 'status'] },
    });
    expect(app.store.tables.audit.at(-1)).toMatchObject({ operation: 'updatePolicy', tenantId: 'acme', resourceId: id });
  });

  test('to what it is changes nothing and tells nobody', async () => {
    const id = await made({ ...EVERYTHING });
    const before = app.store.tables.events.length;
    app.clock.advance(1000);
    const { body } = await patch(id, { priority: 100, caps: EVERYTHING.caps });
    expect(body).not.toMatchObject({ updated_at: new Date(app.clock.nowMs()).toISOString().replace('.000Z', 'Z') });
    expect(app.store.tables.events.length).toBe(before);
  });

  test('frees its name, and takes none that is taken', async () => {
    const [first, second] = [newName(), newName()];
    const id = await made({ name: first });
    await made({ name: second });
    expect((await patch(id, { name: second })).body).toMatchObject({ error: 'DUPLICATE_RESOURCE' });
    expect((await patch(id, { name: first })).status).toBe(200);
    expect((await patch(id, { name: newName() })).status).toBe(200);
    await made({ name: first });
  });

  test.each<[string, object, string]>([
    ['its pattern', { scope_pattern: 'tenant:acme' }, 'scope_pattern'],
    ['its tenant', { tenant_id: 'other' }, 'tenant_id'],
    ['its priority below 0', { priority: -1 }, 'priority'],
    ['its end before its beginning', { effective_until: '2026-04-30T00:00:00Z' }, 'effective_until'],
    ['its status to none', { status: 'PAUSED' }, 'status'],
    ['a field to nothing', { caps: null }, 'caps'],
  ])('does not change %s', async (_what, body, field) => {
    const id = await made({ ...EVERYTHING });
    const refused = await patch(id, body);
    expect([refused.status, refused.body]).toEqual([400, expect.objectContaining({ error: 'INVALID_REQUEST', details: { field } })]);
  });

  test("is for its own tenant's key and for no other's", async () => {
    const id = await made({}, ofAcme);
    expect((await patch(id, { priority: 5 }, ofAcme)).body).toMatchObject({ priority: 5 });
    const foreign = await patch(id, { priority: 6 }, ofOther);
    const missing = await patch('pol_nothing', { priority: 6 }, ofOther);
    expect([foreign.status, (foreign.body as { message: string }).message]).toEqual([404, (missing.body as { message: string }).message]);
    const limited = await app.keyOf('acme', { scope_filter: ['agent:a'] });
    expect((await patch(id, { priority: 7 }, limited)).status).toBe(403);
    expect((await app.ask('getPolicy', app.operator, 'GET', `/v1/x-castellan/policies/${id}`)).body).toMatchObject({ priority: 5 });
  });

  test('is over when its tenant is closed', async () => {
    const { body } = await create({ tenant_id: 'closed', name: newName(), scope_pattern: 'tenant:closed' });
    await app.operator('PATCH', '/v1/admin/tenants/closed', { status: 'CLOSED' });
    const { policy_id: id } = body as { policy_id: string };
    const refused = await patch(id, { priority: 1 });
    expect([refused.status, refused.body]).toEqual([409, expect.objectContaining({ error: 'TENANT_CLOSED' })]);
    expect((await create({ tenant_id: 'closed', name: newName(), scope_pattern: 'tenant:closed' })).body).toMatchObject({
      error: 'TENANT_CLOSED',
    });
    expect(namesOf(await list('tenant_id=closed'))).toHaveLength(1);
    expect((await app.operator('DELETE', `/v1/x-castellan/policies/${id}`)).status).toBe(409);
  });
});

describe('lists of policies', () => {
  test('are of one tenant, by pattern and state, page by page', async () => {
    const mine = await app.keyOf('listed');
    const names = ['one', 'two', 'three', 'four', 'five'];
    for (const name of names) await create({ name, scope_pattern: name === 'two' ? 'agent:*' : 'tenant:listed' }, mine);
    const ids = (await list('', mine)).body as { policies: { policy_id: string }[] };
    await patch(ids.policies[2]?.policy_id ?? '', { status: 'DISABLED' });
    expect(namesOf(await list('', mine))).toEqual(names);
    expect(namesOf(await list('tenant_id=acme', mine))).toEqual(names);
    expect(namesOf(await list('tenant_id=listed'))).toEqual(names);
    expect(namesOf(await list('scope_pattern=Agent:*', mine))).toEqual(['two']);
    expect(namesOf(await list('scope_pattern=agent', mine))).toEqual([]);
    expect(namesOf(await list('status=DISABLED', mine))).toEqual(['three']);
    expect(namesOf(await list('has_action_quotas=true&references_action_kind=x&sort_by=anything', mine))).toEqual(names);
    const walked: string[] = [];
    let cursor = '';
    for (;;) {
      const page = await list(`limit=2${cursor}`, mine);
      walked.push(...namesOf(page));
      const { has_more: hasMore, next_cursor: next } = page.body as { has_more: boolean; next_cursor?: string };
      expect([hasMore, next !== undefined]).toEqual([walked.length < names.length, walked.length < names.length]);
      if (next === undefined) break;
      expect((await list(`status=ACTIVE&cursor=${next}`, mine)).status).toBe(400);
      cursor = `&cursor=${next}`;
    }
    expect(walked).toEqual(names);
    const limited = await app.keyOf('listed', { scope_filter: ['agent:*'] });
    expect(namesOf(await list('limit=1', limited))).toEqual(['two']);
  });

  test('are refused where the operator names no tenant, for a state that is none, and to who may not', async () => {
    expect((await list('')).body).toMatchObject({ error: 'INVALID_REQUEST', details: { field: 'tenant_id' } });
    expect((await list('tenant_id=acme&status=active')).body).toMatchObject({ details: { field: 'status' } });
    const writer = await app.keyOf('acme', { permissions: ['policies:write'] });
    expect((await list('', writer)).status).toBe(403);
  });
});

describe('reading and forgetting one policy, which is ours', () => {
  test('is for the operator, and its name is free again', async () => {
    const name = newName();
    const id = await made({ name, ...EVERYTHING });
    expect((await app.ask('getPolicy', app.operator, 'GET', `/v1/x-castellan/policies/${id}`)).body).toMatchObject({
      policy_id: id,
      ...EVERYTHING,
    });
    expect((await ofAcme('GET', `/v1/x-castellan/policies/${id}`)).status).toBe(401);
    const gone = await app.ask('deletePolicy', app.operator, 'DELETE', `/v1/x-castellan/policies/${id}`);
    expect([gone.status, gone.body]).toEqual([200, expect.objectContaining({ policy_id: id })]);
    expect(app.eventsOf('policy.deleted').at(-1)?.data).toEqual({ policy_id: id, name, scope_pattern: 'tenant:acme/*' });
    expect((await app.operator('GET', `/v1/x-castellan/policies/${id}`)).status).toBe(404);
    expect((await app.operator('DELETE', `/v1/x-castellan/policies/${id}`)).status).toBe(404);
    await made({ name });
  });
});
