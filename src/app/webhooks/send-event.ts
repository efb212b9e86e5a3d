import { cyclesEvent } from '../../core/cycles/event-object.ts';
import { isEventType } from '../../core/cycles/event-types.ts';
import type { DomainEvent } from '../../core/effects.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import { sealIdentity, type Webhook } from '../../core/records.ts';
import { WEBHOOK_SECURITY, webhookSecurityOf, type WebhookSecurity } from '../../core/webhooks/webhook-security.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import type { SendOutcome, WebhookSender } from '../../ports/webhook-sender.ts';

/** The identity under which the values of a subscription's headers are sealed: not that of its secret. */
export const webhookHeadersIdentity = (webhookId: string): string => `${sealIdentity('webhook', webhookId)}:headers`;

/** Reads where webhooks may lead, as the operator says now. */
export const readWebhookSecurity = async (records: Pick<RecordStore, 'record'>): Promise<WebhookSecurity> =>
  webhookSecurityOf((await records.record('setting', WEBHOOK_SECURITY))?.value);

/** What sending needs. `security` tells where webhooks may lead now, `traceIdOf` gives a trace to an event that no request is behind. */
export interface SendEventDeps {
  readonly security: () => Promise<WebhookSecurity>;
  readonly secretBox: SecretBox;
  readonly sender: Pick<WebhookSender, 'send'>;
  readonly traceIdOf: (eventId: string) => string;
}

/** Sends one event to one subscription, under an id that its receiver can tell us. */
export type SendEvent = (webhook: Webhook, event: DomainEvent, requestId: string) => Promise<SendOutcome>;

/** Makes the one way in which events are sent: deliveries, replays and tests alike. Never throws but where the store cannot be read. */
export function makeSendEvent(deps: SendEventDeps): SendEvent {
  const { secretBox, sender, traceIdOf } = deps;
  return async (webhook, event, requestId) => {
    const { type } = event;
    if (!isEventType(type)) return { kind: 'failed', error: 'the event is of a type that is not delivered', responseTimeMs: null };
    const security = await deps.security();
    let opened: { readonly secret: string; readonly headers: Readonly<Record<string, string>> };
    try {
      const { headersSealed } = webhook;
      opened = {
        secret: secretBox.open(webhook.secretSealed, sealIdentity('webhook', webhook.id)),
        headers:
          headersSealed === null
            ? {}
            : (JSON.parse(secretBox.open(headersSealed, webhookHeadersIdentity(webhook.id))) as Record<string, string>),
      };
    } catch {
      return { kind: 'failed', error: 'the signing secret cannot be opened: set a new one', responseTimeMs: null };
    }
    return sender.send(
      {
        url: webhook.url,
        body: stringifyJson(cyclesEvent({ ...event, type })),
        ...opened,
        eventId: event.id,
        eventType: type,
        requestId: event.origin === undefined || event.origin.requestId === '' ? requestId : event.origin.requestId,
        traceId: event.origin?.traceId ?? traceIdOf(event.id),
        traceFlags: event.origin?.traceFlags ?? null,
      },
      security,
    );
  };
}
