/**
 * `npm run bench [-- ROW ...] [-- --quick]`: starts what it needs, prints each row as it is measured, and keeps the table with the
 * machine's description under bench/results/. Rows: see ROWS.
 */
import { ask } from './rows/ask.ts';
import { containers } from './rows/containers.ts';
import { cyclesLists } from './rows/cycles-lists.ts';
import { cyclesBudgets, cyclesFanout, cyclesPairs, cyclesReserves } from './rows/cycles.ts';
import { gatewayPlain, gatewayRefused, gatewayStall, gatewayStream } from './rows/gateway.ts';
import { gatewayGoverned } from './rows/governed.ts';
import { ingress } from './rows/ingress.ts';
import { ledgerPairs } from './rows/ledger.ts';
import { memory, startTime } from './rows/process.ts';
import { routing } from './rows/routing.ts';
import { sealedEnd, sealedRelay } from './rows/sealed.ts';
import { usageScale } from './rows/usage-scale.ts';
import { usageQueries } from './rows/usage.ts';
import { keepResult, printRow, type Row } from './support/report.ts';

// Each started process is ended with this one, by a listener of its own.
process.setMaxListeners(0);

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const wanted = args.filter((arg) => !arg.startsWith('--'));
const timing = quick ? { rounds: 2, durationMs: 1000 } : { rounds: 5, durationMs: 3000 };

const ROWS: Readonly<Record<string, () => Promise<Row[]>>> = {
  ledger: () => ledgerPairs({ quick }),
  plain: () => gatewayPlain(timing),
  stream: () => gatewayStream(timing),
  stall: () => gatewayStall(quick ? timing : { ...timing, durationMs: 6000 }),
  refused: () => gatewayRefused(timing),
  governed: () => gatewayGoverned(timing),
  reserve: () => cyclesReserves(timing),
  pairs: () => cyclesPairs(timing),
  budgets: () => cyclesBudgets(timing),
  lists: () => cyclesLists({ rounds: 3, durationMs: quick ? 300 : 1000, sizes: quick ? [1000, 20_000] : [1000, 1_000_000] }),
  ingress: () => ingress(timing),
  ask: () => ask(timing),
  containers: () => containers({ rounds: quick ? 4 : 12 }),
  sealed: () => sealedRelay(timing),
  'sealed-end': () => sealedEnd({ rounds: quick ? 20 : 100 }),
  fanout: () => cyclesFanout(timing),
  routing: () => routing(quick ? { rounds: 3, plans: 2000 } : { rounds: 9, plans: 10_000 }),
  usage: () => usageQueries({ sizes: quick ? [100_000] : [100_000, 10_000_000] }),
  scale: () => usageScale({ sample: quick ? 100_000 : 1_000_000 }),
  start: () => startTime(),
  memory: () => memory({ durationMs: quick ? 5000 : 60_000 }),
};

const unknown = wanted.find((name) => ROWS[name] === undefined);
if (unknown !== undefined) {
  console.error(`there is no row ${unknown}; rows are ${Object.keys(ROWS).join(', ')}`);
  process.exit(2);
}
const rows: Row[] = [];
for (const [name, measure] of Object.entries(ROWS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const row of await measure()) {
    printRow(row);
    rows.push(row);
  }
}
console.log(
  `kept in ${keepResult(`${new Date().toISOString().slice(0, 10)}${wanted.length > 0 ? `-${wanted.join('-')}` : ''}${quick ? '-quick' : ''}`, rows)}`,
);
