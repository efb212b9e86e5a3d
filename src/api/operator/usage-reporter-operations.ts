import Type from 'typebox';
import type { QuarantineReason } from '../../core/usage/usage-report.ts';
import { named, object, orNull, Timestamp, WholeNumber, type Operations } from '../_shared/openapi/operation.ts';
import { pageEnd, pageQuery } from './event-operations.ts';
import { OPERATOR_PREFIX } from './prefix.ts';

const BASE = `${OPERATOR_PREFIX}/usage-reporters`;

const reporter = {
  id: Type.String(),
  tenants: Type.Array(Type.String(), { description: 'Usage is booked for keys of these tenants only.' }),
  has_previous_secret: Type.Boolean({ description: 'The secret before the last rotation is good as well.' }),
  previous_secret_until: orNull(Timestamp, 'Null where there is none, or where it is good for as long as the configuration file says so.'),
  created_at: Timestamp,
};

const UsageReporter = named('UsageReporter', object(reporter));
const UsageReporterWithSecret = named(
  'UsageReporterWithSecret',
  object({ ...reporter, secret: Type.Optional(Type.String({ description: 'The secret where it was made here. It is told this once.' })) }),
);

const REASONS = [
  'invalid',
  'unknown_key',
  'foreign_tenant',
  'unknown_model',
  'model_unpriced',
  'unknown_meter',
  'in_future',
  'too_old',
  'out_of_range',
] as const satisfies readonly QuarantineReason[];

const QuarantinedEvent = named(
  'QuarantinedEvent',
  object({
    event_id: Type.String(),
    reason: Type.Union(REASONS.map((reason) => Type.Literal(reason))),
    received_at: Timestamp,
    rule: Type.Optional(Type.String({ description: 'The rule that an `invalid` event breaks; nothing else of it is kept.' })),
    masked_key: Type.Optional(Type.String()),
    request_id: Type.Optional(Type.String()),
    occurred_at: Type.Optional(Timestamp),
    operation: Type.Optional(Type.String()),
    model: Type.Optional(Type.String()),
    route: Type.Optional(Type.String()),
    customer_requests: Type.Optional(WholeNumber),
    input_tokens: Type.Optional(WholeNumber),
    cached_input_tokens: Type.Optional(WholeNumber),
    output_tokens: Type.Optional(WholeNumber),
    unknown_meter: Type.Optional(orNull(Type.String(), 'A meter that has no price here.')),
  }),
);

const PATH = { id: 'The id of the usage reporter.' };

/** Other proxies that report usage, and what of it could not be booked. */
export const USAGE_REPORTER_OPERATIONS: Operations = {
  [`POST ${BASE}`]: {
    id: 'createUsageReporter',
    summary: 'Add a usage reporter',
    description: 'Another proxy that may report what it metered with keys of the named tenants. Without a secret one is made.',
    answers: { 201: { description: 'The new reporter.', schema: UsageReporterWithSecret } },
    errors: [409],
  },
  [`GET ${BASE}`]: {
    id: 'listUsageReporters',
    summary: 'List usage reporters',
    answers: { 200: { description: 'All of them, ordered by id.', schema: object({ usage_reporters: Type.Array(UsageReporter) }) } },
  },
  [`GET ${BASE}/:id`]: {
    id: 'getUsageReporter',
    summary: 'Show a usage reporter',
    path: PATH,
    answers: { 200: { description: 'The reporter; never its secret.', schema: UsageReporter } },
    errors: [404],
  },
  [`PATCH ${BASE}/:id`]: {
    id: 'updateUsageReporter',
    summary: 'Change a usage reporter',
    description: 'A new secret, given or made with `rotate_secret`, leaves the one before good for `grace_seconds`.',
    path: PATH,
    answers: { 200: { description: 'The reporter as it is now.', schema: UsageReporterWithSecret } },
    errors: [404, 409],
  },
  [`DELETE ${BASE}/:id`]: {
    id: 'deleteUsageReporter',
    summary: 'Remove a usage reporter',
    description: 'Its very next report is refused.',
    path: PATH,
    answers: { 204: { description: 'It is gone.' } },
    errors: [404, 409],
  },
  [`GET ${BASE}/:id/quarantine`]: {
    id: 'listQuarantinedEvents',
    summary: 'List events that could not be booked',
    path: PATH,
    query: pageQuery('Events'),
    answers: {
      200: { description: 'A page of events, ordered by id.', schema: object({ events: Type.Array(QuarantinedEvent), ...pageEnd }) },
    },
    errors: [404],
  },
  [`POST ${BASE}/:id/quarantine/retry`]: {
    id: 'retryQuarantinedEvents',
    summary: 'Book what can be booked by now',
    description: 'Judges a thousand quarantined events again, for instance after a model was added.',
    path: PATH,
    query: { cursor: { description: 'The `next_cursor` of the attempt before.', schema: Type.String() } },
    answers: {
      200: {
        description: 'How many were booked, and how many stay.',
        schema: object({ booked: WholeNumber, quarantined: WholeNumber, ...pageEnd }),
      },
    },
    errors: [404],
  },
};
