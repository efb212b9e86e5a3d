import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect } from 'vitest';
import type { Statement, StatementLine } from '../../src/core/bills/bill-records.ts';
import type { UsageMeter } from '../../src/core/payments/payment-records.ts';
import { contentOf } from '../../src/core/bills/make-statement.ts';
import { sha256Digest } from '../../src/server/secrets/sha256-digest.ts';
import { DATABASE_FILE } from '../../src/stores/sqlite/connection.ts';
import type { Ask } from './cycles-steps.ts';

const BILL_ID = 'in_doc';

/** Puts a bill of a month, and usage that was told to a payment service, into the store of a server that runs: its own are for months that are over. */
export function putBill(dataDir: string, tenantId: string): void {
  const lines: StatementLine[] = [
    {
      kind: 'usage',
      month: '2026-01',
      keyId: 'key_doc',
      keyName: 'doc',
      model: 'demo-echo',
      requests: 1,
      promptTokens: 2,
      completionTokens: 3,
      chargeMicrocents: '0',
    },
    { kind: 'correction', correctionId: 'cor_doc', concerns: null, reason: 'rounding', atMs: 0, chargeMicrocents: '-5' },
  ];
  const unsealed: Statement = {
    id: BILL_ID,
    tenantId,
    tenantName: 'Default',
    no: 1,
    number: `${tenantId}-0001`,
    month: '2026-01',
    issuedAtMs: Date.UTC(2026, 1, 1),
    lineCount: lines.length,
    totalMicrocents: '-5',
    previousHash: '',
    hash: '',
  };
  const statement = { ...unsealed, hash: sha256Digest(contentOf(unsealed, lines)) };
  const pending = { no: 1, identifier: 'castellan-doc', customerId: 'cus_1', microcents: '5', firstSentAtMs: 0, claimedUntilMs: 0 };
  const meter: UsageMeter = { id: tenantId, tenantId, no: 0, reportedMicrocents: '0', pending };
  const db = new Database(join(dataDir, DATABASE_FILE));
  try {
    db.prepare('INSERT INTO statements (id, tenant_id, body) VALUES (?, ?, ?)').run(BILL_ID, tenantId, JSON.stringify(statement));
    db.prepare('INSERT INTO usage_meters (id, body) VALUES (?, ?)').run(tenantId, JSON.stringify(meter));
    db.prepare('INSERT INTO statement_lines (id, body) VALUES (?, ?)').run(BILL_ID, JSON.stringify({ id: BILL_ID, lines }));
  } finally {
    db.close();
  }
}

/** Asks every operation about bills, as the operator and as whoever has a link. */
export async function askBills(ask: Ask, tenantId: string): Promise<void> {
  const base = '/v1/x-castellan/tenants/:id';
  const own = base.replace(':id', tenantId);
  await ask(`GET ${base}/bills`, `${own}/bills`, 200);
  await ask(`GET ${base}/bills`, '/v1/x-castellan/tenants/nobody/bills', 404);
  const bill = await ask(`GET ${base}/bills/:bill`, `${own}/bills/${BILL_ID}`, 200);
  await ask(`GET ${base}/bills/:bill`, `${own}/bills/nobody`, 404);
  await ask(`GET ${base}/open-bill`, `${own}/open-bill`, 200);
  await ask(`GET ${base}/open-bill`, '/v1/x-castellan/tenants/nobody/open-bill', 404);
  expect(bill['lines']).toHaveLength(2);
  const page = 'GET /bills/:bill/:token';
  const { pathname } = new URL(bill['invoice_url'] as string);
  await ask(page, pathname, 200, undefined, {});
  await ask(page, `${pathname}x`, 404, undefined, {});
  await ask(`POST ${base}/bills/:bill/revoke-link`, `${own}/bills/${BILL_ID}/revoke-link`, 200);
  await ask(page, pathname, 404, undefined, {});
  await ask(`POST ${base}/bills/:bill/renew-link`, `${own}/bills/${BILL_ID}/renew-link`, 200);
  await ask(`POST ${base}/bills/:bill/renew-link`, `${own}/bills/nobody/renew-link`, 404);
  const corrections = `${base}/bill-corrections`;
  const correction = { amount_usd: '-0.00000005', reason: 'rounding', bill_id: BILL_ID };
  await ask(`POST ${corrections}`, `${own}/bill-corrections`, 201, correction);
  await ask(`POST ${corrections}`, `${own}/bill-corrections`, 400, { amount_usd: 0, reason: 'nothing' });
  await ask(`POST ${corrections}`, `${own}/bill-corrections`, 404, { ...correction, bill_id: 'nobody' });
  await ask(`GET ${corrections}`, `${own}/bill-corrections`, 200);
  await ask('GET /api/billing/transactions', '/api/billing/transactions', 200);
  const customer = `${base}/billing-customer`;
  await ask(`GET ${customer}`, `${own}/billing-customer`, 200);
  await ask(`GET ${customer}`, '/v1/x-castellan/tenants/nobody/billing-customer', 404);
  await ask(`PUT ${customer}`, `${own}/billing-customer`, 200, { customer_id: 'cus_1' });
  await ask(`PUT ${customer}`, `${own}/billing-customer`, 400, { customer_id: 'acme' });
  const portion = `POST ${base}/usage-portions/:no`;
  await ask(portion, `${own}/usage-portions/1`, 200, { taken: true });
  await ask(portion, `${own}/usage-portions/1`, 409, { taken: true });
  await ask(portion, `${own}/usage-portions/none`, 404, { taken: true });
  await ask('POST /billing/stripe/webhook', '/billing/stripe/webhook', 404, {}, {});
}
