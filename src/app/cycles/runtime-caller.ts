import { filterCovers } from '../../core/cycles/scope.ts';
import { deriveScopes, type DerivedScopes, type Subject } from '../../core/cycles/subject.ts';
import { rejected, type Outcome, type Rejection } from '../../core/rejection.ts';
import type { ApiKey, Tenant } from '../../core/records.ts';
import { originOf, type Actor } from '../audited-command.ts';
import type { CommandOrigin } from '../../core/command-origin.ts';

/** A tenant by one of its keys, as the runtime plane knows it. */
export interface TenantCaller {
  readonly kind: 'tenant';
  readonly tenant: Tenant;
  readonly key: ApiKey;
  readonly actor: Actor;
}

/** Who asks on the runtime plane: a tenant, or the operator where a route lets it in. */
export type RuntimeCaller = TenantCaller | { readonly kind: 'operator'; readonly actor: Actor };

/** How events name this part of the program. */
export const RUNTIME_SOURCE = 'cycles-server';

/** The request behind a command. */
export const callerOrigin = ({ actor }: RuntimeCaller): CommandOrigin => originOf(actor);

/** A path with its tenant in front, as keys and policies look at it. */
const rootedPath = (path: string, tenantId: string): string =>
  path === `tenant:${tenantId}` || path.startsWith(`tenant:${tenantId}/`) ? path : `tenant:${tenantId}/${path}`;

/** Refuses a path that the key's scope filter does not cover: `insufficient_permissions`; null where it does. */
export function refusePath({ key, tenant }: TenantCaller, path: string): Rejection | null {
  if (filterCovers(key.scopeFilter ?? [], rootedPath(path, tenant.id))) return null;
  return { code: 'insufficient_permissions', message: `the key's scope filter does not cover ${path}` };
}

/**
 * The scopes of a subject that a caller names.
 *
 * Rejects, in this order: `invalid_request` (the subject), `forbidden` (another tenant's), `insufficient_permissions` (outside of the key's
 * scope filter). Source: Cycles runtime spec, AUTH & TENANCY.
 */
export function callerScopes(caller: TenantCaller, subject: Subject): Outcome<DerivedScopes> {
  const derived = deriveScopes(subject);
  if (!derived.ok) return derived;
  const { tenant, path } = derived.value;
  if (tenant !== null && tenant !== caller.tenant.id)
    return rejected({ code: 'forbidden', message: 'subject.tenant must be the tenant of the key', field: 'subject.tenant' });
  const refusal = refusePath(caller, path);
  return refusal === null ? derived : rejected(refusal);
}
