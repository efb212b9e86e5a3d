import { sealIdentity, SYSTEM_TENANT, type Webhook } from '../../core/records.ts';
import { accepted, rejected, type Outcome, type Rejection } from '../../core/rejection.ts';
import type { WebhookChanges } from '../../core/webhooks/commands.ts';
import { checkWebhookHeaders, tenantIdOfWire } from '../../core/webhooks/webhook-rules.ts';
import { addressIn, checkWebhookUrl, type WebhookSecurity } from '../../core/webhooks/webhook-security.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import type { WebhookSender } from '../../ports/webhook-sender.ts';
import type { WebhookHealth, WebhookStore } from '../../ports/webhook-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import { refuseScope, type CyclesCaller } from '../cycles/cycles-caller.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { readWebhookSecurity, webhookHeadersIdentity } from './send-event.ts';
import type { Subscriptions } from './subscriptions.ts';

/** What a request gives of a subscription. Everything but the secret and the headers is kept as it is. */
export type GivenWebhook = Omit<WebhookChanges, 'secretSealed' | 'headerNames' | 'headersSealed'> & {
  readonly secret?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A new subscription as a request gives it. */
export type NewWebhook = Omit<GivenWebhook, 'status'> & Required<Pick<GivenWebhook, 'url' | 'eventTypes'>>;

/** A subscription with how its deliveries go. `failures` are those in a row since it was last set ACTIVE. */
export interface WebhookView {
  readonly webhook: Webhook;
  readonly failures: number;
  readonly lastTriggeredAtMs: number | null;
  readonly lastSuccessAtMs: number | null;
  readonly lastFailureAtMs: number | null;
}

/** What narrows a list. `search` is in lower case, and looked for in id and address. */
export interface WebhookFilter {
  readonly tenantId?: string;
  readonly status?: Webhook['status'];
  readonly eventType?: string;
  readonly search: string | null;
}

/** What the management of subscriptions needs. `onChanged` is told whose subscriptions changed, `wake` that something may be due. */
export interface ManageWebhooksDeps {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record'>;
  readonly store: Pick<WebhookStore, 'webhookHealth' | 'wakeDeliveries'>;
  readonly subscriptions: Subscriptions;
  readonly sender: Pick<WebhookSender, 'isBlocked'>;
  readonly secretBox: SecretBox;
  readonly ids: Ids;
  readonly onChanged: (tenantId: string) => Promise<void>;
  readonly wake: () => void;
}

const SECRET_LENGTH = 43;

/** A subscription with its health, of which failures from before it was last set ACTIVE are no part. */
const viewOf = (webhook: Webhook, health: WebhookHealth | undefined): WebhookView => ({
  webhook,
  failures: health !== undefined && health.epoch === (webhook.epoch ?? 0) ? health.failures : 0,
  lastTriggeredAtMs: health?.lastTriggeredAtMs ?? null,
  lastSuccessAtMs: health?.lastSuccessAtMs ?? null,
  lastFailureAtMs: health?.lastFailureAtMs ?? null,
});

/** Whether a list that is narrowed so shows a subscription. */
export const matchesFilter = (webhook: Webhook, { tenantId, status, eventType, search }: WebhookFilter): boolean =>
  (tenantId === undefined || webhook.tenantId === tenantId) &&
  (status === undefined || webhook.status === status) &&
  (eventType === undefined || webhook.eventTypes.includes(eventType)) &&
  (search === null || webhook.id.toLowerCase().includes(search) || webhook.url.toLowerCase().includes(search));

/** A subscription of which nothing was said. */
const NOTHING_GIVEN = {
  name: null,
  description: null,
  eventCategories: [],
  scopeFilter: null,
  secretSealed: '',
  headerNames: [],
  headersSealed: null,
  retryPolicy: {},
  thresholds: {},
  disableAfterFailures: 10,
  metadata: {},
} as const satisfies Partial<Webhook>;

const audited = (ids: Ids, actor: Actor, webhook: { readonly id: string; readonly tenantId: string }, name: string) =>
  auditedBase(ids, actor, { name, tenantId: webhook.tenantId, resourceKind: 'webhook', resourceId: webhook.id });

/**
 * Refuses a subscription that would be sent more than the caller's key covers: `insufficient_permissions`; null where it is not. A key that is
 * held to some scopes could otherwise have told elsewhere what it may not see.
 */
function refuseFilter(caller: CyclesCaller, filter: string | null | undefined): Rejection | null {
  if (caller.kind === 'operator' || caller.scopeFilter.length === 0) return null;
  const text = filter?.trim().toLowerCase() ?? '';
  // A star may stand for the end of a segment as well, so only what is before the last slash is sure.
  const scope = text.endsWith('*') ? `${text.slice(0, Math.max(0, text.lastIndexOf('/')))}/*` : text;
  if (text !== '' && scope !== '/*') return refuseScope(caller, scope);
  return { code: 'insufficient_permissions', message: "the key's scope filter does not cover a webhook without a scope_filter of its own" };
}

/** Makes what finds a subscription for a caller. Rejects: `webhook_not_found`, also for another tenant's. */
const makeFind =
  ({ records }: ManageWebhooksDeps) =>
  async (caller: CyclesCaller, id: string): Promise<Outcome<Webhook>> => {
    const webhook = await records.record('webhook', id);
    if (webhook !== undefined && (caller.kind === 'operator' || webhook.tenantId === caller.tenantId)) return accepted(webhook);
    return rejected({ code: 'webhook_not_found', message: `there is no webhook ${id.slice(0, 64)}` });
  };

/** Makes what finds a subscription that a caller wants to change. Rejects, in this order: `webhook_not_found`, `insufficient_permissions` (scope). */
function makeFindToChange(deps: ManageWebhooksDeps) {
  const find = makeFind(deps);
  return async (caller: CyclesCaller, id: string): Promise<Outcome<Webhook>> => {
    const found = await find(caller, id);
    const outside = found.ok ? refuseFilter(caller, found.value.scopeFilter) : null;
    return outside === null ? found : rejected(outside);
  };
}

const makeView =
  ({ store }: ManageWebhooksDeps) =>
  async (webhook: Webhook): Promise<WebhookView> =>
    viewOf(webhook, (await store.webhookHealth([webhook.id])).get(webhook.id));

/** Makes what turns what was given into what is kept of it; secrets sealed for the subscription `id`, and left out where `before` has the same. */
function makeKeep({ records, sender, secretBox }: ManageWebhooksDeps) {
  /** Rejects: `webhook_url_invalid`. A host that nobody can resolve passes: sending to it fails. */
  async function checkUrl(url: string, security: WebhookSecurity): Promise<Outcome<null>> {
    const checked = checkWebhookUrl(url, security);
    if (!checked.ok) return checked;
    const isBlocked = addressIn(checked.value) === null && (await sender.isBlocked(checked.value.hostname, security));
    if (!isBlocked) return accepted(null);
    return rejected({ code: 'webhook_url_invalid', message: 'url leads to an address that is blocked', field: 'url' });
  }

  /** Whether `sealed` holds this text. What is sealed anew never looks the same, and would count as changed. */
  function holds(sealed: string | null, identity: string, text: string): boolean {
    if (sealed === null) return false;
    try {
      return secretBox.open(sealed, identity) === text;
    } catch {
      return false;
    }
  }

  return async (id: string, given: GivenWebhook, before?: Webhook): Promise<Outcome<WebhookChanges>> => {
    const { secret, headers, ...rest } = given;
    if (headers !== undefined) {
      const bad = checkWebhookHeaders(headers);
      if (bad !== null) return bad;
    }
    if (given.url !== undefined) {
      const checked = await checkUrl(given.url, await readWebhookSecurity(records));
      if (!checked.ok) return checked;
    }
    const identities = { secret: sealIdentity('webhook', id), headers: webhookHeadersIdentity(id) };
    const isSameSecret = before !== undefined && holds(before.secretSealed, identities.secret, secret ?? '');
    const names = Object.keys(headers ?? {});
    const text = JSON.stringify(headers ?? {});
    const isSameHeaders = before !== undefined && holds(before.headersSealed, identities.headers, text);
    return accepted({
      ...rest,
      ...(secret === undefined || isSameSecret ? {} : { secretSealed: secretBox.seal(secret, identities.secret) }),
      ...(headers === undefined || isSameHeaders
        ? {}
        : { headerNames: names, headersSealed: names.length === 0 ? null : secretBox.seal(text, identities.headers) }),
    });
  };
}

/**
 * Makes what adds a subscription of the caller's tenant; the operator adds it for the tenant that it names, or for itself. The value has the
 * secret, this once.
 *
 * Rejects, in this order: `insufficient_permissions` (scope), `invalid_request` (headers), `webhook_url_invalid`, `tenant_not_found`,
 * `tenant_closed`, `invalid_request`.
 */
function makeCreate(deps: ManageWebhooksDeps) {
  const { ids, writer } = deps;
  const keep = makeKeep(deps);
  return async (
    actor: Actor,
    caller: CyclesCaller,
    given: NewWebhook & { readonly tenantId?: string; readonly operation: string },
  ): Promise<Outcome<{ readonly view: WebhookView; readonly secret: string }>> => {
    const { tenantId: named, operation, ...fields } = given;
    const tenantId = caller.kind === 'tenant' ? caller.tenantId : named === undefined ? SYSTEM_TENANT : tenantIdOfWire(named);
    const outside = refuseFilter(caller, fields.scopeFilter);
    if (outside !== null) return rejected(outside);
    const id = ids.next('whsub');
    const secret = fields.secret ?? `whsec_${ids.base62(SECRET_LENGTH)}`;
    const changes = await keep(id, { ...fields, secret });
    if (!changes.ok) return changes;
    const outcome = await writer.execute({
      verb: 'create-webhook',
      ...audited(ids, { ...actor, correlationId: `webhook_create:${id}` }, { id, tenantId }, operation),
      webhook: { ...NOTHING_GIVEN, ...changes.value, url: fields.url, eventTypes: fields.eventTypes, id },
    });
    if (!outcome.ok) return outcome;
    await deps.onChanged(tenantId);
    return accepted({ view: viewOf(outcome.value, undefined), secret });
  };
}

/**
 * Makes what changes what is given of a subscription. Rejects, in this order: `webhook_not_found`, `insufficient_permissions` (scope),
 * `invalid_request` (headers), `webhook_url_invalid`, `tenant_closed`, `invalid_request`.
 */
function makeUpdate(deps: ManageWebhooksDeps) {
  const { ids, writer, store } = deps;
  const keep = makeKeep(deps);
  const find = makeFindToChange(deps);
  const view = makeView(deps);
  return async (
    actor: Actor,
    caller: CyclesCaller,
    change: { readonly id: string; readonly given: GivenWebhook; readonly operation: string },
  ): Promise<Outcome<WebhookView>> => {
    const found = await find(caller, change.id);
    if (!found.ok) return found;
    const outside = change.given.scopeFilter === undefined ? null : refuseFilter(caller, change.given.scopeFilter);
    if (outside !== null) return rejected(outside);
    const changes = await keep(change.id, change.given, found.value);
    if (!changes.ok) return changes;
    const correlationId = `webhook_update:${change.id}:${actor.requestId}`;
    const outcome = await writer.execute({
      verb: 'update-webhook',
      ...audited(ids, { ...actor, correlationId }, found.value, change.operation),
      webhookId: change.id,
      changes: changes.value,
    });
    if (!outcome.ok) return outcome;
    if (outcome.value.status === 'ACTIVE') await store.wakeDeliveries(change.id);
    deps.wake();
    await deps.onChanged(outcome.value.tenantId);
    return accepted(await view(outcome.value));
  };
}

/**
 * Makes what forgets a subscription; what waits for it is not delivered. Rejects, in this order: `webhook_not_found`, `insufficient_permissions`,
 * `tenant_closed`.
 */
function makeRemove(deps: ManageWebhooksDeps) {
  const { ids, writer } = deps;
  const find = makeFindToChange(deps);
  return async (
    actor: Actor,
    caller: CyclesCaller,
    change: { readonly id: string; readonly operation: string },
  ): Promise<Outcome<Webhook>> => {
    const found = await find(caller, change.id);
    if (!found.ok) return found;
    const outcome = await writer.execute({
      verb: 'delete-webhook',
      ...audited(ids, { ...actor, correlationId: `webhook_delete:${change.id}` }, found.value, change.operation),
      webhookId: change.id,
    });
    if (!outcome.ok) return outcome;
    await deps.onChanged(found.value.tenantId);
    return found;
  };
}

/**
 * Makes the use cases of subscriptions. A tenant meets its own alone: those of others are not found. Every change is audited and told of.
 *
 * The secret and the values of headers are kept sealed; the secret is given out once, where a subscription is made.
 */
export function makeWebhookManagement(deps: ManageWebhooksDeps) {
  const { writer, records, store, subscriptions, ids } = deps;
  return {
    find: makeFind(deps),
    findToChange: makeFindToChange(deps),
    view: makeView(deps),
    create: makeCreate(deps),
    update: makeUpdate(deps),
    remove: makeRemove(deps),

    /** Every subscription that a filter shows, with how its deliveries go, in the order of the ids. */
    list: async (filter: WebhookFilter): Promise<WebhookView[]> => {
      await subscriptions.refresh();
      const found = subscriptions.all().filter((webhook) => matchesFilter(webhook, filter));
      const health = await store.webhookHealth(found.map(({ id }) => id));
      return found.map((webhook) => viewOf(webhook, health.get(webhook.id)));
    },

    /** Where webhooks may lead. */
    security: (): Promise<WebhookSecurity> => readWebhookSecurity(records),

    /** Sets where webhooks may lead, whole. Rejects: `invalid_request`. */
    setSecurity: (actor: Actor, security: WebhookSecurity): Promise<Outcome<WebhookSecurity>> =>
      writer.execute({
        verb: 'put-webhook-security',
        ...auditedBase(ids, actor, {
          name: 'updateWebhookSecurityConfig',
          tenantId: SYSTEM_TENANT,
          resourceKind: 'webhook_security',
          resourceId: 'webhook-security',
        }),
        value: { ...security },
      }),
  };
}
