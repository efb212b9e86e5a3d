import { CYCLES_UNITS } from '../../../core/cycles/units.ts';
import type { Operation, Operations } from '../../_shared/openapi/operation.ts';
import {
  BalanceListResponse,
  BudgetCreateRequest,
  BudgetFundingRequest,
  BudgetFundingResponse,
  BudgetLedger,
  BudgetListResponse,
  BudgetStatusTransitionRequest,
  BudgetUpdateRequest,
} from '../schemas/budgets.ts';
import { BudgetBulkActionRequest, BudgetBulkActionResponse } from '../schemas/bulk.ts';
import { BUDGET_STATUSES } from '../schemas/common.ts';
import { answer, budgetQuery, choice, EITHER, EVERYWHERE, flag, page, search, share, sorting, TENANT, words } from './shared.ts';

const ledgerAnswer = { 200: answer('The budget as it is now.', BudgetLedger) };

/** The operations of budgets. Source: Cycles governance, paths below `/v1/admin/budgets`. */
export const BUDGET_OPERATIONS: Operations = {
  'POST /v1/admin/budgets': {
    id: 'createBudget',
    summary: 'Add a budget',
    description: "The operator names the tenant; a tenant's key must not.",
    body: { schema: BudgetCreateRequest },
    answers: { 201: answer('The new budget.', BudgetLedger) },
    errors: [...EVERYWHERE, 404, 409],
    security: EITHER,
  },
  'GET /v1/admin/budgets': {
    id: 'listBudgets',
    summary: 'List budgets',
    query: {
      tenant_id: words('Only those of this tenant.'),
      scope_prefix: words('Only those of this scope and of those below it.'),
      unit: choice('Only those in this unit.', CYCLES_UNITS),
      status: choice('Only those in this state.', BUDGET_STATUSES),
      over_limit: flag('Only those that owe more than they may, or only the others.'),
      has_debt: flag('Only those that owe something, or only the others.'),
      utilization_min: share('Only those of whose allocation at least this share is spent.'),
      utilization_max: share('Only those of whose allocation at most this share is spent.'),
      search,
      ...sorting(['tenant_id', 'scope', 'unit', 'status', 'commit_overage_policy', 'utilization', 'debt'], 'utilization'),
      ...page,
    },
    answers: { 200: answer('A page of budgets.', BudgetListResponse) },
    errors: EVERYWHERE,
    security: EITHER,
  },
  'PATCH /v1/admin/budgets': {
    id: 'updateBudget',
    summary: 'Change a budget',
    query: budgetQuery,
    body: { schema: BudgetUpdateRequest },
    answers: ledgerAnswer,
    errors: [...EVERYWHERE, 404, 409],
  },
  'POST /v1/admin/budgets/freeze': {
    id: 'freezeBudget',
    summary: 'Freeze a budget',
    query: budgetQuery,
    body: { schema: BudgetStatusTransitionRequest },
    answers: ledgerAnswer,
    errors: [...EVERYWHERE, 404, 409],
  },
  'POST /v1/admin/budgets/unfreeze': {
    id: 'unfreezeBudget',
    summary: 'Let a frozen budget take spend again',
    query: budgetQuery,
    body: { schema: BudgetStatusTransitionRequest },
    answers: ledgerAnswer,
    errors: [...EVERYWHERE, 404, 409],
  },
  'POST /v1/admin/budgets/fund': {
    id: 'fundBudget',
    summary: 'Add to, take from, reset or repay a budget',
    query: { tenant_id: words('The tenant; where it is not given, that of the scope.'), ...budgetQuery },
    body: { schema: BudgetFundingRequest },
    answers: { 200: answer('What the budget had before, and has now.', BudgetFundingResponse) },
    errors: [...EVERYWHERE, 404, 409],
    security: EITHER,
  },
  'GET /v1/admin/budgets/lookup': {
    id: 'lookupBudget',
    summary: 'Show a budget',
    query: budgetQuery,
    answers: { 200: answer('The budget.', BudgetLedger) },
    errors: [...EVERYWHERE, 404],
    security: EITHER,
  },
  'POST /v1/admin/budgets/bulk-action': {
    id: 'bulkActionBudgets',
    summary: 'Fund many budgets of a tenant',
    body: { schema: BudgetBulkActionRequest },
    answers: { 200: answer('What became of each.', BudgetBulkActionResponse) },
    errors: [...EVERYWHERE, 404, 409],
  },
};

/**
 * `GET /v1/balances` as the governance plane has it: whoever names no level of a subject. The runtime plane has another of this path.
 * Source: Cycles governance, `getBalances`.
 */
export const GOVERNANCE_BALANCES: Operation = {
  id: 'getBalances',
  summary: 'List the budgets of a tenant, whole',
  query: {
    tenant_id: words('The tenant: that of the key.'),
    scope_prefix: words('Only those of this scope and of those below it.'),
    unit: choice('Only those in this unit.', CYCLES_UNITS),
    ...page,
  },
  answers: { 200: answer('A page of budgets.', BalanceListResponse) },
  errors: EVERYWHERE,
  security: TENANT,
};

/** The same in the table of operations. */
export const GOVERNANCE_BALANCE_OPERATIONS: Operations = { 'GET /v1/balances': GOVERNANCE_BALANCES };
