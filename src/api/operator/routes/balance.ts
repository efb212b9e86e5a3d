import type { BalanceManagement } from '../../../app/balance/manage-balance.ts';
import type { Balance, makeReadBalance } from '../../../app/balance/read-balance.ts';
import type { Catalogue } from '../../../app/directory/catalogue.ts';
import type { PageCursors } from '../../../app/page-cursors.ts';
import { exactNumber } from '../../../core/json/int64.ts';
import { microcentsFromAmount } from '../../../core/pricing/amount.ts';
import { renderMicrocents, renderPerUsd } from '../../../core/pricing/currency.ts';
import type { Credit } from '../../../core/records.ts';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import type { Clock } from '../../../ports/clock.ts';
import { linkNext, readPage } from '../../_shared/paging.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { CreditBody } from '../schemas.ts';

type ById = { Params: { id: string } };

/** What the routes need. */
interface BalanceDeps {
  readonly balances: BalanceManagement;
  readonly readBalance: ReturnType<typeof makeReadBalance>;
  readonly directory: { readonly catalogue: Pick<Catalogue, 'rate'>; refresh(): Promise<void> };
  readonly clock: Clock;
  readonly cursors: PageCursors;
}

const money = (microcents: bigint): object => exactNumber(renderMicrocents(microcents));

const balanceObject = (balance: Balance, perUsdNanos: number | null): object => ({
  currency: balance.currency,
  require_balance: balance.tenant.requireBalance ?? false,
  balance: money(balance.unspent),
  held: money(balance.held),
  remaining: money(balance.unspent - balance.held),
  credited: money(balance.credited),
  spent: money(balance.spent),
  per_usd: perUsdNanos === null ? null : exactNumber(renderPerUsd(perUsdNanos)),
});

const creditObject = ({ id, tenantId, microcents, currency, reason, by, createdAtMs }: Credit): object => ({
  id,
  tenant_id: tenantId,
  amount: money(BigInt(microcents)),
  currency,
  reason,
  by,
  created_at: formatRfc3339(createdAtMs),
});

function amountOf(amount: number | bigint | string): bigint {
  const read = microcentsFromAmount(amount);
  if (read.ok) return read.microcents;
  throw new RefusedRequest({ code: 'invalid_request', message: `amount must ${read.rule}`, field: 'amount' });
}

/** `/tenants/{id}/balance` and `/tenants/{id}/credits`. */
export function mountBalances(app: TypedApp, deps: BalanceDeps): void {
  const { balances, readBalance, directory, clock, cursors } = deps;
  app.get<ById>('/tenants/:id/balance', async (request) => {
    refuseUnknownQuery(request, []);
    const balance = valueOf(await readBalance(request.params.id));
    await directory.refresh();
    return balanceObject(balance, directory.catalogue.rate(balance.currency, clock.nowMs())?.perUsdNanos ?? null);
  });
  app.post('/tenants/:id/credits', { schema: { body: CreditBody } }, async (request, reply) => {
    const { amount, reason, currency, idempotency_key: idempotencyKey } = request.body;
    const { id } = request.params as ById['Params'];
    const credit = { microcents: amountOf(amount), reason, currency, idempotencyKey };
    const made = valueOf(await balances.credit(operatorOf(request), id, credit));
    return reply.code(201).send({ ...creditObject(made), balance: money(BigInt(made.balance)) });
  });
  app.get<ById>('/tenants/:id/credits', async (request, reply) => {
    refuseUnknownQuery(request, ['limit', 'cursor']);
    const { tenant } = valueOf(await readBalance(request.params.id));
    const list = `credits of ${tenant.id}`;
    const { limit, after } = readPage(request, cursors, list);
    const { credits, next } = await balances.credits({ tenantId: tenant.id, beforeId: after, limit });
    const cursor = next === null ? null : cursors.issue(list, next);
    if (cursor !== null) linkNext(reply, { path: `${app.prefix}/tenants/${tenant.id}/credits`, query: {}, limit, cursor });
    return { credits: credits.map(creditObject), has_more: cursor !== null, next_cursor: cursor };
  });
}
