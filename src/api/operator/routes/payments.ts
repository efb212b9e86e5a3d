import Type from 'typebox';
import type { PaymentManagement, PaymentState } from '../../../app/payments/manage-payments.ts';
import { exactNumber } from '../../../core/json/int64.ts';
import { renderUsdMicrocents } from '../../../core/pricing/usd.ts';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';

type ById = { Params: { id: string } };
type ByPortion = { Params: { id: string; no: string } };

const strict = { additionalProperties: false };
const CustomerBody = Type.Object({ customer_id: Type.String({ rule: 'the id of a customer, such as cus_NffrFeUfNV2Hib' }) }, strict);
const PortionBody = Type.Object({ taken: Type.Boolean({ rule: 'true or false' }) }, strict);

const usd = (microcents: string): object => exactNumber(renderUsdMicrocents(BigInt(microcents)));

const paymentObject = (tenantId: string, { customer, meter }: PaymentState): object => ({
  tenant_id: tenantId,
  customer_id: customer?.customerId ?? null,
  usage_told_usd: usd(meter?.reportedMicrocents ?? '0'),
  portions: meter?.no ?? 0,
  pending:
    meter === null || meter.pending === null
      ? null
      : {
          no: meter.pending.no,
          identifier: meter.pending.identifier,
          amount_usd: usd(meter.pending.microcents),
          first_sent_at: formatRfc3339(meter.pending.firstSentAtMs),
        },
});

/** `/tenants/{id}/billing-customer`: what a tenant is to the payment service, and what that was told. */
export function mountPayments(app: TypedApp, { payments }: { payments: PaymentManagement }): void {
  const show = async (tenantId: string): Promise<object> => paymentObject(tenantId, valueOf(await payments.show(tenantId)));
  app.get<ById>('/tenants/:id/billing-customer', async (request) => {
    refuseUnknownQuery(request, []);
    return show(request.params.id);
  });
  app.put('/tenants/:id/billing-customer', { schema: { body: CustomerBody } }, async (request) => {
    const { id } = request.params as ById['Params'];
    valueOf(await payments.link(operatorOf(request), id, request.body.customer_id));
    return show(id);
  });
  app.post('/tenants/:id/usage-portions/:no', { schema: { body: PortionBody } }, async (request) => {
    const { id, no } = request.params as ByPortion['Params'];
    if (!/^[1-9]\d{0,14}$/.test(no)) throw new RefusedRequest({ code: 'not_found', message: `portion ${no.slice(0, 100)} not found` });
    valueOf(await payments.settle(operatorOf(request), { tenantId: id, no: Number(no) }, request.body.taken));
    return show(id);
  });
}
