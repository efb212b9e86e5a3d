import { pinnedScopes } from '../core/access/subject-levels.ts';
import { judgedBalance, tenantBalanceId } from '../core/balance/balance-account.ts';
import { callLegs } from '../core/calls/call-hold.ts';
import { inCurrentPeriod } from '../core/budgets/budget-period.ts';
import { decideNextSpend } from '../core/ledger/next-spend.ts';
import { presentWindowIds, presentWindows } from '../core/windows/window-legs.ts';
import { accepted, REJECTIONS, rejected, type Outcome } from '../core/rejection.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { Directory, Identity } from './directory.ts';

/** What another proxy asks of a key whose calls it relays itself. */
export interface KeyChecks {
  /**
   * Whose key it is, if it may call models.
   *
   * Rejects as `Directory.authenticate`, then `forbidden` (a key of another kind).
   */
  identify(plaintext: string): Promise<Outcome<Identity>>;
  /**
   * The same, if a call could spend anything now. Nothing is held: what the call uses is reported afterwards.
   *
   * Rejects as `identify`, then `tenant_suspended`, `payment_required` (no token billing), then as `decideNextSpend`. Texts show no figures
   * where the tenant hides them. Source: Tinfoil reference sections 1.5 and 5.
   */
  validate(plaintext: string): Promise<Outcome<Identity>>;
}

/** Makes the {@link KeyChecks}. */
export function makeKeyChecks(deps: {
  readonly directory: Pick<Directory, 'authenticate'>;
  readonly records: Pick<RecordStore, 'accounts'>;
  readonly clock: Clock;
}): KeyChecks {
  const { directory, records, clock } = deps;

  const identify = async (plaintext: string): Promise<Outcome<Identity>> => {
    const found = await directory.authenticate(plaintext, clock.nowMs());
    if (!found.ok) return found;
    const { kind } = found.value.key;
    if (kind === 'inference' || kind === 'management') return found;
    return rejected({ code: 'forbidden', message: 'this kind of key may not call models' });
  };

  return {
    identify,
    validate: async (plaintext) => {
      const found = await identify(plaintext);
      if (!found.ok) return found;
      const { key, tenant } = found.value;
      if (tenant.status === 'SUSPENDED') return rejected({ code: 'tenant_suspended', message: 'this organization is suspended' });
      if (!tenant.entitlements.tokenBilling) {
        return rejected({ code: 'payment_required', message: 'an active token billing subscription is required' });
      }
      const scopes = pinnedScopes(key, tenant.id);
      const legs = callLegs({ tenantId: tenant.id, keyId: key.id, scopes, inputTokens: 0, rates: null });
      const balance = tenantBalanceId(tenant);
      const ids = [...legs.map(({ accountId }) => accountId), ...(balance === null ? [] : [balance])];
      const nowMs = clock.nowMs();
      const caller = { keyId: key.id, memberId: key.createdBy };
      const windows = { tenantId: tenant.id, rules: tenant.budgetRules, caller, nowMs };
      const accounts = await records.accounts([...ids, ...presentWindowIds(windows)]);
      // Nobody may have touched a budget since its period has ended.
      const existing = ids.flatMap((id) => accounts.get(id) ?? []).map((account) => judgedBalance(inCurrentPeriod(account, nowMs), tenant));
      const covering = [
        ...existing.filter(({ kind }) => kind === 'key_cap'),
        ...presentWindows(windows, accounts).map(({ account }) => account),
        ...existing.filter(({ kind }) => kind !== 'key_cap'),
      ];
      const spend = decideNextSpend(covering, { mustCoverMoney: tenant.requireBudget });
      if (spend.ok) return accepted(found.value);
      const { rejection } = spend;
      const hides = tenant.hideAmounts && rejection.account !== undefined;
      return hides ? rejected({ ...rejection, message: REJECTIONS[rejection.code] }) : spend;
    },
  };
}
