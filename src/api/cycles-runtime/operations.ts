import Type from 'typebox';
import { text } from '../_shared/cycles-fields.ts';
import { SortDirection } from '../_shared/cycles-schemas.ts';
import type { Answer, Operation, Operations, Parameter, PathPart } from '../_shared/openapi/operation.ts';
import {
  BalanceResponse,
  RESERVATION_SORT_KEYS,
  RESERVATION_STATUSES,
  ReservationDetail,
  ReservationListResponse,
} from './reservation-schemas.ts';
import {
  CommitRequest,
  CommitResponse,
  DecisionRequest,
  DecisionResponse,
  EventCreateRequest,
  EventCreateResponse,
  IdempotencyKey,
  ReleaseRequest,
  ReleaseResponse,
  ReservationCreateRequest,
  ReservationCreateResponse,
  ReservationExtendRequest,
  ReservationExtendResponse,
  RuntimeError,
} from './schemas.ts';

const RATE_LIMIT_HEADERS = {
  'X-RateLimit-Limit': 'How many such calls a policy allows in a minute, where one does.',
  'X-RateLimit-Remaining': 'How many are left of this minute.',
  'X-RateLimit-Reset': 'When the minute ends, in seconds since 1970.',
};

const idempotency: Readonly<Record<string, Parameter>> = {
  'X-Idempotency-Key': { description: 'The same as `idempotency_key` of the body, where it is sent.', schema: IdempotencyKey },
};

const reservationId: Readonly<Record<string, PathPart>> = {
  reservation_id: { description: 'The id of the reservation.', schema: text({ min: 1, max: 128 }) },
};

const level = (name: string): Parameter => ({ description: `Only what concerns this ${name}.`, schema: Type.String() });
const moment = (description: string): Parameter => ({ description, schema: Type.String({ format: 'date-time' }) });

const subjectFilters: Readonly<Record<string, Parameter>> = {
  tenant: { description: "The tenant: that of the key, where a tenant's key asks; needed where the operator does.", schema: Type.String() },
  workspace: level('workspace'),
  app: level('app'),
  workflow: level('workflow'),
  agent: level('agent'),
  toolset: level('toolset'),
};

const page: Readonly<Record<string, Parameter>> = {
  limit: { description: 'Items in a page.', schema: Type.Integer({ minimum: 1, maximum: 200, default: 50 }) },
  cursor: { description: 'The `next_cursor` of the page before, of the same list, filters and order.', schema: Type.String() },
};

const EITHER = ['tenantKey', 'operatorKey'] as const;

const answer = (description: string, schema: NonNullable<Answer['schema']>, headers?: Answer['headers']): Answer => ({
  description,
  schema,
  ...(headers === undefined ? {} : { headers }),
});

const DECISIONS: Operations = {
  'POST /v1/decide': {
    id: 'decide',
    summary: 'Ask whether a spend would be allowed',
    description: 'Holds nothing. What a budget, a policy or the state of the tenant forbids is a `DENY`, not an error.',
    headers: idempotency,
    body: { schema: DecisionRequest },
    answers: { 200: answer('The decision.', DecisionResponse) },
    errors: [400, 401, 403, 409],
  },
};

const RESERVATIONS: Operations = {
  'POST /v1/reservations': {
    id: 'createReservation',
    summary: 'Hold an amount before it is spent',
    description:
      'Holds it on every budget of the scopes of the subject, or on none. With `dry_run` it holds nothing and tells the decision.',
    headers: idempotency,
    body: { schema: ReservationCreateRequest },
    answers: { 200: answer('The reservation, or the decision of a dry run.', ReservationCreateResponse, RATE_LIMIT_HEADERS) },
    errors: [400, 401, 403, 404, 409, 429],
  },
  'GET /v1/reservations': {
    id: 'listReservations',
    summary: 'List reservations',
    description: 'By creation, the newest first, where nothing else is asked for.',
    query: {
      idempotency_key: { description: 'Only the one that was made with this key.', schema: IdempotencyKey },
      status: { description: 'Only those in this state.', schema: Type.String({ enum: [...RESERVATION_STATUSES] }) },
      ...subjectFilters,
      from: moment('Only those created at this moment or later.'),
      to: moment('Only those created at this moment or earlier.'),
      expires_from: moment('Only those that end at this moment or later.'),
      expires_to: moment('Only those that end at this moment or earlier.'),
      finalized_from: moment('Only those finalized at this moment or later.'),
      finalized_to: moment('Only those finalized at this moment or earlier.'),
      sort_by: {
        description: 'By what they are sorted.',
        schema: Type.String({ enum: [...RESERVATION_SORT_KEYS], default: 'created_at_ms' }),
      },
      sort_dir: { description: 'In which direction.', schema: SortDirection },
      include: {
        description: 'Which of `metadata`, `committed_metadata` and `evidence` to show; others are passed over.',
        schema: Type.Array(Type.String()),
        commaSeparated: true,
      },
      ...page,
    },
    answers: { 200: answer('A page of reservations.', ReservationListResponse) },
    errors: [400, 401, 403],
    security: EITHER,
  },
  'GET /v1/reservations/:reservation_id': {
    id: 'getReservation',
    summary: 'Show a reservation',
    description: 'One that ran out is gone (410); the list still shows it.',
    path: reservationId,
    answers: { 200: answer('The reservation.', ReservationDetail) },
    errors: [400, 401, 403, 404, 410],
    security: EITHER,
  },
};

const SETTLEMENTS: Operations = {
  'POST /v1/reservations/:reservation_id/commit': {
    id: 'commitReservation',
    summary: 'Settle a reservation with what was spent',
    path: reservationId,
    headers: idempotency,
    body: { schema: CommitRequest },
    answers: { 200: answer('What was charged and what went back.', CommitResponse, RATE_LIMIT_HEADERS) },
    errors: [400, 401, 403, 404, 409, 410, 429],
  },
  'POST /v1/reservations/:reservation_id/release': {
    id: 'releaseReservation',
    summary: 'Give a reservation back',
    path: reservationId,
    headers: idempotency,
    body: { schema: ReleaseRequest },
    answers: { 200: answer('What went back.', ReleaseResponse) },
    errors: [400, 401, 403, 404, 409, 410],
    security: EITHER,
  },
  'POST /v1/reservations/:reservation_id/extend': {
    id: 'extendReservation',
    summary: 'Hold a reservation for longer',
    description: 'Adds to the moment at which it ends, not to now.',
    path: reservationId,
    headers: idempotency,
    body: { schema: ReservationExtendRequest },
    answers: { 200: answer('When it ends now.', ReservationExtendResponse) },
    errors: [400, 401, 403, 404, 409, 410, 429],
  },
};

/** `GET /v1/balances` as the runtime plane has it: whoever names a level of a subject. The governance plane has another of this path. */
export const RUNTIME_BALANCES: Operation = {
  id: 'getBalances',
  summary: 'Show what the budgets of a subject have',
  description: 'At least one level of a subject must be named.',
  query: {
    ...subjectFilters,
    include_children: { description: 'Also the scopes below those named.', schema: Type.Boolean({ default: false }) },
    ...page,
  },
  answers: { 200: answer('A page of balances.', BalanceResponse) },
  errors: [400, 401, 403],
};

const BALANCES_AND_EVENTS: Operations = {
  'GET /v1/balances': RUNTIME_BALANCES,
  'POST /v1/events': {
    id: 'createEvent',
    summary: 'Book a spend that was not held before',
    headers: idempotency,
    body: { schema: EventCreateRequest },
    answers: { 201: answer('It is booked.', EventCreateResponse) },
    errors: [400, 401, 403, 404, 409],
  },
};

const NO_EVIDENCE = { description: 'This server keeps no evidence.', schema: RuntimeError };

const EVIDENCE: Operations = {
  'GET /v1/evidence/:evidence_id': {
    id: 'getEvidence',
    summary: 'Show signed evidence of a decision',
    path: {
      evidence_id: { description: 'The id of the evidence: 64 hexadecimal digits.', schema: Type.String({ pattern: '^[0-9a-f]{64}$' }) },
    },
    answers: { 404: NO_EVIDENCE },
    errors: [400, 429],
    security: [],
  },
  'GET /v1/.well-known/cycles-jwks.json': {
    id: 'getEvidenceJwks',
    summary: 'Show the keys that evidence is signed with',
    answers: { 404: NO_EVIDENCE },
    errors: [429],
    security: [],
  },
};

/** The operations of the Cycles runtime plane, as its document and its tests know them. Source: Cycles protocol, paths. */
export const RUNTIME_OPERATIONS: Operations = {
  ...DECISIONS,
  ...RESERVATIONS,
  ...SETTLEMENTS,
  ...BALANCES_AND_EVENTS,
  ...EVIDENCE,
};
