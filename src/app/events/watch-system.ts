import { SYSTEM_TENANT } from '../../core/records.ts';
import { formatRfc3339 } from '../../core/rfc3339.ts';
import type { Ids } from '../../ports/ids.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** Commands within a look that are enough to speak of a 99th percentile. */
const LEAST_SAMPLES = 100;
/** A store that takes longer for one command in a hundred is too slow: from here on callers notice. */
const HIGH_LATENCY_MS = 1000;
const LATENCY_KEEP_MS = 180_000;
/** Lengths that are kept between two looks: enough for a percentile, however many there were. */
const MAX_SAMPLES = 10_000;

/** Watches how long commands take. */
export interface LatencyWatch {
  readonly note: (tookMs: number) => void;
  /** Looks at what was noted since the look before, and tells of a latency that is too high, once while it lasts. */
  readonly look: () => Promise<void>;
}

/** Makes the watch. Source: Cycles governance, `system.high_latency`. */
export function makeLatencyWatch(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly nodeId: string;
}): LatencyWatch {
  let samples: number[] = [];
  let count = 0;
  let isHigh = false;
  return {
    note: (tookMs) => {
      count += 1;
      if (samples.length < MAX_SAMPLES) samples.push(tookMs);
      // A ring: later ones take the places of the oldest.
      else samples[count % MAX_SAMPLES] = tookMs;
    },
    look: async () => {
      const sorted = samples.toSorted((a, b) => a - b);
      samples = [];
      count = 0;
      if (sorted.length < LEAST_SAMPLES && !isHigh) return;
      const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
      const wasHigh = isHigh;
      isHigh = sorted.length >= LEAST_SAMPLES && p99 > HIGH_LATENCY_MS;
      if (!isHigh && !wasHigh) return;
      const telling = {
        type: 'system.high_latency',
        data: {
          component: 'store',
          message: `one command in a hundred took more than ${HIGH_LATENCY_MS} ms`,
          severity: 'warning',
          details: { p99_ms: Math.round(p99), threshold_ms: HIGH_LATENCY_MS, sample_count: sorted.length, node: deps.nodeId },
        },
      };
      await deps.writer.execute({
        verb: 'set-alert',
        id: deps.ids.next('cmd'),
        tenantId: SYSTEM_TENANT,
        alert: `high_latency:${deps.nodeId}`,
        telling: isHigh ? telling : null,
        keepMs: LATENCY_KEEP_MS,
      });
    },
  };
}

/**
 * Makes the watch of the connection to the store: a look each second. While it is lost nothing can be written, so both that and when it was
 * lost are told when it is back. Source: Cycles governance, `system.store_connection_lost` and `_restored`.
 */
export function makeStoreWatch(deps: {
  readonly isConnected: () => boolean;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly nowMs: () => number;
  readonly nodeId: string;
}) {
  let lostAtMs: number | null = null;
  return async (): Promise<void> => {
    if (!deps.isConnected()) {
      lostAtMs ??= deps.nowMs();
      return;
    }
    if (lostAtMs === null) return;
    const details = { node: deps.nodeId, lost_at: formatRfc3339(lostAtMs), lost_for_ms: deps.nowMs() - lostAtMs };
    const tell = (type: string, message: string, severity: string) => ({ type, data: { component: 'store', message, severity, details } });
    await deps.writer.execute({
      verb: 'tell-events',
      id: deps.ids.next('cmd'),
      tenantId: SYSTEM_TENANT,
      tellings: [
        tell('system.store_connection_lost', 'the database could not be reached', 'critical'),
        tell('system.store_connection_restored', 'the database can be reached again', 'info'),
      ],
    });
    lostAtMs = null;
  };
}
