import type { Log } from '../../ports/log.ts';
import type { ActivityCount, ActivityMetric, WebhookStore } from '../../ports/webhook-store.ts';

/** Counts what tenants do, for rates. */
export interface ActivityCounter {
  count(tenantId: string, metric: ActivityMetric): void;
  /** Writes what was counted since. What cannot be written is counted on. */
  flush(): Promise<void>;
}

/** Tenants that are counted apart between two flushes; ids of tenants come from our own records, so this is never met. */
const MAX_CELLS = 100_000;

/** Makes the counter. Counting costs a look into a map; what a kill loses is what was counted since the last flush. */
export function makeActivityCounter(deps: { readonly store: Pick<WebhookStore, 'addActivity'>; readonly log: Log }): ActivityCounter {
  let cells = new Map<string, { readonly tenantId: string; readonly metric: ActivityMetric; count: number }>();
  const add = ({ tenantId, metric, count }: ActivityCount): void => {
    const key = `${metric} ${tenantId}`;
    const cell = cells.get(key);
    if (cell !== undefined) cell.count += count;
    else if (cells.size < MAX_CELLS) cells.set(key, { tenantId, metric, count });
  };
  return {
    count: (tenantId, metric) => add({ tenantId, metric, count: 1 }),
    flush: async () => {
      if (cells.size === 0) return;
      const counts = [...cells.values()];
      cells = new Map();
      try {
        await deps.store.addActivity(counts);
      } catch (err) {
        for (const each of counts) add(each);
        deps.log.warn({ err }, 'counts of activity could not be written');
      }
    },
  };
}
