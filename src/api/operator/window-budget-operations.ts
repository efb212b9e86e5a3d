import Type from 'typebox';
import { WindowBudget, WindowReset } from '../_shared/budget-rules.ts';
import { object, type Operation, type Operations } from '../_shared/openapi/operation.ts';

/** What the document tells of budgets with windows, which lie at `path` of a tenant. */
export const windowBudgetOperations = (path: string, tenantPath: NonNullable<Operation['path']>): Operations => {
  const budgetPath = { ...tenantPath, budget_id: 'The id of the budget, such as `project:daily`.' };
  return {
    [`GET ${path}`]: {
      id: 'listWindowBudgets',
      summary: "List what a tenant's calls may spend in a day, week or month",
      path: tenantPath,
      answers: { 200: { description: 'The budgets, oldest first.', schema: object({ budgets: Type.Array(WindowBudget) }) } },
      errors: [404],
    },
    [`PUT ${path}`]: {
      id: 'putWindowBudget',
      summary: 'Set the limit of a budget with windows',
      description:
        'Scope (`project`, `each_user`, `user`, `each_key`, `key`), target and period (`daily`, `weekly` from Monday, `monthly`; UTC) name the budget, which is made where there is none; a new one counts what was spent in its present window before. One that names a user or key replaces the one for each of the same period.',
      path: tenantPath,
      answers: { 200: { description: 'The budget as it is now.', schema: WindowBudget } },
      errors: [404, 409],
    },
    [`DELETE ${path}/:budget_id`]: {
      id: 'deleteWindowBudget',
      summary: 'Delete a budget with windows',
      path: budgetPath,
      answers: { 204: { description: 'It is deleted.' } },
      errors: [404],
    },
    [`POST ${path}/:budget_id/reset`]: {
      id: 'resetWindowBudget',
      summary: 'Let a window begin anew',
      description:
        'What was spent so far in the present window counts no more; what was booked stays as it is. A budget for each user or key takes the `target` whose window it is.',
      path: budgetPath,
      answers: { 200: { description: 'What was put out of account.', schema: WindowReset } },
      errors: [404, 409],
    },
  };
};
