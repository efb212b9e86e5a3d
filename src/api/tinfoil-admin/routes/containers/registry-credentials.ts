import type { FastifyRequest } from 'fastify';
import type { ManageRegistries, RegistryView } from '../../../../app/containers/manage-registries.ts';
import { formatRfc3339 } from '../../../../core/rfc3339.ts';
import { valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { actorOf } from '../../principal.ts';
import { RegistryCredentialBody } from '../../secret-schemas.ts';

const registryOf = (request: FastifyRequest): string => (request.params as { readonly registry: string }).registry;

const statusOf = (view: RegistryView): object =>
  view === null
    ? { has_credentials: false, expired: false }
    : {
        has_credentials: true,
        username: view.username,
        updated_at: formatRfc3339(view.updatedAtMs),
        expired: view.refusedAtMs !== null,
      };

/** What opens private registries. No answer has a token or key. */
export function mountRegistryCredentials(app: TypedApp, { registries }: { readonly registries: ManageRegistries }): void {
  app.get('/api/registry-credentials', async (request) => {
    const views = valueOf(await registries.status(request.tinfoilAdmin.key.tenantId));
    return Object.fromEntries([...views].map(([name, view]) => [name, statusOf(view)]));
  });
  app.put('/api/registry-credentials/:registry', { schema: { body: RegistryCredentialBody } }, async (request) => {
    const { username = null, token = null, key = null } = request.body;
    const given = { username, token, key };
    const name = valueOf(await registries.put(actorOf(request), request.tinfoilAdmin.key.tenantId, registryOf(request), given));
    return { message: `Credentials for ${name} saved` };
  });
  app.delete('/api/registry-credentials/:registry', async (request) => {
    const name = valueOf(await registries.remove(actorOf(request), request.tinfoilAdmin.key.tenantId, registryOf(request)));
    return { message: `Credentials for ${name} deleted` };
  });
}
