import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const TENANTS = '/v1/admin/tenants';

let at: TestApp;
let operator: GovernanceClient;

beforeEach(async () => {
  at = await makeTestApp({ declared: ['tenant filed name', 'tenant filed status'] });
  operator = makeGovernanceClient(at);
});
afterEach(() => at.close());

const create = (body: object) => operator.ask('createTenant', 'POST', TENANTS, body);
const update = (id: string, body: object, headers?: Record<string, string>) =>
  operator.ask('updateTenant', 'PATCH', `${TENANTS}/${id}`, body, headers);
const eventsOf = (id: string) => at.store.tables.events.filter(({ tenantId }) => tenantId === id).map(({ type, data }) => [type, data]);

const ACME = {
  tenant_id: 'acme-corp',
  name: 'Acme Corporation',
  status: 'ACTIVE',
  default_commit_overage_policy: 'ALLOW_IF_AVAILABLE',
  default_reservation_ttl_ms: 60_000,
  max_reservation_ttl_ms: 3_600_000,
  max_reservation_extensions: 10,
  reservation_expiry_policy: 'AUTO_RELEASE',
  created_at: '2026-04-09T00:00:00Z',
};

describe('createTenant', () => {
  test('201: a tenant is made, with the settings that every new one has', async () => {
    const { status, body, headers } = await create({ tenant_id: 'acme-corp', name: 'Acme Corporation', status: 'ACTIVE' });
    expect(status).toBe(201);
    expect(body).toEqual(ACME);
    expect(headers['x-cycles-tenant']).toBe('acme-corp');
    expect(eventsOf('acme-corp')).toEqual([['tenant.created', { tenant_id: 'acme-corp', new_status: 'ACTIVE', changed_fields: [] }]]);
    expect(at.store.tables.audit).toMatchObject([
      { operation: 'createTenant', resourceKind: 'tenant', resourceId: 'acme-corp', code: null },
    ]);
  });

  test('201: what is given is kept', async () => {
    const given = {
      parent_tenant_id: 'holding',
      metadata: { region: 'eu', '': '' },
      default_commit_overage_policy: 'REJECT',
      default_reservation_ttl_ms: 1000,
      max_reservation_ttl_ms: 86_400_000,
      max_reservation_extensions: 0,
      reservation_expiry_policy: 'MANUAL_CLEANUP',
    };
    const { status, body } = await create({ tenant_id: 'abc', name: 'n'.repeat(256), ...given });
    expect(status).toBe(201);
    expect(body).toMatchObject(given);
    expect((await operator.ask('getTenant', 'GET', `${TENANTS}/abc`)).body).toEqual(body);
  });

  test('200: the same id and name again find the tenant that is there, and tell nobody', async () => {
    await create({ tenant_id: 'acme-corp', name: 'Acme Corporation' });
    const { status, body } = await create({ tenant_id: 'acme-corp', name: 'Acme Corporation', metadata: { other: 'x' } });
    expect([status, body]).toEqual([200, ACME]);
    expect(eventsOf('acme-corp')).toHaveLength(1);
  });

  test('409: the same id under another name is refused', async () => {
    await create({ tenant_id: 'acme-corp', name: 'Acme Corporation' });
    const { status, body } = await create({ tenant_id: 'acme-corp', name: 'Other' });
    expect([status, body['error']]).toEqual([409, 'DUPLICATE_RESOURCE']);
  });

  test.each<[string, object, string]>([
    ['without an id', { name: 'x' }, 'tenant_id'],
    ['without a name', { tenant_id: 'abc' }, 'name'],
    ['an id of two characters', { tenant_id: 'ab', name: 'x' }, 'tenant_id'],
    ['an id of 65 characters', { tenant_id: 'a'.repeat(65), name: 'x' }, 'tenant_id'],
    ['an id with capitals', { tenant_id: 'Acme', name: 'x' }, 'tenant_id'],
    ['a name of 257 characters', { tenant_id: 'abc', name: 'x'.repeat(257) }, 'name'],
    ['an unknown field', { tenant_id: 'abc', name: 'x', colour: 'red' }, 'colour'],
    ['another status than ACTIVE', { tenant_id: 'abc', name: 'x', status: 'SUSPENDED' }, 'status'],
    [
      'a policy that does not exist',
      { tenant_id: 'abc', name: 'x', default_commit_overage_policy: 'MAYBE' },
      'default_commit_overage_policy',
    ],
    ['a time to live below a second', { tenant_id: 'abc', name: 'x', default_reservation_ttl_ms: 999 }, 'default_reservation_ttl_ms'],
    ['a time to live above a day', { tenant_id: 'abc', name: 'x', max_reservation_ttl_ms: 86_400_001 }, 'max_reservation_ttl_ms'],
    ['a fraction for a number', { tenant_id: 'abc', name: 'x', max_reservation_extensions: 1.5 }, 'max_reservation_extensions'],
    ['extensions below none', { tenant_id: 'abc', name: 'x', max_reservation_extensions: -1 }, 'max_reservation_extensions'],
    ['a number as metadata', { tenant_id: 'abc', name: 'x', metadata: { a: 1 } }, 'metadata.a'],
    [
      '33 pairs',
      { tenant_id: 'abc', name: 'x', metadata: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, ''])) },
      'metadata',
    ],
  ])('400: %s is refused by name, and makes nothing', async (_what, body, field) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'INVALID_REQUEST', details: { field } });
    expect(at.store.tables.events).toEqual([]);
  });

  test('one ledger: a tenant made here is an organization on the other surfaces, and the other way round', async () => {
    await create({ tenant_id: 'acme-corp', name: 'Acme Corporation' });
    const shown = (await at.operator('GET', '/v1/x-castellan/tenants/acme-corp')).json;
    expect(shown).toMatchObject({
      id: 'acme-corp',
      entitlements: { token_billing: true, max_keys: 1000, max_containers: 10, gpu_access: false },
    });
    const { ann } = await at.addTenant('globex');
    expect((await at.as(ann)('POST', '/api/keys', { name: 'k' })).status).toBe(200);
    expect((await operator.ask('getTenant', 'GET', `${TENANTS}/globex`)).body).toMatchObject({
      tenant_id: 'globex',
      name: 'globex',
      status: 'ACTIVE',
    });
  });
});

describe('updateTenant', () => {
  beforeEach(async () => void (await create({ tenant_id: 'acme-corp', name: 'Acme Corporation' })));

  test('200: the guide’s settings change, and events tell which', async () => {
    const settings = {
      default_reservation_ttl_ms: 60_000,
      max_reservation_ttl_ms: 300_000,
      max_reservation_extensions: 10,
      default_commit_overage_policy: 'REJECT',
    };
    at.clock.advance(1000);
    const { status, body } = await update('acme-corp', settings);
    expect([status, body]).toEqual([200, { ...ACME, ...settings, updated_at: '2026-04-09T00:00:01Z' }]);
    const fields = ['default_commit_overage_policy', 'default_reservation_ttl_ms', 'max_reservation_ttl_ms', 'max_reservation_extensions'];
    const told = {
      tenant_id: 'acme-corp',
      previous_status: 'ACTIVE',
      new_status: 'ACTIVE',
      changed_fields: expect.arrayContaining(fields) as string[],
    };
    expect(eventsOf('acme-corp').slice(1)).toEqual([
      ['tenant.updated', told],
      ['tenant.settings_changed', told],
    ]);
  });

  test('200: ACTIVE and SUSPENDED lead to one another', async () => {
    at.clock.advance(1000);
    expect((await update('acme-corp', { status: 'SUSPENDED' })).body).toMatchObject({
      status: 'SUSPENDED',
      suspended_at: '2026-04-09T00:00:01Z',
    });
    expect((await update('acme-corp', { status: 'SUSPENDED' })).status).toBe(200);
    const { body } = await update('acme-corp', { status: 'ACTIVE' });
    expect(body).toMatchObject({ status: 'ACTIVE' });
    expect(body['suspended_at']).toBeUndefined();
    const told = (previous: string, now: string) => ({
      tenant_id: 'acme-corp',
      previous_status: previous,
      new_status: now,
      changed_fields: ['status'],
    });
    expect(eventsOf('acme-corp').slice(1)).toEqual([
      ['tenant.suspended', told('ACTIVE', 'SUSPENDED')],
      ['tenant.reactivated', told('SUSPENDED', 'ACTIVE')],
    ]);
  });

  test('events tell the request that they came of', async () => {
    const trace = 'a'.repeat(32);
    const { headers } = await update('acme-corp', { name: 'New' }, { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
    expect(headers['x-cycles-trace-id']).toBe(trace);
    expect(at.store.tables.events.at(-1)?.origin).toMatchObject({
      requestId: headers['x-request-id'],
      traceId: trace,
      traceFlags: '01',
      actor: { type: 'admin', sourceIp: '127.0.0.1' },
      source: 'cycles-admin',
    });
  });

  test('400: nothing leads out of CLOSED, and closing again changes nothing', async () => {
    expect((await update('acme-corp', { status: 'CLOSED' })).body).toMatchObject({ status: 'CLOSED', closed_at: '2026-04-09T00:00:00Z' });
    const closed = eventsOf('acme-corp').length;
    for (const status of ['ACTIVE', 'SUSPENDED']) {
      const { status: code, body } = await update('acme-corp', { status });
      expect([code, body['error'], body['details']]).toEqual([400, 'INVALID_REQUEST', { field: 'status' }]);
    }
    expect((await update('acme-corp', { status: 'CLOSED' })).status).toBe(200);
    expect(eventsOf('acme-corp')).toHaveLength(closed);
  });

  test('409: nothing else of a closed tenant changes', async () => {
    await update('acme-corp', { status: 'CLOSED' });
    const { status, body } = await update('acme-corp', { name: 'Later' });
    expect([status, body['error']]).toEqual([409, 'TENANT_CLOSED']);
  });

  test('409: what the configuration file declares is not changed here', async () => {
    await create({ tenant_id: 'filed', name: 'Filed' });
    expect((await update('filed', { name: 'x' })).status).toBe(409);
    expect((await update('filed', { metadata: { a: 'b' } })).status).toBe(200);
  });

  test.each<[string, object, string]>([
    ['an unknown field', { tenant_id: 'other' }, 'tenant_id'],
    ['an unknown status', { status: 'OPEN' }, 'status'],
    ['an empty name', { name: '' }, 'name'],
    ['null for a name', { name: null }, 'name'],
  ])('400: %s', async (_what, body, field) => {
    const answer = await update('acme-corp', body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'INVALID_REQUEST', details: { field } });
  });

  test('404: a tenant that is not there', async () => {
    const { status, body } = await update('nobody', { name: 'x' });
    expect([status, body['error']]).toEqual([404, 'TENANT_NOT_FOUND']);
    expect((await operator.ask('getTenant', 'GET', `${TENANTS}/nobody`)).body).toMatchObject({ error: 'TENANT_NOT_FOUND' });
  });
});

interface TenantList {
  readonly tenants: readonly { readonly tenant_id: string }[];
  readonly has_more: boolean;
  readonly next_cursor?: string;
}

describe('listTenants', () => {
  beforeEach(async () => {
    for (const [id, name, parent] of [
      ['t-one', 'Zeta', 'holding'],
      ['t-two', 'Alpha', 'holding'],
      ['t-three', 'Midway', undefined],
      ['t-four', 'alpha two', undefined],
    ] as const) {
      await create({ tenant_id: id, name, ...(parent === undefined ? {} : { parent_tenant_id: parent }) });
      // The last two share a moment.
      if (id === 't-one' || id === 't-two') at.clock.advance(10);
    }
    await update('t-two', { status: 'SUSPENDED' });
  });

  const list = async (query: string) => {
    const { status, body } = await operator.ask<TenantList>('listTenants', 'GET', `${TENANTS}${query}`);
    expect(status).toBe(200);
    return body;
  };
  const idsOf = (found: TenantList) => found.tenants.map(({ tenant_id: id }) => id);

  test.each([
    ['', ['t-three', 't-four', 't-two', 't-one']],
    ['?sort_dir=asc', ['t-one', 't-two', 't-four', 't-three']],
    ['?sort_by=name&sort_dir=asc', ['t-two', 't-three', 't-one', 't-four']],
    ['?sort_by=tenant_id', ['t-two', 't-three', 't-one', 't-four']],
    ['?sort_by=status&sort_dir=asc', ['t-four', 't-one', 't-three', 't-two']],
    ['?status=SUSPENDED', ['t-two']],
    ['?parent_tenant_id=holding', ['t-two', 't-one']],
    ['?search=ALPHA', ['t-four', 't-two']],
    ['?search=%20T-THREE%20', ['t-three']],
    ['?search=&status=&limit=', ['t-three', 't-four', 't-two', 't-one']],
    ['?observe_mode=ENFORCE&something=else', ['t-three', 't-four', 't-two', 't-one']],
    ['?search=alpha&status=ACTIVE', ['t-four']],
    ['?search=nothing', []],
  ])('200: %s', async (query, expected) => {
    expect(idsOf(await list(query))).toEqual(expected);
  });

  test('pages of one lose and repeat nothing, also where moments are the same', async () => {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await list(`?limit=1${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      found.push(...idsOf(page));
      expect(page.has_more).toBe(page.next_cursor !== undefined);
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(found).toEqual(['t-three', 't-four', 't-two', 't-one']);
  });

  test('a page that is just full does not claim that more follow', async () => {
    expect(await list('?limit=4')).toMatchObject({ has_more: false });
    expect((await list('?limit=4')).next_cursor).toBeUndefined();
  });

  test('a limit out of range is the nearest one', async () => {
    for (const limit of ['2000', '1000', '100', '99999999999999999999']) expect(idsOf(await list(`?limit=${limit}`))).toHaveLength(4);
    for (const limit of ['0', '-5', '1']) expect(idsOf(await list(`?limit=${limit}`))).toHaveLength(1);
  });

  test.each([
    ['a limit that is no number', '?limit=ten', 'limit'],
    ['an unknown sort', '?sort_by=colour', 'sort_by'],
    ['an unknown direction', '?sort_dir=up', 'sort_dir'],
    ['an unknown status', '?status=OPEN', 'status'],
    ['a search of 129 characters', `?search=${'x'.repeat(129)}`, 'search'],
    ['a cursor that was never issued', '?cursor=abc', 'cursor'],
    ['a parameter that comes twice', '?status=ACTIVE&status=CLOSED', 'status'],
  ])('400: %s', async (_what, query, field) => {
    const { status, body } = await operator.ask('listTenants', 'GET', `${TENANTS}${query}`);
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'INVALID_REQUEST', details: { field } });
  });

  test('400: a cursor is good for its own order and filters only', async () => {
    const { next_cursor: cursor = '' } = await list('?limit=1&status=ACTIVE');
    expect((await list(`?limit=2&status=ACTIVE&cursor=${cursor}`)).tenants).toHaveLength(2);
    for (const query of ['?sort_dir=asc&status=ACTIVE', '?sort_by=name&status=ACTIVE', '?status=SUSPENDED', '', '?status=ACTIVE&search=t'])
      expect((await operator.ask('listTenants', 'GET', `${TENANTS}${query === '' ? '?' : `${query}&`}cursor=${cursor}`)).status).toBe(400);
  });
});

describe('bulkActionTenants', () => {
  beforeEach(async () => {
    for (const id of ['bulk-a', 'bulk-b', 'bulk-c', 'other']) await create({ tenant_id: id, name: id });
    await update('bulk-b', { status: 'SUSPENDED' });
    await update('bulk-c', { status: 'CLOSED' });
  });

  const bulk = (body: object) => operator.ask('bulkActionTenants', 'POST', `${TENANTS}/bulk-action`, body);

  test('200: each row tells what became of it, and only those that moved tell an event', async () => {
    const before = at.store.tables.events.length;
    const { status, body, headers } = await bulk({
      action: 'SUSPEND',
      filter: { search: 'BULK' },
      expected_count: 3,
      idempotency_key: 'k1',
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      action: 'SUSPEND',
      total_matched: 3,
      succeeded: [{ id: 'bulk-a' }],
      failed: [{ id: 'bulk-c', error_code: 'INVALID_TRANSITION', message: 'the tenant bulk-c is closed for ever' }],
      skipped: [{ id: 'bulk-b', reason: 'ALREADY_IN_TARGET_STATE' }],
      idempotency_key: 'k1',
    });
    const correlationId = `tenant_bulk_action:suspend:${String(headers['x-request-id'])}`;
    expect(at.store.tables.events.slice(before)).toMatchObject([
      { type: 'tenant.suspended', tenantId: 'bulk-a', origin: { correlationId, requestId: headers['x-request-id'] } },
    ]);
    expect((await operator.ask('getTenant', 'GET', `${TENANTS}/other`)).body).toMatchObject({ status: 'ACTIVE' });
  });

  test('one audit row tells of the whole', async () => {
    const before = at.store.tables.audit.length;
    await bulk({ action: 'REACTIVATE', filter: { search: 'bulk' }, idempotency_key: 'k1' });
    expect(at.store.tables.audit.slice(before)).toMatchObject([
      {
        operation: 'bulkActionTenants',
        resourceKind: 'tenant',
        code: null,
        metadata: {
          action: 'REACTIVATE',
          filter: { search: 'bulk' },
          total_matched: 3,
          succeeded_ids: ['bulk-b'],
          failed_rows: [{ id: 'bulk-c' }],
          skipped_rows: [{ id: 'bulk-a' }],
          duration_ms: expect.any(Number) as number,
        },
      },
    ]);
  });

  test('CLOSE closes, with the cascade of each tenant under its own correlation id', async () => {
    await operator.ask('createApiKey', 'POST', '/v1/admin/api-keys', { tenant_id: 'bulk-a', name: 'k' });
    const { body, headers } = await bulk({ action: 'CLOSE', filter: { status: 'ACTIVE', search: 'bulk-a' }, idempotency_key: 'k1' });
    expect(body).toMatchObject({ succeeded: [{ id: 'bulk-a' }], failed: [], skipped: [] });
    const request = String(headers['x-request-id']);
    expect(at.store.tables.events.slice(-2)).toMatchObject([
      { type: 'tenant.closed', origin: { correlationId: `tenant_bulk_action:close:${request}` } },
      { type: 'api_key.revoked_via_tenant_cascade', origin: { correlationId: `tenant_close_cascade:bulk-a:${request}` } },
    ]);
  });

  test('the same key again answers as before and does nothing, for 15 minutes; another body under it is refused', async () => {
    const first = await bulk({ action: 'SUSPEND', filter: { search: 'bulk-a' }, idempotency_key: 'k1' });
    await update('bulk-a', { status: 'ACTIVE' });
    const changes = at.store.tables.events.length;
    expect((await bulk({ action: 'SUSPEND', filter: { search: 'bulk-a' }, idempotency_key: 'k1' })).body).toEqual(first.body);
    expect(at.store.tables.events).toHaveLength(changes);
    const other = await bulk({ action: 'REACTIVATE', filter: { search: 'bulk-a' }, idempotency_key: 'k1' });
    expect([other.status, other.body['error']]).toEqual([409, 'IDEMPOTENCY_MISMATCH']);
    at.clock.advance(15 * 60 * 1000);
    expect((await bulk({ action: 'REACTIVATE', filter: { search: 'bulk-a' }, idempotency_key: 'k1' })).body).toMatchObject({
      skipped: [{ id: 'bulk-a' }],
    });
  });

  test('409: another count than expected changes nothing', async () => {
    const { status, body } = await bulk({ action: 'SUSPEND', filter: { search: 'bulk' }, expected_count: 2, idempotency_key: 'k1' });
    expect([status, body['error']]).toEqual([409, 'COUNT_MISMATCH']);
    expect((await operator.ask('getTenant', 'GET', `${TENANTS}/bulk-a`)).body).toMatchObject({ status: 'ACTIVE' });
  });

  test('400: more than 500 matches change nothing; 500 do', async () => {
    for (let index = 0; index < 500; index++) await create({ tenant_id: `many-${index}`, name: 'many' });
    await create({ tenant_id: 'many-more', name: 'many' });
    const refused = await bulk({ action: 'SUSPEND', filter: { search: 'many-' }, idempotency_key: 'k1' });
    expect([refused.status, refused.body['error']]).toEqual([400, 'LIMIT_EXCEEDED']);
    expect(refused.body['details']).toMatchObject({ total_matched: 501 });
    await update('many-more', { status: 'SUSPENDED' });
    const { body } = await bulk({ action: 'SUSPEND', filter: { search: 'many-', status: 'ACTIVE' }, idempotency_key: 'k2' });
    expect(body['succeeded']).toHaveLength(500);
  });

  test.each<[string, object, string]>([
    ['an empty filter', { action: 'SUSPEND', filter: {}, idempotency_key: 'k' }, 'filter'],
    ['a filter of a blank search', { action: 'SUSPEND', filter: { search: '  ' }, idempotency_key: 'k' }, 'filter'],
    ['an unknown filter', { action: 'SUSPEND', filter: { colour: 'red' }, idempotency_key: 'k' }, 'filter.colour'],
    ['an unknown action', { action: 'DELETE', filter: { search: 'x' }, idempotency_key: 'k' }, 'action'],
    ['no key', { action: 'SUSPEND', filter: { search: 'x' } }, 'idempotency_key'],
    ['an empty key', { action: 'SUSPEND', filter: { search: 'x' }, idempotency_key: '' }, 'idempotency_key'],
    ['a key of 129 characters', { action: 'SUSPEND', filter: { search: 'x' }, idempotency_key: 'k'.repeat(129) }, 'idempotency_key'],
    ['a search of 129 characters', { action: 'SUSPEND', filter: { search: 'x'.repeat(129) }, idempotency_key: 'k' }, 'filter.search'],
    ['a count below none', { action: 'SUSPEND', filter: { search: 'x' }, expected_count: -1, idempotency_key: 'k' }, 'expected_count'],
  ])('400: %s', async (_what, body, field) => {
    const answer = await bulk(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'INVALID_REQUEST', details: { field } });
  });
});

describe('401', () => {
  test.each<[string, Record<string, string>]>([
    ['no credential', {}],
    ['a wrong operator key', { 'x-admin-api-key': 'wrong' }],
    ['a tenant key where only the operator’s will do', { 'x-cycles-api-key': 'cyc_live_x' }],
  ])('%s, and nothing is changed', async (_what, headers) => {
    const answer = await at.as(null)('POST', TENANTS, { tenant_id: 'abc', name: 'x' }, headers);
    expect(answer.status).toBe(401);
    expect(answer.json).toMatchObject({ error: 'UNAUTHORIZED' });
    expect(answer.headers['x-cycles-trace-id']).toMatch(/^[0-9a-f]{32}$/);
    expect(at.store.tables.events).toEqual([]);
  });
});
