import type { FastifyRequest } from 'fastify';
import type { Actor } from '../../app/audited-command.ts';
import type { Directory, Identity } from '../../app/directory.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { requestFacts } from '../_shared/audit.ts';
import { bearerOf, refuseDoubledCredentials } from '../_shared/credentials.ts';
import { RefusedRequest, valueOf } from '../_shared/problem.ts';
import { queryText } from '../_shared/query.ts';
import { makeAuthenticateOperator, operatorOf } from './authenticate.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The admin key by which a request came; null where it is the operator's. Set before any handler of the tenants' scope runs. */
    tenantAdmin: Identity | null;
  }
}

/**
 * Makes the hook that lets the operator in, and admin keys for what is their tenant's. A request that brings the operator's header is
 * judged by it alone.
 */
export function makeAuthenticateKeyManager(deps: {
  readonly operatorKey: string;
  readonly directory: Pick<Directory, 'authenticateAnew'>;
  readonly clock: Clock;
}): (request: FastifyRequest) => Promise<void> {
  const authenticateOperator = makeAuthenticateOperator(deps.operatorKey);
  return async (request) => {
    request.tenantAdmin = null;
    const credential = request.headers['x-admin-api-key'] === undefined ? bearerOf(request) : null;
    if (credential === null) return authenticateOperator(request);
    refuseDoubledCredentials(request);
    const identity = valueOf(await deps.directory.authenticateAnew(credential, deps.clock.nowMs()));
    if (identity.key.kind !== 'admin') throw new RefusedRequest({ code: 'unauthorized', message: 'an admin API key is required' });
    request.tenantAdmin = identity;
  };
}

/** Who a request acts as, for the audit. */
export const managerOf = (request: FastifyRequest): Actor =>
  request.tenantAdmin === null
    ? { ...operatorOf(request), onBehalf: true }
    : { kind: 'admin_key', id: request.tenantAdmin.key.id, ...requestFacts(request) };

/** The same, with the tenant whose trail it belongs to; null where no good credential came. */
export function managerPrincipal(request: FastifyRequest): { readonly actor: Actor; readonly tenantId: string } | null {
  const admin = request.tenantAdmin as Identity | null | undefined;
  if (admin !== null && admin !== undefined) return { actor: managerOf(request), tenantId: admin.tenant.id };
  return request.isOperator === true ? { actor: managerOf(request), tenantId: SYSTEM_TENANT } : null;
}

/**
 * The tenant whose things a list shows: for an admin key its own, which need not be named; for the operator the one that `tenant_id`
 * names. Refuses `invalid_request` (not named) and `not_found` (none of that name, or not the admin key's).
 */
export async function listedTenant(request: FastifyRequest, records: Pick<RecordStore, 'record'>): Promise<string> {
  const own = request.tenantAdmin?.tenant.id;
  const tenantId = queryText(request, 'tenant_id') ?? own;
  if (tenantId === undefined) throw new RefusedRequest({ code: 'invalid_request', message: 'tenant_id is required', field: 'tenant_id' });
  const isVisible = own === undefined ? (await records.record('tenant', tenantId)) !== undefined : own === tenantId;
  if (isVisible) return tenantId;
  throw new RefusedRequest({ code: 'not_found', message: `tenant ${tenantId.slice(0, 100)} not found`, field: 'tenant_id' });
}
