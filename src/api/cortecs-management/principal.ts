import type { FastifyRequest } from 'fastify';
import type { Actor } from '../../app/audited-command.ts';
import type { Directory, Identity } from '../../app/directory.ts';
import type { MemberKeyUse } from '../../app/manage/member-keys.ts';
import type { Clock } from '../../ports/clock.ts';
import { requestFacts } from '../_shared/audit.ts';
import { bearerOf, refuseDoubledCredentials } from '../_shared/credentials.ts';
import { RefusedRequest, valueOf } from '../_shared/problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who a request acts as on the management surface; set before any of its handlers runs. */
    manager: Identity;
  }
}

/** Makes the hook that lets only management keys of members in, before a body is read. Another kind of key is 403, as documented. */
export const makeAuthenticateManager =
  (deps: { directory: Pick<Directory, 'authenticateAnew'>; clock: Clock }) =>
  async (request: FastifyRequest): Promise<void> => {
    refuseDoubledCredentials(request);
    const credential = bearerOf(request);
    if (credential === null) {
      const message = 'a management API key is required: send Authorization: Bearer mk_...';
      throw new RefusedRequest({ code: 'unauthorized', message });
    }
    const identity = valueOf(await deps.directory.authenticateAnew(credential, deps.clock.nowMs()));
    const { kind, id: keyId, tenantId } = identity.key;
    if (kind !== 'management')
      throw new RefusedRequest({ code: 'forbidden', message: 'this API key is not a management key', about: { tenantId, keyId } });
    request.manager = identity;
  };

/** Who a request acts as, for the audit. */
export const managerOf = (request: FastifyRequest): Actor => ({
  kind: 'management_key',
  id: request.manager.key.id,
  ...requestFacts(request),
});

/** Whose keys a request is about. A management key belongs to the member who made it, or whom it was made for. */
export const ownerOf = ({ manager: { key } }: FastifyRequest): MemberKeyUse => ({
  tenantId: key.tenantId,
  memberId: key.createdBy,
  keyId: key.id,
});

/** Who asks, with the tenant whose trail it belongs to; null where no good key came. */
export function managerPrincipal(request: FastifyRequest): { readonly actor: Actor; readonly tenantId: string } | null {
  const identity = request.manager as Identity | undefined;
  return identity === undefined ? null : { actor: managerOf(request), tenantId: identity.tenant.id };
}
