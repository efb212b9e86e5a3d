import { writeCallContext, type CallContext } from '../../core/calls/call-context.ts';
import { callMinuteLimits, callRateLimit, holdTtlMs } from '../../core/calls/call-policy.ts';
import { callLegs, outputRange } from '../../core/calls/call-hold.ts';
import { Fault } from '../../core/fault.ts';
import { countedTokens } from '../../core/policy/minute-limits.ts';
import { dearest, type Rates } from '../../core/pricing/rates.ts';
import type { Rejection } from '../../core/rejection.ts';
import type { ApiKey, Tenant } from '../../core/records.ts';
import type { ReserveAnswer } from '../../core/ledger/reserve.ts';
import { windowAccounts, windowsOf, type WindowDemand } from '../../core/windows/budget-rule.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Written } from '../ledger-writer.ts';
import { releaseCommand } from './book-call.ts';
import type { CallLimits, CallRequest, CommandWriter } from './call-types.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { CallPlan } from './call-plan.ts';
import type { CallSettler } from './settle-calls.ts';

/** What holding looks at of a request. */
export type HeldRequest = Pick<CallRequest, 'requestId' | 'key' | 'tenant' | 'route' | 'sink'>;

/** How events name this part of the program. */
export const GATEWAY_SOURCE = 'castellan-gateway';

/** A call that holds, or why it may not; `stale`: its tenant, as given here, has other settings than it was planned by. */
export type Held =
  | { readonly kind: 'held'; readonly call: ActiveCall }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }
  | { readonly kind: 'stale'; readonly tenant: Tenant; readonly rejection: Rejection };

/** What holding needs. `ownerId` is this run of the process. */
export interface HoldCallDeps {
  readonly writer: CommandWriter;
  readonly settler: Pick<CallSettler, 'settleLater'>;
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly ids: Ids;
  readonly limits: CallLimits;
  readonly ownerId: string;
  readonly clock: Clock;
  /** A tenant as it is in the store now, for whoever met it changed. */
  readonly currentTenant: (tenantId: string) => Promise<Tenant | undefined>;
}

/**
 * Holds for a planned call on every account that applies, by one command: rejects as `reserve` does. Nothing is sent upstream before the
 * hold is written, and nothing to the caller before it is durable ({@link ActiveCall.durable}).
 *
 * Throws a `Fault` where the store did not take it. If nobody knows whether it did, the hold is returned behind the caller's back.
 */
export function makeHoldCall(deps: HoldCallDeps): (request: HeldRequest, plan: CallPlan) => Promise<Held> {
  const { writer, settler, elapsedMs, ids, limits } = deps;
  return async (request, plan) => {
    const { key, tenant } = request;
    const id = ids.next('call');
    const context = contextOf(request, plan);
    const { scopes } = plan;
    const ttlMs = holdTtlMs(plan.policy, limits.holdTtlMs);
    const { inputTokens, media } = plan.bound;
    const most = media === undefined ? null : { unit: media.unit, quantity: media.most };
    const legs = callLegs({
      tenantId: tenant.id,
      keyId: key.id,
      scopes,
      inputTokens,
      rates: holdRates(plan),
      media: most,
      rate: plan.rate,
    });
    const nowMs = elapsedMs();
    const minutes = callMinuteLimits(key, plan.model);
    const reserve = (holder: Tenant): Promise<Written<ReserveAnswer>> =>
      writer.write({
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
        ttlMs,
        graceMs: limits.holdGraceMs,
        maxExtensions: 0,
        ownerId: deps.ownerId,
        context: writeCallContext(context),
        limit: callRateLimit(plan.policy),
        ...(minutes.length === 0 ? {} : { rates: { limits: minutes, inputTokens } }),
        windows: windowDemand(holder, key, deps.clock.nowMs()),
        settingsAtMs: settingsAtMs(tenant),
        origin: { requestId: request.requestId, actor: { type: 'api_key', keyId: key.id }, source: GATEWAY_SOURCE },
      });
    try {
      let held = await reserve(tenant);
      for (let again = 0; again < MAX_STALE_VIEWS && !held.outcome.ok && held.outcome.rejection.code === 'stale_view'; again += 1) {
        const current = (await deps.currentTenant(tenant.id)) ?? tenant;
        if (settingsAtMs(current) !== settingsAtMs(tenant)) return { kind: 'stale', tenant: current, rejection: held.outcome.rejection };
        held = await reserve(current);
      }
      const { outcome, durable } = held;
      if (!outcome.ok) return { kind: 'rejected', rejection: outcome.rejection };
      const { rates } = outcome.value;
      const heldOutput = BigInt(outcome.value.output);
      const tokens = inputTokens + Number(heldOutput);
      const expiresAtMs = nowMs + ttlMs;
      return {
        kind: 'held',
        call: newActiveCall(request, {
          id,
          context,
          legs,
          heldOutput,
          rates,
          counted: countedTokens({ tenantId: tenant.id, limits: minutes, tokens }, rates).map((each) => ({
            ...each,
            tokens,
            candidate: null,
          })),
          softOutput: plan.softOutput,
          durable,
          nowMs,
          ttlMs,
          expiresAtMs,
        }),
      };
    } catch (error) {
      if (error instanceof Fault && error.code === 'store_unavailable') settler.settleLater(releaseCommand({ id, tenantId: tenant.id }));
      throw error;
    }
  };
}

/** How often a call is made anew whose tenant changed its rules while it was made. */
const MAX_STALE_VIEWS = 5;

const settingsAtMs = ({ projectSettings }: Tenant): number | null => projectSettings?.updatedAtMs ?? null;

/** The windows that a call of `key` has to fit into by the rules of its tenant, as far as this node knows them; null where it has none. */
function windowDemand(tenant: Tenant, key: ApiKey, nowMs: number): WindowDemand | null {
  const caller = { keyId: key.id, memberId: key.createdBy };
  const { budgetRules } = tenant;
  if (budgetRules === undefined || budgetRules.length === 0) return null;
  return { ...caller, accounts: windowAccounts(tenant.id, windowsOf(budgetRules, caller), nowMs) };
}

const contextOf = (request: HeldRequest, plan: CallPlan): CallContext => ({
  keyId: request.key.id,
  model: plan.model.id,
  route: request.route,
  streaming: plan.request.stream,
  promptTokens: plan.promptTokens,
  candidates: plan.candidates.map(({ upstream, price, target }) => ({
    upstreamId: upstream.id,
    price,
    ...(target === undefined || target.model.id === plan.model.id ? {} : { model: target.model.id }),
  })),
  ...(plan.bound.media === undefined ? {} : { media: { unit: plan.bound.media.unit, quantity: plan.bound.media.likely } }),
  ...(plan.scopes.length > 1 ? { scopePath: plan.scopes.at(-1) ?? '' } : {}),
  ...(plan.rate === null ? {} : { rate: plan.rate }),
  ...(plan.unseenOutput === undefined ? {} : { unseenOutput: plan.unseenOutput }),
});

/** The rates that price a hold: nowhere below those of any upstream that may answer; null where none has a price. */
const holdRates = (plan: CallPlan): Rates | null =>
  dearest((plan.pricedBy ?? plan.candidates).flatMap(({ price }) => (price === null ? [] : [price.rates])));

function newActiveCall(
  request: Pick<HeldRequest, 'tenant' | 'sink'>,
  hold: Pick<
    ActiveCall,
    'id' | 'context' | 'legs' | 'heldOutput' | 'rates' | 'counted' | 'softOutput' | 'durable' | 'ttlMs' | 'expiresAtMs'
  > & {
    readonly nowMs: number;
  },
): ActiveCall {
  return {
    id: hold.id,
    tenantId: request.tenant.id,
    context: hold.context,
    legs: hold.legs,
    heldOutput: hold.heldOutput,
    rates: hold.rates,
    counted: hold.counted,
    durable: hold.durable,
    softOutput: hold.softOutput,
    sink: request.sink,
    abort: new AbortController(),
    candidate: 0,
    failed: new Set(),
    startedMs: hold.nowMs,
    waitedMs: 0,
    attempt: null,
    wasSent: false,
    isUploading: false,
    countOutput: null,
    ttlMs: hold.ttlMs,
    expiresAtMs: hold.expiresAtMs,
    nextCheckpointMs: hold.nowMs,
    checkpointTokens: 0,
    keepCount: 0,
    keeping: false,
    upstreamDeadlineMs: Infinity,
    callerDeadlineMs: Infinity,
    settling: null,
  };
}
