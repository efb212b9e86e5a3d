import Type from 'typebox';
import type { FastifyRequest } from 'fastify';
import type { ManageSshKeys, SshKeyView } from '../../../../app/containers/manage-ssh-keys.ts';
import { formatRfc3339 } from '../../../../core/rfc3339.ts';
import { valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { actorOf } from '../../principal.ts';

const text = () => Type.String({ rule: 'a string' });

/** Body of `POST /api/ssh-keys`. Unknown fields are ignored. */
const CreateSshKeyBody = Type.Object({ name: text(), public_key: text() });

const sshKeyObject = ({ sshKeyId, name, keyType, fingerprint, createdAtMs, usedBy }: SshKeyView): object => ({
  id: sshKeyId,
  name,
  key_type: keyType,
  fingerprint,
  created_at: formatRfc3339(createdAtMs),
  used_by: usedBy,
});

/** SSH keys of debug containers. */
export function mountSshKeys(app: TypedApp, { sshKeys }: { readonly sshKeys: ManageSshKeys }): void {
  const tenantOf = (request: FastifyRequest): string => request.tinfoilAdmin.key.tenantId;

  app.get('/api/ssh-keys', async (request) => (await sshKeys.list(tenantOf(request))).map(sshKeyObject));
  app.post('/api/ssh-keys', { schema: { body: CreateSshKeyBody } }, async (request, reply) => {
    const { name, public_key: publicKey } = request.body;
    const key = valueOf(await sshKeys.create(actorOf(request), tenantOf(request), { name, publicKey }));
    return reply.code(201).send(sshKeyObject(key));
  });
  app.delete('/api/ssh-keys/:name', async (request) => {
    const { name } = request.params as { readonly name: string };
    valueOf(await sshKeys.remove(actorOf(request), tenantOf(request), name));
    return { message: 'SSH key deleted' };
  });
}
