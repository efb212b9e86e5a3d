import Type, { type Static } from 'typebox';
import { SUBJECT_LEVELS } from '../../core/cycles/scope.ts';
import { closed, Flag, listOf, LongCount, Metadata, oneOf, text, textMap, UnsignedInt64, whole } from '../_shared/cycles-fields.ts';
import { Amount, Caps, CommitOveragePolicy, errorOf, SignedAmount } from '../_shared/cycles-schemas.ts';

/** The closed set of error codes of the runtime plane. Source: Cycles protocol, `ErrorCode`. */
const RUNTIME_ERROR_CODES = [
  'INVALID_REQUEST',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BUDGET_EXCEEDED',
  'BUDGET_FROZEN',
  'BUDGET_CLOSED',
  'RESERVATION_EXPIRED',
  'RESERVATION_FINALIZED',
  'IDEMPOTENCY_MISMATCH',
  'UNIT_MISMATCH',
  'OVERDRAFT_LIMIT_EXCEEDED',
  'DEBT_OUTSTANDING',
  'MAX_EXTENSIONS_EXCEEDED',
  'LIMIT_EXCEEDED',
  'TENANT_CLOSED',
  'INTERNAL_ERROR',
] as const;

/** A code of {@link RUNTIME_ERROR_CODES}. */
export type RuntimeErrorCode = (typeof RUNTIME_ERROR_CODES)[number];

/** The body of every error of the runtime plane. Source: Cycles protocol, `ErrorResponse`. */
export const RuntimeError = errorOf(RUNTIME_ERROR_CODES, 'RuntimeError');

/** What makes a request the same as an earlier one. Source: Cycles protocol, `IdempotencyKey`. */
export const IdempotencyKey = text({ min: 1, max: 256 });

const Level = text({ max: 128 });

/**
 * Whom a spend is for. Which values make scopes, and that a blank one counts as absent, is the core's to say. Source: Cycles protocol,
 * `Subject`.
 */
export const Subject = Type.Refine(
  Type.Object(
    {
      tenant: Type.Optional(Level),
      workspace: Type.Optional(Level),
      app: Type.Optional(Level),
      workflow: Type.Optional(Level),
      agent: Type.Optional(Level),
      toolset: Type.Optional(Level),
      dimensions: Type.Optional(textMap({ maxProperties: 16, maxLength: 256 })),
    },
    {
      additionalProperties: false,
      title: 'Subject',
      rule: `an object that names at least one of ${SUBJECT_LEVELS.join(', ')}`,
      documentWith: { minProperties: 1, anyOf: SUBJECT_LEVELS.map((level) => ({ required: [level] })) },
    },
  ),
  (subject) => SUBJECT_LEVELS.some((level) => Object.hasOwn(subject, level)),
  () => 'must name a level',
);

/** What a spend is for. Source: Cycles protocol, `Action`. */
export const Action = closed(
  {
    kind: text({ max: 64 }),
    name: text({ max: 256 }),
    tags: Type.Optional(listOf(text({ max: 64 }), 'a list of at most 10 strings of at most 64 characters', { maxItems: 10 })),
  },
  'Action',
);
export type Action = Static<typeof Action>;

/** What a call used beside the amount. Source: Cycles protocol, `StandardMetrics`. */
const StandardMetrics = closed(
  {
    tokens_input: Type.Optional(LongCount),
    tokens_output: Type.Optional(LongCount),
    latency_ms: Type.Optional(LongCount),
    model_version: Type.Optional(text({ max: 128 })),
    custom: Type.Optional(Metadata),
  },
  'StandardMetrics',
);
type StandardMetrics = Static<typeof StandardMetrics>;

const MAX_TTL_MS = 86_400_000;

/** Body of `POST /v1/decide`. Source: Cycles protocol, `DecisionRequest`. */
export const DecisionRequest = closed(
  {
    idempotency_key: IdempotencyKey,
    subject: Subject,
    action: Action,
    estimate: Amount,
    metadata: Type.Optional(Metadata),
  },
  'DecisionRequest',
);
export type DecisionRequest = Static<typeof DecisionRequest>;

/** Body of `POST /v1/reservations`. What is absent is for policy and tenant to say. Source: Cycles protocol, `ReservationCreateRequest`. */
export const ReservationCreateRequest = closed(
  {
    idempotency_key: IdempotencyKey,
    subject: Subject,
    action: Action,
    estimate: Amount,
    ttl_ms: Type.Optional(whole(1000, MAX_TTL_MS)),
    grace_period_ms: Type.Optional(whole(0, 60_000)),
    overage_policy: Type.Optional(CommitOveragePolicy),
    dry_run: Type.Optional(Flag),
    metadata: Type.Optional(Metadata),
  },
  'ReservationCreateRequest',
);
export type ReservationCreateRequest = Static<typeof ReservationCreateRequest>;

/** Body of `POST /v1/reservations/{id}/commit`. Source: Cycles protocol, `CommitRequest`. */
export const CommitRequest = closed(
  {
    idempotency_key: IdempotencyKey,
    actual: Amount,
    metrics: Type.Optional(StandardMetrics),
    metadata: Type.Optional(Metadata),
  },
  'CommitRequest',
);
export type CommitRequest = Static<typeof CommitRequest>;

/** Body of `POST /v1/reservations/{id}/release`. Source: Cycles protocol, `ReleaseRequest`. */
export const ReleaseRequest = closed({ idempotency_key: IdempotencyKey, reason: Type.Optional(text({ max: 256 })) }, 'ReleaseRequest');
export type ReleaseRequest = Static<typeof ReleaseRequest>;

/** Body of `POST /v1/reservations/{id}/extend`. Source: Cycles protocol, `ReservationExtendRequest`. */
export const ReservationExtendRequest = closed(
  {
    idempotency_key: IdempotencyKey,
    extend_by_ms: whole(1, MAX_TTL_MS),
    metadata: Type.Optional(Metadata),
  },
  'ReservationExtendRequest',
);
export type ReservationExtendRequest = Static<typeof ReservationExtendRequest>;

/** Body of `POST /v1/events`. Source: Cycles protocol, `EventCreateRequest`. */
export const EventCreateRequest = closed(
  {
    idempotency_key: IdempotencyKey,
    subject: Subject,
    action: Action,
    actual: Amount,
    overage_policy: Type.Optional(CommitOveragePolicy),
    metrics: Type.Optional(StandardMetrics),
    client_time_ms: Type.Optional(UnsignedInt64),
    metadata: Type.Optional(Metadata),
  },
  'EventCreateRequest',
);
export type EventCreateRequest = Static<typeof EventCreateRequest>;

/** What a scope has, in one unit. `scope` is its last segment, `scope_path` the whole path. Source: Cycles protocol, `Balance`. */
export const Balance = closed(
  {
    scope: Type.String(),
    scope_path: Type.String(),
    remaining: SignedAmount,
    reserved: Type.Optional(Amount),
    spent: Type.Optional(Amount),
    debt: Type.Optional(Amount),
    allocated: Type.Optional(Amount),
    overdraft_limit: Type.Optional(Amount),
    is_over_limit: Type.Optional(Flag),
  },
  'Balance',
);
export type Balance = Static<typeof Balance>;

const Balances = Type.Optional(Type.Array(Balance));
const Scopes = Type.Array(Type.String());
const Decision = oneOf(['ALLOW', 'ALLOW_WITH_CAPS', 'DENY']);
const ReasonCode = Type.Optional(text({ max: 128 }));

/** Answer of `POST /v1/decide`. Source: Cycles protocol, `DecisionResponse`. */
export const DecisionResponse = closed(
  {
    decision: Decision,
    caps: Type.Optional(Caps),
    reason_code: ReasonCode,
    retry_after_ms: Type.Optional(whole(0)),
    affected_scopes: Type.Optional(Scopes),
  },
  'DecisionResponse',
);
export type DecisionResponse = Static<typeof DecisionResponse>;

/** Answer of `POST /v1/reservations`. Source: Cycles protocol, `ReservationCreateResponse`. */
export const ReservationCreateResponse = closed(
  {
    decision: Decision,
    reservation_id: Type.Optional(Type.String()),
    reserved: Type.Optional(Amount),
    expires_at_ms: Type.Optional(UnsignedInt64),
    remaining_ttl_ms: Type.Optional(UnsignedInt64),
    scope_path: Type.Optional(Type.String()),
    affected_scopes: Scopes,
    caps: Type.Optional(Caps),
    balances: Balances,
    reason_code: ReasonCode,
    retry_after_ms: Type.Optional(whole(0)),
  },
  'ReservationCreateResponse',
);
export type ReservationCreateResponse = Static<typeof ReservationCreateResponse>;

/** Answer of `POST /v1/reservations/{id}/commit`. Source: Cycles protocol, `CommitResponse`. */
export const CommitResponse = closed(
  { status: oneOf(['COMMITTED']), charged: Amount, released: Type.Optional(Amount), balances: Balances },
  'CommitResponse',
);
export type CommitResponse = Static<typeof CommitResponse>;

/** Answer of `POST /v1/reservations/{id}/release`. Source: Cycles protocol, `ReleaseResponse`. */
export const ReleaseResponse = closed({ status: oneOf(['RELEASED']), released: Amount, balances: Balances }, 'ReleaseResponse');
export type ReleaseResponse = Static<typeof ReleaseResponse>;

/** Answer of `POST /v1/reservations/{id}/extend`. Source: Cycles protocol, `ReservationExtendResponse`. */
export const ReservationExtendResponse = closed(
  {
    status: oneOf(['ACTIVE']),
    expires_at_ms: UnsignedInt64,
    remaining_ttl_ms: Type.Optional(UnsignedInt64),
    balances: Balances,
  },
  'ReservationExtendResponse',
);
export type ReservationExtendResponse = Static<typeof ReservationExtendResponse>;

/** Answer of `POST /v1/events`. Source: Cycles protocol, `EventCreateResponse`. */
export const EventCreateResponse = closed(
  { status: oneOf(['APPLIED']), event_id: Type.String(), charged: Type.Optional(Amount), balances: Balances },
  'EventCreateResponse',
);
export type EventCreateResponse = Static<typeof EventCreateResponse>;
