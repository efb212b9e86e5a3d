import type { Effect } from '../effects.ts';
import type { Rejection } from '../rejection.ts';
import type { State } from '../verb.ts';
import type { RateLimit, RateRef, RateView } from './rate-window.ts';

const MINUTE_MS = 60_000;

/** The count that a limit is about. */
const rateRefOf = (tenantId: string, { policyId, kind }: RateLimit): RateRef => ({ tenantId, policyId, kind });

/** The counts that a command needs: that of its limit, where it has one. */
export const rateNeeds = (tenantId: string, limit: RateLimit | null | undefined): { rates: RateRef[] } => ({
  rates: limit === null || limit === undefined ? [] : [rateRefOf(tenantId, limit)],
});

function countOf(state: State, ref: RateRef, minute: number): number {
  const window = state.rate(ref);
  return window === undefined || window.minute < minute ? 0 : window.count;
}

/** How a limit stands once `more` were counted beside what was. */
export function viewRate(
  state: State,
  tenantId: string,
  limit: RateLimit,
  at: { readonly nowMs: number; readonly more: number },
): RateView {
  const minute = Math.floor(at.nowMs / MINUTE_MS);
  const count = countOf(state, rateRefOf(tenantId, limit), minute) + at.more;
  return { limit: limit.perMinute, remaining: Math.max(0, limit.perMinute - count), resetAtMs: (minute + 1) * MINUTE_MS };
}

/** Refuses what a policy does not allow in the present minute any more: `rate_limited`, or null. */
export function refuseRate(state: State, tenantId: string, limit: RateLimit | null | undefined, nowMs: number): Rejection | null {
  if (limit === null || limit === undefined) return null;
  const view = viewRate(state, tenantId, limit, { nowMs, more: 0 });
  if (view.remaining > 0) return null;
  const what = limit.kind === 'reserve' ? 'reservations' : 'commits';
  return {
    code: 'rate_limited',
    message: `the policy ${limit.policyId} allows ${limit.perMinute} ${what} a minute`,
    details: { policy_id: limit.policyId, limit: view.limit, remaining: view.remaining, reset_at_ms: view.resetAtMs },
    retryAfterMs: view.resetAtMs - nowMs,
  };
}

/** Counts one more under a limit; nothing where there is none. What is refused is not counted. */
export function countRate(state: State, tenantId: string, limit: RateLimit | null | undefined, nowMs: number): Effect[] {
  if (limit === null || limit === undefined) return [];
  const ref = rateRefOf(tenantId, limit);
  const minute = Math.floor(nowMs / MINUTE_MS);
  return [{ type: 'rate', ref, window: { minute, count: countOf(state, ref, minute) + 1 } }];
}
