import { judgeStatus, scrubbedError, type CallFailureCode } from '../../core/calls/upstream-verdict.ts';
import { settlementOf } from '../../core/calls/settlement.ts';
import type { Telling } from '../../core/events/commands.ts';
import { readUsageHeader, USAGE_ANSWER_HEADER, usageHeaderValue } from '../../core/metering/usage-header.ts';
import { estimateUsage, type TokenUsage } from '../../core/metering/token-usage.ts';
import { rateHeaders } from '../../core/policy/rate-headers.ts';
import { dialectOf } from '../../core/routing/dialects.ts';
import type { AttemptOutcome } from '../../core/routing/circuit.ts';
import { retryAfterMs } from '../../core/routing/retry-after.ts';
import { RESPONSE_NONCE_HEADER } from '../../core/sealed/protocol.ts';
import { settleSealed, type SealedSettlement } from '../../core/sealed/settle-sealed.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Log } from '../../ports/log.ts';
import { UpstreamFault, type UpstreamResponse } from '../../ports/upstream.ts';
import { readErrorBody, wantsUsage } from './ask-upstreams.ts';
import type { CallBooks } from './book-call.ts';
import type { CallCounters } from './call-counters.ts';
import { targetOf } from './call-plan.ts';
import type { AnswerHeaders, CallLimits, CallOutcome, CallRefusal, OpenAnUpstream, OpenUpstream } from './call-types.ts';
import type { CountedUsage } from './count-usage.ts';
import { GATEWAY_SOURCE } from './hold-call.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { ModelWord } from './model-trust.ts';
import { waitForCaller } from './relay-answer.ts';
import type { ReadAhead } from './read-ahead.ts';
import { CallerLeft, upstreamOfSealed, type SealedCallRequest, type SealedPlan } from './sealed-call.ts';
import type { TakeShare } from './take-share.ts';
import type { UpstreamHealth } from './upstream-health.ts';

const USAGE_HEADER = USAGE_ANSWER_HEADER.toLowerCase();

/** What relaying sealed calls needs. */
export interface RelaySealedDeps {
  readonly openUpstream: OpenAnUpstream;
  readonly health: Pick<UpstreamHealth, 'begin'>;
  readonly takeShare: TakeShare;
  readonly books: CallBooks;
  readonly counters: CallCounters;
  readonly clock: Clock;
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly limits: CallLimits;
  readonly failpoints: Failpoints;
  readonly log: Log;
}

/** What a sealed call counts as where its upstream does not say: all that was held. */
export const heldUsage = (plan: Pick<SealedPlan, 'promptTokens'>, call: Pick<ActiveCall, 'heldOutput'>): TokenUsage =>
  estimateUsage({ promptTokens: plan.promptTokens, completionTokens: Number(call.heldOutput) }, null);

/**
 * Makes what sends a held call to the enclave that it is sealed for, and passes its answer on: bodies go through in both directions as they
 * come, and nothing of them is kept, read or changed. One attempt: a body that has passed cannot be sent again.
 *
 * The usage is what the upstream says in its header or, for streams, in its trailer; without it the call is booked by what was held, as an
 * estimate. The end of an answer goes out only when the call is booked durably, whatever comes before at once. An answer that is no success is
 * the caller's own affair where its status is (it passes as it is, sealed or not), and costs nothing; one about our credential, a fault or a
 * limit there is told in our words.
 *
 * Tells the word of the caller about its model what the answer shows of it; ending it is left to whoever took it.
 */
export function makeRelaySealed(deps: RelaySealedDeps): (sealed: Relayed) => Promise<CallOutcome> {
  const { books, counters, health } = deps;

  const release = async (call: ActiveCall, refusal: CallRefusal): Promise<CallOutcome> => {
    if (refusal.kind === 'failed') counters.failed += 1;
    if (refusal.kind === 'rejected') counters.refused += 1;
    await books.release(call);
    return call.rates.length === 0 ? refusal : { rates: call.rates, ...refusal };
  };

  return async (sealed) => {
    const { call, plan } = sealed;
    // Nothing is sent for a caller that left while its hold was made.
    if (call.sink.gone) {
      await books.release(call);
      return { kind: 'answered' };
    }
    const upstream = upstreamOfSealed(plan);
    const attempt = health.begin(upstream, { lastResort: true });
    call.attempt = attempt;
    try {
      const refusal = await deps.takeShare(call, upstream);
      if (refusal !== null) return await release(call, { kind: 'rejected', rejection: refusal });
      const sent = await send(deps, sealed);
      attempt?.end(sent.outcome, sent.kind === 'refused' ? sent.refusal.code : undefined);
      if (sent.kind === 'refused') return await release(call, { kind: 'failed', ...sent.refusal });
      if (sent.kind === 'passed') return await release(call, sent.refusal);
      if (sent.kind === 'nothing') {
        await books.release(call);
        return { kind: 'answered' };
      }
      if (sent.kind === 'given_up') {
        await book(deps, { ...sealed, response: null }, { isCut: true });
        if (!call.sink.gone) call.sink.cut();
        return { kind: 'answered' };
      }
      await relay(deps, { ...sealed, ...sent });
      return { kind: 'answered' };
    } finally {
      // An attempt that broke by a fault of ours says nothing about the upstream.
      attempt?.end(GIVEN_UP);
    }
  };
}

const ANSWERED: AttemptOutcome = { kind: 'answered' };
const FAILED: AttemptOutcome = { kind: 'failed' };
const GIVEN_UP: AttemptOutcome = { kind: 'given_up' };

/** A sealed call that holds, and the word of its caller about its model. */
export interface Relayed {
  readonly call: ActiveCall;
  readonly plan: SealedPlan;
  readonly request: SealedCallRequest;
  readonly word: Pick<ModelWord, 'show'>;
}

/** An answer that has begun: its first piece, and what follows. */
interface Begun {
  readonly response: UpstreamResponse;
  readonly first: Uint8Array | null;
  readonly rest: AsyncIterator<Uint8Array>;
}

/**
 * What came of sending. `nothing`: the caller left before its body was whole, so that no enclave can have worked for it. `given_up`: our own
 * deadline, a caller that left, or a body that is none, cut off an enclave that had all of it, or that had begun to answer without its end.
 */
type Sent = { readonly outcome: AttemptOutcome } & (
  | ({ readonly kind: 'begun' } & Begun)
  | { readonly kind: 'refused'; readonly refusal: { readonly code: CallFailureCode; readonly retryAfter: string | null } }
  | { readonly kind: 'passed'; readonly refusal: CallRefusal }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'given_up' }
);

const refusedBy = (outcome: AttemptOutcome, code: CallFailureCode, retryAfter: string | null = null): Sent => ({
  kind: 'refused',
  outcome,
  refusal: { code, retryAfter },
});

async function send(deps: RelaySealedDeps, { call, plan, request }: Relayed): Promise<Sent> {
  const upstream = upstreamOfSealed(plan);
  let opened: OpenUpstream;
  try {
    opened = deps.openUpstream(upstream, plan.enclaveUrl);
  } catch (error) {
    deps.log.error({ err: error, callId: call.id, upstream: upstream.id }, 'an upstream cannot be opened');
    return refusedBy(FAILED, 'upstream_failed');
  }
  const timeoutMs = upstream.timeoutMs ?? deps.limits.upstreamTimeoutMs;
  const body = makeBody(call, plan, request);
  call.wasSent = true;
  let hasBegun = false;
  try {
    const sending = opened.client.send({
      path: `/v1${request.route}`,
      dialect: dialectOf(request.kind),
      method: 'POST',
      headers: request.headers,
      body: body.whole ?? body.pieces(),
      sealed: true,
      signal: call.abort.signal,
      timeouts: { headersMs: timeoutMs, idleMs: timeoutMs },
    });
    deps.failpoints.hit('call.sent');
    const response = await sending;
    const verdict = judgeStatus(response.status);
    if (verdict.kind === 'failure') {
      response.body.cancel();
      const retryAfter = response.headers['retry-after'] ?? null;
      if (verdict.code !== 'upstream_rate_limited') return refusedBy(FAILED, verdict.code, retryAfter);
      return refusedBy({ kind: 'rate_limited', restMs: retryAfterMs(retryAfter, deps.clock.nowMs()) }, verdict.code, retryAfter);
    }
    if (verdict.kind === 'caller_error' && isPlain(response)) return await passPlain(response, opened.secrets);
    hasBegun = verdict.kind === 'answer';
    const rest = response.body[Symbol.asyncIterator]();
    const first = await rest.next();
    // No answer of these APIs is empty: the upstream broke before its first byte, whatever its status says.
    if (first.done === true && verdict.kind === 'answer') return refusedBy(FAILED, 'upstream_failed');
    return { kind: 'begun', outcome: ANSWERED, response, first: first.done === true ? null : first.value, rest };
  } catch (error) {
    const { failure } = body;
    // A body may say all that there is to say, and keep its end back, or go on for ever.
    if (hasBegun && failure !== null) return { kind: 'given_up', outcome: GIVEN_UP };
    if (failure?.error instanceof CallerLeft || (call.isUploading && call.sink.gone))
      return { kind: hasBegun ? 'given_up' : 'nothing', outcome: GIVEN_UP };
    if (failure !== null) throw failure.error;
    if (!(error instanceof UpstreamFault)) throw error;
    deps.log.warn({ err: error, callId: call.id, upstream: upstream.id }, 'an upstream failed');
    if (error.kind === 'aborted') return { kind: 'given_up', outcome: GIVEN_UP };
    return refusedBy(FAILED, error.code === 'upstream_timeout' ? 'upstream_timeout' : 'upstream_failed');
  }
}

/** An error that is neither sealed nor one of the protocol's own: whoever wrote it knows of us, and not of the caller. */
const isPlain = ({ headers }: UpstreamResponse): boolean =>
  headers[RESPONSE_NONCE_HEADER] === undefined && headers['content-type']?.startsWith('application/problem+json') !== true;

/** Passes a plain error on as those of plain calls are. */
async function passPlain(response: UpstreamResponse, secrets: readonly string[]): Promise<Sent> {
  const { status } = response;
  const error = scrubbedError(await readErrorBody(response), { status, secrets, rename: { from: '', to: '' } });
  return { kind: 'passed', outcome: ANSWERED, refusal: { kind: 'passed', status, error } };
}

/** A body on its way: all of it where it was read ahead, else that and the rest as it comes. `failure` is what reading it threw. */
interface PassingBody {
  readonly whole: Uint8Array | null;
  readonly failure: { readonly error: unknown } | null;
  pieces(): AsyncIterable<Uint8Array>;
}

function joined({ pieces, bytes }: ReadAhead): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function makeBody(call: ActiveCall, { ahead }: SealedPlan, { body }: SealedCallRequest): PassingBody {
  let failure: { readonly error: unknown } | null = null;
  call.isUploading = !ahead.isWhole;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield* ahead.pieces;
    try {
      while (call.isUploading) {
        const next = await body.next();
        if (next.done === true) call.isUploading = false;
        else yield next.value;
      }
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  const [only] = ahead.pieces;
  return {
    whole: !ahead.isWhole ? null : ahead.pieces.length === 1 && only !== undefined ? only : joined(ahead),
    get failure() {
      return failure;
    },
    pieces,
  };
}

/** Passes an answer on, and books the call at its end. */
async function relay(deps: RelaySealedDeps, at: Relayed & Begun): Promise<void> {
  const { call, plan, request, response, first, rest } = at;
  const { sink } = call;
  const isBilled = judgeStatus(response.status).kind === 'answer' && !plan.onlyCounts;
  const early = isBilled ? (response.headers[USAGE_HEADER] ?? null) : null;
  const usageTo = isBilled && wantsUsage(request) ? USAGE_ANSWER_HEADER : null;
  deps.failpoints.hit('call.first-byte');
  const headers = answerHeaders(deps, at);
  if (isBilled && response.body.isOver && (usageTo === null || early !== null)) return relayWhole(deps, at, { headers, usageTo });
  if (!isBilled) await deps.books.release(call);
  else await call.durable;
  const told = usageTo === null || early === null ? {} : usageTold(at, settle(at, early));
  sink.begin(response.status, { ...headers, ...told }, usageTo !== null && early === null ? usageTo : null);

  let isWhole = true;
  const pass = async (piece: Uint8Array): Promise<void> => {
    if (!sink.write(piece)) await waitForCaller(deps, call);
  };
  try {
    if (first !== null) await pass(first);
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) await pass(next.value);
  } catch (error) {
    if (!(error instanceof UpstreamFault)) throw error;
    isWhole = false;
    if (error.kind !== 'aborted') call.attempt?.broke();
    deps.log.warn({ err: error, callId: call.id }, 'an upstream broke off its answer');
  }
  if (!isBilled) {
    if (isWhole) sink.end([], null);
    else cut(deps, call);
    return;
  }
  deps.failpoints.hit('call.answered');
  const booked = await book(deps, at, { isCut: !isWhole });
  if (booked === null || !isWhole) return cut(deps, call);
  deps.failpoints.hit('call.settled');
  sink.end([], usageTo !== null && early === null ? { [usageTo]: booked.usageHeader } : null);
}

/** Sends an answer that came in one piece: in one piece, once it is booked. */
async function relayWhole(
  deps: RelaySealedDeps,
  at: Relayed & Begun,
  { headers, usageTo }: { readonly headers: AnswerHeaders; readonly usageTo: string | null },
): Promise<void> {
  const { call, response, first, rest } = at;
  // Its end is there already; whoever watches the upstream sees it here.
  await rest.next();
  deps.failpoints.hit('call.answered');
  const booked = await book(deps, at, { isCut: false });
  if (booked === null) return cut(deps, call);
  deps.failpoints.hit('call.settled');
  const told = usageTo === null ? headers : { ...headers, [usageTo]: booked.usageHeader };
  call.sink.send(response.status, told, first === null ? [] : [first]);
}

function answerHeaders(deps: RelaySealedDeps, { call, request, response }: Relayed & Begun): AnswerHeaders {
  const { [USAGE_HEADER]: _usage, ...passed } = response.headers;
  return {
    ...passed,
    'x-request-id': request.requestId,
    'x-castellan-call-id': call.id,
    ...rateHeaders(call.rates, { dialect: dialectOf(request.kind), nowMs: deps.clock.nowMs() }),
  };
}

/** What is due for a call by what its upstream says, if it says anything that can be read. */
const settle = ({ call, plan }: Pick<Relayed, 'call' | 'plan'>, told: string | null): SealedSettlement =>
  settleSealed(plan.prices, {
    isNamed: plan.isNamed,
    reported: told === null ? null : readUsageHeader(told),
    held: heldUsage(plan, call),
  });

/** The usage header of a call that is not booked yet: its usage and its price are known from its first line on. */
function usageTold({ call, plan }: Relayed, { candidate, usage, estimated }: SealedSettlement): AnswerHeaders {
  const counted = { candidate, usage, estimated, interrupted: false };
  const { costNanoUsd } = settlementOf({ reservationId: call.id, tenantId: call.tenantId, context: call.context }, counted);
  return { [USAGE_ANSWER_HEADER]: usageHeaderValue(usage, { model: targetOf(plan, { candidate }).model.id, costNanoUsd }) };
}

/** Books a call by the last word of its upstream: the trailer, else the header, else none. */
async function book(
  deps: RelaySealedDeps,
  { call, plan, request, word, response }: Relayed & { readonly response: UpstreamResponse | null },
  { isCut }: { readonly isCut: boolean },
): Promise<{ readonly usageHeader: string } | null> {
  const told = response?.body.trailers[USAGE_HEADER] ?? response?.headers[USAGE_HEADER] ?? null;
  const settled = settle({ call, plan }, told);
  call.candidate = settled.candidate;
  const counted: CountedUsage = { usage: settled.usage, estimated: settled.estimated };
  if (settled.mismatch === null) {
    if (plan.isNamed && !settled.estimated) word.show('true');
    else if (isCut) word.show('nothing');
    return deps.books.book(call, counted);
  }
  deps.counters.sealedMismatches += 1;
  word.show('false');
  return deps.books.book(call, counted, [mismatchTelling({ call, plan, request }, settled)]);
}

/** Tells that an enclave answered with another model than the call said, with one that nobody has declared, or without saying with which. */
const mismatchTelling = ({ call, plan, request }: Omit<Relayed, 'word'>, { candidate, mismatch }: SealedSettlement): Telling => ({
  type: 'call.model_mismatch',
  data: {
    call_id: call.id,
    key_id: request.key.id,
    upstream_id: upstreamOfSealed(plan).id,
    named_model: plan.isNamed ? plan.model.id : null,
    reported_model: mismatch?.reported ?? null,
    booked_model: targetOf(plan, { candidate }).model.id,
  },
  origin: { requestId: request.requestId, actor: { type: 'api_key', keyId: request.key.id }, source: GATEWAY_SOURCE },
});

function cut(deps: RelaySealedDeps, call: ActiveCall): void {
  if (!call.sink.gone) deps.counters.answersCut += 1;
  call.sink.cut();
}
