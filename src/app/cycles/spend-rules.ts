import { resolvePolicy, policyScopes } from '../../core/policy/resolve-policy.ts';
import type { RateLimit } from '../../core/policy/rate-window.ts';
import type { Policy, Tenant } from '../../core/records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Directory } from '../directory.ts';

/** What a reservation gets where neither request nor policy nor tenant says otherwise. Source: Cycles protocol and governance, defaults. */
const DEFAULTS = { ttlMs: 60_000, maxTtlMs: 3_600_000, graceMs: 5000, maxExtensions: 10 } as const;

/** What finding the policy of a path needs. */
export interface PolicyDeps {
  readonly directory: Pick<Directory, 'policies'>;
  readonly clock: Clock;
}

/** The policy that the scopes of a path obey now; null where there is none. */
export async function policyFor({ directory, clock }: PolicyDeps, tenantId: string, path: string): Promise<Policy | null> {
  const rules = await directory.policies(tenantId);
  return rules.ranked.length === 0 ? null : resolvePolicy(rules, policyScopes(path, tenantId), clock.nowMs());
}

/** The rate limit of a policy for one kind; null where it has none. */
export function limitOf(policy: Policy | null, kind: RateLimit['kind']): RateLimit | null {
  const { maxReservationsPerMinute, maxCommitsPerMinute } = policy?.rateLimits ?? {};
  const perMinute = kind === 'reserve' ? maxReservationsPerMinute : maxCommitsPerMinute;
  return policy === null || perMinute === undefined ? null : { policyId: policy.id, kind, perMinute };
}

/** How long a reservation lasts and how often it may be extended; lengths in milliseconds. */
export interface HoldTerms {
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly maxExtensions: number;
}

/**
 * The terms of a reservation: what the request says, else the policy, else the tenant, else the defaults; never longer than the policy's
 * longest, or where it has none the tenant's. Too long a request is cut, not refused. Source: Cycles governance, `max_reservation_ttl_ms`.
 */
export function holdTerms(
  tenant: Tenant,
  policy: Policy | null,
  wanted: { ttlMs: number | undefined; graceMs: number | undefined },
): HoldTerms {
  const override = policy?.ttlOverride ?? {};
  const ttlMs = wanted.ttlMs ?? override.defaultTtlMs ?? tenant.defaultTtlMs ?? DEFAULTS.ttlMs;
  const longestMs = override.maxTtlMs ?? tenant.maxTtlMs ?? DEFAULTS.maxTtlMs;
  return {
    ttlMs: Math.min(ttlMs, longestMs),
    graceMs: wanted.graceMs ?? DEFAULTS.graceMs,
    maxExtensions: override.maxExtensions ?? tenant.maxExtensions ?? DEFAULTS.maxExtensions,
  };
}
