import type { PlainJson } from '../json/plain-json.ts';
import { isCovered } from '../ledger/coverage.ts';
import { decideOnce, idempotencyNeeds } from '../ledger/idempotency.ts';
import { rateNeeds } from '../policy/rate-limit.ts';
import { accepted, rejected, type RejectionCode } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { balanceLine, type BalanceLine } from '../ledger/balance-line.ts';
import { accountsOf, accountsWanted, admit, refuseRequest } from './budget-request.ts';
import type { EvaluateBudgetCommand } from './runtime-commands.ts';

/** What a reservation would come to, as it is remembered. `denied` says why it would be refused, null where it would be made; `balances` are as they are. */
interface KeptAnswer {
  readonly denied: RejectionCode | null;
  /** The sentence of the refusal, and the scope of the budget that refuses; null where there is none. */
  readonly message: string | null;
  readonly deniedScope: string | null;
  readonly retryAfterMs: number | null;
  readonly caps: PlainJson;
  readonly balances: readonly BalanceLine[];
  readonly [name: string]: PlainJson;
}

/** The same, and whether it was found just now, or earlier for the same request. */
export interface EvaluateBudgetAnswer extends KeptAnswer {
  readonly isReplay: boolean;
}

function decideEvaluate(state: State, command: EvaluateBudgetCommand, nowMs: number): Decision<KeptAnswer> {
  const { tenantId } = command;
  const accounts = accountsOf(state, tenantId, command);
  // A wrong unit is a fault of the request, whatever else stands in its way.
  const uncovered = isCovered(accounts) ? null : refuseRequest(state, tenantId, command);
  if (uncovered !== null && (uncovered.code === 'unit_mismatch' || !command.withOtherUnits)) return refuse(rejected(uncovered));
  const admitted = admit(state, tenantId, command, nowMs);
  const refusal = 'code' in admitted ? admitted : null;
  if (refusal?.code === 'amount_out_of_range') return refuse(rejected(refusal));
  return {
    outcome: accepted({
      denied: refusal?.code ?? null,
      message: refusal?.message ?? null,
      deniedScope: refusal?.account?.scope ?? null,
      retryAfterMs: refusal?.retryAfterMs ?? null,
      caps: refusal === null ? (command.caps ?? null) : null,
      balances: accounts.map(balanceLine).filter((line) => line !== null),
    }),
    effects: [],
  };
}

/**
 * Tells whether a reservation would be made, by the very checks that would make it, and holds nothing. What would refuse it is the
 * answer and no refusal, but for a wrong unit and an amount out of range, which are faults of the request; and for `budget_not_found` of
 * a command that does not look at other units, since it cannot tell.
 *
 * A dry run shares its idempotency keys with reservations that are made, and is alone in its tenant meanwhile, so that of the two with
 * one key only one is remembered. Rejects: `idempotency_mismatch`, `unit_mismatch`, `budget_not_found`, `amount_out_of_range`. Source: Cycles runtime spec,
 * decide and DRY-RUN RESPONSE RULES.
 */
export const evaluateBudgetVerb: Verb<EvaluateBudgetCommand, EvaluateBudgetAnswer> = {
  needs: (command) => ({
    tenantLock: command.isDryRun ? 'exclusive' : 'shared',
    accounts: accountsWanted(command.tenantId, command),
    ...rateNeeds(command.tenantId, command.limit),
    ...idempotencyNeeds(command.idempotency),
  }),
  decide: (state, command, nowMs) => {
    const decision = decideOnce(state, command, nowMs, () => decideEvaluate(state, command, nowMs));
    if (!decision.outcome.ok) return { ...decision, outcome: decision.outcome };
    return { ...decision, outcome: accepted({ ...decision.outcome.value, isReplay: decision.isReplay === true }) };
  },
};
