import type { RequestBound } from '../../core/bounds/bound-request.ts';
import { hasManyPrompts } from '../../core/bounds/media-bound.ts';
import { limitPerChoice } from '../../core/calls/call-hold.ts';
import type { OutputLimitField } from '../../core/metering/upstream-body.ts';
import type { InferenceRequest } from '../../core/bounds/inference-request.ts';
import type { PinnedRate } from '../../core/pricing/currency.ts';
import type { Model, Policy } from '../../core/records.ts';
import type { RoutingTrace } from '../../core/routing/trace.ts';
import type { RouteCandidate } from '../../core/routing/candidates.ts';
import type { Tokenizer } from '../../ports/tokenizer.ts';
import type { ActiveCall } from './keep-calls.ts';

/** A model that may answer a call, and what the call may use of it. */
export interface CallTarget {
  readonly model: Model;
  readonly bound: RequestBound;
  /** The prompt's tokens without margin, for an estimate. */
  readonly promptTokens: number;
  /** The part of them whose size is known: what a context is held against. */
  readonly sizedTokens: number;
  readonly tokenizer: Tokenizer | null;
}

/** An upstream of a plan. `target` is its model where several may answer; else it is the plan's own. */
export interface PlannedCandidate extends RouteCandidate {
  readonly target?: CallTarget;
}

/**
 * What a call asks for, where it may go and what it may use at most: everything that its hold is made of. `model` is the one that it
 * asks for; `bound` covers every model that may answer.
 */
export interface CallPlan extends CallTarget {
  readonly request: InferenceRequest;
  /** In the order of trial. */
  readonly candidates: readonly PlannedCandidate[];
  /** The candidates whose prices the hold is made by; absent: all of them, since any may answer. */
  readonly pricedBy?: readonly PlannedCandidate[];
  /** The key is soft and the caller set no limit: none is sent upstream, and the hold is what the model's default would use. */
  readonly softOutput: boolean;
  /** How the candidates were chosen, where the caller wants to see it. */
  readonly routing: (() => RoutingTrace) | null;
  /** The scopes that the call is spent in, the tenant's first, and the policy that they obey. */
  readonly scopes: readonly string[];
  readonly policy: Policy | null;
  /** The output that it counts as where nobody saw any of it; absent: none. */
  readonly unseenOutput?: number;
  /** By what the call takes from its tenant's prepaid balance; null where the tenant keeps none. */
  readonly rate: PinnedRate | null;
}

/** The model that the upstream being tried answers for, and what holds for it. */
export const targetOf = (plan: CallPlan, { candidate }: Pick<ActiveCall, 'candidate'>): CallTarget =>
  plan.candidates[candidate]?.target ?? plan;

/**
 * The output limit to send to the upstream that is tried: what the hold pays for, and no more than the model, and the upstream, can give,
 * beside the prompt by our nearest count where its context was held against that. Null where the caller set one, or none is sent.
 */
export function sentLimit(
  plan: CallPlan,
  call: Pick<ActiveCall, 'candidate' | 'heldOutput'>,
): { readonly field: OutputLimitField; readonly tokens: number } | null {
  if (plan.bound.sendLimitAs === null) return null;
  const { bound } = targetOf(plan, call);
  if (bound.sendLimitAs === null) return null;
  const most = Math.min(plan.candidates[call.candidate]?.maxOutputTokens ?? Infinity, roomBesidePrompt(plan, call));
  return { field: bound.sendLimitAs, tokens: Math.min(limitPerChoice(call.heldOutput, plan.bound.choices), bound.outputPerChoice, most) };
}

/** What a context has room for beside the prompt, where `filterCandidates` looked at it: the upstream's own, or its model's where several may answer. */
function roomBesidePrompt(plan: CallPlan, call: Pick<ActiveCall, 'candidate'>): number {
  const candidate = plan.candidates[call.candidate];
  const context = candidate?.contextTokens ?? candidate?.target?.model.contextTokens ?? null;
  if (context === null || hasManyPrompts(plan.request.kind)) return Infinity;
  return Math.max(1, context - targetOf(plan, call).sizedTokens);
}
