import Type from 'typebox';
import { USAGE_WINDOWS } from '../../core/usage/windows.ts';
import { named, object, orNull, Timestamp, WholeNumber, type Operations } from '../_shared/openapi/operation.ts';
import { OPERATOR_PREFIX } from './prefix.ts';

const UsageOfAll = named(
  'UsageOfAll',
  object({
    time: orNull(Type.String(), 'The window that was asked for; null is all time.'),
    from: orNull(Timestamp),
    to: Timestamp,
    by: Type.Union([Type.Literal('tenant'), Type.Literal('key'), Type.Literal('model')]),
    usage: Type.Array(
      object({
        tenant_id: Type.String(),
        key_id: Type.Optional(Type.String({ description: 'By key only.' })),
        key_name: Type.Optional(Type.String({ description: 'By key only; of a deleted key the last one.' })),
        model: Type.Optional(Type.String({ description: 'By model only.' })),
        requests: WholeNumber,
        input_tokens: WholeNumber,
        output_tokens: WholeNumber,
        cost_usd: Type.Number({ description: 'USD, exact.' }),
      }),
    ),
  }),
);

const Server = named(
  'Server',
  object({
    version: Type.String(),
    run_id: Type.String({ description: 'This run of the process.' }),
    store: Type.Union([Type.Literal('sqlite'), Type.Literal('postgres')]),
    master_key: object({
      id: Type.String({ description: 'A name of the key that seals, never the key.' }),
      source: Type.Union([Type.Literal('environment'), Type.Literal('file')]),
    }),
  }),
);

const MasterKeyChange = named(
  'MasterKeyChange',
  object({
    from_key_id: Type.String(),
    to_key_id: Type.String(),
    resealed: Type.Integer({ description: 'Secrets that were sealed anew.' }),
  }),
);

const InferenceKey = named(
  'NewInferenceKey',
  object({
    id: Type.String(),
    key: Type.String({ description: 'The value of the key. It is told this once; its member may see it again.' }),
    name: Type.String(),
    kind: Type.Literal('inference'),
    tenant_id: Type.String(),
    member_id: Type.String(),
    max_tokens: orNull(WholeNumber),
    expires_at: orNull(Timestamp),
    created_at: Timestamp,
  }),
);

/** What the operator asks of the server itself, and keys for calls that it makes. */
export const SERVER_OPERATIONS: Operations = {
  [`GET ${OPERATOR_PREFIX}/server`]: {
    id: 'getServer',
    summary: 'Tell which program this is, and on what',
    answers: { 200: { description: 'The program.', schema: Server } },
    errors: [400],
  },
  [`GET ${OPERATOR_PREFIX}/usage`]: {
    id: 'getUsageOfAll',
    summary: 'Show usage by tenant, key or model',
    query: {
      tenant_id: { description: 'Only usage of this tenant.', schema: Type.String() },
      time: {
        description: 'A window that ends now; without it all time counts.',
        schema: Type.Union(USAGE_WINDOWS.map(({ name }) => Type.Literal(name))),
      },
      by: {
        description: 'What is summed in a row.',
        schema: Type.Union([Type.Literal('tenant'), Type.Literal('key'), Type.Literal('model')], { default: 'tenant' }),
      },
    },
    answers: { 200: { description: 'The usage.', schema: UsageOfAll } },
    errors: [400, 404],
  },
  [`POST ${OPERATOR_PREFIX}/rotate-master-key`]: {
    id: 'rotateMasterKey',
    summary: 'Change the master key while the server runs',
    description: 'Answers when nothing needs the key before any more. 409 says what keeps it from being changed, and what to do.',
    answers: { 200: { description: 'The change.', schema: MasterKeyChange } },
    errors: [400, 409],
  },
  [`POST ${OPERATOR_PREFIX}/tenants/:id/inference-keys`]: {
    id: 'createInferenceKey',
    summary: 'Make a key for calls',
    path: { id: 'The id of the tenant.' },
    answers: { 201: { description: 'The key, with its value.', schema: InferenceKey } },
    errors: [400, 404, 409],
  },
};
