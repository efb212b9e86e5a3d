/** Largest amount that an account, entry or leg can hold. Source: Cycles protocol, `Amount` is int64. */
export const INT64_MAX = 9_223_372_036_854_775_807n;

/** Smallest amount that an account, entry or leg can hold. */
export const INT64_MIN = -9_223_372_036_854_775_808n;

/** Tells whether `value` fits into a signed 64-bit integer, which is what both stores keep. */
export const isInt64 = (value: bigint): boolean => value >= INT64_MIN && value <= INT64_MAX;

/** Divides and rounds up. `dividend` must not be negative and `divisor` must be positive. */
export const ceilDiv = (dividend: bigint, divisor: bigint): bigint => (dividend + divisor - 1n) / divisor;
