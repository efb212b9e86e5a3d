import { Option, type Command } from 'commander';
import type { ContainerHost, ContainerMetrics } from '../../client/container-wire.ts';
import type { Context } from '../context.ts';
import { renderFields, renderTable, type Column } from '../output/table.ts';
import { countText, momentText, usdText } from '../output/words.ts';
import type { Run } from '../run-command.ts';
import { findContainer } from './follow-deployment.ts';

type Point = ContainerMetrics['data_points'][number];

const percentText = (share: number | null): string => (share === null ? '-' : `${share.toFixed(1)} %`);

const METRIC_COLUMNS: Column<Point>[] = [
  { head: 'TIME (UTC)', text: ({ time }) => momentText(time) },
  { head: 'CPU', text: ({ avg_cpu_util: share }) => percentText(share), isNumber: true },
  { head: 'MAX', text: ({ max_cpu_util: share }) => percentText(share), isNumber: true },
  { head: 'MEMORY', text: ({ avg_cpu_mem_util: share }) => percentText(share), isNumber: true },
  { head: 'MAX', text: ({ max_cpu_mem_util: share }) => percentText(share), isNumber: true },
  { head: 'GPU', text: ({ avg_gpu_util: share }) => percentText(share), isNumber: true },
  { head: 'MAX', text: ({ max_gpu_util: share }) => percentText(share), isNumber: true },
  { head: 'GPU MEMORY', text: ({ avg_gpu_mem_util: share }) => percentText(share), isNumber: true },
];

const HOST_COLUMNS: Column<ContainerHost>[] = [
  { head: 'NAME', text: ({ name, is_default: isDefault }) => (isDefault ? `${name} (default)` : name) },
  { head: 'GPUS', text: ({ available_gpu_values: values }) => values.join(', ') || 'none' },
];

const WINDOWS = ['5m', '15m', '30m', '1h', '24h', '7d', '30d', '60d', '90d'] as const;

/** Adds the commands that tell what containers use and cost, and where they may run. */
export function addContainerFigures(containers: Command, run: Run): void {
  containers.command('usage').description('what one was charged for').argument('<name>', 'its name or id').action(run(usage));
  containers
    .command('metrics')
    .description('what one uses of what it is given; points without a sample are left out')
    .argument('<name>', 'its name or id')
    .addOption(new Option('--time <window>', 'the window that ends now').choices(WINDOWS).default('1h'))
    .action(run(metrics));
  containers
    .command('hosts')
    .description('the hosts that containers may run on')
    .action(run(async (context) => context.print(await context.containers().hosts(), (rows) => renderTable(HOST_COLUMNS, rows, context))));
}

async function metrics(context: Context, name: string, { time }: { readonly time: string }): Promise<void> {
  const { id } = await findContainer(context, name);
  // Memory is never zero where it was measured.
  context.print(await context.containers().metrics(id, time), ({ data_points: points }) =>
    renderTable(
      METRIC_COLUMNS,
      points.filter(({ cpu_mem_total: total }) => total > 0),
      context,
    ),
  );
}

async function usage(context: Context, name: string): Promise<void> {
  const { id } = await findContainer(context, name);
  context.print(await context.containers().usage(id), (shown) =>
    renderFields(
      [
        ['processor seconds', countText(shown.cpu_seconds)],
        ['GB seconds of memory', countText(shown.memory_gb_seconds)],
        ['GPU seconds', countText(shown.gpu_seconds)],
        ['cost', usdText(shown.cost_usd)],
        ['booked until (UTC)', momentText(shown.metered_until, 'nothing yet')],
        ...(shown.unpaid_since === null ? [] : ([['unpaid since (UTC)', momentText(shown.unpaid_since)]] as [string, string][])),
      ],
      context,
    ),
  );
}
