import type { PlainJson } from '../../core/json/plain-json.ts';
import type { Rejection, RejectionCode } from '../../core/rejection.ts';
import type { DenialRecorder } from './record-denial.ts';
import { callerOrigin, type TenantCaller } from './runtime-caller.ts';

/**
 * The refusals of a spend that are denials, with the reasons that the protocol knows them by: states of budgets, policies and tenants, and
 * no faults of a request. Source: Cycles protocol, `DecisionReasonCode`; the last two are ours.
 */
const DENIAL_REASONS: Partial<Readonly<Record<RejectionCode, string>>> = {
  budget_exceeded: 'BUDGET_EXCEEDED',
  budget_frozen: 'BUDGET_FROZEN',
  budget_closed: 'BUDGET_CLOSED',
  budget_not_found: 'BUDGET_NOT_FOUND',
  over_limit: 'OVERDRAFT_LIMIT_EXCEEDED',
  debt_outstanding: 'DEBT_OUTSTANDING',
  tenant_closed: 'TENANT_CLOSED',
  tenant_suspended: 'TENANT_SUSPENDED',
  rate_limited: 'LIMIT_EXCEEDED',
};

/** The reason of a denial; undefined for refusals that are none. */
export const denialReason = (code: RejectionCode): string | undefined => DENIAL_REASONS[code];

/** A spend that was asked for. */
export interface AskedSpend {
  readonly path: string;
  readonly unit: string;
  readonly amount: bigint;
  readonly subject: unknown;
  readonly action: unknown;
}

/** Why a spend was denied, and by which budget, where one did. */
interface DenialCause {
  readonly code: RejectionCode;
  readonly refuser: { readonly scope: string; readonly remaining: bigint | null } | null;
  readonly policyId: string | null;
}

/** Has a denial told; what is no denial is passed over. Never waits. */
export function recordDenial(denials: Pick<DenialRecorder, 'record'>, caller: TenantCaller, spend: AskedSpend, cause: DenialCause): void {
  const reasonCode = denialReason(cause.code);
  if (reasonCode === undefined) return;
  denials.record({
    tenantId: caller.tenant.id,
    scope: cause.refuser?.scope ?? spend.path,
    unit: spend.unit,
    reasonCode,
    requestedAmount: spend.amount,
    remaining: cause.refuser?.remaining ?? null,
    // Parsed from JSON, but for integers that a double cannot hold: schemas let none of those in here.
    action: spend.action as PlainJson,
    subject: spend.subject as PlainJson,
    ...(cause.code === 'rate_limited' && cause.policyId !== null ? { policyId: cause.policyId } : {}),
    origin: callerOrigin(caller),
  });
}

/** The same for a refusal. */
export function recordRefusal(
  denials: Pick<DenialRecorder, 'record'>,
  caller: TenantCaller,
  spend: AskedSpend,
  { code, account, details }: Pick<Rejection, 'code' | 'account' | 'details'>,
): void {
  const policyId = details?.['policy_id'];
  recordDenial(denials, caller, spend, { code, refuser: account ?? null, policyId: typeof policyId === 'string' ? policyId : null });
}
