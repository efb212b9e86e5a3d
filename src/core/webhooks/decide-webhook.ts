import { eventEffects } from '../access/access-events.ts';
import type { Refusal } from '../access/rules.ts';
import type { Effect } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { refuseClosedTenant } from '../ledger/refusals.ts';
import { SYSTEM_TENANT, type Webhook } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import type {
  CreateWebhookCommand,
  DeleteWebhookCommand,
  PutWebhookSecurityCommand,
  UpdateWebhookCommand,
  WebhookChanges,
} from './commands.ts';
import { checkWebhook, wireTenantId } from './webhook-rules.ts';
import { checkWebhookSecurity, WEBHOOK_SECURITY, webhookSecurityOf, type WebhookSecurity } from './webhook-security.ts';

/** What the events of a subscription's life tell. Source: Cycles governance, `EventDataWebhookLifecycle`. */
export const webhookData = (
  webhook: Pick<Webhook, 'id' | 'tenantId'>,
  change: {
    readonly from?: Webhook['status'];
    readonly to?: Webhook['status'];
    readonly fields?: readonly string[];
    readonly reason?: string;
  },
): { readonly [name: string]: PlainJson } => ({
  subscription_id: webhook.id,
  tenant_id: wireTenantId(webhook.tenantId),
  ...(change.from === undefined ? {} : { previous_status: change.from }),
  ...(change.to === undefined ? {} : { new_status: change.to }),
  changed_fields: change.fields ?? [],
  ...(change.reason === undefined ? {} : { disable_reason: change.reason }),
});

const webhookNotFound = (id: string): Refusal => rejected({ code: 'webhook_not_found', message: `there is no webhook ${id.slice(0, 64)}` });

/** The subscription that a command names, where its owner is the command's tenant and may be changed; else the refusal. */
function findWebhook(state: State, command: { readonly webhookId: string; readonly tenantId: string }): Webhook | Refusal {
  const webhook = state.record('webhook', command.webhookId);
  if (webhook === undefined || webhook.tenantId !== command.tenantId) return webhookNotFound(command.webhookId);
  const closed = refuseClosedTenant(state, webhook.tenantId);
  return closed === null ? webhook : rejected(closed);
}

const isRefusal = (found: Webhook | Refusal): found is Refusal => 'ok' in found;

const put = (webhook: Webhook): Effect => ({ type: 'record', kind: 'webhook', id: webhook.id, record: webhook });

/**
 * Makes a subscription, ACTIVE. The value is the subscription.
 *
 * Rejects, in this order: `tenant_not_found`, `tenant_closed`, `invalid_request` (name, scope_filter, disable_after_failures, event_types,
 * event_categories). Source: Cycles governance, `createWebhookSubscription`.
 */
export const createWebhookVerb: Verb<CreateWebhookCommand, Webhook> = {
  needs: ({ webhook }) => ({ tenantLock: 'exclusive', records: [{ kind: 'webhook', id: webhook.id }] }),
  decide: (state, command, nowMs) => {
    const { tenantId } = command;
    if (tenantId !== SYSTEM_TENANT && state.record('tenant', tenantId) === undefined)
      return refuse(rejected({ code: 'tenant_not_found', message: `there is no tenant ${tenantId.slice(0, 64)}`, field: 'tenant_id' }));
    const closed = refuseClosedTenant(state, tenantId);
    if (closed !== null) return refuse(rejected(closed));
    const webhook: Webhook = {
      ...command.webhook,
      tenantId,
      status: 'ACTIVE',
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      activeSinceMs: nowMs,
      epoch: 0,
    };
    const bad = checkWebhook(webhook);
    if (bad !== null) return refuse(bad);
    const told = eventEffects(command, nowMs, [{ type: 'webhook.created', data: webhookData(webhook, { to: 'ACTIVE' }) }]);
    return { outcome: accepted(webhook), effects: [put(webhook), ...told] };
  },
};

/** The names of what can be changed, as the wire has them; those that share a name are one field. */
const FIELD_NAMES: readonly (readonly [own: keyof WebhookChanges, wire: string])[] = [
  ['name', 'name'],
  ['description', 'description'],
  ['url', 'url'],
  ['eventTypes', 'event_types'],
  ['eventCategories', 'event_categories'],
  ['scopeFilter', 'scope_filter'],
  ['thresholds', 'thresholds'],
  ['secretSealed', 'signing_secret'],
  ['headersSealed', 'headers'],
  ['retryPolicy', 'retry_policy'],
  ['disableAfterFailures', 'disable_after_failures'],
  ['metadata', 'metadata'],
];

const changedFields = (before: Webhook, changes: WebhookChanges): string[] =>
  FIELD_NAMES.filter(([own]) => changes[own] !== undefined && JSON.stringify(changes[own]) !== JSON.stringify(before[own])).map(
    ([, wire]) => wire,
  );

/**
 * Changes what is given of a subscription. The value is the subscription as it is now. A change of the state is told as `webhook.paused`
 * or `webhook.resumed`, any other as `webhook.updated`, with the fields; where nothing changes, nothing is told. One that becomes ACTIVE
 * begins anew: failures from before do not count, events from before are not delivered.
 *
 * Rejects, in this order: `webhook_not_found`, `tenant_closed`, `invalid_transition` (an action on many meets one that is DISABLED),
 * `invalid_request` (as of its creation, of what would result). Source: Cycles governance, `updateWebhookSubscription`.
 */
export const updateWebhookVerb: Verb<UpdateWebhookCommand, Webhook> = {
  needs: ({ webhookId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'webhook', id: webhookId }] }),
  decide: (state, command, nowMs) => {
    const before = findWebhook(state, command);
    if (isRefusal(before)) return refuse(before);
    const { changes } = command;
    if (command.leavesDisabled === true && before.status === 'DISABLED')
      return refuse(rejected({ code: 'invalid_transition', message: 'a webhook that is DISABLED must be set ACTIVE by itself' }));
    const fields = changedFields(before, changes);
    const status = changes.status ?? before.status;
    const isChanged = status !== before.status;
    const resumed = isChanged && status === 'ACTIVE' ? { epoch: (before.epoch ?? 0) + 1, activeSinceMs: nowMs } : {};
    const webhook: Webhook = { ...before, ...changes, status, ...resumed, updatedAtMs: nowMs };
    const bad = checkWebhook(webhook);
    if (bad !== null) return refuse(bad);
    if (!isChanged && fields.length === 0) return { outcome: accepted(before), effects: [] };
    const type = !isChanged ? 'webhook.updated' : status === 'ACTIVE' ? 'webhook.resumed' : 'webhook.paused';
    const data = webhookData(webhook, { from: before.status, to: status, fields });
    return { outcome: accepted(webhook), effects: [put(webhook), ...eventEffects(command, nowMs, [{ type, data }])] };
  },
};

/** Forgets a subscription. Rejects, in this order: `webhook_not_found`, `tenant_closed`. Source: Cycles governance, `deleteWebhookSubscription`. */
export const deleteWebhookVerb: Verb<DeleteWebhookCommand, { readonly id: string }> = {
  needs: ({ webhookId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'webhook', id: webhookId }] }),
  decide: (state, command, nowMs) => {
    const webhook = findWebhook(state, command);
    if (isRefusal(webhook)) return refuse(webhook);
    const told = eventEffects(command, nowMs, [{ type: 'webhook.deleted', data: webhookData(webhook, { from: webhook.status }) }]);
    return { outcome: accepted({ id: webhook.id }), effects: [{ type: 'record-removed', kind: 'webhook', id: webhook.id }, ...told] };
  },
};

/** Sets where webhooks may lead, whole. The value is what holds now. Rejects: `invalid_request` with the entry. */
export const putWebhookSecurityVerb: Verb<PutWebhookSecurityCommand, WebhookSecurity> = {
  needs: () => ({ tenantLock: 'exclusive', records: [{ kind: 'setting', id: WEBHOOK_SECURITY }] }),
  decide: (_state, { value }) => {
    const checked = checkWebhookSecurity(webhookSecurityOf(value));
    if (!checked.ok) return refuse(checked);
    const record = { id: WEBHOOK_SECURITY, value };
    return { outcome: checked, effects: [{ type: 'record', kind: 'setting', id: WEBHOOK_SECURITY, record }] };
  },
};
