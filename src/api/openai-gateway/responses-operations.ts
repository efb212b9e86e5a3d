import Type from 'typebox';
import { MAX_OUTPUT_LIMIT } from '../../core/bounds/inference-request.ts';
import { MAX_REFERENCES, OBJECT_ID } from '../../core/bounds/responses-request.ts';
import { CALL_ERRORS, CALL_HEADERS, ModelName } from '../_shared/openapi/call-parts.ts';
import { routerFields } from '../_shared/openapi/router-fields.ts';
import { RoutingMetadata } from '../_shared/openapi/routing-metadata.ts';
import { named, orNull, WholeNumber, type Operation, type Operations, type Parameter } from '../_shared/openapi/operation.ts';
import { answerOf, Count, EVENTS, open, optional, passedOn, streamFields } from './call-schemas.ts';

const ObjectId = Type.String({ pattern: OBJECT_ID.source });
const REFERENCE = 'item_reference';

const Content = optional(Type.Union([Type.String(), Type.Array(Type.Object({ type: Type.String() }, open))]));
const ItemReference = named(
  'ResponseItemReference',
  Type.Object({ type: Type.Literal(REFERENCE), id: ObjectId }, { ...open, description: 'Stands for an item that the upstream keeps.' }),
);
const BareReference = Type.Object(
  { type: Type.Optional(Type.Null()), role: Type.Optional(Type.Null()), id: ObjectId },
  { ...open, description: 'The same without its type.' },
);
const TypedItem = named(
  'ResponseItem',
  Type.Object(
    { type: Type.String({ pattern: `^(?!${REFERENCE}$)` }), role: optional(Type.String()), content: Content },
    { ...open, description: 'A message, the output of a tool and so on.' },
  ),
);
const Message = Type.Object(
  { type: Type.Optional(Type.Null()), role: Type.String(), content: Content },
  { ...open, description: 'A message without its type.' },
);
const OtherItem = Type.Object(
  { type: Type.Optional(Type.Null()), role: Type.Optional(Type.Null()), id: Type.Optional(Type.Null()), content: Content },
  open,
);

const promptFields = {
  model: ModelName,
  input: optional(Type.Union([Type.String(), Type.Array(Type.Union([ItemReference, BareReference, TypedItem, Message, OtherItem]))]), {
    description: `With at most ${MAX_REFERENCES} references to items. Required where there is neither \`previous_response_id\` nor \`prompt\`.`,
  }),
  ...routerFields,
  previous_response_id: optional(ObjectId, {
    description: 'A response of this tenant that is kept; the call goes to the upstream that keeps it.',
  }),
  conversation: Type.Optional(Type.Null({ description: 'Refused: conversations belong to an account of the upstream, not to a tenant.' })),
};

/** Body of `POST /v1/responses`, as far as this server judges it. */
export const ResponsesBody = named(
  'ResponsesRequest',
  Type.Object(
    {
      ...promptFields,
      ...streamFields,
      store: optional(Type.Boolean(), { description: 'Whether the upstream keeps the response, which it does unless this is false.' }),
      background: optional(Type.Boolean(), {
        description: 'Answer at once and go on; the call holds until the response has ended. Not together with `store: false`.',
      }),
      max_output_tokens: Count(
        MAX_OUTPUT_LIMIT,
        'The most output tokens of the response. Without a limit the default of the model is held for and sent.',
      ),
    },
    passedOn,
  ),
);

const ResponseUsage = Type.Object({ input_tokens: WholeNumber, output_tokens: WholeNumber, total_tokens: WholeNumber }, open);

const ResponseAnswer = named(
  'ResponseAnswer',
  Type.Object(
    {
      id: Type.String(),
      object: Type.String(),
      status: Type.Optional(Type.String({ description: '`completed`, `incomplete`, `failed`, `queued`, `in_progress` or `cancelled`.' })),
      model: Type.String(),
      output: Type.Array(Type.Object({ type: Type.String() }, open)),
      usage: Type.Optional(orNull(ResponseUsage, 'Null until the response has ended.')),
      routing_metadata: Type.Optional(RoutingMetadata),
    },
    open,
  ),
);

const ResponseItems = named(
  'ResponseItems',
  Type.Object(
    {
      object: Type.String(),
      data: Type.Array(Type.Object({}, open)),
      first_id: Type.Optional(orNull(Type.String())),
      last_id: Type.Optional(orNull(Type.String())),
      has_more: Type.Boolean(),
    },
    open,
  ),
);

const DeletedResponse = named(
  'DeletedResponse',
  Type.Object({ id: Type.String(), object: Type.Optional(Type.String()), deleted: Type.Boolean() }, open),
);

const InputTokens = named('InputTokens', Type.Object({ object: Type.Optional(Type.String()), input_tokens: WholeNumber }, open));

/** What is passed on without being a call: it has no id in the ledger. */
const REQUEST_ID = { 'x-request-id': 'The id of the request in the log.' };

/** Errors of what is asked of an upstream and costs nothing. */
const UNMETERED_ERRORS = [404, 429, 502, 504];

const FREE = 'Nothing is held, metered or charged.';

/** A route that has an upstream count what a request would read. */
export const countingOperation = (operation: Pick<Operation, 'id' | 'summary' | 'body'>): Operation => ({
  ...operation,
  description: `The request goes to an upstream of the model as it came, to the next one where one does not count. ${FREE}`,
  answers: { 200: { description: "The upstream's count, as it came.", schema: InputTokens, headers: REQUEST_ID } },
  errors: UNMETERED_ERRORS,
});

const include: Parameter = { description: 'What else to tell; may come more than once.', schema: Type.Array(Type.String()) };

const stored = (operation: Omit<Operation, 'description' | 'path' | 'errors'>): Operation => ({
  ...operation,
  description: `Asks the upstream that keeps the response, for which a call of this tenant made it. ${FREE}`,
  path: { id: 'The id of the response.' },
  errors: UNMETERED_ERRORS,
});

const asKept = (schema: typeof ResponseAnswer | typeof ResponseItems | typeof DeletedResponse) => ({
  description: "The upstream's answer, as it came.",
  schema,
  headers: REQUEST_ID,
});

/** What the document tells about the routes of responses. */
export const RESPONSES_OPERATIONS: Operations = {
  'POST /v1/responses': {
    id: 'createResponse',
    summary: 'Let a model make a response',
    description:
      'What the call can cost at most is held on every account that applies before it is sent, and what it did cost is booked before its answer ends; of a response in the background, when it has ended at its upstream.',
    headers: CALL_HEADERS,
    body: { schema: ResponsesBody },
    answers: { 200: [answerOf(ResponseAnswer), EVENTS] },
    errors: CALL_ERRORS,
  },
  'POST /v1/responses/input_tokens': countingOperation({
    id: 'countResponseInputTokens',
    summary: 'Count the input tokens of a response',
    body: { schema: named('ResponseInputRequest', Type.Object(promptFields, passedOn)) },
  }),
  'GET /v1/responses/:id': stored({
    id: 'getResponse',
    summary: 'Show a stored response',
    query: {
      'include[]': include,
      stream: { description: 'Answer as server-sent events.', schema: Type.Boolean() },
      starting_after: { description: 'Of a stream, the number of the event after which to begin.', schema: WholeNumber },
      include_obfuscation: { description: 'Of a stream, whether events are padded.', schema: Type.Boolean() },
    },
    answers: { 200: [asKept(ResponseAnswer), EVENTS] },
  }),
  'DELETE /v1/responses/:id': stored({
    id: 'deleteResponse',
    summary: 'Delete a stored response',
    answers: { 200: asKept(DeletedResponse) },
  }),
  'POST /v1/responses/:id/cancel': stored({
    id: 'cancelResponse',
    summary: 'Cancel a response in the background',
    answers: { 200: asKept(ResponseAnswer) },
  }),
  'GET /v1/responses/:id/input_items': stored({
    id: 'listResponseInputItems',
    summary: 'List what a response was made from',
    query: {
      after: { description: 'The id of the item after which to begin.', schema: Type.String() },
      before: { description: 'The id of the item before which to end.', schema: Type.String() },
      limit: { description: 'How many items to list.', schema: Type.Integer() },
      order: { description: '`asc` or `desc`.', schema: Type.String() },
      'include[]': include,
    },
    answers: { 200: asKept(ResponseItems) },
  }),
};
