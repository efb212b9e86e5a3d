import Type from 'typebox';
import { USAGE_WINDOWS } from '../../core/usage/windows.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import {
  named,
  object,
  orNull,
  Timestamp,
  WholeNumber,
  type DocumentedSurface,
  type Operations,
  type Parameter,
} from '../_shared/openapi/operation.ts';
import { CONTAINER_OPERATIONS } from './container-operations.ts';
import { CONTAINER_USE_OPERATIONS } from './container-use-operations.ts';
import { DOMAIN_OPERATIONS } from './domain-operations.ts';
import { SECRET_OPERATIONS } from './secret-operations.ts';
import { SSH_KEY_OPERATIONS } from './ssh-key-operations.ts';
import { tinfoilForm } from './errors.ts';
import { TINFOIL_PREFIX } from './prefix.ts';

const Cost = Type.Number({ description: 'USD.' });

const ApiKey = named(
  'ApiKey',
  object({
    id: Type.String(),
    key: Type.String({ description: 'In full to the member who made it; masked to others.' }),
    name: Type.String(),
    disabled: Type.Boolean(),
    expires_at: orNull(Timestamp),
    max_tokens: orNull(WholeNumber, 'The cap in tokens; null is none.'),
    metadata: Type.Object({}, { additionalProperties: true }),
    tokens_used: WholeNumber,
    input_tokens_used: WholeNumber,
    output_tokens_used: WholeNumber,
    request_count: WholeNumber,
    is_owner: Type.Boolean(),
    created_at: Timestamp,
    last_used_at: orNull(Timestamp),
    clerk_user_id: Type.String({ description: 'Of an earlier version: the member who made it.' }),
    chat: Type.Boolean({ description: 'Of an earlier version.' }),
    is_admin: Type.Boolean({ description: 'Of an earlier version.' }),
  }),
);

const Message = named('Message', object({ message: Type.String() }));

const series = { tokens: WholeNumber, input_tokens: WholeNumber, output_tokens: WholeNumber, requests: WholeNumber };
const sums = { ...series, cost: Cost };

const Usage = named(
  'Usage',
  object({
    ...sums,
    keys: Type.Record(
      Type.String(),
      object({
        total_tokens: WholeNumber,
        total_input_tokens: WholeNumber,
        total_output_tokens: WholeNumber,
        total_requests: WholeNumber,
        cost: Cost,
        models: Type.Record(Type.String(), object(sums), { description: 'By model.' }),
      }),
      { description: 'By the name of the key.' },
    ),
  }),
);

const KeyUsage = named(
  'KeyUsage',
  object({ prompt_tokens: WholeNumber, completion_tokens: WholeNumber, requests: WholeNumber, cost: Cost }),
);

const TimeSeries = named(
  'TimeSeries',
  object({
    data_points: Type.Array(
      object({ time: Timestamp, ...series, models: Type.Record(Type.String(), object(series), { description: 'By model.' }) }),
    ),
    interval: Type.String({ description: 'The width of a point, such as `15m0s`.' }),
  }),
);

const Transaction = named(
  'Transaction',
  object({
    id: Type.String(),
    date: Timestamp,
    type: Type.Union([Type.Literal('Invoice'), Type.Literal('Charge')]),
    description: Type.String(),
    amount: Type.Number({ description: 'In whole units of the currency, to the cent.' }),
    currency: Type.String({ description: 'ISO 4217.' }),
    status: Type.String(),
    invoice_url: Type.Optional(Type.String({ description: 'A page to read and print; left out while its link is revoked.' })),
  }),
);

/** The body of errors below `/api`. */
export const TinfoilError = named(
  'TinfoilError',
  object({
    error: Type.String({ description: 'One sentence.' }),
    code: Type.String(),
    status: Type.Literal('error', { description: 'Of an earlier version.' }),
    message: Type.String({ description: 'Of an earlier version: the same sentence.' }),
  }),
);

const time = (fallback: string): Parameter => ({
  description: `The window that ends now; ${fallback}.`,
  schema: Type.Union(USAGE_WINDOWS.map(({ name }) => Type.Literal(name))),
});

const keyQuery: Parameter = { description: 'The full value of one key, as an earlier version has it.', schema: Type.String() };

const KEY_OPERATIONS: Operations = {
  'GET /api/keys': {
    id: 'listKeys',
    summary: 'List inference keys',
    description: 'All at once, or a page at a time where `limit` or `cursor` asks for it.',
    query: {
      limit: { description: 'Keys in a page; 100 where only a cursor is given.', schema: Type.Integer({ minimum: 1, maximum: 1000 }) },
      cursor: { description: 'That of the `Link` of the page before.', schema: Type.String() },
    },
    answers: {
      200: {
        description: 'Inference keys of the tenant, oldest first.',
        schema: Type.Array(ApiKey),
        headers: { Link: 'Where the next page is, relative to this one (RFC 8288); left out on the last page.' },
      },
    },
  },
  'POST /api/keys': {
    id: 'createKey',
    summary: 'Create an inference key',
    description: 'The key belongs to the member of the admin key. A field that this API does not know is ignored.',
    answers: { 200: { description: 'The new key, in full.', schema: ApiKey } },
    errors: [402],
  },
  'POST /api/keys/update': {
    id: 'updateKeyByValue',
    summary: 'Change an inference key',
    description:
      'Only what the body names is changed; null counts as not given, but takes an expiry away. `max_tokens` of 0 takes the cap away.',
    answers: { 200: { description: 'It is changed.', schema: Message } },
    errors: [404],
  },
  'POST /api/keys/rename': {
    id: 'renameKey',
    summary: 'Rename an inference key',
    description: 'Of an earlier version; update does the same.',
    answers: { 200: { description: 'It is renamed.', schema: Message } },
    errors: [404],
  },
  'DELETE /api/keys/:key': {
    id: 'deleteKeyByValue',
    summary: 'Delete an inference key',
    path: { key: 'The full value of the key.' },
    answers: { 200: { description: 'It is deleted.', schema: Message } },
    errors: [404],
  },
};

const BILLING_OPERATIONS: Operations = {
  'GET /api/billing/usage': {
    id: 'getUsage',
    summary: 'Sum up usage by key and model',
    query: { time: time('all time where it is not given'), key: keyQuery },
    answers: { 200: { description: 'The sums.', schema: Usage } },
    errors: [404],
  },
  'POST /api/billing/usage/key': {
    id: 'getKeyUsage',
    summary: 'Sum up the usage of one key',
    query: { time: time('all time where it is not given'), key: keyQuery },
    answers: { 200: { description: 'The sums.', schema: KeyUsage } },
    errors: [404],
  },
  'GET /api/billing/time-series': {
    id: 'getTimeSeries',
    summary: 'Show usage over time',
    query: { time: time('`24h` where it is not given') },
    answers: { 200: { description: 'Points of equal width, oldest first, empty ones included.', schema: TimeSeries } },
  },
  'GET /api/billing/transactions': {
    id: 'listTransactions',
    summary: 'List billing transactions',
    query: { format: { description: '`array` asks for the bare list of an earlier version.', schema: Type.String() } },
    headers: { 'X-API-Version': { description: '`2025-01` asks for the bare list of that version.', schema: Type.String() } },
    answers: {
      200: {
        description: 'The transactions, newest first.',
        schema: Type.Union([object({ transactions: Type.Array(Transaction) }), Type.Array(Transaction)]),
      },
    },
  },
};

/** What the document tells about the Tinfoil Admin API. */
export const TINFOIL_SURFACE: DocumentedSurface = {
  id: 'tinfoil-admin',
  title: 'Tinfoil Admin API',
  description: 'Keys, usage, billing and containers of one tenant, for the members who administer it.',
  prefixes: [TINFOIL_PREFIX],
  operations: {
    ...KEY_OPERATIONS,
    ...BILLING_OPERATIONS,
    ...CONTAINER_OPERATIONS,
    ...CONTAINER_USE_OPERATIONS,
    ...SECRET_OPERATIONS,
    ...SSH_KEY_OPERATIONS,
    ...DOMAIN_OPERATIONS,
  },
  security: ['adminKey'],
  errors: {
    form: TinfoilError,
    always: [400, 401, 403, 421, 500, 503],
    codes: errorCodes((code) => {
      const { status, body } = tinfoilForm({ code, message: '' }, '');
      return { status, code: (body as { readonly code: string }).code };
    }),
  },
};
