import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectCyclesError } from '../../support/cycles-answers.ts';
import type { TestResponse } from '../../support/test-app.ts';
import { codeOf, makeRuntime, type Runtime } from './runtime-harness.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await makeRuntime();
  await runtime.makeBudget('tenant:acme', 1000);
});
afterAll(() => runtime.close());

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const OTHER_TRACE = 'a'.repeat(32);

/** An answer of nobody's route: still an error of the plane, with its request and trace. */
function expectPlainError(answer: TestResponse, status: number, code: string): void {
  expect([answer.status, codeOf(answer)]).toEqual([status, code]);
  expectCyclesError('runtime', answer.json);
  expect(answer.headers['x-request-id']).toBe((answer.json as { request_id: string }).request_id);
  expect(answer.headers['x-cycles-trace-id']).toBe((answer.json as { trace_id: string }).trace_id);
}

describe('what no route answers', () => {
  test.each([
    ['DELETE', '/v1/reservations', 'GET, HEAD, POST'],
    ['PUT', '/v1/decide', 'POST'],
    ['GET', '/v1/decide', 'POST'],
    ['DELETE', '/v1/reservations/rsv_1', 'GET, HEAD'],
    ['GET', '/v1/reservations/rsv_1/commit', 'POST'],
    ['PATCH', '/v1/events', 'GET, HEAD, POST'],
  ] as const)('%s %s is 405 with the methods that there are', async (method, url, allow) => {
    const answer = await runtime.key(method, url);
    expectPlainError(answer, 405, 'INVALID_REQUEST');
    if (!url.startsWith('/v1/events')) expect(answer.headers['allow']).toBe(allow);
  });

  test.each(['/v1/reservations/rsv_1/approve', '/v1/decide/now', '/v1/evidence'])('%s is 404', async (url) => {
    expectPlainError(await runtime.key('GET', url), 404, 'NOT_FOUND');
  });

  test('a body of another type is 415, one that is too large 413', async () => {
    const answer = await runtime.key('POST', '/v1/decide', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' });
    expectPlainError(answer, 415, 'INVALID_REQUEST');
    const large = JSON.stringify(runtime.hold({ metadata: { text: 'x'.repeat(300_000) } }));
    expectPlainError(await runtime.key('POST', '/v1/decide', large), 413, 'INVALID_REQUEST');
  });

  test('keys that reach into objects are refused', async () => {
    const answer = await runtime.key('POST', '/v1/decide', '{"__proto__":{"x":1}}');
    expectPlainError(answer, 400, 'INVALID_REQUEST');
  });
});

describe('the trace of a request', () => {
  const traceOf = async (headers: Record<string, string>): Promise<unknown> =>
    (await runtime.ask('decide', runtime.key, 'POST', '/v1/decide', runtime.hold(), headers)).headers['x-cycles-trace-id'];

  test('is that of traceparent, before that of its own header', async () => {
    const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
    expect(await traceOf({ traceparent, 'x-cycles-trace-id': OTHER_TRACE })).toBe(TRACE);
    expect(await traceOf({ 'x-cycles-trace-id': OTHER_TRACE })).toBe(OTHER_TRACE);
  });

  test.each([
    `01-${TRACE}-00f067aa0ba902b7-01`,
    `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    'nonsense',
  ])('is never refused: %s counts as absent', async (traceparent) => {
    expect(await traceOf({ traceparent, 'x-cycles-trace-id': OTHER_TRACE })).toBe(OTHER_TRACE);
    expect(await traceOf({ traceparent, 'x-cycles-trace-id': '0'.repeat(32) })).not.toBe('0'.repeat(32));
  });

  test('is told by refusals of every kind, those of credentials too', async () => {
    const headers = { 'x-cycles-trace-id': TRACE };
    const body = runtime.hold();
    for (const answer of [
      await runtime.as(null)('POST', '/v1/decide', body, headers),
      await runtime.key('POST', '/v1/decide', '{', headers),
      await runtime.key('DELETE', '/v1/decide', undefined, headers),
    ]) {
      expect(answer.headers['x-cycles-trace-id']).toBe(TRACE);
      expect((answer.json as { trace_id: string }).trace_id).toBe(TRACE);
    }
  });
});

describe('credentials', () => {
  const BOTH_TAKE = '/v1/reservations?tenant=acme';

  test('where both come to an operation that takes either, the operator’s alone is judged', async () => {
    const wrong = await runtime.key('GET', BOTH_TAKE, undefined, { 'x-admin-api-key': 'not-the-operators' });
    expectPlainError(wrong, 401, 'UNAUTHORIZED');
    // A public dashboard would take the name of the tenant's header for a wrong address.
    expect(wrong.text.toLowerCase()).not.toContain('cycles-api-key');
    const right = await runtime.ask('listReservations', runtime.operator, 'GET', BOTH_TAKE, undefined, { 'x-cycles-api-key': 'nobodys' });
    expect(right.status).toBe(200);
  });

  test('a key that is revoked, or whose time is over, opens nothing from the next request on', async () => {
    const expires_at = new Date(runtime.clock.nowMs() + 1000).toISOString();
    const short = await runtime.keyOf('acme', { expires_at });
    expect(codeOf(await runtime.decide({}, short))).toBe(200);
    const made = (await runtime.operator('POST', '/v1/admin/api-keys', { tenant_id: 'acme', name: 'gone' })).json as {
      key_id: string;
      key_secret: string;
    };
    const gone = runtime.cycles(made.key_secret);
    expect(codeOf(await runtime.decide({}, gone))).toBe(200);
    await runtime.operator('DELETE', `/v1/admin/api-keys/${made.key_id}`);
    runtime.clock.advance(1000);
    for (const sender of [short, gone]) {
      const answer = await runtime.decide({}, sender);
      expectPlainError(answer, 401, 'UNAUTHORIZED');
    }
  });
});

describe('evidence', () => {
  test('there is none: 404 for anybody, 400 for what is no id', async () => {
    const anyone = runtime.as(null);
    const missing = await runtime.ask('getEvidence', anyone, 'GET', `/v1/evidence/${'a'.repeat(64)}`);
    expect([missing.status, codeOf(missing)]).toEqual([404, 'NOT_FOUND']);
    expect(codeOf(await runtime.ask('getEvidence', anyone, 'GET', '/v1/evidence/xyz'))).toBe('INVALID_REQUEST');
    expect(codeOf(await runtime.ask('getEvidenceJwks', anyone, 'GET', '/v1/.well-known/cycles-jwks.json'))).toBe('NOT_FOUND');
  });
});

test('what was refused for lack of budget is told, with what it was about; a repeat and a fault of the request are not', async () => {
  const before = runtime.denials.length;
  const subject = { tenant: 'acme', agent: 'told' };
  await runtime.makeBudget('tenant:acme/agent:told', 5);
  await runtime.reserve({ subject });
  const body = runtime.hold({ subject });
  await runtime.decide(body);
  await runtime.decide(body);
  await runtime.event(6, { subject, overage_policy: 'REJECT' });
  await runtime.reserve({ subject: { tenant: 'acme', app: 'a/b' } });
  await runtime.reserve({ subject, estimate: { unit: 'CREDITS', amount: 1 } });
  const told = runtime.denials.slice(before);
  const shared = {
    tenantId: 'acme',
    scope: 'tenant:acme/agent:told',
    unit: 'TOKENS',
    reasonCode: 'BUDGET_EXCEEDED',
    remaining: 5n,
    subject,
  };
  expect(told).toMatchObject([
    { ...shared, requestedAmount: 10n },
    { ...shared, requestedAmount: 10n },
    { ...shared, requestedAmount: 6n },
  ]);
  expect(told[0]?.origin).toMatchObject({ source: 'cycles-server', actor: { type: 'api_key' } });
});
