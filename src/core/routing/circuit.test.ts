import { describe, expect, test } from 'vitest';
import {
  beginAttempt,
  CIRCUIT_POLICY,
  CLOSED_CIRCUIT,
  endAttempt,
  standingOf,
  windowOf,
  type AttemptOutcome,
  type Circuit,
} from './circuit.ts';

const policy = CIRCUIT_POLICY;
const FAILED: AttemptOutcome = { kind: 'failed' };
const ANSWERED: AttemptOutcome = { kind: 'answered' };
const BROKE: AttemptOutcome = { kind: 'broke' };
const GIVEN_UP: AttemptOutcome = { kind: 'given_up' };
const LIMITED: AttemptOutcome = { kind: 'rate_limited', restMs: null };
const START_MS = 1_000_000;

/** Whole attempts one after another, `everyMs` apart, the first at `fromMs`. */
function attempts(circuit: Circuit, outcomes: readonly AttemptOutcome[], fromMs = START_MS, everyMs = 1): Circuit {
  return outcomes.reduce((before, outcome, index) => {
    const nowMs = fromMs + index * everyMs;
    const begun = beginAttempt(before, nowMs, policy);
    return endAttempt(begun, { epoch: begun.epoch, outcome }, { nowMs, policy });
  }, circuit);
}

const times = (count: number, ...outcomes: AttemptOutcome[]): AttemptOutcome[] => Array.from({ length: count }, () => outcomes).flat();

const OPEN = attempts(CLOSED_CIRCUIT, times(5, FAILED));
const OPENED_MS = START_MS + 4;
const BACK_MS = OPENED_MS + policy.firstCoolDownMs;

describe('a closed circuit', () => {
  test.each<[string, AttemptOutcome[], string]>([
    ['stays closed by four failures in a row', times(4, FAILED), 'closed'],
    ['opens by five failures in a row', times(5, FAILED), 'open'],
    ['stays closed where an answer came between', [...times(4, FAILED), ANSWERED, ...times(4, FAILED)], 'closed'],
    ['stays closed where a 429 came between, which tells that it is alive', [...times(4, FAILED), LIMITED, ...times(4, FAILED)], 'closed'],
    ['is not moved by attempts that we gave up', times(100, GIVEN_UP), 'closed'],
    ['is not opened by any number of 429', times(100, LIMITED), 'closed'],
    ["is not opened by answers, the caller's own faults among them", times(100, ANSWERED), 'closed'],
    ['stays closed by half of too few attempts', times(9, FAILED, ANSWERED), 'closed'],
    ['opens by half of enough attempts', times(10, ANSWERED, FAILED), 'open'],
    ['stays closed by less than half', times(30, FAILED, ANSWERED, ANSWERED), 'closed'],
    ['opens by answers that begin and break off', times(20, ANSWERED, BROKE), 'open'],
  ])('%s', (_name, outcomes, state) => {
    expect(attempts(CLOSED_CIRCUIT, outcomes).state).toBe(state);
  });

  test('forgets failures that lie more than a window back', () => {
    const once = attempts(CLOSED_CIRCUIT, times(9, FAILED, ANSWERED));
    expect(windowOf(once, { nowMs: START_MS + 20, policy })).toEqual({ attempts: 18, failures: 9 });
    const laterMs = START_MS + 3 * policy.halfWindowMs;
    expect(windowOf(once, { nowMs: laterMs, policy })).toEqual({ attempts: 0, failures: 0 });
    expect(attempts(once, [FAILED, ANSWERED, FAILED], laterMs).state).toBe('closed');
    expect(attempts(once, [FAILED, ANSWERED, FAILED], START_MS + 40).state).toBe('open');
  });

  test('takes the half before the present one into account', () => {
    const first = attempts(CLOSED_CIRCUIT, times(9, FAILED, ANSWERED));
    const nextHalfMs = START_MS + policy.halfWindowMs;
    expect(windowOf(first, { nowMs: nextHalfMs, policy })).toEqual({ attempts: 18, failures: 9 });
    expect(attempts(first, [FAILED, ANSWERED, FAILED], nextHalfMs).state).toBe('open');
  });
});

describe('an open circuit', () => {
  test('is not to be tried until its cool-down is over', () => {
    expect(standingOf(OPEN, OPENED_MS)).toEqual({ kind: 'open', backInMs: policy.firstCoolDownMs });
    expect(standingOf(OPEN, BACK_MS - 1)).toEqual({ kind: 'open', backInMs: 1 });
    expect(standingOf(OPEN, BACK_MS).kind).toBe('good');
  });

  test('lets one probe through then, and no second beside it', () => {
    const probing = beginAttempt(OPEN, BACK_MS, policy);
    expect(probing.state).toBe('half_open');
    expect(standingOf(probing, BACK_MS).kind).toBe('open');
    expect(beginAttempt(probing, BACK_MS + 1, policy)).toBe(probing);
  });

  test('takes another probe where the first one is lost', () => {
    const probing = beginAttempt(OPEN, BACK_MS, policy);
    const lostMs = BACK_MS + policy.maxProbeMs;
    expect(standingOf(probing, lostMs).kind).toBe('good');
    const again = beginAttempt(probing, lostMs, policy);
    expect(standingOf(again, lostMs).kind).toBe('open');
    expect(endAttempt(again, { epoch: probing.epoch, outcome: FAILED }, { nowMs: lostMs, policy })).toBe(again);
  });

  test.each([ANSWERED, LIMITED])('is closed by a probe that is %j', (outcome) => {
    expect(attempts(OPEN, [outcome], BACK_MS)).toMatchObject({ state: 'closed', openings: 0, consecutiveFailures: 0 });
  });

  test('lets the next call probe where the probe was given up', () => {
    const after = attempts(OPEN, [GIVEN_UP], BACK_MS);
    expect(standingOf(after, BACK_MS).kind).toBe('good');
    expect(after.state).toBe('half_open');
  });

  test('opens for twice as long after each probe that fails, up to the most', () => {
    const lengths: number[] = [];
    let circuit = OPEN;
    let nowMs = BACK_MS;
    for (let probe = 0; probe < 6; probe++) {
      circuit = attempts(circuit, [FAILED], nowMs);
      expect(circuit.state).toBe('open');
      lengths.push(circuit.openUntilMs - nowMs);
      nowMs = circuit.openUntilMs;
    }
    expect(lengths).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
    const closed = attempts(circuit, [ANSWERED], nowMs);
    expect(attempts(closed, times(5, FAILED), nowMs).openUntilMs - nowMs - 4).toBe(policy.firstCoolDownMs);
  });

  test('is not moved by attempts from before it opened', () => {
    const before = { epoch: CLOSED_CIRCUIT.epoch };
    for (const outcome of [ANSWERED, FAILED, LIMITED, BROKE]) {
      expect(endAttempt(OPEN, { ...before, outcome }, { nowMs: OPENED_MS, policy })).toBe(OPEN);
    }
  });

  test('is closed by a last resort that is answered, and stays as it is by one that fails', () => {
    expect(attempts(OPEN, [ANSWERED], OPENED_MS + 1).state).toBe('closed');
    expect(attempts(OPEN, [FAILED], OPENED_MS + 1)).toBe(OPEN);
  });
});

describe('a 429', () => {
  test.each([
    [null, 1000],
    [0, 1000],
    [17_000, 17_000],
    [3_600_000, 60_000],
  ])('that asks for %j ms is followed by a rest of %i ms', (restMs, expected) => {
    const resting = attempts(CLOSED_CIRCUIT, [{ kind: 'rate_limited', restMs }]);
    expect(standingOf(resting, START_MS)).toEqual({ kind: 'resting', backInMs: expected });
    expect(standingOf(resting, START_MS + expected).kind).toBe('good');
  });
});
