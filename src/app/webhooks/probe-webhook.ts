import type { DomainEvent } from '../../core/effects.ts';
import type { Webhook } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import { originOf, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { newDelivery } from './hand-out-events.ts';
import type { SendEvent } from './send-event.ts';
import type { Subscriptions } from './subscriptions.ts';

/** What a test of a subscription came to. Lengths in milliseconds. */
export interface ProbeResult {
  readonly success: boolean;
  readonly eventId: string;
  readonly responseStatus: number | null;
  readonly responseTimeMs: number | null;
  readonly error: string | null;
}

/** Refuses what a closed tenant owns: `tenant_closed`; null where it is not closed. */
export async function refuseClosedOwner(records: Pick<RecordStore, 'record'>, webhook: Webhook): Promise<Outcome<never> | null> {
  const tenant = await records.record('tenant', webhook.tenantId);
  if (tenant?.status !== 'CLOSED') return null;
  return rejected({ code: 'tenant_closed', message: `the tenant ${webhook.tenantId} is closed` });
}

/**
 * Makes the test of a subscription: sends it an event made for that, whatever its state and its selectors, and waits for the answer. It
 * counts towards nothing. The event and its delivery are kept; no other subscription is sent the event.
 *
 * Rejects: `tenant_closed`. Source: Cycles governance, `testWebhookSubscription`.
 */
export function makeProbeWebhook(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record'>;
  readonly store: Pick<WebhookStore, 'event' | 'addEnded'>;
  readonly subscriptions: Pick<Subscriptions, 'refresh'>;
  readonly send: SendEvent;
  readonly ids: Pick<Ids, 'next'>;
}) {
  const { writer, records, store, send, ids } = deps;
  return async (actor: Actor, webhook: Webhook): Promise<Outcome<ProbeResult>> => {
    const closed = await refuseClosedOwner(records, webhook);
    if (closed !== null) return closed;
    const id = ids.next('cmd');
    const told = await writer.execute({
      verb: 'tell-events',
      id,
      tenantId: webhook.tenantId,
      tellings: [
        {
          type: 'system.webhook_test',
          origin: originOf({ ...actor, correlationId: `webhook_test:${webhook.id}:${actor.requestId}` }),
          data: {
            component: 'webhook_dispatcher',
            message: 'A test event, sent because somebody asked for it.',
            severity: 'info',
            details: { subscription_id: webhook.id },
          },
        },
      ],
    });
    if (!told.ok) return told;
    const stored = await store.event(`evt_${id}_1`);
    if (stored === undefined) throw new Error(`the test event of ${id} was not kept`);
    const event: DomainEvent = stored.event;
    // Another node may have changed where webhooks may lead a moment ago.
    await deps.subscriptions.refresh();
    const outcome = await send(webhook, event, actor.requestId);
    const success = outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300;
    const result: ProbeResult = {
      success,
      eventId: event.id,
      responseStatus: outcome.kind === 'answered' ? outcome.status : null,
      responseTimeMs: outcome.responseTimeMs,
      error: success ? null : outcome.kind === 'failed' ? outcome.error : `answered ${outcome.status}`,
    };
    await store.addEnded({
      delivery: newDelivery(ids, { stored, webhookId: webhook.id, replayId: '' }),
      status: success ? 'SUCCESS' : 'FAILED',
      responseStatus: result.responseStatus,
      responseTimeMs: result.responseTimeMs,
      error: result.error,
    });
    return accepted(result);
  };
}
