import { SYSTEM_TENANT } from '../../core/records.ts';
import { RATE_METRICS, rateConfigOf, type RateMetric } from '../../core/events/rates.ts';
import type { Ids } from '../../ports/ids.ts';
import type { ActivityCount, WebhookStore } from '../../ports/webhook-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { Subscriptions } from '../webhooks/subscriptions.ts';

/** How often rates are looked at. A spike counts as over by itself when it was not seen for three looks. */
export const LOOK_EVERY_MS = 10_000;
const KEEP_MS = 3 * LOOK_EVERY_MS;
/** Fewer than these are no rate. */
const LEAST_SAMPLES = 5;

/** A share that is watched: of which tenant (null: each), over which window, and from which share on it is told. */
interface Watched {
  readonly tenantId: string | null;
  readonly windowSeconds: number;
  readonly threshold: number;
}

/**
 * Makes the look at rates: for each tenant the share of its reservations that were refused or expired, and of its credentials that were not
 * good, over the windows and thresholds of whoever subscribed, and the usual ones. Each spike is told once, when it begins.
 */
export function makeWatchRates(deps: {
  readonly store: Pick<WebhookStore, 'activitySums'>;
  readonly subscriptions: Pick<Subscriptions, 'all' | 'refresh'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
}) {
  const { store, subscriptions, writer, ids } = deps;
  /** Alerts that were raised and not cleared, as this process knows: each is said to go on, or to be over, at every look. */
  let raised = new Set<string>();

  const watchedOf = (metric: RateMetric): Watched[] => {
    const all = new Map<string, Watched>();
    const add = (watched: Watched): void => void all.set(JSON.stringify(watched), watched);
    add({ tenantId: null, ...rateConfigOf(metric, {}) });
    for (const webhook of subscriptions.all()) {
      if (webhook.status !== 'ACTIVE') continue;
      add({ tenantId: webhook.tenantId === SYSTEM_TENANT ? null : webhook.tenantId, ...rateConfigOf(metric, webhook.thresholds) });
    }
    return [...all.values()];
  };

  return async (): Promise<void> => {
    await subscriptions.refresh();
    const sums = new Map<number, ReadonlyMap<string, number>>();
    const sumsOver = async (windowSeconds: number): Promise<ReadonlyMap<string, number>> => {
      const known = sums.get(windowSeconds) ?? byKey(await store.activitySums({ windowMs: windowSeconds * 1000 }));
      sums.set(windowSeconds, known);
      return known;
    };
    const seen = new Map<string, { tenantId: string; telling: { type: string; data: Record<string, string | number> } }>();
    for (const metric of Object.keys(RATE_METRICS) as RateMetric[]) {
      const { type, part, whole } = RATE_METRICS[metric];
      for (const { tenantId: only, windowSeconds, threshold } of watchedOf(metric)) {
        const counts = await sumsOver(windowSeconds);
        for (const tenantId of only === null ? tenantsIn(counts, part) : [only]) {
          const parts = counts.get(`${part} ${tenantId}`) ?? 0;
          const of = Math.max(counts.get(`${whole} ${tenantId}`) ?? 0, parts);
          if (of < LEAST_SAMPLES || parts / of <= threshold) continue;
          const data = {
            metric,
            current_rate: Math.round((parts * 60_000_000) / windowSeconds) / 1_000_000,
            fraction: Math.round((parts / of) * 1_000_000) / 1_000_000,
            threshold_rate: threshold,
            window_seconds: windowSeconds,
            sample_count: of,
          };
          seen.set(JSON.stringify([tenantId, `${metric}:${windowSeconds}:${threshold}`]), { tenantId, telling: { type, data } });
        }
      }
    }
    for (const [key, { tenantId, telling }] of seen) {
      await writer.execute({ verb: 'set-alert', id: ids.next('cmd'), tenantId, alert: alertIn(key), telling, keepMs: KEEP_MS });
    }
    for (const key of raised) {
      if (seen.has(key)) continue;
      const [tenantId] = JSON.parse(key) as [string, string];
      await writer.execute({ verb: 'set-alert', id: ids.next('cmd'), tenantId, alert: alertIn(key), telling: null, keepMs: KEEP_MS });
    }
    raised = new Set(seen.keys());
  };
}

const alertIn = (key: string): string => (JSON.parse(key) as [string, string])[1];

const byKey = (counts: readonly ActivityCount[]): ReadonlyMap<string, number> =>
  new Map(counts.map(({ tenantId, metric, count }) => [`${metric} ${tenantId}`, count]));

const tenantsIn = (counts: ReadonlyMap<string, number>, metric: string): string[] =>
  [...counts.keys()].filter((key) => key.startsWith(`${metric} `)).map((key) => key.slice(metric.length + 1));
