import { expect } from 'vitest';
import { stringifyJson } from '../../../src/core/json/int64.ts';
import { expectAnswer } from '../../support/cycles-answers.ts';
import { makeTestApp, type TestApp, type TestAppOptions, type TestResponse } from '../../support/test-app.ts';

/** Who sends a request: the operator, or the holder of a key of a tenant. */
export type Sender = TestApp['operator'];

/** The runtime plane with a tenant `acme` and its key. Every answer is held against the closed schema of its operation. */
export interface Runtime extends TestApp {
  /** Sends with a key of `acme` that may do everything on the runtime plane. */
  readonly key: Sender;
  /** Makes a key of a tenant and returns who sends with it. */
  keyOf(
    tenantId: string,
    parts?: { permissions?: readonly string[]; scope_filter?: readonly string[]; expires_at?: string },
  ): Promise<Sender>;
  /** Makes a tenant. */
  makeTenant(id: string, parts?: Readonly<Record<string, unknown>>): Promise<void>;
  patchTenant(id: string, parts: Readonly<Record<string, unknown>>): Promise<void>;
  /** Makes a budget of `allocated` TOKENS, or of the unit in `parts`. */
  makeBudget(scope: string, allocated?: number | bigint, parts?: Readonly<Record<string, unknown>>): Promise<void>;
  makePolicy(pattern: string, parts: Readonly<Record<string, unknown>>): Promise<string>;
  /** Sends a request of an operation; bodies may hold bigints, a text is sent as it is. */
  ask(
    operationId: string,
    sender: Sender,
    method: 'GET' | 'POST',
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<TestResponse>;
  /** A body of `POST /v1/reservations` under a key of its own, over 10 TOKENS of `acme`. */
  hold(parts?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  reserve(parts?: Readonly<Record<string, unknown>>, sender?: Sender): Promise<TestResponse>;
  /** Reserves, and gives the id. */
  made(parts?: Readonly<Record<string, unknown>>): Promise<string>;
  commit(id: string, amount: number | bigint, parts?: Readonly<Record<string, unknown>>, sender?: Sender): Promise<TestResponse>;
  release(id: string, parts?: Readonly<Record<string, unknown>>, sender?: Sender): Promise<TestResponse>;
  extend(id: string, byMs: number, parts?: Readonly<Record<string, unknown>>, sender?: Sender): Promise<TestResponse>;
  event(amount: number | bigint, parts?: Readonly<Record<string, unknown>>, sender?: Sender): Promise<TestResponse>;
  decide(parts?: Readonly<Record<string, unknown>>, sender?: Sender): Promise<TestResponse>;
  /** What a budget has: allocated, remaining, reserved, spent, debt and whether it is over its limit. */
  budget(scope: string, unit?: string): Promise<Record<string, unknown>>;
}

/** The code of an error, or the status of what went well. */
export const codeOf = (answer: TestResponse): string | number => (answer.json as { error?: string }).error ?? answer.status;

/** Makes the plane over a store in memory, or the one that is given. */
export async function makeRuntime(options: TestAppOptions = {}): Promise<Runtime> {
  const app = await makeTestApp(options);
  let count = 0;
  const idempotencyKey = (): string => `key-${(count += 1)}`;
  const ask: Runtime['ask'] = async (operationId, sender, method, url, body, headers) => {
    const sent = body === undefined || typeof body === 'string' ? body : stringifyJson(body);
    const answer = await sender(method, url, sent, headers);
    expectAnswer(operationId, answer.status, answer.json, 'runtime');
    expect(answer.headers['x-request-id']).toMatch(/^req_/);
    expect(answer.headers['x-cycles-trace-id']).toMatch(/^[0-9a-f]{32}$/);
    return answer;
  };
  const manage = async (method: 'POST' | 'PATCH', url: string, body: unknown): Promise<never> => {
    const made = await app.operator(method, url, stringifyJson(body));
    expect(made.status, `${method} ${url}: ${made.text}`).toBeLessThan(300);
    return made.json;
  };
  const makeTenant: Runtime['makeTenant'] = async (id, parts = {}) =>
    void (await manage('POST', '/v1/admin/tenants', { tenant_id: id, name: id, ...parts }));
  const keyOf: Runtime['keyOf'] = async (tenantId, parts = {}) => {
    const { key_secret: secret } = (await manage('POST', '/v1/admin/api-keys', { tenant_id: tenantId, name: 'a key', ...parts })) as {
      key_secret: string;
    };
    return app.cycles(secret);
  };
  await makeTenant('acme');
  const key = await keyOf('acme');
  const tokens = (amount: number | bigint): unknown => ({ unit: 'TOKENS', amount });
  const hold: Runtime['hold'] = (parts = {}) => ({
    idempotency_key: idempotencyKey(),
    subject: { tenant: 'acme' },
    action: { kind: 'llm.completion', name: 'a-model' },
    estimate: tokens(10),
    ...parts,
  });
  const reserve: Runtime['reserve'] = (parts = {}, sender = key) =>
    ask('createReservation', sender, 'POST', '/v1/reservations', hold(parts));
  const on = (id: string, verb: string): string => `/v1/reservations/${id}/${verb}`;
  return {
    ...app,
    key,
    keyOf,
    makeTenant,
    patchTenant: async (id, parts) => void (await manage('PATCH', `/v1/admin/tenants/${id}`, parts)),
    makeBudget: async (scope, allocated = 100, parts = {}) => {
      const { unit = 'TOKENS', ...rest } = parts as { unit?: string };
      const tenant_id = /^tenant:([^/]*)/i.exec(scope)?.[1]?.toLowerCase();
      await manage('POST', '/v1/admin/budgets', { tenant_id, scope, unit, allocated: { unit, amount: allocated }, ...rest });
    },
    makePolicy: async (pattern, parts) => {
      const body = { tenant_id: 'acme', name: `policy ${idempotencyKey()}`, scope_pattern: pattern, ...parts };
      return ((await manage('POST', '/v1/admin/policies', body)) as { policy_id: string }).policy_id;
    },
    ask,
    hold,
    reserve,
    made: async (parts) => {
      const answer = await reserve(parts);
      expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
      return (answer.json as { reservation_id: string }).reservation_id;
    },
    commit: (id, amount, parts = {}, sender = key) =>
      ask('commitReservation', sender, 'POST', on(id, 'commit'), { idempotency_key: idempotencyKey(), actual: tokens(amount), ...parts }),
    release: (id, parts = {}, sender = key) =>
      ask('releaseReservation', sender, 'POST', on(id, 'release'), { idempotency_key: idempotencyKey(), ...parts }),
    extend: (id, byMs, parts = {}, sender = key) =>
      ask('extendReservation', sender, 'POST', on(id, 'extend'), { idempotency_key: idempotencyKey(), extend_by_ms: byMs, ...parts }),
    event: (amount, parts = {}, sender = key) => {
      const { estimate: _estimate, ...body } = hold(parts);
      return ask('createEvent', sender, 'POST', '/v1/events', { ...body, actual: tokens(amount), ...parts });
    },
    decide: (parts = {}, sender = key) => ask('decide', sender, 'POST', '/v1/decide', hold(parts)),
    budget: async (scope, unit = 'TOKENS') => {
      const found = await app.operator('GET', `/v1/admin/budgets/lookup?scope=${scope}&unit=${unit}`);
      expect({ status: found.status, text: found.text }).toMatchObject({ status: 200 });
      const body = found.json as Record<string, { amount: unknown }>;
      const amounts = ['allocated', 'remaining', 'reserved', 'spent', 'debt'].map((name) => [name, body[name]?.amount]);
      return { ...(Object.fromEntries(amounts) as Record<string, unknown>), over: body['is_over_limit'] };
    },
  };
}
