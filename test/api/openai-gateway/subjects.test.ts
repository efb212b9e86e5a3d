import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { budgetId, TOKENS, USD_MICROCENTS } from '../../../src/core/ledger/account.ts';
import type { Policy } from '../../../src/core/records.ts';
import { CAP, startGateway, TENANT, TENANT_MONEY, TENANT_TOKENS, type Gateway } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

/** Holds 28 tokens of prompt and 100 of output: 128 tokens, 6,420 micro-cents. */
const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };
const APP = `tenant:${TENANT}/app:bot`;
const AGENT = `${APP}/agent:a-7`;
const SUBJECT = { 'x-castellan-agent': 'a-7' };

let gateway: Gateway;
let upstream: OpenAiServer;

beforeEach(async () => {
  upstream = await startOpenAiServer();
  gateway = await startGateway({ upstreamUrls: [upstream.url] });
  gateway.allocate(CAP, null);
  changeKey({ levels: { app: 'bot' }, callerLevels: { agent: { pattern: 'a-*', required: false } } });
});

afterEach(async () => {
  upstream.release();
  await gateway.close();
  await upstream.close();
});

function changeKey(changes: object): void {
  const [plaintext, key] = [...gateway.keys].find(([, each]) => each.id === 'k1')!;
  gateway.keys.set(plaintext, { ...key, ...changes });
}

const codeOf = async (answer: Response): Promise<string> => ((await answer.json()) as { error: { code: string } }).error.code;

describe('a call with a subject', () => {
  test('is held and charged on the budgets of all of its scopes, in tokens and in money', async () => {
    const ids = [TENANT_TOKENS, TENANT_MONEY, budgetId(TENANT, APP, TOKENS), budgetId(TENANT, AGENT, USD_MICROCENTS)];
    for (const id of ids) gateway.allocate(id, 1_000_000n);
    upstream.behaviour.gated = true;
    const calling = gateway.post('/chat/completions', CALL, SUBJECT);
    await expect.poll(() => upstream.waiting()).toBe(1);
    for (const id of ids) expect(gateway.account(id).reserved).toBe(id.includes(TOKENS) ? 128n : 6420n);
    upstream.release();
    expect((await calling).status).toBe(200);
    await gateway.calls.idle();
    const spent = ids.map((id) => gateway.account(id).spent);
    expect(spent[0]).toBeGreaterThan(0n);
    expect(spent[2]).toBe(spent[0]);
    expect(spent[3]).toBe(spent[1]);
    for (const id of ids) expect(gateway.account(id).reserved).toBe(0n);
  });

  test('is refused by the deepest budget alone, which the error names', async () => {
    gateway.allocate(TENANT_TOKENS, 1_000_000n);
    gateway.allocate(budgetId(TENANT, AGENT, TOKENS), 100n);
    const answer = await gateway.post('/chat/completions', CALL, SUBJECT);
    expect(answer.status).toBe(402);
    expect(await answer.json()).toMatchObject({
      error: { code: 'budget_exceeded', account: { kind: 'budget', scope: AGENT, limit: 100 } },
    });
    // Another agent of the same app has no such budget.
    expect((await gateway.post('/chat/completions', CALL, { 'x-castellan-agent': 'a-8' })).status).toBe(200);
  });

  test.each([
    ['budget_frozen', { status: 'FROZEN' }],
    ['budget_closed', { status: 'CLOSED' }],
    ['debt_outstanding', { debt: 5n }],
  ] as const)('is refused with %s where a budget of its scopes says so', async (code, changes) => {
    gateway.allocate(budgetId(TENANT, APP, USD_MICROCENTS), 1_000_000n, changes);
    const answer = await gateway.post('/chat/completions', CALL);
    expect(answer.status).toBe(402);
    expect(await codeOf(answer)).toBe(code);
    expect(upstream.received).toHaveLength(0);
  });

  test('is covered, where the tenant requires it, by a money budget of any of its scopes', async () => {
    gateway.setTenant({ requireBudget: true });
    expect(await codeOf(await gateway.post('/chat/completions', CALL, SUBJECT))).toBe('budget_required');
    gateway.allocate(budgetId(TENANT, AGENT, USD_MICROCENTS), 1_000_000n);
    expect((await gateway.post('/chat/completions', CALL, SUBJECT)).status).toBe(200);
    expect(await codeOf(await gateway.post('/chat/completions', CALL))).toBe('budget_required');
  });

  test('does not tell the upstream its subject', async () => {
    expect((await gateway.post('/chat/completions', CALL, SUBJECT)).status).toBe(200);
    expect(Object.keys(upstream.received[0]!.headers).filter((name) => name.startsWith('x-castellan'))).toEqual([]);
  });
});

describe('a subject header', () => {
  test.each([
    ['for a level that the key pins', { 'x-castellan-app': 'other' }, 'x-castellan-app'],
    ['for a level that the key does not open', { 'x-castellan-toolset': 't' }, 'x-castellan-toolset'],
    ['with a value that the key does not allow', { 'x-castellan-agent': 'b-1' }, 'x-castellan-agent'],
    ['with a value that no scope can hold', { 'x-castellan-agent': 'a-/../x' }, 'x-castellan-agent'],
  ])('%s is 400, and nothing is held', async (_name, headers, param) => {
    for (const path of ['/chat/completions', '/embeddings', '/responses', '/completions', '/audio/speech', '/images/generations']) {
      const answer = await gateway.post(path, { ...CALL, input: 'x', prompt: 'x', voice: 'v' }, headers);
      expect({ path, status: answer.status }).toEqual({ path, status: 400 });
      expect(((await answer.json()) as { error: { param: string } }).error.param).toBe(param);
    }
    expect(gateway.commands).toHaveLength(0);
    expect(upstream.received).toHaveLength(0);
  });

  test('that the key requires is 400 where it is missing', async () => {
    changeKey({ callerLevels: { agent: { pattern: '*', required: true } } });
    const answer = await gateway.post('/chat/completions', CALL);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { param: 'x-castellan-agent', code: 'invalid_value' } });
  });
});

describe('the policy of the scopes of a call', () => {
  const policy = (changes: Partial<Policy>): Policy => ({
    id: 'pol_1',
    tenantId: TENANT,
    name: 'careful',
    description: null,
    scopePattern: 'agent:*',
    priority: 0,
    status: 'ACTIVE',
    caps: null,
    overagePolicy: null,
    ttlOverride: null,
    rateLimits: null,
    effectiveFromMs: null,
    effectiveUntilMs: null,
    createdAtMs: 0,
    updatedAtMs: 0,
    ...changes,
  });
  const { max_tokens: _limit, ...OPEN } = CALL;
  const TOOL = { type: 'function', function: { name: 'delete_all', parameters: {} } };

  test('limits the output of calls that set no limit, and of soft keys too, for subjects that it matches alone', async () => {
    gateway.policies.push(policy({ caps: { maxTokens: 20 } }));
    changeKey({ outputBound: 'soft' });
    const answer = await gateway.post('/chat/completions', OPEN, SUBJECT);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-castellan-output-limit')).toBe('20');
    expect(JSON.parse(upstream.received[0]!.bodyText)).toMatchObject({ max_tokens: 20 });
    expect((await gateway.post('/chat/completions', OPEN)).headers.get('x-castellan-output-limit')).toBeNull();
  });

  test('refuses a higher limit and names itself; it lowers none', async () => {
    gateway.policies.push(policy({ caps: { maxTokens: 99 } }));
    const answer = await gateway.post('/chat/completions', CALL, SUBJECT);
    expect(answer.status).toBe(400);
    const { error } = (await answer.json()) as { error: { message: string; param: string } };
    expect(error.message).toContain('careful');
    expect((await gateway.post('/chat/completions', { ...CALL, max_tokens: 99 }, SUBJECT)).status).toBe(200);
    expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
  });

  test.each([
    ['a tool on its denylist', { toolDenylist: ['delete_all'] }, 403],
    ['a tool that is not on its allowlist', { toolAllowlist: ['search'] }, 403],
    ['nothing by its denylist where there is an allowlist', { toolAllowlist: ['delete_all'], toolDenylist: ['delete_all'] }, 200],
    ['no other tool', { toolDenylist: ['other'] }, 200],
  ])('refuses %s', async (_name, caps, status) => {
    gateway.policies.push(policy({ caps }));
    const answer = await gateway.post('/chat/completions', { ...CALL, tools: [TOOL] }, SUBJECT);
    expect(answer.status).toBe(status);
    if (status === 403) expect(((await answer.json()) as { error: { message: string } }).error.message).toContain('careful');
  });

  test('is the highest of those in force, whole', async () => {
    const past = { effectiveUntilMs: 1 };
    gateway.policies.push(
      policy({ id: 'a', priority: 1, caps: { maxTokens: 10 } }),
      policy({ id: 'b', priority: 5, caps: { toolDenylist: ['delete_all'] } }),
      policy({ id: 'c', priority: 9, caps: { maxTokens: 30 }, ...past }),
    );
    expect((await gateway.post('/chat/completions', CALL, SUBJECT)).status).toBe(200);
    expect((await gateway.post('/chat/completions', { ...CALL, tools: [TOOL] }, SUBJECT)).status).toBe(403);
  });

  test('allows so many calls a minute, counted where they are held, and says when to come again', async () => {
    gateway.policies.push(policy({ rateLimits: { maxReservationsPerMinute: 2 } }));
    const answers = await Promise.all(Array.from({ length: 5 }, () => gateway.post('/chat/completions', CALL, SUBJECT)));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 429, 429, 429]);
    const refused = answers.find(({ status }) => status === 429)!;
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(((await refused.json()) as { error: { message: string } }).error.message).toContain('2');
    // Who is not of its scopes is not counted.
    expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
  });

  test('says how long a hold lasts at a time', async () => {
    gateway.policies.push(policy({ ttlOverride: { defaultTtlMs: 30_000, maxTtlMs: 5000 } }));
    expect((await gateway.post('/chat/completions', CALL, SUBJECT)).status).toBe(200);
    expect(gateway.commands.find(({ verb }) => verb === 'reserve')).toMatchObject({ ttlMs: 5000 });
  });
});
