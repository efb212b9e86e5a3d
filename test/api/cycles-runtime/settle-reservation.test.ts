import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { INT64_MAX } from '../../../src/core/int64.ts';
import { codeOf, makeRuntime, type Runtime, type Sender } from './runtime-harness.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await makeRuntime();
  await runtime.makeTenant('other');
});
afterAll(() => runtime.close());

let apps = 0;
let path = '';
let subject: Record<string, string> = {};
beforeEach(async () => {
  apps += 1;
  path = `tenant:acme/app:a${apps}`;
  subject = { tenant: 'acme', app: `a${apps}` };
  await runtime.makeBudget(path, 100);
});

const tokens = (amount: number | bigint): unknown => ({ unit: 'TOKENS', amount });

describe('commit', () => {
  test('charges less than the hold and returns the rest; the answer has this shape and no other', async () => {
    const id = await runtime.made({ subject });
    const answer = await runtime.commit(id, 7);
    expect(answer.json).toEqual({
      status: 'COMMITTED',
      charged: tokens(7),
      released: tokens(3),
      balances: [
        {
          scope: `app:a${apps}`,
          scope_path: path,
          remaining: tokens(93),
          reserved: tokens(0),
          spent: tokens(7),
          allocated: tokens(100),
        },
      ],
    });
  });

  test('of exactly the hold returns nothing, and says nothing of it', async () => {
    const answer = await runtime.commit(await runtime.made({ subject }), 10);
    expect(answer.json).not.toHaveProperty('released');
  });

  test.each([
    ['REJECT', 409, { remaining: 90, reserved: 10, spent: 0, debt: 0, over: false }],
    ['ALLOW_IF_AVAILABLE', 200, { remaining: 0, reserved: 0, spent: 100, debt: 0, over: true }],
    ['ALLOW_WITH_OVERDRAFT', 200, { remaining: -20, reserved: 0, spent: 100, debt: 20, over: false }],
  ] as const)('above the hold and all that is left, under %s: %s', async (overage_policy, status, after) => {
    if (overage_policy === 'ALLOW_WITH_OVERDRAFT')
      await runtime.operator('PATCH', `/v1/admin/budgets?scope=${path}&unit=TOKENS`, { overdraft_limit: tokens(20) });
    const id = await runtime.made({ subject, overage_policy });
    const answer = await runtime.commit(id, 120);
    expect(answer.status).toBe(status);
    expect(await runtime.budget(path)).toEqual({ allocated: 100, ...after });
    if (status === 409) expect(codeOf(await runtime.commit(id, 10)), 'the hold is still there').toBe(200);
  });

  test('past the overdraft limit is refused and changes nothing', async () => {
    await runtime.operator('PATCH', `/v1/admin/budgets?scope=${path}&unit=TOKENS`, { overdraft_limit: tokens(19) });
    const id = await runtime.made({ subject, overage_policy: 'ALLOW_WITH_OVERDRAFT' });
    expect(codeOf(await runtime.commit(id, 120))).toBe('OVERDRAFT_LIMIT_EXCEEDED');
    expect(await runtime.budget(path)).toMatchObject({ reserved: 10, spent: 0, debt: 0 });
  });

  test('the repeat gets the first answer, whatever happened since; another body or key does not', async () => {
    const id = await runtime.made({ subject });
    const body = { idempotency_key: 'the-commit', actual: tokens(4), metadata: { b: 1, a: 2 } };
    const first = await runtime.commit(id, 4, body);
    await runtime.made({ subject });
    expect((await runtime.commit(id, 4, { ...body, metadata: { a: 2, b: 1 } })).text).toBe(first.text);
    expect(codeOf(await runtime.commit(id, 5, { ...body, actual: tokens(5) }))).toBe('IDEMPOTENCY_MISMATCH');
    expect(codeOf(await runtime.commit(id, 4))).toBe('RESERVATION_FINALIZED');
    expect(codeOf(await runtime.release(id, { idempotency_key: 'the-commit' })), 'its keys are its own').toBe('RESERVATION_FINALIZED');
  });

  test('goes through to the last moment of the grace, on a frozen budget and for a suspended tenant', async () => {
    const id = await runtime.made({ subject, ttl_ms: 1000, grace_period_ms: 500 });
    const late = await runtime.made({ subject, ttl_ms: 1000, grace_period_ms: 499 });
    await runtime.operator('POST', `/v1/admin/budgets/freeze?scope=${path}&unit=TOKENS`, {});
    await runtime.patchTenant('acme', { status: 'SUSPENDED' });
    runtime.clock.advance(1500);
    expect(codeOf(await runtime.commit(id, 10))).toBe(200);
    const gone = await runtime.commit(late, 10);
    expect([gone.status, codeOf(gone)]).toEqual([410, 'RESERVATION_EXPIRED']);
    await runtime.patchTenant('acme', { status: 'ACTIVE' });
  });

  test('what was reserved without a budget there is not charged to one that came later', async () => {
    const id = await runtime.made({ subject: { ...subject, agent: 'x' } });
    await runtime.makeBudget(`${path}/agent:x`, 100);
    const answer = await runtime.commit(id, 10);
    expect((answer.json as { balances: { scope_path: string }[] }).balances.map(({ scope_path }) => scope_path)).toEqual([path]);
    expect(await runtime.budget(`${path}/agent:x`)).toMatchObject({ spent: 0 });
  });

  test('in another unit is 400 with both units; an unknown reservation 404; another tenant’s 403', async () => {
    const id = await runtime.made({ subject });
    const wrong = await runtime.commit(id, 1, { actual: { unit: 'CREDITS', amount: 1 } });
    expect([wrong.status, codeOf(wrong)]).toEqual([400, 'UNIT_MISMATCH']);
    expect((wrong.json as { details: unknown }).details).toMatchObject({
      scope: path,
      requested_unit: 'CREDITS',
      expected_units: ['TOKENS'],
    });
    expect(codeOf(await runtime.commit('rsv_nobodys', 1))).toBe('NOT_FOUND');
    const stranger = await runtime.keyOf('other');
    for (const refused of [
      await runtime.commit(id, 1, {}, stranger),
      await runtime.release(id, {}, stranger),
      await runtime.extend(id, 1, {}, stranger),
    ])
      expect([refused.status, codeOf(refused)]).toEqual([403, 'FORBIDDEN']);
  });

  test.each([
    ['an unknown field', { surprise: true }],
    ['unknown metrics', { metrics: { tokens: 1 } }],
    ['negative metrics', { metrics: { tokens_input: -1 } }],
    ['a model version of 129 characters', { metrics: { model_version: 'v'.repeat(129) } }],
    ['an amount past 64 bits', { actual: tokens(INT64_MAX + 1n) }],
    ['no amount', { actual: { unit: 'TOKENS' } }],
  ])('%s is refused and settles nothing', async (_what, parts) => {
    const id = await runtime.made({ subject });
    expect(codeOf(await runtime.commit(id, 1, parts))).toBe('INVALID_REQUEST');
    expect(codeOf(await runtime.release(id))).toBe(200);
  });

  test('a path longer than an id may be is 400', async () => {
    expect(codeOf(await runtime.commit('r'.repeat(129), 1))).toBe('INVALID_REQUEST');
    expect(codeOf(await runtime.commit('r'.repeat(128), 1))).toBe('NOT_FOUND');
  });
});

describe('release', () => {
  test('returns the whole hold, once; its repeat says the same', async () => {
    const id = await runtime.made({ subject });
    const first = await runtime.release(id, { idempotency_key: 'r', reason: 'x'.repeat(256) });
    expect(first.json).toMatchObject({ status: 'RELEASED', released: tokens(10), balances: [{ remaining: tokens(100) }] });
    expect((await runtime.release(id, { idempotency_key: 'r', reason: 'x'.repeat(256) })).text).toBe(first.text);
    expect(codeOf(await runtime.release(id))).toBe('RESERVATION_FINALIZED');
    expect(codeOf(await runtime.release(id, { reason: 'x'.repeat(257) }))).toBe('INVALID_REQUEST');
  });

  test('the operator may release anybody’s, which leaves a row in the audit of its tenant in the same breath', async () => {
    const id = await runtime.made({ subject });
    const answer = await runtime.release(id, { reason: '[INCIDENT_FORCE_RELEASE]' }, runtime.operator);
    expect(answer.json).toMatchObject({ status: 'RELEASED', released: tokens(10) });
    const row = runtime.store.tables.audit.at(-1);
    expect(row).toMatchObject({
      operation: 'releaseReservation',
      tenantId: 'acme',
      actorKind: 'operator',
      resourceId: id,
      code: null,
      metadata: { actor_type: 'admin_on_behalf_of', reason: '[INCIDENT_FORCE_RELEASE]' },
    });
    const logs = await runtime.operator('GET', `/v1/admin/audit/logs?tenant_id=acme&operation=releaseReservation`);
    expect(JSON.stringify(logs.json)).toContain(id);
    expect(codeOf(await runtime.release('rsv_nobodys', {}, runtime.operator))).toBe('NOT_FOUND');
  });

  test('a key with the wrong permission may neither release, commit nor extend', async () => {
    const id = await runtime.made({ subject });
    const creator = await runtime.keyOf('acme', { permissions: ['reservations:create'] });
    for (const refused of [
      await runtime.commit(id, 1, {}, creator),
      await runtime.release(id, {}, creator),
      await runtime.extend(id, 1, {}, creator),
    ])
      expect([refused.status, codeOf(refused)]).toEqual([403, 'FORBIDDEN']);
  });

  test('a key that is held to other scopes may not settle it', async () => {
    const id = await runtime.made({ subject });
    const elsewhere = await runtime.keyOf('acme', { scope_filter: ['app:elsewhere'] });
    expect(codeOf(await runtime.commit(id, 1, {}, elsewhere))).toBe('FORBIDDEN');
    const here = await runtime.keyOf('acme', { scope_filter: [`app:a${apps}`] });
    expect(codeOf(await runtime.commit(id, 1, {}, here))).toBe(200);
  });
});

describe('extend', () => {
  test('adds to the present expiry, leaves the hold as it is, and its repeat tells what is left now', async () => {
    const id = await runtime.made({ subject, ttl_ms: 10_000 });
    const expiresAt = runtime.clock.nowMs() + 10_000;
    runtime.clock.advance(4000);
    const first = await runtime.extend(id, 5000, { idempotency_key: 'beat' });
    expect(first.json).toEqual({
      status: 'ACTIVE',
      expires_at_ms: expiresAt + 5000,
      remaining_ttl_ms: 11_000,
      balances: [expect.objectContaining({ scope_path: path, reserved: tokens(10) })],
    });
    runtime.clock.advance(1000);
    expect((await runtime.extend(id, 5000, { idempotency_key: 'beat' })).text).toBe(first.text.replace('11000', '10000'));
    await runtime.release(id);
    expect((await runtime.extend(id, 5000, { idempotency_key: 'beat' })).json).toMatchObject({ remaining_ttl_ms: 0 });
  });

  test('not in the grace, not once it is settled, and no more often than the tenant allowed when it was made', async () => {
    await runtime.patchTenant('acme', { max_reservation_extensions: 1 });
    const id = await runtime.made({ subject, ttl_ms: 1000 });
    const settled = await runtime.made({ subject });
    await runtime.patchTenant('acme', { max_reservation_extensions: 10 });
    runtime.clock.advance(1000);
    expect(codeOf(await runtime.extend(id, 500)), 'at the very end').toBe(200);
    expect(codeOf(await runtime.extend(id, 500))).toBe('MAX_EXTENSIONS_EXCEEDED');
    runtime.clock.advance(501);
    const late = await runtime.extend(id, 500);
    expect([late.status, codeOf(late)]).toEqual([410, 'RESERVATION_EXPIRED']);
    await runtime.commit(settled, 1);
    expect(codeOf(await runtime.extend(settled, 500))).toBe('RESERVATION_FINALIZED');
  });

  test.each([0, -1, 1.5, 86_400_001])('by %s is refused', async (byMs) => {
    expect(codeOf(await runtime.extend(await runtime.made({ subject }), byMs))).toBe('INVALID_REQUEST');
  });
});

describe('the rule for reservations whose time is over', () => {
  const sweep = async (): Promise<string[]> => {
    const due = await runtime.store.expiredReservations({ limit: 100 });
    for (const { id, tenantId } of due) await runtime.writer.execute({ verb: 'expire', id: `cmd_${id}`, tenantId, reservationId: id });
    return due.map(({ id }) => id);
  };

  /** A tenant under a rule, which is its own for good, with one reservation that ends in a second. */
  async function reservedUnder(reservation_expiry_policy: string): Promise<{ id: string; tenant: string; key: Sender }> {
    const tenant = `t-${reservation_expiry_policy.toLowerCase().replace('_', '-')}`;
    await runtime.makeTenant(tenant, { reservation_expiry_policy });
    await runtime.makeBudget(`tenant:${tenant}`, 100);
    const key = await runtime.keyOf(tenant);
    const made = await runtime.reserve({ subject: { tenant }, ttl_ms: 1000, grace_period_ms: 100 }, key);
    return { id: (made.json as { reservation_id: string }).reservation_id, tenant, key };
  }

  test.each(['AUTO_RELEASE', 'GRACE_ONLY'])('%s: it holds through its grace, then its hold is returned and it is EXPIRED', async (rule) => {
    const { id, tenant, key } = await reservedUnder(rule);
    runtime.clock.advance(1100);
    expect(await sweep()).not.toContain(id);
    runtime.clock.advance(1);
    expect(await sweep()).toContain(id);
    expect(await runtime.budget(`tenant:${tenant}`)).toMatchObject({ reserved: 0, remaining: 100 });
    const answer = await runtime.ask('getReservation', key, 'GET', `/v1/reservations/${id}`);
    expect([answer.status, codeOf(answer)]).toEqual([410, 'RESERVATION_EXPIRED']);
    expect(codeOf(await runtime.release(id, {}, key))).toBe('RESERVATION_EXPIRED');
  });

  test('MANUAL_CLEANUP: no sweep looks at it; it holds until somebody releases it, and cannot be committed any more', async () => {
    const { id, tenant, key } = await reservedUnder('MANUAL_CLEANUP');
    runtime.clock.advance(3_600_000);
    expect(await sweep()).not.toContain(id);
    await runtime.writer.execute({ verb: 'expire', id: 'cmd_by_hand', tenantId: tenant, reservationId: id });
    expect(await runtime.budget(`tenant:${tenant}`)).toMatchObject({ reserved: 10 });
    expect(codeOf(await runtime.commit(id, 10, {}, key))).toBe('RESERVATION_EXPIRED');
    expect(codeOf(await runtime.extend(id, 1000, {}, key))).toBe('RESERVATION_EXPIRED');
    expect(codeOf(await runtime.release(id, {}, key))).toBe(200);
    expect(await runtime.budget(`tenant:${tenant}`)).toMatchObject({ reserved: 0 });
  });
});
