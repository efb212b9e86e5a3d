import { Fault } from '../../core/fault.ts';
import type { LedgerStore } from '../../ports/ledger-store.ts';
import type { Cell } from '../../telemetry/metrics/families.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';

type BatchStore = Pick<LedgerStore, 'lanes' | 'execute'>;

/** What one batch of the store came to, counted; the store itself knows nothing of it. */
export function observeStore(store: BatchStore, metrics: Metrics): BatchStore {
  const [done, failed] = [metrics.batches.cell('done'), metrics.batches.cell('failed')];
  const [size, seconds] = [metrics.batchCommands.of(), metrics.batchSeconds.of()];
  const cellsOf = verbCells(metrics);
  return {
    lanes: store.lanes,
    execute: async (batchId, commands, lane, onWritten) => {
      const startedMs = performance.now();
      // All at once when it has ended, so that whoever reads meanwhile finds figures that agree.
      const observe = (): void => {
        size.observe(commands.length);
        seconds.observe((performance.now() - startedMs) / 1000);
      };
      try {
        const result = await store.execute(batchId, commands, lane, onWritten);
        observe();
        done.value += 1;
        for (const [index, command] of commands.entries()) {
          const cells = cellsOf(command.verb);
          if (result.outcomes[index]?.ok === true) cells.done.value += 1;
          else cells.refused.value += 1;
        }
        return result;
      } catch (error) {
        observe();
        failed.value += 1;
        // A fault ends all of the batch's commands; after anything else they are run one by one, and only a single one has failed.
        if (error instanceof Fault) metrics.faults.cell(error.code).value += commands.length;
        else if (commands.length === 1) metrics.faults.cell('internal').value += 1;
        throw error;
      }
    },
  };
}

interface VerbCells {
  readonly done: Cell;
  readonly refused: Cell;
}

/** The cells of a verb, resolved at its first use. */
function verbCells(metrics: Metrics): (verb: string) => VerbCells {
  const known = new Map<string, VerbCells>();
  return (verb) => {
    const found = known.get(verb);
    if (found !== undefined) return found;
    const made = { done: metrics.commands.cell(verb, 'done'), refused: metrics.commands.cell(verb, 'refused') };
    known.set(verb, made);
    return made;
  };
}
