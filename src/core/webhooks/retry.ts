import type { Webhook } from '../records.ts';

/** How a delivery is tried again, as the wire names it. Source: Cycles governance, `WebhookRetryPolicy`. */
export interface WebhookRetryPolicy {
  readonly max_retries?: number;
  readonly initial_delay_ms?: number;
  readonly backoff_multiplier?: number;
  readonly max_delay_ms?: number;
}

const DEFAULTS: Required<WebhookRetryPolicy> = { max_retries: 5, initial_delay_ms: 1000, backoff_multiplier: 2, max_delay_ms: 60_000 };

/** A delivery that nobody took by then has failed, however often it was tried. */
export const DELIVERY_EXPIRES_MS = 24 * 60 * 60 * 1000;

/** The policy of a subscription, with the document's defaults for what it does not say. */
export const retryPolicyOf = ({ retryPolicy }: Pick<Webhook, 'retryPolicy'>): Required<WebhookRetryPolicy> => ({
  ...DEFAULTS,
  ...(typeof retryPolicy === 'object' && retryPolicy !== null ? (retryPolicy as WebhookRetryPolicy) : {}),
});

/**
 * How long to wait after the `attempts`-th failed attempt, in milliseconds; null where it was the last. Source: Cycles governance,
 * `WebhookRetryPolicy`.
 */
export function retryDelayMs(policy: Required<WebhookRetryPolicy>, attempts: number): number | null {
  if (attempts > policy.max_retries) return null;
  const delay = policy.initial_delay_ms * policy.backoff_multiplier ** (attempts - 1);
  return Math.min(Math.round(delay), policy.max_delay_ms);
}
