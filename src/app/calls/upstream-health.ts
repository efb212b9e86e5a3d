import type { Upstream } from '../../core/records.ts';
import {
  beginAttempt,
  CIRCUIT_POLICY,
  CLOSED_CIRCUIT,
  endAttempt,
  GOOD_STANDING,
  standingOf,
  windowOf,
  type AttemptOutcome,
  type Circuit,
  type CircuitPolicy,
  type CircuitState,
  type Standing,
} from '../../core/routing/circuit.ts';
import type { Log } from '../../ports/log.ts';
import { isSameServer } from './upstream-pool.ts';

/** One attempt at an upstream, from before it is sent. */
export interface UpstreamAttempt {
  /** Tells what it came to; only the first time counts. `code` says why it failed, for people. */
  end(outcome: AttemptOutcome, code?: string): void;
  /** Tells that the answer that had begun broke off. */
  broke(): void;
}

/** How an upstream does, for operators. Lengths in milliseconds from now; `window` counts attempts of the last seconds. */
export interface UpstreamHealthReport {
  readonly state: CircuitState;
  readonly consecutiveFailures: number;
  readonly window: { readonly attempts: number; readonly failures: number };
  /** How often the circuit opened since this process started. */
  readonly openedCount: number;
  /** When the next call may try it; null while it may be tried. */
  readonly retryInMs: number | null;
  /** For how long it asked to be left alone; null where it did not. */
  readonly restsForMs: number | null;
  /** Its last failure, and how long ago that was. */
  readonly lastFailure: { readonly code: string; readonly agoMs: number } | null;
}

/** What this process knows of how upstreams do; other nodes know their own. */
export interface UpstreamHealth {
  standing(upstream: Upstream): Standing;
  /** Begins an attempt; null where the upstream is not to be tried now. A last resort is always allowed. */
  begin(upstream: Upstream, options: { readonly lastResort: boolean }): UpstreamAttempt | null;
  report(upstream: Upstream): UpstreamHealthReport;
}

interface Entry {
  upstream: Upstream;
  circuit: Circuit;
  openedCount: number;
  lastFailure: { readonly code: string; readonly atMs: number } | null;
}

/** Makes the {@link UpstreamHealth}. An upstream whose address or credential was changed begins anew. Changes of state are logged. */
export function makeUpstreamHealth(deps: {
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly log: Log;
  readonly policy?: CircuitPolicy;
}): UpstreamHealth {
  const { elapsedMs, log, policy = CIRCUIT_POLICY } = deps;
  const entries = new Map<string, Entry>();

  const find = (upstream: Upstream): Entry | undefined => {
    const entry = entries.get(upstream.id);
    if (entry === undefined || entry.upstream === upstream) return entry;
    if (!isSameServer(entry.upstream, upstream)) return undefined;
    entry.upstream = upstream;
    return entry;
  };

  const findOrMake = (upstream: Upstream): Entry => {
    const known = find(upstream);
    if (known !== undefined) return known;
    const entry: Entry = { upstream, circuit: CLOSED_CIRCUIT, openedCount: 0, lastFailure: null };
    entries.set(upstream.id, entry);
    return entry;
  };

  const change = (entry: Entry, next: Circuit): void => {
    const before = entry.circuit;
    entry.circuit = next;
    if (before.state === next.state) return;
    const fields = { upstream: entry.upstream.id, from: before.state, to: next.state };
    if (next.state === 'open') {
      entry.openedCount += 1;
      const retryInMs = Math.round(next.openUntilMs - elapsedMs());
      log.warn({ ...fields, code: entry.lastFailure?.code, retryInMs }, 'an upstream fails too often: its circuit is open');
    } else if (next.state === 'half_open') log.info(fields, 'an upstream is tried again by one call');
    else log.info(fields, 'an upstream is back: its circuit is closed');
  };

  return {
    standing: (upstream) => {
      const entry = find(upstream);
      return entry === undefined ? GOOD_STANDING : standingOf(entry.circuit, elapsedMs());
    },
    begin: (upstream, { lastResort }) => {
      const entry = findOrMake(upstream);
      const nowMs = elapsedMs();
      if (!lastResort && standingOf(entry.circuit, nowMs).kind === 'open') return null;
      change(entry, beginAttempt(entry.circuit, nowMs, policy));
      let { epoch } = entry.circuit;
      let hasEnded = false;
      const tell = (outcome: AttemptOutcome, code: string): void => {
        const endedAtMs = elapsedMs();
        if (outcome.kind === 'failed' || outcome.kind === 'broke') entry.lastFailure = { code, atMs: endedAtMs };
        const isOurs = epoch === entry.circuit.epoch;
        change(entry, endAttempt(entry.circuit, { epoch, outcome }, { nowMs: endedAtMs, policy }));
        // Should the answer that closed the circuit break off later, that counts in the state which it made.
        if (isOurs) epoch = entry.circuit.epoch;
      };
      return {
        end: (outcome, code = 'upstream_failed') => {
          if (hasEnded) return;
          hasEnded = true;
          tell(outcome, code);
        },
        broke: () => tell({ kind: 'broke' }, 'broke_off'),
      };
    },
    report: (upstream) => {
      const entry = find(upstream);
      if (entry === undefined) return NOTHING_KNOWN;
      const nowMs = elapsedMs();
      const { circuit, lastFailure } = entry;
      const standing = standingOf(circuit, nowMs);
      return {
        state: circuit.state,
        consecutiveFailures: circuit.consecutiveFailures,
        window: windowOf(circuit, { nowMs, policy }),
        openedCount: entry.openedCount,
        retryInMs: standing.kind === 'open' ? Math.ceil(standing.backInMs) : null,
        restsForMs: circuit.restUntilMs > nowMs ? Math.ceil(circuit.restUntilMs - nowMs) : null,
        lastFailure: lastFailure === null ? null : { code: lastFailure.code, agoMs: Math.round(nowMs - lastFailure.atMs) },
      };
    },
  };
}

const NOTHING_KNOWN: UpstreamHealthReport = {
  state: 'closed',
  consecutiveFailures: 0,
  window: { attempts: 0, failures: 0 },
  openedCount: 0,
  retryInMs: null,
  restsForMs: null,
  lastFailure: null,
};
