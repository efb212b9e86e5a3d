/** How often the soak runs what a build runs once: a whole number in the environment, else once. */
export const runsOf = (runs: number): number => runs * Math.max(1, Math.trunc(Number(process.env['LEDGER_PROPERTY_FACTOR'] ?? 1)));

/** The seed that the environment gives in `TEST_SEED`, else a new one; it is printed with every run. */
export const seedOf = (): number => Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000_000);
