import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGovernance, type Checked, type Governance, type Sender } from './budget-harness.ts';

let app: Governance;
let ofAcme: Sender;

beforeAll(async () => {
  app = await makeGovernance({ declared: ['tenant declared money_budget_usd'] });
  ofAcme = await app.keyOf('acme');
  for (const id of ['suspended', 'closed', 'declared']) await app.operator('POST', '/v1/admin/tenants', { tenant_id: id, name: id });
  await app.makeBudget('tenant:closed');
  await app.operator('PATCH', '/v1/admin/tenants/suspended', { status: 'SUSPENDED' });
  await app.operator('PATCH', '/v1/admin/tenants/closed', { status: 'CLOSED' });
});
afterAll(() => app.close());

const tokens = (amount: number | bigint): object => ({ unit: 'TOKENS', amount });
const url = (scope: string, unit = 'TOKENS', path = ''): string => `/v1/admin/budgets${path}?scope=${scope}&unit=${unit}`;
const shown = (answer: Checked): object => answer.body;
const lookUp = (scope: string, sender: Sender = app.operator, unit = 'TOKENS'): Promise<Checked> =>
  app.ask('lookupBudget', sender, 'GET', url(scope, unit, '/lookup'));
const create = (body: object, sender: Sender = app.operator): Promise<Checked> =>
  app.ask('createBudget', sender, 'POST', '/v1/admin/budgets', body);
const auditOf = (operation: string): object | undefined => app.store.tables.audit.findLast((row) => row.operation === operation);

describe('a new budget', () => {
  test('has what was asked for and nothing spent', async () => {
    const made = await create({
      tenant_id: 'acme',
      scope: 'tenant:acme/workspace:eng',
      unit: 'TOKENS',
      allocated: tokens(500),
      overdraft_limit: tokens(50),
      commit_overage_policy: 'ALLOW_WITH_OVERDRAFT',
      metadata: { team: 'blue' },
    });
    expect(made.status).toBe(201);
    expect(made.headers['x-cycles-tenant']).toBe('acme');
    expect(shown(made)).toMatchObject({
      tenant_id: 'acme',
      scope: 'tenant:acme/workspace:eng',
      scope_path: 'tenant:acme/workspace:eng',
      unit: 'TOKENS',
      allocated: tokens(500),
      remaining: tokens(500),
      spent: tokens(0),
      reserved: tokens(0),
      debt: tokens(0),
      overdraft_limit: tokens(50),
      is_over_limit: false,
      commit_overage_policy: 'ALLOW_WITH_OVERDRAFT',
      status: 'ACTIVE',
      rollover_policy: 'NONE',
    });
    expect(shown(await lookUp('tenant:acme/workspace:eng'))).toEqual(shown(made));
    expect(app.eventsOf('budget.created').at(-1)).toMatchObject({
      event: {
        tenantId: 'acme',
        scope: 'tenant:acme/workspace:eng',
        origin: { actor: { type: 'admin_on_behalf_of' }, source: 'cycles-admin' },
      },
      data: {
        ledger_id: (shown(made) as { ledger_id: string }).ledger_id,
        operation: 'CREATE',
        new_state: { allocated: 500n, remaining: 500n, spent: 0n, status: 'ACTIVE' },
      },
    });
    expect(auditOf('createBudget')).toMatchObject({
      tenantId: 'acme',
      actorKind: 'operator',
      resourceKind: 'budget',
      resourceId: (shown(made) as { ledger_id: string }).ledger_id,
      code: null,
      metadata: { actor_type: 'admin_on_behalf_of', scope: 'tenant:acme/workspace:eng' },
    });
  });

  test('takes bare numbers, as the admin guide writes them', async () => {
    const made = await create({ tenant_id: 'acme', scope: 'tenant:acme/agent:loose', unit: 'CREDITS', allocated: 7, overdraft_limit: 3 });
    expect(shown(made)).toMatchObject({ allocated: { unit: 'CREDITS', amount: 7 }, overdraft_limit: { unit: 'CREDITS', amount: 3 } });
  });

  test('is made by a key for its own tenant, which its body does not name', async () => {
    const made = await create({ scope: 'tenant:acme/agent:self', unit: 'TOKENS', allocated: tokens(1) }, ofAcme);
    expect([made.status, shown(made)]).toEqual([201, expect.objectContaining({ tenant_id: 'acme' })]);
    expect(app.eventsOf('budget.created').at(-1)?.event.origin?.actor).toMatchObject({ type: 'api_key' });
    expect(auditOf('createBudget')).toMatchObject({ actorKind: 'tenant_key', metadata: { scope: 'tenant:acme/agent:self' } });
  });

  test('needs no parents, and is one for each unit', async () => {
    const deep = { tenant_id: 'other', scope: 'tenant:other/app:a/agent:b', allocated: 1 };
    expect((await create({ ...deep, unit: 'TOKENS' })).status).toBe(201);
    expect((await create({ ...deep, unit: 'CREDITS' })).status).toBe(201);
    expect((await lookUp('tenant:other')).status).toBe(404);
  });

  test('gives an account that only counted its limit, and keeps what it has spent', async () => {
    const money = 'tenant:other';
    const at = '/v1/x-castellan/tenants/other/money-budget';
    await app.operator('PUT', at, { money_budget_usd: 1 });
    await app.spend(money, 5n, { unit: 'USD_MICROCENTS' });
    expect((await app.operator('PUT', at, { money_budget_usd: null })).status).toBe(200);
    expect((await lookUp(money, app.operator, 'USD_MICROCENTS')).status).toBe(404);
    const made = await create({ tenant_id: 'other', scope: money, unit: 'USD_MICROCENTS', allocated: 100 });
    expect([made.status, shown(made)]).toEqual([
      201,
      expect.objectContaining({ remaining: { unit: 'USD_MICROCENTS', amount: 95 }, spent: { unit: 'USD_MICROCENTS', amount: 5 } }),
    ]);
    expect((await app.store.verify()).discrepancies).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, number, string, string | undefined]>([
    ['an unknown field', { colour: 'red' }, 400, 'INVALID_REQUEST', 'colour'],
    ['a unit that is none', { unit: 'EUR' }, 400, 'INVALID_REQUEST', 'unit'],
    ['an amount below 0', { allocated: tokens(-1) }, 400, 'INVALID_REQUEST', 'allocated.amount'],
    ['an amount past int64', { allocated: tokens(2n ** 63n) }, 400, 'INVALID_REQUEST', 'allocated.amount'],
    ['an amount that is a fraction', { allocated: 1.5 }, 400, 'INVALID_REQUEST', 'allocated'],
    ['an amount that is a text', { allocated: '5' }, 400, 'INVALID_REQUEST', 'allocated'],
    ['an amount in another unit', { allocated: { unit: 'CREDITS', amount: 1 } }, 400, 'UNIT_MISMATCH', 'allocated.unit'],
    [
      'an overdraft limit in another unit',
      { overdraft_limit: { unit: 'CREDITS', amount: 1 } },
      400,
      'UNIT_MISMATCH',
      'overdraft_limit.unit',
    ],
    ['a scope without a tenant', { scope: 'agent:a' }, 400, 'INVALID_REQUEST', 'scope'],
    ['a scope out of order', { scope: 'tenant:acme/agent:a/app:b' }, 400, 'INVALID_REQUEST', 'scope'],
    ['a scope with a level that is none', { scope: 'tenant:acme/team:b' }, 400, 'INVALID_REQUEST', 'scope'],
    ['a scope with a value of 129 characters', { scope: `tenant:acme/agent:${'a'.repeat(129)}` }, 400, 'INVALID_REQUEST', 'scope'],
    ['no tenant', { tenant_id: undefined }, 400, 'INVALID_REQUEST', 'tenant_id'],
    ['the scope of another tenant', { scope: 'tenant:other/agent:x' }, 400, 'INVALID_REQUEST', 'scope'],
    [
      'a period that ends before it begins',
      { period_start: '2026-05-01T00:00:00Z', period_end: '2026-04-30T00:00:00Z' },
      400,
      'INVALID_REQUEST',
      'period_end',
    ],
    [
      'a period without a length',
      { period_start: '2026-05-01T00:00:00Z', period_end: '2026-05-01T00:00:00Z' },
      400,
      'INVALID_REQUEST',
      'period_end',
    ],
    ['a date that no calendar has', { period_end: '2026-02-30T00:00:00Z' }, 400, 'INVALID_REQUEST', 'period_end'],
    ['a rollover policy that is none', { rollover_policy: 'ALWAYS' }, 400, 'INVALID_REQUEST', 'rollover_policy'],
    ['metadata that is too large', { metadata: { text: 'x'.repeat(5200) } }, 400, 'INVALID_REQUEST', 'metadata'],
    ['a tenant that nobody made', { tenant_id: 'nobody', scope: 'tenant:nobody' }, 404, 'TENANT_NOT_FOUND', undefined],
    ['a suspended tenant', { tenant_id: 'suspended', scope: 'tenant:suspended' }, 400, 'TENANT_SUSPENDED', undefined],
    ['a closed tenant', { tenant_id: 'closed', scope: 'tenant:closed/app:a' }, 409, 'TENANT_CLOSED', undefined],
    ['a scope that has one', { scope: 'tenant:acme/agent:twice' }, 409, 'DUPLICATE_RESOURCE', 'scope'],
  ])('is refused with %s, and nothing is made', async (_what, parts, status, error, field) => {
    await app.makeBudget('tenant:acme/agent:twice');
    const before = [app.store.tables.accounts.size, app.store.tables.events.length];
    const refused = await create({ tenant_id: 'acme', scope: 'tenant:acme/agent:never', unit: 'TOKENS', allocated: tokens(1), ...parts });
    expect([refused.status, shown(refused)]).toEqual([status, expect.objectContaining({ error })]);
    expect((shown(refused) as { details?: { field?: string } }).details?.field).toBe(field);
    expect([app.store.tables.accounts.size, app.store.tables.events.length]).toEqual(before);
  });

  test('is refused in the order of the reference', async () => {
    const limited = await app.keyOf('acme', { scope_filter: ['workspace:eng'] });
    // Each is wrong in every way that comes later, too.
    const codes: [Sender, object, string][] = [
      [limited, { tenant_id: 'acme', scope: 'agent:a', unit: 'TOKENS', allocated: { unit: 'CREDITS', amount: 1 } }, 'UNIT_MISMATCH'],
      [limited, { tenant_id: 'acme', scope: 'agent:a', unit: 'TOKENS', allocated: 1 }, 'INVALID_REQUEST'],
      [limited, { tenant_id: 'acme', scope: 'tenant:other/agent:a', unit: 'TOKENS', allocated: 1 }, 'INSUFFICIENT_PERMISSIONS'],
      [limited, { tenant_id: 'acme', scope: 'tenant:other/workspace:eng', unit: 'TOKENS', allocated: 1 }, 'INVALID_REQUEST'],
      [app.operator, { tenant_id: 'closed', scope: 'tenant:acme', unit: 'TOKENS', allocated: 1 }, 'INVALID_REQUEST'],
      [app.operator, { tenant_id: 'closed', scope: 'tenant:closed', unit: 'TOKENS', allocated: 1 }, 'TENANT_CLOSED'],
    ];
    for (const [sender, body, code] of codes) expect(shown(await create(body, sender))).toMatchObject({ error: code });
  });

  test('is not made by who may not', async () => {
    const reader = await app.keyOf('acme', { permissions: ['budgets:read'] });
    const body = { scope: 'tenant:acme/agent:no', unit: 'TOKENS', allocated: 1 };
    expect(shown(await create(body, reader))).toMatchObject({ error: 'INSUFFICIENT_PERMISSIONS' });
    expect((await create(body, app.as(null))).status).toBe(401);
    const named = await create({ ...body, tenant_id: 'acme' }, ofAcme);
    expect([named.status, shown(named)]).toEqual([400, expect.objectContaining({ details: { field: 'tenant_id' } })]);
  });
});

describe('looking one budget up', () => {
  test('is by scope in letters of either case, and by unit', async () => {
    await app.makeBudget('tenant:acme/app:look');
    expect(shown(await lookUp('TENANT:Acme/App:LOOK', ofAcme))).toMatchObject({ scope: 'tenant:acme/app:look' });
    expect(shown(await lookUp('tenant:acme/app:look', ofAcme, 'CREDITS'))).toMatchObject({ error: 'BUDGET_NOT_FOUND' });
    expect(shown(await lookUp('tenant:acme/app', ofAcme))).toMatchObject({ error: 'INVALID_REQUEST' });
    expect(shown(await app.ask('lookupBudget', ofAcme, 'GET', '/v1/admin/budgets/lookup?unit=TOKENS'))).toMatchObject({
      error: 'INVALID_REQUEST',
      details: { field: 'scope' },
    });
  });

  test("tells a key nothing of another tenant's budget", async () => {
    await app.makeBudget('tenant:other/app:secret');
    const [foreign, missing] = [await lookUp('tenant:other/app:secret', ofAcme), await lookUp('tenant:other/app:none', ofAcme)];
    expect([foreign.status, missing.status]).toEqual([404, 404]);
    const code = (answer: Checked): unknown => (shown(answer) as { error: string }).error;
    expect(code(foreign)).toBe(code(missing));
  });

  test('needs the permission, and a scope filter that covers the scope', async () => {
    await app.makeBudget('tenant:acme/workspace:ops');
    const writer = await app.keyOf('acme', { permissions: ['budgets:write'] });
    expect((await lookUp('tenant:acme/workspace:ops', writer)).status).toBe(403);
    const limited = await app.keyOf('acme', { scope_filter: ['workspace:eng'] });
    expect(shown(await lookUp('tenant:acme/workspace:ops', limited))).toMatchObject({ error: 'INSUFFICIENT_PERMISSIONS' });
    expect((await lookUp('tenant:acme/workspace:eng', limited)).status).toBe(200);
  });
});

describe('changing a budget', () => {
  const patch = (scope: string, body: object, sender: Sender = app.operator): Promise<Checked> =>
    app.ask('updateBudget', sender, 'PATCH', url(scope), body);

  test('looks anew whether it is over its limit, and tells what changed and what it was', async () => {
    await app.makeBudget('tenant:acme/app:owes', { overdraft_limit: tokens(50) });
    await app.spend('tenant:acme/app:owes', 140n, { overdraft: true });
    expect(shown(await lookUp('tenant:acme/app:owes'))).toMatchObject({ debt: tokens(40), remaining: tokens(-40), is_over_limit: false });
    const lowered = await patch('tenant:acme/app:owes', { overdraft_limit: tokens(39), commit_overage_policy: 'REJECT' });
    expect(shown(lowered)).toMatchObject({ overdraft_limit: tokens(39), is_over_limit: true, commit_overage_policy: 'REJECT' });
    expect(app.eventsOf('budget.updated').at(-1)).toMatchObject({
      event: {
        metadata: {
          previous_terms: { overdraft_limit: '50', is_over_limit: false, commit_overage_policy: null },
          new_terms: { overdraft_limit: '39', is_over_limit: true, commit_overage_policy: 'REJECT' },
        },
      },
      data: {
        operation: 'UPDATE',
        ledger_id: (shown(lowered) as { ledger_id: string }).ledger_id,
        changed_fields: ['overdraft_limit', 'is_over_limit', 'commit_overage_policy'],
        previous_state: { debt: 40n },
        new_state: { debt: 40n },
      },
    });
    expect(shown(await patch('tenant:acme/app:owes', { overdraft_limit: 40 }))).toMatchObject({ is_over_limit: false });
    expect(auditOf('updateBudget')).toMatchObject({ tenantId: 'acme', code: null, metadata: { overdraft_limit: '40' } });
  });

  test('to what it is changes nothing and tells nobody', async () => {
    const made = await app.makeBudget('tenant:acme/app:same', { metadata: { a: 1 } });
    const before = app.store.tables.events.length;
    app.clock.advance(1000);
    expect(shown(await patch('tenant:acme/app:same', { overdraft_limit: 0, metadata: { a: 1 } }))).toEqual(shown(made));
    expect(shown(await patch('tenant:acme/app:same', {}))).toEqual(shown(made));
    expect(app.store.tables.events.length).toBe(before);
    expect(shown(await patch('tenant:acme/app:same', { metadata: { a: 2 } }))).not.toEqual(shown(made));
    expect(app.eventsOf('budget.updated').at(-1)?.data).toMatchObject({ changed_fields: ['metadata'] });
  });

  test.each<[string, string, object, number, string]>([
    ['one that is not there', 'tenant:acme/app:none', {}, 404, 'BUDGET_NOT_FOUND'],
    ['one of a closed tenant', 'tenant:closed', {}, 409, 'TENANT_CLOSED'],
    ['with a limit in another unit', 'tenant:acme/app:same', { overdraft_limit: { unit: 'CREDITS', amount: 1 } }, 400, 'UNIT_MISMATCH'],
    ['with an unknown field', 'tenant:acme/app:same', { allocated: 1 }, 400, 'INVALID_REQUEST'],
  ])('is refused for %s', async (_what, scope, body, status, error) => {
    const refused = await patch(scope, body);
    expect([refused.status, shown(refused)]).toEqual([status, expect.objectContaining({ error })]);
  });

  test("is the operator's alone", async () => {
    expect((await patch('tenant:acme/app:same', {}, ofAcme)).status).toBe(401);
  });
});

describe('the state of a budget', () => {
  const change = (to: 'freeze' | 'unfreeze', scope: string, body?: object): Promise<Checked> =>
    app.ask(`${to}Budget`, app.operator, 'POST', url(scope, 'TOKENS', `/${to}`), body);
  const close = (scope: string): Promise<Checked> =>
    app.ask('closeBudget', app.operator, 'POST', url(scope).replace('admin/budgets', 'x-castellan/budgets/close'), { reason: 'over' });

  test('goes from active to frozen and back, each once', async () => {
    const scope = 'tenant:acme/app:cold';
    await app.makeBudget(scope);
    expect(shown(await change('unfreeze', scope))).toMatchObject({ error: 'INVALID_REQUEST' });
    expect(shown(await change('freeze', scope, { reason: 'too fast' }))).toMatchObject({ status: 'FROZEN' });
    expect(app.eventsOf('budget.frozen').at(-1)?.data).toMatchObject({
      operation: 'STATUS_CHANGE',
      changed_fields: ['status'],
      previous_state: { status: 'ACTIVE' },
      new_state: { status: 'FROZEN' },
      reason: 'too fast',
    });
    const again = await change('freeze', scope);
    expect([again.status, shown(again)]).toEqual([409, expect.objectContaining({ error: 'BUDGET_FROZEN' })]);
    // What is no amount may be changed meanwhile.
    expect((await app.ask('updateBudget', app.operator, 'PATCH', url(scope), { overdraft_limit: 1 })).status).toBe(200);
    expect(shown(await change('unfreeze', scope))).toMatchObject({ status: 'ACTIVE' });
    expect(app.eventsOf('budget.unfrozen')).toHaveLength(1);
    expect((await change('unfreeze', scope)).status).toBe(409);
    expect(auditOf('freezeBudget')).toMatchObject({ code: 'budget_frozen' });
  });

  test('closed is for ever', async () => {
    const scope = 'tenant:acme/app:over';
    await app.makeBudget(scope);
    expect(shown(await close(scope))).toMatchObject({ status: 'CLOSED' });
    expect(
      app
        .eventsOf('budget.closed')
        .filter(({ event }) => event.type === 'budget.closed')
        .at(-1)?.data,
    ).toMatchObject({
      new_state: { status: 'CLOSED' },
      reason: 'over',
    });
    expect((await close(scope)).status).toBe(409);
    expect(shown(await change('freeze', scope))).toMatchObject({ error: 'BUDGET_CLOSED' });
    expect(shown(await change('unfreeze', scope))).toMatchObject({ error: 'BUDGET_CLOSED' });
    expect(shown(await app.ask('updateBudget', app.operator, 'PATCH', url(scope), {}))).toMatchObject({ error: 'BUDGET_CLOSED' });
    expect(shown(await app.fund(scope, { operation: 'CREDIT', amount: 1 }))).toMatchObject({ error: 'BUDGET_CLOSED' });
    expect(shown(await create({ tenant_id: 'acme', scope, unit: 'TOKENS', allocated: 1 }))).toMatchObject({ error: 'DUPLICATE_RESOURCE' });
    expect(shown(await lookUp(scope))).toMatchObject({ status: 'CLOSED' });
  });

  test.each<[string, object | string | undefined, string]>([
    ['a reason of 513 characters', { reason: 'x'.repeat(513) }, 'reason'],
    ['an unknown field', { why: 'x' }, 'why'],
  ])('does not change with %s', async (_what, body, field) => {
    const refused = await app.ask('freezeBudget', app.operator, 'POST', url('tenant:acme/app:look', 'TOKENS', '/freeze'), body);
    expect([refused.status, shown(refused)]).toEqual([400, expect.objectContaining({ details: { field } })]);
  });

  test('does not change for a closed tenant', async () => {
    expect(shown(await change('freeze', 'tenant:closed'))).toMatchObject({ error: 'TENANT_CLOSED' });
  });
});

describe('the money budget of a tenant', () => {
  test('is one account, whoever made it, and each surface sees what the other did', async () => {
    const at = '/v1/x-castellan/tenants/suspended/money-budget';
    expect((await app.operator('PUT', at, { money_budget_usd: 1 })).status).toBe(200);
    const [first, second] = [
      await lookUp('tenant:suspended', app.operator, 'USD_MICROCENTS'),
      await lookUp('tenant:suspended', app.operator, 'USD_MICROCENTS'),
    ];
    expect(shown(first)).toMatchObject({
      allocated: { amount: 100_000_000 },
      ledger_id: expect.stringMatching(/^ldg_[0-9a-f]{16}$/) as unknown,
    });
    expect(shown(second)).toEqual(shown(first));
    expect(app.eventsOf('budget.created').at(-1)?.data).toMatchObject({
      ledger_id: (shown(first) as { ledger_id: string }).ledger_id,
      scope: 'tenant:suspended',
    });
    await app.fund('tenant:suspended', { operation: 'CREDIT', amount: 50_000_000 }, 'USD_MICROCENTS');
    expect((await app.operator('GET', at)).json).toMatchObject({ money_budget_usd: 1.5 });
    await app.operator('PUT', at, { money_budget_usd: 3 });
    const after = shown(await lookUp('tenant:suspended', app.operator, 'USD_MICROCENTS'));
    expect(after).toMatchObject({ allocated: { amount: 300_000_000 }, ledger_id: (shown(first) as { ledger_id: string }).ledger_id });
    expect(app.eventsOf('budget.reset').at(-1)?.data).toMatchObject({ operation: 'RESET', new_state: { allocated: 300_000_000n } });
  });

  test('that the configuration file declares is sized there', async () => {
    const made = await create({ tenant_id: 'declared', scope: 'tenant:declared', unit: 'USD_MICROCENTS', allocated: 5 });
    expect(made.status).toBe(201);
    const funded = await app.fund('tenant:declared', { operation: 'CREDIT', amount: 5 }, 'USD_MICROCENTS');
    expect([funded.status, shown(funded)]).toEqual([409, expect.objectContaining({ error: 'POLICY_VIOLATION' })]);
  });
});
