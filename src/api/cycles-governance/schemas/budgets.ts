import Type, { type Static } from 'typebox';
import type { RolloverPolicy } from '../../../core/ledger/account.ts';
import { closed, Flag, Metadata, Moment, oneOf, text } from '../../_shared/cycles-fields.ts';
import { Amount, CommitOveragePolicy, SignedAmount, Unit } from '../../_shared/cycles-schemas.ts';
import { BUDGET_STATUSES, FUNDING_OPERATIONS, LooseAmount, pageEnd } from './common.ts';

const Rollover = oneOf(['NONE', 'CARRY_FORWARD', 'CAP_AT_ALLOCATED'] as const satisfies readonly RolloverPolicy[]);
const Reason = Type.Optional(text({ max: 512 }));

/** A budget, in answers. Source: Cycles governance, `BudgetLedger`. */
export const BudgetLedger = closed(
  {
    ledger_id: Type.String(),
    tenant_id: Type.Optional(Type.String()),
    scope: Type.String(),
    scope_path: Type.Optional(Type.String()),
    unit: Unit,
    allocated: Amount,
    remaining: SignedAmount,
    reserved: Type.Optional(Amount),
    spent: Type.Optional(Amount),
    debt: Type.Optional(Amount),
    overdraft_limit: Type.Optional(Amount),
    is_over_limit: Type.Optional(Flag),
    commit_overage_policy: Type.Optional(CommitOveragePolicy),
    status: oneOf(BUDGET_STATUSES),
    rollover_policy: Type.Optional(Rollover),
    period_start: Type.Optional(Moment),
    period_end: Type.Optional(Moment),
    created_at: Moment,
    updated_at: Type.Optional(Moment),
  },
  'BudgetLedger',
);
export type BudgetLedger = Static<typeof BudgetLedger>;

/** Body of `POST /v1/admin/budgets`. Source: Cycles governance, `BudgetCreateRequest`. */
export const BudgetCreateRequest = closed(
  {
    tenant_id: Type.Optional(text()),
    scope: text(),
    unit: Unit,
    allocated: LooseAmount,
    overdraft_limit: Type.Optional(LooseAmount),
    commit_overage_policy: Type.Optional(CommitOveragePolicy),
    rollover_policy: Type.Optional(Rollover),
    period_start: Type.Optional(Moment),
    period_end: Type.Optional(Moment),
    metadata: Type.Optional(Metadata),
  },
  'BudgetCreateRequest',
);
export type BudgetCreateRequest = Static<typeof BudgetCreateRequest>;

/** Body of `PATCH /v1/admin/budgets`. Source: Cycles governance, `updateBudget`. */
export const BudgetUpdateRequest = closed(
  {
    overdraft_limit: Type.Optional(LooseAmount),
    commit_overage_policy: Type.Optional(CommitOveragePolicy),
    metadata: Type.Optional(Metadata),
  },
  'BudgetUpdateRequest',
);
export type BudgetUpdateRequest = Static<typeof BudgetUpdateRequest>;

const StatusTransition = closed({ reason: Reason, metadata: Type.Optional(Metadata) }, 'BudgetStatusTransitionRequest');

/**
 * Body of `POST /v1/admin/budgets/freeze` and `/unfreeze`; nothing at all is the same as no reason. Source: Cycles governance,
 * `BudgetStatusTransitionRequest`.
 */
export const BudgetStatusTransitionRequest = Type.Union([StatusTransition, Type.Null()]);
export type BudgetStatusTransitionRequest = Static<typeof BudgetStatusTransitionRequest>;

/** Body of `POST /v1/admin/budgets/fund`. `spent` says something for RESET_SPENT only. Source: Cycles governance, `BudgetFundingRequest`. */
export const BudgetFundingRequest = closed(
  {
    operation: oneOf(FUNDING_OPERATIONS),
    amount: LooseAmount,
    spent: Type.Optional(LooseAmount),
    reason: Reason,
    idempotency_key: Type.Optional(text({ min: 1, max: 256 })),
    metadata: Type.Optional(Metadata),
  },
  'BudgetFundingRequest',
);
export type BudgetFundingRequest = Static<typeof BudgetFundingRequest>;

/** Answer of `POST /v1/admin/budgets/fund`. Source: Cycles governance, `BudgetFundingResponse`. */
export const BudgetFundingResponse = closed(
  {
    operation: Type.String(),
    previous_allocated: Amount,
    new_allocated: Amount,
    previous_remaining: SignedAmount,
    new_remaining: SignedAmount,
    previous_debt: Type.Optional(Amount),
    new_debt: Type.Optional(Amount),
    previous_spent: Type.Optional(Amount),
    new_spent: Type.Optional(Amount),
    timestamp: Type.Optional(Moment),
  },
  'BudgetFundingResponse',
);
export type BudgetFundingResponse = Static<typeof BudgetFundingResponse>;

/** Answer of `GET /v1/admin/budgets`. Source: Cycles governance, `BudgetListResponse`. */
export const BudgetListResponse = closed({ ledgers: Type.Array(BudgetLedger), ...pageEnd }, 'BudgetListResponse');

/** Answer of `GET /v1/balances` on the governance plane. Source: Cycles governance, `BalanceListResponse`. */
export const BalanceListResponse = closed({ balances: Type.Array(BudgetLedger), ...pageEnd }, 'BalanceListResponse');
