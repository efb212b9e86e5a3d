import Type from 'typebox';
import { named, object, orNull, Timestamp, WholeNumber, type Operations } from '../_shared/openapi/operation.ts';
import { OWN_KEY_PATH } from './own-key-surface.ts';

const Limit = object({
  kind: Type.Union([Type.Literal('key_cap'), Type.Literal('budget'), Type.Literal('window'), Type.Literal('balance')]),
  scope: Type.String(),
  unit: Type.String({ description: 'What is counted, such as `TOKENS` or `USD_MICROCENTS`.' }),
  limit: orNull(WholeNumber, 'Null: it counts, and limits nothing.'),
  spent: WholeNumber,
  reserved: Type.Integer({ format: 'int64', description: 'Held by calls in flight.' }),
  remaining: orNull(WholeNumber),
  resets_at: orNull(Timestamp),
});

const Sums = object({
  requests: WholeNumber,
  tokens: WholeNumber,
  input_tokens: WholeNumber,
  output_tokens: WholeNumber,
  cost_usd: Type.Number(),
});

const OwnKey = named(
  'OwnKey',
  object({
    id: Type.String(),
    name: Type.String(),
    kind: Type.String(),
    tenant_id: Type.String(),
    masked_key: Type.String(),
    disabled: Type.Boolean(),
    expires_at: orNull(Timestamp),
    created_at: Timestamp,
    last_used_at: orNull(Timestamp),
    limits: Type.Array(Limit, {
      description: "What limits its calls, in the order in which they refuse. Of a tenant that hides amounts, only the key's own.",
    }),
    usage: object(
      { all: Sums, '1h': Sums, '24h': Sums, '7d': Sums, '30d': Sums },
      { description: 'What it used: since it was made, and in windows that end now.' },
    ),
    rotation: object({
      presented: Type.Union([Type.Literal('current'), Type.Literal('previous')], { description: 'By which of its values it asked.' }),
      rotated_at: orNull(Timestamp),
      previous_valid_until: orNull(Timestamp, 'Until when the value before the last rotation is good; null where none is.'),
    }),
  }),
);

/** What a key may ask about itself. */
export const OWN_KEY_OPERATIONS: Operations = {
  [`GET ${OWN_KEY_PATH}`]: {
    id: 'getOwnKey',
    summary: 'Show the key that asks',
    description: 'Its limits, what it used, and how its rotation stands; what its own finished calls used is always among it.',
    answers: { 200: { description: 'The key; never its value.', schema: OwnKey } },
    security: ['inferenceKey', 'adminKey'],
  },
};
