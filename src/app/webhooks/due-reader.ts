import type { DueDelivery, WebhookStore } from '../../ports/webhook-store.ts';

/** Reads what is due to subscriptions, all that are asked for at about the same time at once. */
export interface DueReader {
  /** What is due to one, in the order of the events; rejects with the store's `Fault`. */
  read(webhookId: string): Promise<readonly DueDelivery[]>;
}

interface Waiting {
  readonly webhookId: string;
  readonly resolve: (due: readonly DueDelivery[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Subscriptions of one read. */
const MAX_WEBHOOKS = 64;

/** Makes the reader. `limit` is how many are read of one subscription at most. */
export function makeDueReader(store: Pick<WebhookStore, 'dueDeliveries'>, limit: number): DueReader {
  let waiting: Waiting[] = [];
  let isReading = false;

  async function readAll(): Promise<void> {
    if (isReading) return;
    isReading = true;
    // Those that begin in the same moment go together.
    await Promise.resolve();
    while (waiting.length > 0) {
      const now = waiting.slice(0, MAX_WEBHOOKS);
      waiting = waiting.slice(MAX_WEBHOOKS);
      try {
        const due = await store.dueDeliveries({ webhookIds: now.map(({ webhookId }) => webhookId), limit });
        const byWebhook = Map.groupBy(due, ({ delivery }) => delivery.webhookId);
        for (const each of now) each.resolve(byWebhook.get(each.webhookId) ?? []);
      } catch (error) {
        for (const each of now) each.reject(error);
      }
    }
    isReading = false;
  }

  return {
    read: (webhookId) =>
      new Promise((resolve, reject) => {
        waiting.push({ webhookId, resolve, reject });
        void readAll();
      }),
  };
}
