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
 * What a reservation that a Cycles client made has beside its hold. `scopePath` is its deepest scope, `amount` what each leg holds,
 * `requestKey` the idempotency key that made it. `untilReleased`: nobody returns it when its time is over. `settledWith` is JSON text of
 * what its commit said beside the amount (metadata, metrics), kept as it is; null where it said nothing or there was none.
 */
export interface ClientHold {
  readonly scopePath: string;
  readonly amount: bigint;
  readonly requestKey: string;
  readonly untilReleased: boolean;
  readonly settledWith: string | null;
}

/**
 * A hold on one or more accounts, with a time to live. All moments are milliseconds since the epoch, all lengths milliseconds.
 *
 * `legs` stay as the hold was made, but for accounts that a new rule puts behind the others while the call is in flight. `charged` are the amounts booked at settlement, one for each leg in order, debt
 * included; null until then. `settledAtMs` is when a charge was booked: for a call whose hold had expired it lies after
 * `finalizedAtMs`. `ownerId` is the run of the process that relays the call; empty for holds of Cycles clients. `context` is what a
 * settlement by someone else needs (a call's key, model and pinned price), or JSON text of what a Cycles client said of its hold. `checkpoint` is the last output seen of a call in flight.
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
  /** Absent or null for holds that no Cycles client made. */
  readonly client?: ClientHold | null;
}
