import { accepted, rejected, type Outcome } from '../rejection.ts';
import { TOKENS, type Account } from './account.ts';
import { refuseLeg } from './reserve.ts';

/** The least that a call can spend, in any unit. */
const LEAST = 1n;

/**
 * Tells whether a call could spend anything at all: what somebody asks who relays the call himself and reports it afterwards. Holds
 * nothing. `accounts` are those of the call that exist, in order of precedence.
 *
 * Rejects as `reserve` does for an amount of 1 on each: `budget_required` (where the tenant demands a money account with a limit, and there
 * is none), then the first account that refuses for good, last `held`.
 */
export function decideNextSpend(accounts: readonly Account[], rule: { readonly mustCoverMoney: boolean }): Outcome<true> {
  if (rule.mustCoverMoney && !accounts.some(({ unit, allocated }) => unit !== TOKENS && allocated !== null)) {
    return rejected({ code: 'budget_required', message: 'this tenant demands a money budget for every call, and none covers this one' });
  }
  const refusals = accounts.map((account) => refuseLeg(account, LEAST, 'call')).filter((refusal) => refusal !== null);
  const worst = refusals.find(({ code }) => code !== 'held') ?? refusals[0];
  return worst === undefined ? accepted(true) : rejected(worst);
}
