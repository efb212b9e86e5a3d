/** The units of Cycles budgets. A reservation is in exactly one of them. Source: Cycles protocol, `UnitEnum`. */
export const CYCLES_UNITS = ['USD_MICROCENTS', 'TOKENS', 'CREDITS', 'RISK_POINTS'] as const;

/** A unit of a Cycles budget. */
export type CyclesUnit = (typeof CYCLES_UNITS)[number];

/** Whether `text` is a unit of Cycles budgets, in these very letters. */
export const isCyclesUnit = (text: string): text is CyclesUnit => CYCLES_UNITS.some((unit) => unit === text);
