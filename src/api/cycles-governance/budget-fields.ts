import type { FastifyRequest } from 'fastify';
import type { CyclesCaller } from '../../app/cycles/cycles-caller.ts';
import type { BudgetName, GivenAmount } from '../../app/cycles/manage-budgets.ts';
import { packMetadata } from '../../core/access/rules.ts';
import { CYCLES_UNITS } from '../../core/cycles/units.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import { parseRfc3339 } from '../../core/rfc3339.ts';
import { principalOf } from '../_shared/cycles-principal.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { filterOneOf, filterText } from './list-page.ts';

/** An amount as bodies give it: with its unit or, as the admin guide writes it, its bare number in the unit of the budget. */
type LooseAmount = number | bigint | { readonly unit: string; readonly amount: number | bigint };

/** The exact amount of a body. */
export const amountOf = (given: LooseAmount): GivenAmount =>
  typeof given === 'object' ? { amount: BigInt(given.amount), unit: given.unit } : { amount: BigInt(given), unit: null };

/** The moment of a field that its schema found good. */
export const momentOf = (text: string): number => parseRfc3339(text) ?? Number.NaN;

/** `reason` and `metadata` of a body. */
export const reasonOf = (body: {
  readonly reason?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}): { readonly reason?: string; readonly metadata?: PlainJson } => ({
  ...(body.reason === undefined ? {} : { reason: body.reason }),
  ...(body.metadata === undefined ? {} : { metadata: packMetadata(body.metadata) }),
});

/** Who asks, and on which scopes a key may act. */
export function callerOf(request: FastifyRequest): CyclesCaller {
  const principal = principalOf(request);
  if (principal.kind === 'operator') return { kind: 'operator' };
  const { tenant, key } = principal.identity;
  return { kind: 'tenant', tenantId: tenant.id, scopeFilter: key.scopeFilter ?? [] };
}

/** The budget that a query names: `scope` and `unit`, both required, and `tenant_id`. */
export function budgetNameOf(request: FastifyRequest): BudgetName {
  const scope = filterText(request, 'scope');
  if (scope === undefined) throw new RefusedRequest({ code: 'invalid_request', message: 'scope is required', field: 'scope' });
  const unit = filterOneOf(request, 'unit', CYCLES_UNITS);
  if (unit === undefined) throw new RefusedRequest({ code: 'invalid_request', message: 'unit is required', field: 'unit' });
  const tenantId = filterText(request, 'tenant_id');
  return { scope, unit, ...(tenantId === undefined ? {} : { tenantId }) };
}
