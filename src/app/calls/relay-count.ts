import type { Ids } from '../../ports/ids.ts';
import type { Asked } from './ask-upstreams.ts';
import type { CallOutcome, CallRequest } from './call-types.ts';
import type { HeldRequest } from './hold-call.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { CallPlan } from './call-plan.ts';

/**
 * Makes what relays a call that counts tokens: no model runs for it, so nothing is held, metered or billed. It goes the way of every
 * other call upstream, ends with its caller, and an answer that is no small JSON text fails. Resolves as `relay` does.
 *
 * Source: Tinfoil reference section 5 (counting is not billed).
 */
export function makeRelayCount(deps: {
  readonly ask: (call: ActiveCall, plan: CallPlan, request: CallRequest) => Promise<Asked>;
  readonly ids: Ids;
}): (request: CallRequest, plan: CallPlan) => Promise<CallOutcome> {
  const { ask, ids } = deps;
  return async (request, plan) => {
    const { sink, requestId } = request;
    const call = newCount(ids.next('count'), request, plan);
    sink.onGone(() => call.abort.abort());
    const answer = await ask(call, plan, request);
    if (answer.kind === 'refusal') return answer.refusal;
    if (answer.kind === 'given_up') return { kind: 'failed', code: answer.code, retryAfter: null };
    if (answer.rest !== null || answer.streams) {
      answer.response.body.cancel();
      return { kind: 'failed', code: 'upstream_failed', retryAfter: null };
    }
    sink.send(answer.response.status, { ...answer.response.headers, 'x-request-id': requestId }, answer.gathered);
    return { kind: 'answered' };
  };
}

/** A call that holds nothing, and that nobody keeps. */
export const newCount = (id: string, request: HeldRequest, plan: CallPlan): ActiveCall => ({
  id,
  tenantId: request.tenant.id,
  context: {
    keyId: request.key.id,
    model: plan.model.id,
    route: request.route,
    streaming: false,
    promptTokens: 0,
    candidates: plan.candidates.map(({ upstream, price }) => ({ upstreamId: upstream.id, price })),
  },
  legs: [],
  heldOutput: 0n,
  rates: [],
  counted: [],
  durable: Promise.resolve(),
  softOutput: false,
  attempt: null,
  sink: request.sink,
  abort: new AbortController(),
  candidate: 0,
  failed: new Set(),
  startedMs: 0,
  waitedMs: 0,
  wasSent: false,
  isUploading: false,
  countOutput: null,
  ttlMs: Infinity,
  expiresAtMs: Infinity,
  nextCheckpointMs: Infinity,
  checkpointTokens: 0,
  keepCount: 0,
  keeping: false,
  upstreamDeadlineMs: Infinity,
  callerDeadlineMs: Infinity,
  settling: null,
});
