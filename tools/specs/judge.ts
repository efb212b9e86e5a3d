/** Differences that are meant, and why. */
export interface Declared {
  /** The decision behind them, a sentence. */
  readonly reason: string;
  /** Each exactly as the comparison tells it. */
  readonly differences: readonly string[];
}

/** What is wrong with a table of declared differences, a line each; empty where it tells all that was found and nothing else. */
export function judge(found: readonly string[], declared: readonly Declared[]): readonly string[] {
  const told = declared.flatMap(({ differences }) => differences);
  const known = new Set(told);
  const real = new Set(found);
  const twice = told.filter((each, index) => told.indexOf(each) !== index);
  return [
    ...found.filter((each) => !known.has(each)).map((each) => `not declared: ${each}`),
    ...told.filter((each) => !real.has(each)).map((each) => `declared, but no longer so: ${each}`),
    ...twice.map((each) => `declared twice: ${each}`),
    ...declared.filter(({ reason }) => reason.trim() === '').map(({ differences }) => `declared without a reason: ${differences[0] ?? ''}`),
  ];
}
