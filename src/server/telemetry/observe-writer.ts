import type { LedgerWriter, Written } from '../../app/ledger-writer.ts';
import { Fault } from '../../core/fault.ts';
import type { ReportUsageCommand, ReserveCommand, SettleCallCommand } from '../../core/ledger/commands.ts';
import type { ReportUsageAnswer } from '../../core/ledger/report-usage.ts';
import type { SettleCallAnswer } from '../../core/ledger/settle-call.ts';
import type { Outcome } from '../../core/rejection.ts';
import type { Command, CommandValue } from '../../core/verbs.ts';
import type { Span } from '../../ports/tracer.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import type { CurrentSpan } from './current-span.ts';
import { makeUseCounters, type CountUse } from './use-counters.ts';

/** What observing needs. */
interface ObserveWriterDeps {
  readonly metrics: Metrics;
  readonly tenantLabels: boolean;
  /** The span of the request that a command belongs to; null where nothing is traced. */
  readonly current: CurrentSpan | null;
}

type Ended = (outcome: Outcome<unknown> | null, error: unknown) => void;

/**
 * The writer, with holds and settlements counted, timed and traced beside it, and usage that others report counted. Its promises are passed
 * on as they are: what observes them can neither delay nor change them.
 */
export function observeWriter(writer: LedgerWriter, deps: ObserveWriterDeps): LedgerWriter {
  const observers = makeObservers(deps);
  const observed = {
    execute<C extends Command>(command: C): Promise<Outcome<CommandValue<C>>> {
      const ended = observers(command);
      const outcome = writer.execute(command);
      outcome.then(
        (value) => ended(value, null),
        (error: unknown) => ended(null, error),
      );
      return outcome;
    },
    write<C extends Command>(command: C): Promise<Written<CommandValue<C>>> {
      const ended = observers(command);
      const written = writer.write(command);
      written.then(
        ({ outcome }) => ended(outcome, null),
        (error: unknown) => ended(null, error),
      );
      return written;
    },
  };
  // By inheritance, so that whatever else the writer has stays its own.
  return Object.assign(Object.create(writer) as LedgerWriter, observed);
}

/** What is to be done when a command has ended, by its verb. */
function makeObservers(deps: ObserveWriterDeps): (command: Command) => Ended {
  const overloaded = deps.metrics.faults.cell('overloaded');
  const countFault = (error: unknown): void => {
    // Other faults are the store's, and counted there.
    if (error instanceof Fault && error.code === 'overloaded') overloaded.value += 1;
  };
  const others: Ended = (_outcome, error) => countFault(error);
  const onReserve = makeReserveObserver(deps, countFault);
  const countUse = makeUseCounters(deps.metrics, deps);
  const onSettle = makeSettleObserver(deps, countFault, countUse);
  const onReport = makeReportObserver(countFault, countUse);
  return (command) => {
    if (command.verb === 'reserve') return onReserve(command);
    if (command.verb === 'settle-call') return onSettle(command);
    return command.verb === 'report-usage' ? onReport(command) : others;
  };
}

function makeReserveObserver(deps: ObserveWriterDeps, countFault: (error: unknown) => void): (command: ReserveCommand) => Ended {
  const { metrics } = deps;
  const cellsOf = (purpose: string) => ({
    held: metrics.holds.cell(purpose, 'held'),
    refused: metrics.holds.cell(purpose, 'refused'),
    failed: metrics.holds.cell(purpose, 'failed'),
    seconds: metrics.holdSeconds.of(purpose),
  });
  const byPurpose = new Map<string, ReturnType<typeof cellsOf>>();
  return ({ purpose, tenantId, reservationId }) => {
    const cells = byPurpose.get(purpose) ?? cellsOf(purpose);
    byPurpose.set(purpose, cells);
    const span = beginSpan(deps.current, 'hold', reservationId);
    const startedMs = performance.now();
    return (outcome, error) => {
      cells.seconds.observe((performance.now() - startedMs) / 1000);
      if (outcome === null) {
        cells.failed.value += 1;
        countFault(error);
      } else if (outcome.ok) cells.held.value += 1;
      else {
        cells.refused.value += 1;
        metrics.holdsRefused.cell(outcome.rejection.code, ...(deps.tenantLabels ? [tenantId] : [])).value += 1;
      }
      endSpan(span, outcome, error);
    };
  };
}

function makeSettleObserver(
  deps: ObserveWriterDeps,
  countFault: (error: unknown) => void,
  countUse: CountUse,
): (command: SettleCallCommand) => Ended {
  const seconds = deps.metrics.settleSeconds.of();
  return ({ usage, reservationId }) => {
    const span = beginSpan(deps.current, 'settle', reservationId);
    const startedMs = performance.now();
    return (outcome, error) => {
      seconds.observe((performance.now() - startedMs) / 1000);
      if (outcome === null) countFault(error);
      // One that was settled before was counted then; the value is that of the verb.
      else if (outcome.ok && (outcome.value as SettleCallAnswer).booked && usage !== null) countUse(usage);
      if (usage !== null) span?.set(usageAttributes(usage));
      endSpan(span, outcome, error);
    };
  };
}

/** What another proxy metered counts when it is booked: now, or at a later attempt. What was booked before, or is quarantined, does not. */
function makeReportObserver(countFault: (error: unknown) => void, countUse: CountUse): (command: ReportUsageCommand) => Ended {
  return ({ items }) =>
    (outcome, error) => {
      if (outcome === null) return countFault(error);
      if (!outcome.ok) return;
      // The value is that of the verb: an event for each item, in their order.
      const { events } = outcome.value as ReportUsageAnswer;
      for (const [index, { judgement }] of items.entries()) {
        if (judgement.kind === 'book' && events[index]?.status === 'booked') countUse(judgement.booking.usage);
      }
    };
}

const beginSpan = (current: CurrentSpan | null, name: string, reservationId: string): Span | undefined =>
  current?.get()?.child(name, { attributes: { 'castellan.reservation_id': reservationId } });

const usageAttributes = (usage: NonNullable<SettleCallCommand['usage']>) => ({
  'gen_ai.request.model': usage.model,
  'gen_ai.usage.input_tokens': usage.promptTokens,
  'gen_ai.usage.output_tokens': usage.completionTokens,
  'castellan.estimated': usage.estimated,
  'castellan.cost_usd': Number(usage.costNanoUsd) / 1e9,
});

function endSpan(span: Span | undefined, outcome: Outcome<unknown> | null, error: unknown): void {
  if (span === undefined) return;
  if (outcome === null) span.fail(error instanceof Fault ? error.code : 'internal');
  // A refusal is an answer, and no failure of ours.
  else if (!outcome.ok) span.set({ 'castellan.refusal': outcome.rejection.code });
  span.end();
}
