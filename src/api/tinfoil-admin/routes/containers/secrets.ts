import type { FastifyRequest } from 'fastify';
import type { ManageSecrets, SecretView } from '../../../../app/containers/manage-secrets.ts';
import { formatRfc3339 } from '../../../../core/rfc3339.ts';
import { valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { actorOf } from '../../principal.ts';
import { CreateSecretBody, UpdateSecretBody } from '../../secret-schemas.ts';

const nameOf = (request: FastifyRequest): string => (request.params as { readonly name: string }).name;

const secretObject = ({ secretId, name, createdAtMs, updatedAtMs, usedBy }: SecretView): object => ({
  id: secretId,
  name,
  created_at: formatRfc3339(createdAtMs),
  updated_at: formatRfc3339(updatedAtMs),
  used_by: usedBy,
});

/** A value may have 64 KiB, up to six times that where JSON escapes it. */
const BODY_LIMIT_BYTES = 512 * 1024;

/** Secrets. No answer has a value. */
export function mountSecrets(app: TypedApp, { secrets }: { readonly secrets: ManageSecrets }): void {
  const tenantOf = (request: FastifyRequest): string => request.tinfoilAdmin.key.tenantId;

  app.get('/api/secrets', async (request) => (await secrets.list(tenantOf(request))).map(secretObject));
  app.get('/api/secrets/:name', async (request) => secretObject(valueOf(await secrets.find(tenantOf(request), nameOf(request)))));
  app.post('/api/secrets', { schema: { body: CreateSecretBody }, bodyLimit: BODY_LIMIT_BYTES }, async (request, reply) => {
    const { name, value } = request.body;
    const secret = valueOf(await secrets.create(actorOf(request), tenantOf(request), { name, value }));
    return reply.code(201).send(secretObject(secret));
  });
  app.put('/api/secrets/:name', { schema: { body: UpdateSecretBody }, bodyLimit: BODY_LIMIT_BYTES }, async (request) => {
    const given = { name: nameOf(request), value: request.body.value };
    return secretObject(valueOf(await secrets.update(actorOf(request), tenantOf(request), given)));
  });
  app.delete('/api/secrets/:name', async (request) => {
    valueOf(await secrets.remove(actorOf(request), tenantOf(request), nameOf(request)));
    return { message: 'Secret deleted' };
  });
}
