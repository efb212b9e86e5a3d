import Type from 'typebox';
import { named, object, orNull, Timestamp, type Operations } from '../_shared/openapi/operation.ts';
import { PAGE_HEADERS, pageEnd, pageQuery } from './event-operations.ts';
import { OPERATOR_PREFIX } from './prefix.ts';

const BASE = `${OPERATOR_PREFIX}/tenants/:id`;
const PATH = { id: 'The id of the tenant.' };

const Money = (description: string) => Type.Number({ description: `${description} In whole units of the currency, exact.` });

const Balance = named(
  'TenantBalance',
  object({
    currency: Type.String({ description: 'The currency of the tenant.' }),
    require_balance: Type.Boolean({ description: 'Calls that the balance cannot pay are refused.' }),
    balance: Money('Credited and not spent; negative where more was spent.'),
    held: Money('What calls in flight hold of the balance.'),
    remaining: Money('What further calls may hold: the balance without what is held.'),
    credited: Money('The sum of all credits.'),
    spent: Money('What calls took.'),
    per_usd: orNull(Type.Number(), 'What one USD is worth now: prices are in USD. Null where no rate applies.'),
  }),
);

const credit = {
  id: Type.String(),
  tenant_id: Type.String(),
  amount: Money('What was paid in; negative where it was taken back.'),
  currency: Type.String(),
  reason: Type.String(),
  by: Type.String({ description: 'Who did it, such as `operator`.' }),
  created_at: Timestamp,
};

const BalanceCredit = named('BalanceCredit', object(credit));
const NewBalanceCredit = named('NewBalanceCredit', object({ ...credit, balance: Money('The balance right after it.') }));

/** Prepaid balances and what was paid into them. */
export const BALANCE_OPERATIONS: Operations = {
  [`GET ${BASE}/balance`]: {
    id: 'getBalance',
    summary: 'Show the prepaid balance of a tenant',
    path: PATH,
    answers: { 200: { description: 'The balance; all is 0 where nothing was ever paid in.', schema: Balance } },
    errors: [404],
  },
  [`POST ${BASE}/credits`]: {
    id: 'creditBalance',
    summary: 'Pay into the prepaid balance of a tenant',
    description:
      'From the first credit on calls of the tenant take from its balance. No credit ever changes: a mistake is taken back by another one ' +
      'with a negative amount. With an `idempotency_key` it is done once for as long as answers are kept.',
    path: PATH,
    answers: { 201: { description: 'The credit, and the balance right after it.', schema: NewBalanceCredit } },
    errors: [404, 409],
  },
  [`GET ${BASE}/credits`]: {
    id: 'listCredits',
    summary: 'List what was paid into the prepaid balance of a tenant',
    description: 'Newest first, a page at a time.',
    path: PATH,
    query: pageQuery('Credits'),
    answers: {
      200: {
        description: 'A page of credits.',
        schema: object({ credits: Type.Array(BalanceCredit), ...pageEnd }),
        headers: PAGE_HEADERS,
      },
    },
    errors: [404],
  },
};
