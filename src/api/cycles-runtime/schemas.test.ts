import type { TSchema } from 'typebox';
import { describe, expect, test } from 'vitest';
import { compileValidator } from '../_shared/validation.ts';
import type { RefusedRequest } from '../_shared/problem.ts';
import {
  CommitRequest,
  DecisionRequest,
  EventCreateRequest,
  ReleaseRequest,
  ReservationCreateRequest,
  ReservationExtendRequest,
} from './schemas.ts';

const subject = { tenant: 'acme', agent: 'bot' };
const action = { kind: 'llm.completion', name: 'openai:gpt-4o' };
const amount = { unit: 'TOKENS', amount: 10 };
const spend = { idempotency_key: 'k', subject, action };

const BODIES = {
  decide: { schema: DecisionRequest, body: { ...spend, estimate: amount, metadata: { a: [1] } } },
  create: {
    schema: ReservationCreateRequest,
    body: { ...spend, estimate: amount, ttl_ms: 1000, grace_period_ms: 0, overage_policy: 'REJECT', dry_run: false, metadata: {} },
  },
  commit: { schema: CommitRequest, body: { idempotency_key: 'k', actual: amount, metrics: { tokens_input: 1, custom: { a: 1 } } } },
  release: { schema: ReleaseRequest, body: { idempotency_key: 'k', reason: 'x' } },
  extend: { schema: ReservationExtendRequest, body: { idempotency_key: 'k', extend_by_ms: 1 } },
  event: { schema: EventCreateRequest, body: { ...spend, actual: amount, client_time_ms: 0, overage_policy: 'ALLOW_WITH_OVERDRAFT' } },
} as const;
type Kind = keyof typeof BODIES;

/** The body with the value at `path` replaced; undefined takes it out. */
function changed(body: unknown, path: string, value: unknown): unknown {
  const [name = '', ...rest] = path.split('.');
  const inner = (body ?? {}) as Record<string, unknown>;
  const next = rest.length === 0 ? value : changed(inner[name], rest.join('.'), value);
  return { ...inner, [name]: next };
}

/** Why a body is refused; null where it is taken. */
function refusal(kind: Kind, body: unknown): string | null {
  const schema: TSchema = BODIES[kind].schema;
  // What is undefined is not on the wire; digits of bigints are kept.
  const strip = (value: unknown): unknown =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(
          Object.entries(value)
            .filter(([, inner]) => inner !== undefined)
            .map(([name, inner]) => [name, strip(inner)]),
        );
  const checked = compileValidator({ schema })(strip(body));
  return 'error' in checked ? (checked.error as RefusedRequest).problem.message : null;
}

const times = (count: number): string => 'x'.repeat(count);
const map = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

test.each(Object.keys(BODIES) as Kind[])('a whole body of %s is taken, and its required fields alone', (kind) => {
  const { schema, body } = BODIES[kind];
  expect(refusal(kind, body)).toBeNull();
  const required = Object.fromEntries(schema.required.map((name) => [name, (body as Record<string, unknown>)[name]]));
  expect(refusal(kind, required)).toBeNull();
});

describe('each limit holds one below, at and one above', () => {
  test.each<readonly [Kind, string, readonly unknown[], readonly unknown[], string]>([
    ['create', 'idempotency_key', [times(1), times(256)], ['', times(257), 5, null], 'a string of 1 to 256 characters'],
    ['create', 'subject.tenant', ['', times(128)], [times(129), 5], 'a string of at most 128 characters'],
    ['create', 'subject.dimensions', [{}, map(16)], [map(17), [], null], 'an object of at most 16 strings of at most 256 characters'],
    ['create', 'subject.dimensions.team', [times(256)], [times(257), 5], 'a string of at most 256 characters'],
    ['create', 'action.kind', [times(64)], [times(65)], 'a string of at most 64 characters'],
    ['create', 'action.name', [times(256)], [times(257)], 'a string of at most 256 characters'],
    [
      'create',
      'action.tags',
      [[], Array(10).fill('x')],
      [Array(11).fill('x'), 'x'],
      'a list of at most 10 strings of at most 64 characters',
    ],
    ['create', 'estimate.amount', [0, 1, 2n ** 63n - 1n], [-1, 2n ** 63n, 1.5, '5', 1e300], 'a whole number from 0 to 9223372036854775807'],
    [
      'create',
      'estimate.unit',
      ['USD_MICROCENTS', 'RISK_POINTS'],
      ['tokens', 'EUR'],
      'one of USD_MICROCENTS, TOKENS, CREDITS, RISK_POINTS',
    ],
    ['create', 'ttl_ms', [1000, 86_400_000], [999, 86_400_001, 1000.5, '1000', 2n ** 60n], 'a whole number from 1000 to 86400000'],
    ['create', 'grace_period_ms', [0, 60_000], [-1, 60_001], 'a whole number from 0 to 60000'],
    ['create', 'overage_policy', ['ALLOW_IF_AVAILABLE'], ['ALLOW', null], 'one of REJECT, ALLOW_IF_AVAILABLE, ALLOW_WITH_OVERDRAFT'],
    ['create', 'dry_run', [true], ['true', 1], 'true or false'],
    ['create', 'metadata', [{ deep: { a: [null] } }], [[], 'x', null], 'an object'],
    ['commit', 'metrics.tokens_output', [0, 2n ** 63n - 1n], [-1, 0.5], 'a whole number from 0 to 9223372036854775807'],
    ['commit', 'metrics.model_version', [times(128)], [times(129)], 'a string of at most 128 characters'],
    ['release', 'reason', ['', times(256)], [times(257)], 'a string of at most 256 characters'],
    ['extend', 'extend_by_ms', [1, 86_400_000], [0, 86_400_001], 'a whole number from 1 to 86400000'],
    ['event', 'client_time_ms', [0, 2n ** 62n], [-1], 'a whole number from 0 to 9223372036854775807'],
  ])('%s: %s', (kind, path, good, bad, rule) => {
    const { body } = BODIES[kind];
    for (const value of good) expect(refusal(kind, changed(body, path, value))).toBeNull();
    for (const value of bad) expect(refusal(kind, changed(body, path, value))).toBe(`${path} must be ${rule}`);
  });
});

describe('what a body is refused for is named', () => {
  test.each<readonly [Kind, string, unknown, string]>([
    ['create', 'estimate', undefined, 'estimate is required'],
    ['create', 'estimate.unit', undefined, 'estimate.unit is required'],
    ['create', 'colour', 1, 'colour is not a known field'],
    ['create', 'subject.team', 'x', 'subject.team is not a known field'],
    ['create', 'estimate.currency', 'x', 'estimate.currency is not a known field'],
    ['create', 'estimate', 5, 'estimate must be an object'],
    ['commit', 'metrics.tokens', 1, 'metrics.tokens is not a known field'],
    ['commit', 'estimate', amount, 'estimate is not a known field'],
    ['event', 'ttl_ms', 1000, 'ttl_ms is not a known field'],
  ])('%s: %s', (kind, path, value, message) => {
    expect(refusal(kind, changed(BODIES[kind].body, path, value))).toBe(message);
  });

  test.each([{}, { dimensions: { team: 'x' } }])('a subject that names no level: %j', (given) => {
    expect(refusal('decide', changed(BODIES.decide.body, 'subject', given))).toBe(
      'subject must be an object that names at least one of tenant, workspace, app, workflow, agent, toolset',
    );
  });
});
