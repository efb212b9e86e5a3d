import { type Command, Option } from 'commander';
import type { OperatorClient } from '../../client/operator-client.ts';
import type { Key, KeyChanges, MadeKey, NewKey } from '../../client/wire.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { countOption, type Limit, limitOption, momentOption, usdOption } from '../options.ts';
import { renderFields, renderTable, type Column } from '../output/table.ts';
import { countText, momentText, usdText } from '../output/words.ts';
import type { Run } from '../run-command.ts';
import { theTenant } from '../the-tenant.ts';

/** Keys that are read at once. */
const PAGE = 1000;

const stateOf = ({ disabled, expires_at: expiresAt }: Key, nowMs: number): string =>
  disabled ? 'disabled' : expiresAt !== null && Date.parse(expiresAt) <= nowMs ? 'expired' : 'active';

const columnsAt = (nowMs: number): Column<Key>[] => [
  { head: 'ID', text: ({ id }) => id },
  { head: 'NAME', text: ({ name }) => name },
  { head: 'KIND', text: ({ kind }) => kind },
  { head: 'STATE', text: (key) => stateOf(key, nowMs) },
  { head: 'TOKENS USED', text: (key) => countText(key.tokens_used), isNumber: true },
  { head: 'TOKEN CAP', text: (key) => (key.max_tokens === null ? 'none' : countText(key.max_tokens)), isNumber: true },
  { head: 'SPENT', text: (key) => usdText(key.spent_usd), isNumber: true },
  { head: 'BUDGET', text: (key) => usdText(key.money_budget_usd, 'none'), isNumber: true },
  { head: 'LAST USED (UTC)', text: (key) => momentText(key.last_used_at, 'never') },
];

const fieldsOf = (key: Key, nowMs: number): [string, string][] => [
  ['id', key.id],
  ['name', key.name],
  ['tenant', key.tenant_id],
  ['kind', key.kind],
  ['key', key.masked_key],
  ['member', key.member_id],
  ['state', stateOf(key, nowMs)],
  ['expires (UTC)', momentText(key.expires_at, 'never')],
  ['token cap', key.max_tokens === null ? 'none' : countText(key.max_tokens)],
  ['tokens used', countText(key.tokens_used)],
  ['money budget', usdText(key.money_budget_usd, 'none')],
  ['spent', usdText(key.spent_usd)],
  ['held', usdText(key.reserved_usd)],
  ['remaining', usdText(key.remaining_usd)],
  ['output bound', key.output_bound],
  ['requests', countText(key.request_count)],
  ['last used (UTC)', momentText(key.last_used_at, 'never')],
  ['created (UTC)', momentText(key.created_at)],
];

const madeFields = (made: MadeKey): [string, string][] => [
  ['key', made.key],
  ['id', made.id],
  ['name', made.name],
  ['kind', made.kind],
  ['tenant', made.tenant_id],
  ['member', made.member_id],
];

interface LimitOptions {
  readonly maxTokens?: Limit<number | bigint>;
  readonly budgetUsd?: Limit<string>;
  readonly expires?: Limit<string>;
}

const limitsGiven = ({ maxTokens, budgetUsd, expires }: LimitOptions) => ({
  ...(maxTokens === undefined ? {} : { max_tokens: maxTokens.value }),
  ...(budgetUsd === undefined ? {} : { money_budget_usd: budgetUsd.value }),
  ...(expires === undefined ? {} : { expires_at: expires.value }),
});

/** Adds `keys` and its commands. */
export function addKeys(program: Command, run: Run, nowMs: () => number): void {
  const keys = program.command('keys').description('API keys');
  const withLimits = (command: Command): Command =>
    command
      .option('--max-tokens <count>', 'all tokens that it may ever use; none for no cap', countOption)
      .option('--budget-usd <amount>', 'what it may spend in all; none for no budget', usdOption)
      .option('--expires <moment>', 'a moment (RFC 3339), a length from now (30d, 12h, 90m), or never', momentOption(nowMs));

  keys
    .command('list')
    .description('the keys of a tenant, oldest first')
    .option('--tenant <id>', 'whose keys; may be left out where there is only one tenant')
    .option('--limit <rows>', 'no more than so many', limitOption)
    .action(run(list));
  keys
    .command('show')
    .description('one key with its limits and use, never its value')
    .argument('<id>')
    .action(run(async (context, id: string) => printKey(context, await context.client().keys.get(id))));
  withLimits(keys.command('create').description('make a key; its value is shown this once'))
    .argument('<name>')
    .option('--tenant <id>', 'whose key; may be left out where there is only one tenant')
    .addOption(new Option('--kind <kind>', 'what it is for').choices(['inference', 'admin', 'management']).default('inference'))
    .option('--member <id>', 'the member that it belongs to; admin and management keys need one')
    .action(run(create));
  withLimits(keys.command('update').description('change what is given of a key'))
    .argument('<id>')
    .option('--name <name>')
    .option('--disable', 'refuse it from now on')
    .option('--enable', 'take it again')
    .action(run(update));
  keys
    .command('delete')
    .description('delete a key for good; its usage stays')
    .argument('<id>')
    .option('--yes', 'do not ask')
    .action(run(remove));
}

function printKey(context: Context, key: Key): void {
  context.print(key, (shown) => renderFields(fieldsOf(shown, context.nowMs()), context));
}

async function list(context: Context, options: { readonly tenant?: string; readonly limit?: number }): Promise<void> {
  const client = context.client();
  const tenantId = await theTenant(client, options.tenant);
  const rows = await allKeys(client, tenantId, options.limit ?? Infinity);
  context.print(rows, (keys) => renderTable(columnsAt(context.nowMs()), keys, context));
}

async function allKeys(client: OperatorClient, tenantId: string, limit: number): Promise<Key[]> {
  const found: Key[] = [];
  for (let cursor: string | null | undefined; cursor !== null && found.length < limit;) {
    const query = { tenantId, limit: Math.min(PAGE, limit - found.length), ...(cursor === undefined ? {} : { cursor }) };
    const { keys, next_cursor: next }: { keys: readonly Key[]; next_cursor: string | null } = await client.keys.page(query);
    found.push(...keys);
    cursor = next;
  }
  return found;
}

interface CreateOptions extends LimitOptions {
  readonly tenant?: string;
  readonly kind: NewKey['kind'];
  readonly member?: string;
}

async function create(context: Context, name: string, options: CreateOptions): Promise<void> {
  const { kind, member } = options;
  const limits = limitsGiven(options);
  let key: NewKey;
  if (kind === 'inference') key = { kind, name, ...(member === undefined ? {} : { member_id: member }), ...limits };
  else {
    if (member === undefined) throw new CommandError(`A key of the kind ${kind} acts as a member: name one with --member.`, EXIT.usage);
    if (Object.keys(limits).length > 0)
      throw new CommandError('Only inference keys take limits when they are made; castellan keys update sets them on others.', EXIT.usage);
    key = { kind, name, member_id: member };
  }
  const client = context.client();
  const made = await client.keys.create(await theTenant(client, options.tenant), key);
  context.print(made, (shown) => renderFields(madeFields(shown), context));
  if (context.options.output === 'table') context.terminal.err('Keep the key now: it is not shown again.\n');
}

interface UpdateOptions extends LimitOptions {
  readonly name?: string;
  readonly disable?: boolean;
  readonly enable?: boolean;
}

async function update(context: Context, id: string, options: UpdateOptions): Promise<void> {
  const { name, disable = false, enable = false } = options;
  if (disable && enable) throw new CommandError('--disable and --enable cannot be given together.', EXIT.usage);
  const changes: KeyChanges = {
    ...(name === undefined ? {} : { name }),
    ...(disable ? { disabled: true } : enable ? { disabled: false } : {}),
    ...limitsGiven(options),
  };
  if (Object.keys(changes).length === 0)
    throw new CommandError('Nothing to change was given; castellan keys update --help lists what can be.', EXIT.usage);
  printKey(context, await context.client().keys.update(id, changes));
}

async function remove(context: Context, id: string, options: { readonly yes?: boolean }): Promise<void> {
  const { keys } = context.client();
  const { name, tenant_id: tenantId } = await keys.get(id);
  if (options.yes !== true) {
    const answer = await context.terminal.confirm(`Delete the key "${name}" of the tenant ${tenantId} for good?`);
    if (answer === null) throw new CommandError('A key is deleted for good: give --yes where nobody can be asked.', EXIT.usage);
    if (!answer) throw new CommandError('Nothing was deleted.');
  }
  await keys.delete(id);
  context.print({ id, deleted: true }, () => `The key ${id} is deleted.\n`);
}
