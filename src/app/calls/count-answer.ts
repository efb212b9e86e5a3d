import { hasNoOutputLimit } from '../../core/bounds/media-bound.ts';
import { objectsOfResponse } from '../../core/calls/upstream-object.ts';
import { mediaUse, type SeenMedia } from '../../core/metering/media-use.ts';
import { estimateUsage } from '../../core/metering/token-usage.ts';
import { mediaRate } from '../../core/pricing/rates.ts';
import { type CallPlan, targetOf } from './call-plan.ts';
import type { CountedUsage } from './count-usage.ts';
import type { ActiveCall } from './keep-calls.ts';

/** What an answer told beside its tokens. `response` is a response of the Responses API as far as it was read; null for anything else. */
export interface SeenAnswer extends SeenMedia {
  readonly response: Readonly<Record<string, unknown>> | null;
}

/** Nothing seen. */
export const SAW_NOTHING: SeenAnswer = { seconds: null, images: null, response: null };

/**
 * Adds to the tokens of an answer what it used beside them, and what its upstream keeps of it.
 *
 * A response is remembered unless its caller said `store: false`; what a later call adds to its prompt by building on it is known only
 * where the upstream reported the usage.
 */
export function completeCount(
  counted: CountedUsage,
  at: { readonly plan: CallPlan; readonly call: ActiveCall },
  seen: SeenAnswer,
): CountedUsage {
  const { plan, call } = at;
  const candidate = plan.candidates[call.candidate];
  const { media: bound } = plan.bound;
  const price = candidate?.price ?? null;
  const used = mediaUse(bound, seen, bound !== undefined && price !== null && mediaRate(price.rates, bound.unit) > 0n);
  const { request } = plan;
  const objects =
    seen.response === null || request.kind !== 'responses' || request.body['store'] === false || candidate === undefined
      ? []
      : objectsOfResponse(seen.response, {
          upstreamId: candidate.upstream.id,
          model: targetOf(plan, call).model.id,
          tokens: counted.estimated ? null : counted.usage.totalTokens,
        });
  return {
    ...counted,
    ...(used === null ? {} : { media: used.use, estimated: counted.estimated || used.estimated }),
    ...(objects.length === 0 ? {} : { objects }),
  };
}

/** What is booked for a call whose answer nobody saw although its upstream may have worked for it. */
export function unseenCount({ plan, call }: { readonly plan: CallPlan; readonly call: ActiveCall }): CountedUsage {
  const usage = estimateUsage({ promptTokens: targetOf(plan, call).promptTokens, completionTokens: call.countOutput?.() ?? 0 }, null);
  const { media } = plan.bound;
  return { usage, estimated: true, ...(media === undefined ? {} : { media: { unit: media.unit, quantity: media.likely } }) };
}

/** Usage of speech, a transcription or images whose upstream reported none: no tokens. Source: Tinfoil reference section 5. */
export const countsNoTokens = (plan: CallPlan): boolean => hasNoOutputLimit(plan.request.kind);
