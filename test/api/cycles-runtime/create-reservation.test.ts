import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { INT64_MAX } from '../../../src/core/int64.ts';
import { codeOf, makeRuntime, type Runtime } from './runtime-harness.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await makeRuntime();
  await runtime.makeTenant('other');
});
afterAll(() => runtime.close());

/** A new app below the tenant, so that tests do not see each other's budgets. */
let apps = 0;
const newApp = (): { path: string; subject: Record<string, string> } => {
  apps += 1;
  return { path: `tenant:acme/app:a${apps}`, subject: { tenant: 'acme', app: `a${apps}` } };
};

describe('200', () => {
  test('an amount is held on every budget of the scopes, and the answer has this shape and no other', async () => {
    const runtime_ = await makeRuntime();
    await runtime_.makeBudget('tenant:acme', 100);
    await runtime_.makeBudget('tenant:acme/app:bot', 50);
    const answer = await runtime_.reserve({ subject: { tenant: 'acme', app: 'Bot', agent: 'a1' }, ttl_ms: 5000 });
    expect(answer.json).toEqual({
      decision: 'ALLOW',
      reservation_id: expect.stringMatching(/^rsv_/) as string,
      affected_scopes: ['tenant:acme', 'tenant:acme/app:bot', 'tenant:acme/app:bot/agent:a1'],
      scope_path: 'tenant:acme/app:bot/agent:a1',
      expires_at_ms: runtime_.clock.nowMs() + 5000,
      remaining_ttl_ms: 5000,
      reserved: { unit: 'TOKENS', amount: 10 },
      balances: [
        {
          scope: 'tenant:acme',
          scope_path: 'tenant:acme',
          remaining: { unit: 'TOKENS', amount: 90 },
          reserved: { unit: 'TOKENS', amount: 10 },
          spent: { unit: 'TOKENS', amount: 0 },
          allocated: { unit: 'TOKENS', amount: 100 },
        },
        {
          scope: 'app:bot',
          scope_path: 'tenant:acme/app:bot',
          remaining: { unit: 'TOKENS', amount: 40 },
          reserved: { unit: 'TOKENS', amount: 10 },
          spent: { unit: 'TOKENS', amount: 0 },
          allocated: { unit: 'TOKENS', amount: 50 },
        },
      ],
    });
    expect(answer.headers['x-cycles-tenant']).toBe('acme');
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    await runtime_.close();
  });

  test('the repeat of a request gets the first answer, byte for byte but for what is left of its time', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const body = runtime.hold({ subject, ttl_ms: 60_000 });
    const first = await runtime.reserve(body);
    runtime.clock.advance(1500);
    await runtime.made({ subject });
    const again = await runtime.reserve(body);
    expect(again.text).toBe(first.text.replace('"remaining_ttl_ms":60000', '"remaining_ttl_ms":58500'));
    expect(await runtime.budget(path)).toMatchObject({ reserved: 20, remaining: 80 });
  });

  test('what is left of its time is 0 once it holds no more', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const body = runtime.hold({ subject });
    const { reservation_id: id } = (await runtime.reserve(body)).json as { reservation_id: string };
    await runtime.commit(id, 10);
    expect((await runtime.reserve(body)).json).toMatchObject({ reservation_id: id, remaining_ttl_ms: 0 });
  });

  test('space, the order of fields and of metadata make no other request; a changed digit past 2^53 does', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const key = 'canonical-1';
    const text = (metadata: string): string =>
      `{"idempotency_key":"${key}","subject":${JSON.stringify(subject)},"action":{"kind":"k","name":"n"},"estimate":{"unit":"TOKENS","amount":1},"metadata":${metadata}}`;
    const send = (body: string) => runtime.ask('createReservation', runtime.key, 'POST', '/v1/reservations', body);
    const first = await send(text('{"a":1,"b":9007199254740993}'));
    expect(first.status).toBe(200);
    const again = await send(text(' { "b" : 9007199254740993, "a" : 1 } '));
    expect(again.text).toBe(first.text);
    expect(codeOf(await send(text('{"a":1,"b":9007199254740992}')))).toBe('IDEMPOTENCY_MISMATCH');
  });

  test('a subject without its tenant derives no tenant scope, and two subjects are one whatever their case', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 20);
    const answer = await runtime.reserve({ subject: { tenant: 'ACME', app: subject['app']?.toUpperCase() } });
    expect(answer.json).toMatchObject({ scope_path: path });
    expect(codeOf(await runtime.reserve({ subject: { app: subject['app'] } }))).toBe('NOT_FOUND');
  });

  test('amounts of 64 bits are held to the digit', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, INT64_MAX, { unit: 'CREDITS' });
    const estimate = { unit: 'CREDITS', amount: INT64_MAX - 1n };
    const answer = await runtime.reserve({ subject, estimate });
    expect(answer.text).toContain('"reserved":{"unit":"CREDITS","amount":9223372036854775806}');
    expect(answer.text).toContain('"remaining":{"unit":"CREDITS","amount":1}');
    expect(await runtime.budget(path, 'CREDITS')).toMatchObject({ reserved: INT64_MAX - 1n });
  });

  test('the time to live is the tenant’s where nothing is said, and cut to its longest where too much is', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const ttlOf = async (parts: object): Promise<unknown> =>
      ((await runtime.reserve({ subject, ...parts })).json as { remaining_ttl_ms: unknown }).remaining_ttl_ms;
    expect(await ttlOf({})).toBe(60_000);
    expect(await ttlOf({ ttl_ms: 86_400_000 })).toBe(3_600_000);
    await runtime.patchTenant('acme', { default_reservation_ttl_ms: 7000, max_reservation_ttl_ms: 9000 });
    expect(await ttlOf({})).toBe(7000);
    expect(await ttlOf({ ttl_ms: 10_000 })).toBe(9000);
    await runtime.patchTenant('acme', { default_reservation_ttl_ms: 60_000, max_reservation_ttl_ms: 3_600_000 });
  });
});

describe('409, by the first budget from the widest scope on that refuses', () => {
  test('frozen, closed, over the limit, in debt, exceeded: each has its own code and tells its scope', async () => {
    const { path, subject } = newApp();
    const agent = { ...subject, agent: 'x' };
    await runtime.makeBudget(path, 5);
    await runtime.makeBudget(`${path}/agent:x`, 100);
    const short = await runtime.reserve({ subject: agent });
    expect(codeOf(short)).toBe('BUDGET_EXCEEDED');
    expect(short.status).toBe(409);
    expect((short.json as { message: string }).message).toContain(path);
    await runtime.operator('POST', `/v1/admin/budgets/freeze?scope=${path}/agent:x&unit=TOKENS`, {});
    expect(codeOf(await runtime.reserve({ subject: agent })), 'the wider scope is looked at first').toBe('BUDGET_EXCEEDED');
    expect(codeOf(await runtime.reserve({ subject: agent, estimate: { unit: 'TOKENS', amount: 1 } }))).toBe('BUDGET_FROZEN');
    await runtime.operator('POST', `/v1/admin/budgets/freeze?scope=${path}&unit=TOKENS`, {});
    expect(codeOf(await runtime.reserve({ subject: agent }))).toBe('BUDGET_FROZEN');
  });

  test('over the limit outranks debt, and debt refuses only where no overdraft is allowed', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 10, { overdraft_limit: { unit: 'TOKENS', amount: 50 } });
    expect((await runtime.event(30, { subject, overage_policy: 'ALLOW_WITH_OVERDRAFT' })).status).toBe(201);
    expect(
      codeOf(await runtime.reserve({ subject, estimate: { unit: 'TOKENS', amount: 1 } })),
      'debt is tolerated, the rest is short',
    ).toBe('BUDGET_EXCEEDED');
    await runtime.operator('POST', `/v1/admin/budgets/fund?tenant_id=acme&scope=${path}&unit=TOKENS`, {
      operation: 'CREDIT',
      amount: { unit: 'TOKENS', amount: 100 },
      idempotency_key: `c${path}`,
    });
    expect(codeOf(await runtime.reserve({ subject }))).toBe(200);
    await runtime.operator('PATCH', `/v1/admin/budgets?scope=${path}&unit=TOKENS`, { overdraft_limit: { unit: 'TOKENS', amount: 5 } });
    expect(codeOf(await runtime.reserve({ subject }))).toBe('OVERDRAFT_LIMIT_EXCEEDED');
  });

  test('nothing is held where one of several budgets is short', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    await runtime.makeBudget(`${path}/agent:y`, 5);
    expect(codeOf(await runtime.reserve({ subject: { ...subject, agent: 'y' } }))).toBe('BUDGET_EXCEEDED');
    expect([(await runtime.budget(path))['reserved'], (await runtime.budget(`${path}/agent:y`))['reserved']]).toEqual([0, 0]);
  });

  test('a refusal is not remembered: the same request goes through once there is enough', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 5);
    const body = runtime.hold({ subject });
    expect(codeOf(await runtime.reserve(body))).toBe('BUDGET_EXCEEDED');
    await runtime.operator('POST', `/v1/admin/budgets/fund?tenant_id=acme&scope=${path}&unit=TOKENS`, {
      operation: 'CREDIT',
      amount: { unit: 'TOKENS', amount: 100 },
      idempotency_key: `d${path}`,
    });
    expect(codeOf(await runtime.reserve(body))).toBe(200);
  });

  test('a key of idempotency with another body is a mismatch', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const body = runtime.hold({ subject });
    await runtime.reserve(body);
    expect(codeOf(await runtime.reserve({ ...body, estimate: { unit: 'TOKENS', amount: 11 } }))).toBe('IDEMPOTENCY_MISMATCH');
  });
});

describe('404 and 400, where no budget covers', () => {
  test('404 where there is none in any unit, 400 with the units that there are where one is in another', async () => {
    const { path, subject } = newApp();
    const missing = await runtime.reserve({ subject });
    expect([missing.status, codeOf(missing)]).toEqual([404, 'NOT_FOUND']);
    expect((missing.json as { message: string }).message).toBe(`Budget not found for provided scope: ${path}`);
    await runtime.makeBudget(path, 1, { unit: 'CREDITS' });
    await runtime.makeBudget(path, 1, { unit: 'USD_MICROCENTS' });
    const wrong = await runtime.reserve({ subject });
    expect([wrong.status, codeOf(wrong)]).toEqual([400, 'UNIT_MISMATCH']);
    expect((wrong.json as { details: unknown }).details).toEqual({
      scope: path,
      requested_unit: 'TOKENS',
      expected_units: ['USD_MICROCENTS', 'CREDITS'],
    });
  });
});

describe('a dry run', () => {
  test('tells what a reservation would come to, and changes nothing', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 15);
    const allowed = await runtime.reserve({ subject, dry_run: true });
    expect(allowed.json).toEqual({
      decision: 'ALLOW',
      affected_scopes: ['tenant:acme', path],
      scope_path: path,
      reserved: { unit: 'TOKENS', amount: 10 },
      balances: [expect.objectContaining({ scope_path: path, remaining: { unit: 'TOKENS', amount: 15 } })],
    });
    const denied = await runtime.reserve({ subject, dry_run: true, estimate: { unit: 'TOKENS', amount: 16 } });
    expect(denied.json).toMatchObject({ decision: 'DENY', reason_code: 'BUDGET_EXCEEDED', affected_scopes: ['tenant:acme', path] });
    expect(denied.json).not.toHaveProperty('reserved');
    expect(await runtime.budget(path)).toMatchObject({ reserved: 0, remaining: 15 });
  });

  test('what would be missing is a denial, what is wrong in the request is not', async () => {
    const { path, subject } = newApp();
    const missing = await runtime.reserve({ subject, dry_run: true });
    expect(missing.json).toMatchObject({ decision: 'DENY', reason_code: 'BUDGET_NOT_FOUND', affected_scopes: ['tenant:acme', path] });
    await runtime.makeBudget(path, 1, { unit: 'CREDITS' });
    expect(codeOf(await runtime.reserve({ subject, dry_run: true }))).toBe('UNIT_MISMATCH');
  });

  test('shares its keys with reservations that are made, in both directions', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const body = runtime.hold({ subject, dry_run: true });
    const first = await runtime.reserve(body);
    expect((await runtime.reserve(body)).text).toBe(first.text);
    expect(codeOf(await runtime.reserve({ ...body, dry_run: false }))).toBe('IDEMPOTENCY_MISMATCH');
    const live = runtime.hold({ subject });
    await runtime.reserve(live);
    expect(codeOf(await runtime.reserve({ ...live, dry_run: true }))).toBe('IDEMPOTENCY_MISMATCH');
  });
});

describe('400', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an unknown field', { surprise: 1 }, 'surprise'],
    ['an unknown field of the subject', { subject: { tenant: 'acme', team: 'x' } }, 'subject.team'],
    ['a subject of dimensions alone', { subject: { dimensions: { a: 'b' } } }, 'subject'],
    ['a subject of blanks', { subject: { tenant: '', app: ' ' } }, 'subject'],
    ['a delimiter in a level', { subject: { tenant: 'acme', app: 'a/b' } }, 'subject.app'],
    [
      'seventeen dimensions',
      { subject: { tenant: 'acme', dimensions: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`d${i}`, 'x'])) } },
      'subject.dimensions',
    ],
    ['a dimension of 257 characters', { subject: { tenant: 'acme', dimensions: { a: 'x'.repeat(257) } } }, 'subject.dimensions'],
    ['a level of 129 characters', { subject: { tenant: 'acme', app: 'a'.repeat(129) } }, 'subject.app'],
    ['an empty key', { idempotency_key: '' }, 'idempotency_key'],
    ['a key of 257 characters', { idempotency_key: 'k'.repeat(257) }, 'idempotency_key'],
    ['an action kind of 65 characters', { action: { kind: 'k'.repeat(65), name: 'n' } }, 'action.kind'],
    ['an action name of 257 characters', { action: { kind: 'k', name: 'n'.repeat(257) } }, 'action.name'],
    ['eleven tags', { action: { kind: 'k', name: 'n', tags: Array(11).fill('t') } }, 'action.tags'],
    ['a negative amount', { estimate: { unit: 'TOKENS', amount: -1 } }, 'estimate.amount'],
    ['an amount past 64 bits', { estimate: { unit: 'TOKENS', amount: INT64_MAX + 1n } }, 'estimate.amount'],
    ['a fraction as amount', { estimate: { unit: 'TOKENS', amount: 1.5 } }, 'estimate.amount'],
    ['a text as amount', { estimate: { unit: 'TOKENS', amount: '5' } }, 'estimate.amount'],
    ['an unknown unit', { estimate: { unit: 'EUROS', amount: 5 } }, 'estimate.unit'],
    ['999 milliseconds to live', { ttl_ms: 999 }, 'ttl_ms'],
    ['more than a day to live', { ttl_ms: 86_400_001 }, 'ttl_ms'],
    ['a minute and a bit of grace', { grace_period_ms: 60_001 }, 'grace_period_ms'],
    ['a negative grace', { grace_period_ms: -1 }, 'grace_period_ms'],
    ['an unknown overage policy', { overage_policy: 'ALLOW' }, 'overage_policy'],
    ['null as dry_run', { dry_run: null }, 'dry_run'],
    ['metadata that is a list', { metadata: [] }, 'metadata'],
  ])('%s is refused, and the answer names it', async (_what, parts, field) => {
    const answer = await runtime.reserve(parts);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
    expect(JSON.stringify(answer.json)).toContain(field);
  });

  test.each<[string, Record<string, unknown>]>([
    ['the longest key', { idempotency_key: 'k'.repeat(256) }],
    ['the longest level', { subject: { tenant: 'acme', app: 'a'.repeat(128) } }],
    [
      'sixteen dimensions of 256 characters',
      { subject: { tenant: 'acme', dimensions: Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`d${i}`, 'x'.repeat(256)])) } },
    ],
    ['ten tags of 64 characters', { action: { kind: 'k'.repeat(64), name: 'n'.repeat(256), tags: Array(10).fill('t'.repeat(64)) } }],
    ['nothing at all', { estimate: { unit: 'TOKENS', amount: 0 } }],
    ['a second to live without grace', { ttl_ms: 1000, grace_period_ms: 0 }],
    ['a day to live with a minute of grace', { ttl_ms: 86_400_000, grace_period_ms: 60_000 }],
  ])('%s is taken', async (_what, parts) => {
    const own = await makeRuntime();
    await own.makeBudget('tenant:acme', 100);
    expect(codeOf(await own.reserve(parts))).toBe(200);
    await own.close();
  });

  test('a key in the header must be the one of the body', async () => {
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const body = runtime.hold({ subject });
    const send = (header: string) =>
      runtime.ask('createReservation', runtime.key, 'POST', '/v1/reservations', body, { 'x-idempotency-key': header });
    expect(codeOf(await send('another'))).toBe('INVALID_REQUEST');
    expect(codeOf(await send(body['idempotency_key'] as string))).toBe(200);
  });

  test.each(['{', '[]', '"text"', 'null', ''])('%j is no body', async (text) => {
    const answer = await runtime.ask('createReservation', runtime.key, 'POST', '/v1/reservations', text);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
  });
});

describe('401 and 403', () => {
  test('without a key, with a bad one, with the operator’s: 401', async () => {
    const body = runtime.hold();
    for (const sender of [runtime.as(null), runtime.cycles('cyc_live_nobodys'), runtime.operator]) {
      const answer = await runtime.ask('createReservation', sender, 'POST', '/v1/reservations', body);
      expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHORIZED']);
    }
  });

  test('another tenant’s subject, a missing permission, a scope outside of the key’s filter: 403', async () => {
    const foreign = await runtime.reserve({ subject: { tenant: 'other' } });
    expect([foreign.status, codeOf(foreign)]).toEqual([403, 'FORBIDDEN']);
    const reader = await runtime.keyOf('acme', { permissions: ['balances:read'] });
    expect(codeOf(await runtime.reserve({}, reader))).toBe('FORBIDDEN');
    const { path, subject } = newApp();
    await runtime.makeBudget(path, 100);
    const held = await runtime.keyOf('acme', { scope_filter: [`app:${subject['app']}`] });
    expect(codeOf(await runtime.reserve({ subject }, held))).toBe(200);
    expect(codeOf(await runtime.reserve({ subject: { tenant: 'acme' } }, held))).toBe('FORBIDDEN');
  });

  test('nothing new of a suspended tenant', async () => {
    await runtime.makeTenant('quiet');
    await runtime.makeBudget('tenant:quiet', 100);
    const key = await runtime.keyOf('quiet');
    const body = runtime.hold({ subject: { tenant: 'quiet' } });
    expect(codeOf(await runtime.reserve(body, key))).toBe(200);
    await runtime.patchTenant('quiet', { status: 'SUSPENDED' });
    const answer = await runtime.reserve({ subject: { tenant: 'quiet' } }, key);
    expect([answer.status, codeOf(answer)]).toEqual([403, 'FORBIDDEN']);
    expect(codeOf(await runtime.reserve(body, key)), 'a repeat gets its answer').toBe(200);
    const dry = await runtime.reserve({ subject: { tenant: 'quiet' }, dry_run: true }, key);
    expect(dry.json).toMatchObject({ decision: 'DENY', reason_code: 'TENANT_SUSPENDED' });
  });
});
