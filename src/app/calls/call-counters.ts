/** What happened to calls since the process started. Plain counts, for metrics. */
export interface CallCounters {
  /** Calls that passed authentication. */
  calls: number;
  /** Calls that a body rule, an account, the tenant or the catalogue refused. */
  refused: number;
  /** Calls that no upstream answered. */
  failed: number;
  /** Calls whose caller went away before the end. */
  abandoned: number;
  /** Attempts beyond the first upstream. */
  retriedUpstreams: number;
  /** Calls that another model answered than the one they asked for. */
  modelFallbacks: number;
  /** Calls that used more than was held for them: the bound was wrong. */
  holdViolations: number;
  /** Calls of soft keys that used more than was held for them, which they may. */
  softOverruns: number;
  /** Calls settled after their hold had run out. */
  lateSettles: number;
  /** Calls whose usage we had to estimate. */
  estimates: number;
  /** Settlements that the store did not take at the first attempt. */
  settleRetries: number;
  /** Settlements given up; the next start settles their calls as interrupted. */
  settlesGivenUp: number;
  /** Calls that another node settled by an estimate, because it took this one for dead. */
  settledElsewhere: number;
  /** Answers cut because the call could not be booked, or the upstream broke off. */
  answersCut: number;
  /** Sealed calls whose upstream answered with another model than their caller had named, or with one that is not declared. */
  sealedMismatches: number;
}

/** Counters at zero. */
export const newCallCounters = (): CallCounters => ({
  calls: 0,
  refused: 0,
  failed: 0,
  abandoned: 0,
  retriedUpstreams: 0,
  modelFallbacks: 0,
  holdViolations: 0,
  softOverruns: 0,
  lateSettles: 0,
  estimates: 0,
  settleRetries: 0,
  settlesGivenUp: 0,
  settledElsewhere: 0,
  answersCut: 0,
  sealedMismatches: 0,
});
