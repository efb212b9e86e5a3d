import type { makeReadBalance } from '../../../app/balance/read-balance.ts';
import { displayedAmount } from '../../../core/pricing/displayed-amount.ts';
import { valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';

/** `{prefix}/users/balance`: what the tenant has paid ahead and not spent, as a number with cents, halves to the even one. */
export function mountBalance(app: TypedApp, prefix: string, deps: { readBalance: ReturnType<typeof makeReadBalance> }): void {
  app.get(`${prefix}/users/balance`, async (request) => {
    refuseUnknownQuery(request, []);
    const { unspent, currency } = valueOf(await deps.readBalance(request.manager.tenant.id));
    return { current_balance: displayedAmount(unspent), currency };
  });
}
