import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestResponse } from '../../support/test-app.ts';
import { codeOf, makeRuntime, type Runtime } from './runtime-harness.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await makeRuntime();
});
afterAll(() => runtime.close());

let apps = 0;
let path = '';
let subject: Record<string, string> = {};
beforeEach(async () => {
  apps += 1;
  path = `tenant:acme/app:a${apps}`;
  subject = { tenant: 'acme', app: `a${apps}` };
  await runtime.makeBudget(path, 1000);
  // A full minute lies ahead.
  const nowMs = runtime.clock.nowMs();
  runtime.clock.advance(60_000 - (nowMs % 60_000));
});

const rateOf = ({ headers }: TestResponse): unknown[] =>
  ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'retry-after'].map((name) => headers[name]);

describe('caps', () => {
  test('come with the decision, on decide, dry run and reservation alike, and with its repeat after they changed', async () => {
    const caps = { max_tokens: 4096, max_steps_remaining: 3, tool_allowlist: ['search'], tool_denylist: [], cooldown_ms: 10 };
    const policy = await runtime.makePolicy(path, { caps });
    const body = runtime.hold({ subject });
    const first = await runtime.reserve(body);
    for (const answer of [first, await runtime.decide({ subject }), await runtime.reserve({ subject, dry_run: true })])
      expect(answer.json).toMatchObject({ decision: 'ALLOW_WITH_CAPS', caps });
    await runtime.operator('PATCH', `/v1/admin/policies/${policy}`, { caps: { max_tokens: 1 } });
    expect((await runtime.decide({ subject })).json).toMatchObject({ caps: { max_tokens: 1 } });
    expect((await runtime.reserve(body)).text).toBe(first.text);
  });

  test('do not come with a denial', async () => {
    await runtime.makePolicy(path, { caps: { max_tokens: 1 } });
    const denied = await runtime.decide({ subject, estimate: { unit: 'TOKENS', amount: 5000 } });
    expect(denied.json).not.toHaveProperty('caps');
  });

  test('of the policy that wins, whole: the highest priority, then the most specific', async () => {
    await runtime.makePolicy(`${path}/*`, { caps: { max_tokens: 1 } });
    await runtime.makePolicy(`*/agent:x`, { caps: { max_tokens: 2 } });
    expect((await runtime.decide({ subject: { ...subject, agent: 'x' } })).json).toMatchObject({ caps: { max_tokens: 1 } });
    await runtime.makePolicy(`*/agent:x`, { priority: 9, commit_overage_policy: 'REJECT' });
    expect((await runtime.decide({ subject: { ...subject, agent: 'x' } })).json).toMatchObject({ decision: 'ALLOW' });
  });

  test('only while the policy is switched on and in its dates', async () => {
    const at = (ms: number): string => new Date(runtime.clock.nowMs() + ms).toISOString();
    const policy = await runtime.makePolicy(path, { caps: { max_tokens: 1 }, effective_from: at(1000), effective_until: at(2000) });
    const decision = async (): Promise<unknown> => ((await runtime.decide({ subject })).json as { decision: string }).decision;
    expect(await decision()).toBe('ALLOW');
    runtime.clock.advance(1000);
    expect(await decision()).toBe('ALLOW_WITH_CAPS');
    runtime.clock.advance(1000);
    expect(await decision()).toBe('ALLOW');
    runtime.clock.advance(-500);
    await runtime.operator('PATCH', `/v1/admin/policies/${policy}`, { status: 'DISABLED' });
    expect(await decision()).toBe('ALLOW');
    runtime.clock.advance(500);
  });
});

describe('the overage policy', () => {
  const overageOf = async (parts: object): Promise<unknown> => {
    const id = await runtime.made({ subject, ...parts });
    return runtime.store.tables.reservations.get(id)?.overagePolicy;
  };

  test('is that of the request, else the policy’s, else the deepest budget’s, else the tenant’s, else ALLOW_IF_AVAILABLE', async () => {
    expect(await overageOf({})).toBe('ALLOW_IF_AVAILABLE');
    await runtime.patchTenant('acme', { default_commit_overage_policy: 'ALLOW_WITH_OVERDRAFT' });
    expect(await overageOf({})).toBe('ALLOW_WITH_OVERDRAFT');
    await runtime.makeBudget(`${path}/agent:y`, 100, { commit_overage_policy: 'REJECT' });
    expect(await overageOf({ subject: { ...subject, agent: 'y' } })).toBe('REJECT');
    await runtime.makePolicy(path, { commit_overage_policy: 'ALLOW_IF_AVAILABLE' });
    expect(await overageOf({ subject: { ...subject, agent: 'y' } })).toBe('ALLOW_IF_AVAILABLE');
    expect(await overageOf({ overage_policy: 'REJECT' })).toBe('REJECT');
    await runtime.patchTenant('acme', { default_commit_overage_policy: 'ALLOW_IF_AVAILABLE' });
  });

  test('is fixed when the reservation is made', async () => {
    const policy = await runtime.makePolicy(path, { commit_overage_policy: 'REJECT' });
    const id = await runtime.made({ subject });
    await runtime.operator('PATCH', `/v1/admin/policies/${policy}`, { commit_overage_policy: 'ALLOW_IF_AVAILABLE' });
    expect(codeOf(await runtime.commit(id, 11))).toBe('BUDGET_EXCEEDED');
  });

  test('of events is found in the same way', async () => {
    await runtime.makePolicy(path, { commit_overage_policy: 'REJECT' });
    expect(codeOf(await runtime.event(1001, { subject }))).toBe('BUDGET_EXCEEDED');
    expect(codeOf(await runtime.event(1001, { subject, overage_policy: 'ALLOW_IF_AVAILABLE' }))).toBe(201);
  });
});

test('a policy’s times to live stand above the tenant’s', async () => {
  await runtime.makePolicy(path, { reservation_ttl_override: { default_ttl_ms: 2000, max_ttl_ms: 7_200_000, max_extensions: 1 } });
  const ttlOf = async (parts: object): Promise<unknown> =>
    ((await runtime.reserve({ subject, ...parts })).json as { remaining_ttl_ms: number }).remaining_ttl_ms;
  expect([await ttlOf({}), await ttlOf({ ttl_ms: 86_400_000 })]).toEqual([2000, 7_200_000]);
  const id = await runtime.made({ subject });
  expect([codeOf(await runtime.extend(id, 10)), codeOf(await runtime.extend(id, 10))]).toEqual([200, 'MAX_EXTENSIONS_EXCEEDED']);
});

describe('rate limits', () => {
  test('reservations count to the limit, a minute of UTC at a time, and every answer tells how it stands', async () => {
    await runtime.makePolicy(path, { rate_limits: { max_reservations_per_minute: 2 } });
    runtime.clock.advance(20_500);
    const reset = String((runtime.clock.nowMs() + 39_500) / 1000);
    expect(rateOf(await runtime.reserve({ subject }))).toEqual(['2', '1', reset, undefined]);
    expect(rateOf(await runtime.reserve({ subject }))).toEqual(['2', '0', reset, undefined]);
    const refused = await runtime.reserve({ subject });
    expect([refused.status, codeOf(refused)]).toEqual([429, 'LIMIT_EXCEEDED']);
    expect(rateOf(refused)).toEqual(['2', '0', reset, '40']);
    runtime.clock.advance(39_500);
    expect(codeOf(await runtime.reserve({ subject }))).toBe(200);
  });

  test('a repeat and a refusal are not counted; decide and a dry run say what a reservation would meet', async () => {
    await runtime.makePolicy(path, { rate_limits: { max_reservations_per_minute: 1 } });
    expect(codeOf(await runtime.reserve({ subject, estimate: { unit: 'TOKENS', amount: 5000 } }))).toBe('BUDGET_EXCEEDED');
    const body = runtime.hold({ subject });
    expect(codeOf(await runtime.reserve(body))).toBe(200);
    expect(codeOf(await runtime.reserve(body))).toBe(200);
    const decision = await runtime.decide({ subject });
    expect(decision.json).toMatchObject({ decision: 'DENY', reason_code: 'LIMIT_EXCEEDED', retry_after_ms: 60_000 });
    expect((await runtime.reserve({ subject, dry_run: true })).json).toMatchObject({ decision: 'DENY', reason_code: 'LIMIT_EXCEEDED' });
  });

  test('commits have their own, which leaves the hold for later', async () => {
    await runtime.makePolicy(path, { rate_limits: { max_commits_per_minute: 1 } });
    const [first, second] = [await runtime.made({ subject }), await runtime.made({ subject })];
    expect(rateOf(await runtime.commit(first, 1)).slice(0, 2)).toEqual(['1', '0']);
    const refused = await runtime.commit(second, 1);
    expect([refused.status, codeOf(refused)]).toEqual([429, 'LIMIT_EXCEEDED']);
    runtime.clock.advance(60_000);
    expect(codeOf(await runtime.commit(second, 1))).toBe(200);
  });

  test('answers without a limit tell none', async () => {
    expect(rateOf(await runtime.reserve({ subject }))).toEqual([undefined, undefined, undefined, undefined]);
  });
});
