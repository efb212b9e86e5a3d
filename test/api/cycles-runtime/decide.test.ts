import { afterAll, beforeAll, expect, test } from 'vitest';
import { codeOf, makeRuntime, type Runtime } from './runtime-harness.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await makeRuntime();
  await runtime.makeBudget('tenant:acme', 10);
});
afterAll(() => runtime.close());

const agent = (name: string): Record<string, unknown> => ({ subject: { tenant: 'acme', agent: name } });

test('what would be held is allowed, and nothing is held', async () => {
  expect((await runtime.decide(agent('a'))).json).toEqual({ decision: 'ALLOW', affected_scopes: ['tenant:acme', 'tenant:acme/agent:a'] });
  expect(await runtime.budget('tenant:acme')).toMatchObject({ reserved: 0 });
});

test.each<[string, string, (scope: string) => Promise<unknown>]>([
  ['too little left', 'BUDGET_EXCEEDED', (scope) => runtime.makeBudget(scope, 9)],
  [
    'a frozen budget',
    'BUDGET_FROZEN',
    async (scope) => {
      await runtime.makeBudget(scope, 100);
      await runtime.operator('POST', `/v1/admin/budgets/freeze?scope=${scope}&unit=TOKENS`, {});
    },
  ],
  [
    'debt',
    'DEBT_OUTSTANDING',
    async (scope) => {
      await runtime.makeBudget(scope, 5, { overdraft_limit: { unit: 'TOKENS', amount: 5 } });
      const account = runtime.store.tables.accounts.get(`acme|budget|${scope}|TOKENS|` as never);
      runtime.store.tables.accounts.set(`acme|budget|${scope}|TOKENS|` as never, { ...account, debt: 2n, overdraftLimit: 0n } as never);
    },
  ],
  [
    'being over the limit',
    'OVERDRAFT_LIMIT_EXCEEDED',
    async (scope) => {
      await runtime.makeBudget(scope, 100);
      const account = runtime.store.tables.accounts.get(`acme|budget|${scope}|TOKENS|` as never);
      runtime.store.tables.accounts.set(`acme|budget|${scope}|TOKENS|` as never, { ...account, isOverLimit: true } as never);
    },
  ],
])('%s is a denial with the reason %s, never an error', async (_what, reason, prepare) => {
  const name = reason.toLowerCase().replaceAll('_', '-');
  await prepare(`tenant:acme/agent:${name}`);
  const answer = await runtime.decide(agent(name));
  expect(answer.json).toEqual({ decision: 'DENY', reason_code: reason, affected_scopes: ['tenant:acme', `tenant:acme/agent:${name}`] });
});

test('no budget at all is a denial; a budget in another unit is a fault of the request', async () => {
  const subject = { agent: 'nobody' };
  expect((await runtime.decide({ subject })).json).toMatchObject({ decision: 'DENY', reason_code: 'BUDGET_NOT_FOUND' });
  const wrong = await runtime.decide({ subject: { tenant: 'acme' }, estimate: { unit: 'CREDITS', amount: 1 } });
  expect([wrong.status, codeOf(wrong)]).toEqual([400, 'UNIT_MISMATCH']);
});

test('a repeat gets the decision as it was; its keys are not those of reservations', async () => {
  const body = runtime.hold(agent('repeat'));
  const first = await runtime.decide(body);
  expect(codeOf(await runtime.reserve(body))).toBe(200);
  expect((await runtime.decide(body)).text).toBe(first.text);
  expect(codeOf(await runtime.decide({ ...body, estimate: { unit: 'TOKENS', amount: 1 } }))).toBe('IDEMPOTENCY_MISMATCH');
});

test('fields that only reservations have are unknown', async () => {
  expect(codeOf(await runtime.decide({ ttl_ms: 5000 }))).toBe('INVALID_REQUEST');
  expect(codeOf(await runtime.decide({ dry_run: true }))).toBe('INVALID_REQUEST');
});

test('a tenant whose state nobody knows is a fault of ours, and allows nothing', async () => {
  await runtime.makeTenant('odd');
  await runtime.makeBudget('tenant:odd', 100);
  const key = await runtime.keyOf('odd');
  const tenant = runtime.store.tables.records.get('tenant odd');
  runtime.store.tables.records.set('tenant odd', { ...tenant, status: 'WEIRD' } as never);
  const asked = { subject: { tenant: 'odd' } };
  for (const answer of [await runtime.decide(asked, key), await runtime.reserve(asked, key)]) {
    expect([answer.status, codeOf(answer)]).toEqual([500, 'INTERNAL_ERROR']);
  }
});
