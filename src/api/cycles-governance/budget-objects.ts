import { ledgerIdOf } from '../../core/budgets/ledger-id.ts';
import { remainingOf, type Account } from '../../core/ledger/account.ts';
import type { FundAnswer } from '../../core/ledger/fund.ts';
import type { Policy, PolicyCaps } from '../../core/records.ts';
import { formatRfc3339 } from '../../core/rfc3339.ts';
import { present } from './objects.ts';

const timeOf = (ms: number | null | undefined): string | undefined => (typeof ms === 'number' ? formatRfc3339(ms) : undefined);

/** A budget as the governance surface shows it; amounts are exact. Source: Cycles governance, `BudgetLedger`. */
export function budgetBody(account: Account): Readonly<Record<string, unknown>> {
  const { unit, budget } = account;
  const amount = (value: bigint): object => ({ unit, amount: value });
  return present({
    ledger_id: ledgerIdOf(account),
    tenant_id: account.tenantId,
    scope: account.scope,
    scope_path: account.scope,
    unit,
    allocated: amount(account.allocated ?? 0n),
    remaining: amount(remainingOf(account) ?? 0n),
    reserved: amount(account.reserved),
    spent: amount(account.spent),
    debt: amount(account.debt),
    overdraft_limit: amount(account.overdraftLimit),
    is_over_limit: account.isOverLimit,
    commit_overage_policy: account.overagePolicy ?? undefined,
    status: account.status,
    rollover_policy: budget?.rolloverPolicy ?? 'NONE',
    period_start: timeOf(budget?.periodStartMs),
    period_end: timeOf(budget?.periodEndMs),
    created_at: formatRfc3339(account.createdAtMs),
    updated_at: timeOf(budget?.updatedAtMs),
  });
}

/** What a funding did, as its answer tells it. Source: Cycles governance, `BudgetFundingResponse`. */
export function fundingBody(answer: FundAnswer, unit: string): Readonly<Record<string, unknown>> {
  const amount = (digits: string): object => ({ unit, amount: BigInt(digits) });
  return {
    operation: answer.operation,
    previous_allocated: amount(answer.previousAllocated),
    new_allocated: amount(answer.newAllocated),
    previous_remaining: amount(answer.previousRemaining),
    new_remaining: amount(answer.newRemaining),
    previous_debt: amount(answer.previousDebt),
    new_debt: amount(answer.newDebt),
    previous_spent: amount(answer.previousSpent),
    new_spent: amount(answer.newSpent),
    timestamp: formatRfc3339(answer.atMs),
  };
}

const capsBody = ({ maxTokens, maxStepsRemaining, toolAllowlist, toolDenylist, cooldownMs }: PolicyCaps): object =>
  present({
    max_tokens: maxTokens,
    max_steps_remaining: maxStepsRemaining,
    tool_allowlist: toolAllowlist,
    tool_denylist: toolDenylist,
    cooldown_ms: cooldownMs,
  });

/** A policy as the governance surface shows it. Source: Cycles governance, `Policy`. */
export function policyBody(policy: Policy): Readonly<Record<string, unknown>> {
  const { caps, ttlOverride: ttl, rateLimits: rates } = policy;
  return present({
    policy_id: policy.id,
    name: policy.name,
    description: policy.description ?? undefined,
    scope_pattern: policy.scopePattern,
    priority: policy.priority,
    caps: caps === null ? undefined : capsBody(caps),
    commit_overage_policy: policy.overagePolicy ?? undefined,
    reservation_ttl_override:
      ttl === null ? undefined : present({ default_ttl_ms: ttl.defaultTtlMs, max_ttl_ms: ttl.maxTtlMs, max_extensions: ttl.maxExtensions }),
    rate_limits:
      rates === null
        ? undefined
        : present({ max_reservations_per_minute: rates.maxReservationsPerMinute, max_commits_per_minute: rates.maxCommitsPerMinute }),
    status: policy.status,
    effective_from: timeOf(policy.effectiveFromMs),
    effective_until: timeOf(policy.effectiveUntilMs),
    created_at: formatRfc3339(policy.createdAtMs),
    updated_at: formatRfc3339(policy.updatedAtMs),
  });
}
