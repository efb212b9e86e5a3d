import { scopesOf } from '../../core/cycles/budget-request.ts';
import { finalizedAtOf } from '../../core/cycles/reservation-query.ts';
import { lastSegment } from '../../core/cycles/scope.ts';
import { parseJson, stringifyJson } from '../../core/json/int64.ts';
import { parseAccountId, type Account } from '../../core/ledger/account.ts';
import { balanceLine, type BalanceLine } from '../../core/ledger/balance-line.ts';
import type { Reservation } from '../../core/ledger/reservation.ts';

/**
 * The answers of the runtime plane as JSON text. They are put together from text: amounts stay the digits that the ledger gave, of
 * whatever size, and an answer costs no object for each balance. What goes in without escapes (scopes, units, ids) is made of letters,
 * digits and `:/._-` alone.
 */
export const amountText = (unit: string, digits: string | bigint): string => `{"unit":"${unit}","amount":${digits}}`;

function balanceText(unit: string, line: BalanceLine): string {
  const [path, allocated, remaining, spent, reserved, debt, overdraftLimit, isOverLimit] = line;
  let text = `{"scope":"${lastSegment(path)}","scope_path":"${path}","remaining":${amountText(unit, remaining)}`;
  text += `,"reserved":${amountText(unit, reserved)},"spent":${amountText(unit, spent)},"allocated":${amountText(unit, allocated)}`;
  if (debt !== '0') text += `,"debt":${amountText(unit, debt)}`;
  if (overdraftLimit !== '0') text += `,"overdraft_limit":${amountText(unit, overdraftLimit)}`;
  if (isOverLimit === 1) text += ',"is_over_limit":true';
  return `${text}}`;
}

/** A list of balances in one unit. Debt, overdraft limit and being over it are left out where there are none. */
export const balancesText = (unit: string, lines: readonly BalanceLine[]): string =>
  `[${lines.map((line) => balanceText(unit, line)).join(',')}]`;

/** A list of strings that need no escapes. */
export const namesText = (names: readonly string[]): string => (names.length === 0 ? '[]' : `["${names.join('","')}"]`);

/** The balances of accounts, which may be in several units. */
export const accountBalancesText = (accounts: readonly Account[]): string => {
  const texts = accounts.flatMap((account) => {
    const line = balanceLine(account);
    return line === null ? [] : [balanceText(account.unit, line)];
  });
  return `[${texts.join(',')}]`;
};

/** What a client said of its reservation beside the amount, as it came. */
interface Said {
  readonly subject?: unknown;
  readonly action?: unknown;
  readonly metadata?: unknown;
}

const saidOf = (text: unknown): Said => (typeof text === 'string' ? (parseJson(text) as Said) : {});

/** Which of the larger parts of a reservation are shown. */
export interface Projection {
  readonly metadata: boolean;
  readonly committedMetadata: boolean;
}

/** A reservation as the protocol shows it. What is not known is left out. Source: Cycles protocol, `ReservationSummary`, `ReservationDetail`. */
export function reservationText(reservation: Reservation, shown: Projection): string {
  const { id, client, state, charged, createdAtMs, expiresAtMs } = reservation;
  const [leg] = reservation.legs;
  const unit = leg === undefined ? '' : parseAccountId(leg.accountId).unit;
  const path = client?.scopePath ?? '';
  const said = saidOf(reservation.context);
  const finalizedAtMs = finalizedAtOf(reservation);
  const settledWith = saidOf(client?.settledWith);
  const committed = state === 'COMMITTED' ? charged?.[0] : undefined;
  const key = client?.requestKey ?? '';
  let text = `{"reservation_id":"${id}","status":"${state}"`;
  if (key !== '') text += `,"idempotency_key":${JSON.stringify(key)}`;
  text += `,"subject":${stringifyJson(said.subject ?? {})},"action":${stringifyJson(said.action ?? {})}`;
  text += `,"reserved":${amountText(unit, client?.amount ?? 0n)}`;
  if (committed !== undefined) text += `,"committed":${amountText(unit, committed)}`;
  text += `,"created_at_ms":${createdAtMs},"expires_at_ms":${expiresAtMs}`;
  if (finalizedAtMs !== null) text += `,"finalized_at_ms":${finalizedAtMs}`;
  text += `,"scope_path":"${path}","affected_scopes":${namesText(scopesOf(path))}`;
  if (shown.metadata && said.metadata !== undefined) text += `,"metadata":${stringifyJson(said.metadata)}`;
  if (shown.committedMetadata && settledWith.metadata !== undefined) text += `,"committed_metadata":${stringifyJson(settledWith.metadata)}`;
  return `${text}}`;
}
