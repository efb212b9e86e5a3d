import type { SettleCallCommand } from '../ledger/commands.ts';
import type { TokenActuals } from '../ledger/settle-amounts.ts';
import type { MediaUse } from '../metering/media-use.ts';
import type { TokenUsage } from '../metering/token-usage.ts';
import { dueMicrocents, unitOfCurrency } from '../pricing/currency.ts';
import { chargeMicrocents, costNanoUsd } from '../pricing/rates.ts';
import type { BalanceDebit } from '../usage/usage-event.ts';
import type { CallContext, CallRate } from './call-context.ts';

/** What became of a call: which candidate answered, and what it used. `interrupted`: our process ended before the call did. */
export interface CallResult {
  readonly candidate: number;
  readonly usage: TokenUsage;
  readonly estimated: boolean;
  readonly interrupted: boolean;
  /** What it used beside tokens. */
  readonly media?: MediaUse;
}

/** What a call is charged and how it is recorded. `costNanoUsd` is null where the model had no price. */
export interface CallSettlement {
  readonly actuals: TokenActuals;
  readonly usage: NonNullable<SettleCallCommand['usage']>;
  readonly costNanoUsd: bigint | null;
}

/**
 * The settlement of the call `reservationId`, priced by the price that its upstream had when the call was held.
 *
 * The event keeps the exact cost in nano-dollars; the charge is that cost in micro-cents, rounded up once. What it takes from a prepaid
 * balance is the cost by the rate that was pinned with it, rounded up once too. Source: architecture
 * section 8, step 7. A candidate that the context does not have counts as the first one.
 */
export function settlementOf(
  call: { readonly reservationId: string; readonly tenantId: string; readonly context: CallContext },
  result: CallResult,
): CallSettlement {
  const { context } = call;
  const { usage } = result;
  const candidate = context.candidates[result.candidate] ?? context.candidates[0];
  const price = candidate?.price ?? null;
  const cost = price === null ? null : costNanoUsd(price.rates, usage, result.media ?? null);
  const microcents = cost === null ? 0n : chargeMicrocents(cost);
  const debit = context.rate === undefined ? null : balanceDebit(context.rate, cost ?? 0n);
  return {
    actuals: { tokens: BigInt(usage.totalTokens), microcents, ...(debit === null ? {} : { debit: debitActual(debit) }) },
    costNanoUsd: cost,
    usage: {
      id: call.reservationId,
      tenantId: call.tenantId,
      keyId: context.keyId,
      model: candidate?.model ?? context.model,
      upstreamId: candidate?.upstreamId ?? '',
      priceId: price?.id ?? '',
      route: context.route,
      requests: 1,
      promptTokens: usage.promptTokens,
      completionTokens: usage.completionTokens,
      cachedPromptTokens: usage.cachedPromptTokens ?? 0,
      reasoningTokens: usage.reasoningTokens ?? 0,
      ...(usage.cacheWritePromptTokens === undefined ? {} : { cacheWritePromptTokens: usage.cacheWritePromptTokens }),
      costNanoUsd: cost ?? 0n,
      chargeMicrocents: microcents,
      streaming: context.streaming,
      estimated: result.estimated,
      interrupted: result.interrupted,
      ...(result.media === undefined ? {} : { media: result.media }),
      ...(debit === null ? {} : { debit }),
    },
  };
}

/** What a cost takes from a balance by a rate. */
export const balanceDebit = ({ currency, perUsdNanos }: CallRate, costNanos: bigint): BalanceDebit => ({
  currency,
  perUsdNanos,
  microcents: dueMicrocents(costNanos, perUsdNanos),
});

/** The same as a leg is charged it. */
export const debitActual = ({ currency, microcents }: BalanceDebit): NonNullable<TokenActuals['debit']> => ({
  unit: unitOfCurrency(currency),
  amount: microcents,
});
