import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { signedDelivery, wireEvent } from '../../support/report-client.ts';
import { makeTestApp, type TestApp, type TestResponse } from '../../support/test-app.ts';

const BASE = '/v1/x-castellan/usage-reporters';

let at: TestApp;

beforeEach(async () => {
  at = await makeTestApp({ declared: ['usage-reporter filed id', 'usage-reporter filed secret', 'usage-reporter filed tenants'] });
  await at.addTenant('acme');
  await at.addTenant('other');
});
afterEach(() => at.close());

const create = (fields: object = {}): Promise<TestResponse> => at.operator('POST', BASE, { id: 'router', tenants: ['acme'], ...fields });

async function expectError(response: Promise<TestResponse>, status: number, field?: string): Promise<TestResponse> {
  const answer = await response;
  expect([answer.status, (answer.json as { details?: { field: string } }).details?.field]).toEqual([status, field]);
  return answer;
}

const previousOf = (): { secretSealed: string; untilMs: number } | null =>
  (at.store.tables.records.get('usage-reporter router') as unknown as { previous: { secretSealed: string; untilMs: number } | null })
    .previous;

const OBJECT = {
  id: 'router',
  tenants: ['acme'],
  has_previous_secret: false,
  previous_secret_until: null,
  created_at: '2026-04-09T00:00:00Z',
};

describe('POST', () => {
  test('201: a secret that is given is sealed and never shown', async () => {
    const { status, json } = await create({ secret: 'given-secret-1' });
    expect([status, json]).toEqual([201, OBJECT]);
    const texts = await Promise.all([at.operator('GET', BASE), at.operator('GET', `${BASE}/router`)]);
    const everything = JSON.stringify([
      texts.map(({ text }) => text),
      [...at.store.tables.records],
      at.store.tables.audit,
      at.store.tables.events,
      at.log.lines,
    ]);
    expect(everything).not.toContain('given-secret-1');
    const { secretSealed } = at.store.tables.records.get('usage-reporter router') as { secretSealed: string };
    expect(at.secretBox.open(secretSealed, 'usage-reporter:router')).toBe('given-secret-1');
  });

  test('201: a secret that is made is shown this once', async () => {
    const { json } = await create();
    const { secret, ...rest } = json as { secret: string };
    expect(rest).toEqual(OBJECT);
    expect(secret.length).toBeGreaterThanOrEqual(40);
    expect((await at.operator('GET', `${BASE}/router`)).text).not.toContain(secret);
  });

  test('it leaves an audit row and an event, without the secret', async () => {
    await create({ secret: 'given-secret-1' });
    expect(at.store.tables.audit.at(-1)).toMatchObject({
      operation: 'create-usage-reporter',
      resourceKind: 'usage-reporter',
      resourceId: 'router',
      code: null,
    });
    expect(at.store.tables.events.at(-1)).toMatchObject({
      type: 'usage_reporter.created',
      data: { usage_reporter_id: 'router', tenants: ['acme'] },
    });
  });

  test.each([
    ['no id', { id: undefined }, 'id'],
    ['an id with a slash', { id: 'a/b' }, 'id'],
    ['no tenants', { tenants: undefined }, 'tenants'],
    ['a tenant that does not exist', { tenants: ['acme', 'nobody'] }, 'tenants'],
    ['a tenant twice', { tenants: ['acme', 'acme'] }, 'tenants'],
    ['tenants that are no list', { tenants: 'acme' }, 'tenants'],
    ['an empty secret', { secret: '' }, 'secret'],
    ['a secret with a line break', { secret: 'a\nb' }, 'secret'],
    ['an endless secret', { secret: 'a'.repeat(513) }, 'secret'],
    ['a field that nobody knows', { secrets: [] }, 'secrets'],
  ])('400: %s', async (_what, fields, field) => {
    const { text } = await expectError(create(fields), 400, field);
    expect(text).not.toContain('a'.repeat(20));
    expect(at.store.tables.records.has('usage-reporter router')).toBe(false);
  });

  test('409: one that exists', async () => {
    await create({ secret: 'first' });
    await expectError(create({ secret: 'second' }), 409, 'id');
    const { secretSealed } = at.store.tables.records.get('usage-reporter router') as { secretSealed: string };
    expect(at.secretBox.open(secretSealed, 'usage-reporter:router')).toBe('first');
  });
});

describe('PATCH', () => {
  beforeEach(async () => {
    await create({ secret: 'first' });
  });
  const patch = (body: unknown, id = 'router'): Promise<TestResponse> => at.operator('PATCH', `${BASE}/${id}`, body);

  test('200: tenants, and the secret stays', async () => {
    expect((await patch({ tenants: ['other', 'acme'] })).json).toEqual({ ...OBJECT, tenants: ['other', 'acme'] });
    expect((await patch({ tenants: [] })).json).toEqual({ ...OBJECT, tenants: [] });
    expect(previousOf()).toBeNull();
  });

  test('200: a secret that is given; the one before is gone at once', async () => {
    expect((await patch({ secret: 'second' })).json).toEqual(OBJECT);
    expect(previousOf()).toBeNull();
  });

  test('200: a secret that is made, shown this once; the one before is good for a while', async () => {
    const { json } = await patch({ rotate_secret: true, grace_seconds: 3600 });
    const { secret, ...rest } = json as { secret: string };
    expect(secret.length).toBeGreaterThanOrEqual(40);
    expect(rest).toEqual({ ...OBJECT, has_previous_secret: true, previous_secret_until: '2026-04-09T01:00:00Z' });
    expect(at.secretBox.open(previousOf()?.secretSealed ?? '', 'usage-reporter:router')).toBe('first');
    expect((await at.operator('GET', `${BASE}/router`)).json).toEqual(rest);
  });

  test('200: of two rotations within a grace, the oldest secret is gone with the second', async () => {
    await patch({ secret: 'second', grace_seconds: 3600 });
    await patch({ secret: 'third', grace_seconds: 60 });
    expect(at.secretBox.open(previousOf()?.secretSealed ?? '', 'usage-reporter:router')).toBe('second');
    expect(previousOf()?.untilMs).toBe(at.clock.nowMs() + 60_000);
  });

  test.each([
    ['nothing', {}, undefined],
    ['a grace without a new secret', { grace_seconds: 60 }, 'grace_seconds'],
    ['a grace of more than a week', { rotate_secret: true, grace_seconds: 604_801 }, 'grace_seconds'],
    ['a grace below zero', { rotate_secret: true, grace_seconds: -1 }, 'grace_seconds'],
    ['a secret that is given and made', { secret: 'a', rotate_secret: true }, 'rotate_secret'],
    ['a rotation that is none', { rotate_secret: false }, 'rotate_secret'],
    ['a tenant that does not exist', { tenants: ['nobody'] }, 'tenants'],
    ['another id', { id: 'x' }, 'id'],
  ])('400: %s', async (_what, body, field) => {
    const before = structuredClone(at.store.tables.records.get('usage-reporter router'));
    await expectError(patch(body), 400, field);
    expect(at.store.tables.records.get('usage-reporter router')).toEqual(before);
  });

  test('404: one that does not exist', async () => {
    await expectError(patch({ tenants: [] }, 'nobody'), 404);
  });

  test('409: what the file declares, which is named', async () => {
    for (const [body, field] of [
      [{ tenants: [] }, 'tenants'],
      [{ rotate_secret: true }, 'secret'],
      [{ secret: 'x' }, 'secret'],
    ] as const) {
      const { text } = await expectError(patch(body, 'filed'), 409, field);
      expect(text).toContain('the usage reporter filed is declared in /etc/castellan.yaml');
    }
    await expectError(at.operator('DELETE', `${BASE}/filed`), 409, 'id');
  });
});

test('GET lists them by id; DELETE removes one, and it is gone', async () => {
  await create({ id: 'b', secret: 's' });
  await create({ id: 'a', secret: 's' });
  const { json } = await at.operator('GET', BASE);
  expect((json as { usage_reporters: { id: string }[] }).usage_reporters.map(({ id }) => id)).toEqual(['a', 'b']);
  const deleted = await at.operator('DELETE', `${BASE}/a`);
  expect([deleted.status, deleted.text]).toEqual([204, '']);
  expect(at.store.tables.events.at(-1)).toMatchObject({ type: 'usage_reporter.deleted', data: { usage_reporter_id: 'a' } });
  for (const response of [at.operator('GET', `${BASE}/a`), at.operator('DELETE', `${BASE}/a`)]) {
    const { text } = await expectError(response, 404);
    expect(text).toContain('usage reporter a not found');
  }
});

test('401: without the operator key', async () => {
  const { ann } = await at.addTenant('third');
  for (const url of [BASE, `${BASE}/router`, `${BASE}/router/quarantine`]) expect((await at.as(ann)('GET', url)).status).toBe(401);
  expect((await at.as(ann)('POST', BASE, { id: 'x', tenants: [] })).status).toBe(401);
});

describe('the quarantine', () => {
  let key: { id: string; value: string };

  const send = async (events: readonly unknown[]): Promise<void> => {
    const request = signedDelivery({ reporterId: 'router', secret: 'first', nowMs: at.clock.nowMs(), events });
    expect((await at.as(null)('POST', request.path, request.body, request.headers)).status).toBe(200);
  };
  const event = (model: string, changes: Readonly<Record<string, unknown>> = {}) =>
    wireEvent(key.value, { occurredAtMs: at.clock.nowMs() - 500, model }, changes);
  const spent = (): bigint => [...at.store.tables.accounts.values()].reduce((sum, account) => sum + account.spent, 0n);
  const declareModel = async (id: string): Promise<void> => {
    const model = { id, upstreams: [{ id: 'u1' }] };
    expect((await at.operator('POST', '/v1/x-castellan/models', model)).status).toBe(201);
    const price = { model_id: id, input_per_1m: 1, output_per_1m: 1 };
    expect((await at.operator('POST', '/v1/x-castellan/prices', price)).status).toBe(201);
  };

  beforeEach(async () => {
    await create({ secret: 'first' });
    key = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' });
    await at.operator('POST', '/v1/x-castellan/upstreams', { id: 'u1', base_url: 'http://127.0.0.1:9/v1' });
  });

  test('shows what is kept of each event, its key masked, and what is wrong with it', async () => {
    await send([event('m1', { event_id: 'a' }), { ...event('m1', { event_id: 'b' }), meters: 7 }]);
    const { json, text } = await at.operator('GET', `${BASE}/router/quarantine`);
    expect(json).toEqual({
      events: [
        {
          event_id: 'a',
          reason: 'unknown_model',
          received_at: '2026-04-09T00:00:00Z',
          masked_key: `${key.value.slice(0, 8)}${'*'.repeat(key.value.length - 8)}`,
          request_id: 'req-1',
          occurred_at: '2026-04-08T23:59:59.500Z',
          operation: 'router/model_request',
          model: 'm1',
          route: '/v1/chat/completions',
          customer_requests: 1,
          input_tokens: 11,
          cached_input_tokens: 4,
          output_tokens: 7,
          unknown_meter: null,
        },
        { event_id: 'b', reason: 'invalid', received_at: '2026-04-09T00:00:00Z', rule: 'meters must be a list' },
      ],
      has_more: false,
      next_cursor: null,
    });
    expect(text).not.toContain(key.value.slice(8));
  });

  test('tells the operator that a key is of another tenant, which the reporter is not told', async () => {
    const { value } = await at.addKey({ tenantId: 'other', memberId: 'ann', kind: 'inference' });
    await declareModel('m1');
    await send([event('m1', { api_key: value })]);
    expect((await at.operator('GET', `${BASE}/router/quarantine`)).json).toMatchObject({ events: [{ reason: 'foreign_tenant' }] });
    await at.operator('PATCH', `${BASE}/router`, { tenants: ['acme', 'other'] });
    expect((await at.operator('POST', `${BASE}/router/quarantine/retry`)).json).toMatchObject({ booked: 1, quarantined: 0 });
  });

  test('comes page by page', async () => {
    await send(['e', 'a', 'd', 'b', 'c'].map((id) => event('m1', { event_id: id })));
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = (await at.operator('GET', `${BASE}/router/quarantine?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)).json as {
        events: { event_id: string }[];
        has_more: boolean;
        next_cursor: string | null;
      };
      seen.push(...page.events.map(({ event_id }) => event_id));
      expect(page.has_more).toBe(page.next_cursor !== null);
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('a retry books what can be booked by now, once, at the moment at which it happened; and is audited', async () => {
    await send([event('m1', { event_id: 'a' }), event('m2', { event_id: 'b' })]);
    const happenedAtMs = at.clock.nowMs() - 500;
    at.clock.advance(86_400_000);
    expect((await at.operator('POST', `${BASE}/router/quarantine/retry`)).json).toEqual({
      booked: 0,
      quarantined: 2,
      has_more: false,
      next_cursor: null,
    });
    await declareModel('m1');
    expect((await at.operator('POST', `${BASE}/router/quarantine/retry`)).json).toMatchObject({ booked: 1, quarantined: 1 });
    const once = spent();
    expect(once).toBeGreaterThan(0n);
    expect((await at.operator('POST', `${BASE}/router/quarantine/retry`)).json).toMatchObject({ booked: 0, quarantined: 1 });
    await send([event('m1', { event_id: 'a' })]);
    expect(spent()).toBe(once);
    expect([...at.store.tables.usage.values()]).toMatchObject([{ id: 'report:router:a', atMs: happenedAtMs, model: 'm1' }]);
    expect((await at.operator('GET', `${BASE}/router/quarantine`)).json).toMatchObject({ events: [{ event_id: 'b' }] });
    expect(at.store.tables.audit.at(-1)).toMatchObject({ operation: 'retry-usage-reports', resourceId: 'router' });
  });

  test('a retry takes a thousand events at most, and says where the next one begins', async () => {
    const ids = Array.from({ length: 1002 }, (_, index) => `e${String(index).padStart(5, '0')}`);
    await send(ids.map((event_id) => event('m1', { event_id })));
    await declareModel('m1');
    const first = (await at.operator('POST', `${BASE}/router/quarantine/retry`)).json as { next_cursor: string };
    expect(first).toEqual({ booked: 1000, quarantined: 0, has_more: true, next_cursor: 'e00999' });
    const second = await at.operator('POST', `${BASE}/router/quarantine/retry?cursor=${first.next_cursor}`);
    expect(second.json).toEqual({ booked: 2, quarantined: 0, has_more: false, next_cursor: null });
  });

  test('400 and 404', async () => {
    await expectError(at.operator('GET', `${BASE}/router/quarantine?limit=0`), 400, 'limit');
    await expectError(at.operator('GET', `${BASE}/router/quarantine?x=1`), 400, 'x');
    await expectError(at.operator('POST', `${BASE}/router/quarantine/retry?x=1`), 400, 'x');
    await expectError(at.operator('GET', `${BASE}/nobody/quarantine`), 404);
    await expectError(at.operator('POST', `${BASE}/nobody/quarantine/retry`), 404);
  });
});
