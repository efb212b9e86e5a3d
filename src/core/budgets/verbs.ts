import type { Verb } from '../verb.ts';
import type { BudgetCommand } from './commands.ts';
import { closeBudgetVerb, freezeBudgetVerb, refreshBudgetVerb, updateBudgetVerb } from './decide-budget.ts';
import { createBudgetVerb } from './decide-create-budget.ts';
import { fundBudgetsVerb } from './fund-budgets.ts';

/** The decisions of budgets, by verb. */
export const BUDGET_VERBS = {
  'create-budget': createBudgetVerb,
  'update-budget': updateBudgetVerb,
  'freeze-budget': freezeBudgetVerb,
  'unfreeze-budget': freezeBudgetVerb,
  'close-budget': closeBudgetVerb,
  'refresh-budget': refreshBudgetVerb,
  'fund-budgets': fundBudgetsVerb,
} as const satisfies { readonly [K in BudgetCommand['verb']]: Verb<Extract<BudgetCommand, { verb: K }> & BudgetCommand, unknown> };
