import { expect, test } from 'vitest';
import type { Transaction } from '../../../src/ports/billing.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const PATH = '/api/billing/transactions';

const TRANSACTIONS: readonly Transaction[] = [
  {
    id: 'in_1234567890',
    atMs: Date.UTC(2024, 0, 1),
    type: 'Invoice',
    description: 'Monthly subscription',
    amount: 99,
    currency: 'USD',
    status: 'completed',
    invoiceUrl: 'https://invoice.example/i/1',
  },
  {
    id: 'ch_0987654321',
    atMs: Date.UTC(2024, 0, 15, 12, 30),
    type: 'Charge',
    description: 'API Usage',
    amount: 25.5,
    currency: 'EUR',
    status: 'completed',
  },
];

const SHOWN = [
  {
    id: 'in_1234567890',
    date: '2024-01-01T00:00:00Z',
    type: 'Invoice',
    description: 'Monthly subscription',
    amount: 99,
    currency: 'USD',
    status: 'completed',
    invoice_url: 'https://invoice.example/i/1',
  },
  {
    id: 'ch_0987654321',
    date: '2024-01-15T12:30:00Z',
    type: 'Charge',
    description: 'API Usage',
    amount: 25.5,
    currency: 'EUR',
    status: 'completed',
  },
];

async function withApp(transactions: readonly Transaction[], work: (at: TestApp, ann: string) => Promise<void>): Promise<void> {
  const at = await makeTestApp({ transactions });
  try {
    await work(at, (await at.addTenant('acme')).ann);
  } finally {
    await at.close();
  }
}

test('200: no billing customer yet is an empty list, in both shapes', () =>
  withApp([], async (at, ann) => {
    expect((await at.as(ann)('GET', PATH)).text).toBe('{"transactions":[]}');
    expect((await at.as(ann)('GET', `${PATH}?format=array`)).text).toBe('[]');
  }));

test('200: the newest document’s object by default', () =>
  withApp(TRANSACTIONS, async (at, ann) => {
    expect((await at.as(ann)('GET', PATH)).json).toEqual({ transactions: SHOWN });
    expect((await at.as(ann)('GET', PATH, undefined, { 'x-api-version': '2026-01' })).json).toEqual({ transactions: SHOWN });
  }));

test('200: the earlier document’s array where header or query ask for it', () =>
  withApp(TRANSACTIONS, async (at, ann) => {
    expect((await at.as(ann)('GET', PATH, undefined, { 'x-api-version': '2025-01' })).json).toEqual(SHOWN);
    expect((await at.as(ann)('GET', `${PATH}?format=array`)).json).toEqual(SHOWN);
  }));

test('403: needs organization admin access, which goes with the role', () =>
  withApp(TRANSACTIONS, async (at, ann) => {
    await at.writer.execute({
      verb: 'add-member',
      id: 'c',
      tenantId: 'acme',
      member: { id: 'ann', email: 'ann@example.com', role: 'member' },
      replace: true,
    });
    expect(await at.as(ann)('GET', PATH)).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
  }));
