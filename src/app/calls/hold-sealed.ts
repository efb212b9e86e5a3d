import type { CallRefusal } from './call-types.ts';
import type { Held, HeldRequest } from './hold-call.ts';
import type { CallPlan } from './call-plan.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { ModelWord } from './model-trust.ts';
import type { PlanSealed } from './plan-sealed.ts';
import { CallerLeft, type SealedCallRequest, type SealedPlan } from './sealed-call.ts';

/** A sealed call that holds, or why it may not; `left`: its caller went while its body was read. */
export type HeldSealed =
  | { readonly kind: 'held'; readonly call: ActiveCall; readonly plan: SealedPlan }
  | { readonly kind: 'refused'; readonly refusal: CallRefusal }
  | { readonly kind: 'left' };

/** How often a call is planned anew whose tenant's settings changed while it was planned. */
export const MAX_PLANS_ANEW = 5;

/** Makes what plans a sealed call and holds for it, anew where its tenant changed meanwhile. Throws as planning and holding do. */
export function makeHoldSealed(deps: {
  readonly plan: PlanSealed;
  readonly hold: (request: HeldRequest, plan: CallPlan) => Promise<Held>;
}): (request: SealedCallRequest, word: ModelWord) => Promise<HeldSealed> {
  return async (given, word) => {
    let request = given;
    try {
      for (let again = 0; ; again += 1) {
        const planned = await deps.plan(request, word);
        if (!planned.ok) return { kind: 'refused', refusal: planned.refusal };
        const { plan } = planned;
        const held = await deps.hold(request, plan);
        if (held.kind === 'held') return { kind: 'held', call: held.call, plan };
        if (held.kind !== 'stale' || again >= MAX_PLANS_ANEW)
          return { kind: 'refused', refusal: { kind: 'rejected', rejection: held.rejection } };
        // What was read of the body is not read again.
        request = { ...request, tenant: held.tenant, ahead: plan.ahead };
      }
    } catch (error) {
      if (error instanceof CallerLeft) return { kind: 'left' };
      throw error;
    }
  };
}
