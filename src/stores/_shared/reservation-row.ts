import type { AccountId, OveragePolicy } from '../../core/ledger/account.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import { endingState } from '../../core/cycles/operation-names.ts';
import type { IdempotencyRecord, IdempotencyRef } from '../../core/effects.ts';
import type { ClientHold, Leg, Reservation, ReservationPurpose, ReservationState } from '../../core/ledger/reservation.ts';
import type { Changes } from '../../core/working-set.ts';

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
  readonly scope_path: string | null;
  readonly held: bigint | null;
  readonly request_key: string | null;
  readonly settled_with: string | null;
}

/** The remembered answers that a reservation keeps: to what made it, and to what ended it. */
export interface KeptAnswersRow {
  readonly tenant_id: string;
  readonly state: string;
  readonly request_key: string | null;
  readonly request_hash: string | null;
  readonly request_answer: string | null;
  readonly settle_key: string | null;
  readonly settle_hash: string | null;
  readonly settle_answer: string | null;
}

/** An answer that a batch puts into a reservation's row. */
export interface KeptAnswer {
  readonly ref: IdempotencyRef;
  readonly record: IdempotencyRecord;
}

/**
 * Added to the grace of a hold that stays until somebody releases it: so it lies beyond whatever is due, in the one index of what is, and
 * no sweep comes by it again and again. In milliseconds: some ten thousand years.
 */
const UNTIL_RELEASED_MS = 2 ** 48;

/** A value to bind. Numbers are moments, lengths, counts and flags. */
export type ReservationValue = string | number | bigint | null;

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
  'scope_path',
  'held',
  'request_key',
  'request_hash',
  'request_answer',
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
  'settled_with',
  'settle_key',
  'settle_hash',
  'settle_answer',
] as const;

/** All columns, fixed ones first. */
export const RESERVATION_COLUMNS = [...RESERVATION_FIXED_COLUMNS, ...RESERVATION_STATE_COLUMNS] as const;

const ANSWER_COLUMNS: ReadonlySet<string> = new Set(['request_hash', 'request_answer', 'settle_key', 'settle_hash', 'settle_answer']);

/** The columns of a reservation itself, without the answers that its row keeps. */
export const RESERVATION_OWN_COLUMNS: readonly string[] = RESERVATION_COLUMNS.filter((column) => !ANSWER_COLUMNS.has(column));

/** The text of a `legs` column: `[[account number, "amount"], ...]`. Account numbers are far below 2^53. */
export function legsToText(legs: readonly Leg[], numberOf: (id: AccountId) => bigint | number): string {
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
export const reservationFixedValues = (
  reservation: Reservation,
  numberOf: (id: AccountId) => bigint | number,
  made?: KeptAnswer,
): ReservationValue[] => [
  reservation.id,
  reservation.tenantId,
  reservation.purpose,
  legsToText(reservation.legs, numberOf),
  reservation.overagePolicy,
  reservation.createdAtMs,
  reservation.graceMs + (reservation.client?.untilReleased === true ? UNTIL_RELEASED_MS : 0),
  reservation.maxExtensions,
  JSON.stringify(reservation.context),
  reservation.client?.scopePath ?? null,
  reservation.client?.amount ?? null,
  reservation.client?.requestKey ?? null,
  made?.record.hash ?? null,
  made === undefined ? null : JSON.stringify(made.record.answer),
];

/** The values of {@link RESERVATION_STATE_COLUMNS}. */
export const reservationStateValues = (reservation: Reservation, ended?: KeptAnswer): ReservationValue[] => [
  reservation.state,
  chargedToText(reservation.charged),
  reservation.expiresAtMs,
  reservation.extensions,
  reservation.finalizedAtMs,
  reservation.settledAtMs,
  reservation.ownerId,
  reservation.checkpoint === null ? null : JSON.stringify(reservation.checkpoint),
  reservation.client?.settledWith ?? null,
  ended?.ref.key ?? null,
  ended?.record.hash ?? null,
  ended === undefined ? null : JSON.stringify(ended.record.answer),
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
  graceMs: Number(row.grace_ms) % UNTIL_RELEASED_MS,
  extensions: Number(row.extensions),
  maxExtensions: Number(row.max_extensions),
  finalizedAtMs: row.finalized_at_ms === null ? null : Number(row.finalized_at_ms),
  settledAtMs: row.settled_at_ms === null ? null : Number(row.settled_at_ms),
  ownerId: row.owner_id,
  context: JSON.parse(row.context) as PlainJson,
  checkpoint: row.checkpoint === null ? null : (JSON.parse(row.checkpoint) as PlainJson),
  ...(row.scope_path === null ? {} : { client: clientOf(row, row.scope_path) }),
});

/** What `read` makes of rows, without those at which it throws. */
export const readable = <R, T>(rows: readonly R[], read: (row: R) => T): T[] =>
  rows.flatMap((row) => {
    try {
      return [read(row)];
    } catch {
      return [];
    }
  });

const clientOf = (row: ReservationRow, scopePath: string): ClientHold => ({
  scopePath,
  amount: row.held ?? 0n,
  requestKey: row.request_key ?? '',
  untilReleased: Number(row.grace_ms) >= UNTIL_RELEASED_MS,
  settledWith: row.settled_with,
});

/** The answer to `ref` that a reservation's row keeps; undefined where it keeps none of that operation and key. */
export function keptAnswerOf(id: string, row: KeptAnswersRow, ref: IdempotencyRef): IdempotencyRecord | undefined {
  if (row.tenant_id !== ref.tenantId) return undefined;
  if (ref.target === '') return row.request_key === ref.key ? keptRecord(id, row.request_hash, row.request_answer) : undefined;
  const isOfOperation = row.settle_key === ref.key && row.state === endingState(ref.operation);
  return isOfOperation ? keptRecord(id, row.settle_hash, row.settle_answer) : undefined;
}

const keptRecord = (id: string, hash: string | null, answer: string | null): IdempotencyRecord | undefined =>
  hash === null || answer === null
    ? undefined
    : { hash, answer: JSON.parse(answer) as PlainJson, expiresAtMs: Number.MAX_SAFE_INTEGER, keptBy: id };

/** The answers of a batch that go into the rows of their reservations, by reservation: to what made it, and to what ended it. */
export function answersByReservation(changes: Changes['idempotency']): Map<string, { made?: KeptAnswer; ended?: KeptAnswer }> {
  const answers = new Map<string, { made?: KeptAnswer; ended?: KeptAnswer }>();
  for (const change of changes) {
    const { keptBy } = change.record;
    if (keptBy === undefined) continue;
    const known = answers.get(keptBy);
    answers.set(keptBy, change.ref.target === '' ? { ...known, made: change } : { ...known, ended: change });
  }
  return answers;
}
