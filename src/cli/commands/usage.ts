import { type Command, Option } from 'commander';
import { sumUsd } from '../output/sum-usd.ts';
import type { Usage, UsageGrouping, UsageRow } from '../../client/wire.ts';
import type { Context } from '../context.ts';
import { renderTable, type Column } from '../output/table.ts';
import { countText, momentText, usdText } from '../output/words.ts';
import type { Run } from '../run-command.ts';

const WINDOWS = ['5m', '15m', '30m', '1h', '24h', '7d', '30d', '60d', '90d'];

interface UsageOptions {
  readonly tenant?: string;
  readonly by?: UsageGrouping;
  readonly time?: string;
}

/** Adds `usage`. */
export function addUsage(program: Command, run: Run): void {
  program
    .command('usage')
    .description('tokens and cost by tenant, key or model')
    .option('--tenant <id>', 'of one tenant; of all where it is left out')
    .addOption(new Option('--by <what>', 'sum over this; by keys of one tenant, by tenants of all').choices(['tenant', 'key', 'model']))
    .addOption(new Option('--time <window>', 'the last so long; all time where it is left out').choices(WINDOWS))
    .action(run(usage));
}

async function usage(context: Context, { tenant, by, time }: UsageOptions): Promise<void> {
  const answer = await context.client().usage({
    by: by ?? (tenant === undefined ? 'tenant' : 'key'),
    ...(tenant === undefined ? {} : { tenantId: tenant }),
    ...(time === undefined ? {} : { time }),
  });
  context.print(answer, (shown) => {
    const span = shown.from === null ? `Until ${momentText(shown.to)} UTC` : `${momentText(shown.from)} to ${momentText(shown.to)} UTC`;
    return `${span}\n\n${renderTable(columnsOf(shown, tenant === undefined), shown.usage, { ...context, total: totalOf(shown) })}`;
  });
}

const TOTAL = 'TOTAL';

function columnsOf({ by }: Usage, isOfAll: boolean): Column<UsageRow>[] {
  const named: Column<UsageRow>[] = [];
  if (isOfAll || by === 'tenant') named.push({ head: 'TENANT', text: (row) => row.tenant_id });
  if (by === 'key') {
    named.push({ head: 'KEY', text: (row) => row.key_id ?? '' }, { head: 'NAME', text: (row) => row.key_name ?? '' });
  }
  if (by === 'model') named.push({ head: 'MODEL', text: (row) => row.model ?? '' });
  // The word for the sums stands in the first column, whichever that is.
  const [first, ...others] = named;
  const withTotal = first === undefined ? [] : [{ ...first, text: (row: UsageRow) => (row.tenant_id === TOTAL ? TOTAL : first.text(row)) }];
  return [
    ...withTotal,
    ...others,
    { head: 'REQUESTS', text: (row) => countText(row.requests), isNumber: true },
    { head: 'INPUT TOKENS', text: (row) => countText(row.input_tokens), isNumber: true },
    { head: 'OUTPUT TOKENS', text: (row) => countText(row.output_tokens), isNumber: true },
    { head: 'COST', text: (row) => usdText(row.cost_usd), isNumber: true },
  ];
}

/** No tenant is called so: their ids have no capitals. */
function totalOf({ usage: rows }: Usage): UsageRow {
  const sum = (pick: (row: UsageRow) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  return {
    tenant_id: TOTAL,
    requests: sum((row) => row.requests),
    input_tokens: sum((row) => row.input_tokens),
    output_tokens: sum((row) => row.output_tokens),
    cost_usd: sumUsd(rows.map((row) => row.cost_usd)),
  };
}
