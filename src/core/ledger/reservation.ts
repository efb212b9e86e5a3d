import type { PlainJson } from '../json/plain-json.ts';
import type { AccountId, OveragePolicy } from './account.ts';

/** ACTIVE holds; COMMITTED spent; RELEASED and EXPIRED returned what they held. Only ACTIVE may change, and only once (L4). */
export type ReservationState = 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'EXPIRED';

/** `call`: a gateway call, settled by force with what it really used. `budget`: made by a Cycles client, settled by its overage policy. */
export type ReservationPurpose = 'call' | 'budget';

/** One account's part in a reservation. `amount` is held, int64 in the account's unit, never negative. */
export interface Leg {
  readonly accountId: AccountId;
  readonly amount: bigint;
}

/**
 * A hold on one or more accounts, with a time to live. All moments are milliseconds since the epoch, all lengths milliseconds.
 *
 * `legs` never change after the hold was made. `charged` are the amounts booked at settlement, one for each leg in order, debt
 * included; null until then. `settledAtMs` is when a charge was booked: for a call whose hold had expired it lies after
 * `finalizedAtMs`. `ownerId` is the run of the process that relays the call; empty for holds of Cycles clients. `context` is what a
 * settlement by someone else needs (a call's key, model and pinned price). `checkpoint` is the last output seen of a call in flight.
 */
export interface Reservation {
  readonly id: string;
  readonly tenantId: string;
  readonly purpose: ReservationPurpose;
  readonly state: ReservationState;
  readonly legs: readonly Leg[];
  readonly charged: readonly bigint[] | null;
  readonly overagePolicy: OveragePolicy;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly graceMs: number;
  readonly extensions: number;
  readonly maxExtensions: number;
  readonly finalizedAtMs: number | null;
  readonly settledAtMs: number | null;
  readonly ownerId: string;
  readonly context: PlainJson;
  readonly checkpoint: PlainJson;
}
