import { writePlain } from '../core/metering/write-request.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { Tokenizers } from '../ports/tokenizer.ts';
import type { Directory } from './directory.ts';
import type { CallCatalogue, CallOutcome, CallRefusal, CallRequest } from './calls/call-types.ts';
import { makePlanCall } from './calls/plan-call.ts';
import type { UpstreamHealth } from './calls/upstream-health.ts';
import type { UpstreamSpeeds } from './calls/upstream-speeds.ts';
import { makeRelayUnmetered, type UnmeteredDeps } from './calls/relay-unmetered.ts';

/** What counting needs. */
export interface CountInputTokensDeps extends UnmeteredDeps {
  readonly catalogue: CallCatalogue;
  readonly records: Pick<RecordStore, 'upstreamObjects'>;
  readonly tokenizers: Tokenizers;
  readonly policies: Directory['policies'];
  readonly clock: Clock;
  /** A number from [0, 1), a new one each time: what draws among weighted upstreams. */
  readonly random: () => number;
  readonly health: Pick<UpstreamHealth, 'standing'>;
  readonly speeds: Pick<UpstreamSpeeds, 'speedsOf'>;
}

/** Statuses by which an upstream says that it does not count: another one may. */
const DOES_NOT_COUNT: ReadonlySet<number | null> = new Set([404, 405, 501]);

/**
 * Has an upstream of the model count the input tokens of a request, and passes its answer on. Nothing is held, metered or charged:
 * counting is free. Source: Tinfoil reference section 5, "counts without billing".
 *
 * Refuses as the plan of the counted request does ({@link makePlanCall}), then as the upstreams do. They are tried in the call's order
 * after a failure, and where one cannot count.
 */
export function makeCountInputTokens(deps: CountInputTokensDeps): (request: CallRequest) => Promise<CallOutcome> {
  const planCall = makePlanCall(deps);
  const relay = makeRelayUnmetered(deps);
  return async (request) => {
    const planned = await planCall(request);
    if (!planned.ok) return planned.refusal;
    const { plan } = planned;
    let refusal: CallRefusal = { kind: 'failed', code: 'upstream_failed', retryAfter: null };
    for (const { upstream, upstreamModel, target } of plan.candidates) {
      const outcome = await relay({
        requestId: request.requestId,
        headers: request.headers,
        sink: request.sink,
        upstream,
        method: 'POST',
        path: request.route,
        body: writePlain(plan.request.body, { model: upstreamModel }),
        rename: { from: upstreamModel, to: target?.model.id ?? plan.request.model },
      });
      if (outcome.kind === 'answered') return outcome;
      refusal = outcome.refusal;
      if (outcome.isFinal && !DOES_NOT_COUNT.has(outcome.status)) break;
    }
    return refusal;
  };
}
