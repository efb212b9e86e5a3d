/**
 * The circuit breaker of one upstream: a pure state machine over its attempts. All moments are milliseconds of a clock that never goes back.
 *
 * `closed`: calls go to it. `open`: it failed too often, and nothing is sent to it until its cool-down is over, unless every upstream of a
 * model is open. `half_open`: one call at a time tries whether it is back; the first answer closes the circuit, a failure opens it for
 * twice as long as before.
 */

/** When a circuit opens and for how long. Counts are attempts; lengths are milliseconds. */
export interface CircuitPolicy {
  /** So many failures one after another open it. */
  readonly consecutiveFailures: number;
  /** So do failures of at least that share, in percent, of at least so many attempts in the window. */
  readonly failurePercent: number;
  readonly leastAttempts: number;
  /** Half the window: counts of the current half and of the one before are taken together. */
  readonly halfWindowMs: number;
  readonly firstCoolDownMs: number;
  readonly maxCoolDownMs: number;
  /** A probe that has not ended after this no longer keeps another from being made. */
  readonly maxProbeMs: number;
  /** How long an upstream that answers 429 is asked after the others, where it does not say how long; and the longest it may say. */
  readonly restMs: number;
  readonly maxRestMs: number;
}

/** The policy of every upstream. */
export const CIRCUIT_POLICY: CircuitPolicy = {
  consecutiveFailures: 5,
  failurePercent: 50,
  leastAttempts: 20,
  halfWindowMs: 10_000,
  firstCoolDownMs: 5000,
  maxCoolDownMs: 60_000,
  maxProbeMs: 60_000,
  restMs: 1000,
  maxRestMs: 60_000,
};

/** The states of a circuit. */
export type CircuitState = 'closed' | 'open' | 'half_open';

/** What is known of one upstream. `epoch` grows with every change of state. */
export interface Circuit {
  readonly state: CircuitState;
  readonly epoch: number;
  readonly consecutiveFailures: number;
  readonly windowStartMs: number;
  readonly attempts: number;
  readonly failures: number;
  readonly attemptsBefore: number;
  readonly failuresBefore: number;
  /** How often it opened since it was last closed. */
  readonly openings: number;
  readonly openUntilMs: number;
  /** While a probe is under way: when it counts as lost. */
  readonly probeUntilMs: number;
  readonly restUntilMs: number;
}

/** A circuit that nothing is known of yet. */
export const CLOSED_CIRCUIT: Circuit = {
  state: 'closed',
  epoch: 0,
  consecutiveFailures: 0,
  windowStartMs: 0,
  attempts: 0,
  failures: 0,
  attemptsBefore: 0,
  failuresBefore: 0,
  openings: 0,
  openUntilMs: -Infinity,
  probeUntilMs: -Infinity,
  restUntilMs: -Infinity,
};

/**
 * How an upstream stands: `good` may be tried (also as the one probe of a circuit whose cool-down is over), `resting` asked us to wait,
 * `open` is not tried while another may be. `backInMs` is how long that lasts at most, 0 for `good`.
 */
export interface Standing {
  readonly kind: 'good' | 'resting' | 'open';
  readonly backInMs: number;
}

/** The standing of an upstream of which nothing bad is known. */
export const GOOD_STANDING: Standing = { kind: 'good', backInMs: 0 };

/** How an upstream stands at `nowMs`. */
export function standingOf(circuit: Circuit, nowMs: number): Standing {
  const { state } = circuit;
  if (state === 'open' && nowMs < circuit.openUntilMs) return { kind: 'open', backInMs: circuit.openUntilMs - nowMs };
  if (state === 'half_open' && nowMs < circuit.probeUntilMs) return { kind: 'open', backInMs: circuit.probeUntilMs - nowMs };
  if (nowMs < circuit.restUntilMs) return { kind: 'resting', backInMs: circuit.restUntilMs - nowMs };
  return GOOD_STANDING;
}

/**
 * The circuit once an attempt has begun, which is to be allowed by {@link standingOf} or made as a last resort. After the cool-down it
 * is the probe, and keeps others from being one.
 */
export function beginAttempt(circuit: Circuit, nowMs: number, policy: CircuitPolicy): Circuit {
  const coolDownIsOver = circuit.state === 'open' && nowMs >= circuit.openUntilMs;
  const probeIsLost = circuit.state === 'half_open' && nowMs >= circuit.probeUntilMs;
  if (!coolDownIsOver && !probeIsLost) return circuit;
  return { ...circuit, state: 'half_open', epoch: circuit.epoch + 1, probeUntilMs: nowMs + policy.maxProbeMs };
}

/**
 * What an attempt came to. `answered`: an answer began, or the upstream found the caller's own fault: it is alive. `rate_limited`: it is
 * alive and wants to be left alone for `restMs` (null: it does not say). `failed`: no connection, a broken one, a time limit, a status that
 * tells of a fault there or of our own credential. `broke`: an answer that had begun broke off. `given_up`: we ended it ourselves.
 */
export type AttemptOutcome =
  | { readonly kind: 'answered' | 'failed' | 'broke' | 'given_up' }
  | { readonly kind: 'rate_limited'; readonly restMs: number | null };

/**
 * The circuit once an attempt that began in `epoch` has ended.
 *
 * An attempt from before the last change of state changes nothing: that a call which began long ago ends well does not mean that the
 * upstream is back. One made as a last resort while the circuit was open closes it where it is answered.
 */
export function endAttempt(
  circuit: Circuit,
  attempt: { readonly epoch: number; readonly outcome: AttemptOutcome },
  at: { readonly nowMs: number; readonly policy: CircuitPolicy },
): Circuit {
  if (attempt.epoch !== circuit.epoch) return circuit;
  const { outcome } = attempt;
  switch (outcome.kind) {
    case 'answered':
      return circuit.state === 'closed' ? counted(circuit, at, { attempts: 1, failed: false }) : closed(circuit, at.nowMs);
    case 'rate_limited': {
      const { restMs, maxRestMs } = at.policy;
      const alive = circuit.state === 'closed' ? { ...circuit, consecutiveFailures: 0 } : closed(circuit, at.nowMs);
      return { ...alive, restUntilMs: at.nowMs + Math.min(Math.max(outcome.restMs ?? restMs, restMs), maxRestMs) };
    }
    case 'failed':
    case 'broke': {
      if (circuit.state === 'half_open') return opened(circuit, at);
      if (circuit.state === 'open') return circuit;
      // An attempt whose answer broke was counted when it began.
      const after = counted(circuit, at, { attempts: outcome.kind === 'failed' ? 1 : 0, failed: true });
      return isTooMuch(after, at.policy) ? opened(after, at) : after;
    }
    case 'given_up':
      // A probe that we ended ourselves proved nothing: the next call makes another.
      return circuit.state === 'half_open' ? { ...circuit, probeUntilMs: -Infinity } : circuit;
  }
}

type At = { readonly nowMs: number; readonly policy: CircuitPolicy };

/** Adds to the counts, of the half of the window that `nowMs` lies in. */
function counted(circuit: Circuit, { nowMs, policy }: At, add: { readonly attempts: number; readonly failed: boolean }): Circuit {
  const halves = Math.floor((nowMs - circuit.windowStartMs) / policy.halfWindowMs);
  const attemptsBefore = halves === 0 ? circuit.attemptsBefore : halves === 1 ? circuit.attempts : 0;
  const failuresBefore = halves === 0 ? circuit.failuresBefore : halves === 1 ? circuit.failures : 0;
  return {
    ...circuit,
    consecutiveFailures: add.failed ? circuit.consecutiveFailures + 1 : 0,
    windowStartMs: circuit.windowStartMs + halves * policy.halfWindowMs,
    attempts: (halves === 0 ? circuit.attempts : 0) + add.attempts,
    failures: (halves === 0 ? circuit.failures : 0) + (add.failed ? 1 : 0),
    attemptsBefore,
    failuresBefore,
  };
}

/** The counts of the window as of `nowMs`. */
export function windowOf(circuit: Circuit, at: At): { readonly attempts: number; readonly failures: number } {
  const halves = Math.floor((at.nowMs - circuit.windowStartMs) / at.policy.halfWindowMs);
  if (halves > 1) return { attempts: 0, failures: 0 };
  if (halves === 1) return { attempts: circuit.attempts, failures: circuit.failures };
  return { attempts: circuit.attempts + circuit.attemptsBefore, failures: circuit.failures + circuit.failuresBefore };
}

function isTooMuch(circuit: Circuit, policy: CircuitPolicy): boolean {
  if (circuit.consecutiveFailures >= policy.consecutiveFailures) return true;
  const attempts = circuit.attempts + circuit.attemptsBefore;
  const failures = circuit.failures + circuit.failuresBefore;
  return attempts >= policy.leastAttempts && failures * 100 >= attempts * policy.failurePercent;
}

function opened(circuit: Circuit, { nowMs, policy }: At): Circuit {
  const coolDownMs = Math.min(policy.firstCoolDownMs * 2 ** Math.min(circuit.openings, 30), policy.maxCoolDownMs);
  const { consecutiveFailures } = circuit;
  return {
    ...CLOSED_CIRCUIT,
    state: 'open',
    epoch: circuit.epoch + 1,
    consecutiveFailures: circuit.state === 'half_open' ? consecutiveFailures + 1 : consecutiveFailures,
    openings: circuit.openings + 1,
    openUntilMs: nowMs + coolDownMs,
    restUntilMs: circuit.restUntilMs,
  };
}

const closed = (circuit: Circuit, nowMs: number): Circuit => ({
  ...CLOSED_CIRCUIT,
  epoch: circuit.epoch + 1,
  windowStartMs: nowMs,
  attempts: 1,
  restUntilMs: circuit.restUntilMs,
});
