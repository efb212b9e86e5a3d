import type { FastifyContextConfig } from 'fastify';
import { positionOf as budgetPosition, type BudgetPosition } from '../../../core/budgets/budget-query.ts';
import { SUBJECT_LEVELS } from '../../../core/cycles/scope.ts';
import { valueOf } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { accountBalancesText } from '../answers.ts';
import { levelsOf, limitOf, pageEndText, parameterOf, positionOf, refusedParameter } from '../list-query.ts';
import { sendText, tenantCallerOf, type RuntimeRouteDeps } from '../runtime-deps.ts';

/**
 * `GET /v1/balances`: what the budgets have whose scopes have every level that the query names. Children are among them unless
 * `include_children=false` says otherwise, as the reference servers have it.
 *
 * `route`: where the governance plane has the same path, what keeps the two apart.
 */
export function mountGetBalances(
  app: TypedApp,
  { readSpending, cursors }: RuntimeRouteDeps,
  route: { readonly config: FastifyContextConfig; readonly constraints: Readonly<Record<string, string>> },
): void {
  const config = { credential: 'key', permission: 'balances:read', ...route.config } as const;
  app.get('/v1/balances', { config, constraints: route.constraints }, async (request, reply) => {
    const limit = limitOf(request);
    const withChildren = parameterOf(request, 'include_children', ['true', 'false']) !== 'false';
    const levels = levelsOf(request);
    if (Object.keys(levels).length === 0) throw refusedParameter('tenant', `at least one of ${SUBJECT_LEVELS.join(', ')} must be given`);
    const caller = tenantCallerOf(request);
    const binding = JSON.stringify(['balances', caller.tenant.id, levels, withChildren]);
    const after = positionOf<BudgetPosition>(request, cursors, binding);
    const found = valueOf(await readSpending.balances(caller, { levels, withChildren, after, limit }));
    const shown = found.slice(0, limit);
    const last = found.length > limit ? shown.at(-1) : undefined;
    const end = last === undefined ? null : budgetPosition(last, 'scope');
    return sendText(reply, `{"balances":${accountBalancesText(shown)},${pageEndText(cursors, binding, end)}}`);
  });
}
