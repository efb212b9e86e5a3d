import { writeCallContext, type CallContext } from '../core/calls/call-context.ts';
import { callLegs, exceedsHold, limitPerChoice, outputRange } from '../core/calls/call-hold.ts';
import { settlementOf } from '../core/calls/settlement.ts';
import type { SettleCallCommand } from '../core/ledger/commands.ts';
import { estimateUsage } from '../core/metering/token-usage.ts';
import { USAGE_ANSWER_HEADER, usageHeaderValue } from '../core/metering/usage-header.ts';
import { dearest, type Rates } from '../core/pricing/rates.ts';
import type { Upstream } from '../core/records.ts';
import { Fault } from '../core/fault.ts';
import type { Clock } from '../ports/clock.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { Tokenizers } from '../ports/tokenizer.ts';
import { makeAskUpstreams, wantsUsage, type Asked } from './calls/ask-upstreams.ts';
import { newCallCounters, type CallCounters } from './calls/call-counters.ts';
import type { CallCatalogue, CallLimits, CallOutcome, CallRequest, CommandWriter, OpenUpstream } from './calls/call-types.ts';
import type { CountedUsage } from './calls/count-usage.ts';
import { makeCallKeeper, type ActiveCall } from './calls/keep-calls.ts';
import { makePlanCall, type CallPlan } from './calls/plan-call.ts';
import { makeRelayAnswer, type BookCall } from './calls/relay-answer.ts';
import { makeCallSettler, type CallSettler } from './calls/settle-calls.ts';

/** What calls need of the rest of the program. */
export interface RelayCallDeps {
  readonly writer: CommandWriter;
  readonly catalogue: CallCatalogue;
  /** The connection to an upstream; the same one as long as its record is the same. */
  readonly openUpstream: (upstream: Upstream) => OpenUpstream;
  readonly tokenizers: Tokenizers;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly failpoints: Failpoints;
  readonly log: Log;
  readonly limits: CallLimits;
  /** This run of the process: whose calls are left over when it is gone. */
  readonly ownerId: string;
}

/** The calls of this process. */
export interface Calls {
  /**
   * Runs one inference call from its hold to its settlement, and sends the answer to its sink.
   *
   * Resolves when the call is over. Refusals come in this order: those of the plan ({@link makePlanCall}), those of the hold (`reserve`),
   * those of the upstreams; then the sink was not used and nothing is billed. Throws a `Fault` where the store took no hold.
   */
  relay(request: CallRequest): Promise<CallOutcome>;
  readonly counters: Readonly<CallCounters>;
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
  const { clock, failpoints, log, limits } = deps;
  const counters = newCallCounters();
  const keeper = makeCallKeeper(deps);
  const settler = makeCallSettler({ ...deps, counters });
  const planCall = makePlanCall(deps);
  const askUpstreams = makeAskUpstreams({ ...deps, open: deps.openUpstream, counters });
  const relayAnswer = makeRelayAnswer({ ...deps, counters });
  const holdCall = makeHoldCall(deps, settler);

  /** Books what a call used, or returns its hold. Null where that is not durable yet. */
  const book = async (call: ActiveCall, counted: CountedUsage | null): Promise<{ readonly usageHeader: string } | null> => {
    if (counted === null) return (await settler.settle(releaseCommand(call))) ? { usageHeader: '' } : null;
    const settlement = settlementOf(
      { reservationId: call.id, tenantId: call.tenantId, context: call.context },
      { ...counted, candidate: call.candidate, interrupted: false },
    );
    if (counted.estimated) counters.estimates += 1;
    if (clock.nowMs() > call.expiresAtMs + limits.holdGraceMs) counters.lateSettles += 1;
    if (exceedsHold(call.legs, call.heldOutput, settlement.actuals)) {
      counters.holdViolations += 1;
      log.error(
        { callId: call.id, model: call.context.model, tokens: Number(settlement.actuals.tokens) },
        'a call used more than its hold',
      );
    }
    const { actuals, usage, costNanoUsd } = settlement;
    const durable = await settler.settle({
      verb: 'settle-call',
      id: `${call.id}.settle`,
      tenantId: call.tenantId,
      reservationId: call.id,
      actuals,
      usage,
    });
    return durable ? { usageHeader: usageHeaderValue(counted.usage, { model: call.context.model, costNanoUsd }) } : null;
  };

  const run = async (call: ActiveCall, plan: CallPlan, request: CallRequest): Promise<CallOutcome> => {
    // Nothing was sent for a caller that left while its hold was made.
    const asked: Asked | null = call.sink.gone ? null : await askUpstreams(call, plan, request);
    if (asked === null || asked.kind === 'refusal') {
      if (asked?.refusal.kind === 'failed') counters.failed += 1;
      await book(call, null);
      return asked === null ? { kind: 'answered' } : asked.refusal;
    }
    if (asked.kind === 'given_up') {
      counters.failed += 1;
      await book(call, { usage: estimateUsage({ promptTokens: plan.promptTokens, completionTokens: 0 }, null), estimated: true });
      return { kind: 'failed', code: asked.code, retryAfter: null };
    }
    const headers: Record<string, string> = {
      ...asked.response.headers,
      'x-request-id': request.requestId,
      'x-castellan-call-id': call.id,
    };
    if (plan.bound.sendLimitAs !== null) headers['x-castellan-output-limit'] = String(limitPerChoice(call.heldOutput, plan.bound.choices));
    const bookCall: BookCall = (counted) => book(call, counted);
    await relayAnswer({
      call,
      plan,
      request,
      answer: asked,
      headers,
      usageHeader: wantsUsage(request) ? USAGE_ANSWER_HEADER : null,
      book: bookCall,
    });
    return { kind: 'answered' };
  };

  return {
    counters,
    get active() {
      return keeper.size;
    },
    relay: async (request) => {
      counters.calls += 1;
      failpoints.hit('call.authenticated');
      const planning = planCall(request);
      const planned = planning instanceof Promise ? await planning : planning;
      if (!planned.ok) {
        counters.refused += 1;
        return planned.refusal;
      }
      const held = await holdCall(request, planned.plan);
      if (held.kind !== 'held') {
        counters.refused += 1;
        return held;
      }
      failpoints.hit('call.held');
      const { call } = held;
      keeper.add(call);
      let isOver = false;
      request.sink.onGone(() => {
        // A connection that closes with the call, or that we cut, leaves nothing behind.
        if (isOver) return;
        counters.abandoned += 1;
        call.upstreamDeadlineMs = Math.min(call.upstreamDeadlineMs, clock.nowMs() + limits.drainMs);
      });
      try {
        const outcome = await run(call, planned.plan, request);
        failpoints.hit('call.ended');
        return outcome;
      } catch (error) {
        // Our own fault. What the call used is unknown here: the hold is left to be settled as interrupted once this process has ended.
        call.abort.abort();
        if (request.sink.begun) request.sink.cut();
        throw error;
      } finally {
        isOver = true;
        keeper.delete(call);
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

const releaseCommand = (call: { readonly id: string; readonly tenantId: string }): SettleCallCommand => ({
  verb: 'settle-call',
  id: `${call.id}.settle`,
  tenantId: call.tenantId,
  reservationId: call.id,
  actuals: null,
  usage: null,
});

type Held = { readonly kind: 'held'; readonly call: ActiveCall } | (CallOutcome & { readonly kind: 'rejected' });

/** Holds for a planned call on every account that applies, by one command. */
function makeHoldCall(
  deps: RelayCallDeps,
  settler: Pick<CallSettler, 'settleLater'>,
): (request: CallRequest, plan: CallPlan) => Promise<Held> {
  const { writer, clock, ids, limits } = deps;
  return async (request, plan) => {
    const { key, tenant } = request;
    const id = ids.next('call');
    const context: CallContext = {
      keyId: key.id,
      model: plan.model.id,
      route: request.route,
      streaming: plan.request.stream,
      promptTokens: plan.promptTokens,
      candidates: plan.candidates.map(({ upstream, price }) => ({ upstreamId: upstream.id, price })),
    };
    const legs = callLegs({ tenantId: tenant.id, keyId: key.id, inputTokens: plan.bound.inputTokens, rates: holdRates(plan) });
    const nowMs = clock.nowMs();
    try {
      const outcome = await writer.execute({
        verb: 'reserve',
        id: `${id}.hold`,
        tenantId: tenant.id,
        reservationId: id,
        purpose: 'call',
        legs,
        output: outputRange(plan.bound),
        mustCover: false,
        mustCoverMoney: tenant.requireBudget,
        otherUnitAccounts: [],
        overagePolicy: 'ALLOW_WITH_OVERDRAFT',
        ttlMs: limits.holdTtlMs,
        graceMs: limits.holdGraceMs,
        maxExtensions: 0,
        ownerId: deps.ownerId,
        context: writeCallContext(context),
      });
      if (!outcome.ok) return { kind: 'rejected', rejection: outcome.rejection };
      const call: ActiveCall = {
        id,
        tenantId: tenant.id,
        context,
        legs,
        heldOutput: BigInt(outcome.value.output),
        sink: request.sink,
        abort: new AbortController(),
        candidate: 0,
        countOutput: null,
        expiresAtMs: nowMs + limits.holdTtlMs,
        nextCheckpointMs: nowMs,
        checkpointTokens: 0,
        keepCount: 0,
        keeping: false,
        upstreamDeadlineMs: Infinity,
        callerDeadlineMs: Infinity,
      };
      return { kind: 'held', call };
    } catch (error) {
      // Nobody knows whether the hold was made. If it was, it must neither stay nor be charged.
      if (error instanceof Fault && error.code === 'store_unavailable') settler.settleLater(releaseCommand({ id, tenantId: tenant.id }));
      throw error;
    }
  };
}

/** The rates that price a hold: nowhere below those of any upstream that may answer; null where none has a price. */
function holdRates(plan: CallPlan): Rates | null {
  return dearest(plan.candidates.flatMap(({ price }) => (price === null ? [] : [price.rates])));
}
