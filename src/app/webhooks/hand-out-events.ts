import { isDelivered } from '../../core/webhooks/match-event.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Ids } from '../../ports/ids.ts';
import type { StoredEvent } from '../../ports/record-store.ts';
import type { NewDelivery, WebhookStore } from '../../ports/webhook-store.ts';
import type { Subscriptions } from './subscriptions.ts';

/** What handing out needs. `onHandedOut` is told how many events were, and how many deliveries that made. */
export interface HandOutDeps {
  readonly store: Pick<WebhookStore, 'eventsToHandOut' | 'handOut'>;
  readonly subscriptions: Pick<Subscriptions, 'refresh' | 'of'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly failpoints: Failpoints;
  readonly onHandedOut: (counts: { readonly events: number; readonly deliveries: number }) => void;
}

/** Events that one run looks at; there is another at once where there were as many. */
const EVENTS = 500;
/** Deliveries of one transaction: with an embedded store the next batch of the ledger waits for it. */
const DELIVERIES = 128;

/**
 * Makes what turns events into deliveries: one for each subscription that asks for the event. `more`: it stopped at its limit.
 *
 * Events wait in the table in which their cause has written them. An event counts as handed out when all its deliveries are there, in one
 * transaction with the last of them, so that one that was cut off goes on where it was and makes none twice. Of several nodes that try the
 * same events one succeeds.
 */
export function makeHandOutEvents(deps: HandOutDeps) {
  const { store, subscriptions, ids, failpoints } = deps;
  return async (): Promise<{ readonly more: boolean }> => {
    const events = await store.eventsToHandOut({ limit: EVENTS });
    if (events.length === 0) return { more: false };
    // After the events: what was subscribed before one of them happened is known then.
    await subscriptions.refresh();
    let seqs: number[] = [];
    let deliveries: NewDelivery[] = [];
    const write = async (): Promise<boolean> => {
      const work = { seqs, deliveries };
      [seqs, deliveries] = [[], []];
      failpoints.hit('webhook.found');
      const isMine = await store.handOut(work);
      failpoints.hit('webhook.handed-out');
      if (isMine) deps.onHandedOut({ events: work.seqs.length, deliveries: work.deliveries.length });
      return isMine;
    };
    for (const stored of events) {
      for (const webhook of subscriptions.of(stored.event.tenantId)) {
        if (!isDelivered(webhook, stored.event)) continue;
        if (deliveries.length >= DELIVERIES && !(await write())) return { more: true };
        deliveries.push(newDelivery(ids, { stored, webhookId: webhook.id, replayId: '' }));
      }
      seqs.push(stored.seq);
      if (deliveries.length >= DELIVERIES && !(await write())) return { more: true };
    }
    if (seqs.length > 0 && !(await write())) return { more: true };
    return { more: events.length === EVENTS };
  };
}

/** A delivery of an event as it begins. */
export const newDelivery = (
  ids: Pick<Ids, 'next'>,
  of: { readonly stored: StoredEvent; readonly webhookId: string; readonly replayId: string },
): NewDelivery => ({
  id: ids.next('dlv'),
  webhookId: of.webhookId,
  eventSeq: of.stored.seq,
  replayId: of.replayId,
  eventId: of.stored.event.id,
  eventType: of.stored.event.type,
  tenantId: of.stored.event.tenantId,
  traceId: of.stored.event.origin?.traceId ?? null,
  traceFlags: of.stored.event.origin?.traceFlags ?? null,
});
