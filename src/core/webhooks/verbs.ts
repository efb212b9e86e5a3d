import type { Verb } from '../verb.ts';
import type { WebhookCommand } from './commands.ts';
import { tellDeliveryFailureVerb } from './decide-delivery-failure.ts';
import { createWebhookVerb, deleteWebhookVerb, putWebhookSecurityVerb, updateWebhookVerb } from './decide-webhook.ts';

/** The decisions about webhooks, by verb. */
export const WEBHOOK_VERBS = {
  'create-webhook': createWebhookVerb,
  'update-webhook': updateWebhookVerb,
  'delete-webhook': deleteWebhookVerb,
  'put-webhook-security': putWebhookSecurityVerb,
  'tell-delivery-failure': tellDeliveryFailureVerb,
} as const satisfies { readonly [K in WebhookCommand['verb']]: Verb<Extract<WebhookCommand, { verb: K }>, unknown> };
