import type { FastifyRequest } from 'fastify';
import type { Actor } from '../../app/audited-command.ts';
import type { Directory, Identity } from '../../app/directory.ts';
import type { Clock } from '../../ports/clock.ts';
import { requestFacts } from '../_shared/audit.ts';
import { bearerOf, refuseDoubledCredentials } from '../_shared/credentials.ts';
import { RefusedRequest, valueOf } from '../_shared/problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who a request acts as on the Tinfoil surface; set before any of its handlers runs. */
    tinfoilAdmin: Identity;
  }
}

/** Makes the hook that lets only admin keys of members with admin access in, before a body is read. */
export const makeAuthenticateAdmin =
  (deps: { directory: Pick<Directory, 'authenticateAnew'>; clock: Clock }) =>
  async (request: FastifyRequest): Promise<void> => {
    refuseDoubledCredentials(request);
    const credential = bearerOf(request);
    if (credential === null) throw unauthorized('an admin API key is required: send Authorization: Bearer admin_...');
    const identity = valueOf(await deps.directory.authenticateAnew(credential, deps.clock.nowMs()));
    // Other keys are good elsewhere, but are none here.
    if (identity.key.kind !== 'admin') throw unauthorized('invalid admin API key');
    request.tinfoilAdmin = identity;
  };

const unauthorized = (message: string): RefusedRequest => new RefusedRequest({ code: 'unauthorized', message });

/** Who a request acts as, for the audit. */
export const actorOf = (request: FastifyRequest): Actor => ({
  kind: 'admin_key',
  id: request.tinfoilAdmin.key.id,
  ...requestFacts(request),
});

/** The same, with the tenant whose trail it belongs to; null where no good key came. */
export function adminPrincipal(request: FastifyRequest): { readonly actor: Actor; readonly tenantId: string } | null {
  const identity = request.tinfoilAdmin as Identity | undefined;
  return identity === undefined ? null : { actor: actorOf(request), tenantId: identity.tenant.id };
}
