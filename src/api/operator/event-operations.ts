import Type from 'typebox';
import { THRESHOLD_EVENT_TYPES } from '../../core/events/crossed-thresholds.ts';
import { named, object, orNull, Timestamp, WholeNumber, type Operations, type Parameter } from '../_shared/openapi/operation.ts';
import { OPERATOR_PREFIX } from './prefix.ts';

/** The part of a list that a request asks for. */
export const pageQuery = (items: string): Readonly<Record<string, Parameter>> => ({
  limit: { description: `${items} in a page.`, schema: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }) },
  cursor: { description: 'The `next_cursor` of the page before.', schema: Type.String() },
});

/** Whose things a list shows; whoever comes by an admin key need not say. */
export const listedTenant: Parameter = {
  description: 'The id of the tenant. The operator must name it; an admin key sees its own only.',
  schema: Type.String(),
};

/** What the answer of a list says of the page that follows. */
export const PAGE_HEADERS = { Link: 'Where the next page is, relative to this one (RFC 8288); left out on the last page.' };
export const pageEnd = { has_more: Type.Boolean(), next_cursor: orNull(Type.String()) };

const eventOf = (types: readonly string[], data: ReturnType<typeof Type.Object>) =>
  object({
    id: Type.String(),
    type: Type.Union(types.map((type) => Type.Literal(type))),
    tenant_id: Type.String(),
    created_at: Timestamp,
    data,
  });

const Id = Type.String();
const aKey = { tenant_id: Id, key_id: Id, kind: Type.String(), name: Type.String() };
const aMember = { tenant_id: Id, member_id: Id };

const ThresholdEvent = named(
  'ThresholdEvent',
  eventOf(
    Object.values(THRESHOLD_EVENT_TYPES),
    object(
      {
        tenant_id: Id,
        key_id: Type.Optional(Type.String({ description: 'Where the account is that of a key.' })),
        kind: Type.String(),
        scope: Type.String(),
        unit: Type.String(),
        period: Type.Optional(Type.String({ description: 'Of a window.' })),
        threshold_percent: Type.Integer({ description: '50, 80, 95 or 100.' }),
        limit: WholeNumber,
        spent: WholeNumber,
        reserved: WholeNumber,
        remaining: WholeNumber,
      },
      { description: 'An account, of whose limit that share is spent. Told once until a higher limit or a reset puts it below again.' },
    ),
  ),
);

/** Events that tell of keys, members, the tenant, and holds that ran out. */
const TENANT_EVENTS = [
  named('KeyEvent', eventOf(['api_key.created', 'api_key.deleted'], object(aKey))),
  named('KeyUpdatedEvent', eventOf(['api_key.updated'], object({ ...aKey, fields: Type.Array(Type.String()) }))),
  named('KeyRotatedEvent', eventOf(['api_key.rotated'], object({ ...aKey, previous_valid_until: orNull(Timestamp) }))),
  named('MemberEvent', eventOf(['member.added', 'member.updated'], object({ ...aMember, role: Type.String() }))),
  named('MemberRemovedEvent', eventOf(['member.removed'], object(aMember))),
  named('TenantCreatedEvent', eventOf(['tenant.created'], object({ tenant_id: Id, name: Type.String() }))),
  named('TenantUpdatedEvent', eventOf(['tenant.updated'], object({ tenant_id: Id, name: Type.String(), status: Type.String() }))),
  named(
    'ReservationExpiredEvent',
    eventOf(['reservation.expired'], object({ reservation_id: Id, created_at_ms: WholeNumber, expired_at_ms: WholeNumber })),
  ),
];

const BudgetState = named(
  'BudgetState',
  object({
    allocated: WholeNumber,
    remaining: WholeNumber,
    debt: WholeNumber,
    spent: WholeNumber,
    reserved: WholeNumber,
    status: Type.String(),
  }),
);

const BUDGET_EVENT_TYPES = [
  'budget.created',
  'budget.updated',
  'budget.funded',
  'budget.debited',
  'budget.reset',
  'budget.reset_spent',
  'budget.debt_repaid',
  'budget.frozen',
  'budget.unfrozen',
  'budget.closed',
];

const BudgetEvent = named(
  'BudgetEvent',
  eventOf(
    BUDGET_EVENT_TYPES,
    object({
      ledger_id: Id,
      scope: Type.String(),
      unit: Type.String(),
      operation: Type.String({ description: 'What was done to the budget.' }),
      previous_state: Type.Optional(BudgetState),
      changed_fields: Type.Optional(Type.Array(Type.String())),
      new_state: BudgetState,
      spent_override_provided: Type.Optional(Type.Boolean()),
      reason: Type.Optional(Type.String()),
    }),
  ),
);

const aPolicy = { policy_id: Id, name: Type.String(), scope_pattern: Type.String() };

/** Events that tell of budgets and policies, as the Cycles surfaces change them. */
const CYCLES_EVENTS = [
  BudgetEvent,
  named('PolicyEvent', eventOf(['policy.created', 'policy.deleted'], object(aPolicy))),
  named('PolicyUpdatedEvent', eventOf(['policy.updated'], object({ ...aPolicy, changed_fields: Type.Array(Type.String()) }))),
];

/** What happened to a tenant. */
export const EVENT_OPERATIONS: Operations = {
  [`GET ${OPERATOR_PREFIX}/events`]: {
    id: 'listEvents',
    summary: 'List what happened to a tenant',
    description: 'Newest first, a page at a time. Later versions tell of more: pass over the types that you do not know.',
    query: {
      tenant_id: listedTenant,
      type: { description: 'Only events of this type, such as `api_key.threshold_crossed`.', schema: Type.String() },
      ...pageQuery('Events'),
    },
    answers: {
      200: {
        description: 'A page of events.',
        schema: object({ events: Type.Array(Type.Union([ThresholdEvent, ...TENANT_EVENTS, ...CYCLES_EVENTS])), ...pageEnd }),
        headers: PAGE_HEADERS,
      },
    },
    errors: [404],
    security: ['operatorKey', 'adminKey'],
  },
};
