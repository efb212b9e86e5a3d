import type { Operations } from '../../_shared/openapi/operation.ts';
import { BudgetLedger, BudgetStatusTransitionRequest } from '../schemas/budgets.ts';
import { Policy } from '../schemas/policies.ts';
import { answer, budgetQuery, EVERYWHERE } from './shared.ts';

const path = { policy_id: 'The id of the policy.' };

/** What the operator may do beyond the protocol, in its form; below a prefix of ours, where it keeps room for others. */
export const OWN_OPERATIONS: Operations = {
  'POST /v1/x-castellan/budgets/close': {
    id: 'closeBudget',
    summary: 'Close a budget for good',
    query: budgetQuery,
    body: { schema: BudgetStatusTransitionRequest },
    answers: { 200: answer('The budget as it is now.', BudgetLedger) },
    errors: [...EVERYWHERE, 404, 409],
  },
  'GET /v1/x-castellan/policies/:policy_id': {
    id: 'getPolicy',
    summary: 'Show a policy',
    path,
    answers: { 200: answer('The policy.', Policy) },
    errors: [...EVERYWHERE, 404],
  },
  'DELETE /v1/x-castellan/policies/:policy_id': {
    id: 'deletePolicy',
    summary: 'Forget a policy',
    path,
    answers: { 200: answer('The policy as it was.', Policy) },
    errors: [...EVERYWHERE, 404],
  },
};
