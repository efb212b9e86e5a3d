import Type from 'typebox';
import { named, object, Timestamp, type Operations } from '../_shared/openapi/operation.ts';

const Secret = named(
  'Secret',
  object({
    id: Type.String(),
    name: Type.String(),
    created_at: Timestamp,
    updated_at: Timestamp,
    used_by: Type.Array(Type.String(), { description: 'The names of the containers that use it.' }),
  }),
);

const RegistryStatus = named(
  'RegistryStatus',
  object({
    has_credentials: Type.Boolean(),
    username: Type.Optional(Type.String({ description: 'Whom they are for; for gcr the service account.' })),
    updated_at: Type.Optional(Timestamp),
    expired: Type.Boolean({ description: 'The registry did not take them when an image was pulled.' }),
  }),
);

const RegistryStatuses = named('RegistryStatuses', object({ ghcr: RegistryStatus, gcr: RegistryStatus, dockerhub: RegistryStatus }));

const Message = object({ message: Type.String() });
const name = { name: 'The name of the secret.' };
const registry = { registry: 'ghcr, gcr or dockerhub.' };
const ENTITLED = 'Needs private registry access; without it, 403.';

/** What the document tells about secrets and credentials of registries. */
export const SECRET_OPERATIONS: Operations = {
  'GET /api/secrets': {
    id: 'listSecrets',
    summary: 'List secrets',
    answers: { 200: { description: 'By name, without their values.', schema: Type.Array(Secret) } },
  },
  'POST /api/secrets': {
    id: 'createSecret',
    summary: 'Create a secret',
    description:
      'The name is UPPER_SNAKE_CASE or kebab-case, of at most 256 characters; the value has 1 to 65,536 bytes and is never given back.',
    answers: { 201: { description: 'The secret.', schema: Secret } },
    errors: [409],
  },
  'GET /api/secrets/:name': {
    id: 'getSecret',
    summary: 'Show a secret',
    path: name,
    answers: { 200: { description: 'The secret, without its value.', schema: Secret } },
    errors: [404],
  },
  'PUT /api/secrets/:name': {
    id: 'updateSecret',
    summary: 'Give a secret another value',
    description: 'Nothing is restarted: containers that use it are stale until they are deployed anew.',
    path: name,
    answers: { 200: { description: 'The secret.', schema: Secret } },
    errors: [404, 409],
  },
  'DELETE /api/secrets/:name': {
    id: 'deleteSecret',
    summary: 'Delete a secret',
    description: 'Not while containers use it: they are named in `error`, and as `containers`.',
    path: name,
    answers: { 200: { description: 'It is deleted.', schema: Message } },
    errors: [404, 409],
  },
  'GET /api/registry-credentials': {
    id: 'listRegistryCredentials',
    summary: 'Show which private registries have credentials',
    description: ENTITLED,
    answers: { 200: { description: 'All three, with or without credentials.', schema: RegistryStatuses } },
  },
  'PUT /api/registry-credentials/:registry': {
    id: 'putRegistryCredentials',
    summary: 'Keep credentials for a private registry',
    description: `For ghcr and dockerhub \`username\` and \`token\`, for gcr \`key\`: the JSON key of a service account, as a string. ${ENTITLED}`,
    path: registry,
    answers: { 200: { description: 'They are kept.', schema: Message } },
    errors: [404, 409],
  },
  'DELETE /api/registry-credentials/:registry': {
    id: 'deleteRegistryCredentials',
    summary: 'Forget credentials for a private registry',
    description: ENTITLED,
    path: registry,
    answers: { 200: { description: 'They are forgotten.', schema: Message } },
    errors: [404],
  },
};
