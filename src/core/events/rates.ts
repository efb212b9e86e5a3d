import type { PlainJson } from '../json/plain-json.ts';
import { thresholdsOf } from '../webhooks/webhook-thresholds.ts';

/** The rates that are watched, as their events name them. Source: Cycles governance, `EventDataRateSpike`. */
export type RateMetric = 'denial_rate' | 'expiry_rate' | 'auth_failure_rate';

/** What each rate is a share of, and the event that tells of its spike. `part` and `whole` are counts of activity. */
export const RATE_METRICS: Readonly<Record<RateMetric, { readonly type: string; readonly part: string; readonly whole: string }>> = {
  denial_rate: { type: 'reservation.denial_rate_spike', part: 'denials', whole: 'reservations' },
  expiry_rate: { type: 'reservation.expiry_rate_spike', part: 'expiries', whole: 'reservations' },
  auth_failure_rate: { type: 'api_key.auth_failure_rate_spike', part: 'auth_failures', whole: 'auths' },
};

/** Source: Cycles governance, `WebhookThresholdConfig`. */
const DEFAULTS: Readonly<Record<RateMetric, number>> = { denial_rate: 0.1, expiry_rate: 0.05, auth_failure_rate: 0.1 };
const DEFAULT_WINDOW_SECONDS = 300;

/** From which share on, over which window, a subscription with these thresholds wants to be told of a rate; the document's where it does not say. */
export function rateConfigOf(metric: RateMetric, thresholds: PlainJson): { readonly windowSeconds: number; readonly threshold: number } {
  const given = thresholdsOf({ thresholds });
  return {
    windowSeconds: given.rate_window_seconds ?? DEFAULT_WINDOW_SECONDS,
    threshold: given[`${metric}_threshold`] ?? DEFAULTS[metric],
  };
}

/** How fast a budget must be spent to be told, and over which window. Source: Cycles governance, `WebhookThresholdConfig`. */
export function burnConfigOf(thresholds: PlainJson): { readonly windowSeconds: number; readonly multiplier: number } {
  const given = thresholdsOf({ thresholds });
  return { windowSeconds: given.burn_rate_window_seconds ?? DEFAULT_WINDOW_SECONDS, multiplier: given.burn_rate_multiplier ?? 3 };
}
