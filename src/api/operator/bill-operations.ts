import Type from 'typebox';
import { named, object, orNull, Timestamp, WholeNumber, type Operations } from '../_shared/openapi/operation.ts';
import { OPERATOR_PREFIX } from './prefix.ts';

const BASE = `${OPERATOR_PREFIX}/tenants/:id`;

const Usd = Type.Number({ description: 'USD, exact.' });
const Month = Type.String({ description: 'A calendar month in UTC, such as `2026-11`.' });

const PerUsd = Type.Optional(Type.Number({ description: 'What a USD is worth in the currency of the bill.' }));

const bill = {
  id: Type.String(),
  number: Type.String({ description: 'What people call it by.' }),
  tenant_id: Type.String(),
  tenant_name: Type.String({ description: 'As it was when the bill was issued.' }),
  month: Month,
  issued_at: Timestamp,
  total_usd: Type.Number({ description: 'The sum of its lines, which is that of the charges of its events: USD, exact.' }),
  currency: Type.String({ description: 'That of the tenant, or USD where no rate was declared.' }),
  total: Type.Number({ description: 'The total in that currency: each line by its rate, to the micro-cent.' }),
  line_count: WholeNumber,
  hash: Type.String({ description: 'SHA-256 of all that it says; a bill that was changed has another.' }),
  previous_hash: orNull(Type.String(), "The hash of the tenant's bill before; null on its first."),
  invoice_url: orNull(Type.String(), 'Where its page is; null while the link is revoked.'),
};

const Bill = named('Bill', object(bill));

const UsageLine = object({
  kind: Type.Literal('usage'),
  month: Type.String({ description: 'An earlier month than that of the bill where the usage was told late.' }),
  key_id: Type.String(),
  key_name: Type.String(),
  model: Type.String(),
  requests: WholeNumber,
  input_tokens: WholeNumber,
  output_tokens: WholeNumber,
  charge_usd: Usd,
  from: Type.Optional(
    Type.String({ format: 'date-time', description: 'Where the part of the month starts, where the rate changed in it.' }),
  ),
  per_usd: PerUsd,
});

const CorrectionLine = object({
  kind: Type.Literal('correction'),
  correction_id: Type.String(),
  concerns: orNull(Type.String(), 'The number of the bill that it corrects.'),
  reason: Type.String(),
  created_at: Timestamp,
  charge_usd: Usd,
  per_usd: PerUsd,
});

const BillWithLines = named('BillWithLines', object({ ...bill, lines: Type.Array(Type.Union([UsageLine, CorrectionLine])) }));

const OpenBill = named(
  'OpenBill',
  object({
    tenant_id: Type.String(),
    month: Month,
    total_usd: Usd,
    currency: bill.currency,
    total: bill.total,
    lines: Type.Array(Type.Union([UsageLine, CorrectionLine])),
  }),
);

const BillPage = named(
  'BillPage',
  object({ id: Type.String(), tenant_id: Type.String(), invoice_url: orNull(Type.String(), 'Null while the link is revoked.') }),
);

const BillCorrection = named(
  'BillCorrection',
  object({
    id: Type.String(),
    tenant_id: Type.String(),
    amount_usd: Usd,
    reason: Type.String(),
    concerns_bill_id: orNull(Type.String()),
    billed_on_bill_id: orNull(Type.String(), 'The bill that has it as a line; null until the next one is issued.'),
    created_at: Timestamp,
  }),
);

const TENANT_PATH = { id: 'The id of the tenant.' };
const BILL_PATH = { ...TENANT_PATH, bill: 'The id of the bill.' };
const LINK_PATH = { ...TENANT_PATH, bill: 'The id of the bill, or of a credit of the prepaid balance.' };

const BillingCustomer = named(
  'BillingCustomer',
  object({
    tenant_id: Type.String(),
    customer_id: orNull(Type.String(), 'The customer of the payment service that the tenant is; null before it is one.'),
    usage_told_usd: Type.Number({
      description: 'What the payment service was told of, with what was used before it was declared: USD, exact.',
    }),
    portions: Type.Integer({ description: 'In how many meter events.' }),
    pending: orNull(
      object({ no: WholeNumber, identifier: Type.String(), amount_usd: Usd, first_sent_at: Timestamp }),
      'A portion that may be on its way; null where none is.',
    ),
  }),
);

/** Bills of tenants, and what the operator corrects of them. */
export const BILL_OPERATIONS: Operations = {
  [`GET ${BASE}/bills`]: {
    id: 'listBills',
    summary: 'List the bills of a tenant',
    path: TENANT_PATH,
    answers: { 200: { description: 'Newest first.', schema: object({ bills: Type.Array(Bill) }) } },
    errors: [404],
  },
  [`GET ${BASE}/bills/:bill`]: {
    id: 'getBill',
    summary: 'Show a bill with its lines',
    path: BILL_PATH,
    answers: { 200: { description: 'The bill.', schema: BillWithLines } },
    errors: [404],
  },
  [`GET ${BASE}/open-bill`]: {
    id: 'getOpenBill',
    summary: 'Show what no bill has yet',
    description: 'What the next bill of the tenant would say if it were issued now.',
    path: TENANT_PATH,
    answers: { 200: { description: 'Its lines so far.', schema: OpenBill } },
    errors: [404],
  },
  [`POST ${BASE}/bills/:bill/revoke-link`]: {
    id: 'revokeBillLink',
    summary: "Revoke the link to a bill's page",
    description: 'The link answers 404 from then on, and for ever.',
    path: LINK_PATH,
    answers: { 200: { description: 'It has no link any more.', schema: BillPage } },
    errors: [404],
  },
  [`POST ${BASE}/bills/:bill/renew-link`]: {
    id: 'renewBillLink',
    summary: "Renew the link to a bill's page",
    description: 'The link before answers 404 from then on, and for ever.',
    path: LINK_PATH,
    answers: { 200: { description: 'Its new link.', schema: BillPage } },
    errors: [404],
  },
  [`GET ${BASE}/bill-corrections`]: {
    id: 'listBillCorrections',
    summary: 'List the corrections of bills of a tenant',
    path: TENANT_PATH,
    answers: { 200: { description: 'Newest first.', schema: object({ corrections: Type.Array(BillCorrection) }) } },
    errors: [404],
  },
  [`POST ${BASE}/bill-corrections`]: {
    id: 'createBillCorrection',
    summary: 'Correct a bill',
    description: "Becomes a line of the tenant's next bill: one that was issued never changes. It takes nothing from a balance or budget.",
    path: TENANT_PATH,
    answers: { 201: { description: 'The correction.', schema: BillCorrection } },
    errors: [404],
  },
  [`GET ${BASE}/billing-customer`]: {
    id: 'getBillingCustomer',
    summary: 'Show what a tenant is to the payment service',
    path: TENANT_PATH,
    answers: { 200: { description: 'Its customer, and the usage that was told.', schema: BillingCustomer } },
    errors: [404],
  },
  [`PUT ${BASE}/billing-customer`]: {
    id: 'setBillingCustomer',
    summary: 'Say which customer a tenant is',
    description: 'Where nobody says so, one is made with the first usage that is told.',
    path: TENANT_PATH,
    answers: { 200: { description: 'As it is now.', schema: BillingCustomer } },
    errors: [404],
  },
  [`POST ${BASE}/usage-portions/:no`]: {
    id: 'settleUsagePortion',
    summary: 'Tell what became of a portion of usage',
    description:
      'For one that was sent more than 23 hours ago and of which no answer came: only who looks at the payment service can know. `taken` false makes its usage due again.',
    path: { ...TENANT_PATH, no: 'The number of the portion.' },
    answers: { 200: { description: 'As it is now.', schema: BillingCustomer } },
    errors: [404, 409],
  },
};
