import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeGovernance, type Checked, type Governance, type Sender } from './budget-harness.ts';

let app: Governance;
let ofAcme: Sender;
let count = 0;
let scope: string;

beforeAll(async () => {
  app = await makeGovernance({ declared: ['tenant acme money_budget_usd'] });
  ofAcme = await app.keyOf('acme');
});
afterAll(() => app.close());

/** Each test has a budget of its own: 100 tokens, 20 spent and 5 owed. */
beforeEach(async () => {
  count += 1;
  scope = `tenant:acme/app:a${count}`;
  await app.makeBudget(scope, { allocated: 20, overdraft_limit: 10 });
  await app.spend(scope, 25n, { overdraft: true });
  await app.fund(scope, { operation: 'RESET', amount: 100 });
});

const tokens = (amount: number | bigint): object => ({ unit: 'TOKENS', amount });
const urlOf = (name: string, more = ''): string => `/v1/admin/budgets/fund?scope=${name}&unit=TOKENS${more}`;
const fund = (body: object | string, sender: Sender = app.operator, url = urlOf(scope)): Promise<Checked> =>
  app.ask('fundBudget', sender, 'POST', url, body);
const figuresOf = async (name = scope): Promise<unknown> => {
  const { body } = await app.ask('lookupBudget', app.operator, 'GET', `/v1/admin/budgets/lookup?scope=${name}&unit=TOKENS`);
  const { allocated, spent, debt, remaining } = body as Record<string, { amount: number }>;
  return [allocated?.amount, spent?.amount, debt?.amount, remaining?.amount];
};

describe('the five operations', () => {
  test.each<[string, object, number[], string]>([
    ['CREDIT adds, and repays no debt', { operation: 'CREDIT', amount: tokens(7) }, [107, 20, 5, 82], 'budget.funded'],
    ['DEBIT takes away', { operation: 'DEBIT', amount: tokens(75) }, [25, 20, 5, 0], 'budget.debited'],
    ['RESET sizes', { operation: 'RESET', amount: tokens(10) }, [10, 20, 5, -15], 'budget.reset'],
    ['RESET_SPENT begins anew', { operation: 'RESET_SPENT', amount: tokens(60) }, [60, 0, 5, 55], 'budget.reset_spent'],
    [
      'RESET_SPENT with what is spent',
      { operation: 'RESET_SPENT', amount: tokens(60), spent: tokens(9) },
      [60, 9, 5, 46],
      'budget.reset_spent',
    ],
    ['REPAY_DEBT repays', { operation: 'REPAY_DEBT', amount: tokens(3) }, [100, 20, 2, 78], 'budget.debt_repaid'],
    ['REPAY_DEBT of more leaves the rest to spend', { operation: 'REPAY_DEBT', amount: tokens(9) }, [104, 20, 0, 84], 'budget.debt_repaid'],
    [
      'spent is ignored elsewhere',
      { operation: 'CREDIT', amount: tokens(7), spent: { unit: 'CREDITS', amount: 3 } },
      [107, 20, 5, 82],
      'budget.funded',
    ],
    ['a bare number is in the unit of the budget', { operation: 'CREDIT', amount: 7 }, [107, 20, 5, 82], 'budget.funded'],
  ])('%s', async (_what, body, [allocated = 0, spent = 0, debt = 0, remaining = 0], type) => {
    const { status, body: answer } = await fund({ ...body, reason: 'because' });
    expect([status, answer]).toEqual([
      200,
      {
        operation: (body as { operation: string }).operation,
        previous_allocated: tokens(100),
        new_allocated: tokens(allocated),
        previous_remaining: tokens(75),
        new_remaining: tokens(remaining),
        previous_debt: tokens(5),
        new_debt: tokens(debt),
        previous_spent: tokens(20),
        new_spent: tokens(spent),
        timestamp: '2026-04-09T00:00:00Z',
      },
    ]);
    expect(await figuresOf()).toEqual([allocated, spent, debt, remaining]);
    const { event, data } = app.eventsOf(type).findLast(({ event: { scope: of } }) => of === scope) ?? {};
    expect(event).toMatchObject({ tenantId: 'acme', origin: { actor: { type: 'admin_on_behalf_of' } } });
    expect(data).toMatchObject({
      ledger_id: expect.stringMatching(/^ldg_/) as unknown,
      scope,
      unit: 'TOKENS',
      operation: (body as { operation: string }).operation,
      previous_state: { allocated: 100n, remaining: 75n, debt: 5n, spent: 20n, reserved: 0n, status: 'ACTIVE' },
      new_state: { allocated: BigInt(allocated), remaining: BigInt(remaining), debt: BigInt(debt), spent: BigInt(spent) },
      reason: 'because',
    });
    if (type === 'budget.reset_spent') expect(data).toMatchObject({ spent_override_provided: 'spent' in body });
    else expect(data).not.toHaveProperty('spent_override_provided');
    expect(app.store.tables.audit.at(-1)).toMatchObject({
      operation: 'fundBudget',
      tenantId: 'acme',
      code: null,
      metadata: { scope, operation: (body as { operation: string }).operation, reason: 'because', actor_type: 'admin_on_behalf_of' },
    });
  });

  test('leave amounts exact over the whole range', async () => {
    const most = 2n ** 63n - 1n;
    const near = 9_007_199_254_741_093n;
    const answer = await fund({ operation: 'RESET', amount: tokens(near) });
    expect(answer.body).toMatchObject({ new_allocated: { amount: near }, new_remaining: { amount: near - 25n } });
    expect((await fund({ operation: 'CREDIT', amount: tokens(1) })).body).toMatchObject({ new_allocated: { amount: near + 1n } });
    expect((await fund({ operation: 'RESET', amount: tokens(most) })).body).toMatchObject({ new_allocated: { amount: most } });
    expect(app.eventsOf('budget.reset').at(-1)?.data).toMatchObject({ new_state: { allocated: most, remaining: most - 25n } });
    const past = await fund({ operation: 'CREDIT', amount: tokens(1) });
    expect([past.status, past.body]).toEqual([400, expect.objectContaining({ error: 'INVALID_REQUEST' })]);
  });
});

describe('a funding is refused', () => {
  test.each<[string, object, number, string]>([
    ['for more than remains', { operation: 'DEBIT', amount: 76 }, 409, 'BUDGET_EXCEEDED'],
    ['in another unit', { operation: 'CREDIT', amount: { unit: 'CREDITS', amount: 1 } }, 400, 'UNIT_MISMATCH'],
    ['with spent in another unit', { operation: 'RESET_SPENT', amount: 1, spent: { unit: 'CREDITS', amount: 1 } }, 400, 'UNIT_MISMATCH'],
    ['below 0', { operation: 'CREDIT', amount: -1 }, 400, 'INVALID_REQUEST'],
    ['past int64', { operation: 'CREDIT', amount: 2n ** 63n }, 400, 'INVALID_REQUEST'],
    ['as a fraction', { operation: 'CREDIT', amount: 1.5 }, 400, 'INVALID_REQUEST'],
    ['as text', { operation: 'CREDIT', amount: '5' }, 400, 'INVALID_REQUEST'],
    ['as an operation that is none', { operation: 'GIVE', amount: 5 }, 400, 'INVALID_REQUEST'],
    ['without an amount', { operation: 'CREDIT' }, 400, 'INVALID_REQUEST'],
    ['with an unknown field', { operation: 'CREDIT', amount: 5, colour: 'red' }, 400, 'INVALID_REQUEST'],
    ['with an empty key', { operation: 'CREDIT', amount: 5, idempotency_key: '' }, 400, 'INVALID_REQUEST'],
    ['with a key of 257 characters', { operation: 'CREDIT', amount: 5, idempotency_key: 'k'.repeat(257) }, 400, 'INVALID_REQUEST'],
    ['with a reason of 513 characters', { operation: 'CREDIT', amount: 5, reason: 'r'.repeat(513) }, 400, 'INVALID_REQUEST'],
  ])('%s, and nothing changes', async (_what, body, status, error) => {
    const before = [await figuresOf(), app.store.tables.events.length];
    const refused = await fund(body);
    expect([refused.status, refused.body]).toEqual([status, expect.objectContaining({ error })]);
    expect([await figuresOf(), app.store.tables.events.length]).toEqual(before);
  });

  test('while the budget is frozen', async () => {
    await app.ask('freezeBudget', app.operator, 'POST', `/v1/admin/budgets/freeze?scope=${scope}&unit=TOKENS`);
    const refused = await fund({ operation: 'CREDIT', amount: 1 });
    expect([refused.status, refused.body]).toEqual([409, expect.objectContaining({ error: 'BUDGET_FROZEN' })]);
  });

  test('where there is no such budget, or one that only counts', async () => {
    expect((await fund({ operation: 'CREDIT', amount: 1 }, app.operator, urlOf('tenant:acme/app:none'))).status).toBe(404);
    await app.operator('PUT', '/v1/x-castellan/tenants/other/money-budget', { money_budget_usd: null });
    const counts = await app.fund('tenant:other', { operation: 'CREDIT', amount: 1 }, 'USD_MICROCENTS');
    expect([counts.status, counts.body]).toEqual([404, expect.objectContaining({ error: 'BUDGET_NOT_FOUND' })]);
  });

  test.each(['scope=tenant:acme', 'unit=TOKENS', 'scope=tenant:acme&unit=EUR', 'scope=nonsense&unit=TOKENS'])(
    'without its name: ?%s',
    async (query) => {
      expect((await fund({ operation: 'CREDIT', amount: 1 }, app.operator, `/v1/admin/budgets/fund?${query}`)).status).toBe(400);
    },
  );
});

describe('whose budget is funded', () => {
  const credit = { operation: 'CREDIT', amount: 1 };

  test('is that of the tenant named, else of the scope', async () => {
    expect((await fund(credit, app.operator, urlOf(scope, '&tenant_id=acme'))).status).toBe(200);
    expect((await fund(credit, app.operator, urlOf(scope))).status).toBe(200);
    expect((await fund(credit, app.operator, urlOf(scope, '&tenant_id=other'))).status).toBe(404);
  });

  test("is the key's own, whatever tenant it names", async () => {
    expect((await fund(credit, ofAcme, urlOf(scope, '&tenant_id=other'))).status).toBe(200);
    await app.makeBudget('tenant:other/app:theirs');
    const foreign = await fund(credit, ofAcme, urlOf('tenant:other/app:theirs', '&tenant_id=other'));
    expect([foreign.status, foreign.body]).toEqual([404, expect.objectContaining({ error: 'BUDGET_NOT_FOUND' })]);
    expect(await figuresOf('tenant:other/app:theirs')).toEqual([100, 0, 0, 100]);
  });

  test('needs the permission, and a scope filter that covers it', async () => {
    const reader = await app.keyOf('acme', { permissions: ['budgets:read'] });
    expect((await fund(credit, reader)).status).toBe(403);
    const limited = await app.keyOf('acme', { scope_filter: ['workspace:eng'] });
    expect((await fund(credit, limited)).body).toMatchObject({ error: 'INSUFFICIENT_PERMISSIONS' });
  });
});

describe('a funding under a key', () => {
  const body = { operation: 'CREDIT', amount: 7, idempotency_key: 'once', metadata: { a: 1, b: [1, 2] } };

  test('funds once, and answers as it did, without a second event or audit row', async () => {
    const first = await fund({ ...body, idempotency_key: `once ${count}` });
    const rows = [app.store.tables.events.length, app.store.tables.audit.length];
    app.clock.advance(60_000);
    // The same request: another order of its members, and other spaces.
    const text = `{ "metadata": {"b":[1,2],"a":1}, "idempotency_key": "once ${count}", "amount": 7, "operation":"CREDIT"}`;
    const again = await fund(text);
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect([app.store.tables.events.length, app.store.tables.audit.length]).toEqual(rows);
    expect(await figuresOf()).toEqual([107, 20, 5, 82]);
  });

  test('is not taken for another one', async () => {
    const key = { ...body, idempotency_key: `another ${count}` };
    await fund(key);
    await app.makeBudget(`${scope}/agent:x`);
    const others: [object, string][] = [
      [{ ...key, amount: 8 }, urlOf(scope)],
      [{ ...key, operation: 'DEBIT' }, urlOf(scope)],
      [key, urlOf(`${scope}/agent:x`)],
    ];
    for (const [other, url] of others) {
      const refused = await fund(other, app.operator, url);
      expect([refused.status, refused.body]).toEqual([409, expect.objectContaining({ error: 'IDEMPOTENCY_MISMATCH' })]);
    }
    expect(await figuresOf()).toEqual([107, 20, 5, 82]);
    expect(await figuresOf(`${scope}/agent:x`)).toEqual([100, 0, 0, 100]);
  });

  test('of another tenant is another one', async () => {
    const key = { operation: 'CREDIT', amount: 7, idempotency_key: `shared ${count}` };
    await fund(key);
    await app.makeBudget(`tenant:other/app:a${count}`);
    expect((await fund(key, app.operator, urlOf(`tenant:other/app:a${count}`))).status).toBe(200);
    expect(await figuresOf(`tenant:other/app:a${count}`)).toEqual([107, 0, 0, 107]);
  });

  test('that was refused may be sent again', async () => {
    const key = { operation: 'DEBIT', amount: 80, idempotency_key: `later ${count}` };
    expect((await fund(key)).status).toBe(409);
    await fund({ operation: 'CREDIT', amount: 10 });
    expect((await fund(key)).status).toBe(200);
  });

  test('is answered as it was, also once its tenant is closed', async () => {
    await app.operator('POST', '/v1/admin/tenants', { tenant_id: `closing-${count}`, name: 'closing' });
    const url = urlOf(`tenant:closing-${count}`);
    await app.makeBudget(`tenant:closing-${count}`);
    const first = await fund({ operation: 'CREDIT', amount: 7, idempotency_key: 'k' }, app.operator, url);
    await app.operator('PATCH', `/v1/admin/tenants/closing-${count}`, { status: 'CLOSED' });
    expect((await fund({ operation: 'CREDIT', amount: 7, idempotency_key: 'k' }, app.operator, url)).body).toEqual(first.body);
    expect((await fund({ operation: 'CREDIT', amount: 7 }, app.operator, url)).body).toMatchObject({ error: 'TENANT_CLOSED' });
  });

  test('without a key is done each time', async () => {
    await fund({ operation: 'CREDIT', amount: 1 });
    await fund({ operation: 'CREDIT', amount: 1 });
    expect(await figuresOf()).toEqual([102, 20, 5, 77]);
  });
});

describe('funding many budgets', () => {
  const bulk = (body: object): Promise<Checked> =>
    app.ask('bulkActionBudgets', app.operator, 'POST', '/v1/admin/budgets/bulk-action', body);
  const idsOf = (rows: unknown): string[] => (rows as { id: string }[]).map(({ id }) => id);
  let root: string;
  let ledgers: Map<string, string>;

  beforeEach(async () => {
    root = `tenant:acme/workspace:w${count}`;
    ledgers = new Map();
    for (const name of ['', '/agent:a', '/agent:b', '/agent:c', '/agent:d']) {
      const made = await app.makeBudget(`${root}${name}`, { overdraft_limit: 10 });
      ledgers.set(name, (made.body as { ledger_id: string }).ledger_id);
    }
    await app.spend(`${root}/agent:a`, 60n);
    await app.spend(`${root}/agent:b`, 105n, { overdraft: true });
    await app.ask('freezeBudget', app.operator, 'POST', `/v1/admin/budgets/freeze?scope=${root}/agent:c&unit=TOKENS`);
    await app.makeBudget(`${root}/agent:d`, { unit: 'CREDITS' });
  });
  const request = (more: object = {}): object => ({
    filter: { tenant_id: 'acme', scope_prefix: root },
    action: 'DEBIT',
    amount: tokens(50),
    reason: 'cut',
    idempotency_key: `bulk ${count}`,
    ...more,
  });

  test('does each that can be done, and tells of each that cannot', async () => {
    const before = app.store.tables.audit.length;
    const { status, body } = await bulk(request({ expected_count: 6 }));
    expect(status).toBe(200);
    const { succeeded, failed, skipped, ...rest } = body as Record<string, unknown>;
    expect(rest).toEqual({ action: 'DEBIT', total_matched: 6, idempotency_key: `bulk ${count}` });
    expect(new Set(idsOf(succeeded))).toEqual(new Set([ledgers.get(''), ledgers.get('/agent:d')]));
    expect(failed).toEqual(
      expect.arrayContaining([
        { id: ledgers.get('/agent:a'), error_code: 'BUDGET_EXCEEDED', message: expect.any(String) as unknown },
        { id: ledgers.get('/agent:b'), error_code: 'BUDGET_EXCEEDED', message: expect.any(String) as unknown },
        { id: ledgers.get('/agent:c'), error_code: 'INVALID_TRANSITION', message: expect.stringContaining('frozen') as unknown },
        { id: expect.any(String) as unknown, error_code: 'INVALID_TRANSITION', message: expect.stringContaining('CREDITS') as unknown },
      ]),
    );
    expect([(failed as unknown[]).length, skipped]).toEqual([4, []]);
    expect(await figuresOf(root)).toEqual([50, 0, 0, 50]);
    const told = app
      .eventsOf('budget.debited')
      .filter(({ event }) => event.origin?.correlationId !== undefined)
      .slice(-2);
    const correlationId = `budget_bulk_action:debit:${told[0]?.event.origin?.requestId}`;
    expect(told.map(({ event }) => [event.scope, event.origin?.correlationId])).toEqual([
      [root, correlationId],
      [`${root}/agent:d`, correlationId],
    ]);
    expect(app.store.tables.audit.slice(before)).toEqual([
      expect.objectContaining({
        operation: 'bulkActionBudgets',
        tenantId: 'acme',
        code: null,
        metadata: expect.objectContaining({
          actor_type: 'admin_on_behalf_of',
          filter: { tenant_id: 'acme', scope_prefix: root },
          succeeded_ids: idsOf(succeeded),
          failed_rows: failed,
          skipped_rows: [],
          reason: 'cut',
        }) as unknown,
      }),
    ]);
  });

  test('passes over what is so already', async () => {
    const { body } = await bulk(
      request({
        action: 'REPAY_DEBT',
        amount: tokens(5),
        filter: { tenant_id: 'acme', scope_prefix: root, unit: 'TOKENS', status: 'ACTIVE' },
      }),
    );
    expect(body).toMatchObject({ succeeded: [{ id: ledgers.get('/agent:b') }], failed: [] });
    expect((body as { skipped: unknown[] }).skipped).toEqual(
      ['', '/agent:a', '/agent:d'].map((name) => ({ id: ledgers.get(name), reason: 'ALREADY_IN_TARGET_STATE' })),
    );
    const again = await bulk(
      request({
        action: 'RESET',
        amount: tokens(100),
        idempotency_key: `same ${count}`,
        filter: { tenant_id: 'acme', scope_prefix: `${root}/agent:a` },
      }),
    );
    expect(again.body).toMatchObject({ succeeded: [], skipped: [{ id: ledgers.get('/agent:a') }] });
  });

  test('starts a new period for all with debt', async () => {
    const { body } = await bulk(
      request({
        action: 'RESET_SPENT',
        amount: tokens(40),
        spent: tokens(4),
        filter: { tenant_id: 'acme', scope_prefix: root, has_debt: true },
      }),
    );
    expect(body).toMatchObject({ total_matched: 1, succeeded: [{ id: ledgers.get('/agent:b') }] });
    expect(await figuresOf(`${root}/agent:b`)).toEqual([40, 4, 5, 31]);
    expect(app.eventsOf('budget.reset_spent').at(-1)?.data).toMatchObject({ spent_override_provided: true });
  });

  test('is done once under its key, for a quarter of an hour, and not for another request', async () => {
    const first = await bulk(request());
    const rows = [app.store.tables.events.length, app.store.tables.audit.length];
    expect((await bulk(request())).body).toEqual(first.body);
    expect([app.store.tables.events.length, app.store.tables.audit.length]).toEqual(rows);
    expect((await bulk(request({ amount: tokens(1) }))).body).toMatchObject({ error: 'IDEMPOTENCY_MISMATCH' });
    expect(await figuresOf(root)).toEqual([50, 0, 0, 50]);
    app.clock.advance(15 * 60_000);
    await bulk(request());
    expect(await figuresOf(root)).toEqual([0, 0, 0, 0]);
  });

  test.each<[string, object, number, string]>([
    ['where another number matches', { expected_count: 5 }, 409, 'COUNT_MISMATCH'],
    ['without an amount', { amount: undefined }, 400, 'INVALID_REQUEST'],
    ['without a tenant', { filter: { scope_prefix: 'tenant:acme' } }, 400, 'INVALID_REQUEST'],
    ['with an empty filter', { filter: {} }, 400, 'INVALID_REQUEST'],
    ['with an unknown action', { action: 'DOUBLE' }, 400, 'INVALID_REQUEST'],
    ['with an unknown filter', { filter: { tenant_id: 'acme', colour: 'red' } }, 400, 'INVALID_REQUEST'],
    ['with crossed bounds', { filter: { tenant_id: 'acme', utilization_min: 0.9, utilization_max: 0.1 } }, 400, 'INVALID_REQUEST'],
    ['with a search of 129 characters', { filter: { tenant_id: 'acme', search: 'x'.repeat(129) } }, 400, 'INVALID_REQUEST'],
    ['with a key of 129 characters', { idempotency_key: 'k'.repeat(129) }, 400, 'INVALID_REQUEST'],
    ['without a key', { idempotency_key: undefined }, 400, 'INVALID_REQUEST'],
    ['for a tenant that nobody made', { filter: { tenant_id: 'nobody' } }, 404, 'TENANT_NOT_FOUND'],
  ])('is refused %s, and nothing changes', async (_what, more, status, error) => {
    const before = app.store.tables.events.length;
    const refused = await bulk(request(more));
    expect([refused.status, refused.body]).toEqual([status, expect.objectContaining({ error })]);
    expect([await figuresOf(root), app.store.tables.events.length]).toEqual([[100, 0, 0, 100], before]);
  });

  test('leaves a budget alone that the configuration file declares', async () => {
    await app.makeBudget('tenant:acme', { unit: 'USD_MICROCENTS' });
    const money = { unit: 'USD_MICROCENTS', amount: 5 };
    const { body } = await bulk(request({ action: 'CREDIT', amount: money, filter: { tenant_id: 'acme', unit: 'USD_MICROCENTS' } }));
    expect(body).toMatchObject({ succeeded: [], failed: [{ error_code: 'POLICY_VIOLATION' }] });
  });

  test("is the operator's alone", async () => {
    expect((await app.ask('bulkActionBudgets', ofAcme, 'POST', '/v1/admin/budgets/bulk-action', request())).status).toBe(401);
  });

  test('takes 500 and not one more', { timeout: 60_000 }, async () => {
    await app.operator('POST', '/v1/admin/tenants', { tenant_id: 'many', name: 'many' });
    for (let n = 0; n < 500; n++) await app.makeBudget(`tenant:many/agent:a${n}`);
    const all = { filter: { tenant_id: 'many' }, action: 'CREDIT', amount: 1 };
    const strict = { ...all, amount: tokens(1) };
    expect((await bulk({ ...strict, idempotency_key: 'first' })).body).toMatchObject({ total_matched: 500, failed: [] });
    await app.makeBudget('tenant:many');
    const refused = await bulk({ ...strict, idempotency_key: 'second' });
    expect([refused.status, refused.body]).toEqual([
      400,
      expect.objectContaining({ error: 'LIMIT_EXCEEDED', details: expect.objectContaining({ total_matched: 501 }) as unknown }),
    ]);
    expect(await figuresOf('tenant:many/agent:a0')).toEqual([101, 0, 0, 101]);
  });
});
