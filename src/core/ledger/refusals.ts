import { invariant } from '../invariant.ts';
import type { Rejection } from '../rejection.ts';
import type { State } from '../verb.ts';
import { renderUsdMicrocents } from '../pricing/usd.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import { endOfLabel, periodOfLabel } from '../windows/window-period.ts';
import { countedOf, remainingOf, snapshotOf, TOKENS, type Account } from './account.ts';

/** Refuses an account that takes no new spend: `budget_frozen` or `budget_closed`; null where it is active. */
export function refuseStatus(account: Account): Rejection | null {
  if (account.status === 'FROZEN')
    return { code: 'budget_frozen', message: `the budget ${account.scope} is frozen`, account: snapshotOf(account) };
  if (account.status === 'CLOSED')
    return { code: 'budget_closed', message: `the budget ${account.scope} is closed`, account: snapshotOf(account) };
  return null;
}

/**
 * Refuses new spend of a tenant that is not active: `tenant_closed`, `tenant_suspended`. A tenant without a record is not restricted,
 * as the Cycles reference servers have it.
 */
export function refuseTenant(state: State, tenantId: string): Rejection | null {
  const status = state.record('tenant', tenantId)?.status;
  if (status === 'CLOSED') return { code: 'tenant_closed', message: `the tenant ${tenantId} is closed` };
  if (status === 'SUSPENDED') return { code: 'tenant_suspended', message: `the tenant ${tenantId} is suspended` };
  // A record that nobody can read must not let spend through.
  invariant(status === undefined || status === 'ACTIVE', `the tenant ${tenantId} has a state that nobody knows`);
  return null;
}

/** Refuses changes to what a closed tenant owns: `tenant_closed`. A suspended tenant's holds may still settle. */
export function refuseClosedTenant(state: State, tenantId: string): Rejection | null {
  const refusal = refuseTenant(state, tenantId);
  return refusal?.code === 'tenant_closed' ? refusal : null;
}

/** The refusal of an account that has less left than `amount`, whatever is held: its code tells the kind of account. */
export function shortOf(account: Account, amount: bigint): Rejection {
  const remaining = remainingOf(account);
  const figures = `${remaining} of ${account.allocated} ${account.unit} left, ${amount} needed`;
  const { scope } = account;
  const snapshot = { account: snapshotOf(account) };
  switch (account.kind) {
    case 'budget':
      return { code: 'budget_exceeded', message: `the budget ${scope} is used up: ${figures}`, ...snapshot };
    case 'balance':
      return { code: 'balance_empty', message: `the prepaid balance is used up: ${figures}`, ...snapshot };
    case 'window':
      return { code: 'window_exceeded', message: windowMessage(account, amount), ...snapshot };
    case 'key_cap':
      return account.unit === TOKENS
        ? { code: 'cap_exceeded', message: `the token cap of the key is used up: ${figures}`, ...snapshot }
        : { code: 'budget_exceeded', message: `the money budget of the key is used up: ${figures}`, ...snapshot };
  }
}

/** Which window is used up, by how much, and until when, in words. Its unit is money. */
function windowMessage(account: Account, amount: bigint): string {
  const { limit } = countedOf(account);
  const usd = (microcents: bigint | null): string => renderUsdMicrocents(microcents ?? 0n);
  const endMs = endOfLabel(account.period);
  const until = endMs === null ? '' : `; it resets at ${formatRfc3339(endMs)}`;
  const left = remainingOf(account) ?? 0n;
  return `the ${periodOfLabel(account.period)} budget of ${account.scope} is used up: ${usd(left < 0n ? 0n : left)} of ${usd(limit)} USD left, ${usd(amount)} needed${until}`;
}
