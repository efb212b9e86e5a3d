/** What a policy counts: reservations that were made, or commits. */
export type RateKind = 'reserve' | 'commit';

/** Which count: one policy's of one kind, or that of a limit of calls, which has a name of its own in the policy's place. */
export interface RateRef {
  readonly tenantId: string;
  readonly policyId: string;
  readonly kind: RateKind;
}

/** How often something happened in a minute of UTC; `minute` is counted from the epoch. Of a count that is of an earlier one nothing is left. */
export interface RateWindow {
  readonly minute: number;
  readonly count: number;
}

/** The most that a policy allows in one minute, as a command carries it. */
export interface RateLimit {
  readonly policyId: string;
  readonly kind: RateKind;
  readonly perMinute: number;
}

/** How a limit stands after a request: what is left of it, and when it starts anew, in milliseconds since the epoch. */
export interface RateView {
  readonly limit: number;
  readonly remaining: number;
  readonly resetAtMs: number;
  readonly [name: string]: number;
}

/** A limit of one minute: on what it was declared, and what it counts. */
export interface MinuteLimit {
  readonly on: 'key' | 'model' | 'upstream';
  readonly id: string;
  readonly unit: 'requests' | 'tokens';
  readonly perMinute: number;
}

/** How a limit stands: what is left of it, and when it starts anew, in milliseconds since the epoch. */
export type RateStanding = Pick<MinuteLimit, 'on' | 'unit'> & {
  readonly limit: number;
  readonly remaining: number;
  readonly resetAtMs: number;
};

/** By how much the tokens of a minute are to change; nothing where another minute has begun. */
export interface TokenChange {
  readonly ref: RateRef;
  readonly minute: number;
  readonly change: number;
}

/** Joins the parts of a {@link RateRef} into one key of a map. */
export const rateMapKey = ({ tenantId, policyId, kind }: RateRef): string => `${tenantId} ${policyId} ${kind}`;
