import type { AccountId, OveragePolicy } from '../../core/ledger/account.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { Leg, Reservation, ReservationPurpose, ReservationState } from '../../core/ledger/reservation.ts';

/** A row of `reservations` as both drivers give it: every integer as a bigint, every JSON column as its text. */
export interface ReservationRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly purpose: string;
  readonly state: string;
  readonly legs: string;
  readonly charged: string | null;
  readonly overage_policy: string;
  readonly created_at_ms: bigint;
  readonly expires_at_ms: bigint;
  readonly grace_ms: bigint;
  readonly extensions: bigint;
  readonly max_extensions: bigint;
  readonly finalized_at_ms: bigint | null;
  readonly settled_at_ms: bigint | null;
  readonly owner_id: string;
  readonly context: string;
  readonly checkpoint: string | null;
}

/** A value to bind. Numbers are moments, lengths and counts. */
export type ReservationValue = string | number | null;

/** What is written once, in the order of {@link reservationFixedValues}. */
export const RESERVATION_FIXED_COLUMNS = [
  'id',
  'tenant_id',
  'purpose',
  'legs',
  'overage_policy',
  'created_at_ms',
  'grace_ms',
  'max_extensions',
  'context',
] as const;

/** What changes while a reservation lives, in the order of {@link reservationStateValues}. */
export const RESERVATION_STATE_COLUMNS = [
  'state',
  'charged',
  'expires_at_ms',
  'extensions',
  'finalized_at_ms',
  'settled_at_ms',
  'owner_id',
  'checkpoint',
] as const;

/** All columns, fixed ones first. */
export const RESERVATION_COLUMNS = [...RESERVATION_FIXED_COLUMNS, ...RESERVATION_STATE_COLUMNS] as const;

/** The text of a `legs` column: `[[account number, "amount"], ...]`. Account numbers are far below 2^53. */
function legsToText(legs: readonly Leg[], numberOf: (id: AccountId) => bigint | number): string {
  let text = '[';
  for (const leg of legs) text += `${text.length > 1 ? ',' : ''}[${numberOf(leg.accountId)},"${leg.amount}"]`;
  return `${text}]`;
}

/** The account numbers and amounts of a `legs` column. */
const legsFromText = (text: string): { accountNo: number; amount: bigint }[] =>
  (JSON.parse(text) as [number, string][]).map(([accountNo, amount]) => ({ accountNo, amount: BigInt(amount) }));

/** The text of a `charged` column: `["amount", ...]`, or null before the settlement. */
const chargedToText = (charged: readonly bigint[] | null): string | null =>
  charged === null ? null : charged.length === 0 ? '[]' : `["${charged.join('","')}"]`;

/** The values of {@link RESERVATION_FIXED_COLUMNS}. */
export const reservationFixedValues = (reservation: Reservation, numberOf: (id: AccountId) => bigint | number): ReservationValue[] => [
  reservation.id,
  reservation.tenantId,
  reservation.purpose,
  legsToText(reservation.legs, numberOf),
  reservation.overagePolicy,
  reservation.createdAtMs,
  reservation.graceMs,
  reservation.maxExtensions,
  JSON.stringify(reservation.context),
];

/** The values of {@link RESERVATION_STATE_COLUMNS}. */
export const reservationStateValues = (reservation: Reservation): ReservationValue[] => [
  reservation.state,
  chargedToText(reservation.charged),
  reservation.expiresAtMs,
  reservation.extensions,
  reservation.finalizedAtMs,
  reservation.settledAtMs,
  reservation.ownerId,
  reservation.checkpoint === null ? null : JSON.stringify(reservation.checkpoint),
];

/** The reservation of a row. `idOf` finds the account of a number; the caller has loaded those of its legs. */
export const reservationFromRow = (row: ReservationRow, idOf: (accountNo: number) => AccountId): Reservation => ({
  id: row.id,
  tenantId: row.tenant_id,
  purpose: row.purpose as ReservationPurpose,
  state: row.state as ReservationState,
  legs: legsFromText(row.legs).map(({ accountNo, amount }) => ({ accountId: idOf(accountNo), amount })),
  charged: row.charged === null ? null : (JSON.parse(row.charged) as string[]).map(BigInt),
  overagePolicy: row.overage_policy as OveragePolicy,
  createdAtMs: Number(row.created_at_ms),
  expiresAtMs: Number(row.expires_at_ms),
  graceMs: Number(row.grace_ms),
  extensions: Number(row.extensions),
  maxExtensions: Number(row.max_extensions),
  finalizedAtMs: row.finalized_at_ms === null ? null : Number(row.finalized_at_ms),
  settledAtMs: row.settled_at_ms === null ? null : Number(row.settled_at_ms),
  ownerId: row.owner_id,
  context: JSON.parse(row.context) as PlainJson,
  checkpoint: row.checkpoint === null ? null : (JSON.parse(row.checkpoint) as PlainJson),
});
