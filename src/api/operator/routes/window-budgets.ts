import type { BudgetRules } from '../../../app/manage/budget-rules.ts';
import { budgetObject, limitOf, PutBudgetBody, resetObject, ResetTargetBody } from '../../_shared/budget-rules.ts';
import { valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';

type OfTenant = { Params: { id: string } };
type OfBudget = { Params: { id: string; budget_id: string } };

/** `/tenants/{id}/budgets`: what its calls may spend in a day, week or month. */
export function mountWindowBudgets(app: TypedApp, { budgetRules }: { budgetRules: BudgetRules }): void {
  app.get<OfTenant>('/tenants/:id/budgets', async (request) => {
    refuseUnknownQuery(request, []);
    return { budgets: valueOf(await budgetRules.list(request.params.id)).map(budgetObject) };
  });
  app.put('/tenants/:id/budgets', { schema: { body: PutBudgetBody } }, async (request) => {
    refuseUnknownQuery(request, []);
    const { id: tenantId } = request.params as OfTenant['Params'];
    const { scope, target = null, period, limit_usd: limit } = request.body;
    const wanted = { scope, target, period, limitMicrocents: limitOf(limit) };
    return budgetObject(valueOf(await budgetRules.put(operatorOf(request), { tenantId }, wanted)));
  });
  app.delete<OfBudget>('/tenants/:id/budgets/:budget_id', async (request, reply) => {
    refuseUnknownQuery(request, []);
    const { id: tenantId, budget_id: id } = request.params;
    valueOf(await budgetRules.remove(operatorOf(request), { tenantId }, id));
    return reply.code(204).send();
  });
  app.post('/tenants/:id/budgets/:budget_id/reset', { schema: { body: ResetTargetBody } }, async (request) => {
    refuseUnknownQuery(request, []);
    const { id: tenantId, budget_id: id } = request.params as OfBudget['Params'];
    return resetObject(valueOf(await budgetRules.reset(operatorOf(request), { tenantId }, id, request.body?.target ?? null)));
  });
}
