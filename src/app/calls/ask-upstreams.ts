import { judgeStatus, scrubbedError, type CallFailureCode } from '../../core/calls/upstream-verdict.ts';
import { parseJson } from '../../core/json/int64.ts';
import { USAGE_REQUEST_HEADER } from '../../core/metering/usage-header.ts';
import { writeRequest } from '../../core/metering/write-request.ts';
import { dialectOf } from '../../core/routing/dialects.ts';
import type { AttemptOutcome } from '../../core/routing/circuit.ts';
import { retryAfterMs } from '../../core/routing/retry-after.ts';
import type { Upstream } from '../../core/records.ts';
import type { Rejection } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Log } from '../../ports/log.ts';
import { UpstreamFault, type UpstreamResponse } from '../../ports/upstream.ts';
import type { CallCounters } from './call-counters.ts';
import { type CallPlan, type PlannedCandidate, sentLimit } from './call-plan.ts';
import type { CallLimits, CallRefusal, CallRequest, OpenUpstream } from './call-types.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { TakeShare } from './take-share.ts';
import type { UpstreamHealth } from './upstream-health.ts';

/** Answers up to this size are gathered and booked before their first byte goes out; larger ones pass through. */
const GATHER_BYTES = 1_048_576;
/** The same where the caller wants its usage in a header, or the routing trace in the answer. Source: Tinfoil reference section 5. */
const GATHER_FOR_HEADER_BYTES = 10_485_760;
/** What is read of an error's body. */
const ERROR_BYTES = 65_536;

/** An answer that has begun. `gathered` is its whole body, or as much as is gathered of a large one; `rest` is what follows. */
export interface BegunAnswer {
  readonly kind: 'answer';
  readonly response: UpstreamResponse;
  readonly streams: boolean;
  /** The stream's usage was not asked for by the caller. */
  readonly hideUsage: boolean;
  readonly gathered: readonly Uint8Array[];
  /** Null where `gathered` is the whole. */
  readonly rest: AsyncIterator<Uint8Array, unknown> | null;
  /** When it was asked for, and when its first byte, or all that is gathered of it, was there; lengths only. */
  readonly sentMs: number;
  readonly begunMs: number;
}

/**
 * How asking ended. `refusal`: nothing to bill, the hold is to be returned. `given_up`: our own deadline cut the upstream off before it
 * answered, after the caller had gone; it has worked for the call, so the call is billed by an estimate.
 */
export type Asked =
  | BegunAnswer
  | { readonly kind: 'refusal'; readonly refusal: CallRefusal }
  | { readonly kind: 'given_up'; readonly code: CallFailureCode };

/**
 * Asks the upstreams of a call one after another, in the order of its plan, until one begins its answer.
 *
 * The next one is tried after a failure before the first byte of a body: no connection, a broken one, a time limit, a status that tells
 * of a fault there (5xx, 429, or one about our own credential). The caller's own error ends the trial; so does a caller that has gone.
 * An upstream whose circuit is open is passed over, unless that leaves none: then all are tried, the one that is back soonest first.
 * So is, without an attempt, one whose limits of a minute have no room for the call; where no other answers either, that is the refusal.
 * Source: architecture section 8.
 */
export function makeAskUpstreams(deps: {
  readonly open: (upstream: Upstream) => OpenUpstream;
  readonly health: Pick<UpstreamHealth, 'begin'>;
  readonly clock: Clock;
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly takeShare: TakeShare;
  readonly limits: CallLimits;
  readonly failpoints: Failpoints;
  readonly counters: CallCounters;
  readonly log: Log;
}): (call: ActiveCall, plan: CallPlan, request: CallRequest) => Promise<Asked> {
  const { health, log, counters, takeShare } = deps;

  return async (call, plan, request) => {
    let last: Failure | null = null;
    let limited: Rejection | null = null;
    const usedUp = new Set<number>();
    // The second round is the last resort: it is run only where every circuit was open.
    for (let round = 0; round < 2 && last === null; round++) {
      for (const [index, candidate] of plan.candidates.entries()) {
        if (last !== null && call.sink.gone) break;
        if (usedUp.has(index)) continue;
        const attempt = health.begin(candidate.upstream, { lastResort: round > 0 });
        if (attempt === null) continue;
        if (last !== null) counters.retriedUpstreams += 1;
        call.candidate = index;
        call.attempt = attempt;
        let tried: Tried;
        try {
          const taking = takeShare(call, candidate.upstream);
          const refusal = taking === null ? null : await taking;
          if (refusal !== null) {
            usedUp.add(index);
            limited ??= refusal;
            continue;
          }
          tried = await tryOne(deps, { call, plan, request, candidate });
          attempt.end(tried.outcome, tried.kind === 'next' ? tried.code : undefined);
        } finally {
          // An attempt that broke by a fault of ours says nothing about the upstream.
          attempt.end(GIVEN_UP);
        }
        if (tried.kind !== 'next') return tried.asked;
        call.failed.add(index);
        log.warn({ callId: call.id, upstream: candidate.upstream.id, code: tried.code }, 'an upstream failed before its first byte');
        // That another one limits its rate is the better news: waiting helps.
        if (last?.code !== 'upstream_rate_limited') last = tried;
      }
    }
    // It was said before an upstream was asked, and waiting helps.
    if (limited !== null) return { kind: 'refusal', refusal: { kind: 'rejected', rejection: limited } };
    const { code, retryAfter } = last ?? { code: 'upstream_failed', retryAfter: null };
    return { kind: 'refusal', refusal: { kind: 'failed', code, retryAfter } };
  };
}

type AskDeps = Parameters<typeof makeAskUpstreams>[0];

interface Failure {
  readonly code: CallFailureCode;
  readonly retryAfter: string | null;
}

/** What one attempt came to, for the call and for what is known of the upstream. */
type Tried = { readonly outcome: AttemptOutcome } & (
  | { readonly kind: 'over'; readonly asked: Asked }
  | ({ readonly kind: 'next' } & Failure)
);

const ANSWERED: AttemptOutcome = { kind: 'answered' };
const FAILED: AttemptOutcome = { kind: 'failed' };
const GIVEN_UP: AttemptOutcome = { kind: 'given_up' };

const over = (outcome: AttemptOutcome, asked: Asked): Tried => ({ kind: 'over', outcome, asked });
const next = (outcome: AttemptOutcome, code: CallFailureCode, retryAfter: string | null = null): Tried => ({
  kind: 'next',
  outcome,
  code,
  retryAfter,
});

interface AttemptOptions {
  readonly call: ActiveCall;
  readonly plan: CallPlan;
  readonly request: CallRequest;
  readonly candidate: PlannedCandidate;
}

async function tryOne(deps: AskDeps, options: AttemptOptions): Promise<Tried> {
  const { call, candidate } = options;
  const { upstream } = candidate;
  let opened: OpenUpstream;
  try {
    opened = deps.open(upstream);
  } catch (error) {
    // A credential that cannot be opened, an address that is none: another upstream may do better.
    deps.log.error({ err: error, callId: call.id, upstream: upstream.id }, 'an upstream cannot be opened');
    return next(FAILED, 'upstream_failed');
  }
  try {
    return await send(deps, options, opened);
  } catch (error) {
    if (!(error instanceof UpstreamFault)) throw error;
    deps.log.warn({ err: error, callId: call.id, upstream: upstream.id }, 'an upstream failed');
    const code = error.code === 'upstream_timeout' ? 'upstream_timeout' : 'upstream_failed';
    if (error.kind === 'aborted') return over(GIVEN_UP, { kind: 'given_up', code });
    return error.beforeFirstByte ? next(FAILED, code) : over(FAILED, { kind: 'given_up', code });
  }
}

async function send(deps: AskDeps, options: AttemptOptions, { client, secrets }: OpenUpstream): Promise<Tried> {
  const { call, plan, request, candidate } = options;
  const { upstream } = candidate;
  const timeoutMs = upstream.timeoutMs ?? deps.limits.upstreamTimeoutMs;
  const { body, hideUsage } = writeRequest({
    request: plan.request,
    upstreamModel: candidate.upstreamModel,
    continuousUsage: upstream.continuousUsage,
    outputLimit: sentLimit(plan, call),
  });
  call.wasSent = true;
  const sentMs = deps.elapsedMs();
  const sent = client.send({
    path: request.route,
    dialect: dialectOf(request.kind),
    method: 'POST',
    headers: request.headers,
    body,
    signal: call.abort.signal,
    timeouts: { headersMs: timeoutMs, idleMs: timeoutMs },
  });
  deps.failpoints.hit('call.sent');
  const response = await sent;
  const verdict = judgeStatus(response.status);
  if (verdict.kind === 'answer') {
    const begun = await beginAnswer(response, { hideUsage, gatherBytes: gatherBytes(request, plan) });
    const timed = { ...begun, sentMs, begunMs: deps.elapsedMs() };
    // No answer of these APIs is empty: the upstream broke before its first byte, whatever its status says.
    const isEmpty = begun.rest === null && begun.gathered.every(({ length }) => length === 0);
    return isEmpty ? next(FAILED, 'upstream_failed', null) : over(ANSWERED, timed);
  }
  const errorBody = await readErrorBody(response);
  if (verdict.kind === 'failure') {
    const retryAfter = response.headers['retry-after'] ?? null;
    if (verdict.code !== 'upstream_rate_limited') return next(FAILED, verdict.code, retryAfter);
    return next({ kind: 'rate_limited', restMs: retryAfterMs(retryAfter, deps.clock.nowMs()) }, verdict.code, retryAfter);
  }
  const rename = { from: candidate.upstreamModel, to: candidate.target?.model.id ?? plan.request.model };
  const error = scrubbedError(errorBody, { status: response.status, secrets, rename });
  return over(ANSWERED, { kind: 'refusal', refusal: { kind: 'passed', status: response.status, error } });
}

/** Speech is heard while it is made, so none of it is gathered. */
function gatherBytes(request: CallRequest, plan: CallPlan): number {
  if (request.kind === 'speech') return 0;
  return wantsUsage(request) || plan.routing !== null ? GATHER_FOR_HEADER_BYTES : GATHER_BYTES;
}

/** Tells whether the caller wants its usage told; only the exact value counts. Source: Tinfoil reference section 5. */
export const wantsUsage = (request: Pick<CallRequest, 'headers'>): boolean => request.headers[USAGE_REQUEST_HEADER] === 'true';

/** Reads a stream up to its first piece, anything else whole: until then another upstream may still be tried. */
async function beginAnswer(
  response: UpstreamResponse,
  options: { readonly hideUsage: boolean; readonly gatherBytes: number },
): Promise<Omit<BegunAnswer, 'sentMs' | 'begunMs'>> {
  const { hideUsage } = options;
  if (!isEventStream(response)) {
    const { pieces, complete } = await response.body.readAll(options.gatherBytes);
    return {
      kind: 'answer',
      response,
      streams: false,
      hideUsage,
      gathered: pieces,
      rest: complete ? null : response.body[Symbol.asyncIterator](),
    };
  }
  const rest = response.body[Symbol.asyncIterator]();
  const first = await rest.next();
  if (first.done === true) return { kind: 'answer', response, streams: true, hideUsage, gathered: [], rest: null };
  return { kind: 'answer', response, streams: true, hideUsage, gathered: [first.value], rest };
}

/** By what the upstream says, not by what was asked: some servers answer a stream request with JSON, or the other way round. */
const isEventStream = (response: UpstreamResponse): boolean =>
  response.headers['content-type']?.toLowerCase().startsWith('text/event-stream') === true;

/** The error that an upstream sent, as far as it is JSON. What cannot be read is no error of its own: the status has told enough. */
export async function readErrorBody(response: UpstreamResponse): Promise<unknown> {
  try {
    const { pieces, complete } = await response.body.readAll(ERROR_BYTES);
    if (!complete) response.body.cancel();
    return parseJson(Buffer.concat(pieces).toString('utf8'));
  } catch {
    return null;
  }
}
