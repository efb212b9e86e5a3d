import { denialReason } from '../../app/cycles/denials.ts';
import type { EvaluatedHold, MadeHold } from '../../app/cycles/reserve-budget.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import { amountText, balancesText, namesText } from './answers.ts';

const capsText = (caps: PlainJson): string => (caps === null ? '' : `,"caps":${JSON.stringify(caps)}`);

/** The decision of an evaluation, with its reason, its advice and when trying again may help. */
function verdictText({ answer }: EvaluatedHold): string {
  const { denied, caps, retryAfterMs } = answer;
  if (denied === null) return `{"decision":"${caps === null ? 'ALLOW' : 'ALLOW_WITH_CAPS'}"${capsText(caps)}`;
  const reason = denialReason(denied) ?? denied.toUpperCase();
  return `{"decision":"DENY","reason_code":"${reason}"${retryAfterMs === null ? '' : `,"retry_after_ms":${retryAfterMs}`}`;
}

/** The answer of `POST /v1/decide`. */
export const decisionText = (evaluated: EvaluatedHold): string =>
  `${verdictText(evaluated)},"affected_scopes":${namesText(evaluated.scopes)}}`;

/** The answer of a dry run: of a reservation that would be made, or not. Nothing is in it that only a real one has. */
export function dryRunText(evaluated: EvaluatedHold): string {
  const { scopes, path, unit, amount, answer } = evaluated;
  const reserved = answer.denied === null ? `,"reserved":${amountText(unit, amount)}` : '';
  return `${verdictText(evaluated)},"affected_scopes":${namesText(scopes)},"scope_path":"${path}"${reserved},"balances":${balancesText(unit, answer.balances)}}`;
}

/** The answer of a reservation that was made. */
export function reservationMadeText({ scopes, path, unit, amount, answer }: MadeHold): string {
  const { reservationId, expiresAtMs, remainingTtlMs, caps, balances } = answer;
  return (
    `{"decision":"${caps === null ? 'ALLOW' : 'ALLOW_WITH_CAPS'}","reservation_id":"${reservationId}","affected_scopes":${namesText(scopes)}` +
    `,"expires_at_ms":${expiresAtMs},"remaining_ttl_ms":${remainingTtlMs},"scope_path":"${path}","reserved":${amountText(unit, amount)}` +
    `${capsText(caps)},"balances":${balancesText(unit, balances)}}`
  );
}
