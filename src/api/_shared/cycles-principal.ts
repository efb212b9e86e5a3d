import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Actor } from '../../app/audited-command.ts';
import type { Directory, Identity } from '../../app/directory.ts';
import type { AuthFailure } from '../../app/events/record-auth-failure.ts';
import type { RejectionCode } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { requestFacts } from './audit.ts';
import { isSameCredential, refuseDoubledCredentials } from './credentials.ts';
import { RefusedRequest, valueOf } from './problem.ts';

/** Who a request acts as on the Cycles surfaces: the operator, or a tenant by one of its keys. */
export type CyclesPrincipal = { readonly kind: 'operator' } | { readonly kind: 'tenant'; readonly identity: Identity };

/** What a route asks for: a tenant's key, the operator's, one of the two, or none. */
export type CyclesCredential = 'key' | 'operator' | 'either' | 'none';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Which credential the route asks for, on the Cycles surfaces. */
    readonly credential?: CyclesCredential;
    /** The permission that a tenant's key needs for it, on the Cycles surfaces. */
    readonly permission?: string;
  }
  interface FastifyRequest {
    /** Set before any handler of a Cycles surface runs; undefined elsewhere. */
    cycles?: CyclesPrincipal;
  }
}

/** What the hook needs. `mayUse` tells whether a key's permissions include one that a route asks for. */
export interface CyclesAuthDeps {
  readonly operatorKey: string;
  readonly directory: Pick<Directory, 'authenticate'>;
  readonly clock: Clock;
  readonly mayUse: (permissions: readonly string[], wanted: string) => boolean;
  /** Takes note of tenants' keys, good or not. */
  readonly auth: AuthNotes;
  /** How events name the surface. */
  readonly source: string;
}

/** Takes note of credentials. Neither waits. */
export interface AuthNotes {
  succeeded(tenantId: string): void;
  failed(failure: AuthFailure): void;
}

/** What events say of a refusal of a key. Source: Cycles governance, `EventDataApiKey.failure_reason`. */
const FAILURES: Readonly<Partial<Record<RejectionCode, string>>> = {
  unauthorized: 'key_not_found',
  key_expired: 'key_expired',
  key_revoked: 'key_revoked',
  key_disabled: 'key_disabled',
};

/** What is noted of a key that was refused; the request has no other principal. */
export function authFailureOf(
  request: FastifyRequest,
  refused: { readonly reason: string; readonly source: string; readonly about?: { readonly tenantId: string; readonly keyId: string } },
): AuthFailure {
  const { trace } = request;
  const { reason, source, about } = refused;
  return {
    tenantId: about?.tenantId ?? null,
    keyId: about?.keyId ?? null,
    reason,
    sourceIp: request.ip,
    origin: {
      requestId: request.id,
      ...(trace === undefined ? {} : { traceId: trace.traceId, ...(trace.flags === null ? {} : { traceFlags: trace.flags }) }),
      actor: { type: 'api_key', ...(about === undefined ? {} : { keyId: about.keyId }), sourceIp: request.ip },
      source,
    },
  };
}

const unauthorized = (message: string): RefusedRequest => new RefusedRequest({ code: 'unauthorized', message });

/**
 * Makes the hook that lets in whom a route asks for, before a body is read.
 *
 * Where both headers come to a route that takes either, the operator's is judged alone. Refuses with `unauthorized`, `key_expired`,
 * `key_revoked` (401) and `insufficient_permissions` (403).
 */
export function makeAuthenticateCycles(deps: CyclesAuthDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { credential = 'none', permission } = request.routeOptions.config;
    refuseDoubledCredentials(request);
    if (credential === 'none') return;
    const { 'x-admin-api-key': admin, 'x-cycles-api-key': key } = request.headers;
    if (typeof admin === 'string' && credential !== 'key') {
      if (!isSameCredential(admin, deps.operatorKey)) throw unauthorized('the operator key is not right');
      request.cycles = { kind: 'operator' };
      return;
    }
    if (credential === 'operator') throw unauthorized('the operator key is required: send it as X-Admin-API-Key');
    // The dashboard takes a text that names the tenant's header for a wrong address, so only routes for tenants alone name it.
    if (typeof key !== 'string') {
      throw unauthorized(
        credential === 'key'
          ? 'a tenant key is required: send it as X-Cycles-API-Key'
          : 'the operator key or a key of a tenant is required',
      );
    }
    const outcome = await deps.directory.authenticate(key, deps.clock.nowMs());
    const isUnknown = outcome.ok && outcome.value.key.kind !== 'tenant';
    const code = isUnknown ? 'unauthorized' : outcome.ok ? null : outcome.rejection.code;
    const reason = code === null ? undefined : FAILURES[code];
    if (reason !== undefined) {
      const about = outcome.ok ? undefined : outcome.rejection.about;
      deps.auth.failed(authFailureOf(request, { reason, source: deps.source, ...(about === undefined ? {} : { about }) }));
    }
    if (isUnknown) throw unauthorized('this API key is not known');
    const identity = valueOf(outcome);
    deps.auth.succeeded(identity.tenant.id);
    request.cycles = { kind: 'tenant', identity };
    void reply.header('x-cycles-tenant', identity.tenant.id);
    if (permission !== undefined && !deps.mayUse(identity.key.permissions ?? [], permission))
      throw new RefusedRequest({ code: 'insufficient_permissions', message: `the key lacks the permission ${permission}` });
  };
}

/** The principal of a request whose route asks for a credential. */
export function principalOf(request: FastifyRequest): CyclesPrincipal {
  if (request.cycles === undefined) throw new Error(`the route ${request.routeOptions.url ?? ''} asks for no credential`);
  return request.cycles;
}

/** The tenant's key of a request whose route asks for one. */
export function tenantKeyOf(request: FastifyRequest): Identity {
  const principal = principalOf(request);
  if (principal.kind !== 'tenant') throw new Error(`the route ${request.routeOptions.url ?? ''} was entered without a tenant's key`);
  return principal.identity;
}

/** Who a request acts as, for the audit and events. `source` names the surface. */
export function cyclesActorOf(request: FastifyRequest, source: string): Actor {
  const principal = principalOf(request);
  return {
    ...(principal.kind === 'operator'
      ? { kind: 'operator', id: 'operator', onBehalf: request.routeOptions.config.credential === 'either' }
      : { kind: 'tenant_key', id: principal.identity.key.id }),
    ...requestFacts(request),
    source,
  };
}

/** Who a request acts as and whose trail it belongs to; null where no good credential came. */
export const cyclesAuditPrincipal =
  (source: string) =>
  (request: FastifyRequest): { readonly actor: Actor; readonly tenantId: string } | null => {
    const principal = request.cycles;
    if (principal === undefined) return null;
    const tenantId = principal.kind === 'operator' ? SYSTEM_TENANT : principal.identity.tenant.id;
    return { actor: cyclesActorOf(request, source), tenantId };
  };
