import type { IdempotencyRef } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { accepted, rejected, type Outcome } from '../rejection.ts';
import { refuse, type CommandBase, type State, type Verb } from '../verb.ts';

/** How long the answer to an action on many things is kept, in milliseconds. Source: Cycles governance, the bulk actions' `idempotency_key`. */
const KEEP_MS = 15 * 60 * 1000;

/**
 * Remembers what an action on many things came to, which is many commands, or finds what it came to before. `hash` is that of the
 * request's body; `answer` null only looks.
 */
export interface KeepAnswerCommand extends CommandBase {
  readonly verb: 'keep-answer';
  readonly ref: IdempotencyRef;
  readonly hash: string;
  readonly answer: PlainJson;
}

function known(state: State, { ref, hash }: KeepAnswerCommand, nowMs: number): Outcome<PlainJson> | null {
  const record = state.idempotency(ref);
  if (record === undefined || record.expiresAtMs <= nowMs) return null;
  if (record.hash === hash) return accepted(record.answer);
  const message = 'the idempotency key was used with another body';
  return rejected({ code: 'idempotency_mismatch', message, field: 'idempotency_key' });
}

/**
 * The value is the answer that is remembered under the key: that of whoever was first, for 15 minutes; null where there is none.
 *
 * Rejects: `idempotency_mismatch`.
 */
const keepAnswerVerb: Verb<KeepAnswerCommand, PlainJson> = {
  needs: ({ ref }) => ({ tenantLock: 'exclusive', idempotency: [ref] }),
  decide: (state, command, nowMs) => {
    const found = known(state, command, nowMs);
    if (found !== null) return found.ok ? { outcome: found, effects: [] } : refuse(found);
    const { ref, hash, answer } = command;
    if (answer === null) return { outcome: accepted(null), effects: [] };
    return {
      outcome: accepted(answer),
      effects: [{ type: 'idempotency', ref, record: { hash, answer, expiresAtMs: nowMs + KEEP_MS } }],
    };
  },
};

/** The decision by its verb. */
export const KEPT_ANSWER_VERBS = { 'keep-answer': keepAnswerVerb } as const;
