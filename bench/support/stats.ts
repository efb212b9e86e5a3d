/** The value below which a share `p` of `ascending` lies; 0 where there is none. */
export const quantile = (ascending: readonly number[], p: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(p * ascending.length))] ?? 0;

/** The middle value of `values`, in any order. */
export const median = (values: readonly number[]): number =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );

/** Rounds to `digits` places behind the point, for printing. */
export const rounded = (value: number, digits = 2): number => Math.round(value * 10 ** digits) / 10 ** digits;
