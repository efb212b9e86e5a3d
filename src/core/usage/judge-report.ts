import { pinnedScopes } from '../access/subject-levels.ts';
import { callLegs } from '../calls/call-hold.ts';
import type { CallRate } from '../calls/call-context.ts';
import { balanceDebit, debitActual } from '../calls/settlement.ts';
import type { AccountId } from '../ledger/account.ts';
import { chargeMicrocents, costNanoUsd, ratesOfPrice } from '../pricing/rates.ts';
import type { ApiKey, Model, Price } from '../records.ts';
import { priceAt } from '../routing/candidates.ts';
import type { ReportedEvent } from './reported-event.ts';
import { windowAccounts, windowsOf, type BudgetRule, type WindowDemand } from '../windows/budget-rule.ts';
import { reportUsageId, type QuarantineReason, type ReportJudgement } from './usage-report.ts';

/** What is known of an event beside itself: undefined is what nobody knows. */
export interface ReportFacts {
  readonly reporterId: string;
  readonly key: ApiKey | undefined;
  readonly allowUnpriced: boolean;
  /** By what the key's tenant pays from its balance: the rate of the moment at which it happened. Null where it keeps none. */
  readonly rate: CallRate | null;
  readonly model: Model | undefined;
  readonly prices: readonly Price[];
  readonly nowMs: number;
  /** The rules of the key's tenant for windows; absent: none. */
  readonly rules?: readonly BudgetRule[] | undefined;
}

/**
 * What a reported event comes to. The key may be disabled, expired or deleted by now: what it used was used before.
 *
 * Quarantines, in this order: `unknown_key`, `unknown_meter`, `unknown_model`, `model_unpriced` (unless the tenant allows it; then it
 * costs nothing, as at the gateway). The price is the one of the moment at which it happened. Whether the reporter may speak for the
 * tenant, and whether the event is too old, is for the decision that books it.
 */
export function judgeReport(event: ReportedEvent, facts: ReportFacts): ReportJudgement {
  const { key, model } = facts;
  if (key === undefined || (key.kind !== 'inference' && key.kind !== 'management')) return quarantine('unknown_key');
  if (event.unknownMeter !== null) return quarantine('unknown_meter');
  if (model === undefined) return quarantine('unknown_model');
  const price = reportPrice(model, facts, event.occurredAtMs);
  if (price === null && !facts.allowUnpriced) return quarantine('model_unpriced');
  const cost = price === null ? 0n : costOf(event, price);
  const charge = chargeMicrocents(cost);
  const windows = windowsOfReport(key, facts, event.occurredAtMs);
  const debit = facts.rate === null ? null : balanceDebit(facts.rate, cost);
  return {
    kind: 'book',
    booking: {
      accounts: accountsOf(key, facts.rate),
      ...(windows === null ? {} : { windows }),
      actuals: {
        tokens: BigInt(event.promptTokens + event.completionTokens),
        microcents: charge,
        ...(debit === null ? {} : { debit: debitActual(debit) }),
      },
      usage: {
        id: reportUsageId({ reporterId: facts.reporterId, eventId: event.eventId }),
        tenantId: key.tenantId,
        keyId: key.id,
        model: model.id,
        upstreamId: `reporter:${facts.reporterId}`,
        priceId: price?.id ?? '',
        route: event.route,
        requests: event.requests,
        promptTokens: event.promptTokens,
        completionTokens: event.completionTokens,
        cachedPromptTokens: event.cachedPromptTokens,
        reasoningTokens: 0,
        costNanoUsd: cost,
        chargeMicrocents: charge,
        streaming: event.streaming,
        estimated: false,
        interrupted: false,
        ...(debit === null ? {} : { debit }),
      },
    },
  };
}

const quarantine = (reason: QuarantineReason): ReportJudgement => ({ kind: 'quarantine', reason });

/** The accounts that a call of the key through the gateway would hold on. */
const accountsOf = (key: ApiKey, rate: CallRate | null): AccountId[] =>
  callLegs({ tenantId: key.tenantId, keyId: key.id, scopes: pinnedScopes(key, key.tenantId), inputTokens: 0, rates: null, rate }).map(
    ({ accountId }) => accountId,
  );

/** The windows that an event may count in: those of its own moment, or of now for one from a clock that is a little ahead. */
function windowsOfReport(key: ApiKey, { rules, nowMs }: ReportFacts, occurredAtMs: number): WindowDemand | null {
  if (rules === undefined || rules.length === 0) return null;
  const caller = { keyId: key.id, memberId: key.createdBy };
  const windows = windowsOf(rules, caller);
  const moments = occurredAtMs > nowMs ? [nowMs, occurredAtMs] : [occurredAtMs];
  return { ...caller, accounts: [...new Set(moments.flatMap((atMs) => windowAccounts(key.tenantId, windows, atMs)))] };
}

/** The fee is due for each request of a customer, and not for the calls inside of one. */
function costOf(event: ReportedEvent, price: Price): bigint {
  const rates = ratesOfPrice(price);
  return costNanoUsd({ ...rates, requestNanos: rates.requestNanos * BigInt(event.requests) }, event);
}

/**
 * The price of a model for another proxy, which has upstreams of its own: the model's, else that of the first of its upstreams that has
 * one. Of the moment at which the event happened; of an event from before the first price, that one.
 */
function reportPrice(model: Model, { prices, nowMs }: ReportFacts, occurredAtMs: number): Price | null {
  for (const upstreamId of [null, ...model.upstreams.map(({ id }) => id)]) {
    const here = prices.filter((price) => price.modelId === model.id && price.upstreamId === upstreamId && price.appliesFromMs <= nowMs);
    const firstMs = Math.min(...here.map(({ appliesFromMs }) => appliesFromMs));
    if (here.length > 0) return priceAt(here, { modelId: model.id, upstreamId: upstreamId ?? '', nowMs: Math.max(occurredAtMs, firstMs) });
  }
  return null;
}
