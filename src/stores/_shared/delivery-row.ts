import type { Delivery, DeliveryStatus, NewDelivery, WebhookHealth } from '../../ports/webhook-store.ts';

/** Columns that a delivery begins with, in the order of {@link newDeliveryValues}. */
export const NEW_DELIVERY_COLUMNS = [
  'webhook_id',
  'event_seq',
  'replay_id',
  'id',
  'event_id',
  'event_type',
  'tenant_id',
  'trace_id',
  'trace_flags',
] as const;

/** The values of a new delivery. */
export const newDeliveryValues = (delivery: NewDelivery): (string | number | null)[] => [
  delivery.webhookId,
  delivery.eventSeq,
  delivery.replayId,
  delivery.id,
  delivery.eventId,
  delivery.eventType,
  delivery.tenantId,
  delivery.traceId,
  delivery.traceFlags,
];

type Whole = number | bigint;

/** A row of `deliveries` as both drivers give it. */
export interface DeliveryRow {
  readonly webhook_id: string;
  readonly event_seq: Whole;
  readonly replay_id: string;
  readonly id: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly tenant_id: string;
  readonly trace_id: string | null;
  readonly trace_flags: string | null;
  readonly status: string;
  readonly attempts: Whole;
  readonly created_at_ms: Whole;
  readonly due_at_ms: Whole | null;
  readonly attempted_at_ms: Whole | null;
  readonly completed_at_ms: Whole | null;
  readonly response_status: Whole | null;
  readonly response_time_ms: Whole | null;
  readonly error: string | null;
}

/** The columns of {@link DeliveryRow}. */
export const DELIVERY_COLUMNS = [
  ...NEW_DELIVERY_COLUMNS,
  'status',
  'attempts',
  'created_at_ms',
  'due_at_ms',
  'attempted_at_ms',
  'completed_at_ms',
  'response_status',
  'response_time_ms',
  'error',
] as const;

const orNull = (value: Whole | null): number | null => (value === null ? null : Number(value));

/** The delivery of a row. */
export const deliveryFromRow = (row: DeliveryRow): Delivery => ({
  webhookId: row.webhook_id,
  eventSeq: Number(row.event_seq),
  replayId: row.replay_id,
  id: row.id,
  eventId: row.event_id,
  eventType: row.event_type,
  tenantId: row.tenant_id,
  traceId: row.trace_id,
  traceFlags: row.trace_flags,
  // The column's constraint leaves no other.
  status: row.status as DeliveryStatus,
  attempts: Number(row.attempts),
  createdAtMs: Number(row.created_at_ms),
  dueAtMs: orNull(row.due_at_ms),
  attemptedAtMs: orNull(row.attempted_at_ms),
  completedAtMs: orNull(row.completed_at_ms),
  responseStatus: orNull(row.response_status),
  responseTimeMs: orNull(row.response_time_ms),
  error: row.error,
});

/** A row of `webhook_health` as both drivers give it. */
export interface HealthRow {
  readonly webhook_id: string;
  readonly epoch: Whole;
  readonly failures: Whole;
  readonly last_triggered_at_ms: Whole | null;
  readonly last_success_at_ms: Whole | null;
  readonly last_failure_at_ms: Whole | null;
}

/** How the deliveries of a row's subscription go. */
export const healthFromRow = (row: HealthRow): WebhookHealth => ({
  webhookId: row.webhook_id,
  epoch: Number(row.epoch),
  failures: Number(row.failures),
  lastTriggeredAtMs: orNull(row.last_triggered_at_ms),
  lastSuccessAtMs: orNull(row.last_success_at_ms),
  lastFailureAtMs: orNull(row.last_failure_at_ms),
});

/** Counts of activity are kept by the minute, for a day and a little more: the longest window that a subscription may ask for. */
export const ACTIVITY_MINUTE_MS = 60_000;
export const ACTIVITY_KEEP_MS = 25 * 60 * 60 * 1000;
