import Type from 'typebox';
import { named, object, Timestamp, type Operations } from '../_shared/openapi/operation.ts';

const SshKey = named(
  'SshKey',
  object({
    id: Type.String(),
    name: Type.String(),
    key_type: Type.String({ description: 'The first word of the key, such as `ssh-ed25519`.' }),
    fingerprint: Type.String({ description: '`SHA256:` and base64, as OpenSSH shows it.' }),
    created_at: Timestamp,
    used_by: Type.Array(Type.String(), { description: 'The names of the containers that use it.' }),
  }),
);

/** What the document tells about SSH keys. */
export const SSH_KEY_OPERATIONS: Operations = {
  'GET /api/ssh-keys': {
    id: 'listSshKeys',
    summary: 'List SSH keys',
    answers: { 200: { description: 'By name.', schema: Type.Array(SshKey) } },
  },
  'POST /api/ssh-keys': {
    id: 'createSshKey',
    summary: 'Add an SSH key for debug containers',
    description:
      'The name is kebab-case, of at most 256 characters; the key is one line of an OpenSSH public key: ed25519, ECDSA, or RSA of 2,048 bits and more.',
    answers: { 201: { description: 'The key.', schema: SshKey } },
    errors: [409],
  },
  'DELETE /api/ssh-keys/:name': {
    id: 'deleteSshKey',
    summary: 'Delete an SSH key',
    description: 'Not while containers use it: they are named in `error`, and as `containers`.',
    path: { name: 'The name of the key.' },
    answers: { 200: { description: 'It is deleted.', schema: object({ message: Type.String() }) } },
    errors: [404, 409],
  },
};
