/**
 * How many requests and tokens a minute a key, a model and an upstream may take.
 *
 * They are counted in minutes of UTC, in the rows that the limits of policies are counted in. A key's limit is over all of its calls; a
 * model's is each tenant's by itself, over the calls that ask for it; an upstream's is the whole server's. A call counts when it is
 * admitted: as one request, and with the tokens that it holds. When it has ended, the tokens of its minute become those that it used, as
 * long as the minute lasts.
 */
import type { Effect } from '../effects.ts';
import { invalid, type Refusal } from '../access/rules.ts';
import type { RateLimits } from '../records.ts';
import type { Rejection } from '../rejection.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import type { State } from '../verb.ts';
import type { MinuteLimit, RateRef, RateStanding, TokenChange } from './rate-window.ts';

const MINUTE_MS = 60_000;

/** The largest limit of requests that can be declared. */
export const MAX_REQUESTS_PER_MINUTE = 1_000_000_000;
/** The largest limit of tokens that can be declared. */
export const MAX_TOKENS_PER_MINUTE = 1_000_000_000_000;

/** The limits that a key, a model or an upstream declares: of requests, then of tokens. */
export function minuteLimits(on: MinuteLimit['on'], { id, rateLimits }: { id: string; rateLimits?: RateLimits | null }): MinuteLimit[] {
  if (rateLimits === undefined || rateLimits === null) return [];
  const { requestsPerMinute, tokensPerMinute } = rateLimits;
  return [
    ...(requestsPerMinute === null ? [] : [{ on, id, unit: 'requests', perMinute: requestsPerMinute } as const]),
    ...(tokensPerMinute === null ? [] : [{ on, id, unit: 'tokens', perMinute: tokensPerMinute } as const]),
  ];
}

/** Refuses limits that limit nothing, or are no whole numbers from 1 on: `invalid_request`. Null and undefined are no limits. */
export function checkRateLimits(limits: RateLimits | null | undefined): Refusal | null {
  if (limits === undefined || limits === null) return null;
  const { requestsPerMinute, tokensPerMinute } = limits;
  if (requestsPerMinute === null && tokensPerMinute === null)
    return invalid('rate_limits', 'give requests_per_minute or tokens_per_minute, or be null');
  const isWithin = (value: number | null, max: number): boolean =>
    value === null || (Number.isSafeInteger(value) && value >= 1 && value <= max);
  if (!isWithin(requestsPerMinute, MAX_REQUESTS_PER_MINUTE))
    return invalid('rate_limits.requests_per_minute', `be a whole number from 1 to ${MAX_REQUESTS_PER_MINUTE}`);
  if (!isWithin(tokensPerMinute, MAX_TOKENS_PER_MINUTE))
    return invalid('rate_limits.tokens_per_minute', `be a whole number from 1 to ${MAX_TOKENS_PER_MINUTE}`);
  return null;
}

/** The count that a limit is about. No policy has such an id. */
export const minuteRef = (tenantId: string, { on, id, unit }: MinuteLimit): RateRef => ({
  tenantId,
  policyId: `${on}:${id}:${unit}`,
  kind: 'reserve',
});

/** What is counted in the present minute; a row of a later one, which another node's clock began, stands. */
function present(state: State, ref: RateRef, nowMs: number): { readonly minute: number; readonly count: number } {
  const minute = Math.floor(nowMs / MINUTE_MS);
  const window = state.rate(ref);
  return window === undefined || window.minute < minute ? { minute, count: 0 } : window;
}

/** What an admission takes: of whose counts, under which limits, and how many tokens. */
export interface MinuteShare {
  readonly tenantId: string;
  readonly limits: readonly MinuteLimit[];
  readonly tokens: number;
}

const shareOf = ({ unit }: MinuteLimit, { tokens }: MinuteShare): number => (unit === 'requests' ? 1 : tokens);

/** How limits stand, in their order. */
export const standingsOf = (state: State, { tenantId, limits }: Pick<MinuteShare, 'tenantId' | 'limits'>, nowMs: number): RateStanding[] =>
  limits.map((limit) => {
    const { minute, count } = present(state, minuteRef(tenantId, limit), nowMs);
    const { on, unit, perMinute } = limit;
    return { on, unit, limit: perMinute, remaining: Math.max(0, perMinute - count), resetAtMs: (minute + 1) * MINUTE_MS };
  });

/**
 * Refuses a share that a limit has no room for: `rate_limited`, naming the first such limit, or null. One that no minute has room for has
 * no `retryAfterMs` and goes before the others: waiting is of no use. Names never the upstream.
 */
export function refuseMinute(state: State, share: MinuteShare, nowMs: number): Rejection | null {
  const rates = standingsOf(state, share, nowMs);
  const never = share.limits.find((limit) => shareOf(limit, share) > limit.perMinute);
  if (never !== undefined) {
    const message = `the call may use ${share.tokens} tokens, and ${owner(never)} may use ${never.perMinute} a minute; ask for less output`;
    return { code: 'rate_limited', message, rates };
  }
  const index = share.limits.findIndex((limit) => {
    const { count } = present(state, minuteRef(share.tenantId, limit), nowMs);
    return count + shareOf(limit, share) > limit.perMinute;
  });
  const [limit, standing] = [share.limits[index], rates[index]];
  if (limit === undefined || standing === undefined) return null;
  const left = limit.unit === 'requests' ? '' : ` of which ${standing.remaining} are left, and the call may use ${share.tokens};`;
  const message = `${owner(limit)} may take ${limit.perMinute} ${limit.unit} a minute${left === '' ? ';' : `,${left}`} the next minute begins at ${formatRfc3339(standing.resetAtMs)}`;
  return { code: 'rate_limited', message, rates, retryAfterMs: standing.resetAtMs - nowMs };
}

const OWNERS = { key: 'this API key', model: 'each tenant of this model', upstream: 'what serves this model' } as const;

const owner = ({ on }: MinuteLimit): string => OWNERS[on];

/** Counts a share that was not refused. */
export const countMinute = (state: State, share: MinuteShare, nowMs: number): Effect[] =>
  share.limits.map((limit) => {
    const ref = minuteRef(share.tenantId, limit);
    const { minute, count } = present(state, ref, nowMs);
    return { type: 'rate', ref, window: { minute, count: count + shareOf(limit, share) } };
  });

/** How limits stand once a share was counted. */
export const standingsAfter = (before: readonly RateStanding[], { tokens }: Pick<MinuteShare, 'tokens'>): RateStanding[] =>
  before.map((standing) => ({ ...standing, remaining: Math.max(0, standing.remaining - (standing.unit === 'requests' ? 1 : tokens)) }));

/** What a share counted of tokens, and in which minute, to be changed when it is known what was used. */
export const countedTokens = (share: MinuteShare, after: readonly RateStanding[]): Omit<TokenChange, 'change'>[] =>
  share.limits.flatMap((limit, index) => {
    const standing = after[index];
    if (limit.unit === 'requests' || standing === undefined) return [];
    return { ref: minuteRef(share.tenantId, limit), minute: standing.resetAtMs / MINUTE_MS - 1 };
  });

/** Changes the tokens of minutes that still last. */
export const changeTokens = (state: State, changes: readonly TokenChange[]): Effect[] =>
  changes.flatMap(({ ref, minute, change }) => {
    const window = state.rate(ref);
    if (window === undefined || window.minute !== minute || change === 0) return [];
    return { type: 'rate', ref, window: { minute, count: Math.max(0, window.count + change) } };
  });
