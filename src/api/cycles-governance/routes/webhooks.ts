import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CyclesCaller } from '../../../app/cycles/cycles-caller.ts';
import type { WebhookFilter, WebhookView } from '../../../app/webhooks/manage-webhooks.ts';
import { EVENT_TYPES } from '../../../core/cycles/event-types.ts';
import { SYSTEM_TENANT } from '../../../core/records.ts';
import { tenantIdOfWire, wireTenantId } from '../../../core/webhooks/webhook-rules.ts';
import type { Delivery } from '../../../ports/webhook-store.ts';
import { cyclesActorOf } from '../../_shared/cycles-principal.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { queryText } from '../../_shared/query.ts';
import { callerOf, momentOf } from '../budget-fields.ts';
import { GOVERNANCE_SOURCE, type GovernanceMount, type GovernanceRouteDeps } from '../governance-deps.ts';
import {
  filterOneOf,
  filterRange,
  filterText,
  listAnswer,
  readListPage,
  refuseBlankFilter,
  searchText,
  type ListPage,
  type ListPosition,
} from '../list-page.ts';
import { WebhookBulkActionRequest } from '../schemas/bulk.ts';
import { WEBHOOK_STATUSES } from '../schemas/common.ts';
import {
  DELIVERY_STATUSES,
  ReplayRequest,
  WebhookCreateRequest,
  WebhookSecurityConfig,
  WebhookUpdateRequest,
} from '../schemas/webhooks.ts';
import { deliveryBody, givenOf, probeBody, securityBody, securityOf, subscriptionBody } from '../webhook-objects.ts';

const operatorOnly = { credential: 'operator' } as const;
const keyOnly = { credential: 'key', permission: 'webhooks:write' } as const;
const reads = { credential: 'either', permission: 'webhooks:read' } as const;
const writes = { credential: 'either', permission: 'webhooks:write' } as const;

/** Events of a replay where a request does not say how many it may be. Source: Cycles governance, `replayEvents`. */
const DEFAULT_REPLAY = 100;

const SORTS = ['consecutive_failures', 'url', 'tenant_id', 'status'] as const;
type Sort = (typeof SORTS)[number] | 'subscription_id';

const idOf = (request: FastifyRequest): string => (request.params as { subscription_id: string }).subscription_id;

/** Whose a new subscription is to be; undefined: the operator's. One that gets the events of all must not come of a name that was left empty. */
function ownerOf(request: FastifyRequest): string | undefined {
  const tenantId = filterText(request, 'tenant_id');
  if (tenantId === undefined && queryText(request, 'tenant_id') !== undefined)
    throw new RefusedRequest({ code: 'invalid_request', message: 'tenant_id must not be empty', field: 'tenant_id' });
  return tenantId;
}

/** Names the owner of what is answered, where that is a tenant. */
const ownedBy = (reply: FastifyReply, tenantId: string): FastifyReply =>
  tenantId === SYSTEM_TENANT ? reply : reply.header('x-cycles-tenant', tenantId);

const sortedBy = ({ webhook, failures }: WebhookView, sortBy: Sort): string | number => {
  switch (sortBy) {
    case 'consecutive_failures':
      return failures;
    case 'url':
      return webhook.url;
    case 'tenant_id':
      return wireTenantId(webhook.tenantId);
    case 'status':
      return webhook.status;
    case 'subscription_id':
      return webhook.id;
  }
};

const positionAt = (view: WebhookView, sortBy: Sort): ListPosition => ({ value: sortedBy(view, sortBy), id: view.webhook.id });

/** Compares positions: by what is sorted by, then by id. */
function compare(a: ListPosition, b: ListPosition): number {
  const [x, y] = [a.value ?? '', b.value ?? ''];
  if (x !== y) return x < y ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** A page of subscriptions: few enough to be sorted where they are. */
function pageOf(views: readonly WebhookView[], page: ListPage<Sort>) {
  const sign = page.descending ? -1 : 1;
  const { after } = page;
  const rows = views
    .map((view) => ({ view, position: positionAt(view, page.sortBy) }))
    .filter(({ position }) => after === null || sign * compare(position, after) > 0)
    .toSorted((a, b) => sign * compare(a.position, b.position))
    .slice(0, page.limit + 1)
    .map(({ view }) => view);
  const { shown, end } = listAnswer(page, rows, positionAt);
  return { subscriptions: shown.map(subscriptionBody), ...end };
}

async function list(request: FastifyRequest, deps: GovernanceRouteDeps, given: { tenantId: string | undefined; isTenants: boolean }) {
  const { tenantId, isTenants } = given;
  const status = filterOneOf(request, 'status', WEBHOOK_STATUSES);
  const eventType = isTenants ? undefined : filterOneOf(request, 'event_type', EVENT_TYPES);
  const rules = { list: isTenants ? 'tenant webhooks' : 'webhooks', cursors: deps.cursors, filters: [tenantId, status, eventType] };
  const page = readListPage<Sort>(request, { ...rules, sortKeys: isTenants ? ['subscription_id'] : SORTS });
  const filter: WebhookFilter = {
    search: isTenants ? null : page.search,
    ...(tenantId === undefined ? {} : { tenantId: tenantIdOfWire(tenantId) }),
    ...(status === undefined ? {} : { status }),
    ...(eventType === undefined ? {} : { eventType }),
  };
  return pageOf(await deps.events.management.list(filter), page);
}

async function listDeliveries(request: FastifyRequest, deps: GovernanceRouteDeps, caller: CyclesCaller) {
  const webhook = valueOf(await deps.events.management.find(caller, idOf(request)));
  const status = filterOneOf(request, 'status', DELIVERY_STATUSES);
  const range = filterRange(request);
  const rules = { list: `deliveries of ${webhook.id}`, sortKeys: ['created_at'] as const, cursors: deps.cursors };
  const page = readListPage<'created_at'>(request, { ...rules, filters: [status, range] });
  const rows: Delivery[] = await deps.eventReads.deliveries({
    webhookId: webhook.id,
    statuses: status === undefined ? DELIVERY_STATUSES : [status],
    ...range,
    after: page.after === null ? null : { createdAtMs: Number(page.after.value), id: page.after.id },
    limit: page.limit + 1,
  });
  const { shown, end } = listAnswer(page, rows, ({ createdAtMs, id }) => ({ value: createdAtMs, id }));
  return { deliveries: shown.map(deliveryBody), ...end };
}

/** Mounts what both planes have of one subscription, each under its own path and names. */
function mountOne(
  app: Parameters<GovernanceMount>[0],
  deps: GovernanceRouteDeps,
  plane: {
    readonly path: string;
    readonly reads: typeof reads | typeof operatorOnly;
    readonly writes: typeof writes | typeof operatorOnly;
    readonly names: { readonly update: string; readonly remove: string };
  },
): void {
  const { management, probe } = deps.events;
  const path = `${plane.path}/:subscription_id`;

  app.get(path, { config: plane.reads }, async (request, reply) => {
    const webhook = valueOf(await management.find(callerOf(request), idOf(request)));
    return ownedBy(reply, webhook.tenantId).send(subscriptionBody(await management.view(webhook)));
  });

  app.patch(path, { config: plane.writes, schema: { body: WebhookUpdateRequest } }, async (request, reply) => {
    const change = { id: idOf(request), given: givenOf(request.body), operation: plane.names.update };
    const view = valueOf(await management.update(cyclesActorOf(request, GOVERNANCE_SOURCE), callerOf(request), change));
    return ownedBy(reply, view.webhook.tenantId).send(subscriptionBody(view));
  });

  app.delete(path, { config: plane.writes }, async (request, reply) => {
    const change = { id: idOf(request), operation: plane.names.remove };
    const webhook = valueOf(await management.remove(cyclesActorOf(request, GOVERNANCE_SOURCE), callerOf(request), change));
    return ownedBy(reply, webhook.tenantId).code(204).send();
  });

  app.post(`${path}/test`, { config: plane.writes }, async (request, reply) => {
    const webhook = valueOf(await management.findToChange(callerOf(request), idOf(request)));
    const result = valueOf(await probe(cyclesActorOf(request, GOVERNANCE_SOURCE), webhook));
    return ownedBy(reply, webhook.tenantId).send(probeBody(result));
  });

  app.get(`${path}/deliveries`, { config: plane.reads }, (request) => listDeliveries(request, deps, callerOf(request)));
}

/** `/v1/admin/webhooks` and below, the operator's configuration of them, and what tenants do themselves: `/v1/webhooks` and below. */
export const mountWebhooks: GovernanceMount = (app, deps) => {
  const { management, replay, bulk } = deps.events;

  app.post('/v1/admin/webhooks', { config: operatorOnly, schema: { body: WebhookCreateRequest } }, async (request, reply) => {
    const tenantId = ownerOf(request);
    const { url, event_types: eventTypes } = request.body;
    const given = {
      ...givenOf(request.body),
      url,
      eventTypes,
      operation: 'createWebhookSubscription',
      ...(tenantId === undefined ? {} : { tenantId }),
    };
    const made = valueOf(await management.create(cyclesActorOf(request, GOVERNANCE_SOURCE), callerOf(request), given));
    const body = { subscription: subscriptionBody(made.view), signing_secret: made.secret };
    return ownedBy(reply, made.view.webhook.tenantId).code(201).send(body);
  });

  app.post('/v1/webhooks', { config: keyOnly, schema: { body: WebhookCreateRequest } }, async (request, reply) => {
    const { url, event_types: eventTypes } = request.body;
    const given = { ...givenOf(request.body), url, eventTypes, operation: 'createTenantWebhook' };
    const made = valueOf(await management.create(cyclesActorOf(request, GOVERNANCE_SOURCE), callerOf(request), given));
    return reply.code(201).send({ subscription: subscriptionBody(made.view), signing_secret: made.secret });
  });

  app.get('/v1/admin/webhooks', { config: operatorOnly }, (request) =>
    list(request, deps, { tenantId: filterText(request, 'tenant_id'), isTenants: false }),
  );

  app.get('/v1/webhooks', { config: reads }, (request) => {
    const caller = callerOf(request);
    const named = filterText(request, 'tenant');
    if (caller.kind === 'operator' && named === undefined) {
      const message = 'tenant query parameter is required when using admin key authentication';
      throw new RefusedRequest({ code: 'invalid_request', message, field: 'tenant' });
    }
    if (caller.kind === 'tenant' && named !== undefined && named !== caller.tenantId)
      throw new RefusedRequest({ code: 'forbidden', message: 'tenant must be that of the key', field: 'tenant' });
    return list(request, deps, { tenantId: caller.kind === 'tenant' ? caller.tenantId : named, isTenants: true });
  });

  mountOne(app, deps, {
    path: '/v1/admin/webhooks',
    reads: operatorOnly,
    writes: operatorOnly,
    names: { update: 'updateWebhookSubscription', remove: 'deleteWebhookSubscription' },
  });
  mountOne(app, deps, { path: '/v1/webhooks', reads, writes, names: { update: 'updateTenantWebhook', remove: 'deleteTenantWebhook' } });

  app.post(
    '/v1/admin/webhooks/:subscription_id/replay',
    { config: operatorOnly, schema: { body: ReplayRequest } },
    async (request, reply) => {
      const webhook = valueOf(await management.find(callerOf(request), idOf(request)));
      const { from, to, event_types: types = null, max_events: maxEvents = DEFAULT_REPLAY } = request.body;
      const wanted = {
        ...(from === undefined ? {} : { fromMs: momentOf(from) }),
        ...(to === undefined ? {} : { toMs: momentOf(to) }),
        types,
        maxEvents,
      };
      const started = valueOf(await replay(cyclesActorOf(request, GOVERNANCE_SOURCE), webhook, wanted));
      const { replayId, eventsQueued, estimatedSeconds } = started;
      return ownedBy(reply, webhook.tenantId)
        .code(202)
        .send({ replay_id: replayId, events_queued: eventsQueued, estimated_completion_seconds: estimatedSeconds });
    },
  );

  app.post('/v1/admin/webhooks/bulk-action', { config: operatorOnly, schema: { body: WebhookBulkActionRequest } }, async (request) => {
    const { action, filter, idempotency_key: idempotencyKey, expected_count: expectedCount = null } = request.body;
    const search = searchText(filter.search, 'filter.search');
    refuseBlankFilter(filter, search);
    const matches: WebhookFilter = {
      search,
      ...(filter.tenant_id === undefined ? {} : { tenantId: tenantIdOfWire(filter.tenant_id) }),
      ...(filter.status === undefined ? {} : { status: filter.status }),
      ...(filter.event_type === undefined ? {} : { eventType: filter.event_type }),
    };
    const actor = cyclesActorOf(request, GOVERNANCE_SOURCE);
    return valueOf(await bulk(actor, { action, filter, matches, idempotencyKey, expectedCount }));
  });

  app.get('/v1/admin/config/webhook-security', { config: operatorOnly }, async () => securityBody(await management.security()));

  app.put('/v1/admin/config/webhook-security', { config: operatorOnly, schema: { body: WebhookSecurityConfig } }, async (request) =>
    securityBody(valueOf(await management.setSecurity(cyclesActorOf(request, GOVERNANCE_SOURCE), securityOf(request.body)))),
  );
};
