import Type, { type TSchema } from 'typebox';
import { MAX_CHOICES, MAX_OUTPUT_LIMIT } from '../../core/bounds/inference-request.ts';
import { CALL_ANSWER_HEADERS } from '../_shared/openapi/call-parts.ts';
import { named, object, WholeNumber, type Answer } from '../_shared/openapi/operation.ts';

/** What models answer is passed on as it comes; the fields that are named are those that OpenAI's clients read. */
export const open = { additionalProperties: true };

/** Options of the body of a call, of which only some fields are judged. */
export const passedOn = { ...open, description: 'Fields that are not named here go to the model as they came.' };

/** A field that may be left out or null. */
export const optional = <T extends TSchema>(schema: T, options: { readonly description?: string } = {}) =>
  Type.Optional(Type.Union([schema, Type.Null()], options));

/** A whole number from 1 on. */
export const Count = (maximum: number, description: string) => optional(Type.Integer({ minimum: 1, maximum }), { description });

/** Fields of a body by which an answer is asked for as events. */
export const streamFields = {
  stream: optional(Type.Boolean({ description: 'Answer as server-sent events.' })),
  stream_options: optional(object({ include_usage: optional(Type.Boolean()), continuous_usage_stats: optional(Type.Boolean()) }), {
    description: 'Only together with `stream`.',
  }),
};

/** Fields of a body that say how many answers there may be, and how long. */
export const answerFields = {
  ...streamFields,
  n: Count(MAX_CHOICES, 'How many answers to give.'),
  best_of: Count(MAX_CHOICES, 'How many answers to choose from.'),
  max_tokens: Count(
    MAX_OUTPUT_LIMIT,
    'The most output tokens of an answer. Without a limit the default of the model is held for and sent.',
  ),
  max_completion_tokens: Count(MAX_OUTPUT_LIMIT, 'The same, by its newer name.'),
};

/** One text or several, in words or in tokens. */
export const Texts = Type.Union([
  Type.String(),
  Type.Array(Type.String(), { minItems: 1 }),
  Type.Array(Type.Integer(), { minItems: 1 }),
  Type.Array(Type.Array(Type.Integer()), { minItems: 1 }),
]);

/** What a call used, as chats, completions and embeddings tell it. */
export const TokenUsage = named(
  'TokenUsage',
  Type.Object({ prompt_tokens: WholeNumber, completion_tokens: Type.Optional(WholeNumber), total_tokens: WholeNumber }, open),
);

/** Headers of the answer to a call. */
export const ANSWER_HEADERS = {
  ...CALL_ANSWER_HEADERS,
  'x-castellan-output-limit': 'The output limit that was sent to the model, where the request had none.',
};

/** What a model answered, passed on. */
export const answerOf = (schema: TSchema): Answer => ({
  description: "The model's answer, as it came.",
  schema,
  headers: ANSWER_HEADERS,
});

/** The same as events. */
export const EVENTS: Answer = {
  description: 'With `stream`, its events.',
  schema: Type.String(),
  mediaType: 'text/event-stream',
};
