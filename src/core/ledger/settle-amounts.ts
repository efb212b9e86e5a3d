import { TOKENS, type Unit } from './account.ts';

/** What a call really used: all its tokens, and its charge in USD micro-cents. */
export interface TokenActuals {
  readonly tokens: bigint;
  readonly microcents: bigint;
}

/** The amount that a call's leg in `unit` is charged. Every unit but TOKENS is money in micro-cents. */
export const actualIn = (unit: Unit, actuals: TokenActuals): bigint => (unit === TOKENS ? actuals.tokens : actuals.microcents);
