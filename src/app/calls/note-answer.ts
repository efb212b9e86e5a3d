import type { BegunAnswer } from './ask-upstreams.ts';
import { targetOf, type CallPlan } from './call-plan.ts';
import type { CountedUsage } from './count-usage.ts';
import { isBackground } from './follow-background.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { UpstreamSpeeds } from './upstream-speeds.ts';

/**
 * Takes in an answer that has just ended. The time in which its upstream waited for the caller is not the upstream's. A response in the
 * background tells nothing: we only ask now and then whether it has ended.
 */
export function noteAnswer(
  deps: { readonly speeds: Pick<UpstreamSpeeds, 'note'>; readonly elapsedMs: () => number },
  {
    call,
    plan,
    answer,
    counted,
  }: { readonly call: ActiveCall; readonly plan: CallPlan; readonly answer: BegunAnswer; readonly counted: CountedUsage },
): void {
  const candidate = plan.candidates[call.candidate];
  if (candidate === undefined || isBackground(plan)) return;
  const { sentMs, begunMs, streams } = answer;
  const endedMs = deps.elapsedMs() - call.waitedMs;
  deps.speeds.note(candidate.upstream.id, targetOf(plan, call).model.id, {
    firstTokenMs: streams ? begunMs - sentMs : null,
    outputTokens: counted.usage.completionTokens,
    outputMs: endedMs - (streams ? begunMs : sentMs),
  });
}
