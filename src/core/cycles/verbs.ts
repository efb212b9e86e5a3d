import type { CascadeCommand } from './cascade-commands.ts';
import { CASCADE_VERBS } from './decide-cascade.ts';
import { TENANT_KEY_VERBS, type TenantKeyCommand } from './decide-tenant-key.ts';
import { evaluateBudgetVerb } from './evaluate-budget.ts';
import { KEPT_ANSWER_VERBS, type KeepAnswerCommand } from './kept-answer.ts';
import { KEY_USE_VERBS, type NoteKeyUsesCommand } from './note-key-uses.ts';
import { reserveBudgetVerb } from './reserve-budget.ts';
import type { RuntimeCommand } from './runtime-commands.ts';

/** Every command that only the Cycles surfaces know: closing tenants, tenants' keys, answers to actions on many things, holds. */
export type CyclesCommand = CascadeCommand | TenantKeyCommand | KeepAnswerCommand | NoteKeyUsesCommand | RuntimeCommand;

/** Their decisions, by verb. */
export const CYCLES_VERBS = {
  ...CASCADE_VERBS,
  ...TENANT_KEY_VERBS,
  ...KEPT_ANSWER_VERBS,
  ...KEY_USE_VERBS,
  'reserve-budget': reserveBudgetVerb,
  'evaluate-budget': evaluateBudgetVerb,
} as const;
