import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf, makeRuntime, type Runtime } from './runtime-harness.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await makeRuntime();
});
afterAll(() => runtime.close());

describe('200', () => {
  test('an amount is held on every budget of the scopes, and the answer has this shape and no other', async () => {
    await runtime.makeBudget('tenant:acme', 100);
    await runtime.makeBudget('tenant:acme/app:bot', 50);
    const answer = await runtime.reserve({ subject: { tenant: 'acme', app: 'Bot', agent: 'a1' }, ttl_ms: 5000 });
    expect(answer.json).toEqual({
      decision: 'ALLOW',
      reservation_id: expect.stringMatching(/^rsv_/) as string,
      affected_scopes: ['tenant:acme', 'tenant:acme/app:bot', 'tenant:acme/app:bot/agent:a1'],
      scope_path: 'tenant:acme/app:bot/agent:a1',
      expires_at_ms: runtime.clock.nowMs() + 5000,
      remaining_ttl_ms: 5000,
      reserved: { unit: 'TOKENS', amount: 10 },
      balances: [
        {
          scope: 'tenant:acme',
          scope_path: 'tenant:acme',
          remaining: { unit: 'TOKENS', amount: 90 },
          reserved: { unit: 'TOKENS', amount: 10 },
          spent: { unit: 'TOKENS', amount: 0 },
          allocated: { unit: 'TOKENS', amount: 100 },
        },
        {
          scope: 'app:bot',
          scope_path: 'tenant:acme/app:bot',
          remaining: { unit: 'TOKENS', amount: 40 },
          reserved: { unit: 'TOKENS', amount: 10 },
          spent: { unit: 'TOKENS', amount: 0 },
          allocated: { unit: 'TOKENS', amount: 50 },
        },
      ],
    });
    expect(answer.headers['x-cycles-tenant']).toBe('acme');
    expect(codeOf(await runtime.release((answer.json as { reservation_id: string }).reservation_id))).toBe(200);
  });
});
