import { USAGE_ANSWER_HEADER } from '../core/metering/usage-header.ts';
import { rateHeaders } from '../core/policy/rate-headers.ts';
import type { Tenant } from '../core/records.ts';
import { dialectOf } from '../core/routing/dialects.ts';
import type { Clock } from '../ports/clock.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { Tokenizers } from '../ports/tokenizer.ts';
import { makeAskUpstreams, wantsUsage } from './calls/ask-upstreams.ts';
import { unseenCount } from './calls/count-answer.ts';
import { makeCallBooks, type CallBooks } from './calls/book-call.ts';
import { newCallCounters, type CallCounters } from './calls/call-counters.ts';
import { type CallPlan, sentLimit, targetOf } from './calls/call-plan.ts';
import type {
  CallCatalogue,
  CallLimits,
  CallOutcome,
  CallRefusal,
  CallRequest,
  CommandWriter,
  OpenAnUpstream,
  SealedCatalogue,
} from './calls/call-types.ts';
import { makeBackgroundCalls } from './calls/follow-background.ts';
import { makeHoldCall } from './calls/hold-call.ts';
import { makeHoldSealed, MAX_PLANS_ANEW } from './calls/hold-sealed.ts';
import { makeCallKeeper, type ActiveCall, type CallKeeper } from './calls/keep-calls.ts';
import { makePlanCall } from './calls/plan-call.ts';
import { makeRelayAnswer, type BookCall } from './calls/relay-answer.ts';
import { makeRelayCount, newCount } from './calls/relay-count.ts';
import { FREE_WORD, makeModelTrust, type ModelWord } from './calls/model-trust.ts';
import { makePlanSealed } from './calls/plan-sealed.ts';
import { heldUsage, makeRelaySealed } from './calls/relay-sealed.ts';
import type { SealedCallRequest } from './calls/sealed-call.ts';
import type { CountedUsage } from './calls/count-usage.ts';
import { makeCallSettler } from './calls/settle-calls.ts';
import type { Directory } from './directory.ts';
import { makeUpstreamHealth, type UpstreamHealth } from './calls/upstream-health.ts';
import { noteAnswer } from './calls/note-answer.ts';
import { makeTakeShare, type TakeShare } from './calls/take-share.ts';
import { makeUpstreamSpeeds, type UpstreamSpeeds } from './calls/upstream-speeds.ts';

/** What calls need of the rest of the program. */
export interface RelayCallDeps {
  readonly writer: CommandWriter;
  readonly catalogue: CallCatalogue & SealedCatalogue;
  /** The connection to an upstream; the same one as long as its record is the same. */
  readonly openUpstream: OpenAnUpstream;
  /** What upstreams keep for tenants. */
  readonly records: Pick<RecordStore, 'upstreamObjects'>;
  readonly tokenizers: Tokenizers;
  /** The policies of a tenant, as they are now. */
  readonly policies: Directory['policies'];
  /** A tenant as it is in the store now, for a call that met it changed. */
  readonly currentTenant: (tenantId: string) => Promise<Tenant | undefined>;
  readonly clock: Clock;
  /** A clock that never goes back, for measuring lengths only: whatever of a call has a deadline goes by it. */
  readonly elapsedMs: () => number;
  readonly ids: Ids;
  /** A number from [0, 1), a new one each time: what draws among weighted upstreams. */
  readonly random: () => number;
  readonly failpoints: Failpoints;
  readonly log: Log;
  readonly limits: CallLimits;
  /** The most that a sealed body can have as it comes, in bytes. */
  readonly maxSealedBytes: number;
  /** How long the first wait for a response in the background is, in milliseconds; half a second where nothing is said. */
  readonly backgroundPollMs?: number;
  /** This run of the process: whose calls are left over when it is gone. */
  readonly ownerId: string;
}

/** The calls of this process. */
export interface Calls {
  /**
   * Runs one inference call from its hold to its settlement, and sends the answer to its sink.
   *
   * Resolves when the call is over. Refusals come in this order: those of the plan ({@link makePlanCall}), those of the hold (`reserve`),
   * those of the upstreams; then the sink was not used and nothing is billed. A call that only counts tokens is neither held nor billed. Throws a `Fault` where the store took no hold.
   */
  relay(request: CallRequest): Promise<CallOutcome>;
  /**
   * The same of a call whose body nobody here can read, to the upstream that it is sealed for, and to no other. Its refusals are those of its
   * plan ({@link makePlanSealed}), of the hold, and of the upstream. Throws what reading its body throws, too.
   */
  relaySealed(request: SealedCallRequest): Promise<CallOutcome>;
  readonly counters: Readonly<CallCounters>;
  /** How upstreams do, as far as the calls of this process tell. */
  readonly health: UpstreamHealth;
  /** How fast they have been, as far as the answers of this process tell and what was kept of those before. */
  readonly speeds: UpstreamSpeeds;
  /** Calls in flight, those whose caller has gone among them. */
  readonly active: number;
  /** One round of the keeper, for tests whose clock does not run by itself. */
  tick(): void;
  /** Resolves when no call is in flight and no settlement waits. */
  idle(): Promise<void>;
  /** Stops the timers; settlements that wait are given up. Calls in flight are to be awaited first, by `idle`. */
  close(): void;
}

/** Makes the {@link Calls}: the life of a call as architecture section 8 tells it. */
export function makeCalls(deps: RelayCallDeps): Calls {
  const { failpoints } = deps;
  const counters = newCallCounters();
  const keeper = makeCallKeeper(deps);
  const settler = makeCallSettler({ ...deps, counters });
  const health = makeUpstreamHealth(deps);
  const speeds = makeUpstreamSpeeds(deps);
  const planCall = makePlanCall({ ...deps, health, speeds });
  const holdCall = makeHoldCall({ ...deps, settler });
  const takeShare = makeTakeShare(deps);
  const relayCount = makeRelayCount({ ...deps, ask: makeAskUpstreams({ ...deps, open: deps.openUpstream, counters, health, takeShare }) });
  const books = makeCallBooks({ ...deps, settler, counters });
  const followCall = makeFollowCall(deps, { keeper, counters, books });
  const runCall = makeRunCall(deps, { counters, health, speeds, books, takeShare });
  const trust = makeModelTrust(deps);
  const planSealed = makePlanSealed(deps);
  const sealedDeps = { ...deps, health, takeShare, counters };
  const relaySealed = makeRelaySealed({ ...sealedDeps, books });
  const holdSealed = makeHoldSealed({ plan: planSealed, hold: holdCall });
  const relaySealedCount = makeRelaySealed({ ...sealedDeps, books: NO_BOOKS });

  const refuse = (refusal: CallRefusal): CallRefusal => {
    counters.refused += 1;
    return refusal;
  };

  /** A count of tokens is neither held nor booked. */
  const countSealed = async (request: SealedCallRequest): Promise<CallOutcome> => {
    const planned = await planSealed(request, FREE_WORD);
    if (!planned.ok) return refuse(planned.refusal);
    const call = newCount(deps.ids.next('count'), request, planned.plan);
    request.sink.onGone(() => call.abort.abort());
    return relaySealedCount({ call, plan: planned.plan, request, word: FREE_WORD });
  };

  const runSealed = async (request: SealedCallRequest, word: ModelWord): Promise<CallOutcome> => {
    const held = await holdSealed(request, word);
    if (held.kind !== 'held') return held.kind === 'left' ? { kind: 'answered' } : refuse(held.refusal);
    failpoints.hit('call.held');
    const { call, plan } = held;
    return followCall(call, {
      run: () => relaySealed({ call, plan, request, word }),
      unseen: () => ({ usage: heldUsage(plan, call), estimated: true }),
    });
  };

  return {
    counters,
    health,
    speeds,
    get active() {
      return keeper.size;
    },
    relay: async (given) => {
      counters.calls += 1;
      failpoints.hit('call.authenticated');
      let request = given;
      const planning = planCall(request);
      // Awaiting what is there already would cost each call a turn of the queue.
      let planned = planning instanceof Promise ? await planning : planning;
      if (!planned.ok) return refuse(planned.refusal);
      if (request.kind === 'count_tokens') return relayCount(request, planned.plan);
      let held = await holdCall(request, planned.plan);
      for (let again = 0; again < MAX_PLANS_ANEW && held.kind === 'stale'; again += 1) {
        request = { ...request, tenant: held.tenant };
        planned = await planCall(request);
        if (!planned.ok) return refuse(planned.refusal);
        held = await holdCall(request, planned.plan);
      }
      if (held.kind !== 'held') return refuse({ kind: 'rejected', rejection: held.rejection });
      failpoints.hit('call.held');
      const { call } = held;
      const { plan } = planned;
      const outcome = await followCall(call, {
        run: () => runCall(call, plan, request),
        unseen: () => unseenCount({ plan, call }),
      });
      failpoints.hit('call.ended');
      return outcome;
    },
    relaySealed: async (request) => {
      counters.calls += 1;
      failpoints.hit('call.authenticated');
      if (request.onlyCounts) return countSealed(request);
      const word = trust.begin(request.key.id);
      try {
        const outcome = await runSealed(request, word);
        failpoints.hit('call.ended');
        return outcome;
      } finally {
        word.end();
      }
    },
    tick: () => keeper.tick(),
    idle: async () => {
      await keeper.idle();
      await settler.idle();
    },
    close: () => {
      keeper.close();
      settler.close();
    },
  };
}

/** The books of what costs nothing. */
const NO_BOOKS: CallBooks = { book: async () => null, release: async () => undefined };

/** A refusal of an admitted call, with how its limits stand where it has any. */
const withRates = (refusal: CallRefusal, { rates }: ActiveCall): CallRefusal => (rates.length === 0 ? refusal : { rates, ...refusal });

/** How a held call runs, and what is booked for it where it breaks by a fault of ours after an upstream may have worked for it. */
interface HeldRun {
  readonly run: () => Promise<CallOutcome>;
  readonly unseen: () => CountedUsage;
}

/** Keeps a call's hold while it runs, and bounds what is done for a caller that has gone. */
function makeFollowCall(
  deps: Pick<RelayCallDeps, 'elapsedMs' | 'limits' | 'log'>,
  { keeper, counters, books }: { readonly keeper: CallKeeper; readonly counters: CallCounters; readonly books: CallBooks },
): (call: ActiveCall, held: HeldRun) => Promise<CallOutcome> {
  const { elapsedMs, limits, log } = deps;
  return async (call, { run, unseen }) => {
    const { sink } = call;
    let isOver = false;
    keeper.add(call);
    sink.onGone(() => {
      // A connection that closes with the call, or that we cut, leaves nothing behind.
      if (isOver) return;
      counters.abandoned += 1;
      call.upstreamDeadlineMs = Math.min(call.upstreamDeadlineMs, elapsedMs() + (call.isUploading ? 0 : limits.drainMs));
    });
    try {
      return await run();
    } catch (error) {
      // Our own fault, and past the reply's hijack nobody else would tell of it; but for a body that breaks a rule on its way.
      if (!call.isUploading) log.error({ err: error, callId: call.id }, 'a call failed by a fault of ours');
      call.abort.abort();
      if (sink.begun) sink.cut();
      await settleBroken(books, call, unseen);
      throw error;
    } finally {
      isOver = true;
      keeper.delete(call);
    }
  };
}

/**
 * Ends the hold of a call that broke by a fault of ours: with an estimate where an upstream may have worked for it, else with nothing.
 * Where it was settled already, or is being settled, that stands. What fails here is left to be settled when this process has ended.
 */
async function settleBroken(books: CallBooks, call: ActiveCall, unseen: () => CountedUsage): Promise<void> {
  const isSettled = await call.settling?.then(
    () => true,
    () => false,
  );
  if (isSettled === true) return;
  try {
    if (!call.wasSent || call.isUploading) return await books.release(call);
    await books.book(call, unseen());
  } catch {
    // Logged with its cause by the caller; a second fault has nothing to add.
  }
}

interface CallParts {
  readonly counters: CallCounters;
  readonly health: UpstreamHealth;
  readonly speeds: UpstreamSpeeds;
  readonly books: CallBooks;
  readonly takeShare: TakeShare;
}

type RunCall = (call: ActiveCall, plan: CallPlan, request: CallRequest) => Promise<CallOutcome>;

/** Asks the upstreams, relays what they answer, and books it. */
function makeRunCall(deps: RelayCallDeps, { counters, health, speeds, books, takeShare }: CallParts): RunCall {
  const askUpstreams = makeAskUpstreams({ ...deps, open: deps.openUpstream, health, counters, takeShare });
  const background = makeBackgroundCalls({
    ...deps,
    open: deps.openUpstream,
    ...(deps.backgroundPollMs === undefined ? {} : { firstPollMs: deps.backgroundPollMs }),
  });
  const relayAnswer = makeRelayAnswer({ ...deps, counters, background });
  return async (call, plan, request) => {
    // Nothing is sent for a caller that left while its hold was made.
    if (call.sink.gone) {
      await books.release(call);
      return { kind: 'answered' };
    }
    const answer = await askUpstreams(call, plan, request);
    if (answer.kind === 'refusal') {
      if (answer.refusal.kind === 'failed') counters.failed += 1;
      if (answer.refusal.kind === 'rejected') counters.refused += 1;
      await books.release(call);
      return withRates(answer.refusal, call);
    }
    if (answer.kind === 'given_up') {
      counters.failed += 1;
      await books.book(call, unseenCount({ plan, call }));
      return withRates({ kind: 'failed', code: answer.code, retryAfter: null }, call);
    }
    const headers: Record<string, string> = {
      ...answer.response.headers,
      'x-request-id': request.requestId,
      'x-castellan-call-id': call.id,
      ...rateHeaders(call.rates, { dialect: dialectOf(request.kind), nowMs: deps.clock.nowMs() }),
    };
    const limit = sentLimit(plan, call);
    if (limit !== null) headers['x-castellan-output-limit'] = String(limit.tokens);
    const { model } = targetOf(plan, call);
    if (model.id !== plan.model.id) {
      counters.modelFallbacks += 1;
      headers['x-castellan-model'] = model.id;
    }
    const book: BookCall = (counted) => {
      noteAnswer({ speeds, elapsedMs: deps.elapsedMs }, { call, plan, answer, counted });
      return books.book(call, counted);
    };
    const usageHeader = wantsUsage(request) ? USAGE_ANSWER_HEADER : null;
    await relayAnswer({ call, plan, request, answer, headers, usageHeader, book });
    return { kind: 'answered' };
  };
}
