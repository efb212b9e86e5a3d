import type { AccessCommand } from './access/commands.ts';
import { ACCESS_VERBS } from './access/verbs.ts';
import type { BalanceCommand } from './balance/commands.ts';
import { BALANCE_VERBS } from './balance/verbs.ts';
import type { PolicyCommand } from './policy/commands.ts';
import { POLICY_VERBS } from './policy/decide-policy.ts';
import type { BillCommand } from './bills/commands.ts';
import { BILL_VERBS } from './bills/verbs.ts';
import type { ContainerCommand } from './containers/commands.ts';
import type { SecretCommand } from './containers/secret-commands.ts';
import type { DomainCommand } from './containers/domain-commands.ts';
import type { SshCommand } from './containers/ssh-commands.ts';
import { CONTAINER_VERBS, DOMAIN_VERBS, SECRET_VERBS, SSH_VERBS } from './containers/verbs.ts';
import type { BudgetCommand } from './budgets/commands.ts';
import { AUDIT_VERBS, type AuditCommand } from './audit/note-refusals.ts';
import { BUDGET_VERBS } from './budgets/verbs.ts';
import { UPSTREAM_OBJECT_VERBS, type UpstreamObjectCommand } from './calls/keep-objects.ts';
import { CYCLES_VERBS, type CyclesCommand } from './cycles/verbs.ts';
import type { EventCommand } from './events/commands.ts';
import { EVENT_VERBS } from './events/verbs.ts';
import type { LedgerCommand } from './ledger/commands.ts';
import { LEDGER_VERBS } from './ledger/verbs.ts';
import type { WebhookCommand } from './webhooks/commands.ts';
import { WEBHOOK_VERBS } from './webhooks/verbs.ts';
import type { PaymentCommand } from './payments/commands.ts';
import { PAYMENT_VERBS } from './payments/verbs.ts';
import type { Decision, Needs, State, Verb } from './verb.ts';
import type { WindowCommand } from './windows/commands.ts';
import { WINDOW_VERBS } from './windows/decide-budget-rule.ts';

/** Every command that a store executes. */
export type Command =
  | LedgerCommand
  | BudgetCommand
  | BalanceCommand
  | PolicyCommand
  | AccessCommand
  | UpstreamObjectCommand
  | CyclesCommand
  | EventCommand
  | WebhookCommand
  | AuditCommand
  | WindowCommand
  | BillCommand
  | PaymentCommand
  | ContainerCommand
  | SecretCommand
  | SshCommand
  | DomainCommand;

const VERBS = {
  ...LEDGER_VERBS,
  ...BUDGET_VERBS,
  ...BALANCE_VERBS,
  ...POLICY_VERBS,
  ...ACCESS_VERBS,
  ...UPSTREAM_OBJECT_VERBS,
  ...CYCLES_VERBS,
  ...EVENT_VERBS,
  ...WEBHOOK_VERBS,
  ...AUDIT_VERBS,
  ...WINDOW_VERBS,
  ...BILL_VERBS,
  ...PAYMENT_VERBS,
  ...CONTAINER_VERBS,
  ...SECRET_VERBS,
  ...SSH_VERBS,
  ...DOMAIN_VERBS,
};

/** What `C` comes to where it succeeds: the value type of its verb. */
export type CommandValue<C extends Command> = (typeof VERBS)[C['verb']] extends Verb<never, infer T> ? T : never;

/** A verb with its command type forgotten; looked up by the command's own `verb`, so the two always belong together. */
interface AnyVerb {
  readonly needs: (command: Command) => Needs;
  readonly decide: (state: State, command: Command, nowMs: number) => Decision<unknown>;
}

const verbOf = (command: Command): AnyVerb => VERBS[command.verb] as AnyVerb;

/** The rows that `command` looks at. */
export const needsOf = (command: Command): Needs => verbOf(command).needs(command);

/** The decision function of `command`'s verb. */
export const decisionOf = (command: Command): AnyVerb['decide'] => verbOf(command).decide;
