import Type from 'typebox';
import type { BudgetRules } from '../../../app/manage/budget-rules.ts';
import { budgetObject, limitOf, PutBudgetBody, resetObject } from '../../_shared/budget-rules.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { queryText, refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { managerOf, ownerOf } from '../principal.ts';

const text = { rule: 'a string' };
const closed = { additionalProperties: false };
const DeleteBudgetBody = Type.Union([Type.Object({ id: Type.String(text) }, closed), Type.Null()]);
const ResetBudgetBody = Type.Object(
  { id: Type.String(text), target: Type.Optional(Type.Union([Type.String(), Type.Null()], { rule: 'a string or null' })) },
  closed,
);

/** `{prefix}/budgets`: what the project's calls may spend in a day, week or month. Our extension; changes are for members who are admins. */
export function mountBudgets(app: TypedApp, prefix: string, { budgetRules }: { budgetRules: BudgetRules }): void {
  const path = `${prefix}/budgets`;
  app.get(path, async (request) => {
    refuseUnknownQuery(request, []);
    return { budgets: valueOf(await budgetRules.list(ownerOf(request).tenantId)).map(budgetObject) };
  });
  app.put(path, { schema: { body: PutBudgetBody } }, async (request) => {
    refuseUnknownQuery(request, []);
    const { scope, target = null, period, limit_usd: limit } = request.body;
    const wanted = { scope, target, period, limitMicrocents: limitOf(limit) };
    return budgetObject(valueOf(await budgetRules.put(managerOf(request), ownerOf(request), wanted)));
  });
  app.delete(path, { schema: { body: DeleteBudgetBody } }, async (request) => {
    refuseUnknownQuery(request, ['id']);
    const inQuery = queryText(request, 'id');
    const id = request.body?.id ?? inQuery;
    if (id === undefined) throw new RefusedRequest({ code: 'invalid_request', message: 'id is required', field: 'id' });
    if (inQuery !== undefined && inQuery !== id)
      throw new RefusedRequest({ code: 'invalid_request', message: 'id must be the same in the body and the query', field: 'id' });
    const rule = valueOf(await budgetRules.remove(managerOf(request), ownerOf(request), id));
    return { success: true, deleted: rule.id };
  });
  app.post(`${path}/reset`, { schema: { body: ResetBudgetBody } }, async (request) => {
    refuseUnknownQuery(request, []);
    const { id, target = null } = request.body;
    return resetObject(valueOf(await budgetRules.reset(managerOf(request), ownerOf(request), id, target)));
  });
}
