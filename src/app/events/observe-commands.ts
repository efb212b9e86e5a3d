import { readCallContext } from '../../core/calls/call-context.ts';
import type { ReserveBudgetCommand } from '../../core/cycles/runtime-commands.ts';
import { TOKENS, USD_MICROCENTS } from '../../core/ledger/account.ts';
import type { ReserveCommand } from '../../core/ledger/commands.ts';
import type { Outcome, Rejection, RejectionCode } from '../../core/rejection.ts';
import type { Command, CommandValue } from '../../core/verbs.ts';
import type { Denial } from '../cycles/record-denial.ts';
import type { LedgerWriter, Written } from '../ledger-writer.ts';
import type { ActivityCounter } from './count-activity.ts';

/** Refusals of spend, as the Cycles surfaces name them. */
const REASONS: Readonly<Partial<Record<RejectionCode, string>>> = {
  budget_exceeded: 'BUDGET_EXCEEDED',
  held: 'BUDGET_EXCEEDED',
  cap_exceeded: 'BUDGET_EXCEEDED',
  balance_empty: 'BUDGET_EXCEEDED',
  window_exceeded: 'BUDGET_EXCEEDED',
  over_limit: 'OVERDRAFT_LIMIT_EXCEEDED',
  debt_outstanding: 'DEBT_OUTSTANDING',
  budget_frozen: 'BUDGET_FROZEN',
  budget_closed: 'BUDGET_CLOSED',
  budget_required: 'BUDGET_NOT_FOUND',
  budget_not_found: 'BUDGET_NOT_FOUND',
  tenant_suspended: 'TENANT_SUSPENDED',
  tenant_closed: 'TENANT_CLOSED',
  rate_limited: 'LIMIT_EXCEEDED',
};

/** What a call would have held at most on an account, in its unit. */
function requestedOn({ legs, output }: ReserveCommand, rejection: Rejection): bigint | null {
  const { account } = rejection;
  if (account === undefined) return null;
  const leg = legs.find(({ accountId }) => accountId.includes(`|${account.kind}|${account.scope}|${account.unit}|`));
  return leg === undefined ? null : (leg.base + leg.perUnit * output.max + leg.divisor - 1n) / leg.divisor;
}

/** Where a call was refused: by a budget, by the policy of its scopes, or for want of a budget. Null for refusals of other accounts. */
function refusedAt({ tenantId }: ReserveCommand, rejection: Rejection, path: string | undefined) {
  const { account, code, details } = rejection;
  if (account !== undefined)
    return account.kind === 'budget' ? { scope: account.scope, unit: account.unit, remaining: account.remaining } : null;
  const policyId = details?.['policy_id'];
  const deepest = { scope: path ?? `tenant:${tenantId}`, remaining: null };
  if (code === 'budget_required') return { ...deepest, unit: USD_MICROCENTS };
  return typeof policyId === 'string' ? { ...deepest, unit: TOKENS, policyId } : null;
}

/** What is told of a call that was refused; null where nothing is. Clients' own holds are told of by their surface, which knows more. */
function denialOf(command: ReserveCommand, rejection: Rejection, reasonCode: string): Denial | null {
  if (command.purpose !== 'call') return null;
  const context = readCallContext(command.context);
  const at = refusedAt(command, rejection, context?.scopePath);
  if (at === null) return null;
  return {
    tenantId: command.tenantId,
    ...at,
    reasonCode,
    requestedAmount: requestedOn(command, rejection),
    action: { kind: 'llm.call', ...(context === null ? {} : { name: context.model }) },
    ...(command.origin === undefined ? {} : { origin: command.origin }),
  };
}

/** Whether a client's hold is answered from memory, or is tried once more with budgets in other units: neither is a hold of its own. */
function isNoAttempt(command: ReserveBudgetCommand, outcome: Outcome<unknown>): boolean {
  if (outcome.ok) return (outcome.value as { readonly reservationId: string }).reservationId !== command.reservationId;
  return outcome.rejection.code === 'budget_not_found' && !command.withOtherUnits;
}

/** What watching needs. `onTook` is told how long each command took, in milliseconds. */
export interface ObserveCommandsDeps {
  readonly activity: Pick<ActivityCounter, 'count'>;
  readonly recordDenial: (denial: Denial) => void;
  readonly onTook: (tookMs: number) => void;
  readonly elapsedMs: () => number;
}

/** The writer, with holds, refusals and expiries counted beside it. Whoever waits for an outcome waits no longer for that. */
export function observeCommands(writer: LedgerWriter, deps: ObserveCommandsDeps): LedgerWriter {
  const { activity, recordDenial, onTook, elapsedMs } = deps;
  const ended = (command: Command, outcome: Outcome<unknown>, startedMs: number): void => {
    onTook(elapsedMs() - startedMs);
    if (command.verb === 'expire') {
      if (outcome.ok && (outcome.value as { readonly expired: boolean }).expired) activity.count(command.tenantId, 'expiries');
      return;
    }
    if (command.verb !== 'reserve' && command.verb !== 'reserve-budget') return;
    if (command.verb === 'reserve-budget' && isNoAttempt(command, outcome)) return;
    activity.count(command.tenantId, 'reservations');
    if (outcome.ok) return;
    const reasonCode = REASONS[outcome.rejection.code];
    if (reasonCode === undefined) return;
    activity.count(command.tenantId, 'denials');
    const denial = command.verb === 'reserve' ? denialOf(command, outcome.rejection, reasonCode) : null;
    if (denial !== null) recordDenial(denial);
  };
  const ignore = (): void => undefined;
  const observed = {
    execute<C extends Command>(command: C): Promise<Outcome<CommandValue<C>>> {
      const startedMs = elapsedMs();
      const outcome = writer.execute(command);
      outcome.then((value) => ended(command, value, startedMs), ignore);
      return outcome;
    },
    write<C extends Command>(command: C): Promise<Written<CommandValue<C>>> {
      const startedMs = elapsedMs();
      const written = writer.write(command);
      written.then(({ outcome }) => ended(command, outcome, startedMs), ignore);
      return written;
    },
  };
  // By inheritance, so that whatever else the writer has stays its own.
  return Object.assign(Object.create(writer) as LedgerWriter, observed);
}
