import type { FastifyRequest } from 'fastify';
import type { BillManagement, ListedBill } from '../../../app/bills/manage-bills.ts';
import type { BillCorrection, StatementLine } from '../../../core/bills/bill-records.ts';
import type { makeReadOpenBill } from '../../../app/bills/open-lines.ts';
import { totalOf } from '../../../core/bills/make-statement.ts';
import { exactNumber } from '../../../core/json/int64.ts';
import { PRICE_CURRENCY, renderPerUsd } from '../../../core/pricing/currency.ts';
import { microcentsFromUsd, renderUsdMicrocents } from '../../../core/pricing/usd.ts';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { publicUrl } from '../../_shared/public-origin.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { CreateCorrectionBody } from '../bill-schemas.ts';

type ById = { Params: { id: string } };
type ByBill = { Params: { id: string; bill: string } };

const money = (microcents: string): object => exactNumber(renderUsdMicrocents(BigInt(microcents)));

const rateOf = ({ perUsdNanos }: StatementLine): object =>
  perUsdNanos === undefined ? {} : { per_usd: exactNumber(renderPerUsd(perUsdNanos)) };

const lineObject = (line: StatementLine): object =>
  line.kind === 'usage'
    ? {
        kind: 'usage',
        month: line.month,
        key_id: line.keyId,
        key_name: line.keyName,
        model: line.model,
        requests: line.requests,
        input_tokens: line.promptTokens,
        output_tokens: line.completionTokens,
        charge_usd: money(line.chargeMicrocents),
        ...(line.fromMs === undefined ? {} : { from: formatRfc3339(line.fromMs) }),
        ...rateOf(line),
      }
    : {
        kind: 'correction',
        correction_id: line.correctionId,
        concerns: line.concerns,
        reason: line.reason,
        created_at: formatRfc3339(line.atMs),
        charge_usd: money(line.chargeMicrocents),
        ...rateOf(line),
      };

const correctionObject = (correction: BillCorrection): object => ({
  id: correction.id,
  tenant_id: correction.tenantId,
  amount_usd: money(correction.chargeMicrocents),
  reason: correction.reason,
  concerns_bill_id: correction.concernsId,
  billed_on_bill_id: correction.statementId,
  created_at: formatRfc3339(correction.createdAtMs),
});

/** The micro-cents of an `amount_usd`, which may be negative. */
function signedMicrocents(given: number | string): bigint {
  const text = String(given);
  const isNegative = text.startsWith('-');
  const result = microcentsFromUsd(typeof given === 'number' ? Math.abs(given) : isNegative ? text.slice(1) : text);
  if (result.ok) return isNegative ? -result.microcents : result.microcents;
  throw new RefusedRequest({ code: 'invalid_request', message: `amount_usd must, without its sign, ${result.rule}`, field: 'amount_usd' });
}

/** `/tenants/{id}/bills` and `/tenants/{id}/bill-corrections`. */
export function mountBills(
  app: TypedApp,
  deps: { bills: BillManagement; readOpenBill: ReturnType<typeof makeReadOpenBill>; publicUrl: string | null },
): void {
  const { bills } = deps;
  const urlOf = (request: FastifyRequest, path: string | null): string | null =>
    path === null ? null : publicUrl(request, deps.publicUrl, path);
  const billObject = (request: FastifyRequest, { statement, path }: ListedBill): object => ({
    id: statement.id,
    number: statement.number,
    tenant_id: statement.tenantId,
    tenant_name: statement.tenantName,
    month: statement.month,
    issued_at: formatRfc3339(statement.issuedAtMs),
    total_usd: money(statement.totalMicrocents),
    currency: statement.converted?.currency ?? PRICE_CURRENCY,
    total: money(statement.converted?.totalMicrocents ?? statement.totalMicrocents),
    line_count: statement.lineCount,
    hash: statement.hash,
    previous_hash: statement.previousHash === '' ? null : statement.previousHash,
    invoice_url: urlOf(request, path),
  });

  app.get<ById>('/tenants/:id/bills', async (request) => {
    refuseUnknownQuery(request, []);
    return { bills: valueOf(await bills.list(request.params.id)).map((bill) => billObject(request, bill)) };
  });
  app.get<ByBill>('/tenants/:id/bills/:bill', async (request) => {
    refuseUnknownQuery(request, []);
    const { id, bill } = request.params;
    const found = valueOf(await bills.show(id, bill));
    return { ...billObject(request, found), lines: found.lines.map(lineObject) };
  });
  app.get<ById>('/tenants/:id/open-bill', async (request) => {
    refuseUnknownQuery(request, []);
    const { month, lines, converted } = valueOf(await deps.readOpenBill(request.params.id));
    const total = totalOf(lines).toString();
    return {
      tenant_id: request.params.id,
      month,
      total_usd: money(total),
      currency: converted?.currency ?? PRICE_CURRENCY,
      total: money(converted?.totalMicrocents ?? total),
      lines: lines.map(lineObject),
    };
  });
  for (const change of ['revoke', 'renew'] as const) {
    app.post<ByBill>(`/tenants/:id/bills/:bill/${change}-link`, async (request) => {
      refuseUnknownQuery(request, []);
      const { id, bill } = request.params;
      const { path, ...page } = valueOf(await bills.setLink(operatorOf(request), { tenantId: id, billId: bill }, change));
      return { id: page.id, tenant_id: page.tenantId, invoice_url: urlOf(request, path) };
    });
  }
  app.get<ById>('/tenants/:id/bill-corrections', async (request) => {
    refuseUnknownQuery(request, []);
    return { corrections: valueOf(await bills.corrections(request.params.id)).map(correctionObject) };
  });
  app.post('/tenants/:id/bill-corrections', { schema: { body: CreateCorrectionBody } }, async (request, reply) => {
    const { amount_usd: amount, reason, bill_id: concernsId = null } = request.body;
    const correction = { chargeMicrocents: signedMicrocents(amount), reason, concernsId };
    const made = await bills.correct(operatorOf(request), (request.params as ById['Params']).id, correction);
    return reply.code(201).send(correctionObject(valueOf(made)));
  });
}
