import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const LOGS = '/v1/admin/audit/logs';
const TENANTS = '/v1/admin/tenants';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const MINUTE_MS = 60_000;

interface Row {
  readonly log_id: string;
  readonly timestamp: string;
  readonly tenant_id: string;
  readonly operation: string;
  readonly status: number;
  readonly key_id?: string;
  readonly error_code?: string;
  readonly request_id?: string;
  readonly trace_id?: string;
  readonly resource_type?: string;
  readonly resource_id?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

interface Page {
  readonly logs: readonly Row[];
  readonly has_more: boolean;
  readonly next_cursor?: string;
}

let at: TestApp;
let operator: GovernanceClient;
let key: { readonly key_id: string; readonly key_secret: string };

beforeEach(async () => {
  at = await makeTestApp();
  operator = makeGovernanceClient(at);
  await operator.ask('createTenant', 'POST', TENANTS, { tenant_id: 'acme-corp', name: 'Acme' });
  const permissions = ['budgets:read', 'budgets:write'];
  key = (await operator.ask<typeof key>('createApiKey', 'POST', '/v1/admin/api-keys', { tenant_id: 'acme-corp', name: 'k', permissions }))
    .body;
});
afterEach(() => at.close());

const list = async (query = ''): Promise<Page> => (await operator.ask('listAuditLogs', 'GET', `${LOGS}${query}`)).body as unknown as Page;
const refusedList = (query: string) => operator.ask('listAuditLogs', 'GET', `${LOGS}?${query}`);
/** The rows that `act` left, in the order of writing. */
const rowsOf = async (act: () => Promise<unknown>): Promise<Row[]> => {
  const before = new Set((await list('?limit=100')).logs.map(({ log_id: id }) => id));
  await act();
  return (await list('?limit=100&sort_dir=asc')).logs.filter(({ log_id: id }) => !before.has(id));
};

describe('what is done leaves a row', () => {
  test('with the operation, the status of its answer, what it was done to and where it came from', async () => {
    const headers = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, 'user-agent': 'tests/1' };
    let requestId = '';
    const rows = await rowsOf(async () => {
      const made = await operator.ask('createTenant', 'POST', TENANTS, { tenant_id: 'other', name: 'Other' }, headers);
      requestId = String(made.headers['x-request-id']);
    });
    expect(rows).toEqual([
      {
        log_id: expect.stringMatching(/^aud/) as string,
        timestamp: '2026-04-09T00:00:00Z',
        tenant_id: 'other',
        operation: 'createTenant',
        resource_type: 'tenant',
        resource_id: 'other',
        status: 201,
        request_id: requestId,
        trace_id: TRACE,
        source_ip: '127.0.0.1',
        user_agent: 'tests/1',
      },
    ]);
  });

  test('with the status of an answer that made nothing new', async () => {
    const again = () => operator.ask('createTenant', 'POST', TENANTS, { tenant_id: 'acme-corp', name: 'Acme' });
    expect(await rowsOf(again)).toMatchObject([{ operation: 'createTenant', status: 200 }]);
  });

  test('that names the key that did it, and on whose behalf the operator did what the key may do as well', async () => {
    const client = makeGovernanceClient(at, key.key_secret);
    const budget = (unit: string) => ({ scope: 'tenant:acme-corp', unit, allocated: { unit, amount: 100 } });
    const rows = await rowsOf(async () => {
      await client.ask('createBudget', 'POST', '/v1/admin/budgets', budget('TOKENS'));
      await operator.ask('createBudget', 'POST', '/v1/admin/budgets', { ...budget('CREDITS'), tenant_id: 'acme-corp' });
    });
    expect(rows).toMatchObject([
      { operation: 'createBudget', status: 201, key_id: key.key_id, tenant_id: 'acme-corp' },
      { operation: 'createBudget', status: 201, tenant_id: 'acme-corp', metadata: { actor_type: 'admin_on_behalf_of' } },
    ]);
    expect(rows[0]?.metadata).not.toHaveProperty('actor_type');
    expect(rows[1]).not.toHaveProperty('key_id');
  });

  test('on the operator’s surface and on the Tinfoil surface as well', async () => {
    const { ann } = await at.addTenant('acme');
    const rows = await rowsOf(async () => {
      await at.operator('POST', '/v1/x-castellan/tenants', { id: 'third', name: 'Third' });
      await at.as(ann)('POST', '/api/keys', { name: 'mine' });
    });
    expect(rows).toMatchObject([
      { operation: 'create-tenant', status: 201, source_ip: '127.0.0.1', trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string },
      { operation: 'create-key', status: 200, key_id: expect.stringMatching(/^key/) as string, tenant_id: 'acme' },
    ]);
  });
});

describe('what is refused leaves a row', () => {
  const METADATA = { method: 'POST', path: TENANTS };

  test.each<[string, unknown, Partial<Row>]>([
    ['by the rules of its body', { tenant_id: 'X' }, { status: 400, error_code: 'INVALID_REQUEST' }],
    ['since it cannot be read', '{', { status: 400, error_code: 'INVALID_REQUEST' }],
  ])('%s, with the pattern of its route', async (_what, body, row) => {
    const rows = await rowsOf(() => operator.ask('createTenant', 'POST', TENANTS, body));
    expect(rows).toMatchObject([{ operation: `POST:${TENANTS}`, tenant_id: '__admin__', metadata: METADATA, ...row }]);
    expect(rows[0]?.metadata).toMatchObject({ error_message: expect.any(String) as string });
  });

  test('by a decision, as what it was, once, with the status and the code of its answer', async () => {
    const rows = await rowsOf(() => operator.ask('createTenant', 'POST', TENANTS, { tenant_id: 'acme-corp', name: 'Another' }));
    expect(rows).toMatchObject([{ operation: 'createTenant', status: 409, error_code: 'DUPLICATE_RESOURCE', resource_id: 'acme-corp' }]);
  });

  test('with the code that the caller was told, where the surface names it in its own way', async () => {
    const rows = await rowsOf(async () => {
      await operator.ask('updateTenant', 'PATCH', `${TENANTS}/nobody`, { name: 'N' });
      await operator.ask('createApiKey', 'POST', '/v1/admin/api-keys', { tenant_id: 'nobody', name: 'k' });
      await operator.ask('fundBudget', 'POST', '/v1/admin/budgets/fund?tenant_id=acme-corp&scope=tenant:acme-corp&unit=TOKENS', {
        operation: 'CREDIT',
        amount: { unit: 'TOKENS', amount: 1 },
      });
    });
    expect(rows).toMatchObject([
      { operation: 'updateTenant', status: 404, error_code: 'TENANT_NOT_FOUND' },
      { operation: 'createApiKey', status: 400, error_code: 'INVALID_REQUEST' },
      { operation: 'fundBudget', status: 404, error_code: 'BUDGET_NOT_FOUND' },
    ]);
  });

  test('since the key lacks a permission, in the trail of its tenant, also where it only reads', async () => {
    const client = makeGovernanceClient(at, key.key_secret);
    const rows = await rowsOf(async () => {
      const policy = { name: 'p', scope_pattern: 'tenant:acme-corp/*' };
      expect((await client.ask('createPolicy', 'POST', '/v1/admin/policies', policy)).status).toBe(403);
      expect((await client.ask('listPolicies', 'GET', '/v1/admin/policies')).status).toBe(403);
    });
    const shared = { status: 403, error_code: 'INSUFFICIENT_PERMISSIONS', tenant_id: 'acme-corp', key_id: key.key_id };
    expect(rows).toMatchObject([
      { operation: 'POST:/v1/admin/policies', ...shared },
      { operation: 'GET:/v1/admin/policies', ...shared },
    ]);
  });

  test('and what only reads and finds nothing leaves none', async () => {
    expect(await rowsOf(() => operator.ask('getTenant', 'GET', `${TENANTS}/nobody`))).toEqual([]);
  });

  test('without what was asked for in the address or the body', async () => {
    const rows = await rowsOf(async () => {
      await operator.ask('createApiKey', 'POST', '/v1/admin/api-keys?secret=hush', { tenant_id: 'acme-corp', name: 'k', hush: 'hush' });
      await operator.ask('revokeApiKey', 'DELETE', '/v1/admin/api-keys/hush?reason=hush');
    });
    expect(rows.map(({ operation }) => operation)).toEqual(['POST:/v1/admin/api-keys', 'DELETE:/v1/admin/api-keys/:key_id']);
    expect(JSON.stringify(rows.map(({ metadata, ...row }) => [row, metadata?.['path']]))).not.toContain('hush');
  });

  test('on the operator’s surface and on the Tinfoil surface as well', async () => {
    const { ann } = await at.addTenant('acme');
    const rows = await rowsOf(async () => {
      await at.operator('POST', '/v1/x-castellan/tenants', { id: 5 });
      await at.operator('DELETE', '/v1/x-castellan/keys/none');
      await at.operator('POST', '/v1/x-castellan/keys/none/rotate', {});
      await at.as(ann)('POST', '/api/keys', { name: 5 });
      await at.as(ann)('DELETE', '/api/keys/none');
    });
    expect(rows).toMatchObject([
      { operation: 'POST:/v1/x-castellan/tenants', status: 400, error_code: 'INVALID_REQUEST', tenant_id: '__admin__' },
      { operation: 'DELETE:/v1/x-castellan/keys/:id', status: 404, error_code: 'NOT_FOUND', tenant_id: '__admin__' },
      { operation: 'POST:/v1/x-castellan/keys/:id/rotate', status: 404, metadata: { actor_type: 'admin_on_behalf_of' } },
      { operation: 'POST:/api/keys', status: 400, error_code: 'BAD_REQUEST', tenant_id: 'acme', key_id: expect.any(String) as string },
      { operation: 'DELETE:/api/keys/:key', status: 404, error_code: 'NOT_FOUND', tenant_id: 'acme' },
    ]);
  });

  test('or stands without one where the trail cannot be written, and the log says so', async () => {
    at.store.beforeBatch = () => {
      throw new Error('the disk is full');
    };
    expect((await operator.ask('createTenant', 'POST', TENANTS, { tenant_id: 'X' })).status).toBe(400);
    expect(at.log.lines.some(({ message }) => message.includes('left no row in the audit trail'))).toBe(true);
  });
});

describe('requests without a good credential', () => {
  const knock = (headers: Record<string, string> = {}) => at.as('not-a-key')('GET', TENANTS, undefined, headers);
  const unknown = async (): Promise<readonly Row[]> => (await list('?tenant_id=__unauth__&sort_dir=asc')).logs;

  test('write nothing by themselves, and are told of by source and minute, with how many there were', async () => {
    const batches = at.store.batchSizes.length;
    for (let attempt = 0; attempt < 50; attempt++) await knock();
    expect(at.store.batchSizes).toHaveLength(batches);
    const first = await unknown();
    expect(first).toMatchObject([
      {
        tenant_id: '__unauth__',
        operation: `GET:${TENANTS}`,
        status: 401,
        error_code: 'UNAUTHORIZED',
        metadata: { attempts: 50, minute: '2026-04-09T00:00:00.000Z' },
        trace_id: expect.any(String) as string,
        request_id: expect.any(String) as string,
      },
    ]);
    for (let attempt = 0; attempt < 7; attempt++) await knock();
    // The rest of the minute waits for its end.
    expect(await unknown()).toHaveLength(1);
    at.clock.advance(MINUTE_MS);
    expect((await unknown()).map(({ metadata }) => metadata?.['attempts'])).toEqual([50, 7]);
    expect(await unknown()).toHaveLength(2);
  });

  test('are bounded in their rows however many sources there are, and none is lost from the count', async () => {
    for (let source = 0; source < 150; source++) {
      await at.app.inject({ url: TENANTS, remoteAddress: `10.0.${source >> 8}.${source & 255}`, headers: { host: 'castellan.example' } });
    }
    at.clock.advance(MINUTE_MS);
    await unknown();
    const rows = at.store.tables.audit.filter(({ tenantId }) => tenantId === '__unauth__');
    expect(rows).toHaveLength(101);
    expect(rows.map(({ metadata }) => (metadata as { attempts: number }).attempts).reduce((a, b) => a + b)).toBe(150);
    expect(at.failedCredentials.total).toBe(150);
  });

  test('are in the trail of the tenant whose key it was', async () => {
    await operator.ask('revokeApiKey', 'DELETE', `/v1/admin/api-keys/${key.key_id}`);
    const client = makeGovernanceClient(at, key.key_secret);
    const rows = await rowsOf(() => client.ask('listBudgets', 'GET', '/v1/admin/budgets'));
    expect(rows).toMatchObject([{ status: 401, error_code: 'KEY_REVOKED', tenant_id: 'acme-corp', key_id: key.key_id }]);
  });
});

describe('listAuditLogs', () => {
  test('both paths show the same, newest first', async () => {
    const [one, other] = [await list(), (await operator.ask('listAuditLogs', 'GET', '/v1/admin/audit-logs')).body];
    expect(one).toEqual(other);
    expect(one.logs.map(({ operation }) => operation)).toEqual(['createApiKey', 'createTenant']);
    expect(one.has_more).toBe(false);
  });

  test('only the operator reads it', async () => {
    const client = makeGovernanceClient(at, key.key_secret);
    expect((await client.ask('listAuditLogs', 'GET', LOGS)).status).toBe(401);
  });

  test.each<[string, readonly string[]]>([
    ['tenant_id=acme-corp', ['createApiKey', 'createTenant']],
    ['tenant_id=__admin__', [`POST:${TENANTS}`]],
    ['tenant_id=nobody', []],
    ['operation=createTenant', ['createTenant']],
    ['operation=createTenant,%20createApiKey', ['createApiKey', 'createTenant']],
    ['operation=createTenant&operation=createApiKey', ['createApiKey', 'createTenant']],
    ['resource_type=api_key,policy', ['createApiKey']],
    ['resource_id=acme-corp', ['createTenant']],
    ['error_code=INVALID_REQUEST', [`POST:${TENANTS}`]],
    ['error_code=NEVER_HEARD_OF', []],
    ['error_code_exclude=INVALID_REQUEST', ['createApiKey', 'createTenant']],
    ['status=201', ['createApiKey', 'createTenant']],
    ['status=999', []],
    ['status_min=400', [`POST:${TENANTS}`]],
    ['status_max=399', ['createApiKey', 'createTenant']],
    ['status_min=201&status_max=400', [`POST:${TENANTS}`, 'createApiKey', 'createTenant']],
    ['from=2026-04-09T00:00:01Z', [`POST:${TENANTS}`]],
    ['to=2026-04-09T00:00:00Z', ['createApiKey', 'createTenant']],
    ['search=%20APIKEY%20', ['createApiKey']],
    ['search=', [`POST:${TENANTS}`, 'createApiKey', 'createTenant']],
    [`trace_id=${TRACE}`, [`POST:${TENANTS}`]],
    ['sort_by=operation&sort_dir=asc', [`POST:${TENANTS}`, 'createApiKey', 'createTenant']],
    ['sort_by=status', [`POST:${TENANTS}`, 'createApiKey', 'createTenant']],
    ['unknown=parameter', [`POST:${TENANTS}`, 'createApiKey', 'createTenant']],
  ])('%s narrows or orders the list', async (query, operations) => {
    at.clock.advance(1000);
    await operator.ask('createTenant', 'POST', TENANTS, {}, { 'x-cycles-trace-id': TRACE });
    expect((await list(`?${query}`)).logs.map(({ operation }) => operation)).toEqual(operations);
  });

  test('a request is found by its id, and a key by what it did', async () => {
    const client = makeGovernanceClient(at, key.key_secret);
    const made = await client.ask('createBudget', 'POST', '/v1/admin/budgets', {
      scope: 'tenant:acme-corp',
      unit: 'TOKENS',
      allocated: { unit: 'TOKENS', amount: 1 },
    });
    const byRequest = await list(`?request_id=${String(made.headers['x-request-id'])}`);
    expect(byRequest.logs.map(({ operation }) => operation)).toEqual(['createBudget']);
    expect(await list(`?key_id=${key.key_id}`)).toEqual(byRequest);
  });

  test('pages follow each other without a gap, and a cursor is good for its own list only', async () => {
    for (let n = 0; n < 5; n++) await operator.ask('createTenant', 'POST', TENANTS, { tenant_id: `t-${n}`, name: 'T' });
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await list(`?limit=2&sort_by=operation${cursor}`);
      seen.push(...page.logs.map(({ log_id: id }) => id));
      expect(page.has_more).toBe(page.next_cursor !== undefined);
      if (page.next_cursor === undefined) break;
      cursor = `&cursor=${page.next_cursor}`;
      const foreign = await refusedList(`limit=2&sort_by=status${cursor}`);
      expect([foreign.status, foreign.body['error']]).toEqual([400, 'INVALID_REQUEST']);
    }
    expect(seen).toEqual((await list('?limit=2000&sort_by=operation')).logs.map(({ log_id: id }) => id));
    expect(new Set(seen).size).toBe(7);
  });

  const many = (count: number) => Array.from({ length: count }, (_, n) => `op${n}`).join(',');

  test.each([
    [`operation=${many(26)}`, 'operation'],
    [`resource_type=${many(26)}`, 'resource_type'],
    [`error_code=${many(26)}`, 'error_code'],
    [`error_code_exclude=${many(26)}`, 'error_code_exclude'],
    ['status=200&status_min=100', 'status'],
    ['status=200&status_max=599', 'status'],
    ['status=ok', 'status'],
    ['status_min=99', 'status_min'],
    ['status_max=600', 'status_max'],
    ['status_min=500&status_max=400', 'status_min'],
    ['from=yesterday', 'from'],
    ['to=2026-02-30T00:00:00Z', 'to'],
    ['from=2026-04-09T00:00:01Z&to=2026-04-09T00:00:00Z', 'from'],
    [`search=${'s'.repeat(129)}`, 'search'],
    ['trace_id=4BF92F3577B34DA6A3CE929D0E0E4736', 'trace_id'],
    ['trace_id=abc', 'trace_id'],
    ['sort_by=metadata', 'sort_by'],
    ['sort_dir=up', 'sort_dir'],
    ['trace_id=' + TRACE + '0', 'trace_id'],
    ['trace_id=' + TRACE.slice(1), 'trace_id'],
    ['cursor=nonsense', 'cursor'],
    ['cursor=' + 'x'.repeat(5000), 'cursor'],
    ['cursor=%00', 'cursor'],
    ['limit=1.5', 'limit'],
    ['limit=many', 'limit'],
  ])('400: %s', async (query, field) => {
    const { status, body } = await refusedList(query);
    expect([status, body['error'], (body['details'] as { field: string }).field]).toEqual([400, 'INVALID_REQUEST', field]);
  });

  test.each([
    `operation=${many(24)}`,
    `operation=${many(25)}`,
    `resource_type=${many(25)}`,
    `error_code=${many(25)}`,
    `error_code_exclude=${many(25)}`,
    'status_min=100&status_max=599',
    'status_min=101&status_max=598',
    'status_min=400&status_max=400',
    `search=${'s'.repeat(127)}`,
    `trace_id=${TRACE}`,
    `search=${'s'.repeat(128)}`,
    'from=2026-04-09T00:00:00Z&to=2026-04-09T00:00:00Z',
    'limit=0',
    'limit=2000',
  ])('200: %s is still within its limits', async (query) => {
    expect((await refusedList(query)).status).toBe(200);
  });

  test.each([
    ['limit=0', 1],
    ['limit=1', 1],
    ['limit=2', 2],
    ['', 50],
    ['limit=99', 99],
    ['limit=100', 100],
    ['limit=101', 100],
  ])('a page of %s has as many as that, from 1 to 100', async (query, count) => {
    const [row] = at.store.tables.audit;
    if (row === undefined) throw new Error('there is no row');
    for (let n = 0; n < 105; n++) at.store.tables.audit.push({ ...row, id: `aud_more_${n}` });
    const page = await list(`?${query}`);
    expect([page.logs.length, page.has_more]).toEqual([count, true]);
  });

  test('a cursor is good neither for another filter or order, nor for another list, nor when it was changed', async () => {
    for (let n = 0; n < 3; n++) await operator.ask('createTenant', 'POST', TENANTS, { tenant_id: `t-${n}`, name: 'T' });
    const { next_cursor: cursor = '' } = await list('?limit=1');
    const ofTenants = (await operator.ask<{ next_cursor: string }>('listTenants', 'GET', `${TENANTS}?limit=1`)).body.next_cursor;
    const refused = await Promise.all(
      [
        `limit=1&operation=createTenant&cursor=${cursor}`,
        `limit=1&sort_dir=asc&cursor=${cursor}`,
        `limit=1&search=acme&cursor=${cursor}`,
        `limit=1&cursor=${ofTenants}`,
        `limit=1&cursor=${cursor.slice(0, -1)}`,
        `limit=1&cursor=${cursor}x`,
      ].map(async (query) => (await refusedList(query)).status),
    );
    expect(refused).toEqual([400, 400, 400, 400, 400, 400]);
    expect((await refusedList(`limit=100&cursor=${cursor}`)).status).toBe(200);
    const other = await operator.ask('listAuditLogs', 'GET', `/v1/admin/audit-logs?limit=1&cursor=${cursor}`);
    expect(other.body).toEqual(await list(`?limit=1&cursor=${cursor}`));
  });

  test('what was refused is found by its code, its status, and both', async () => {
    await operator.ask('createTenant', 'POST', TENANTS, {});
    await operator.ask('createTenant', 'POST', TENANTS, { tenant_id: 'acme-corp', name: 'Another' });
    const found = async (query: string) =>
      (await list(`?sort_dir=asc&${query}`)).logs.map(({ status, error_code: code }) => [status, code]);
    const [bad, twice] = [
      [400, 'INVALID_REQUEST'],
      [409, 'DUPLICATE_RESOURCE'],
    ];
    expect(await found('status_min=400')).toEqual([bad, twice]);
    expect(await found('status=409')).toEqual([twice]);
    expect(await found('error_code=INVALID_REQUEST,DUPLICATE_RESOURCE')).toEqual([bad, twice]);
    expect(await found('error_code=INVALID_REQUEST,DUPLICATE_RESOURCE&error_code_exclude=INVALID_REQUEST')).toEqual([twice]);
    expect(await found('error_code=DUPLICATE_RESOURCE&status=400')).toEqual([]);
    expect(await found('error_code=invalid_request')).toEqual([]);
  });

  test('rows from before statuses were kept are shown by how their refusal is answered', async () => {
    const [row] = at.store.tables.audit;
    if (row === undefined) throw new Error('there is no row');
    const { status: _status, ...old } = row;
    at.store.tables.audit.push(
      { ...old, id: 'aud_old_1' },
      { ...old, id: 'aud_old_2', code: 'not_found' },
      { ...old, id: 'aud_old_3', code: 'gone' },
    );
    const shown = (await list('?search=aud_old&sort_dir=asc')).logs.map(({ status, error_code: code }) => [status, code]);
    expect(shown).toEqual([
      [200, undefined],
      [404, 'NOT_FOUND'],
      [500, 'INTERNAL_ERROR'],
    ]);
  });
});
