import type { PlainJson } from '../json/plain-json.ts';
import type { Webhook } from '../records.ts';
import type { CommandBase } from '../verb.ts';

/** Makes a subscription of the command's tenant, or of the operator where that is the system's. */
export interface CreateWebhookCommand extends CommandBase {
  readonly verb: 'create-webhook';
  readonly webhook: Omit<Webhook, 'tenantId' | 'status' | 'createdAtMs' | 'updatedAtMs' | 'epoch' | 'activeSinceMs'>;
}

/** What of a subscription can be changed. */
export type WebhookChanges = Partial<
  Pick<
    Webhook,
    | 'name'
    | 'description'
    | 'url'
    | 'eventTypes'
    | 'eventCategories'
    | 'scopeFilter'
    | 'thresholds'
    | 'secretSealed'
    | 'headerNames'
    | 'headersSealed'
    | 'retryPolicy'
    | 'disableAfterFailures'
    | 'metadata'
  >
> & { readonly status?: 'ACTIVE' | 'PAUSED' };

/** Changes what is given of a subscription. `leavesDisabled`: one that is DISABLED is refused (an action on many does not revive it). */
export interface UpdateWebhookCommand extends CommandBase {
  readonly verb: 'update-webhook';
  readonly webhookId: string;
  readonly changes: WebhookChanges;
  readonly leavesDisabled?: true;
}

/** Forgets a subscription. */
export interface DeleteWebhookCommand extends CommandBase {
  readonly verb: 'delete-webhook';
  readonly webhookId: string;
}

/** Sets where webhooks may lead. */
export interface PutWebhookSecurityCommand extends CommandBase {
  readonly verb: 'put-webhook-security';
  readonly value: PlainJson;
}

/**
 * Tells that a delivery has failed for good. `epoch` is the subscription's when it was sent, `failures` how many failed one after another
 * since then, this one included.
 */
export interface TellDeliveryFailureCommand extends CommandBase {
  readonly verb: 'tell-delivery-failure';
  readonly webhookId: string;
  readonly epoch: number;
  readonly failures: number;
  readonly delivery: {
    readonly id: string;
    readonly eventId: string;
    readonly eventType: string;
    readonly attempts: number;
    readonly responseStatus: number | null;
    readonly error: string | null;
  };
}

/** Every command about webhooks. */
export type WebhookCommand =
  | CreateWebhookCommand
  | UpdateWebhookCommand
  | DeleteWebhookCommand
  | PutWebhookSecurityCommand
  | TellDeliveryFailureCommand;
