import { filterCovers } from '../../core/cycles/scope.ts';
import type { Rejection } from '../../core/rejection.ts';

/** Who asks on a Cycles surface: the operator, or a tenant by a key that may be held to some scopes. */
export type CyclesCaller =
  | { readonly kind: 'operator' }
  | { readonly kind: 'tenant'; readonly tenantId: string; readonly scopeFilter: readonly string[] };

/** Refuses a scope or pattern that the caller's key does not cover: `insufficient_permissions`; null where it does. */
export function refuseScope(caller: CyclesCaller, scope: string): Rejection | null {
  if (caller.kind === 'operator' || filterCovers(caller.scopeFilter, scope)) return null;
  return { code: 'insufficient_permissions', message: `the key's scope filter does not cover ${scope}` };
}

/**
 * Whose thing a request makes, by the tenant that its body names: the operator must name one, a key must not. Source: Cycles governance,
 * `BudgetCreateRequest.tenant_id` and `PolicyCreateRequest.tenant_id`.
 */
export function ownerOf(
  caller: CyclesCaller,
  named: string | undefined,
): { readonly tenantId: string } | { readonly rejection: Rejection } {
  const refused = (message: string): { readonly rejection: Rejection } => ({
    rejection: { code: 'invalid_request', message, field: 'tenant_id' },
  });
  if (caller.kind === 'tenant')
    return named === undefined ? { tenantId: caller.tenantId } : refused('tenant_id must not be given: it is that of the key');
  return named === undefined ? refused('tenant_id is required with the operator key') : { tenantId: named };
}
