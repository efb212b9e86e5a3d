import { DEFAULT_RETENTION, type Retention } from '../../core/retention/retention.ts';
import type { Field } from './field.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_DAYS = 36_500;

/** Reads how long things are kept. A day is the least for whatever is counted in days. */
export function parseRetention(section: Field): Retention {
  const given = section.fields([
    'events_days',
    'deliveries_days',
    'idempotency_hours',
    'audit_days',
    'reservations_days',
    'usage_events_days',
  ]);
  const days = (field: Field, fallbackMs: number): number => field.or(fallbackMs, (f) => f.integer({ min: 1, max: MAX_DAYS }) * DAY_MS);
  return {
    eventsMs: days(given.events_days, DEFAULT_RETENTION.eventsMs),
    deliveriesMs: days(given.deliveries_days, DEFAULT_RETENTION.deliveriesMs),
    idempotencyMs: given.idempotency_hours.or(DEFAULT_RETENTION.idempotencyMs, (f) => f.integer({ min: 1, max: MAX_DAYS * 24 }) * HOUR_MS),
    auditMs: days(given.audit_days, DEFAULT_RETENTION.auditMs),
    reservationsMs: days(given.reservations_days, DEFAULT_RETENTION.reservationsMs),
    usageEventsMs: days(given.usage_events_days, DEFAULT_RETENTION.usageEventsMs),
  };
}
