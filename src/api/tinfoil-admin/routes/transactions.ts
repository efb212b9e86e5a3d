import type { FastifyRequest } from 'fastify';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import type { Billing, Transaction } from '../../../ports/billing.ts';
import { publicUrl } from '../../_shared/public-origin.ts';
import { queryText } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';

/** The version of this API whose transactions are a bare array. */
const ARRAY_VERSION = '2025-01';

const transactionObject = ({ id, atMs, type, description, amount, currency, status }: Transaction, url: string | undefined): object => ({
  id,
  date: formatRfc3339(atMs),
  type,
  description,
  amount,
  currency,
  status,
  ...(url === undefined ? {} : { invoice_url: url }),
});

const wantsArray = (request: FastifyRequest): boolean =>
  request.headers['x-api-version'] === ARRAY_VERSION || queryText(request, 'format') === 'array';

/** `GET /api/billing/transactions`: the newest document's object or, where it is asked for, the earlier one's array. */
export function mountTransactions(app: TypedApp, deps: { billing: Billing; publicUrl: string | null }): void {
  app.get('/api/billing/transactions', async (request) => {
    const found = await deps.billing.transactions(request.tinfoilAdmin.key.tenantId);
    const urlOf = ({ invoiceUrl }: Transaction) => (invoiceUrl === undefined ? undefined : publicUrl(request, deps.publicUrl, invoiceUrl));
    const transactions = found.map((transaction) => transactionObject(transaction, urlOf(transaction)));
    return wantsArray(request) ? transactions : { transactions };
  });
}
