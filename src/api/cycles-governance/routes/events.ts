import type { FastifyRequest } from 'fastify';
import { filterCovers } from '../../../core/cycles/scope.ts';
import { cyclesEvent } from '../../../core/cycles/event-object.ts';
import {
  categoryOf,
  EVENT_CATEGORIES,
  EVENT_TYPES,
  isEventType,
  isTenantEventType,
  type EventType,
} from '../../../core/cycles/event-types.ts';
import type { DomainEvent } from '../../../core/effects.ts';
import { tenantIdOfWire } from '../../../core/webhooks/webhook-rules.ts';
import { refuseScope } from '../../../app/cycles/cycles-caller.ts';
import type { StoredEvent } from '../../../ports/record-store.ts';
import type { EventPosition, EventQuery, EventSort } from '../../../ports/webhook-store.ts';
import { tenantKeyOf } from '../../_shared/cycles-principal.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import { callerOf } from '../budget-fields.ts';
import type { GovernanceMount, GovernanceRouteDeps } from '../governance-deps.ts';
import { filterOneOf, filterRange, filterText, listAnswer, readListPage, type ListPage, type ListPosition } from '../list-page.ts';

const SORTS = ['timestamp', 'event_type', 'category', 'scope', 'tenant_id'] as const satisfies readonly EventSort[];
const TRACE_ID = /^[0-9a-f]{32}$/;

/** The value that a list is sorted by, of one event. */
function sortedBy({ event }: StoredEvent, sortBy: EventSort): string | null {
  switch (sortBy) {
    case 'timestamp':
      return null;
    case 'event_type':
      return event.type;
    case 'category':
      return event.type.slice(0, event.type.indexOf('.'));
    case 'scope':
      return event.scope ?? '';
    case 'tenant_id':
      return event.tenantId;
  }
}

/** Where a page ended, as its cursor keeps it: the moment and the number break ties. */
const positionAt = (stored: StoredEvent, sortBy: EventSort): ListPosition => ({
  value: sortedBy(stored, sortBy),
  id: `${stored.event.atMs}.${stored.seq}`,
});

function positionOf(after: ListPosition | null): EventPosition | null {
  if (after === null) return null;
  const [atMs, seq] = after.id.split('.').map(Number);
  return { key: after.value === null ? null : String(after.value), atMs: atMs ?? 0, seq: seq ?? 0 };
}

/** What both lists can be narrowed by. */
function filtersOf(request: FastifyRequest) {
  const type = filterOneOf(request, 'event_type', EVENT_TYPES);
  const category = filterOneOf(request, 'category', EVENT_CATEGORIES);
  const scope = filterText(request, 'scope')?.toLowerCase();
  const correlationId = filterText(request, 'correlation_id');
  const types = EVENT_TYPES.filter((each) => (type ?? each) === each && (category === undefined || categoryOf(each) === category));
  const narrowed = {
    ...(scope === undefined ? {} : { scope }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...filterRange(request),
  };
  return { types, narrowed, asked: [type, category, narrowed] };
}

async function page(
  deps: GovernanceRouteDeps,
  asked: ListPage<EventSort>,
  query: Omit<EventQuery, 'sortBy' | 'descending' | 'after' | 'limit'>,
  isShown: (event: DomainEvent) => boolean = () => true,
) {
  const found =
    query.types.length === 0
      ? []
      : await deps.eventReads.listEvents({
          ...query,
          ...(asked.search === null ? {} : { search: asked.search }),
          sortBy: asked.sortBy,
          descending: asked.descending,
          after: positionOf(asked.after),
          limit: asked.limit + 1,
        });
  const { shown, end } = listAnswer(asked, found, positionAt);
  return { events: shown.flatMap(({ event }) => (isRegistered(event) && isShown(event) ? [cyclesEvent(event)] : [])), ...end };
}

const isRegistered = (event: DomainEvent): event is DomainEvent & { readonly type: EventType } => isEventType(event.type);

/** `/v1/admin/events` and below, and what tenants see of it: `GET /v1/events`. Types that are only ours show on the operator API. */
export const mountEvents: GovernanceMount = (app, deps) => {
  app.get('/v1/admin/events', { config: { credential: 'operator' } }, (request) => {
    const { types, narrowed, asked } = filtersOf(request);
    const tenant = filterText(request, 'tenant_id');
    const requestId = filterText(request, 'request_id');
    const traceId = filterText(request, 'trace_id');
    if (traceId !== undefined && !TRACE_ID.test(traceId))
      throw new RefusedRequest({
        code: 'invalid_request',
        message: 'trace_id must be 32 hexadecimal digits in lower case',
        field: 'trace_id',
      });
    const filters = [asked, tenant, requestId, traceId];
    return page(deps, readListPage<EventSort>(request, { list: 'events', sortKeys: SORTS, cursors: deps.cursors, filters }), {
      types,
      ...narrowed,
      ...(tenant === undefined ? {} : { tenantId: tenantIdOfWire(tenant) }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(traceId === undefined ? {} : { traceId }),
    });
  });

  app.get<{ Params: { event_id: string } }>(
    '/v1/admin/events/:event_id',
    { config: { credential: 'operator' } },
    async (request, reply) => {
      const { event_id: id } = request.params;
      const event = (await deps.eventReads.event(id))?.event;
      if (event === undefined || !isRegistered(event))
        throw new RefusedRequest({ code: 'event_not_found', message: `there is no event ${id.slice(0, 64)}` });
      return reply.send(cyclesEvent(event));
    },
  );

  app.get('/v1/events', { config: { credential: 'key', permission: 'events:read' } }, (request) => {
    const { tenant, key } = tenantKeyOf(request);
    const { types, narrowed, asked } = filtersOf(request);
    const scopes = key.scopeFilter ?? [];
    const outside = narrowed.scope === undefined ? null : refuseScope(callerOf(request), narrowed.scope);
    if (outside !== null) throw new RefusedRequest({ code: outside.code, message: outside.message });
    const rules = { list: 'tenant events', sortKeys: ['timestamp'] as const, cursors: deps.cursors, filters: [tenant.id, asked] };
    // Events that concern no scope are the tenant's; of the others a key sees those that its scopes cover.
    const isShown = ({ scope }: DomainEvent): boolean => scope === undefined || filterCovers(scopes, scope);
    const plain: ListPage<EventSort> = { ...readListPage<EventSort>(request, rules), search: null };
    return page(deps, plain, { types: types.filter(isTenantEventType), tenantId: tenant.id, ...narrowed }, isShown);
  });
};
