import type { TSchema } from 'typebox';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GOVERNANCE_OPERATIONS } from '../../../src/api/cycles-governance/operations.ts';
import type { Operation, Parameter } from '../../../src/api/_shared/openapi/operation.ts';
import { INT64_MAX } from '../../../src/core/int64.ts';
import { stringifyJson } from '../../../src/core/json/int64.ts';
import { expectAnswer, expectCyclesError } from '../../support/cycles-answers.ts';
import { makeHooks, URL_OUTSIDE, type Hooks } from './webhook-harness.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Fields = Readonly<Record<string, unknown>>;

/** One value that a field is given, and whether it may have it. */
interface Try {
  readonly value: unknown;
  readonly isGood: boolean;
}

/** A schema as far as it sets limits. `documentAs` stands for the limits that a refinement checks. */
interface Limited {
  readonly type?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly documentAs?: { readonly type?: string; readonly format?: string; readonly minimum?: number };
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly items?: TSchema;
  readonly anyOf?: readonly TSchema[];
}

let hooks: Hooks;
let ids: Readonly<Record<string, string>>;
const SCOPE = 'tenant:acme/app:limits';
const BUDGET = `scope=${encodeURIComponent(SCOPE)}&unit=TOKENS`;
const TOKENS = { unit: 'TOKENS', amount: 1 };

beforeAll(async () => {
  hooks = await makeHooks();
  const make = async (operation: string, url: string, body: Fields): Promise<Fields> =>
    (await hooks.operator.ask(operation, 'POST', url, body)).body;
  const { key_id: keyId } = await make('createApiKey', '/v1/admin/api-keys', { tenant_id: 'acme', name: 'k' });
  const policy = { tenant_id: 'acme', name: 'p', scope_pattern: 'tenant:acme/*' };
  const { policy_id: policyId } = await make('createPolicy', '/v1/admin/policies', policy);
  await make('createBudget', '/v1/admin/budgets', { tenant_id: 'acme', scope: SCOPE, unit: 'TOKENS', allocated: TOKENS });
  const { id: subscriptionId } = await hooks.subscribe({}, 'acme');
  await hooks.makeTenant('changes');
  ids = { tenant_id: 'changes', key_id: String(keyId), policy_id: String(policyId), subscription_id: subscriptionId };
});
afterAll(() => hooks.close());

let count = 0;
/** What no two requests may share. */
const fresh = (): string => `fresh-${(count += 1)}`;

const webhook = { url: URL_OUTSIDE, event_types: ['budget.funded'] };
const bulk = { idempotency_key: 'k' };

/** A body that each operation takes, with what it needs and no more. */
const BODIES: Readonly<Record<string, () => Fields>> = {
  createTenant: () => ({ tenant_id: fresh(), name: 'a' }),
  updateTenant: () => ({}),
  bulkActionTenants: () => ({ filter: { search: 'nobody' }, action: 'SUSPEND', idempotency_key: fresh() }),
  createBudget: () => ({ tenant_id: 'acme', scope: `tenant:acme/app:${fresh()}`, unit: 'TOKENS', allocated: TOKENS }),
  updateBudget: () => ({ commit_overage_policy: 'REJECT' }),
  freezeBudget: () => ({}),
  unfreezeBudget: () => ({}),
  closeBudget: () => ({}),
  fundBudget: () => ({ operation: 'CREDIT', amount: { unit: 'TOKENS', amount: 0 } }),
  bulkActionBudgets: () => ({ filter: { tenant_id: 'other' }, action: 'CREDIT', amount: TOKENS, ...bulk, idempotency_key: fresh() }),
  createPolicy: () => ({ tenant_id: 'acme', name: fresh(), scope_pattern: 'tenant:acme/*' }),
  updatePolicy: () => ({}),
  createApiKey: () => ({ tenant_id: 'acme', name: fresh() }),
  updateApiKey: () => ({}),
  validateApiKey: () => ({ key_secret: 'cyc_live_x' }),
  createWebhookSubscription: () => webhook,
  updateWebhookSubscription: () => ({}),
  replayEvents: () => ({}),
  bulkActionWebhooks: () => ({ filter: { search: 'nobody' }, action: 'PAUSE', idempotency_key: fresh() }),
  updateWebhookSecurityConfig: () => ({}),
  createTenantWebhook: () => webhook,
  updateTenantWebhook: () => ({}),
};

const chars = (length: number): string => 'x'.repeat(length);
const fields = (length: number): Fields => Object.fromEntries(Array.from({ length }, (_, index) => [`k${index}`, 'v']));
const good = (...values: readonly unknown[]): Try[] => values.map((value) => ({ value, isGood: true }));
const bad = (...values: readonly unknown[]): Try[] => values.map((value) => ({ value, isGood: false }));

/** The same word in letters of the other case. */
const swappedCase = (word: string): string => (word === word.toUpperCase() ? word.toLowerCase() : word.toUpperCase());

/** One under, at and one over each limit that a schema sets, and what is of no right type. */
function triesOf(schema: TSchema): Try[] {
  const limits = schema as Limited;
  const { minLength, maxLength, minItems, maxItems, maxProperties, pattern, enum: choices } = limits;
  const type = limits.type ?? limits.documentAs?.type;
  const format = limits.format ?? limits.documentAs?.format;
  const minimum = limits.minimum ?? limits.documentAs?.minimum;
  const { maximum } = limits;
  if (choices !== undefined) {
    const [first = '', last = ''] = [choices[0], choices.at(-1)];
    return [...good(...new Set([first, last])), ...bad('NOT_ONE', swappedCase(first), 5)];
  }
  if (format === 'date-time') return [...good('2999-04-09T00:00:00Z', '2999-04-09T00:00:00.5+02:00'), ...bad('2026-04-09', 'now', 5)];
  if (type === 'string') {
    // Where a pattern stands beside lengths, any text of small letters keeps it here.
    const of = (length: number): string => (pattern === undefined ? chars(length) : fresh().padEnd(length, 'x').slice(-length));
    const low = minLength === undefined ? [] : [...good(of(minLength)), ...bad(chars(minLength - 1))];
    const high = maxLength === undefined ? [] : [...good(of(maxLength), of(maxLength - 1)), ...bad(chars(maxLength + 1))];
    return [...low, ...high, ...bad(5, null)];
  }
  if (type === 'integer' || type === 'number') {
    const step = type === 'integer' ? 1 : 0.001;
    const low = minimum === undefined ? [] : [...good(minimum, minimum + step), ...bad(minimum - step)];
    const high = maximum === undefined ? [] : [...good(maximum, maximum - step), ...bad(maximum + step)];
    const top = format === 'int64' ? [...good(INT64_MAX), ...bad(INT64_MAX + 1n)] : [];
    return [...low, ...high, ...top, ...bad('1', null, ...(type === 'integer' ? [1.5] : []))];
  }
  if (type === 'boolean') return [...good(true, false), ...bad('true', 1, null)];
  if (type === 'array') {
    const item = triesOf(limits.items as TSchema).find(({ isGood }) => isGood)?.value ?? 'x';
    const list = (length: number): unknown[] => Array.from({ length }, () => item);
    const low = minItems === undefined ? [] : [...good(list(minItems)), ...bad(list(minItems - 1))];
    const high = maxItems === undefined ? [] : [...good(list(maxItems)), ...bad(list(maxItems + 1))];
    return [...low, ...high, ...bad('x', {}, null)];
  }
  if (type === 'object') {
    const high =
      maxProperties === undefined ? [] : [...good(fields(maxProperties), fields(maxProperties - 1)), ...bad(fields(maxProperties + 1))];
    return [...high, ...bad('x', [])];
  }
  return [];
}

/** Every field of a body that has a rule, however deep it lies. */
function fieldsOf(schema: TSchema, path: readonly string[] = []): { readonly path: readonly string[]; readonly schema: TSchema }[] {
  const { properties, anyOf, type } = schema as Limited;
  const own = path.length === 0 || anyOf !== undefined ? [] : [{ path, schema }];
  const inner = Object.entries(properties ?? {}).flatMap(([name, each]) => fieldsOf(each, [...path, name]));
  const either = (anyOf ?? []).flatMap((each) => fieldsOf(each, path).filter(({ path: at }) => at.length > path.length));
  return type === 'array' ? own : [...own, ...inner, ...either];
}

/** A body with the value at a path replaced; what lies around it is made where it is missing. */
function withValue(body: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  const around = (typeof body === 'object' && body !== null ? body : {}) as Fields;
  return { ...around, [name]: withValue(around[name], rest, value) };
}

/** The rest of an amount of which one part is tried. */
function withRest(body: Fields, path: readonly string[]): unknown {
  const [part, around] = [path.at(-1), path.slice(0, -1)];
  const isAmount = around.length > 0 && around[0] !== 'filter' && (part === 'unit' || part === 'amount');
  return isAmount ? withValue(body, around, TOKENS) : body;
}

/** Values that are good by themselves, and that another rule refuses for what is beside them. */
const OTHER_RULES = [
  / is in [A-Z_]+, the budget in [A-Z_]+$/,
  / would go past 2\^63 - 1$/,
  /^effective_until must lie after effective_from$/,
  /^url must be an absolute https address$/,
];

/** How a refusal goes on after the name of the field. */
const RULE = /^(?:\.\d+)? must (?:be|have) /;

const OPERATIONS = Object.entries(GOVERNANCE_OPERATIONS).map(([key, operation]) => {
  const [method = '', pattern = ''] = key.split(' ');
  return { key, method: method as Method, pattern, operation };
});
const WITH_BODY = OPERATIONS.filter(({ operation }) => operation.body !== undefined);
const LISTS = OPERATIONS.filter(({ method, operation }) => method === 'GET' && operation.query !== undefined);

function urlOf({ pattern, operation }: { readonly pattern: string; readonly operation: Operation }): string {
  const path = pattern.replaceAll(/:([a-z_]+)/g, (_part, name: string) => ids[name] ?? 'nobody');
  // What the operator must name.
  const needed = { listPolicies: 'tenant_id=acme', listTenantWebhooks: 'tenant=acme' }[operation.id];
  return operation.query?.['scope']?.required === true ? `${path}?${BUDGET}` : needed === undefined ? path : `${path}?${needed}`;
}

interface Refusal {
  readonly status: number;
  readonly message: string;
}

async function send(method: Method, url: string, operation: Operation, body?: unknown): Promise<Refusal> {
  // What only a tenant's key may do is tried with one.
  const isTenants = operation.security?.includes('operatorKey') === false;
  const sent = body === undefined ? undefined : stringifyJson(body);
  const headers: Record<string, string> = sent === undefined ? {} : { 'content-type': 'application/json' };
  const answer = isTenants ? await (await keySender())(method, url, sent, headers) : await hooks.at.operator(method, url, sent, headers);
  expectAnswer(operation.id, answer.status, answer.json, 'governance');
  const { message = '' } = (answer.json ?? {}) as { message?: string };
  return { status: answer.status, message };
}

let tenantSender: Promise<Hooks['at']['operator']> | undefined;
const keySender = (): Promise<Hooks['at']['operator']> => {
  tenantSender ??= (async () => {
    const permissions = ['webhooks:write', 'webhooks:read', 'events:read', 'balances:read'];
    const body = { tenant_id: 'acme', name: 'limits', permissions };
    const { key_secret: secret } = (await hooks.operator.ask('createApiKey', 'POST', '/v1/admin/api-keys', body)).body;
    return hooks.at.cycles(String(secret));
  })();
  return tenantSender;
};

test('every operation with a body is tried', () => {
  expect(Object.keys(BODIES).toSorted()).toEqual(WITH_BODY.map(({ operation }) => operation.id).toSorted());
});

describe('each field of a body holds its limits one under, at and one over', () => {
  test.each(WITH_BODY)('$key', async (asked) => {
    const { method, operation } = asked;
    const base = BODIES[operation.id] ?? (() => ({}));
    const url = urlOf(asked);
    const wrong: string[] = [];
    for (const { path, schema } of fieldsOf(operation.body?.schema as TSchema)) {
      const name = path.join('.');
      for (const { value, isGood } of triesOf(schema)) {
        if (value === 'CLOSED' && operation.id === 'updateTenant') continue;
        const body = withValue(withRest(base(), path), path, value);
        const { status, message } = await send(method, url, operation, body);
        const isRefused = status === 400 && RULE.test(message.replace(name, ''));
        const isTaken = status !== 400 || OTHER_RULES.some((rule) => rule.test(message));
        if (isGood ? !isTaken : !isRefused) wrong.push(`${name} ${stringifyJson(value).slice(0, 60)}: ${status} ${message}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test.each(WITH_BODY)('$key refuses a field that nobody knows, and changes nothing', async (asked) => {
    const { method, operation } = asked;
    const base = BODIES[operation.id]?.() ?? {};
    const before = await hooks.raw('SELECT count(*) AS n FROM events');
    expect(await send(method, urlOf(asked), operation, { ...base, colour: 1 })).toEqual({
      status: 400,
      message: 'colour is not a known field',
    });
    expect(await hooks.raw('SELECT count(*) AS n FROM events')).toEqual(before);
  });
});

/** What a parameter of a query may be, and may not. */
function queryTries(name: string, { schema }: Parameter): Try[] {
  const limits = schema as Limited;
  // A page's size is taken for the nearest one that there is.
  if (name === 'limit') return [...good(-1, 0, 1, 100, 101, 2000), ...bad('x', '1.5')];
  if (name === 'cursor') return bad('x', 'eyJ2IjoxfQ');
  if (limits.type === 'array') {
    const list = (length: number): string => Array.from({ length }, (_, index) => `A${index}`).join(',');
    return [...good(list((limits.maxItems ?? 0) - 1), list(limits.maxItems ?? 0)), ...bad(list((limits.maxItems ?? 0) + 1))];
  }
  if (limits.pattern !== undefined) return [...good('a'.repeat(32)), ...bad('a'.repeat(31), 'A'.repeat(32), 'g'.repeat(32))];
  if (limits.type === 'boolean') return [...good('true', 'false'), ...bad('yes', '1')];
  // Everything in a query is text, so only its form can be wrong, and nothing at all is no filter.
  return triesOf(schema).filter(
    ({ value, isGood }) => value !== null && (isGood || (isNumeric(limits) ? value !== '1' : typeof value === 'string')),
  );
}

const isNumeric = ({ type }: Limited): boolean => type === 'number' || type === 'integer';

describe('each parameter of a list holds its limits one under, at and one over', () => {
  test.each(LISTS)('$key', async (asked) => {
    const { method, operation } = asked;
    const url = urlOf(asked);
    const wrong: string[] = [];
    for (const [name, parameter] of Object.entries(operation.query ?? {})) {
      // The budget that is looked up is named by them.
      if (parameter.required === true) continue;
      for (const { value, isGood } of queryTries(name, parameter)) {
        const text = String(value);
        const { status, message } = await send(
          method,
          `${url}${url.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(text)}`,
          operation,
        );
        const isRefused = status === 400 && message.startsWith(`${name} `);
        if (isGood ? status !== 200 : !isRefused) wrong.push(`${name} ${text.slice(0, 60)}: ${status} ${message}`);
      }
    }
    expect(wrong).toEqual([]);
    const { query = {} } = operation;
    if (query['from'] === undefined) return;
    const range = async (from: string, to: string): Promise<Refusal> =>
      send(method, `${url}${url.includes('?') ? '&' : '?'}from=${from}&to=${to}`, operation);
    expect(await range('2026-04-09T00:00:00Z', '2026-04-09T00:00:00Z')).toMatchObject({ status: 200 });
    expect(await range('2026-04-09T00:00:00.001Z', '2026-04-09T00:00:00Z')).toMatchObject({
      status: 400,
      message: expect.stringMatching(/^from must not (?:lie|be) after to$/) as string,
    });
  });
});

test('a reason in a query holds its limit', async () => {
  for (const [length, status] of [
    [511, 404],
    [512, 404],
    [513, 400],
  ] as const) {
    const answer = await hooks.operator.ask('revokeApiKey', 'DELETE', `/v1/admin/api-keys/nobody?reason=${chars(length)}`);
    expect([length, answer.status]).toEqual([length, status]);
  }
});

describe('a method that a path does not have', () => {
  // The operator's own, below another prefix, have another form.
  const patterns = OPERATIONS.map(({ pattern }) => pattern).filter((pattern) => !pattern.startsWith('/v1/x-castellan'));
  const paths = [...new Set(patterns)].map((pattern) => ({ pattern }));
  const ALL: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

  test.each(paths)('is 405 at $pattern, with those that there are', async ({ pattern }) => {
    const there = OPERATIONS.filter((each) => each.pattern === pattern).map(({ method }) => method);
    for (const method of ALL.filter((each) => !there.includes(each))) {
      // The runtime plane books events at the path where tenants list theirs; `bulk-action` could be the id of a thing as well.
      if ((pattern === '/v1/events' && method === 'POST') || pattern.endsWith('/bulk-action')) continue;
      const path = pattern.replaceAll(/:[a-z_]+/g, (part) => ids[part.slice(1)] ?? 'nobody');
      const answer = await hooks.at.operator(method, path);
      expect([pattern, method, answer.status]).toEqual([pattern, method, 405]);
      expectCyclesError('governance', answer.json);
      for (const each of there) expect(answer.headers['allow']).toContain(each);
    }
  });
});
