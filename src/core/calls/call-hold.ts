import { balanceId } from '../balance/balance-account.ts';
import type { RequestBound } from '../bounds/bound-request.ts';
import { budgetId, keyCapId, TOKENS, USD_MICROCENTS } from '../ledger/account.ts';
import type { LegRequest, OutputRange } from '../ledger/commands.ts';
import { legAmount } from '../ledger/reserve.ts';
import type { MediaUse } from '../metering/media-use.ts';
import { ONE_PER_USD } from '../pricing/currency.ts';
import { holdNanoUsd, NANOS_PER_MICROCENT, type Rates } from '../pricing/rates.ts';
import type { CallRate } from './call-context.ts';

/**
 * The accounts that a call holds on, in order of precedence: the key's token cap (every key has that account), the key's money budget,
 * then the budgets of each of the call's `scopes` in tokens and in money, the tenant's first; last the tenant's prepaid balance, where it
 * keeps one. Those that do not exist are skipped.
 *
 * A unit of output is one output token of any choice. `inputTokens` bounds the prompt; `rates` are nowhere below those of any upstream
 * that may answer, null where the model has no price (the money accounts then hold nothing, but still cover the call).
 * Source: architecture section 8, step 5.
 */
export function callLegs(call: {
  readonly tenantId: string;
  readonly keyId: string;
  readonly scopes: readonly string[];
  readonly inputTokens: number;
  readonly rates: Rates | null;
  /** The most that the call can use beside tokens; money accounts hold for it too. */
  readonly media?: MediaUse | null;
  /** By what the call takes from the tenant's balance; null or absent where it keeps none. */
  readonly rate?: CallRate | null;
}): LegRequest[] {
  const { tenantId, keyId, scopes, inputTokens, rates } = call;
  const media = call.media ?? null;
  const tokens = { base: BigInt(inputTokens), perUnit: 1n, divisor: 1n };
  const nanos = rates === null ? { base: 0n, perUnit: 0n } : holdNanoUsd(rates, { inputTokens, choices: 1, media });
  const money = { ...nanos, divisor: NANOS_PER_MICROCENT };
  return [
    { accountId: keyCapId(tenantId, keyId, TOKENS), ...tokens, required: true },
    { accountId: keyCapId(tenantId, keyId, USD_MICROCENTS), ...money, required: false },
    ...scopes.flatMap((scope) => [
      { accountId: budgetId(tenantId, scope, TOKENS), ...tokens, required: false },
      { accountId: budgetId(tenantId, scope, USD_MICROCENTS), ...money, required: false },
    ]),
    ...balanceLeg(tenantId, call.rate ?? null, nanos),
  ];
}

/** The leg on a prepaid balance: the cost by the rate, rounded up once, as its debit will be, so that no debit is above its hold. */
function balanceLeg(tenantId: string, rate: CallRate | null, nanos: Pick<LegRequest, 'base' | 'perUnit'>): LegRequest[] {
  if (rate === null) return [];
  const perUsd = BigInt(rate.perUsdNanos);
  const amounts = { base: nanos.base * perUsd, perUnit: nanos.perUnit * perUsd, divisor: NANOS_PER_MICROCENT * BigInt(ONE_PER_USD) };
  return [{ accountId: balanceId(tenantId, rate.currency), ...amounts, required: false }];
}

/** How much output a call holds for, over all of its choices. Only a limit that the caller left to us has a lower end below its upper. */
export const outputRange = (bound: Pick<RequestBound, 'choices' | 'outputPerChoice' | 'minOutputPerChoice'>): OutputRange => ({
  min: BigInt(bound.choices) * BigInt(bound.minOutputPerChoice),
  max: BigInt(bound.choices) * BigInt(bound.outputPerChoice),
});

/** The limit to send upstream for a hold that pays for `units` of output over all choices: what each choice may use. */
export const limitPerChoice = (units: bigint, choices: number): number => Number(units / BigInt(Math.max(1, choices)));

/** Tells whether a call used more than `legs` held for `units` of output: a fault of the bound, since a hold must never be too small. */
export function exceedsHold(
  legs: readonly LegRequest[],
  units: bigint,
  actuals: { readonly tokens: bigint; readonly microcents: bigint },
): boolean {
  const [tokens, money] = legs;
  return (
    (tokens !== undefined && actuals.tokens > legAmount(tokens, units)) ||
    (money !== undefined && actuals.microcents > legAmount(money, units))
  );
}
