import Type from 'typebox';
import { named, object, Timestamp, type Operations } from '../_shared/openapi/operation.ts';
import { OPERATOR_PREFIX } from './prefix.ts';

const BASE = `${OPERATOR_PREFIX}/exchange-rates`;

const ExchangeRate = named(
  'ExchangeRate',
  object({
    id: Type.String(),
    currency: Type.String({ description: 'A code of ISO 4217, such as `EUR`.' }),
    per_usd: Type.Number({ description: 'What one USD is worth in it, exact.' }),
    applies_from: Timestamp,
    created_at: Timestamp,
  }),
);

/** What a USD is worth in other currencies. */
export const EXCHANGE_RATE_OPERATIONS: Operations = {
  [`POST ${BASE}`]: {
    id: 'addExchangeRate',
    summary: 'Declare an exchange rate',
    description: 'Rates are added and never changed: a call takes from a balance by the rate that applied when it was held.',
    answers: { 201: { description: 'The new rate.', schema: ExchangeRate } },
    errors: [409],
  },
  [`GET ${BASE}`]: {
    id: 'listExchangeRates',
    summary: 'List exchange rates',
    query: { currency: { description: 'Only rates of this currency.', schema: Type.String() } },
    answers: {
      200: { description: 'All of them, ordered by id.', schema: object({ exchange_rates: Type.Array(ExchangeRate) }) },
    },
  },
  [`DELETE ${BASE}/:id`]: {
    id: 'deleteExchangeRate',
    summary: 'Take back an exchange rate that lies ahead',
    path: { id: 'The id of the rate.' },
    answers: { 204: { description: 'It is gone.' } },
    errors: [404, 409],
  },
};
