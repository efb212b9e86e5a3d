import Type, { type Static } from 'typebox';
import { closed, Flag, Metadata, oneOf, SignedInt64, UnsignedInt64 } from '../_shared/cycles-fields.ts';
import { Amount } from '../_shared/cycles-schemas.ts';
import { Action, Balance, IdempotencyKey, Subject } from './schemas.ts';

/** The states of a reservation. Source: Cycles protocol, `ReservationStatus`. */
export const RESERVATION_STATUSES = ['ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED'] as const;

/** By what reservations can be sorted; `created_at_ms` where nothing is said. Source: Cycles protocol, `listReservations`. */
export const RESERVATION_SORT_KEYS = [
  'reservation_id',
  'tenant',
  'scope_path',
  'status',
  'reserved',
  'created_at_ms',
  'expires_at_ms',
] as const;

/** What both forms of a reservation have, but its moments. */
const shared = {
  reservation_id: Type.String(),
  status: oneOf(RESERVATION_STATUSES),
  idempotency_key: Type.Optional(IdempotencyKey),
  subject: Subject,
  action: Action,
  reserved: Amount,
  committed: Type.Optional(Amount),
  scope_path: Type.String(),
  affected_scopes: Type.Array(Type.String()),
  metadata: Type.Optional(Metadata),
  committed_metadata: Type.Optional(Metadata),
};

/** Answer of `GET /v1/reservations/{id}`. Source: Cycles protocol, `ReservationDetail`. */
export const ReservationDetail = closed(
  {
    ...shared,
    created_at_ms: SignedInt64,
    expires_at_ms: SignedInt64,
    finalized_at_ms: Type.Optional(SignedInt64),
  },
  'ReservationDetail',
);
export type ReservationDetail = Static<typeof ReservationDetail>;

/** A reservation of a list; the maps of metadata only where the request includes them. Source: Cycles protocol, `ReservationSummary`. */
const ReservationSummary = closed(
  {
    ...shared,
    created_at_ms: UnsignedInt64,
    expires_at_ms: UnsignedInt64,
    finalized_at_ms: Type.Optional(UnsignedInt64),
  },
  'ReservationSummary',
);
type ReservationSummary = Static<typeof ReservationSummary>;

/** Answer of `GET /v1/reservations`. Source: Cycles protocol, `ReservationListResponse`. */
export const ReservationListResponse = closed(
  {
    reservations: Type.Array(ReservationSummary),
    next_cursor: Type.Optional(Type.String()),
    has_more: Flag,
  },
  'ReservationListResponse',
);
export type ReservationListResponse = Static<typeof ReservationListResponse>;

/** Answer of `GET /v1/balances` on the runtime plane. Source: Cycles protocol, `BalanceResponse`. */
export const BalanceResponse = closed(
  {
    balances: Type.Array(Balance),
    next_cursor: Type.Optional(Type.String()),
    has_more: Flag,
  },
  'BalanceResponse',
);
export type BalanceResponse = Static<typeof BalanceResponse>;
