import type { CommandOrigin } from '../command-origin.ts';
import type { DomainEvent, Effect } from '../effects.ts';
import { SYSTEM_TENANT } from '../records.ts';
import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { TellDeliveryFailureCommand } from './commands.ts';
import { webhookData } from './decide-webhook.ts';
import { wireTenantId } from './webhook-rules.ts';

/** How long it is remembered that a failure was told: longer than any process takes to come back and tell it again. */
const KEEP_MS = 7 * 24 * 60 * 60 * 1000;

const FAILED = 'system.webhook_delivery_failed';

const toldRef = ({ tenantId, delivery }: TellDeliveryFailureCommand) => ({
  tenantId,
  operation: 'webhook-delivery-failed',
  target: delivery.id,
  key: 'told',
});

/**
 * Tells once that a delivery has failed for good and, where as many in a row did as the subscription allows, disables it. One that was
 * revived since (`epoch`) begins anew and is left alone. The value is whether the subscription was disabled by this command. Never rejects.
 *
 * That such an event could not be delivered is not told: telling it would fail likewise. Source: Cycles governance, FAILURE HANDLING.
 */
export const tellDeliveryFailureVerb: Verb<TellDeliveryFailureCommand, { readonly isDisabled: boolean }> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'webhook', id: command.webhookId }], idempotency: [toldRef(command)] }),
  decide: (state, command, nowMs) => {
    const { delivery, webhookId, failures } = command;
    const ref = toldRef(command);
    if (state.idempotency(ref) !== undefined) return { outcome: accepted({ isDisabled: false }), effects: [] };
    const effects: Effect[] = [{ type: 'idempotency', ref, record: { hash: '', answer: true, expiresAtMs: nowMs + KEEP_MS } }];
    const origin = (correlationId: string): CommandOrigin => ({
      requestId: '',
      actor: { type: 'system' },
      source: 'webhook-dispatcher',
      correlationId,
    });
    const tell = (event: Pick<DomainEvent, 'type' | 'tenantId' | 'data' | 'origin'>): void => {
      effects.push({ type: 'event', event: { ...event, id: `evt_${command.id}_${effects.length}`, atMs: nowMs } });
    };
    const webhook = state.record('webhook', webhookId);
    if (delivery.eventType !== FAILED)
      tell({
        type: FAILED,
        tenantId: SYSTEM_TENANT,
        origin: origin(`webhook_delivery:${delivery.id}`),
        data: {
          component: 'webhook_dispatcher',
          message: `the delivery ${delivery.id} to the webhook ${webhookId} failed after ${delivery.attempts} attempts`,
          severity: 'warning',
          details: {
            delivery_id: delivery.id,
            subscription_id: webhookId,
            tenant_id: wireTenantId(command.tenantId),
            event_id: delivery.eventId,
            event_type: delivery.eventType,
            attempts: delivery.attempts,
            ...(delivery.responseStatus === null ? {} : { response_status: delivery.responseStatus }),
            ...(delivery.error === null ? {} : { error_message: delivery.error }),
            consecutive_failures: failures,
          },
        },
      });
    const isDisabled =
      webhook !== undefined &&
      webhook.status !== 'DISABLED' &&
      (webhook.epoch ?? 0) === command.epoch &&
      failures >= webhook.disableAfterFailures;
    if (isDisabled) {
      effects.push({ type: 'record', kind: 'webhook', id: webhookId, record: { ...webhook, status: 'DISABLED', updatedAtMs: nowMs } });
      const data = webhookData(webhook, { from: webhook.status, to: 'DISABLED', reason: 'consecutive_failures_exceeded_threshold' });
      tell({
        type: 'webhook.disabled',
        tenantId: webhook.tenantId,
        origin: origin(`webhook_auto_disable:${webhookId}:${delivery.id}`),
        data,
      });
    }
    return { outcome: accepted({ isDisabled }), effects };
  },
};
