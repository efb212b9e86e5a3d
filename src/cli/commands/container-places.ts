import type { Command } from 'commander';
import type { Container } from '../../client/container-wire.ts';
import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { renderTable, type Column } from '../output/table.ts';
import type { Run } from '../run-command.ts';
import { findContainer } from './follow-deployment.ts';

/** A group with what is in it. */
interface Group {
  readonly name: string;
  readonly order: number;
  readonly containers: readonly string[];
}

const GROUP_COLUMNS: Column<Group>[] = [
  { head: 'GROUP', text: ({ name }) => name },
  { head: 'ORDER', text: ({ order }) => String(order), isNumber: true },
  { head: 'CONTAINERS', text: ({ containers }) => containers.join(', ') },
];

const MAX_ORDER = 1_000_000;

function orderOf(text: string): number {
  const order = /^-?\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (Math.abs(order) <= MAX_ORDER) return order;
  throw new CommandError(`"${text}" is no place in an order: write a whole number.`, EXIT.usage);
}

function groupsOf(containers: readonly Container[]): Group[] {
  const groups = new Map<string, { readonly name: string; readonly order: number; readonly containers: string[] }>();
  for (const { name, group_name: group, group_order: order } of containers) {
    if (group === null) continue;
    const known = groups.get(group) ?? { name: group, order, containers: [] };
    known.containers.push(name);
    groups.set(group, known);
  }
  return [...groups.values()];
}

const printGroups = async (context: Context): Promise<void> =>
  context.print(groupsOf(await context.containers().list()), (rows) => renderTable(GROUP_COLUMNS, rows, context));

/** Adds the commands about groups of containers and the order of both. */
export function addContainerPlaces(containers: Command, run: Run): void {
  containers
    .command('place')
    .description('put one into a group, or out of it, and say where it stands; what is not given stays')
    .argument('<name>', 'its name or id')
    .option('--group <group>', 'the group; a new one where there is none of that name')
    .option('--no-group', 'out of its group')
    .option('--order <number>', 'where it stands in its group', orderOf)
    .action(run(place));
  const groups = containers.command('groups').description('groups of containers');
  groups.command('list').description('the groups, with what is in them').action(run(printGroups));
  groups
    .command('rename')
    .description('give a group another name')
    .argument('<group>')
    .argument('<name>')
    .action(
      run(async (context, group: string, name: string) => {
        await context.containers().groups.rename(group, name);
        await printGroups(context);
      }),
    );
  groups
    .command('order')
    .description('say where a group stands')
    .argument('<group>')
    .argument('<number>', 'lower ones come first', orderOf)
    .action(
      run(async (context, group: string, order: number) => {
        await context.containers().groups.order(group, order);
        await printGroups(context);
      }),
    );
  groups
    .command('delete')
    .description('take a group apart: its containers stay')
    .argument('<group>')
    .action(
      run(async (context, group: string) => {
        await context.containers().groups.delete(group);
        context.print({ deleted: group }, () => `deleted ${group}\n`);
      }),
    );
}

async function place(
  context: Context,
  name: string,
  { group, order }: { readonly group?: string | false; readonly order?: number },
): Promise<void> {
  const client = context.containers();
  const { id, group_name: before, group_order: groupOrder, display_order: displayOrder } = await findContainer(context, name);
  const wanted = group === undefined ? before : group === false ? null : group;
  // The order is the whole group\u2019s: who joins one takes over its.
  const known = wanted === null ? undefined : groupsOf(await client.list()).find((other) => other.name === wanted);
  const joined = wanted === before ? groupOrder : (known?.order ?? 0);
  await client.place(id, { group_name: wanted, group_order: joined, display_order: order ?? displayOrder });
  await printGroups(context);
}
