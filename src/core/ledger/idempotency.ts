import { isKeptWithReservation } from '../cycles/operation-names.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State } from '../verb.ts';
import type { CommandIdempotency } from './commands.ts';
import type { PlainJson } from '../json/plain-json.ts';

/** The idempotency rows that a command needs: its own, if the caller gave a key. */
export const idempotencyNeeds = (idempotency: CommandIdempotency | undefined): { idempotency: CommandIdempotency['ref'][] } => ({
  idempotency: idempotency === undefined ? [] : [idempotency.ref],
});

/** The time of an answer that goes with something else. */
const KEPT_FOR_GOOD_MS = Number.MAX_SAFE_INTEGER;

/**
 * Decides once for each idempotency key: the same key and body get the first answer again and change nothing; another body is
 * `idempotency_mismatch`. Refusals are not remembered. An answer past its time is forgotten; one that is `keptBy` the reservation that it
 * made or ended is there for as long as that is. Source: Cycles protocol, idempotency; L5.
 */
export function decideOnce<T extends PlainJson>(
  state: State,
  { idempotency, keptBy }: { readonly idempotency?: CommandIdempotency | undefined; readonly keptBy?: string },
  nowMs: number,
  decide: () => Decision<T>,
): Decision<T> {
  if (idempotency === undefined) return decide();
  const { ref, hash, keepMs } = idempotency;
  const record = state.idempotency(ref);
  if (record !== undefined && record.expiresAtMs > nowMs) {
    if (record.hash !== hash) {
      return refuse(
        rejected({ code: 'idempotency_mismatch', message: 'the idempotency key was used with another body', field: 'idempotency_key' }),
      );
    }
    // What was stored under this operation is what this operation answered.
    return { outcome: accepted(record.answer as T), effects: [], isReplay: true };
  }
  const decision = decide();
  if (!decision.outcome.ok) return decision;
  const { value } = decision.outcome;
  const answer =
    keptBy === undefined || !isKeptWithReservation(ref.operation)
      ? { hash, answer: value, expiresAtMs: nowMs + keepMs }
      : { hash, answer: value, expiresAtMs: KEPT_FOR_GOOD_MS, keptBy };
  return { ...decision, effects: [...decision.effects, { type: 'idempotency', ref, record: answer }] };
}
