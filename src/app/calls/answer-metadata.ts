import { addToJson, METADATA_NAMES, type AddedMember, type StreamTail } from '../../core/metering/splice-metadata.ts';
import { costNanoUsd } from '../../core/pricing/rates.ts';
import { metadataObject } from '../../core/routing/trace.ts';
import { targetOf, type CallPlan } from './call-plan.ts';
import type { CountedUsage } from './count-usage.ts';
import type { BegunAnswer } from './ask-upstreams.ts';
import type { ActiveCall } from './keep-calls.ts';

/** The answer that it is put into, and the call that it tells of. */
interface AnsweredCall {
  readonly call: ActiveCall;
  readonly plan: CallPlan;
  readonly answer: BegunAnswer;
}

interface MetadataDeps {
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
}

/**
 * The bytes of a whole answer, with the routing trace where the caller wants it: a member `metadata` at the end of its JSON object, every
 * other byte as it came. An answer that is no JSON object stays as it is. `json` gives the answer parsed.
 */
export function withMetadata(deps: MetadataDeps, options: AnsweredCall, counted: CountedUsage, json: () => unknown): readonly Uint8Array[] {
  const { gathered } = options.answer;
  const member = memberOf(deps, options, counted);
  if (member === null) return gathered;
  return addToJson(Buffer.concat(gathered), member, json()) ?? gathered;
}

/** The end of a stream, with the routing trace in its last event before `[DONE]`, or in the event that ends it. */
export function endWithMetadata(
  deps: MetadataDeps,
  options: AnsweredCall,
  { tail, ending, counted }: { readonly tail: StreamTail; readonly ending: readonly Uint8Array[]; readonly counted: CountedUsage },
): readonly Uint8Array[] {
  const member = memberOf(deps, options, counted);
  if (member === null) return ending;
  const { call, plan } = options;
  const own = { id: call.id, object: 'chat.completion.chunk', model: targetOf(plan, call).model.id, choices: [] };
  return tail.end(ending, {
    member,
    ownEvent: () => `data: ${JSON.stringify(own).slice(0, -1)},${JSON.stringify(member.name)}:${member.json}}\n\n`,
  });
}

/** The trace of a call as a member of its answer; null where nobody asked for it. Responses have a `metadata` of their caller's. */
function memberOf({ elapsedMs }: MetadataDeps, { call, plan }: AnsweredCall, { usage, media }: CountedUsage): AddedMember | null {
  if (plan.routing === null) return null;
  const price = plan.candidates[call.candidate]?.price ?? null;
  const total = price === null ? 0n : costNanoUsd(price.rates, usage, media ?? null);
  const completion = price === null ? 0n : BigInt(usage.completionTokens) * price.rates.outputNanos;
  const completionNanoUsd = completion < total ? completion : total;
  const metadata = metadataObject(plan.routing(), {
    selected: call.candidate,
    failed: call.failed,
    cost: price === null ? null : { promptNanoUsd: total - completionNanoUsd, completionNanoUsd },
    latencyMs: elapsedMs() - call.startedMs,
  });
  return { name: plan.request.kind === 'responses' ? METADATA_NAMES.besideOwn : METADATA_NAMES.plain, json: JSON.stringify(metadata) };
}
