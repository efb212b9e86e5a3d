import { EVENT_TYPES } from '../../../core/cycles/event-types.ts';
import type { Operations, Parameter } from '../../_shared/openapi/operation.ts';
import { WebhookBulkActionRequest, WebhookBulkActionResponse } from '../schemas/bulk.ts';
import { WEBHOOK_STATUSES } from '../schemas/common.ts';
import {
  DELIVERY_STATUSES,
  ReplayRequest,
  ReplayResponse,
  WebhookCreateRequest,
  WebhookCreateResponse,
  WebhookDeliveryListResponse,
  WebhookListResponse,
  WebhookSecurityConfig,
  WebhookSubscription,
  WebhookTestResponse,
  WebhookUpdateRequest,
} from '../schemas/webhooks.ts';
import { answer, choice, EITHER, EVERYWHERE, moment, page, search, sorting, TENANT, words } from './shared.ts';

const path = { subscription_id: 'The id of the subscription.' };
const created = { 201: answer('The new subscription, with its secret.', WebhookCreateResponse) };
const shown = { 200: answer('The subscription.', WebhookSubscription) };
const changed = { 200: answer('The subscription as it is now.', WebhookSubscription) };
const removed = { 204: { description: 'It is gone.' } };
const tested = { 200: answer('Whether its address took the event.', WebhookTestResponse) };
const listed = { 200: answer('A page of subscriptions.', WebhookListResponse) };
const delivered = { 200: answer('A page of deliveries.', WebhookDeliveryListResponse) };
const status = choice('Only those in this state.', WEBHOOK_STATUSES);
const deliveries: Readonly<Record<string, Parameter>> = {
  status: choice('Only those in this state.', DELIVERY_STATUSES),
  from: moment('Only from this moment on.'),
  to: moment('Only up to this moment.'),
  ...page,
};

/** The operator's operations of webhooks. Source: Cycles governance, paths below `/v1/admin/webhooks`. */
const OPERATOR_OPERATIONS: Operations = {
  'POST /v1/admin/webhooks': {
    id: 'createWebhookSubscription',
    summary: 'Add a subscription of a tenant or of the system',
    query: { tenant_id: words('The tenant whose events it gets; where it is not given, those of all.') },
    body: { schema: WebhookCreateRequest },
    answers: created,
    errors: [...EVERYWHERE, 404, 409],
  },
  'GET /v1/admin/webhooks': {
    id: 'listWebhookSubscriptions',
    summary: 'List subscriptions of all tenants',
    query: {
      tenant_id: words('Only those of this tenant.'),
      status,
      event_type: choice('Only those that get events of this type.', EVENT_TYPES),
      search,
      ...sorting(['url', 'tenant_id', 'status', 'consecutive_failures'], 'consecutive_failures'),
      ...page,
    },
    answers: listed,
    errors: EVERYWHERE,
  },
  'GET /v1/admin/webhooks/:subscription_id': {
    id: 'getWebhookSubscription',
    summary: 'Show any subscription',
    path,
    answers: shown,
    errors: [...EVERYWHERE, 404],
  },
  'PATCH /v1/admin/webhooks/:subscription_id': {
    id: 'updateWebhookSubscription',
    summary: 'Change any subscription',
    path,
    body: { schema: WebhookUpdateRequest },
    answers: changed,
    errors: [...EVERYWHERE, 404, 409],
  },
  'DELETE /v1/admin/webhooks/:subscription_id': {
    id: 'deleteWebhookSubscription',
    summary: 'Remove any subscription',
    path,
    answers: removed,
    errors: [...EVERYWHERE, 404, 409],
  },
  'POST /v1/admin/webhooks/:subscription_id/test': {
    id: 'testWebhookSubscription',
    summary: 'Send a test event to any subscription',
    path,
    answers: tested,
    errors: [...EVERYWHERE, 404, 409],
  },
  'GET /v1/admin/webhooks/:subscription_id/deliveries': {
    id: 'listWebhookDeliveries',
    summary: 'List deliveries of any subscription',
    path,
    query: deliveries,
    answers: delivered,
    errors: [...EVERYWHERE, 404],
  },
  'POST /v1/admin/webhooks/:subscription_id/replay': {
    id: 'replayEvents',
    summary: 'Deliver past events once more',
    path,
    body: { schema: ReplayRequest },
    answers: { 202: answer('What will be delivered.', ReplayResponse) },
    errors: [...EVERYWHERE, 404, 409],
  },
  'POST /v1/admin/webhooks/bulk-action': {
    id: 'bulkActionWebhooks',
    summary: 'Pause, resume or remove many subscriptions',
    body: { schema: WebhookBulkActionRequest },
    answers: { 200: answer('What became of each.', WebhookBulkActionResponse) },
    errors: [...EVERYWHERE, 404, 409],
  },
  'GET /v1/admin/config/webhook-security': {
    id: 'getWebhookSecurityConfig',
    summary: 'Show which addresses webhooks may call',
    answers: { 200: answer('The rules.', WebhookSecurityConfig) },
    errors: EVERYWHERE,
  },
  'PUT /v1/admin/config/webhook-security': {
    id: 'updateWebhookSecurityConfig',
    summary: 'Say which addresses webhooks may call',
    body: { schema: WebhookSecurityConfig },
    answers: { 200: answer('The rules as they are now.', WebhookSecurityConfig) },
    errors: EVERYWHERE,
  },
};

/** A tenant's operations of its own webhooks. Source: Cycles governance, paths below `/v1/webhooks`. */
const TENANT_OPERATIONS: Operations = {
  'POST /v1/webhooks': {
    id: 'createTenantWebhook',
    summary: 'Add a subscription',
    body: { schema: WebhookCreateRequest },
    answers: created,
    errors: [...EVERYWHERE, 409],
    security: TENANT,
  },
  'GET /v1/webhooks': {
    id: 'listTenantWebhooks',
    summary: 'List subscriptions',
    query: { tenant: words('The tenant, which the operator must name.'), status, ...page },
    answers: listed,
    errors: EVERYWHERE,
    security: EITHER,
  },
  'GET /v1/webhooks/:subscription_id': {
    id: 'getTenantWebhook',
    summary: 'Show a subscription',
    path,
    answers: shown,
    errors: [...EVERYWHERE, 404],
    security: EITHER,
  },
  'PATCH /v1/webhooks/:subscription_id': {
    id: 'updateTenantWebhook',
    summary: 'Change a subscription',
    path,
    body: { schema: WebhookUpdateRequest },
    answers: changed,
    errors: [...EVERYWHERE, 404, 409],
    security: EITHER,
  },
  'DELETE /v1/webhooks/:subscription_id': {
    id: 'deleteTenantWebhook',
    summary: 'Remove a subscription',
    path,
    answers: removed,
    errors: [...EVERYWHERE, 404, 409],
    security: EITHER,
  },
  'POST /v1/webhooks/:subscription_id/test': {
    id: 'testTenantWebhook',
    summary: 'Send a test event to a subscription',
    path,
    answers: tested,
    errors: [...EVERYWHERE, 404, 409],
    security: EITHER,
  },
  'GET /v1/webhooks/:subscription_id/deliveries': {
    id: 'listTenantWebhookDeliveries',
    summary: 'List deliveries of a subscription',
    path,
    query: deliveries,
    answers: delivered,
    errors: [...EVERYWHERE, 404],
    security: EITHER,
  },
};

/** The operations of webhooks, the operator's and the tenants'. */
export const WEBHOOK_OPERATIONS: Operations = { ...OPERATOR_OPERATIONS, ...TENANT_OPERATIONS };
