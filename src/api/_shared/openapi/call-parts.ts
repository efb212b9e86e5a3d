import Type from 'typebox';
import { MAX_MODEL_CHARS } from '../../../core/bounds/inference-request.ts';
import { USAGE_ANSWER_HEADER } from '../../../core/metering/usage-header.ts';
import { object, orNull, WholeNumber, type Parameter } from './operation.ts';

/** The model of a call, in whichever API it is made. */
export const ModelName = Type.String({ minLength: 1, maxLength: MAX_MODEL_CHARS, description: 'The id of a model, or an alias of one.' });

const Amount = orNull(WholeNumber, 'In the unit of the account; left out where the tenant hides amounts.');

/** The account that refused a call, as errors of calls tell it. */
export const RefusingAccount = object(
  {
    kind: Type.String(),
    scope: Type.String(),
    unit: Type.String(),
    rule: Type.Optional(Type.String({ description: 'Of a budget of a day, week or month: its id, such as `each_key:daily`.' })),
    limit: Type.Optional(Amount),
    spent: Type.Optional(Amount),
    reserved: Type.Optional(Amount),
    remaining: Type.Optional(Amount),
    resets_at: orNull(Type.String({ format: 'date-time' })),
  },
  { description: 'The account that refused.' },
);

/** Headers of a request that every call of a model understands. */
export const CALL_HEADERS: Readonly<Record<string, Parameter>> = {
  'X-Tinfoil-Request-Usage-Metrics': {
    description: `\`true\` asks for what the call used and cost, in the header \`${USAGE_ANSWER_HEADER}\` or, of a stream, its trailer.`,
    schema: Type.Literal('true'),
  },
  traceparent: {
    description: 'The trace that the call belongs to (W3C Trace Context); it goes on to the upstream.',
    schema: Type.String(),
  },
};

/** Headers that every answer of a model has. */
export const CALL_ANSWER_HEADERS = {
  'x-request-id': 'The id of the request in the log.',
  'x-castellan-call-id': 'The id of the call in the ledger.',
  'x-castellan-model': 'The model that answered, where it is another than the call asked for.',
} as const;

/** Errors of every model call: refused by an account, not understood, or failed at the upstream. */
export const CALL_ERRORS = [402, 404, 429, 502, 504] as const;
