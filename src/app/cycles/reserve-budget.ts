import type { EvaluateBudgetAnswer } from '../../core/cycles/evaluate-budget.ts';
import { OPERATIONS } from '../../core/cycles/operation-names.ts';
import type { ReserveBudgetAnswer } from '../../core/cycles/reserve-budget.ts';
import type { BudgetRequest, EvaluateBudgetCommand, ReserveBudgetCommand } from '../../core/cycles/runtime-commands.ts';
import type { Subject } from '../../core/cycles/subject.ts';
import type { CyclesUnit } from '../../core/cycles/units.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { OveragePolicy } from '../../core/ledger/account.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { PolicyCaps } from '../../core/records.ts';
import type { Ids } from '../../ports/ids.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { recordDenial, recordRefusal, type AskedSpend } from './denials.ts';
import type { DenialRecorder } from './record-denial.ts';
import { idempotencyOf, requestKey, type OnceRequest } from './request-idempotency.ts';
import { callerOrigin, callerScopes, type TenantCaller } from './runtime-caller.ts';
import { holdTerms, limitOf, policyFor, type PolicyDeps } from './spend-rules.ts';

/** What a client asks to hold, as it came. */
export interface HoldRequest extends OnceRequest {
  readonly body: {
    readonly idempotency_key: string;
    readonly subject: Subject;
    readonly action: object;
    readonly estimate: { readonly unit: CyclesUnit; readonly amount: number | bigint };
    readonly ttl_ms?: number;
    readonly grace_period_ms?: number;
    readonly overage_policy?: OveragePolicy;
    readonly dry_run?: boolean;
    readonly metadata?: object;
  };
}

/** What a decision is about: the scopes of its subject, widest first, and the unit. */
export interface DecidedScopes {
  readonly scopes: readonly string[];
  readonly path: string;
  readonly unit: CyclesUnit;
}

/** A hold that was made. */
export interface MadeHold extends DecidedScopes {
  readonly amount: bigint;
  readonly answer: ReserveBudgetAnswer;
}

/** What a hold would come to. */
export interface EvaluatedHold extends DecidedScopes {
  readonly amount: bigint;
  readonly answer: EvaluateBudgetAnswer;
}

/** What the use cases need. */
export interface ReserveDeps extends PolicyDeps {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly hasher: KeyHasher;
  readonly denials: Pick<DenialRecorder, 'record'>;
}

/** Caps as the protocol writes them; null where a policy advises nothing. */
const capsOf = (caps: PolicyCaps | null | undefined): PlainJson => {
  if (caps === null || caps === undefined) return null;
  const shown = {
    ...(caps.maxTokens === undefined ? {} : { max_tokens: caps.maxTokens }),
    ...(caps.maxStepsRemaining === undefined ? {} : { max_steps_remaining: caps.maxStepsRemaining }),
    ...(caps.toolAllowlist === undefined ? {} : { tool_allowlist: caps.toolAllowlist }),
    ...(caps.toolDenylist === undefined ? {} : { tool_denylist: caps.toolDenylist }),
    ...(caps.cooldownMs === undefined ? {} : { cooldown_ms: caps.cooldownMs }),
  };
  return Object.keys(shown).length === 0 ? null : shown;
};

/** What of a request is kept with its reservation, as it came. */
const detailsOf = ({ subject, action, metadata }: HoldRequest['body']): string =>
  stringifyJson(metadata === undefined ? { subject, action } : { subject, action, metadata });

/** Makes the use cases that hold an amount for a client, and that tell what a hold would come to. */
export function makeReserveBudget(deps: ReserveDeps) {
  const { writer, ids, hasher, denials } = deps;

  /** Tries again, with budgets in other units, where none covers the scopes: only then it matters which of two refusals it is. */
  async function executed<C extends ReserveBudgetCommand | EvaluateBudgetCommand>(command: C) {
    const outcome = await writer.execute(command);
    if (outcome.ok || outcome.rejection.code !== 'budget_not_found') return outcome;
    return writer.execute({ ...command, withOtherUnits: true });
  }

  async function prepare(caller: TenantCaller, request: HoldRequest) {
    const key = requestKey(request);
    if (!key.ok) return key;
    const { body } = request;
    const derived = callerScopes(caller, body.subject);
    if (!derived.ok) return derived;
    const { scopes, path } = derived.value;
    const policy = await policyFor(deps, caller.tenant.id, path);
    const amount = BigInt(body.estimate.amount);
    const { unit } = body.estimate;
    const shared: BudgetRequest = {
      scopePath: path,
      unit,
      amount,
      limit: limitOf(policy, 'reserve'),
      caps: capsOf(policy?.caps),
      withOtherUnits: false,
    };
    const spend: AskedSpend = { path, unit, amount, subject: body.subject, action: body.action };
    return accepted({ shared, policy, scopes, path, unit, amount, spend });
  }

  const base = (caller: TenantCaller) => ({ id: ids.next('cmd'), tenantId: caller.tenant.id, origin: callerOrigin(caller) });

  return {
    /**
     * Holds an amount on every budget of a subject's scopes, under the policy that they obey.
     *
     * Rejects as `reserve-budget` does, and before that, in this order: `invalid_request` (two idempotency keys; the subject),
     * `forbidden`, `insufficient_permissions`. Source: Cycles runtime spec, createReservation.
     */
    async reserve(caller: TenantCaller, request: HoldRequest): Promise<Outcome<MadeHold>> {
      const prepared = await prepare(caller, request);
      if (!prepared.ok) return prepared;
      const { shared, policy, scopes, path, unit, amount, spend } = prepared.value;
      const { body } = request;
      const outcome = await executed<ReserveBudgetCommand>({
        verb: 'reserve-budget',
        ...base(caller),
        ...shared,
        reservationId: ids.next('rsv'),
        overagePolicy: body.overage_policy ?? policy?.overagePolicy ?? null,
        ...holdTerms(caller.tenant, policy, { ttlMs: body.ttl_ms, graceMs: body.grace_period_ms }),
        details: detailsOf(body),
        idempotency: idempotencyOf(hasher, { tenantId: caller.tenant.id, operation: OPERATIONS.create, target: '', body }),
      });
      if (outcome.ok) return accepted({ scopes, path, unit, amount, answer: outcome.value });
      recordRefusal(denials, caller, spend, outcome.rejection);
      return outcome;
    },

    /**
     * Tells what a hold would come to, and holds nothing. `operation` is whose idempotency keys it shares: those of holds for a dry run.
     *
     * Rejects as `evaluate-budget` does, and before that as `reserve`. Source: Cycles runtime spec, decide and DRY-RUN RESPONSE RULES.
     */
    async evaluate(caller: TenantCaller, request: HoldRequest, operation: 'decide' | 'dry run'): Promise<Outcome<EvaluatedHold>> {
      const prepared = await prepare(caller, request);
      if (!prepared.ok) return prepared;
      const { shared, scopes, path, unit, amount, spend } = prepared.value;
      const isDryRun = operation === 'dry run';
      const outcome = await executed<EvaluateBudgetCommand>({
        verb: 'evaluate-budget',
        ...base(caller),
        ...shared,
        isDryRun,
        idempotency: idempotencyOf(hasher, {
          tenantId: caller.tenant.id,
          operation: isDryRun ? OPERATIONS.create : OPERATIONS.decide,
          target: '',
          body: request.body,
        }),
      });
      if (!outcome.ok) return outcome;
      const answer = outcome.value;
      if (answer.denied !== null && !answer.isReplay) {
        const { deniedScope } = answer;
        const line = answer.balances.find(([scope]) => scope === deniedScope);
        const refuser = line === undefined ? null : { scope: line[0], remaining: BigInt(line[2]) };
        recordDenial(denials, caller, spend, { code: answer.denied, refuser, policyId: shared.limit?.policyId ?? null });
      }
      return accepted({ scopes, path, unit, amount, answer });
    },
  };
}

/** The use cases of {@link makeReserveBudget}. */
export type ReserveBudget = ReturnType<typeof makeReserveBudget>;
