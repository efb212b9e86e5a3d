import Type from 'typebox';
import { CALL_ERRORS, CALL_HEADERS, ModelName, RefusingAccount } from '../_shared/openapi/call-parts.ts';
import { routerFields } from '../_shared/openapi/router-fields.ts';
import { RoutingMetadata } from '../_shared/openapi/routing-metadata.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import { named, object, orNull, WholeNumber, type DocumentedSurface, type Operations } from '../_shared/openapi/operation.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { answerFields, answerOf, EVENTS, open, passedOn, Texts, TokenUsage } from './call-schemas.ts';
import { errorOfThrown } from './errors.ts';
import { MEDIA_OPERATIONS } from './media-operations.ts';
import { OWN_KEY_OPERATIONS } from './own-key-operations.ts';
import { OWN_KEY_PATH } from './own-key-surface.ts';
import { countingOperation, RESPONSES_OPERATIONS } from './responses-operations.ts';

const ContentPart = Type.Object({ type: Type.String() }, { additionalProperties: true });

/** Body of `POST /v1/chat/completions`, as far as this server judges it. */
export const ChatBody = named(
  'ChatRequest',
  Type.Object(
    {
      model: ModelName,
      messages: Type.Array(
        Type.Object(
          { role: Type.String(), content: Type.Optional(Type.Union([Type.String(), Type.Array(ContentPart), Type.Null()])) },
          { additionalProperties: true },
        ),
        { minItems: 1 },
      ),
      ...answerFields,
      ...routerFields,
    },
    passedOn,
  ),
);

/** Body of `POST /v1/completions`, as far as this server judges it. */
export const CompletionsBody = named(
  'CompletionsRequest',
  Type.Object({ model: ModelName, prompt: Texts, ...answerFields, ...routerFields }, passedOn),
);

/** Body of `POST /v1/embeddings`, as far as this server judges it. */
export const EmbeddingsBody = named(
  'EmbeddingsRequest',
  Type.Object(
    {
      model: ModelName,
      input: Texts,
      encoding_format: Type.Optional(Type.String({ description: '`float` or `base64`.' })),
      ...routerFields,
    },
    passedOn,
  ),
);

const CompletionAnswer = named(
  'CompletionAnswer',
  Type.Object(
    {
      id: Type.String(),
      object: Type.String(),
      model: Type.String(),
      choices: Type.Array(Type.Object({ index: Type.Integer(), text: Type.String(), finish_reason: orNull(Type.String()) }, open)),
      usage: Type.Optional(TokenUsage),
      metadata: Type.Optional(RoutingMetadata),
    },
    open,
  ),
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
      metadata: Type.Optional(RoutingMetadata),
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
      metadata: Type.Optional(RoutingMetadata),
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
    description: orNull(Type.String()),
    context_length: Type.Integer(),
    context_size: Type.Integer({ description: 'The same, by the name that clients of Cortecs read.' }),
    max_output_tokens: Type.Integer(),
    providers: Type.Array(Type.String(), { description: 'Whose servers answer it, as slugs.' }),
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
          secondPrice: Type.Optional(Type.Number({ description: 'Of one second of audio that comes in.' })),
          characterPricePer1M: Type.Optional(Type.Number({ description: 'Of a million characters that are spoken.' })),
          imagePrice: Type.Optional(Type.Number({ description: 'Of one image that is made.' })),
          input_token: Type.Number({ description: 'Of a million tokens, like all of tokens.' }),
          output_token: Type.Number(),
          currency: Type.String({ description: 'What the fields in snake case are in.' }),
          cache_read_cost: Type.Optional(Type.Number()),
          cache_write_cost: Type.Optional(Type.Number()),
          audio_cost: Type.Optional(Type.Number({ description: 'Of one second of audio that comes in.' })),
          speech_cost: Type.Optional(Type.Number({ description: 'Of a million characters that are spoken.' })),
        },
        {
          description:
            'In camel case: USD, of the first upstream that has a price. In snake case: the least over all upstreams, in `currency`. Left out for a model without a price.',
        },
      ),
    ),
  }),
);

/** The body of this surface's errors, in OpenAI's form. */
export const OpenAiError = named(
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

const BOOKED =
  'What the call can cost at most is held on every account that applies before it is sent, and what it did cost is booked before its answer ends.';

const CALL_OPERATIONS: Operations = {
  'POST /v1/chat/completions': {
    id: 'createChatCompletion',
    summary: 'Let a model answer a conversation',
    description: BOOKED,
    headers: CALL_HEADERS,
    body: { schema: ChatBody },
    answers: { 200: [answerOf(ChatAnswer), EVENTS] },
    errors: CALL_ERRORS,
  },
  'POST /v1/chat/completions/input_tokens': countingOperation({
    id: 'countChatInputTokens',
    summary: 'Count the input tokens of a conversation',
    body: { schema: ChatBody },
  }),
  'POST /v1/completions': {
    id: 'createCompletion',
    summary: 'Let a model go on with a text',
    description: BOOKED,
    headers: CALL_HEADERS,
    body: { schema: CompletionsBody },
    answers: { 200: [answerOf(CompletionAnswer), EVENTS] },
    errors: CALL_ERRORS,
  },
  'POST /v1/embeddings': {
    id: 'createEmbedding',
    summary: 'Turn texts into vectors',
    headers: CALL_HEADERS,
    body: { schema: EmbeddingsBody },
    answers: { 200: answerOf(EmbeddingsAnswer) },
    errors: CALL_ERRORS,
  },
};

const ANTHROPIC_HEADERS = {
  'anthropic-version': {
    description:
      "Where it is given the answer has Anthropic's form, the key may stand in `x-api-key`, and the query may have `limit` (1 to 1000, else 20), `after_id`, `before_id` and `lifecycle`.",
    schema: Type.String(),
  },
};

/** A model as Anthropic's clients know it. */
const AnthropicModel = named(
  'AnthropicModel',
  object({
    type: Type.Literal('model'),
    id: Type.String(),
    display_name: Type.String(),
    created_at: Type.String({ format: 'date-time' }),
    max_input_tokens: WholeNumber,
    max_tokens: WholeNumber,
    capabilities: Type.Null(),
    line: Type.Null(),
    lifecycle: Type.Literal('active'),
    deprecated_at: Type.Null(),
    retires_at: Type.Null(),
  }),
);

const CURRENCY_QUERY = {
  currency: {
    description:
      "What to tell prices in: a code of ISO 4217 that an exchange rate applies to, else 400. By default the tenant's, else USD.",
    schema: Type.String(),
  },
};

const MODEL_OPERATIONS: Operations = {
  'GET /v1/models': {
    id: 'listModels',
    summary: 'List the models that can be called',
    headers: ANTHROPIC_HEADERS,
    query: {
      ...CURRENCY_QUERY,
      tag: {
        description: 'Only models with this tag, in upper or lower case; may come several times, for models with all of them.',
        schema: Type.Array(Type.String()),
      },
    },
    answers: {
      200: {
        description: 'The models, ordered by id; for a client of Anthropic, a page of those that it can call, the newest first.',
        schema: Type.Union([
          object({ object: Type.Literal('list'), data: Type.Array(GatewayModel) }),
          object({
            data: Type.Array(AnthropicModel),
            has_more: Type.Boolean(),
            first_id: orNull(Type.String()),
            last_id: orNull(Type.String()),
          }),
        ]),
      },
    },
  },
  'GET /v1/models/*': {
    id: 'getModel',
    summary: 'Show a model',
    wildcard: 'model',
    path: { model: 'The id of the model, or an alias of it; it may hold slashes.' },
    headers: ANTHROPIC_HEADERS,
    query: CURRENCY_QUERY,
    answers: { 200: { description: 'The model.', schema: Type.Union([GatewayModel, AnthropicModel]) } },
    errors: [404],
  },
};

/** What the document tells about the gateway. */
export const GATEWAY_SURFACE: DocumentedSurface = {
  id: 'gateway',
  title: 'Gateway',
  description: "Model calls as OpenAI's clients send them, metered, priced and capped.",
  prefixes: ['/v1', OWN_KEY_PATH],
  operations: { ...CALL_OPERATIONS, ...RESPONSES_OPERATIONS, ...MEDIA_OPERATIONS, ...MODEL_OPERATIONS, ...OWN_KEY_OPERATIONS },
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
