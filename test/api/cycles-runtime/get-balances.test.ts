import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestResponse } from '../../support/test-app.ts';
import { codeOf, makeRuntime, type Runtime, type Sender } from './runtime-harness.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await makeRuntime();
  await runtime.makeTenant('other');
  await runtime.makeBudget('tenant:other', 7);
  await runtime.makeBudget('tenant:acme', 100);
  await runtime.makeBudget('tenant:acme', 2n ** 62n, { unit: 'CREDITS' });
  await runtime.makeBudget('tenant:acme/app:bot', 50, { overdraft_limit: { unit: 'TOKENS', amount: 30 } });
  await runtime.makeBudget('tenant:acme/app:bot/agent:x', 20);
  await runtime.makeBudget('tenant:acme/workspace:w/agent:x', 20);
});
afterAll(() => runtime.close());

const balances = (query: string, sender: Sender = runtime.key): Promise<TestResponse> =>
  runtime.ask('getBalances', sender, 'GET', `/v1/balances${query}`);
const pathsOf = async (query: string, sender?: Sender): Promise<string[]> => {
  const answer = await balances(query, sender);
  expect(answer.status, `answered ${answer.text}`).toBe(200);
  return (answer.json as { balances: { scope_path: string }[] }).balances.map(({ scope_path: path }) => path);
};

test('a balance has these fields and no others; debt, limit and flag only where there are some', async () => {
  await runtime.event(80, { subject: { tenant: 'acme', app: 'bot' }, overage_policy: 'ALLOW_WITH_OVERDRAFT' });
  const answer = await balances('?tenant=acme&app=bot&include_children=false');
  const amount = (value: number): unknown => ({ unit: 'TOKENS', amount: value });
  expect(answer.json).toEqual({
    balances: [
      {
        scope: 'app:bot',
        scope_path: 'tenant:acme/app:bot',
        remaining: amount(-30),
        reserved: amount(0),
        spent: amount(50),
        allocated: amount(50),
        debt: amount(30),
        overdraft_limit: amount(30),
      },
    ],
    has_more: false,
  });
});

test.each<[string, string[]]>([
  ['?tenant=acme', ['tenant:acme', 'tenant:acme', 'tenant:acme/app:bot', 'tenant:acme/app:bot/agent:x', 'tenant:acme/workspace:w/agent:x']],
  ['?tenant=ACME&include_children=false', ['tenant:acme', 'tenant:acme']],
  ['?app=bot', ['tenant:acme/app:bot', 'tenant:acme/app:bot/agent:x']],
  ['?app=bot&include_children=true', ['tenant:acme/app:bot', 'tenant:acme/app:bot/agent:x']],
  ['?agent=X', ['tenant:acme/app:bot/agent:x', 'tenant:acme/workspace:w/agent:x']],
  ['?workspace=w&agent=x', ['tenant:acme/workspace:w/agent:x']],
  ['?app=bo', []],
  ['?toolset=t', []],
])('%s shows the budgets whose scopes have every level that is named', async (query, expected) => {
  expect(await pathsOf(query)).toEqual(expected);
});

test('amounts past 2^53 are exact', async () => {
  expect((await balances('?tenant=acme')).text).toContain('"remaining":{"unit":"CREDITS","amount":4611686018427387904}');
});

test('page by page it gives every balance once', async () => {
  const whole = await pathsOf('?tenant=acme');
  const seen: string[] = [];
  let cursor = '';
  do {
    const answer = await balances(`?tenant=acme&limit=2${cursor}`);
    const body = answer.json as { balances: { scope_path: string }[]; has_more: boolean; next_cursor?: string };
    seen.push(...body.balances.map(({ scope_path: path }) => path));
    expect(body.has_more).toBe(body.next_cursor !== undefined);
    cursor = body.next_cursor === undefined ? '' : `&cursor=${encodeURIComponent(body.next_cursor)}`;
  } while (cursor !== '');
  expect(seen).toEqual(whole);
});

test('another tenant is 403, a key out of its scopes sees nothing of them, and a level must be named', async () => {
  const foreign = await balances('?tenant=other');
  expect([foreign.status, codeOf(foreign)]).toEqual([403, 'FORBIDDEN']);
  expect(await pathsOf('?tenant=acme', await runtime.keyOf('acme', { scope_filter: ['workspace:w'] }))).toEqual([
    'tenant:acme/workspace:w/agent:x',
  ]);
  expect(codeOf(await balances('?tenant=acme', await runtime.keyOf('acme', { permissions: ['reservations:create'] })))).toBe('FORBIDDEN');
  expect(codeOf(await balances('?tenant=acme', runtime.as(null)))).toBe('UNAUTHORIZED');
});

test.each(['?tenant=', '?app=&agent=%20', '?tenant=acme&limit=201', '?tenant=acme&include_children=1', '?tenant=a:b', '?app=bot&cursor=x'])(
  '%s is refused',
  async (query) => {
    const answer = await balances(query);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
  },
);

test('without a level, the same path is the governance plane’s where both are on one listener', async () => {
  const answer = await runtime.key('GET', '/v1/balances?unit=CREDITS');
  expect(answer.status).toBe(200);
  expect(JSON.stringify(answer.json, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))).toContain('ledger_id');
});
