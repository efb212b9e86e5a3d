import type { CommandBase } from '../verb.ts';
import type { RuleScope } from './budget-rule.ts';
import type { WindowPeriod } from './window-period.ts';

/**
 * Sets the limit of a rule of the command's tenant, making the rule where there is none. `memberId` is the member who asks, who must be an
 * admin; absent for the operator. `atMs` is the moment by the node's clock for which the rows were named.
 */
export interface PutBudgetRuleCommand extends CommandBase {
  readonly verb: 'put-budget-rule';
  readonly scope: RuleScope;
  readonly target: string | null;
  readonly period: WindowPeriod;
  readonly limitMicrocents: bigint;
  readonly memberId?: string;
  readonly atMs: number;
}

/** Forgets a rule of the command's tenant. */
export interface DeleteBudgetRuleCommand extends CommandBase {
  readonly verb: 'delete-budget-rule';
  readonly ruleId: string;
  readonly memberId?: string;
}

/** Puts what was spent so far in the present window out of account. `windowTarget`: whose, of a rule for each of many; else null. */
export interface ResetBudgetRuleCommand extends CommandBase {
  readonly verb: 'reset-budget-rule';
  readonly ruleId: string;
  readonly period: WindowPeriod;
  readonly windowTarget: string;
  readonly memberId?: string;
  readonly atMs: number;
}

/** Every command that changes rules of budgets with windows. */
export type WindowCommand = PutBudgetRuleCommand | DeleteBudgetRuleCommand | ResetBudgetRuleCommand;
