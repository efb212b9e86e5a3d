import { judgeStatus, scrubbedError, type CallFailureCode } from '../../core/calls/upstream-verdict.ts';
import { limitPerChoice } from '../../core/calls/call-hold.ts';
import { parseJson } from '../../core/json/int64.ts';
import { writeRequest } from '../../core/metering/write-request.ts';
import type { RouteCandidate } from '../../core/routing/candidates.ts';
import type { Upstream } from '../../core/records.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Log } from '../../ports/log.ts';
import { UpstreamFault, type UpstreamResponse } from '../../ports/upstream.ts';
import type { CallCounters } from './call-counters.ts';
import type { CallLimits, CallRefusal, CallRequest, OpenUpstream } from './call-types.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { CallPlan } from './plan-call.ts';

/** Answers up to this size are gathered and booked before their first byte goes out; larger ones pass through. */
const GATHER_BYTES = 1_048_576;
/** The same where the caller wants its usage in a header. Source: Tinfoil reference section 5. */
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
}

/**
 * How asking ended. `refusal`: nothing to bill, the hold is to be returned. `given_up`: our own deadline cut the upstream off before it
 * answered, after the caller had gone; it has worked for the call, so the call is billed by an estimate.
 */
export type Asked =
  | BegunAnswer
  | { readonly kind: 'refusal'; readonly refusal: CallRefusal }
  | { readonly kind: 'given_up'; readonly code: CallFailureCode };

type Attempt = Asked | { readonly kind: 'next'; readonly code: CallFailureCode; readonly retryAfter: string | null };

/**
 * Asks the upstreams of a call one after another until one begins its answer.
 *
 * The next one is tried after a failure before the first byte of a body: no connection, a broken one, a status that tells of a fault
 * there (5xx, 429, or one about our own credential). A time limit ends the trial, since the upstream may still be at work; so does the
 * caller's own error, or a caller that has gone. Source: architecture section 8.
 */
export function makeAskUpstreams(deps: {
  readonly open: (upstream: Upstream) => OpenUpstream;
  readonly limits: CallLimits;
  readonly failpoints: Failpoints;
  readonly counters: CallCounters;
  readonly log: Log;
}): (call: ActiveCall, plan: CallPlan, request: CallRequest) => Promise<Asked> {
  const { log, counters } = deps;

  return async (call, plan, request) => {
    let last: { readonly code: CallFailureCode; readonly retryAfter: string | null } = { code: 'upstream_failed', retryAfter: null };
    for (const [index, candidate] of plan.candidates.entries()) {
      if (index > 0) {
        if (call.sink.gone) break;
        counters.retriedUpstreams += 1;
        call.candidate = index;
      }
      const attempt = await attemptOne(deps, { call, plan, request, candidate });
      if (attempt.kind !== 'next') return attempt;
      log.warn({ callId: call.id, upstream: candidate.upstream.id, code: attempt.code }, 'an upstream failed before its first byte');
      // That another one limits its rate is the better news: waiting helps.
      if (last.code !== 'upstream_rate_limited') last = attempt;
    }
    return { kind: 'refusal', refusal: { kind: 'failed', code: last.code, retryAfter: last.retryAfter } };
  };
}

type AskDeps = Parameters<typeof makeAskUpstreams>[0];

interface AttemptOptions {
  readonly call: ActiveCall;
  readonly plan: CallPlan;
  readonly request: CallRequest;
  readonly candidate: RouteCandidate;
}

async function attemptOne(deps: AskDeps, options: AttemptOptions): Promise<Attempt> {
  const { call, plan, request, candidate } = options;
  const { upstream } = candidate;
  const { bound } = plan;
  const timeoutMs = upstream.timeoutMs ?? deps.limits.upstreamTimeoutMs;
  const { body, hideUsage } = writeRequest({
    request: plan.request,
    upstreamModel: candidate.upstreamModel,
    continuousUsage: upstream.continuousUsage,
    outputLimit: bound.sendLimitAs === null ? null : { field: bound.sendLimitAs, tokens: limitPerChoice(call.heldOutput, bound.choices) },
  });
  let opened: OpenUpstream;
  try {
    opened = deps.open(upstream);
  } catch (error) {
    // A credential that cannot be opened, an address that is none: another upstream may do better.
    deps.log.error({ err: error, callId: call.id, upstream: upstream.id }, 'an upstream cannot be opened');
    return { kind: 'next', code: 'upstream_failed', retryAfter: null };
  }
  const { client, secrets } = opened;
  try {
    call.wasSent = true;
    const sent = client.send({
      path: request.route,
      method: 'POST',
      headers: request.headers,
      body,
      signal: call.abort.signal,
      timeouts: { headersMs: timeoutMs, idleMs: timeoutMs },
    });
    deps.failpoints.hit('call.sent');
    const response = await sent;
    const verdict = judgeStatus(response.status);
    if (verdict.kind === 'answer') return await beginAnswer(response, { hideUsage, gatherBytes: gatherBytes(request) });
    const errorBody = await readErrorBody(response);
    if (verdict.kind === 'failure') return { kind: 'next', code: verdict.code, retryAfter: response.headers['retry-after'] ?? null };
    const rename = { from: candidate.upstreamModel, to: plan.model.id };
    const error = scrubbedError(errorBody, { status: response.status, secrets, rename });
    return { kind: 'refusal', refusal: { kind: 'passed', status: response.status, error } };
  } catch (error) {
    if (!(error instanceof UpstreamFault)) throw error;
    deps.log.warn({ err: error, callId: call.id, upstream: upstream.id }, 'an upstream failed');
    const code = error.code === 'upstream_timeout' ? 'upstream_timeout' : 'upstream_failed';
    if (error.kind === 'aborted' || !error.beforeFirstByte) return { kind: 'given_up', code };
    if (code === 'upstream_timeout') return { kind: 'refusal', refusal: { kind: 'failed', code, retryAfter: null } };
    return { kind: 'next', code, retryAfter: null };
  }
}

/** Speech is heard while it is made, so none of it is gathered. */
function gatherBytes(request: CallRequest): number {
  if (request.kind === 'speech') return 0;
  return wantsUsage(request) ? GATHER_FOR_HEADER_BYTES : GATHER_BYTES;
}

/** Tells whether the caller wants its usage told; only the exact value counts. Source: Tinfoil reference section 5. */
export const wantsUsage = (request: Pick<CallRequest, 'headers'>): boolean => request.headers['x-tinfoil-request-usage-metrics'] === 'true';

/** Reads a stream up to its first piece, anything else whole: until then another upstream may still be tried. */
async function beginAnswer(
  response: UpstreamResponse,
  options: { readonly hideUsage: boolean; readonly gatherBytes: number },
): Promise<BegunAnswer> {
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
async function readErrorBody(response: UpstreamResponse): Promise<unknown> {
  try {
    const { pieces, complete } = await response.body.readAll(ERROR_BYTES);
    if (!complete) response.body.cancel();
    return parseJson(Buffer.concat(pieces).toString('utf8'));
  } catch {
    return null;
  }
}
