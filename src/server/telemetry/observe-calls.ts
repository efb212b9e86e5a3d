import type { CallOutcome } from '../../app/calls/call-types.ts';
import type { CallCounters } from '../../app/calls/call-counters.ts';
import type { Calls } from '../../app/relay-call.ts';
import type { Sample } from '../../telemetry/metrics/families.ts';
import type { Tenant } from '../../core/records.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';

/** The gateway's counters, and how the metric of events calls them; violations of holds have a metric of their own. */
const EVENTS: Readonly<Record<Exclude<keyof CallCounters, 'holdViolations'>, string>> = {
  calls: 'call',
  refused: 'refused',
  failed: 'failed',
  abandoned: 'abandoned',
  retriedUpstreams: 'upstream_retried',
  modelFallbacks: 'model_fallback',
  lateSettles: 'settled_late',
  estimates: 'estimated',
  softOverruns: 'soft_overrun',
  settleRetries: 'settle_retried',
  settlesGivenUp: 'settle_given_up',
  settledElsewhere: 'settled_elsewhere',
  answersCut: 'answer_cut',
  sealedMismatches: 'sealed_mismatch',
};

/** The calls, with their refusals counted by code beside them; their own counters are read when a scraper asks. */
export function observeCalls(calls: Calls, deps: { readonly metrics: Metrics; readonly tenantLabels: boolean }): Calls {
  const { metrics } = deps;
  const events = Object.entries(EVENTS) as [keyof typeof EVENTS, string][];
  metrics.callEvents.readAllFrom(() => events.map(([counter, event]): Sample => ({ labels: { event }, value: calls.counters[counter] })));
  metrics.holdViolations.readFrom(() => calls.counters.holdViolations);
  metrics.callsActive.readFrom(() => calls.active);
  const count = (outcome: CallOutcome, { tenant }: { readonly tenant: Tenant }): CallOutcome => {
    const code = refusalCode(outcome);
    if (code !== null) metrics.refusals.cell(code, ...(deps.tenantLabels ? [tenant.id] : [])).value += 1;
    return outcome;
  };
  const observed: Pick<Calls, 'relay' | 'relaySealed'> = {
    relay: async (request) => count(await calls.relay(request), request),
    relaySealed: async (request) => count(await calls.relaySealed(request), request),
  };
  // By inheritance, so that whatever else calls have stays their own.
  return Object.assign(Object.create(calls) as Calls, observed);
}

/** Why a call got no answer; of an upstream's own words, only that they were its. */
function refusalCode(outcome: CallOutcome): string | null {
  switch (outcome.kind) {
    case 'answered':
      return null;
    case 'invalid':
      return outcome.defect.code;
    case 'rejected':
      return outcome.rejection.code;
    case 'failed':
      return outcome.code;
    case 'passed':
      return 'upstream_refused';
  }
}
