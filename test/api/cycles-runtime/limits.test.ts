import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { INT64_MAX } from '../../../src/core/int64.ts';
import { expectCyclesError } from '../../support/cycles-answers.ts';
import type { TestResponse } from '../../support/test-app.ts';
import { codeOf, makeRuntime, type Runtime } from './runtime-harness.ts';

type Operation = 'decide' | 'createReservation' | 'commitReservation' | 'releaseReservation' | 'extendReservation' | 'createEvent';

const OPERATIONS: readonly Operation[] = [
  'decide',
  'createReservation',
  'commitReservation',
  'releaseReservation',
  'extendReservation',
  'createEvent',
];
/** The operations that say whom a spend is for. */
const WITH_SUBJECT: readonly Operation[] = ['decide', 'createReservation', 'createEvent'];
const WITH_METRICS: readonly Operation[] = ['commitReservation', 'createEvent'];

let runtime: Runtime;
/** A reservation to settle. Nothing that is refused for its form settles it; what is taken may find it settled. */
let held = '';
beforeAll(async () => {
  runtime = await makeRuntime();
  await runtime.makeBudget('tenant:acme', INT64_MAX);
  held = await runtime.made();
});
afterAll(() => runtime.close());

const tokens = (amount: unknown): unknown => ({ unit: 'TOKENS', amount });
const chars = (length: number, char = 'k'): string => char.repeat(length);

const urlOf = (operation: Operation): string =>
  ({
    decide: '/v1/decide',
    createReservation: '/v1/reservations',
    commitReservation: `/v1/reservations/${held}/commit`,
    releaseReservation: `/v1/reservations/${held}/release`,
    extendReservation: `/v1/reservations/${held}/extend`,
    createEvent: '/v1/events',
  })[operation];

/** A body that an operation takes. */
function bodyOf(operation: Operation): Record<string, unknown> {
  const { estimate, subject, action, idempotency_key } = runtime.hold();
  switch (operation) {
    case 'decide':
    case 'createReservation':
      return { idempotency_key, subject, action, estimate };
    case 'createEvent':
      return { idempotency_key, subject, action, actual: tokens(1) };
    case 'commitReservation':
      return { idempotency_key, actual: tokens(1) };
    case 'extendReservation':
      return { idempotency_key, extend_by_ms: 1 };
    case 'releaseReservation':
      return { idempotency_key };
  }
}

const send = (operation: Operation, body: unknown, headers?: Record<string, string>): Promise<TestResponse> =>
  runtime.ask(operation, runtime.key, 'POST', urlOf(operation), body, headers);

/** The value of a field that is a text with a length, a number, or what a function makes of a size. */
interface Limit {
  readonly field: string;
  readonly of: readonly Operation[];
  readonly least?: number | bigint;
  readonly most?: number | bigint;
  /** What is put into the body for a size; the size itself where nothing is said. */
  readonly parts: (size: never) => Record<string, unknown>;
}

const subjectWith = (parts: object): Record<string, unknown> => ({ subject: { tenant: 'acme', ...parts } });
const actionWith = (parts: object): Record<string, unknown> => ({ action: { kind: 'llm.completion', name: 'a-model', ...parts } });
const dimensions = (count: number): Record<string, string> => Object.fromEntries(Array.from({ length: count }, (_, i) => [`d${i}`, 'x']));

const LIMITS: readonly Limit[] = [
  { field: 'idempotency_key', of: OPERATIONS, least: 1, most: 256, parts: (size: number) => ({ idempotency_key: chars(size) }) },
  ...['tenant', 'workspace', 'app', 'workflow', 'agent', 'toolset'].map((level) => ({
    field: `subject.${level}`,
    of: WITH_SUBJECT,
    most: 128,
    parts: (size: number) => subjectWith({ [level]: chars(size) }),
  })),
  { field: 'subject.dimensions', of: WITH_SUBJECT, most: 16, parts: (size: number) => subjectWith({ dimensions: dimensions(size) }) },
  { field: 'subject.dimensions', of: WITH_SUBJECT, most: 256, parts: (size: number) => subjectWith({ dimensions: { a: chars(size) } }) },
  { field: 'action.kind', of: WITH_SUBJECT, most: 64, parts: (size: number) => actionWith({ kind: chars(size) }) },
  { field: 'action.name', of: WITH_SUBJECT, most: 256, parts: (size: number) => actionWith({ name: chars(size) }) },
  { field: 'action.tags', of: WITH_SUBJECT, most: 10, parts: (size: number) => actionWith({ tags: Array(size).fill('t') }) },
  { field: 'action.tags', of: WITH_SUBJECT, most: 64, parts: (size: number) => actionWith({ tags: [chars(size)] }) },
  {
    field: 'estimate.amount',
    of: ['decide', 'createReservation'],
    least: 0n,
    most: INT64_MAX,
    parts: (amount: bigint) => ({ estimate: tokens(amount) }),
  },
  { field: 'actual.amount', of: WITH_METRICS, least: 0n, most: INT64_MAX, parts: (amount: bigint) => ({ actual: tokens(amount) }) },
  { field: 'ttl_ms', of: ['createReservation'], least: 1000, most: 86_400_000, parts: (ttl_ms: number) => ({ ttl_ms }) },
  {
    field: 'grace_period_ms',
    of: ['createReservation'],
    least: 0,
    most: 60_000,
    parts: (grace_period_ms: number) => ({ grace_period_ms }),
  },
  { field: 'extend_by_ms', of: ['extendReservation'], least: 1, most: 86_400_000, parts: (extend_by_ms: number) => ({ extend_by_ms }) },
  { field: 'reason', of: ['releaseReservation'], most: 256, parts: (size: number) => ({ reason: chars(size) }) },
  ...['tokens_input', 'tokens_output', 'latency_ms'].map((name) => ({
    field: `metrics.${name}`,
    of: WITH_METRICS,
    least: 0n,
    most: INT64_MAX,
    parts: (count: bigint) => ({ metrics: { [name]: count } }),
  })),
  { field: 'metrics.model_version', of: WITH_METRICS, most: 128, parts: (size: number) => ({ metrics: { model_version: chars(size) } }) },
  { field: 'client_time_ms', of: ['createEvent'], least: 0n, most: INT64_MAX, parts: (client_time_ms: bigint) => ({ client_time_ms }) },
];

const beside = (size: number | bigint, by: 1 | -1): number | bigint => (typeof size === 'bigint' ? size + BigInt(by) : size + by);

describe.each(LIMITS.flatMap((limit) => limit.of.map((operation) => ({ ...limit, operation }))))(
  '$operation: $field between $least and $most',
  ({ operation, field, least, most, parts }) => {
    const sendSized = (size: number | bigint): Promise<TestResponse> => send(operation, { ...bodyOf(operation), ...parts(size as never) });
    const inside = [...(least === undefined ? [] : [least, beside(least, 1)]), ...(most === undefined ? [] : [beside(most, -1), most])];
    const outside = [...(least === undefined ? [] : [beside(least, -1)]), ...(most === undefined ? [] : [beside(most, 1)])];

    test('is taken at either end and beside it', async () => {
      for (const size of inside) expect(codeOf(await sendSized(size)), `at ${size}`).not.toBe('INVALID_REQUEST');
    });
    test('is refused one beyond, and the answer names the field', async () => {
      for (const size of outside) {
        const answer = await sendSized(size);
        expect([answer.status, codeOf(answer)], `at ${size}`).toEqual([400, 'INVALID_REQUEST']);
        expect(answer.text).toContain(field);
      }
    });
  },
);

describe.each(OPERATIONS)('%s', (operation) => {
  test('refuses an unknown field, and names it', async () => {
    const answer = await send(operation, { ...bodyOf(operation), surprise: null });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
    expect(answer.text).toContain('surprise');
  });

  test('refuses a body without a field that it needs', async () => {
    for (const field of Object.keys(bodyOf(operation))) {
      const { [field]: _left, ...rest } = bodyOf(operation);
      const answer = await send(operation, rest);
      expect([answer.status, codeOf(answer)], `without ${field}`).toEqual([400, 'INVALID_REQUEST']);
      expect(answer.text).toContain(field);
    }
  });

  test.each(['{', '{"idempotency_key":', '[]', '"text"', '1', 'null', '', '{"a":1,}', '\u0000', '{"__proto__":{"a":1}}'])(
    'refuses %j, which is no body',
    async (text) => {
      const answer = await send(operation, text);
      expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
    },
  );

  test('refuses a key in the header that is not the one of the body, and takes one that is', async () => {
    const body = bodyOf(operation);
    const other = await send(operation, body, { 'x-idempotency-key': 'another' });
    expect([other.status, codeOf(other)]).toEqual([400, 'INVALID_REQUEST']);
    expect(codeOf(await send(operation, body, { 'x-idempotency-key': String(body['idempotency_key']) }))).not.toBe('INVALID_REQUEST');
  });

  test.each(['GET', 'PUT', 'PATCH', 'DELETE'] as const)('answers %s, where that is no method of its path, with 405', async (method) => {
    if (method === 'GET' && ['/v1/reservations', '/v1/events'].includes(urlOf(operation))) return;
    const answer = await runtime.key(method, urlOf(operation), method === 'GET' ? undefined : bodyOf(operation));
    expect([answer.status, codeOf(answer)]).toEqual([405, 'INVALID_REQUEST']);
    expectCyclesError('runtime', answer.json);
    expect(answer.headers['allow']).toContain('POST');
  });

  test('takes no number that stands in quotes, no fraction and no exponent for an amount or a time', async () => {
    const numeric =
      operation === 'extendReservation'
        ? 'extend_by_ms'
        : operation === 'commitReservation' || operation === 'createEvent'
          ? 'actual'
          : 'estimate';
    if (operation === 'releaseReservation') return;
    for (const text of ['"5"', '1.5', '5e-1', '1e30', 'true', 'null', '-0.5', '[5]']) {
      const value = numeric === 'extend_by_ms' ? text : `{"unit":"TOKENS","amount":${text}}`;
      const { [numeric]: _left, ...rest } = bodyOf(operation);
      const answer = await send(operation, `${JSON.stringify(rest).slice(0, -1)},"${numeric}":${value}}`);
      expect([answer.status, codeOf(answer)], `for ${text}`).toEqual([400, 'INVALID_REQUEST']);
    }
  });
});

describe('paths', () => {
  test.each(['getReservation', 'commitReservation', 'releaseReservation', 'extendReservation'] as const)(
    '%s takes an id of 128 characters and none of 129',
    async (operation) => {
      const ask = (id: string): Promise<TestResponse> =>
        operation === 'getReservation'
          ? runtime.ask(operation, runtime.key, 'GET', `/v1/reservations/${id}`)
          : runtime.ask(operation, runtime.key, 'POST', urlOf(operation).replace(held, id), bodyOf(operation));
      expect([codeOf(await ask(chars(127))), codeOf(await ask(chars(128)))]).toEqual(['NOT_FOUND', 'NOT_FOUND']);
      expect(codeOf(await ask(chars(129)))).toBe('INVALID_REQUEST');
    },
  );

  test.each<[string, string]>([
    [chars(64, 'a'), 'NOT_FOUND'],
    [chars(63, 'a'), 'INVALID_REQUEST'],
    [chars(65, 'a'), 'INVALID_REQUEST'],
    [chars(64, 'A'), 'INVALID_REQUEST'],
    [chars(64, 'g'), 'INVALID_REQUEST'],
  ])('evidence %s: %s', async (id, code) => {
    expect(codeOf(await runtime.ask('getEvidence', runtime.as(null), 'GET', `/v1/evidence/${id}`))).toBe(code);
  });
});

describe.each([
  ['listReservations', '/v1/reservations?tenant=acme'],
  ['getBalances', '/v1/balances?tenant=acme'],
])('%s', (operation, url) => {
  const list = (query: string): Promise<TestResponse> => runtime.ask(operation, runtime.key, 'GET', `${url}${query}`);

  test.each([1, 2, 199, 200])('takes a limit of %i', async (limit) => {
    expect(codeOf(await list(`&limit=${limit}`))).toBe(200);
  });

  test.each([
    ['limit', '0'],
    ['limit', '201'],
    ['limit', '-1'],
    ['limit', '1.5'],
    ['limit', 'x'],
    ['limit', '9007199254740993'],
    ['cursor', 'x'],
    ['cursor', 'eyJ2IjoxfQ'],
    ['cursor', chars(5000)],
    ['app', 'a b'],
    ['app', 'a:b'],
    ['app', chars(129)],
    ['agent', '%00'],
  ])('refuses %s=%s, and names it', async (field, value) => {
    const answer = await list(`&${field}=${value}`);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
    expect((answer.json as { details: { field: string } }).details.field).toBe(field);
  });

  test('takes a level of 128 characters, which nothing has', async () => {
    expect(codeOf(await list(`&app=${chars(128)}`))).toBe(200);
  });

  test.each(['PUT', 'PATCH', 'DELETE'] as const)('answers %s with 405', async (method) => {
    const answer = await runtime.key(method, url, {});
    expect([answer.status, codeOf(answer)]).toEqual([405, 'INVALID_REQUEST']);
    expectCyclesError('runtime', answer.json);
  });
});

describe('moments of a list', () => {
  const WINDOWS = [
    ['from', 'to'],
    ['expires_from', 'expires_to'],
    ['finalized_from', 'finalized_to'],
  ] as const;
  const list = (query: string): Promise<TestResponse> => runtime.ask('listReservations', runtime.key, 'GET', `/v1/reservations?${query}`);
  const MOMENT = '2026-11-23T00:00:00Z';

  test.each(WINDOWS)('%s and %s may be the same, may stand alone, and may not be the wrong way round', async (from, to) => {
    for (const query of [`${from}=${MOMENT}&${to}=${MOMENT}`, `${from}=${MOMENT}`, `${to}=${MOMENT}`, `${from}=&${to}=`])
      expect(codeOf(await list(query)), `at ${query}`).toBe(200);
    const answer = await list(`${from}=2026-11-23T00:00:00.001Z&${to}=${MOMENT}`);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
  });

  test.each(WINDOWS.flat())('%s must be a moment', async (name) => {
    for (const text of ['yesterday', '2026-02-30T00:00:00Z', '2026-11-23', '1780000000', '2026-11-23T25:00:00Z', '2026-11-23T00:00:00']) {
      const answer = await list(`${name}=${text}`);
      expect([answer.status, codeOf(answer)], `for ${text}`).toEqual([400, 'INVALID_REQUEST']);
      expect((answer.json as { details: { field: string } }).details.field).toBe(name);
    }
  });
});
