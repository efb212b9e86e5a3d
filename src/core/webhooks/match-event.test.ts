import { describe, expect, test } from 'vitest';
import { SYSTEM_TENANT, type Webhook } from '../records.ts';
import { isDelivered, wantsEvent } from './match-event.ts';
import { retryDelayMs, retryPolicyOf } from './retry.ts';

const webhook = (parts: Partial<Webhook> = {}): Webhook => ({
  id: 'whsub_1',
  tenantId: 'acme',
  name: null,
  description: null,
  url: 'https://hooks.example.com/',
  eventTypes: [],
  eventCategories: [],
  scopeFilter: null,
  status: 'ACTIVE',
  secretSealed: '',
  headerNames: [],
  headersSealed: null,
  retryPolicy: {},
  thresholds: {},
  disableAfterFailures: 10,
  metadata: {},
  createdAtMs: 1000,
  updatedAtMs: 1000,
  activeSinceMs: 2000,
  ...parts,
});
const operators = (parts: Partial<Webhook> = {}): Webhook => webhook({ tenantId: SYSTEM_TENANT, ...parts });
const event = (type: string, parts: { tenantId?: string; scope?: string; data?: object; atMs?: number } = {}) => ({
  id: 'evt_1',
  type,
  tenantId: 'acme',
  atMs: 2000,
  data: {} as never,
  ...(parts as object),
});

describe('a scope filter', () => {
  test.each([
    [null, undefined, true],
    ['', 'tenant:a', true],
    ['  ', undefined, true],
    ['*', 'tenant:a', true],
    ['*', undefined, false],
    ['*', '', false],
    ['tenant:a', 'tenant:a', true],
    ['tenant:A', 'tenant:a', true],
    ['tenant:a', 'tenant:a/app:x', false],
    ['tenant:a', 'tenant:ab', false],
    ['tenant:a/*', 'tenant:a/app:x', true],
    ['tenant:a/*', 'tenant:a/app:x/agent:y', true],
    ['tenant:a/*', 'tenant:a', false],
    ['tenant:a/*', 'tenant:a/', false],
    ['tenant:a/*', 'tenant:ab/app:x', false],
    ['tenant:a*', 'tenant:ab', true],
    ['tenant:a*', 'tenant:a', false],
    ['tenant:a/*', undefined, false],
  ])('%j and a scope of %j: %s', (scopeFilter, scope, passes) => {
    const happened = event('budget.funded', scope === undefined ? {} : { scope });
    expect(wantsEvent(webhook({ eventTypes: ['budget.funded'], scopeFilter }), happened)).toBe(passes);
  });
});

describe('a subscription is sent', () => {
  test.each<[string, Webhook, ReturnType<typeof event>, boolean]>([
    ['a type that it names', webhook({ eventTypes: ['budget.funded'] }), event('budget.funded'), true],
    ['no other type', webhook({ eventTypes: ['budget.funded'] }), event('budget.reset'), false],
    ['all of a category', webhook({ eventCategories: ['budget'] }), event('budget.reset'), true],
    ['none of another', webhook({ eventCategories: ['budget'] }), event('reservation.denied'), false],
    ['a type or a category', webhook({ eventTypes: ['tenant.closed'], eventCategories: ['budget'] }), event('tenant.closed'), true],
    ['nothing where it selects nothing', webhook(), event('budget.funded'), false],
    ['nothing of another tenant', webhook({ eventCategories: ['budget'] }), event('budget.funded', { tenantId: 'beta' }), false],
    ['everybody’s where it is the operator’s', operators({ eventCategories: ['budget'] }), event('budget.funded', { tenantId: 'b' }), true],
    ['nothing that tenants must not see', webhook({ eventCategories: ['api_key'] }), event('api_key.created'), false],
    ['no type that is not registered', operators({ eventTypes: ['model.created'] }), event('model.created'), false],
    ['no probe of another', operators({ eventTypes: ['system.webhook_test'] }), event('system.webhook_test'), false],
  ])('%s', (_name, subscription, happened, wanted) => expect(wantsEvent(subscription, happened)).toBe(wanted));

  test.each([
    [{}, 0.5, false],
    [{}, 0.8, true],
    [{}, 0.95, true],
    [{}, 1, true],
    [{ budget_utilization: [0.5] }, 0.5, true],
    [{ budget_utilization: [0.5] }, 0.8, false],
    [{ budget_utilization: [] }, 0.8, false],
    [{ budget_utilization: [1 / 3] }, 0.33333333, true],
    [{ budget_utilization: [1 / 3] }, 0.3333, false],
  ])('of thresholds, with %j, that at %s: %s', (thresholds, threshold, wanted) => {
    const subscription = webhook({ eventTypes: ['budget.threshold_crossed'], thresholds });
    expect(wantsEvent(subscription, event('budget.threshold_crossed', { data: { threshold } }))).toBe(wanted);
  });

  test.each([
    [{}, { window_seconds: 300, threshold_rate: 0.1 }, true],
    [{ denial_rate_threshold: 0.5 }, { window_seconds: 300, threshold_rate: 0.1 }, false],
    [{ denial_rate_threshold: 0.5, rate_window_seconds: 60 }, { window_seconds: 60, threshold_rate: 0.5 }, true],
  ])('of spikes, with %j, that of %j: %s', (thresholds, data, wanted) => {
    const subscription = webhook({ eventTypes: ['reservation.denial_rate_spike'], thresholds });
    expect(wantsEvent(subscription, event('reservation.denial_rate_spike', { data }))).toBe(wanted);
  });

  test.each([
    ['ACTIVE', 2000, true],
    ['ACTIVE', 1999, false],
    ['PAUSED', 2000, false],
    ['DISABLED', 2000, false],
  ] as const)('while it is %s, of what happened at %d: %s', (status, atMs, wanted) => {
    expect(isDelivered(webhook({ status, eventTypes: ['budget.funded'] }), event('budget.funded', { atMs }))).toBe(wanted);
  });
});

describe('a delivery that failed is tried again', () => {
  test('five times by the document’s waits, where nothing is said', () => {
    const policy = retryPolicyOf({ retryPolicy: {} });
    expect([1, 2, 3, 4, 5, 6].map((attempts) => retryDelayMs(policy, attempts))).toEqual([1000, 2000, 4000, 8000, 16_000, null]);
  });
  test('not beyond the longest wait, and never where it is not to be', () => {
    const policy = retryPolicyOf({
      retryPolicy: { max_retries: 10, initial_delay_ms: 60_000, backoff_multiplier: 10, max_delay_ms: 3_600_000 },
    });
    expect([1, 2, 3, 10, 11].map((attempts) => retryDelayMs(policy, attempts))).toEqual([60_000, 600_000, 3_600_000, 3_600_000, null]);
    expect(retryDelayMs(retryPolicyOf({ retryPolicy: { max_retries: 0 } }), 1)).toBeNull();
  });
});
