import type { Command } from 'commander';
import type { Entitlements, Money, Tenant, TenantChanges, TenantSwitches } from '../../client/wire.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { type Limit, usdOption } from '../options.ts';
import { renderFields, renderTable, type Column } from '../output/table.ts';
import { countText, momentText, usdText } from '../output/words.ts';
import type { Run } from '../run-command.ts';

const COLUMNS: readonly Column<Tenant>[] = [
  { head: 'ID', text: ({ id }) => id },
  { head: 'NAME', text: ({ name }) => name },
  { head: 'STATUS', text: ({ status }) => status },
  { head: 'KEYS', text: ({ key_count: count }) => countText(count), isNumber: true },
  { head: 'SWITCHES', text: (tenant) => switchesOf(tenant) || '-' },
  { head: 'CREATED (UTC)', text: ({ created_at: at }) => momentText(at) },
];

const SWITCHES = ['require_budget', 'allow_unpriced', 'hide_amounts'] as const satisfies readonly (keyof TenantSwitches)[];

const switchesOf = (tenant: Tenant): string => SWITCHES.filter((name) => tenant[name]).join(', ');

/** A tenant together with its money. */
type Whole = Tenant & { readonly money_budget: Money };

const fieldsOf = (tenant: Whole): [string, string][] => [
  ['id', tenant.id],
  ['name', tenant.name],
  ['status', tenant.status],
  ['money budget', usdText(tenant.money_budget.money_budget_usd, 'no limit')],
  ['spent', usdText(tenant.money_budget.spent_usd)],
  ['held', usdText(tenant.money_budget.reserved_usd)],
  ['remaining', usdText(tenant.money_budget.remaining_usd)],
  ['keys', countText(tenant.key_count)],
  ['switches', switchesOf(tenant) || '-'],
  ...Object.entries(tenant.entitlements).map(([name, value]): [string, string] => [`may ${name}`, String(value)]),
  ['created (UTC)', momentText(tenant.created_at)],
];

/** What `create` and `update` take alike. */
interface TenantOptions {
  readonly name?: string;
  readonly budgetUsd?: Limit<string>;
  readonly requireBudget?: boolean;
  readonly allowUnpriced?: boolean;
  readonly hideAmounts?: boolean;
  readonly entitlement?: Partial<Entitlements>;
}

const switchesGiven = ({ requireBudget, allowUnpriced, hideAmounts }: TenantOptions): TenantSwitches => ({
  ...(requireBudget === undefined ? {} : { require_budget: requireBudget }),
  ...(allowUnpriced === undefined ? {} : { allow_unpriced: allowUnpriced }),
  ...(hideAmounts === undefined ? {} : { hide_amounts: hideAmounts }),
});

function entitlementOption(text: string, before: Partial<Entitlements> = {}): Partial<Entitlements> {
  const match = /^([a-z_]+)=(true|false|\d{1,9})$/.exec(text);
  if (match === null)
    throw new CommandError(`--entitlement takes NAME=VALUE, such as max_keys=100 or gpu_access=true, and not "${text}".`, EXIT.usage);
  const [, name = '', value = ''] = match;
  return { ...before, [name]: value === 'true' ? true : value === 'false' ? false : Number(value) };
}

/** Adds `tenants` and its commands. */
export function addTenants(program: Command, run: Run): void {
  const tenants = program.command('tenants').description('the owners of keys and budgets');
  tenants
    .command('list')
    .description('all tenants')
    .action(run(async (context) => context.print(await context.client().tenants.list(), (rows) => renderTable(COLUMNS, rows, context))));
  tenants
    .command('show')
    .description('one tenant with its money and what it may do')
    .argument('<id>')
    .action(run(async (context, id: string) => show(context, id)));
  withSettings(tenants.command('create').description('make a tenant').argument('<id>', 'lower-case letters, digits and hyphens')).action(
    run(async (context, id: string, options: TenantOptions) => create(context, id, options)),
  );
  withSettings(tenants.command('update').description('change what is given of a tenant').argument('<id>'))
    .option('--suspend', 'nothing new starts: no calls, no keys')
    .option('--activate', 'end a suspension')
    .action(run(async (context, id: string, options: UpdateOptions) => update(context, id, options)));
}

const withSettings = (command: Command): Command =>
  command
    .option('--name <name>', 'what people call it')
    .option('--budget-usd <amount>', 'what it may spend in all; none for no limit', usdOption)
    .option('--require-budget', 'refuse calls that no money budget covers')
    .option('--no-require-budget', 'take them')
    .option('--allow-unpriced', 'let models without a price be called')
    .option('--no-allow-unpriced', 'refuse them')
    .option('--hide-amounts', 'keep figures out of refusals')
    .option('--no-hide-amounts', 'show them')
    .option('--entitlement <name=value>', 'what it may do; may be given several times', entitlementOption);

async function show(context: Context, id: string): Promise<void> {
  const { tenants } = context.client();
  const whole: Whole = { ...(await tenants.get(id)), money_budget: await tenants.budget(id) };
  context.print(whole, (tenant) => renderFields(fieldsOf(tenant), context));
}

async function create(context: Context, id: string, options: TenantOptions): Promise<void> {
  const { tenants } = context.client();
  const { name, budgetUsd, entitlement } = options;
  await tenants.create({
    id,
    ...(name === undefined ? {} : { name }),
    ...switchesGiven(options),
    ...(entitlement === undefined ? {} : { entitlements: entitlement }),
  });
  if (budgetUsd !== undefined) {
    await tenants.setBudget(id, budgetUsd.value).catch((error: unknown) => {
      context.terminal.err(`The tenant ${id} was made, but has no budget yet.\n`);
      throw error;
    });
  }
  await show(context, id);
}

interface UpdateOptions extends TenantOptions {
  readonly suspend?: boolean;
  readonly activate?: boolean;
}

async function update(context: Context, id: string, options: UpdateOptions): Promise<void> {
  const { tenants } = context.client();
  const { name, budgetUsd, entitlement, suspend = false, activate = false } = options;
  if (suspend && activate) throw new CommandError('--suspend and --activate cannot be given together.', EXIT.usage);
  const changes: TenantChanges = {
    ...(name === undefined ? {} : { name }),
    ...switchesGiven(options),
    ...(suspend ? { status: 'SUSPENDED' } : activate ? { status: 'ACTIVE' } : {}),
  };
  const hasChanges = Object.keys(changes).length > 0;
  if (!hasChanges && budgetUsd === undefined && entitlement === undefined)
    throw new CommandError('Nothing to change was given; castellan tenants update --help lists what can be.', EXIT.usage);
  if (hasChanges) await tenants.update(id, changes);
  if (entitlement !== undefined) await tenants.setEntitlements(id, entitlement);
  if (budgetUsd !== undefined) await tenants.setBudget(id, budgetUsd.value);
  await show(context, id);
}
