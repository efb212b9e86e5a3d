import type { makeReadBalance } from '../../../app/manage/read-balance.ts';
import { displayedAmount } from '../../../core/pricing/displayed-amount.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';

/** `{prefix}/users/balance`: what the tenant has paid ahead and not spent, as a number with cents. */
export function mountBalance(app: TypedApp, prefix: string, deps: { readBalance: ReturnType<typeof makeReadBalance> }): void {
  app.get(`${prefix}/users/balance`, async (request) => {
    refuseUnknownQuery(request, []);
    const { microcents, currency } = await deps.readBalance(request.manager.tenant.id);
    return { current_balance: displayedAmount(microcents), currency };
  });
}
