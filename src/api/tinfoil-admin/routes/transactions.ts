import type { FastifyRequest } from 'fastify';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import type { Billing, Transaction } from '../../../ports/billing.ts';
import { queryText } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';

/** The version of this API whose transactions are a bare array. */
const ARRAY_VERSION = '2025-01';

const transactionObject = ({ id, atMs, type, description, amount, status, invoiceUrl }: Transaction): object => ({
  id,
  date: formatRfc3339(atMs),
  type,
  description,
  amount,
  status,
  ...(invoiceUrl === undefined ? {} : { invoice_url: invoiceUrl }),
});

const wantsArray = (request: FastifyRequest): boolean =>
  request.headers['x-api-version'] === ARRAY_VERSION || queryText(request, 'format') === 'array';

/** `GET /api/billing/transactions`: the newest document's object or, where it is asked for, the earlier one's array. */
export function mountTransactions(app: TypedApp, deps: { billing: Billing }): void {
  app.get('/api/billing/transactions', async (request) => {
    const found = await deps.billing.transactions(request.tinfoilAdmin.key.tenantId);
    const transactions = found.map(transactionObject);
    return wantsArray(request) ? transactions : { transactions };
  });
}
