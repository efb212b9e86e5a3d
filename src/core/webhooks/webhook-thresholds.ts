import type { PlainJson } from '../json/plain-json.ts';

/** What a subscription wants to know, as the wire names it. Source: Cycles governance, `WebhookThresholdConfig`. */
export interface WebhookThresholds {
  readonly budget_utilization?: readonly number[];
  readonly burn_rate_multiplier?: number;
  readonly burn_rate_window_seconds?: number;
  readonly denial_rate_threshold?: number;
  readonly expiry_rate_threshold?: number;
  readonly auth_failure_rate_threshold?: number;
  readonly rate_window_seconds?: number;
}

/** The thresholds of a subscription; an empty object where it has none. */
export const thresholdsOf = ({ thresholds }: { readonly thresholds: PlainJson }): WebhookThresholds =>
  typeof thresholds === 'object' && thresholds !== null ? (thresholds as WebhookThresholds) : {};
