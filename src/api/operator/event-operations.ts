import Type, { type TSchema } from 'typebox';
import { CONTAINER_EVENT_TYPES } from '../../core/containers/event-types.ts';
import { EVENT_TYPES, isEventType } from '../../core/cycles/event-types.ts';
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

const eventOf = (types: readonly string[], data: TSchema) =>
  object({
    id: Type.String(),
    type: Type.Union(types.map((type) => Type.Literal(type))),
    tenant_id: Type.String(),
    created_at: Timestamp,
    data,
  });

const Id = Type.String();
const aKey = { tenant_id: Id, key_id: Id, kind: Type.String(), name: Type.String() };
const aRegistry = { tenant_id: Id, registry: Type.String() };
const aMember = { tenant_id: Id, member_id: Id };

/** An account that is no budget, of whose limit a share is spent. */
const ThresholdEvent = named(
  'ThresholdEvent',
  eventOf(
    Object.values(THRESHOLD_EVENT_TYPES).filter((type) => !isEventType(type)),
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

const Microcents = Type.String({ description: 'USD_MICROCENTS, as a decimal text: it may be negative.' });

const optional = Type.Optional(Type.String());

/** Events that tell of keys and members, and of holds that ran out: with more than the Cycles protocol has, or of what it lacks. */
const OWN_EVENTS = [
  named('KeyEvent', eventOf(['api_key.created', 'api_key.deleted'], object(aKey))),
  named('KeyUpdatedEvent', eventOf(['api_key.updated'], object({ ...aKey, fields: Type.Array(Type.String()) }))),
  named('KeyRotatedEvent', eventOf(['api_key.rotated'], object({ ...aKey, previous_valid_until: orNull(Timestamp) }))),
  named('MemberEvent', eventOf(['member.added', 'member.updated'], object({ ...aMember, role: Type.String() }))),
  named('MemberRemovedEvent', eventOf(['member.removed'], object(aMember))),
  named('ProjectSettingsEvent', eventOf(['project_settings.updated'], object({ ...aMember, changed_fields: Type.Array(Type.String()) }))),
  named(
    'WindowBudgetEvent',
    eventOf(
      ['budget_rule.created', 'budget_rule.updated', 'budget_rule.deleted', 'budget_rule.reset'],
      object({
        tenant_id: Id,
        budget_id: Id,
        scope: Type.String(),
        target: Type.Optional(Id),
        period: Type.String(),
        limit: WholeNumber,
        unit: Type.String(),
        window: Type.Optional(Type.String()),
        window_target: Type.Optional(Type.String()),
        spent: Type.Optional(WholeNumber),
      }),
    ),
  ),
  named(
    'BalanceCreditedEvent',
    eventOf(
      ['balance.credited'],
      object(
        {
          tenant_id: Id,
          credit_id: Id,
          scope: Type.String(),
          unit: Type.String(),
          credited: WholeNumber,
          remaining: WholeNumber,
          reason: Type.String(),
        },
        { description: 'Amounts in micro-cents of the currency; what was taken back is negative.' },
      ),
    ),
  ),
  named(
    'StatementIssuedEvent',
    eventOf(['statement.issued'], object({ statement_id: Id, number: Id, month: Id, total_microcents: Microcents })),
  ),
  named(
    'BillCorrectionEvent',
    eventOf(['bill_correction.created'], object({ correction_id: Id, charge_microcents: Microcents, concerns: orNull(Type.String()) })),
  ),
  named('SecretEvent', eventOf(['secret.created', 'secret.deleted'], object({ tenant_id: Id, name: Id }))),
  named('SecretUpdatedEvent', eventOf(['secret.updated'], object({ tenant_id: Id, name: Id, used_by: Type.Array(Type.String()) }))),
  named('DomainEvent', eventOf(['domain.created', 'domain.deleted'], object({ tenant_id: Id, domain: Id }))),
  named(
    'DomainCheckedEvent',
    eventOf(['domain.verified', 'domain.lost'], object({ tenant_id: Id, domain: Id, used_by: Type.Array(Type.String()) })),
  ),
  named(
    'SshKeyEvent',
    eventOf(
      ['ssh_key.created', 'ssh_key.deleted'],
      object({ tenant_id: Id, name: Id, key_type: Type.String(), fingerprint: Type.String() }),
    ),
  ),
  named('RegistryCredentialUpdatedEvent', eventOf(['registry_credential.updated'], object({ ...aRegistry, username: Type.String() }))),
  named('RegistryCredentialEvent', eventOf(['registry_credential.deleted', 'registry_credential.expired'], object(aRegistry))),
  named(
    'ContainerEvent',
    eventOf(
      CONTAINER_EVENT_TYPES,
      object({
        tenant_id: Id,
        container_id: Id,
        name: Type.String(),
        repo: Type.String(),
        status: Type.String(),
        deployment_id: Id,
        tag: Type.String(),
        host: Type.String(),
        replaces: optional,
        error_message: optional,
      }),
    ),
  ),
  named(
    'CallModelMismatchEvent',
    eventOf(
      ['call.model_mismatch'],
      object(
        {
          call_id: Id,
          key_id: Id,
          upstream_id: Id,
          named_model: orNull(Id),
          reported_model: orNull(Id),
          booked_model: Id,
        },
        {
          description:
            'A sealed call asked for another model than it named, or for one that nobody knows; null: none was named, or reported.',
        },
      ),
    ),
  ),
  named('ContainersOrganizedEvent', eventOf(['container.organized'], object({ tenant_id: Id, change: Type.String() }))),
  named(
    'ReservationExpiredEvent',
    eventOf(
      ['reservation.expired'],
      object({
        reservation_id: Type.String(),
        scope: optional,
        unit: optional,
        estimated_amount: Type.Optional(WholeNumber),
        created_at: Timestamp,
        expired_at: Timestamp,
        created_at_ms: WholeNumber,
        expired_at_ms: WholeNumber,
        ttl_ms: WholeNumber,
        extensions_used: Type.Integer(),
      }),
    ),
  ),
];

/** Events of the types that the Cycles protocol registers. Each has the data that the governance plane tells of, which has the schemas. */
const RegisteredEvent = named(
  'RegisteredEvent',
  eventOf(
    EVENT_TYPES.filter((type) => type !== 'reservation.expired'),
    Type.Unsafe<Readonly<Record<string, unknown>>>({
      type: 'object',
      description: "As the schema `EventData...` of its type in the Cycles protocol's governance document.",
      additionalProperties: true,
    }),
  ),
);

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
        schema: object({ events: Type.Array(Type.Union([ThresholdEvent, ...OWN_EVENTS, RegisteredEvent])), ...pageEnd }),
        headers: PAGE_HEADERS,
      },
    },
    errors: [404],
    security: ['operatorKey', 'adminKey'],
  },
};
