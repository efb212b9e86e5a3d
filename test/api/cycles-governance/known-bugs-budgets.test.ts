import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeGovernance, type Checked, type Governance } from './budget-harness.ts';

// Faults that were met in the servers of this protocol, each by what keeps it away.

let app: Governance;

beforeAll(async () => {
  app = await makeGovernance();
});
afterAll(() => app.close());

const list = (query: string, sender = app.operator): Promise<Checked> =>
  app.ask('listBudgets', sender, 'GET', `/v1/admin/budgets?${query}`);
const scopesOf = (answer: Checked): string[] => (answer.body as { ledgers: { scope: string }[] }).ledgers.map(({ scope }) => scope);
const BIG = 2n ** 53n + 1n;

test('amounts beyond 2^53 keep every digit: in bodies, answers, lists and events', async () => {
  const scope = 'tenant:acme/app:big';
  const made = await app.makeBudget(scope, { allocated: BIG, overdraft_limit: BIG });
  expect(made.body).toMatchObject({ allocated: { amount: BIG }, remaining: { amount: BIG }, overdraft_limit: { amount: BIG } });
  const funded = await app.fund(scope, { operation: 'CREDIT', amount: { unit: 'TOKENS', amount: BIG } });
  expect(funded.body).toMatchObject({ previous_allocated: { amount: BIG }, new_allocated: { amount: 2n * BIG } });
  expect((await list(`scope_prefix=${scope}`)).body).toMatchObject({ ledgers: [{ allocated: { amount: 2n * BIG } }] });
  expect(app.eventsOf('budget.funded').at(-1)?.data).toMatchObject({
    previous_state: { allocated: BIG },
    new_state: { allocated: 2n * BIG },
  });
});

test('a credit past int64 is the request to blame, and changes nothing', async () => {
  const scope = 'tenant:acme/app:full';
  await app.makeBudget(scope, { allocated: 2n ** 63n - 1n });
  const refused = await app.fund(scope, { operation: 'CREDIT', amount: 1 });
  expect([refused.status, refused.body]).toEqual([400, expect.objectContaining({ error: 'INVALID_REQUEST' })]);
});

test('only the budgets that were short are marked as over their limit', async () => {
  const [short, ample] = ['tenant:acme/agent:short', 'tenant:acme'];
  await app.makeBudget(ample, { allocated: 1000 });
  await app.makeBudget(short, { allocated: 10 });
  const outcome = await app.writer.execute({
    verb: 'debit',
    id: app.ids.next('cmd'),
    tenantId: 'acme',
    debitId: app.ids.next('evt'),
    accounts: [`acme|budget|${ample}|TOKENS|` as never, `acme|budget|${short}|TOKENS|` as never],
    otherUnitAccounts: [],
    amount: 50n,
    overagePolicy: 'ALLOW_IF_AVAILABLE',
  });
  expect(outcome).toMatchObject({ ok: true, value: { charged: '10', capped: true } });
  expect(scopesOf(await list('over_limit=true'))).toEqual([short]);
  // And each transition of each of them was told once.
  expect(app.eventsOf('budget.over_limit_entered').map(({ event }) => event.scope)).toEqual([short]);
  expect(app.eventsOf('budget.exhausted').map(({ event }) => event.scope)).toEqual([short]);
  // Any funding looks again.
  await app.fund(short, { operation: 'CREDIT', amount: 1 });
  expect(scopesOf(await list('over_limit=true'))).toEqual([]);
});

test('scopes are found in letters of either case, however they were written', async () => {
  const made = await app.makeBudget('tenant:acme/Workspace:MiXed', { tenant_id: 'acme' });
  expect(made.body).toMatchObject({ scope: 'tenant:acme/workspace:mixed' });
  const found = await app.ask(
    'lookupBudget',
    app.operator,
    'GET',
    '/v1/admin/budgets/lookup?scope=Tenant:Acme/WORKSPACE:mixed&unit=TOKENS',
  );
  expect(found.body).toEqual(made.body);
  expect((await app.fund('tenant:acme/workspace:MIXED', { operation: 'CREDIT', amount: 1 })).status).toBe(200);
  expect(scopesOf(await list('scope_prefix=tenant:ACME/workspace:Mixed'))).toEqual(['tenant:acme/workspace:mixed']);
  const duplicate = await app.makeBudget('tenant:acme/workspace:mixed');
  expect(duplicate.status).toBe(409);
});

test('a prefix and a scope filter end at whole segments', async () => {
  for (const scope of [
    'tenant:acme/app:bo',
    'tenant:acme/app:bo/agent:a',
    'tenant:acme/app:bo-x',
    'tenant:acme/app:bo.x',
    'tenant:acme/app:box',
  ]) {
    await app.makeBudget(scope);
  }
  const within = ['tenant:acme/app:bo', 'tenant:acme/app:bo/agent:a'];
  expect(scopesOf(await list('scope_prefix=tenant:acme/app:bo'))).toEqual(within);
  expect(scopesOf(await list('', await app.keyOf('acme', { scope_filter: ['app:bo'] })))).toEqual(within);
  const below = await app.keyOf('acme', { scope_filter: ['tenant:acme/app:bo/*'] });
  expect(scopesOf(await list('', below))).toEqual(['tenant:acme/app:bo/agent:a']);
});

test('a list ends where it ends: no page more behind a last one that is full, none lost among equals', async () => {
  for (let n = 0; n < 10; n++) await app.makeBudget(`tenant:other/agent:a${n}`);
  const first = await list('tenant_id=other&limit=10&sort_by=utilization');
  expect(first.body).toMatchObject({ has_more: false });
  expect(first.body).not.toHaveProperty('next_cursor');
  const page = await list('tenant_id=other&limit=4&sort_by=utilization');
  const { next_cursor: cursor } = page.body as { next_cursor: string };
  const rest = await list(`tenant_id=other&limit=100&sort_by=utilization&cursor=${cursor}`);
  expect([...scopesOf(page), ...scopesOf(rest)]).toEqual(scopesOf(first));
});

test('a bulk action on a tenant that nobody made is not found', async () => {
  const body = { filter: { tenant_id: 'nobody' }, action: 'RESET', amount: { unit: 'TOKENS', amount: 1 }, idempotency_key: 'k' };
  expect((await app.ask('bulkActionBudgets', app.operator, 'POST', '/v1/admin/budgets/bulk-action', body)).status).toBe(404);
});

test.each<['POST' | 'PUT' | 'GET', string, object | undefined, number]>([
  ['PUT', '/v1/admin/budgets', {}, 405],
  ['GET', '/v1/admin/budgets/fund', undefined, 405],
  ['GET', '/v1/admin/budgets/nothing', undefined, 404],
])('%s %s is answered in the form of the protocol', async (method, url, body, status) => {
  const answer = await app.operator(method, url, body);
  expect(answer.status).toBe(status);
  expect(answer.json).toMatchObject({
    error: expect.any(String) as unknown,
    message: expect.any(String) as unknown,
    request_id: expect.any(String) as unknown,
  });
  expect(answer.headers['x-cycles-trace-id']).toMatch(/^[0-9a-f]{32}$/);
});

test('a body that is no JSON, or is sent as something else, is the request to blame', async () => {
  const broken = await app.ask('createBudget', app.operator, 'POST', '/v1/admin/budgets', '{"scope":');
  expect(broken.status).toBe(400);
  const other = await app.operator('POST', '/v1/admin/budgets', 'scope=x', { 'content-type': 'text/plain' });
  expect(other.status).toBe(415);
});
