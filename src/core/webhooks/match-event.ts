import { categoryOf, isEventType, isTenantEventType, type EventType } from '../cycles/event-types.ts';
import type { DomainEvent } from '../effects.ts';
import { burnConfigOf, RATE_METRICS, rateConfigOf, type RateMetric } from '../events/rates.ts';
import { SYSTEM_TENANT, type Webhook } from '../records.ts';
import { thresholdsOf } from './webhook-thresholds.ts';

/** Shares of a budget at which a subscription is told where it names none. Source: Cycles governance, `WebhookThresholdConfig`. */
export const DEFAULT_SHARES: readonly number[] = [0.8, 0.95, 1];

/** Events tell a share to eight digits, whatever the subscription that asked for it wrote. */
const ROUNDING = 1e-8;

/** Whether a subscription selects a type of events, by the type itself or by its category. */
export const selectsType = ({ eventTypes, eventCategories }: Pick<Webhook, 'eventTypes' | 'eventCategories'>, type: EventType): boolean =>
  eventTypes.includes(type) || eventCategories.includes(categoryOf(type));

/**
 * Whether a scope passes a filter: none or a blank one passes everything, `*` whatever has a scope, a trailing `*` what goes on after the
 * text before it (`tenant:a/*` is below `tenant:a`, and not `tenant:a` itself), anything else that very scope. Letters count in lower case.
 * Source: Cycles governance, `WebhookSubscription.scope_filter`.
 */
function passesScopeFilter(filter: string | null, scope: string | undefined): boolean {
  const wanted = filter?.trim().toLowerCase() ?? '';
  if (wanted === '') return true;
  if (scope === undefined || scope === '') return false;
  const has = scope.toLowerCase();
  if (wanted === '*') return true;
  if (!wanted.endsWith('*')) return has === wanted;
  const prefix = wanted.slice(0, -1);
  return has.length > prefix.length && has.startsWith(prefix);
}

/** Thresholds, rates and windows are many; each subscription hears of those that it asked for. */
function wantsThreshold(webhook: Webhook, event: Pick<DomainEvent, 'type' | 'data'>): boolean {
  const data = event.data as Readonly<Record<string, unknown>>;
  if (event.type === 'budget.threshold_crossed') {
    const { threshold } = data;
    if (typeof threshold !== 'number') return true;
    return (thresholdsOf(webhook).budget_utilization ?? DEFAULT_SHARES).some((share) => Math.abs(share - threshold) <= ROUNDING);
  }
  if (event.type === 'budget.burn_rate_anomaly') {
    const { windowSeconds, multiplier } = burnConfigOf(webhook.thresholds);
    return data['window_seconds'] === windowSeconds && data['threshold_multiplier'] === multiplier;
  }
  const metric = RATES.find((each) => RATE_METRICS[each].type === event.type);
  if (metric === undefined) return true;
  const { windowSeconds, threshold } = rateConfigOf(metric, webhook.thresholds);
  return data['window_seconds'] === windowSeconds && data['threshold_rate'] === threshold;
}

const RATES = Object.keys(RATE_METRICS) as readonly RateMetric[];

/**
 * Whether a subscription may be sent an event at all: it is the operator's, or the event is its own tenant's and of a type that tenants
 * see. Looked at again wherever something is sent, whatever the subscription says. Source: Cycles governance, invariant 2.
 */
export function maySee(webhook: Pick<Webhook, 'tenantId'>, event: Pick<DomainEvent, 'type' | 'tenantId'>): boolean {
  if (!isEventType(event.type)) return false;
  return webhook.tenantId === SYSTEM_TENANT || (webhook.tenantId === event.tenantId && isTenantEventType(event.type));
}

/** Sent to the one subscription that is tested, and handed out to nobody. */
const PROBE = 'system.webhook_test';

/** Whether a subscription asks for an event that it may see, whatever the subscription's state. */
export const wantsEvent = (webhook: Webhook, event: Pick<DomainEvent, 'type' | 'tenantId' | 'data' | 'scope'>): boolean =>
  maySee(webhook, event) &&
  isEventType(event.type) &&
  event.type !== PROBE &&
  selectsType(webhook, event.type) &&
  passesScopeFilter(webhook.scopeFilter, event.scope) &&
  wantsThreshold(webhook, event);

/** Whether an event that has just happened is to be delivered: the subscription works, and did when the event happened. */
export const isDelivered = (webhook: Webhook, event: DomainEvent): boolean =>
  webhook.status === 'ACTIVE' && event.atMs >= (webhook.activeSinceMs ?? webhook.createdAtMs) && wantsEvent(webhook, event);
