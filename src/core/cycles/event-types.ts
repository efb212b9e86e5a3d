/** The categories of events, each the first part of its types. Source: Cycles governance, `EventCategory`. */
export const EVENT_CATEGORIES = ['budget', 'tenant', 'api_key', 'policy', 'reservation', 'system', 'webhook'] as const;

/** A category of events. */
export type EventCategory = (typeof EVENT_CATEGORIES)[number];

/** The 51 registered types of events, in the order of the document. Source: Cycles governance, `EventType`. */
export const EVENT_TYPES = [
  'budget.created',
  'budget.updated',
  'budget.funded',
  'budget.debited',
  'budget.reset',
  'budget.reset_spent',
  'budget.debt_repaid',
  'budget.frozen',
  'budget.unfrozen',
  'budget.closed',
  'budget.closed_via_tenant_cascade',
  'budget.threshold_crossed',
  'budget.exhausted',
  'budget.over_limit_entered',
  'budget.over_limit_exited',
  'budget.debt_incurred',
  'budget.burn_rate_anomaly',
  'reservation.denied',
  'reservation.denial_rate_spike',
  'reservation.expired',
  'reservation.expiry_rate_spike',
  'reservation.commit_overage',
  'reservation.released_via_tenant_cascade',
  'tenant.created',
  'tenant.updated',
  'tenant.suspended',
  'tenant.reactivated',
  'tenant.closed',
  'tenant.settings_changed',
  'webhook.created',
  'webhook.updated',
  'webhook.paused',
  'webhook.resumed',
  'webhook.disabled',
  'webhook.deleted',
  'webhook.disabled_via_tenant_cascade',
  'api_key.created',
  'api_key.revoked',
  'api_key.revoked_via_tenant_cascade',
  'api_key.expired',
  'api_key.permissions_changed',
  'api_key.auth_failed',
  'api_key.auth_failure_rate_spike',
  'policy.created',
  'policy.updated',
  'policy.deleted',
  'system.store_connection_lost',
  'system.store_connection_restored',
  'system.high_latency',
  'system.webhook_delivery_failed',
  'system.webhook_test',
] as const;

/** A registered type of events. */
export type EventType = (typeof EVENT_TYPES)[number];

/** The categories whose events a tenant sees and may subscribe to; the others are the operator's. Source: Cycles governance, `GET /v1/events`. */
const TENANT_EVENT_CATEGORIES = ['budget', 'reservation', 'tenant'] as const satisfies readonly EventCategory[];

/** The category of each type: its part before the dot. */
const CATEGORY_OF: ReadonlyMap<string, EventCategory> = new Map(
  EVENT_TYPES.flatMap((type) => EVENT_CATEGORIES.filter((category) => type.startsWith(`${category}.`)).map((category) => [type, category])),
);

/** Whether `text` is a registered type of events. */
export const isEventType = (text: string): text is EventType => CATEGORY_OF.has(text);

/** Whether `text` is a category of events. */
export const isEventCategory = (text: string): text is EventCategory => EVENT_CATEGORIES.some((category) => category === text);

/** The category of a registered type of events: its part before the dot. */
export function categoryOf(type: EventType): EventCategory {
  // The list above and its test leave no other.
  return CATEGORY_OF.get(type) as EventCategory;
}

/** Whether a tenant sees events of `category`, and may select them for a subscription of its own. */
export const isTenantCategory = (category: EventCategory): boolean => TENANT_EVENT_CATEGORIES.some((each) => each === category);

/** Whether a tenant sees events of `type`, and may select it for a subscription of its own. */
export const isTenantEventType = (type: EventType): boolean => isTenantCategory(categoryOf(type));
