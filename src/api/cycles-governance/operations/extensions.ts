import type { Operations } from '../../_shared/openapi/operation.ts';
import { BudgetLedger, BudgetStatusTransitionRequest } from '../schemas/budgets.ts';
import { Policy } from '../schemas/policies.ts';
import { answer, budgetQuery, EVERYWHERE } from './shared.ts';

const path = { policy_id: 'The id of the policy.' };

/** What the published document has no operation for: the operator's, below a prefix of our own. */
export const EXTENSION_OPERATIONS: Operations = {
  'POST /v1/x-castellan/budgets/close': {
    id: 'closeBudget',
    summary: 'Close a budget for ever',
    description: 'What it holds may still be committed or released.',
    query: budgetQuery,
    body: { schema: BudgetStatusTransitionRequest },
    answers: { 200: answer('The budget as it is now.', BudgetLedger) },
    errors: [...EVERYWHERE, 404, 409],
  },
  'GET /v1/x-castellan/policies/:policy_id': {
    id: 'getPolicy',
    summary: 'Show one policy',
    path,
    answers: { 200: answer('The policy.', Policy) },
    errors: [...EVERYWHERE, 404],
  },
  'DELETE /v1/x-castellan/policies/:policy_id': {
    id: 'deletePolicy',
    summary: 'Forget a policy',
    description: 'Its name is free again.',
    path,
    answers: { 200: answer('The policy as it was.', Policy) },
    errors: [...EVERYWHERE, 404, 409],
  },
};
