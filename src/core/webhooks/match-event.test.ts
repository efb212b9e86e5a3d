import { expect, test } from 'vitest';
import type { PlainJson } from '../json/plain-json.ts';
import { SYSTEM_TENANT, type Webhook } from '../records.ts';
import { isDelivered, maySee, wantsEvent } from './match-event.ts';

const webhook = (parts: Partial<Webhook> = {}): Webhook => ({
  id: 'w',
  tenantId: 'acme',
  name: null,
  description: null,
  url: 'https://hooks.example.com/',
  eventTypes: ['budget.threshold_crossed'],
  eventCategories: [],
  scopeFilter: null,
  thresholds: {},
  secretSealed: '',
  headerNames: [],
  headersSealed: null,
  status: 'ACTIVE',
  retryPolicy: {},
  disableAfterFailures: 10,
  metadata: {},
  createdAtMs: 100,
  updatedAtMs: 100,
  ...parts,
});
const crossed = (threshold: number, parts: { tenantId?: string; type?: string; scope?: string } = {}) => ({
  type: 'budget.threshold_crossed',
  tenantId: 'acme',
  data: { threshold } as PlainJson,
  ...parts,
});

test('without thresholds of its own a subscription is told at those of the document', () => {
  expect([0.5, 0.8, 0.95, 1].filter((share) => wantsEvent(webhook(), crossed(share)))).toEqual([0.8, 0.95, 1]);
});

test('with thresholds of its own it is told at those alone, however many digits they have', () => {
  const own = webhook({ thresholds: { budget_utilization: [1 / 3, 0.123456789012] } });
  expect([0.33333333, 0.12345679, 0.3333, 0.8, 1].filter((share) => wantsEvent(own, crossed(share)))).toEqual([0.33333333, 0.12345679]);
});

test('rates are told to those who asked for that window and threshold', () => {
  const spike = (window: number, threshold: number) => ({
    type: 'reservation.denial_rate_spike',
    tenantId: 'acme',
    data: { metric: 'denial_rate', window_seconds: window, threshold_rate: threshold },
  });
  const wants = (parts: Partial<Webhook>, ...at: Parameters<typeof spike>): boolean =>
    wantsEvent(webhook({ eventTypes: [], eventCategories: ['reservation'], ...parts }), spike(...at));
  expect([wants({}, 300, 0.1), wants({}, 60, 0.1), wants({}, 300, 0.5)]).toEqual([true, false, false]);
  const own = { thresholds: { rate_window_seconds: 60, denial_rate_threshold: 0.5 } };
  expect([wants(own, 300, 0.1), wants(own, 60, 0.5)]).toEqual([false, true]);
});

test('only the operator sees what is not of budgets, reservations and tenants, or of another tenant', () => {
  const operators = webhook({ tenantId: SYSTEM_TENANT });
  for (const event of [crossed(1, { type: 'api_key.created' }), crossed(1, { tenantId: 'other' })])
    expect([maySee(webhook(), event), maySee(operators, event)]).toEqual([false, true]);
  // What is only ours is sent to nobody.
  expect(maySee(operators, crossed(1, { type: 'model.created' }))).toBe(false);
});

test('a test event is handed out to nobody, whatever the selectors', () => {
  const all = webhook({ tenantId: SYSTEM_TENANT, eventCategories: ['system'], eventTypes: ['system.webhook_test'] });
  expect(wantsEvent(all, crossed(1, { type: 'system.webhook_test' }))).toBe(false);
});

test('what happened before a subscription became active is not delivered', () => {
  const event = (atMs: number) => ({ id: 'e', atMs, ...crossed(1) });
  const made = webhook();
  expect([isDelivered(made, event(99)), isDelivered(made, event(100))]).toEqual([false, true]);
  const resumed = webhook({ activeSinceMs: 200 });
  expect([isDelivered(resumed, event(199)), isDelivered(resumed, event(200))]).toEqual([false, true]);
  for (const status of ['PAUSED', 'DISABLED'] as const) expect(isDelivered(webhook({ status }), event(300))).toBe(false);
});
