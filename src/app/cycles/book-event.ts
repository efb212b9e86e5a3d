import { accountsWanted } from '../../core/cycles/budget-request.ts';
import { OPERATIONS } from '../../core/cycles/operation-names.ts';
import type { Subject } from '../../core/cycles/subject.ts';
import type { CyclesUnit } from '../../core/cycles/units.ts';
import type { OveragePolicy } from '../../core/ledger/account.ts';
import type { DebitCommand } from '../../core/ledger/commands.ts';
import type { DebitAnswer } from '../../core/ledger/debit.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import { recordRefusal } from './denials.ts';
import { idempotencyOf, requestKey, type OnceRequest } from './request-idempotency.ts';
import type { ReserveDeps } from './reserve-budget.ts';
import { callerOrigin, callerScopes, type TenantCaller } from './runtime-caller.ts';
import { policyFor } from './spend-rules.ts';

/** A spend that was not held before, as it came. */
export interface EventRequest extends OnceRequest {
  readonly body: {
    readonly idempotency_key: string;
    readonly subject: Subject;
    readonly action: object;
    readonly actual: { readonly unit: CyclesUnit; readonly amount: number | bigint };
    readonly overage_policy?: OveragePolicy;
  };
}

/** An event that was booked. */
export interface BookedEvent {
  readonly unit: CyclesUnit;
  readonly answer: DebitAnswer;
}

/**
 * Makes the use case that books a spend on every budget of a subject's scopes at once, without a hold.
 *
 * Rejects as `debit` does, and before that, in this order: `invalid_request` (two idempotency keys; the subject), `forbidden`,
 * `insufficient_permissions`. Source: Cycles runtime spec, createEvent.
 */
export function makeBookEvent(deps: ReserveDeps) {
  const { writer, ids, hasher, denials } = deps;
  return async (caller: TenantCaller, request: EventRequest): Promise<Outcome<BookedEvent>> => {
    const key = requestKey(request);
    if (!key.ok) return key;
    const { body } = request;
    const derived = callerScopes(caller, body.subject);
    if (!derived.ok) return derived;
    const { path: scopePath } = derived.value;
    const tenantId = caller.tenant.id;
    const policy = await policyFor(deps, tenantId, scopePath);
    const { unit } = body.actual;
    const amount = BigInt(body.actual.amount);
    const accounts = accountsWanted(tenantId, { scopePath, unit, withOtherUnits: false });
    const command: DebitCommand = {
      verb: 'debit',
      id: ids.next('cmd'),
      tenantId,
      origin: callerOrigin(caller),
      debitId: ids.next('evt'),
      accounts,
      otherUnitAccounts: [],
      amount,
      overagePolicy: body.overage_policy ?? policy?.overagePolicy ?? null,
      idempotency: idempotencyOf(hasher, { tenantId, operation: OPERATIONS.event, target: '', body }),
    };
    let outcome = await writer.execute(command);
    if (!outcome.ok && outcome.rejection.code === 'budget_not_found') {
      // Whether the unit is wrong, only who is not covered has to know.
      const all = accountsWanted(tenantId, { scopePath, unit, withOtherUnits: true });
      outcome = await writer.execute({ ...command, otherUnitAccounts: all.slice(accounts.length) });
    }
    if (outcome.ok) return accepted({ unit, answer: outcome.value });
    recordRefusal(denials, caller, { path: scopePath, unit, amount, subject: body.subject, action: body.action }, outcome.rejection);
    return outcome;
  };
}

/** Books a spend that was not held before. */
export type BookEvent = ReturnType<typeof makeBookEvent>;
