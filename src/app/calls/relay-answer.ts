import { dialectOf } from '../../core/routing/dialects.ts';
import { JsonUsageScanner } from '../../core/metering/json-usage-scanner.ts';
import { messagesUsageFromObject } from '../../core/metering/messages-usage.ts';
import { StreamTail } from '../../core/metering/splice-metadata.ts';
import { SseUsageScanner } from '../../core/metering/sse-usage-scanner.ts';
import { estimateUsage } from '../../core/metering/token-usage.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Log } from '../../ports/log.ts';
import { UpstreamFault } from '../../ports/upstream.ts';
import type { BegunAnswer } from './ask-upstreams.ts';
import type { CallCounters } from './call-counters.ts';
import { type CallPlan, targetOf } from './call-plan.ts';
import type { AnswerHeaders, CallLimits, CallRequest } from './call-types.ts';
import { completeCount, countsNoTokens, SAW_NOTHING } from './count-answer.ts';
import { countWith, wholeUsage, type CountedUsage } from './count-usage.ts';
import { asResponse, isBackground, isUnderWay, type BackgroundCalls, type ResponseObject } from './follow-background.ts';
import { endWithMetadata, withMetadata } from './answer-metadata.ts';
import type { ActiveCall } from './keep-calls.ts';

/** Whole images, and a response with all of its output, come in one event, with the usage. */
const MAX_WHOLE_EVENT_BYTES = 33_554_432;
/** How long a stream's connection may stay open after its terminal event. */
const LINGER_MS = 2000;

/** Books the call with what it used; resolves to the value of the usage header, or null where that is not booked (yet). */
export type BookCall = (counted: CountedUsage) => Promise<{ readonly usageHeader: string } | null>;

/** What relaying one answer needs. `headers` are those to send, `usageHeader` the name under which the caller wants its usage, or null. */
export interface RelayOptions {
  readonly call: ActiveCall;
  readonly plan: CallPlan;
  readonly request: CallRequest;
  readonly answer: BegunAnswer;
  readonly headers: AnswerHeaders;
  readonly usageHeader: string | null;
  readonly book: BookCall;
}

/** Relays an answer that has begun; resolves when the call is booked (or left to the background) and the sink has had everything. */
export type RelayAnswer = (options: RelayOptions) => Promise<void>;

type RelayDeps = {
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly limits: CallLimits;
  readonly failpoints: Failpoints;
  readonly counters: CallCounters;
  readonly background: BackgroundCalls;
  readonly log: Log;
};

/**
 * Makes a {@link RelayAnswer}.
 *
 * Bytes pass untouched. The end of an answer goes out only after the call is booked durably: the whole of a small answer, the last piece
 * of a large one, the terminal event of a stream. So an answer that has ended is booked, whatever happens to the process next; an answer
 * that could not be booked is cut. A caller that goes away changes nothing but where the bytes go. Source: architecture section 8.
 */
export function makeRelayAnswer(deps: RelayDeps): RelayAnswer {
  return (options) => {
    deps.failpoints.hit('call.first-byte');
    if (options.answer.streams) return relayStream(deps, options);
    return options.answer.rest === null ? relayWhole(deps, options) : relayLarge(deps, options, options.answer.rest);
  };
}

async function relayWhole(deps: RelayDeps, options: RelayOptions): Promise<void> {
  const { call, answer } = options;
  const scanner = jsonScanner(options, Infinity);
  for (const piece of answer.gathered) scanner.push(piece);
  deps.failpoints.hit('call.answered');
  const seen = options.plan.request.kind === 'responses' ? asResponse(scanner.json()) : null;
  if (seen !== null && isBackground(options.plan) && isUnderWay(seen)) return relayBackground(deps, options, seen);
  const counted = countWhole(options, scanner, seen);
  const booked = await options.book(counted);
  if (booked === null) return cut(deps, call);
  deps.failpoints.hit('call.settled');
  const headers = options.usageHeader === null ? options.headers : { ...options.headers, [options.usageHeader]: booked.usageHeader };
  call.sink.send(
    answer.response.status,
    headers,
    withMetadata(deps, options, counted, () => scanner.json()),
  );
}

/** An upstream has answered that it will make a response: its caller has that answer, and the call goes on until the response has ended. */
async function relayBackground(deps: RelayDeps, options: RelayOptions, response: ResponseObject): Promise<void> {
  const { call, answer } = options;
  await call.durable;
  await deps.background.remember(options, response);
  call.sink.send(answer.response.status, options.headers, answer.gathered);
  const counted = await deps.background.follow(options, response, call.abort.signal);
  if (counted !== null) await options.book(counted);
}

/** The scanner of an answer that does not stream, by the rules of its API. */
const jsonScanner = ({ plan }: RelayOptions, keepBytes: number): JsonUsageScanner =>
  new JsonUsageScanner(dialectOf(plan.request.kind) === 'anthropic' ? { keepBytes, readUsage: messagesUsageFromObject } : { keepBytes });

function countWhole(
  { plan, call, answer }: RelayOptions,
  scanner: JsonUsageScanner,
  response: Readonly<Record<string, unknown>> | null,
): CountedUsage {
  // Sound, and plain texts, may look like JSON by accident.
  const isRead = !countsNoTokens(plan) || isJson(answer);
  const { model, promptTokens, tokenizer } = targetOf(plan, call);
  const counted = wholeUsage({
    kind: plan.request.kind,
    reported: isRead ? scanner.usage : null,
    promptTokens,
    outputText: () => scanner.outputText(),
    bytesSeen: scanner.bytesSeen,
    // Where the upstream was told no limit of ours, the model's own is the most that it can have given.
    heldOutput: call.softOutput ? BigInt(plan.bound.choices) * BigInt(model.maxOutputTokens) : call.heldOutput,
    tokenizer,
  });
  const seen = isRead ? { seconds: scanner.seconds, images: scanner.dataItems } : SAW_NOTHING;
  return completeCount(counted, { plan, call }, { ...seen, response: response ?? (scanner.id === null ? null : { id: scanner.id }) });
}

const isJson = ({ response }: BegunAnswer): boolean => /^application\/(?:[\w.-]+\+)?json\b/i.test(response.headers['content-type'] ?? '');

/** An answer too large to gather: its pieces pass one behind, so that the last one waits for the booking. */
async function relayLarge(deps: RelayDeps, options: RelayOptions, rest: AsyncIterator<Uint8Array, unknown>): Promise<void> {
  const { call, answer } = options;
  const { sink } = call;
  const scanner = jsonScanner(options, 0);
  let whole = true;
  let last: Uint8Array | null = null;
  await call.durable;
  sink.begin(answer.response.status, options.headers, null);
  const pass = async (piece: Uint8Array): Promise<void> => {
    scanner.push(piece);
    if (last !== null && !sink.write(last)) await waitForCaller(deps, call);
    last = piece;
  };
  try {
    for (const piece of answer.gathered) await pass(piece);
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) await pass(next.value);
  } catch (error) {
    whole = false;
    expectUpstreamFault(deps, call, error);
  }
  deps.failpoints.hit('call.answered');
  const counted = countWhole(options, scanner, null);
  const booked = await options.book(whole ? counted : { ...counted, estimated: true });
  if (booked === null || !whole) return cut(deps, call);
  deps.failpoints.hit('call.settled');
  sink.end(last === null ? [] : [last], null);
}

async function relayStream(deps: RelayDeps, options: RelayOptions): Promise<void> {
  const { call, plan, answer } = options;
  const { sink } = call;
  const scanner = new SseUsageScanner({
    hideUsage: answer.hideUsage,
    countTokens: countWith(targetOf(plan, call).tokenizer),
    dialect: dialectOf(plan.request.kind),
    ...(plan.request.kind === 'images' || plan.request.kind === 'responses' ? { maxEventBytes: MAX_WHOLE_EVENT_BYTES } : {}),
  });
  call.countOutput = () => scanner.estimatedOutputTokens();
  const { usageHeader } = options;
  await call.durable;
  sink.begin(answer.response.status, options.headers, usageHeader);

  let whole = true;
  let booking: ReturnType<BookCall> | null = null;
  let counted: CountedUsage | null = null;
  const tail = plan.routing === null ? null : new StreamTail();
  // One that goes on without its caller can be asked for as soon as its id is known.
  let isRemembered = !isBackground(plan);
  const pass = async (chunk: Uint8Array): Promise<void> => {
    const pieces = scanner.push(chunk);
    if (!isRemembered && scanner.response !== null) {
      isRemembered = true;
      await deps.background.remember(options, scanner.response);
    }
    for (const piece of tail === null ? pieces : pieces.flatMap((each) => tail.push(each)))
      if (!sink.write(piece)) await waitForCaller(deps, call);
    if (!scanner.terminal || booking !== null) return;
    // Nothing after the terminal event counts. Book while the last bytes of the connection come in, and do not wait for them for long.
    deps.failpoints.hit('call.answered');
    counted = countStream(options, scanner, true);
    booking = options.book(counted);
    // Whoever awaits it below sees the failure; until then it must not count as unhandled.
    booking.catch(() => undefined);
    call.upstreamDeadlineMs = Math.min(call.upstreamDeadlineMs, deps.elapsedMs() + LINGER_MS);
  };
  try {
    for (const chunk of answer.gathered) await pass(chunk);
    const { rest } = answer;
    if (rest !== null) for (let next = await rest.next(); next.done !== true; next = await rest.next()) await pass(next.value);
  } catch (error) {
    // What breaks after the terminal event breaks nothing.
    whole = scanner.terminal;
    expectUpstreamFault(deps, call, error, whole);
  }
  const ending = scanner.end();
  if (booking === null) deps.failpoints.hit('call.answered');
  // The upstream goes on with what it does in the background, whoever listens.
  const goesOn = booking === null && !whole && isBackground(plan);
  const followed = goesOn ? await deps.background.follow(options, scanner.response, null) : null;
  counted ??= followed ?? countStream(options, scanner, whole);
  const booked = await (booking ?? options.book(counted));
  if (booked === null || !whole) return cut(deps, call);
  deps.failpoints.hit('call.settled');
  const rest = tail === null ? ending : endWithMetadata(deps, options, { tail, ending, counted });
  sink.end(rest, usageHeader === null ? null : { [usageHeader]: booked.usageHeader });
}

/** A stream that ended counts as reported; one that was cut, or reported nothing, by what was seen of it. */
function countStream({ plan, call }: RelayOptions, scanner: SseUsageScanner, whole: boolean): CountedUsage {
  return completeCount(streamTokens({ plan, call }, scanner, whole), { plan, call }, scanner);
}

function streamTokens({ plan, call }: Pick<RelayOptions, 'plan' | 'call'>, scanner: SseUsageScanner, whole: boolean): CountedUsage {
  const { usage } = scanner;
  if (whole && usage !== null && scanner.countsOutput) return { usage, estimated: false };
  if (whole && countsNoTokens(plan)) return { usage: estimateUsage({ promptTokens: 0, completionTokens: 0 }, null), estimated: false };
  const estimate = { promptTokens: targetOf(plan, call).promptTokens, completionTokens: scanner.estimatedOutputTokens() };
  return { usage: estimateUsage(estimate, usage), estimated: true };
}

/** Waits until the caller has read what it has; one that reads nothing for as long as an upstream may be silent is cut off. */
export async function waitForCaller(deps: Pick<RelayDeps, 'elapsedMs' | 'limits'>, call: ActiveCall): Promise<void> {
  const fromMs = deps.elapsedMs();
  call.callerDeadlineMs = fromMs + deps.limits.upstreamTimeoutMs;
  await call.sink.drained();
  call.waitedMs += deps.elapsedMs() - fromMs;
  call.callerDeadlineMs = Infinity;
}

function cut(deps: RelayDeps, call: ActiveCall): void {
  if (!call.sink.gone) deps.counters.answersCut += 1;
  call.sink.cut();
}

function expectUpstreamFault(deps: RelayDeps, call: ActiveCall, error: unknown, isHarmless = false): void {
  if (!(error instanceof UpstreamFault)) throw error;
  if (error.kind !== 'aborted' && !isHarmless) call.attempt?.broke();
  deps.log.warn({ err: error, callId: call.id }, 'an upstream broke off its answer');
}
