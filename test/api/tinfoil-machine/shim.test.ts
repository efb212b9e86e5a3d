import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS } from '../../../src/core/ledger/account.ts';
import type { KeyKind } from '../../../src/core/records.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp, type TestResponse } from '../../support/test-app.ts';

const OPERATOR = '/v1/x-castellan';
const VALIDATE = '/api/shim/validate-key';
const CONTEXT = '/api/shim/route-context';

let at: TestApp;
let key: { id: string; value: string };

beforeEach(async () => {
  at = await makeTestApp();
  await at.addTenant('acme');
  key = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'app' });
});
afterEach(() => at.close());

const ask = (path: string, body: unknown): Promise<TestResponse> => at.as(null)('POST', path, body);
const validate = (value = key.value): Promise<TestResponse> => ask(VALIDATE, { api_key: value });
const settle = async (what: Promise<TestResponse>): Promise<void> => expect((await what).status).toBeLessThan(300);

async function expectCode(response: Promise<TestResponse>, status: number, code: string): Promise<TestResponse> {
  const answer = await response;
  expect([answer.status, (answer.json as { code?: string }).code]).toEqual([status, code]);
  return answer;
}

/** Lets the key have used so many tokens. */
async function use(tokens: number, microcents = 0n): Promise<void> {
  const id = at.ids.next('call');
  const { atMs: _atMs, heldAtMs: _heldAtMs, ...usage } = usageEvent({ id, tenantId: 'acme', keyId: key.id, atMs: 0, promptTokens: tokens });
  await hold(id, 0n);
  const actuals = { tokens: BigInt(tokens), microcents };
  const outcome = await at.writer.execute({ verb: 'settle-call', id: `${id}.settle`, tenantId: 'acme', reservationId: id, actuals, usage });
  expect(outcome.ok).toBe(true);
}

async function hold(id: string, tokens: bigint): Promise<void> {
  const outcome = await at.writer.execute({
    verb: 'reserve',
    id: `${id}.hold`,
    tenantId: 'acme',
    reservationId: id,
    purpose: 'call',
    legs: [{ accountId: keyCapId('acme', key.id, TOKENS), base: tokens, perUnit: 0n, divisor: 1n, required: true }],
    output: { min: 0n, max: 0n },
    mustCover: false,
    mustCoverMoney: false,
    otherUnitAccounts: [],
    overagePolicy: 'ALLOW_WITH_OVERDRAFT',
    ttlMs: 60_000,
    graceMs: 0,
    maxExtensions: 0,
    ownerId: 'run',
    context: null,
  });
  expect(outcome.ok).toBe(true);
}

async function cappedKey(maxTokens: number): Promise<void> {
  const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin' });
  const made = await at.as(value)('POST', '/api/keys', { name: 'capped', max_tokens: maxTokens });
  const { id, key: plaintext } = made.json as { id: string; key: string };
  key = { id, value: plaintext };
}

describe('validate-key, 200', () => {
  test('a key that may call now, without any credential of the caller', async () => {
    const { status, json } = await validate();
    expect([status, json]).toEqual([200, { valid: true }]);
    expect(at.store.tables.entries.filter(({ verb }) => verb === 'reserve')).toEqual([]);
  });

  test('all that a caller may tell of its request is taken, and what is not known is passed over', async () => {
    const fields = { domain: 'a.example', requested_host: 'b.example', path: '/v1/chat/completions', more: { x: 1 } };
    expect((await ask(VALIDATE, { api_key: key.value, ...fields })).status).toBe(200);
    expect((await ask(VALIDATE, { api_key: key.value, domain: null, requested_host: null, path: null })).status).toBe(200);
  });

  test('a management key, and a key whose last token is left', async () => {
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'cy', kind: 'management' });
    expect((await validate(value)).status).toBe(200);
    await cappedKey(100);
    await use(99);
    expect((await validate()).status).toBe(200);
  });
});

describe('validate-key, 401 and 403', () => {
  test('a key that nobody has, an empty one, one with another letter, a deleted, a disabled and an expired one', async () => {
    for (const value of ['tk_9999999999999999999999999999999', '', `${key.value}x`, key.value.slice(0, -1), 'x'.repeat(5000)])
      await expectCode(validate(value), 401, 'UNAUTHORIZED');
    const soon = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', expiresAtMs: TEST_START_MS + 1000 });
    expect((await validate(soon.value)).status).toBe(200);
    at.clock.advance(1000);
    await expectCode(validate(soon.value), 401, 'UNAUTHORIZED');
    await settle(at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { disabled: true }));
    await expectCode(validate(), 401, 'UNAUTHORIZED');
    await settle(at.operator('DELETE', `${OPERATOR}/keys/${key.id}`));
    await expectCode(validate(), 401, 'UNAUTHORIZED');
  });

  test.each<KeyKind>(['admin', 'tenant'])('a key of the kind %s may not call models', async (kind) => {
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind });
    await expectCode(validate(value), 403, 'FORBIDDEN');
  });

  test('a tenant that is suspended or closed', async () => {
    await settle(at.operator('PATCH', `${OPERATOR}/tenants/acme`, { status: 'SUSPENDED' }));
    await expectCode(validate(), 403, 'FORBIDDEN');
    await at.writer.execute({ verb: 'update-tenant', id: at.ids.next('cmd'), tenantId: 'acme', status: 'CLOSED' });
    await expectCode(validate(), 403, 'FORBIDDEN');
  });
});

describe('validate-key, 402', () => {
  test('a cap that is used up', async () => {
    await cappedKey(100);
    await use(100);
    const { text } = await expectCode(validate(), 402, 'PAYMENT_REQUIRED');
    expect(text).toContain('0 of 100 TOKENS left');
  });

  test('money that is used up, of the key and of the tenant', async () => {
    await settle(at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { money_budget_usd: 0 }));
    await expectCode(validate(), 402, 'PAYMENT_REQUIRED');
    await settle(at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { money_budget_usd: null }));
    expect((await validate()).status).toBe(200);
    await settle(at.operator('PUT', `${OPERATOR}/tenants/acme/money-budget`, { money_budget_usd: 0 }));
    await expectCode(validate(), 402, 'PAYMENT_REQUIRED');
  });

  test('token billing that is off', async () => {
    await settle(at.operator('PATCH', `${OPERATOR}/tenants/acme/entitlements`, { token_billing: false }));
    await expectCode(validate(), 402, 'PAYMENT_REQUIRED');
  });

  test('a money budget that the tenant demands and nobody made', async () => {
    await settle(at.operator('PATCH', `${OPERATOR}/tenants/acme`, { require_budget: true }));
    await expectCode(validate(), 402, 'PAYMENT_REQUIRED');
    await settle(at.operator('PUT', `${OPERATOR}/tenants/acme/money-budget`, { money_budget_usd: 5 }));
    expect((await validate()).status).toBe(200);
  });

  test('a frozen budget', async () => {
    await settle(at.operator('PUT', `${OPERATOR}/tenants/acme/money-budget`, { money_budget_usd: 5 }));
    for (const [id, account] of at.store.tables.accounts)
      if (account.kind === 'budget') at.store.tables.accounts.set(id, { ...account, status: 'FROZEN' });
    await expectCode(validate(), 402, 'PAYMENT_REQUIRED');
  });

  test('figures are not told where the tenant hides them', async () => {
    await cappedKey(100);
    await use(100);
    await settle(at.operator('PATCH', `${OPERATOR}/tenants/acme`, { hide_amounts: true }));
    const { text } = await expectCode(validate(), 402, 'PAYMENT_REQUIRED');
    expect(text).not.toMatch(/\d/);
  });
});

test('validate-key, 429: only calls in flight are in the way, and trying again soon helps', async () => {
  await cappedKey(100);
  await hold('call_1', 100n);
  const { headers } = await expectCode(validate(), 429, 'RATE_LIMITED');
  expect(headers['retry-after']).toBe('1');
});

test('validate-key, 429: a budget of a day that is used up, by its limit as it is now, until it resets', async () => {
  const put = (limit: string) => {
    const body = { scope: 'each_key', period: 'daily', limit_usd: limit };
    return settle(at.operator('PUT', `${OPERATOR}/tenants/acme/budgets`, body));
  };
  await put('0');
  const { headers, text } = await expectCode(validate(), 429, 'RATE_LIMITED');
  expect([headers['retry-after'], text]).toEqual(['86400', expect.stringContaining(`the daily budget of key:${key.id} is used up`)]);
  await put('5');
  expect((await validate()).status).toBe(200);
});

describe('route-context', () => {
  test('200: whose key it is, whatever is left', async () => {
    await cappedKey(100);
    await use(100);
    const { status, json } = await ask(CONTEXT, { api_key: key.value });
    expect([status, json]).toEqual([200, { org_id: 'acme' }]);
  });

  test('401 and 403: as validate-key', async () => {
    await expectCode(ask(CONTEXT, { api_key: 'tk_9999999999999999999999999999999' }), 401, 'UNAUTHORIZED');
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'admin' });
    await expectCode(ask(CONTEXT, { api_key: value }), 403, 'FORBIDDEN');
  });
});

describe.each([VALIDATE, CONTEXT])('%s', (path) => {
  test.each([
    ['no api_key', {}, /api_key is required/],
    ['an api_key that is no text', { api_key: 7 }, /api_key must be/],
    ['no JSON', '{', /not valid JSON/],
    ['a list', '[]', /must be a JSON object/],
    ['a forbidden key', '{"api_key":"a","__proto__":1}', /__proto__/],
  ])('400: %s', async (_what, body, rule) => {
    const { text } = await expectCode(ask(path, body), 400, 'BAD_REQUEST');
    expect(text).toMatch(rule);
  });

  test('413 and 415: a body that is too large, or no JSON', async () => {
    await expectCode(ask(path, { api_key: 'x'.repeat(20_000) }), 413, 'PAYLOAD_TOO_LARGE');
    const response = await at.as(null)('POST', path, 'api_key=a', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(response.status).toBe(415);
  });

  test('no answer repeats what was asked for', async () => {
    for (const body of [{ api_key: 'tk_canarycanarycanarycanarycanary1' }, { api_key: ['tk_canarycanarycanarycanarycanary1'] }])
      expect((await ask(path, body)).text).not.toContain('canary');
  });
});

test('400: what is told of the request must be text', async () => {
  for (const field of ['domain', 'requested_host', 'path']) {
    const { text } = await expectCode(ask(VALIDATE, { api_key: key.value, [field]: 7 }), 400, 'BAD_REQUEST');
    expect(text).toContain(field);
  }
});

describe('the limit of a source', () => {
  const from = async (remoteAddress: string, value: string, path = VALIDATE): Promise<{ status: number; retryAfter: unknown }> => {
    const response = await at.app.inject({
      method: 'POST',
      url: path,
      remoteAddress,
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify({ api_key: value }),
    });
    return { status: response.statusCode, retryAfter: response.headers['retry-after'] };
  };

  test('who guesses is out of questions after a hundred, on both endpoints, good keys or not; others are not', async () => {
    const statuses: number[] = [];
    for (let index = 0; index < 105; index++)
      statuses.push((await from('10.0.0.1', `tk_guess${index}`, index % 2 === 0 ? VALIDATE : CONTEXT)).status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(100);
    expect(statuses.slice(100)).toEqual([429, 429, 429, 429, 429]);
    const refused = await from('10.0.0.1', key.value);
    expect(refused).toEqual({ status: 429, retryAfter: '1' });
    expect((await from('10.0.0.2', key.value)).status).toBe(200);
    at.clock.advance(1000);
    expect((await from('10.0.0.1', key.value)).status).toBe(200);
  });

  test('a header cannot choose the source', async () => {
    for (let index = 0; index < 100; index++) await from('10.0.0.1', `tk_guess${index}`);
    const response = await at.app.inject({
      method: 'POST',
      url: VALIDATE,
      remoteAddress: '10.0.0.1',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': '10.9.9.9', forwarded: 'for=10.9.9.9' },
      payload: JSON.stringify({ api_key: key.value }),
    });
    expect(response.statusCode).toBe(429);
  });

  test('good keys are asked for thousands of times', async () => {
    for (let index = 0; index < 500; index++) expect((await from('10.0.0.1', key.value)).status).toBe(200);
  });

  test('guesses that come all at once are owed for', async () => {
    const answers = await Promise.all(Array.from({ length: 400 }, (_, index) => from('10.0.0.1', `tk_guess${index}`)));
    expect(answers.every(({ status }) => status === 401 || status === 429)).toBe(true);
    expect((await from('10.0.0.1', key.value)).status).toBe(429);
  });
});
