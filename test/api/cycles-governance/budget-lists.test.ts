import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeGovernance, type Checked, type Governance, type Sender } from './budget-harness.ts';

let app: Governance;
let ofAcme: Sender;

const ledgersOf = (answer: Checked): string[] =>
  ((answer.body as { ledgers?: unknown[]; balances?: unknown[] }).ledgers ?? (answer.body as { balances: unknown[] }).balances ?? []).map(
    (ledger) => {
      const { scope, unit } = ledger as { scope: string; unit: string };
      return unit === 'TOKENS' ? scope : `${scope} ${unit}`;
    },
  );
const list = (query: string, sender: Sender = app.operator): Promise<Checked> =>
  app.ask('listBudgets', sender, 'GET', `/v1/admin/budgets?${query}`);

beforeAll(async () => {
  app = await makeGovernance();
  ofAcme = await app.keyOf('acme');
  // scope, allocated, spent, overdraft limit
  const budgets: [string, number, bigint, number][] = [
    ['tenant:acme', 1000, 0n, 0],
    ['tenant:acme/app:bot', 100, 50n, 0],
    ['tenant:acme/app:bot/agent:a', 100, 90n, 0],
    ['tenant:acme/app:bots', 100, 95n, 0],
    ['tenant:acme/workspace:eng', 10, 30n, 100],
    ['tenant:acme/workspace:eng/agent:a', 0, 0n, 0],
    ['tenant:other', 100, 100n, 0],
    ['tenant:other/agent:a', 100, 10n, 0],
  ];
  for (const [scope, allocated, spent, limit] of budgets) {
    await app.makeBudget(scope, { allocated, overdraft_limit: limit });
    await app.spend(scope, spent, { overdraft: true });
  }
  await app.makeBudget('tenant:acme/app:bot', { unit: 'CREDITS', allocated: 5, commit_overage_policy: 'REJECT' });
  await app.ask('freezeBudget', app.operator, 'POST', '/v1/admin/budgets/freeze?scope=tenant:acme/app:bots&unit=TOKENS');
  await app.ask('updateBudget', app.operator, 'PATCH', '/v1/admin/budgets?scope=tenant:acme/workspace:eng&unit=TOKENS', {
    overdraft_limit: 19,
  });
});
afterAll(() => app.close());

const ALL = [
  'tenant:acme',
  'tenant:acme/app:bot CREDITS',
  'tenant:acme/app:bot',
  'tenant:acme/app:bot/agent:a',
  'tenant:acme/app:bots',
  'tenant:acme/workspace:eng',
  'tenant:acme/workspace:eng/agent:a',
  'tenant:other',
  'tenant:other/agent:a',
];

describe('a list of budgets', () => {
  test.each<[string, string[]]>([
    ['', ALL],
    ['tenant_id=acme', ALL.filter((scope) => scope.startsWith('tenant:acme'))],
    ['tenant_id=nobody', []],
    ['scope_prefix=tenant:acme/app:bot', ['tenant:acme/app:bot CREDITS', 'tenant:acme/app:bot', 'tenant:acme/app:bot/agent:a']],
    ['scope_prefix=Tenant:ACME/app:bot/', ['tenant:acme/app:bot CREDITS', 'tenant:acme/app:bot', 'tenant:acme/app:bot/agent:a']],
    ['tenant_id=other&scope_prefix=tenant:acme', []],
    ['unit=CREDITS', ['tenant:acme/app:bot CREDITS']],
    ['status=FROZEN', ['tenant:acme/app:bots']],
    ['status=CLOSED', []],
    ['over_limit=true', ['tenant:acme/workspace:eng']],
    ['over_limit=false&tenant_id=other', ['tenant:other', 'tenant:other/agent:a']],
    ['has_debt=true', ['tenant:acme/workspace:eng']],
    ['has_debt=false&tenant_id=other', ['tenant:other', 'tenant:other/agent:a']],
    ['utilization_min=0.9', ['tenant:acme/app:bot/agent:a', 'tenant:acme/app:bots', 'tenant:acme/workspace:eng', 'tenant:other']],
    ['utilization_min=0.9&utilization_max=0.95', ['tenant:acme/app:bot/agent:a', 'tenant:acme/app:bots']],
    ['utilization_max=0', ['tenant:acme', 'tenant:acme/app:bot CREDITS', 'tenant:acme/workspace:eng/agent:a']],
    ['search=%20OTHER%20', ['tenant:other', 'tenant:other/agent:a']],
    ['search=', ALL],
    ['search=agent:a&utilization_min=0.5', ['tenant:acme/app:bot/agent:a']],
    ['unit=TOKENS&nobody_knows=this', ALL.filter((scope) => !scope.endsWith('CREDITS'))],
    ['sort_dir=desc', ALL.toReversed()],
    ['sort_by=scope&sort_dir=asc&unit=TOKENS', ALL.filter((scope) => !scope.endsWith('CREDITS'))],
    [
      'sort_by=utilization&tenant_id=acme&utilization_min=0.1',
      ['tenant:acme/workspace:eng', 'tenant:acme/app:bots', 'tenant:acme/app:bot/agent:a', 'tenant:acme/app:bot'],
    ],
    ['sort_by=debt&limit=1', ['tenant:acme/workspace:eng']],
    ['sort_by=commit_overage_policy&limit=1', ['tenant:acme/app:bot CREDITS']],
    ['sort_by=status&limit=1', ['tenant:acme/app:bots']],
    ['sort_by=unit&sort_dir=asc&limit=1', ['tenant:acme/app:bot CREDITS']],
    ['sort_by=tenant_id&limit=1', ['tenant:other/agent:a']],
  ])('for ?%s shows what it asks for, in its order', async (query, scopes) => {
    const answer = await list(query);
    expect([answer.status, ledgersOf(answer)]).toEqual([200, scopes]);
  });

  test.each(['0', '-3', '1', '2000', '99999999999999999999'])('takes a limit of %s for the nearest that there is', async (limit) => {
    const { status, body } = await list(`limit=${limit}`);
    expect([status, (body as { ledgers: unknown[] }).ledgers.length]).toEqual([200, Number(limit) > 1 ? ALL.length : 1]);
  });

  test.each<[string, string]>([
    ['limit=many', 'limit'],
    ['limit=1.5', 'limit'],
    ['unit=EUR', 'unit'],
    ['status=active', 'status'],
    ['over_limit=yes', 'over_limit'],
    ['has_debt=1', 'has_debt'],
    ['utilization_min=1.01', 'utilization_min'],
    ['utilization_max=-0.1', 'utilization_max'],
    ['utilization_min=half', 'utilization_min'],
    ['utilization_min=0x1', 'utilization_min'],
    ['utilization_min=0.6&utilization_max=0.5', 'utilization_min'],
    ['scope_prefix=workspace:eng', 'scope_prefix'],
    ['scope_prefix=tenant:acme/app', 'scope_prefix'],
    ['sort_by=allocated', 'sort_by'],
    ['sort_dir=up', 'sort_dir'],
    [`search=${'x'.repeat(129)}`, 'search'],
    ['cursor=nonsense', 'cursor'],
    ['unit=TOKENS&unit=CREDITS', 'unit'],
  ])('is refused for ?%s', async (query, field) => {
    const { status, body } = await list(query);
    expect([status, body]).toEqual([400, expect.objectContaining({ error: 'INVALID_REQUEST', details: { field } })]);
  });

  test.each(['', 'sort_by=utilization', 'sort_by=debt&sort_dir=asc', 'sort_by=status', 'sort_by=commit_overage_policy', 'sort_by=unit'])(
    'ordered by ?%s is walked page by page, each budget once, and says truly whether more follow',
    async (query) => {
      const whole = ledgersOf(await list(`${query}&limit=100`));
      for (const limit of [1, 2, 3, whole.length]) {
        const walked: string[] = [];
        let cursor = '';
        for (;;) {
          const page = await list(`${query}&limit=${limit}${cursor}`);
          walked.push(...ledgersOf(page));
          const { has_more: hasMore, next_cursor: next } = page.body as { has_more: boolean; next_cursor?: string };
          expect(hasMore).toBe(walked.length < whole.length);
          expect(next !== undefined).toBe(hasMore);
          if (next === undefined) break;
          cursor = `&cursor=${next}`;
        }
        expect(walked).toEqual(whole);
      }
    },
  );

  test('has cursors that are good for the same list alone', async () => {
    const { next_cursor: cursor } = (await list('unit=TOKENS&limit=1')).body as { next_cursor: string };
    expect((await list(`unit=TOKENS&limit=2&cursor=${cursor}`)).status).toBe(200);
    for (const other of ['', 'unit=CREDITS', 'unit=TOKENS&sort_by=debt', 'unit=TOKENS&search=a']) {
      expect((await list(`${other}&limit=1&cursor=${cursor}`)).status).toBe(400);
    }
    expect((await list(`unit=TOKENS&cursor=${cursor}`, ofAcme)).status).toBe(400);
  });

  test('goes on behind a budget that has changed its place, and behind one that left the list', async () => {
    const first = await list('status=ACTIVE&limit=2');
    const { next_cursor: cursor } = first.body as { next_cursor: string };
    const scope = 'tenant:acme/app:bot';
    await app.ask('freezeBudget', app.operator, 'POST', `/v1/admin/budgets/freeze?scope=${scope}&unit=CREDITS`);
    expect(ledgersOf(await list(`status=ACTIVE&limit=2&cursor=${cursor}`))).toEqual(['tenant:acme/app:bot', 'tenant:acme/app:bot/agent:a']);
    await app.ask('unfreezeBudget', app.operator, 'POST', `/v1/admin/budgets/unfreeze?scope=${scope}&unit=CREDITS`);
  });
});

describe('a key', () => {
  const ofTenant = ALL.filter((scope) => scope.startsWith('tenant:acme'));

  test("sees its own tenant's budgets, whatever tenant it names", async () => {
    expect(ledgersOf(await list('', ofAcme))).toEqual(ofTenant);
    expect(ledgersOf(await list('tenant_id=other', ofAcme))).toEqual(ofTenant);
    expect(ledgersOf(await list('search=other', ofAcme))).toEqual([]);
    expect(ledgersOf(await list('scope_prefix=tenant:other', ofAcme))).toEqual([]);
  });

  test('sees what its scope filter covers', async () => {
    const limited = await app.keyOf('acme', { scope_filter: ['app:bot'] });
    expect(ledgersOf(await list('', limited))).toEqual([
      'tenant:acme/app:bot CREDITS',
      'tenant:acme/app:bot',
      'tenant:acme/app:bot/agent:a',
    ]);
    expect(ledgersOf(await list('scope_prefix=tenant:acme/app:bot/agent:a', limited))).toEqual(['tenant:acme/app:bot/agent:a']);
    expect((await list('scope_prefix=tenant:acme/app:bots', limited)).status).toBe(403);
    const agents = await app.keyOf('acme', { scope_filter: ['agent:*'] });
    expect(ledgersOf(await list('', agents))).toEqual(['tenant:acme/app:bot/agent:a', 'tenant:acme/workspace:eng/agent:a']);
  });

  test('needs the permission to read budgets', async () => {
    const other = await app.keyOf('acme', { permissions: ['budgets:write', 'policies:read'] });
    expect((await list('', other)).body).toMatchObject({ error: 'INSUFFICIENT_PERMISSIONS' });
    const wide = await app.keyOf('acme', { permissions: ['admin:read'] });
    expect((await list('', wide)).status).toBe(200);
    expect((await list('', app.as(null))).status).toBe(401);
  });

  test('sees balances as the same ledgers, its own alone', async () => {
    const balances = (query: string, sender: Sender = ofAcme): Promise<Checked> =>
      app.ask('getBalances', sender, 'GET', `/v1/balances?${query}`, undefined, 'governance');
    expect(ledgersOf(await balances(''))).toEqual(ofTenant);
    expect(ledgersOf(await balances('unit=CREDITS'))).toEqual(['tenant:acme/app:bot CREDITS']);
    expect(ledgersOf(await balances('scope_prefix=tenant:acme/workspace:eng&limit=1'))).toEqual(['tenant:acme/workspace:eng']);
    expect(ledgersOf(await balances('tenant_id=other'))).toEqual(ofTenant);
    const blind = await app.keyOf('acme', { permissions: ['budgets:read'] });
    expect((await balances('', blind)).status).toBe(403);
    const { next_cursor: cursor } = (await balances('limit=3')).body as { next_cursor: string };
    expect(ledgersOf(await balances(`limit=3&cursor=${cursor}`))).toEqual(ofTenant.slice(3, 6));
  });
});
