import type { TSchema } from 'typebox';
import { describe, expect, test } from 'vitest';
import type { RefusedRequest } from '../../_shared/problem.ts';
import { compileValidator } from '../../_shared/validation.ts';
import { GOVERNANCE_OPERATIONS } from '../operations.ts';

const budgetFilter = { tenant_id: 'acme' };
const bulk = { idempotency_key: 'k', expected_count: 0 };
const policy = {
  caps: { max_tokens: 0, tool_allowlist: ['x'] },
  commit_overage_policy: 'REJECT',
  reservation_ttl_override: { default_ttl_ms: 1000, max_ttl_ms: 86_400_000, max_extensions: 0 },
  rate_limits: { max_reservations_per_minute: 1, max_commits_per_minute: 1 },
  effective_from: '2026-01-01T00:00:00Z',
};
const webhook = {
  url: 'https://hooks.example/x',
  event_types: ['budget.funded'],
  event_categories: ['budget'],
  thresholds: { budget_utilization: [0.8, 1], burn_rate_multiplier: 1.5, rate_window_seconds: 60 },
  retry_policy: { max_retries: 0, initial_delay_ms: 100, backoff_multiplier: 1, max_delay_ms: 1000 },
  headers: { 'x-a': 'b' },
  disable_after_failures: 1,
  signing_secret: 's',
};

/** A body of each operation that takes one, with every kind of field. */
const BODIES: Readonly<Record<string, object>> = {
  createTenant: { tenant_id: 'acme', name: 'Acme', metadata: { a: 'b' }, default_reservation_ttl_ms: 1000, max_reservation_extensions: 0 },
  updateTenant: { name: 'Acme', status: 'SUSPENDED', metadata: {}, max_reservation_ttl_ms: 1000 },
  bulkActionTenants: { filter: { status: 'ACTIVE' }, action: 'SUSPEND', ...bulk },
  createBudget: { scope: 'tenant:acme', unit: 'TOKENS', allocated: { unit: 'TOKENS', amount: 1 }, rollover_policy: 'NONE', metadata: {} },
  updateBudget: { overdraft_limit: { unit: 'TOKENS', amount: 1 }, commit_overage_policy: 'REJECT' },
  closeBudget: { reason: 'x' },
  freezeBudget: { reason: 'x' },
  unfreezeBudget: { metadata: {} },
  fundBudget: { operation: 'CREDIT', amount: { unit: 'TOKENS', amount: 1 }, spent: 1, reason: 'x', idempotency_key: 'k' },
  bulkActionBudgets: { filter: budgetFilter, action: 'CREDIT', amount: { unit: 'TOKENS', amount: 1 }, ...bulk },
  createPolicy: { tenant_id: 'acme', name: 'p', scope_pattern: 'tenant:acme/*', priority: 0, ...policy },
  updatePolicy: { name: 'p', status: 'DISABLED', ...policy },
  createApiKey: { tenant_id: 'acme', name: 'k', permissions: ['balances:read'], scope_filter: ['agent:*'], metadata: {} },
  updateApiKey: { description: 'x', permissions: [] },
  validateApiKey: { key_secret: 'cyc_live_x' },
  createWebhookSubscription: webhook,
  updateWebhookSubscription: { ...webhook, status: 'PAUSED', event_types: [] },
  replayEvents: { from: '2026-01-01T00:00:00Z', max_events: 1 },
  bulkActionWebhooks: { filter: { event_type: 'budget.funded' }, action: 'PAUSE', ...bulk },
  updateWebhookSecurityConfig: { blocked_cidr_ranges: ['10.0.0.0/8'], allow_http: false },
  createTenantWebhook: webhook,
  updateTenantWebhook: { name: 'x' },
};

const operations = Object.values(GOVERNANCE_OPERATIONS);
const schemaOf = (id: string): TSchema | undefined => operations.find((operation) => operation.id === id)?.body?.schema;

/** The body with the value at `path` replaced. */
function changed(body: unknown, path: string, value: unknown): Record<string, unknown> {
  const [name = '', ...rest] = path.split('.');
  const inner = (body ?? {}) as Record<string, unknown>;
  return { ...inner, [name]: rest.length === 0 ? value : changed(inner[name], rest.join('.'), value) };
}

/** Why a body is refused; null where it is taken. */
function refusal(id: string, body: unknown): string | null {
  const schema = schemaOf(id);
  if (schema === undefined) throw new Error(`${id} takes no body`);
  const checked = compileValidator({ schema })(body);
  return 'error' in checked ? (checked.error as RefusedRequest).problem.message : null;
}

const times = (count: number): string => 'x'.repeat(count);
const map = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

test('every operation with a body is tried here', () => {
  expect(Object.keys(BODIES).toSorted()).toEqual(
    operations
      .filter(({ body }) => body !== undefined)
      .map(({ id }) => id)
      .toSorted(),
  );
});

test.each(Object.keys(BODIES))('%s takes its body, and refuses a field that nobody knows by its name', (id) => {
  expect(refusal(id, BODIES[id])).toBeNull();
  expect(refusal(id, { ...BODIES[id], colour: 1 })).toBe('colour is not a known field');
});

test('freezing needs no body', () => {
  expect(refusal('freezeBudget', null)).toBeNull();
  expect(refusal('updateBudget', null)).toBe('the body must be a JSON object');
});

describe('each limit holds one below, at and one above', () => {
  const INT64 = 'a whole number from 0 to 9223372036854775807';
  const LOOSE = `an object with unit and amount, or ${INT64}`;
  const SAFE = Number.MAX_SAFE_INTEGER;

  test.each<readonly [string, string, readonly unknown[], readonly unknown[], string]>([
    [
      'createTenant',
      'tenant_id',
      ['abc', times(64), 'a-1'],
      ['ab', times(65), 'A_b', ''],
      '3 to 64 lower-case letters, digits and hyphens',
    ],
    ['createTenant', 'name', [times(256)], [times(257), 5, null], 'a string of at most 256 characters'],
    ['createTenant', 'status', ['ACTIVE'], ['SUSPENDED', 'CLOSED'], 'ACTIVE'],
    ['createTenant', 'metadata', [map(32)], [map(33), []], 'an object of at most 32 strings'],
    ['createTenant', 'metadata.a', ['x'], [5, null], 'a string'],
    ['createTenant', 'default_reservation_ttl_ms', [1000, 86_400_000], [999, 86_400_001], 'a whole number from 1000 to 86400000'],
    ['createTenant', 'max_reservation_extensions', [0, SAFE], [-1, 0.5, 2n ** 53n], `a whole number from 0 to ${SAFE}`],
    ['createTenant', 'reservation_expiry_policy', ['GRACE_ONLY'], ['NEVER'], 'one of AUTO_RELEASE, MANUAL_CLEANUP, GRACE_ONLY'],
    ['updateTenant', 'status', ['ACTIVE', 'CLOSED'], ['DELETED'], 'one of ACTIVE, SUSPENDED, CLOSED'],
    ['bulkActionTenants', 'idempotency_key', ['x', times(128)], ['', times(129)], 'a string of 1 to 128 characters'],
    ['bulkActionTenants', 'filter', [{ search: 'x' }], [{}, []], 'an object with at least one of status, parent_tenant_id, search'],
    ['bulkActionTenants', 'filter.search', [times(128)], [times(129)], 'a string of at most 128 characters'],
    ['bulkActionTenants', 'expected_count', [0], [-1], `a whole number from 0 to ${SAFE}`],
    ['bulkActionTenants', 'action', ['CLOSE'], ['DELETE'], 'one of SUSPEND, REACTIVATE, CLOSE'],
    ['createBudget', 'allocated', [0, 2n ** 63n - 1n], [-1, 2n ** 63n, 1.5, '5', null], LOOSE],
    ['createBudget', 'allocated.amount', [0, 2n ** 63n - 1n], [-1, 2n ** 63n], INT64],
    ['createBudget', 'overdraft_limit', [0, { unit: 'TOKENS', amount: 0 }], [-1], LOOSE],
    ['createBudget', 'unit', ['CREDITS'], ['EUR'], 'one of USD_MICROCENTS, TOKENS, CREDITS, RISK_POINTS'],
    [
      'createBudget',
      'period_start',
      ['2026-01-31T23:59:59.5+01:00'],
      ['2026-02-30T00:00:00Z', '2026-01-01', 5],
      'an RFC 3339 timestamp such as 2026-12-31T23:59:59Z',
    ],
    ['updateBudget', 'overdraft_limit', [5], [-1], LOOSE],
    ['freezeBudget', 'reason', [times(512)], [times(513)], 'a string of at most 512 characters'],
    ['fundBudget', 'operation', ['RESET_SPENT'], ['ADD'], 'one of CREDIT, DEBIT, RESET, REPAY_DEBT, RESET_SPENT'],
    ['fundBudget', 'amount', [50_000_000], [-5], LOOSE],
    ['fundBudget', 'idempotency_key', [times(256)], ['', times(257)], 'a string of 1 to 256 characters'],
    ['bulkActionBudgets', 'filter.utilization_min', [0, 1], [-0.1, 1.1], 'a number from 0 to 1'],
    ['bulkActionBudgets', 'amount', [{ unit: 'TOKENS', amount: 0 }], [5], 'an object'],
    ['createPolicy', 'name', [times(256)], [times(257)], 'a string of at most 256 characters'],
    ['createPolicy', 'description', [times(1024)], [times(1025)], 'a string of at most 1024 characters'],
    ['createPolicy', 'priority', [0], [-1, 0.5], `a whole number from 0 to ${SAFE}`],
    ['createPolicy', 'overage_policy', ['REJECT'], ['NO'], 'one of REJECT, ALLOW_IF_AVAILABLE, ALLOW_WITH_OVERDRAFT'],
    ['createPolicy', 'caps.max_tokens', [0, 4096], [-1], `a whole number from 0 to ${SAFE}`],
    ['createPolicy', 'caps.tool_denylist', [[times(256)]], ['x'], 'a list of strings of at most 256 characters'],
    ['createPolicy', 'reservation_ttl_override.max_ttl_ms', [1000], [999], 'a whole number from 1000 to 86400000'],
    ['createPolicy', 'rate_limits.max_commits_per_minute', [1], [0], `a whole number from 1 to ${SAFE}`],
    ['createApiKey', 'permissions', [[], ['events:create', 'admin:read']], ['admin:read'], 'a list of permissions'],
    ['createWebhookSubscription', 'url', [times(2048)], [times(2049), 5], 'an address of at most 2048 characters'],
    ['createWebhookSubscription', 'event_types', [['system.webhook_test']], [[], 'budget.funded'], 'a list of at least one type of events'],
    ['createWebhookSubscription', 'disable_after_failures', [1], [0], `a whole number from 1 to ${SAFE}`],
    ['createWebhookSubscription', 'retry_policy.max_retries', [0, 10], [-1, 11], 'a whole number from 0 to 10'],
    ['createWebhookSubscription', 'retry_policy.initial_delay_ms', [100, 60_000], [99, 60_001], 'a whole number from 100 to 60000'],
    ['createWebhookSubscription', 'retry_policy.backoff_multiplier', [1, 10, 1.5], [0.9, 10.1], 'a number from 1 to 10'],
    ['createWebhookSubscription', 'retry_policy.max_delay_ms', [1000, 3_600_000], [999, 3_600_001], 'a whole number from 1000 to 3600000'],
    ['createWebhookSubscription', 'thresholds.burn_rate_multiplier', [1.5, 100], [1.4], 'a number that is at least 1.5'],
    ['createWebhookSubscription', 'thresholds.rate_window_seconds', [60, 86_400], [59, 86_401], 'a whole number from 60 to 86400'],
    ['createWebhookSubscription', 'signing_secret', ['x'], ['', 5], 'a string that is not empty'],
    ['createWebhookSubscription', 'headers.x-a', ['b'], [5], 'a string'],
    ['updateWebhookSubscription', 'status', ['ACTIVE', 'PAUSED'], ['DISABLED'], 'one of ACTIVE, PAUSED'],
    ['replayEvents', 'max_events', [1, 1000], [0, 1001], 'a whole number from 1 to 1000'],
    ['updateWebhookSecurityConfig', 'allow_http', [true], ['true'], 'true or false'],
  ])('%s: %s', (id, path, good, bad, rule) => {
    for (const value of good) expect(refusal(id, changed(BODIES[id], path, value))).toBeNull();
    for (const value of bad) expect(refusal(id, changed(BODIES[id], path, value))).toBe(`${path} must be ${rule}`);
  });

  test('an item of a list is named by its place', () => {
    expect(refusal('createApiKey', { ...BODIES['createApiKey'], permissions: ['balances:read', 'root'] })).toMatch(
      /^permissions\.1 must be one of reservations:create, .*events:create$/,
    );
    expect(refusal('createWebhookSubscription', { ...webhook, event_types: ['budget.melted'] })).toMatch(/^event_types\.0 must be one of /);
    expect(refusal('createWebhookSubscription', { ...webhook, event_categories: ['dragons'] })).toMatch(
      /^event_categories\.0 must be one of /,
    );
  });
});

test('a bulk filter that this version does not know is refused instead of finding everything', () => {
  expect(refusal('bulkActionTenants', { ...BODIES['bulkActionTenants'], filter: { observe_mode: 'OBSERVE' } })).toBe(
    'filter.observe_mode is not a known field',
  );
});
