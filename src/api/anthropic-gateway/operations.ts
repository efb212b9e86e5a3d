import Type from 'typebox';
import { MAX_OUTPUT_LIMIT } from '../../core/bounds/inference-request.ts';
import { anthropicErrorType } from '../_shared/anthropic-form.ts';
import { CALL_ANSWER_HEADERS, CALL_ERRORS, CALL_HEADERS, ModelName, RefusingAccount } from '../_shared/openapi/call-parts.ts';
import { routerFields } from '../_shared/openapi/router-fields.ts';
import { RoutingMetadata } from '../_shared/openapi/routing-metadata.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import {
  named,
  object,
  orNull,
  WholeNumber,
  type DocumentedSurface,
  type Operations,
  type Parameter,
} from '../_shared/openapi/operation.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { errorOfThrown } from './errors.ts';
import { MESSAGES_PREFIX } from './surface.ts';

/** Bodies and answers may have more fields than those that are named: requests pass to the model as they came, and answers back. */
const open = { additionalProperties: true };

const optional = <T extends Parameters<typeof Type.Optional>[0]>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

const TOOL_RESULT = 'tool_result';

const InnerBlock = Type.Object({ type: Type.String() }, open);
const ToolResult = named(
  'ToolResultBlock',
  Type.Object(
    { type: Type.Literal(TOOL_RESULT), content: optional(Type.Union([Type.String(), Type.Array(InnerBlock)])) },
    { ...open, description: 'What a tool answered.' },
  ),
);
const OtherBlock = named(
  'ContentBlock',
  Type.Object(
    { type: Type.String({ pattern: `^(?!${TOOL_RESULT}$)` }) },
    { ...open, description: 'A text, an image, a document and so on.' },
  ),
);
const Content = Type.Union([Type.String(), Type.Array(Type.Union([ToolResult, OtherBlock]))]);

const NoOtherModel = Type.Optional(Type.Null({ description: 'Refused: it would run a model that the call does not name.' }));

const promptFields = {
  model: ModelName,
  messages: Type.Array(Type.Object({ role: Type.String(), content: Content }, open), { minItems: 1 }),
  system: optional(Content),
  tools: optional(Type.Array(Type.Object({ model: NoOtherModel }, open))),
  stream: optional(Type.Boolean({ description: 'Answer as server-sent events.' })),
  ...routerFields,
};

const passedOn = { ...open, description: 'Fields that are not named here go to the model as they came.' };

/** Body of `POST /v1/messages`, as far as this server judges it. */
export const MessagesBody = named(
  'MessagesRequest',
  Type.Object(
    {
      ...promptFields,
      max_tokens: Type.Integer({
        minimum: 0,
        maximum: MAX_OUTPUT_LIMIT,
        description: "The most output tokens of the answer, which are held for. 0 only fills the upstream's cache.",
      }),
    },
    passedOn,
  ),
);

/** Body of `POST /v1/messages/count_tokens`, as far as this server judges it. */
export const CountTokensBody = named('CountTokensRequest', Type.Object(promptFields, passedOn));

const CacheCount = Type.Optional(orNull(WholeNumber));

const MessageAnswer = named(
  'MessageAnswer',
  Type.Object(
    {
      id: Type.String(),
      type: Type.Literal('message'),
      role: Type.String(),
      model: Type.String(),
      content: Type.Array(Type.Object({ type: Type.String() }, open)),
      stop_reason: orNull(Type.String()),
      stop_sequence: Type.Optional(orNull(Type.String())),
      metadata: Type.Optional(RoutingMetadata),
      usage: Type.Optional(
        Type.Object(
          {
            input_tokens: WholeNumber,
            cache_creation_input_tokens: CacheCount,
            cache_read_input_tokens: CacheCount,
            output_tokens: WholeNumber,
          },
          open,
        ),
      ),
    },
    open,
  ),
);

const TokenCount = named('TokenCount', Type.Object({ input_tokens: WholeNumber }, open));

/** The body of this surface's errors, in Anthropic's form. */
const AnthropicError = named(
  'AnthropicError',
  object({
    type: Type.Literal('error'),
    error: object({
      type: Type.String({ description: `As Anthropic's clients know it, by the status: \`${anthropicErrorType(429)}\` and so on.` }),
      message: Type.String(),
      code: Type.Optional(Type.String({ description: 'What it is exactly; the table of codes says what it means.' })),
      account: Type.Optional(RefusingAccount),
    }),
    request_id: Type.String({ description: 'The id of the request in the log.' }),
  }),
);

const VERSION_HEADERS: Readonly<Record<string, Parameter>> = {
  'anthropic-version': { description: 'Goes on to the upstream; `2023-06-01` where it is not given.', schema: Type.String() },
  'anthropic-beta': { description: 'Goes on to the upstream.', schema: Type.String() },
};

const REQUEST_ID = { 'request-id': "The same under the name that Anthropic's clients look for." };

const OPERATIONS: Operations = {
  [`POST ${MESSAGES_PREFIX}`]: {
    id: 'createMessage',
    summary: 'Let a model answer a message',
    description:
      'For models at upstreams that speak this API. What the call can cost at most is held on every account that applies before it is sent, and what it did cost is booked before its answer ends.',
    headers: { ...VERSION_HEADERS, ...CALL_HEADERS },
    body: { schema: MessagesBody },
    answers: {
      200: [
        { description: "The model's answer, as it came.", schema: MessageAnswer, headers: { ...CALL_ANSWER_HEADERS, ...REQUEST_ID } },
        { description: 'With `stream`, its events.', schema: Type.String(), mediaType: 'text/event-stream' },
      ],
    },
    errors: CALL_ERRORS,
  },
  [`POST ${MESSAGES_PREFIX}/count_tokens`]: {
    id: 'countMessageTokens',
    summary: 'Count the tokens of a message',
    description: 'The upstream counts; nothing is held, and nothing is billed.',
    headers: VERSION_HEADERS,
    body: { schema: CountTokensBody },
    answers: { 200: { description: "The upstream's count, as it came.", schema: TokenCount, headers: REQUEST_ID } },
    errors: CALL_ERRORS,
  },
};

/** What the document tells about Anthropic's Messages API. */
export const MESSAGES_SURFACE: DocumentedSurface = {
  id: 'anthropic',
  title: 'Messages',
  description: "Model calls as Anthropic's clients send them, metered, priced and capped like those of the gateway.",
  prefixes: [MESSAGES_PREFIX],
  operations: OPERATIONS,
  security: ['inferenceApiKey', 'inferenceKey'],
  errors: {
    form: AnthropicError,
    always: [400, 401, 403, 500, 503],
    codes: errorCodes((code) => {
      const { status, code: name } = errorOfThrown(new RefusedRequest({ code, message: '' }));
      return { status, code: name ?? code };
    }),
  },
};
