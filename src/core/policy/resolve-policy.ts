import type { Policy } from '../records.ts';
import { parseScopePattern, type ScopePattern } from './scope-pattern.ts';

/** A policy with its pattern read. */
interface RankedPolicy {
  readonly policy: Policy;
  readonly pattern: ScopePattern;
}

/** The policies of one tenant, ready to be looked through. */
export interface PolicyRules {
  /** The active ones in the order in which they win; patterns that nobody can read match nothing. */
  readonly ranked: readonly RankedPolicy[];
  /** Whether any of them limits commits; else a commit need not ask which policy is its own. */
  readonly limitsCommits: boolean;
}

/** The rules of a tenant that has no policies. */
export const NO_POLICIES: PolicyRules = { ranked: [], limitsCommits: false };

/** Highest priority first, then the most specific pattern, then the newest. */
const inOrder = (a: RankedPolicy, b: RankedPolicy): number =>
  b.policy.priority - a.policy.priority ||
  b.pattern.specificity - a.pattern.specificity ||
  b.policy.createdAtMs - a.policy.createdAtMs ||
  (a.policy.id < b.policy.id ? 1 : -1);

/** Reads and sorts the policies of `tenantId`, those that are switched off left out. */
export function rankPolicies(tenantId: string, policies: readonly Policy[]): PolicyRules {
  const ranked: RankedPolicy[] = [];
  for (const policy of policies) {
    if (policy.status !== 'ACTIVE') continue;
    const pattern = parseScopePattern(policy.scopePattern, tenantId);
    if (pattern.ok) ranked.push({ policy, pattern: pattern.value });
  }
  if (ranked.length === 0) return NO_POLICIES;
  const limitsCommits = ranked.some(({ policy }) => typeof policy.rateLimits?.maxCommitsPerMinute === 'number');
  return { ranked: ranked.toSorted(inOrder), limitsCommits };
}

/** Whether the dates of a policy hold `nowMs`: from its first moment on, and before its last. */
const isInForce = ({ effectiveFromMs, effectiveUntilMs }: Policy, nowMs: number): boolean =>
  (effectiveFromMs === null || effectiveFromMs <= nowMs) && (effectiveUntilMs === null || nowMs < effectiveUntilMs);

/**
 * The one policy that a subject obeys, whole: of those in force at `nowMs` whose pattern matches one of its `scopes`, the one of the
 * highest priority, then the most specific, then the newest. Null where none matches.
 *
 * All scopes of a subject count and not its deepest alone, as with budgets: a caller who names one level more escapes nothing. `scopes`
 * begin with the tenant's own. Source: Cycles governance, PRIORITY and EFFECTIVE DATES.
 */
export function resolvePolicy(rules: PolicyRules, scopes: readonly string[], nowMs: number): Policy | null {
  for (const { policy, pattern } of rules.ranked) {
    if (isInForce(policy, nowMs) && scopes.some((scope) => pattern.matches(scope))) return policy;
  }
  return null;
}

/** The scopes of a path, from its first segment to the whole, with the tenant's in front where the path does not name it. */
export function policyScopes(path: string, tenantId: string): string[] {
  const root = `tenant:${tenantId}`;
  const whole = path === root || path.startsWith(`${root}/`) ? path : `${root}/${path}`;
  const scopes: string[] = [];
  for (let end = whole.indexOf('/'); end !== -1; end = whole.indexOf('/', end + 1)) scopes.push(whole.slice(0, end));
  scopes.push(whole);
  return scopes;
}
