import type { Failpoints } from '../../ports/failpoints.ts';
import type { Ids } from '../../ports/ids.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { Subscriptions } from './subscriptions.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';

/** Failures that one run tells; there is another at once where there were as many. */
const LIMIT = 100;

/**
 * Makes what tells of deliveries that have failed for good, and disables subscriptions that fail too often. That a failure is to be told
 * stands in its row, and that it was told with the event, so that each is told once whoever is killed meanwhile, and on any number of nodes.
 */
export function makeTellFailures(deps: {
  readonly store: Pick<WebhookStore, 'untoldFailures' | 'markTold'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly subscriptions: Pick<Subscriptions, 'get'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly failpoints: Failpoints;
  readonly onDisabled: () => void;
}) {
  const { store, writer, subscriptions, ids } = deps;
  return async (): Promise<{ readonly more: boolean }> => {
    const untold = await store.untoldFailures({ limit: LIMIT });
    for (const { delivery, failures, epoch } of untold) {
      const webhook = await subscriptions.get(delivery.webhookId);
      const outcome = await writer.execute({
        verb: 'tell-delivery-failure',
        id: ids.next('cmd'),
        // Of a subscription that is gone only the operator is told.
        tenantId: webhook?.tenantId ?? SYSTEM_TENANT,
        webhookId: delivery.webhookId,
        epoch,
        failures,
        delivery: {
          id: delivery.id,
          eventId: delivery.eventId,
          eventType: delivery.eventType,
          attempts: delivery.attempts,
          responseStatus: delivery.responseStatus,
          error: delivery.error,
        },
      });
      if (outcome.ok && outcome.value.isDisabled) deps.onDisabled();
    }
    if (untold.length > 0) deps.failpoints.hit('webhook.told');
    if (untold.length > 0) await store.markTold(untold.map(({ delivery }) => delivery));
    return { more: untold.length === LIMIT };
  };
}
