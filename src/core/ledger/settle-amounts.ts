import { TOKENS, type Unit } from './account.ts';

/**
 * What a call really used: all its tokens, and its charge in USD micro-cents. `debit` is what it takes from a prepaid balance, in the
 * unit of its currency; absent where its tenant keeps none.
 */
export interface TokenActuals {
  readonly tokens: bigint;
  readonly microcents: bigint;
  readonly debit?: { readonly unit: Unit; readonly amount: bigint };
}

/** The amount that a call's leg in `unit` is charged. Every unit but TOKENS is money in micro-cents: of a balance's currency, or of USD. */
export function actualIn(unit: Unit, { tokens, microcents, debit }: TokenActuals): bigint {
  if (unit === TOKENS) return tokens;
  return debit !== undefined && debit.unit === unit ? debit.amount : microcents;
}
