import { EVENT_CATEGORIES, EVENT_TYPES } from '../../../core/cycles/event-types.ts';
import type { Operation, Operations, Parameter } from '../../_shared/openapi/operation.ts';
import { CyclesEvent, EventListResponse } from '../schemas/events.ts';
import { answer, choice, EVERYWHERE, moment, page, search, sorting, TENANT, traceFilter, words } from './shared.ts';

const kinds: Readonly<Record<string, Parameter>> = {
  event_type: choice('Only events of this type.', EVENT_TYPES),
  category: choice('Only events of this category.', EVENT_CATEGORIES),
  scope: words('Only what concerns this scope.'),
  correlation_id: words('Only what belongs together by this id.'),
};
const window: Readonly<Record<string, Parameter>> = {
  from: moment('Only from this moment on.'),
  to: moment('Only up to this moment.'),
};

/** The operator's operations of events. Source: Cycles governance, `/v1/admin/events`. */
export const ADMIN_EVENT_OPERATIONS: Operations = {
  'GET /v1/admin/events': {
    id: 'listEvents',
    summary: 'List events',
    query: {
      tenant_id: words('Only events of this tenant.'),
      ...kinds,
      trace_id: traceFilter,
      request_id: words('Only what this request caused.'),
      ...window,
      search,
      ...sorting(['event_type', 'category', 'scope', 'tenant_id', 'timestamp'], 'timestamp'),
      ...page,
    },
    answers: { 200: answer('A page of events.', EventListResponse) },
    errors: EVERYWHERE,
  },
  'GET /v1/admin/events/:event_id': {
    id: 'getEvent',
    summary: 'Show an event',
    path: { event_id: 'The id of the event.' },
    answers: { 200: answer('The event.', CyclesEvent) },
    errors: [...EVERYWHERE, 404],
  },
};

/** What tenants see of events. Source: Cycles governance, `GET /v1/events`. The runtime plane has the same path, for another method. */
export const TENANT_EVENTS: Operation = {
  id: 'listTenantEvents',
  summary: 'List events of the tenant',
  description: 'Those of budgets, reservations and the tenant itself.',
  query: { ...kinds, ...window, ...page },
  answers: { 200: answer('A page of events.', EventListResponse) },
  errors: EVERYWHERE,
  security: TENANT,
};

/** The operations of events, the operator's and the tenants'. */
export const EVENT_OPERATIONS: Operations = { ...ADMIN_EVENT_OPERATIONS, 'GET /v1/events': TENANT_EVENTS };
