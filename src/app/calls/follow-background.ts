import { setTimeout as sleep } from 'node:timers/promises';
import { objectsOfResponse } from '../../core/calls/upstream-object.ts';
import { parseJson } from '../../core/json/int64.ts';
import { outputText } from '../../core/metering/output-text.ts';
import { usageFromObject } from '../../core/metering/token-usage.ts';
import type { Upstream } from '../../core/records.ts';
import type { Log } from '../../ports/log.ts';
import { UpstreamFault } from '../../ports/upstream.ts';
import type { CallLimits, CallRequest, CommandWriter, OpenUpstream } from './call-types.ts';
import { type CallPlan, targetOf } from './call-plan.ts';
import { completeCount } from './count-answer.ts';
import { wholeUsage, type CountedUsage } from './count-usage.ts';
import type { ActiveCall } from './keep-calls.ts';

/** A response as its JSON was read. */
export type ResponseObject = Readonly<Record<string, unknown>>;

/** The call whose response goes on at its upstream. */
export interface FollowedCall {
  readonly call: ActiveCall;
  readonly plan: CallPlan;
  readonly request: CallRequest;
}

/** Responses that their upstream makes in the background, after it has answered that it will. */
export interface BackgroundCalls {
  /**
   * Remembers who keeps a response that goes on, before its caller can ask for it. Throws a `Fault` where the store did not take it.
   */
  remember(followed: FollowedCall, response: ResponseObject): Promise<void>;
  /**
   * Asks the upstream again and again until the response has ended; resolves to what it used, or to null where it has no id to ask by.
   * The hold goes on meanwhile. One that is gone, that goes on for longer than six hours, or that is given up by `signal`, is counted by
   * what was seen of it; the last two are cancelled at their upstream.
   */
  follow(followed: FollowedCall, response: ResponseObject | null, signal: AbortSignal | null): Promise<CountedUsage | null>;
}

/** Statuses of a response that goes on. */
const UNDER_WAY: ReadonlySet<unknown> = new Set(['queued', 'in_progress']);
/** Between two questions, at first and in the end. */
const FIRST_POLL_MS = 500;
const SLOWEST_POLL_MS = 10_000;
const SLOWER_EACH_TIME = 1.5;
const LONGEST_MS = 6 * 60 * 60 * 1000;
const MAX_RESPONSE_BYTES = 67_108_864;

/** Whether the caller asked for a response in the background. */
export const isBackground = ({ request }: CallPlan): boolean => request.kind === 'responses' && request.body['background'] === true;

/** Whether a response will go on after the answer that told of it. */
export const isUnderWay = (response: ResponseObject): boolean => UNDER_WAY.has(response['status']) && typeof response['id'] === 'string';

/** A parsed answer as a response; null where it is no object. */
export const asResponse = (value: unknown): ResponseObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ResponseObject) : null;

interface BackgroundDeps {
  readonly open: (upstream: Upstream) => OpenUpstream;
  readonly writer: CommandWriter;
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly limits: CallLimits;
  readonly log: Log;
  /** The first wait between two questions, in milliseconds; half a second where nothing is said. */
  readonly firstPollMs?: number;
}

/** What an upstream said of a response: itself; that there is none; nothing that could be used. */
type Said = ResponseObject | 'gone' | 'nothing';

/** Makes {@link BackgroundCalls}. */
export function makeBackgroundCalls(deps: BackgroundDeps): BackgroundCalls {
  return {
    remember: async ({ call, plan }, response) => {
      const candidate = plan.candidates[call.candidate];
      if (candidate === undefined) return;
      const kept = { upstreamId: candidate.upstream.id, model: targetOf(plan, call).model.id, tokens: null };
      const objects = objectsOfResponse(response, kept);
      await deps.writer.execute({ verb: 'keep-upstream-objects', id: `${call.id}.keep`, tenantId: call.tenantId, objects });
    },
    follow: async (followed, response, signal) => {
      const id = response?.['id'];
      if (response === null || typeof id !== 'string') return null;
      const last = await lastOf(deps, followed, { id, response, signal });
      return countOf(followed, last);
    },
  };
}

/** Asks until the response has ended; gives it as it was seen last. */
async function lastOf(
  deps: BackgroundDeps,
  followed: FollowedCall,
  { id, response, signal }: { readonly id: string; readonly response: ResponseObject; readonly signal: AbortSignal | null },
): Promise<ResponseObject> {
  const { call, plan } = followed;
  const untilMs = deps.elapsedMs() + LONGEST_MS;
  let last = response;
  let waitMs = deps.firstPollMs ?? FIRST_POLL_MS;
  call.countOutput = () => countOf(followed, last).usage.completionTokens;
  while (isUnderWay(last) && deps.elapsedMs() < untilMs && (await waited(waitMs, signal))) {
    waitMs = Math.min(waitMs * SLOWER_EACH_TIME, SLOWEST_POLL_MS);
    const said = await ask(deps, followed, { method: 'GET', path: `/responses/${encodeURIComponent(id)}` });
    if (said === 'gone') return last;
    if (said !== 'nothing') last = said;
  }
  if (!isUnderWay(last)) return last;
  deps.log.warn({ callId: call.id, model: plan.model.id }, 'a response in the background is given up');
  const said = await ask(deps, followed, { method: 'POST', path: `/responses/${encodeURIComponent(id)}/cancel` });
  return typeof said === 'string' ? last : said;
}

/** Waits; false where the wait was given up. */
async function waited(ms: number, signal: AbortSignal | null): Promise<boolean> {
  try {
    await sleep(ms, undefined, { ref: false, ...(signal === null ? {} : { signal }) });
    return true;
  } catch {
    return false;
  }
}

/** One question to the upstream that makes the response. Never throws what an upstream may do: the next question may fare better. */
async function ask(
  deps: BackgroundDeps,
  { call, plan, request }: FollowedCall,
  what: { readonly method: 'GET' | 'POST'; readonly path: string },
): Promise<Said> {
  const upstream = plan.candidates[call.candidate]?.upstream;
  if (upstream === undefined) return 'nothing';
  const timeoutMs = upstream.timeoutMs ?? deps.limits.upstreamTimeoutMs;
  try {
    const answer = await deps.open(upstream).client.send({
      ...what,
      headers: { accept: 'application/json', 'openai-beta': request.headers['openai-beta'] },
      body: null,
      signal: null,
      timeouts: { headersMs: timeoutMs, idleMs: timeoutMs },
    });
    const { pieces, complete } = await answer.body.readAll(MAX_RESPONSE_BYTES);
    if (!complete) answer.body.cancel();
    if (answer.status === 404) return 'gone';
    if (answer.status < 200 || answer.status > 299 || !complete) return 'nothing';
    return asResponse(parseJson(Buffer.concat(pieces).toString('utf8'))) ?? 'nothing';
  } catch (error) {
    if (!(error instanceof UpstreamFault) && !(error instanceof SyntaxError)) throw error;
    deps.log.warn({ err: error, callId: call.id, upstream: upstream.id }, 'an upstream did not tell of a response in the background');
    return 'nothing';
  }
}

/** What a response used: as it reports, else by what was seen of it. */
function countOf({ call, plan }: FollowedCall, response: ResponseObject): CountedUsage {
  const reported = usageFromObject(response['usage']);
  const { promptTokens, tokenizer } = targetOf(plan, call);
  const counted = wholeUsage({
    kind: 'responses',
    reported,
    promptTokens,
    outputText: () => outputText(response),
    bytesSeen: 0,
    heldOutput: call.heldOutput,
    tokenizer,
  });
  return completeCount(counted, { plan, call }, { seconds: null, images: null, response });
}
