import Type from 'typebox';
import { MAX_CHOICES, MAX_OUTPUT_LIMIT } from '../../core/bounds/inference-request.ts';
import { CALL_ANSWER_HEADERS, CALL_ERRORS, CALL_HEADERS, ModelName, RefusingAccount } from '../_shared/openapi/call-parts.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import { named, object, orNull, WholeNumber, type DocumentedSurface, type Operations } from '../_shared/openapi/operation.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { errorOfThrown } from './errors.ts';
import { OWN_KEY_OPERATIONS } from './own-key-operations.ts';
import { OWN_KEY_PATH } from './own-key-surface.ts';

const optional = <T extends Parameters<typeof Type.Optional>[0]>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

/** Fields that every body of a model call may have; whatever else a body holds goes to the upstream as it came. */
const callFields = {
  model: ModelName,
};

const Count = (maximum: number, description: string) =>
  Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum }), Type.Null()], { description }));

const answerFields = {
  stream: optional(Type.Boolean({ description: 'Answer as server-sent events.' })),
  stream_options: Type.Optional(
    Type.Union([object({ include_usage: optional(Type.Boolean()), continuous_usage_stats: optional(Type.Boolean()) }), Type.Null()], {
      description: 'Only together with `stream`.',
    }),
  ),
  n: Count(MAX_CHOICES, 'How many answers to give.'),
  best_of: Count(MAX_CHOICES, 'How many answers to choose from.'),
  max_tokens: Count(
    MAX_OUTPUT_LIMIT,
    'The most output tokens of an answer. Without a limit the default of the model is held for and sent.',
  ),
  max_completion_tokens: Count(MAX_OUTPUT_LIMIT, 'The same, by its newer name.'),
};

const ContentPart = Type.Object({ type: Type.String() }, { additionalProperties: true });

/** Body of `POST /v1/chat/completions`, as far as this server judges it. */
export const ChatBody = named(
  'ChatRequest',
  Type.Object(
    {
      ...callFields,
      messages: Type.Array(
        Type.Object(
          { role: Type.String(), content: Type.Optional(Type.Union([Type.String(), Type.Array(ContentPart), Type.Null()])) },
          { additionalProperties: true },
        ),
        { minItems: 1 },
      ),
      ...answerFields,
    },
    { additionalProperties: true, description: 'Fields that are not named here go to the model as they came.' },
  ),
);

const Tokens = Type.Array(Type.Integer());

/** Body of `POST /v1/embeddings`, as far as this server judges it. */
export const EmbeddingsBody = named(
  'EmbeddingsRequest',
  Type.Object(
    {
      ...callFields,
      input: Type.Union([
        Type.String(),
        Type.Array(Type.String(), { minItems: 1 }),
        Type.Array(Type.Integer(), { minItems: 1 }),
        Type.Array(Tokens, { minItems: 1 }),
      ]),
      encoding_format: Type.Optional(Type.String({ description: '`float` or `base64`.' })),
    },
    { additionalProperties: true, description: 'Fields that are not named here go to the model as they came.' },
  ),
);

/** What models answer is passed on as it comes; the fields named here are those that OpenAI's clients read. */
const open = { additionalProperties: true };

const TokenUsage = named(
  'TokenUsage',
  Type.Object({ prompt_tokens: WholeNumber, completion_tokens: Type.Optional(WholeNumber), total_tokens: WholeNumber }, open),
);

const ChatAnswer = named(
  'ChatAnswer',
  Type.Object(
    {
      id: Type.String(),
      object: Type.String(),
      model: Type.String(),
      choices: Type.Array(Type.Object({ index: Type.Integer(), finish_reason: orNull(Type.String()) }, open)),
      usage: Type.Optional(TokenUsage),
    },
    open,
  ),
);

const EmbeddingsAnswer = named(
  'EmbeddingsAnswer',
  Type.Object(
    {
      object: Type.String(),
      model: Type.String(),
      data: Type.Array(Type.Object({ index: Type.Integer(), embedding: Type.Union([Type.Array(Type.Number()), Type.String()]) }, open)),
      usage: Type.Optional(TokenUsage),
    },
    open,
  ),
);

const GatewayModel = named(
  'GatewayModel',
  object({
    id: Type.String(),
    object: Type.Literal('model'),
    created: WholeNumber,
    owned_by: Type.String(),
    type: Type.String(),
    multimodal: Type.Boolean(),
    context_length: Type.Integer(),
    max_output_tokens: Type.Integer(),
    tags: Type.Array(Type.String()),
    alias_of: Type.Optional(Type.String({ description: "The model's own id, where `id` is an alias of it." })),
    pricing: Type.Optional(
      object(
        {
          inputTokenPricePer1M: Type.Number(),
          outputTokenPricePer1M: Type.Number(),
          cachedInputTokenPricePer1M: Type.Optional(Type.Number()),
          cacheWriteInputTokenPricePer1M: Type.Optional(Type.Number()),
          requestPrice: Type.Number(),
        },
        { description: 'USD, of the first upstream; left out for a model without a price.' },
      ),
    ),
  }),
);

/** The body of this surface's errors, in OpenAI's form. */
const OpenAiError = named(
  'OpenAiError',
  object({
    error: object({
      message: Type.String(),
      type: Type.String(),
      param: orNull(Type.String(), 'The field that breaks a rule.'),
      code: orNull(Type.String()),
      account: Type.Optional(RefusingAccount),
    }),
  }),
);

const ANSWER_HEADERS = {
  ...CALL_ANSWER_HEADERS,
  'x-castellan-output-limit': 'The output limit that was sent to the model, where the request had none.',
};

const CALL_OPERATIONS: Operations = {
  'POST /v1/chat/completions': {
    id: 'createChatCompletion',
    summary: 'Let a model answer a conversation',
    description:
      'What the call can cost at most is held on every account that applies before it is sent, and what it did cost is booked before its answer ends.',
    headers: CALL_HEADERS,
    body: { schema: ChatBody },
    answers: {
      200: [
        { description: "The model's answer, as it came.", schema: ChatAnswer, headers: ANSWER_HEADERS },
        { description: 'With `stream`, its events.', schema: Type.String(), mediaType: 'text/event-stream' },
      ],
    },
    errors: CALL_ERRORS,
  },
  'POST /v1/embeddings': {
    id: 'createEmbedding',
    summary: 'Turn texts into vectors',
    headers: CALL_HEADERS,
    body: { schema: EmbeddingsBody },
    answers: { 200: { description: "The model's answer, as it came.", schema: EmbeddingsAnswer, headers: ANSWER_HEADERS } },
    errors: CALL_ERRORS,
  },
};

const MODEL_OPERATIONS: Operations = {
  'GET /v1/models': {
    id: 'listModels',
    summary: 'List the models that can be called',
    answers: {
      200: { description: 'The models, ordered by id.', schema: object({ object: Type.Literal('list'), data: Type.Array(GatewayModel) }) },
    },
  },
  'GET /v1/models/*': {
    id: 'getModel',
    summary: 'Show a model',
    wildcard: 'model',
    path: { model: 'The id of the model, or an alias of it; it may hold slashes.' },
    answers: { 200: { description: 'The model.', schema: GatewayModel } },
    errors: [404],
  },
};

/** What the document tells about the gateway. */
export const GATEWAY_SURFACE: DocumentedSurface = {
  id: 'gateway',
  title: 'Gateway',
  description: "Model calls as OpenAI's clients send them, metered, priced and capped.",
  prefixes: ['/v1', OWN_KEY_PATH],
  operations: { ...CALL_OPERATIONS, ...MODEL_OPERATIONS, ...OWN_KEY_OPERATIONS },
  security: ['inferenceKey'],
  errors: {
    form: OpenAiError,
    always: [400, 401, 403, 500, 503],
    codes: errorCodes((code) => {
      const { status, code: name } = errorOfThrown(new RefusedRequest({ code, message: '' }));
      return { status, code: name ?? code };
    }),
  },
};
