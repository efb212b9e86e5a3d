import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { INT64_MAX } from '../../../src/core/int64.ts';
import { codeOf, makeRuntime, type Runtime } from './runtime-harness.ts';

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

test('a spend is booked on every budget at once; 201, and the answer has this shape and no other', async () => {
  await runtime.makeBudget(`${path}/agent:x`, 50);
  const answer = await runtime.event(30, { subject: { ...subject, agent: 'x' }, metrics: { tokens_input: 3 }, client_time_ms: 0 });
  expect(answer.status).toBe(201);
  expect(answer.json).toEqual({
    status: 'APPLIED',
    event_id: expect.stringMatching(/^evt_/) as string,
    balances: [
      expect.objectContaining({ scope_path: path, spent: tokens(30), remaining: tokens(70) }),
      expect.objectContaining({ scope_path: `${path}/agent:x`, spent: tokens(30), remaining: tokens(20) }),
    ],
  });
});

test('its repeat is 201 with the same answer, and books nothing', async () => {
  const body = { subject, idempotency_key: `once-${apps}` };
  const first = await runtime.event(30, body);
  await runtime.event(1, { subject });
  const again = await runtime.event(30, body);
  expect([again.status, again.text]).toEqual([201, first.text]);
  expect(await runtime.budget(path)).toMatchObject({ spent: 31 });
  expect(codeOf(await runtime.event(31, body))).toBe('IDEMPOTENCY_MISMATCH');
});

test('more than is left: capped and said so, or owed, or refused', async () => {
  const capped = await runtime.event(120, { subject });
  expect(capped.json).toMatchObject({ charged: tokens(100), balances: [{ is_over_limit: true }] });
  await runtime.makeBudget(`${path}/agent:rich`, 10, { overdraft_limit: tokens(50) });
  const owed = await runtime.event(5, { subject: { tenant: 'acme', app: `a${apps}`, agent: 'rich' }, overage_policy: 'REJECT' });
  expect(codeOf(owed), 'the wider budget is used up').toBe('BUDGET_EXCEEDED');
});

test('being over the limit and debt do not stand in its way; a frozen or closed budget does', async () => {
  await runtime.operator('PATCH', `/v1/admin/budgets?scope=${path}&unit=TOKENS`, { overdraft_limit: tokens(50) });
  expect(codeOf(await runtime.event(130, { subject, overage_policy: 'ALLOW_WITH_OVERDRAFT' }))).toBe(201);
  expect(await runtime.budget(path)).toMatchObject({ spent: 100, debt: 30 });
  expect(codeOf(await runtime.event(20, { subject, overage_policy: 'ALLOW_WITH_OVERDRAFT' }))).toBe(201);
  expect(codeOf(await runtime.event(1, { subject, overage_policy: 'ALLOW_WITH_OVERDRAFT' }))).toBe('OVERDRAFT_LIMIT_EXCEEDED');
  await runtime.operator('POST', `/v1/admin/budgets/freeze?scope=${path}&unit=TOKENS`, {});
  expect(codeOf(await runtime.event(1, { subject }))).toBe('BUDGET_FROZEN');
});

test('404 without a budget, 400 in another unit, 403 for another tenant, a missing permission, a suspended tenant', async () => {
  const missing = await runtime.event(1, { subject: { app: 'nowhere' } });
  expect([missing.status, codeOf(missing)]).toEqual([404, 'NOT_FOUND']);
  const wrong = await runtime.event(1, { subject, actual: { unit: 'CREDITS', amount: 1 } });
  expect([wrong.status, codeOf(wrong)]).toEqual([400, 'UNIT_MISMATCH']);
  expect((wrong.json as { details: unknown }).details).toEqual({ scope: path, requested_unit: 'CREDITS', expected_units: ['TOKENS'] });
  expect(codeOf(await runtime.event(1, { subject: { tenant: 'other' } }))).toBe('FORBIDDEN');
  expect(codeOf(await runtime.event(1, { subject }, await runtime.keyOf('acme', { permissions: ['balances:read'] })))).toBe('FORBIDDEN');
  expect(codeOf(await runtime.event(1, { subject }, await runtime.keyOf('acme', { permissions: ['events:create'] })))).toBe(201);
  await runtime.patchTenant('acme', { status: 'SUSPENDED' });
  expect(codeOf(await runtime.event(1, { subject }))).toBe('FORBIDDEN');
  await runtime.patchTenant('acme', { status: 'ACTIVE' });
});

test('the largest amount is capped to the digit', async () => {
  await runtime.makeBudget(path, 9_007_199_254_740_993n, { unit: 'CREDITS' });
  const answer = await runtime.event(1, { subject, actual: { unit: 'CREDITS', amount: INT64_MAX } });
  expect(answer.text).toContain('"charged":{"unit":"CREDITS","amount":9007199254740993}');
});

test.each([
  ['an estimate', { estimate: tokens(1) }],
  ['a negative client time', { client_time_ms: -1 }],
  ['a time to live', { ttl_ms: 1000 }],
])('%s is refused', async (_what, parts) => {
  const { estimate: _estimate, ...body } = runtime.hold({ subject });
  const answer = await runtime.ask('createEvent', runtime.key, 'POST', '/v1/events', { ...body, actual: tokens(1), ...parts });
  expect(codeOf(answer)).toBe('INVALID_REQUEST');
});
