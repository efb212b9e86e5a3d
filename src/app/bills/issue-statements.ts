import type { BillState, Statement, StatementLine } from '../../core/bills/bill-records.ts';
import type { CloseMonthResult } from '../../core/bills/decide-close-month.ts';
import { contentOf, firstLateMonth, lastDueMonth, statementNumber, totalOf } from '../../core/bills/make-statement.ts';
import { monthOf, monthsBetween, nextMonth, type Month } from '../../core/bills/month.ts';
import type { Tenant } from '../../core/records.ts';
import type { Outcome } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { openLines, type OpenLineReads } from './open-lines.ts';

/** How often a month is made anew where another node was faster; the job comes again anyway. */
const ATTEMPTS = 3;

/** Issues the statements of months that are over. */
export interface IssueStatements {
  /** Closes every month that is due of every tenant, oldest first. Where all are closed, it costs nothing until the next is due. */
  run(): Promise<void>;
  /** Lets a run that is under way end after its present month. */
  stop(): void;
}

/** What the job needs. */
interface IssueDeps {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: OpenLineReads & Pick<RecordStore, 'firstUsageMs'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly failpoints: Failpoints;
  readonly log: Log;
}

/**
 * Makes the {@link IssueStatements}.
 *
 * Any node may close any month: the decision takes each once, in their order, and only where nothing changed since it was read. A crash
 * leaves a month closed with its statement, or open. A tenant whose month fails is logged and tried again at the next run.
 */
export function makeIssueStatements(deps: IssueDeps): IssueStatements {
  const { writer, records, ids, clock, failpoints, log } = deps;
  let doneThrough: Month | null = null;
  let isStopping = false;

  /** The month to close next; null where none is due. */
  async function openMonth(tenantId: string, state: BillState | undefined, due: Month): Promise<Month | null> {
    const closed = state?.closedMonth ?? null;
    if (closed !== null) return closed < due ? nextMonth(closed) : null;
    const firstMs = await records.firstUsageMs(tenantId);
    if (firstMs !== null && monthOf(firstMs) <= due) return monthOf(firstMs);
    const corrections = await records.records('bill-correction', tenantId);
    // One that was made after the month that is due waits for its own.
    return corrections.some(({ createdAtMs }) => monthOf(createdAtMs) <= due) ? due : null;
  }

  async function close(tenant: Tenant, due: Month): Promise<CloseMonthResult | 'nothing'> {
    const state = await records.record('bill-state', tenant.id);
    const month = await openMonth(tenant.id, state, due);
    if (month === null) return 'nothing';
    const { statement, lines } = await makeStatement(deps, { tenant, state, month });
    failpoints.hit('bill.made');
    const outcome: Outcome<CloseMonthResult> = await writer.execute({
      verb: 'close-bill-month',
      id: ids.next('cmd'),
      tenantId: tenant.id,
      month,
      afterMonth: state?.closedMonth ?? null,
      statement,
      lines,
      auditId: ids.next('aud'),
    });
    failpoints.hit('bill.closed');
    if (outcome.ok && outcome.value === 'done' && statement !== null) {
      log.info({ tenantId: tenant.id, statement: statement.number, month }, 'a statement was issued');
    }
    return outcome.ok ? outcome.value : 'stale';
  }

  /** Whether every month of the tenant that is due is closed. */
  async function closeAll(tenant: Tenant, due: Month): Promise<boolean> {
    let staleCount = 0;
    while (!isStopping) {
      const result = await close(tenant, due);
      if (result === 'nothing') return true;
      if (result === 'early') return false;
      staleCount = result === 'stale' ? staleCount + 1 : 0;
      if (staleCount >= ATTEMPTS) return false;
    }
    return false;
  }

  return {
    run: async () => {
      const due = lastDueMonth(clock.nowMs());
      if (doneThrough === due) return;
      const states = new Map((await records.records('bill-state')).map((state) => [state.id, state]));
      let isDone = true;
      for (const tenant of await records.records('tenant')) {
        if ((states.get(tenant.id)?.closedMonth ?? '') >= due) continue;
        isDone = (await closeAll(tenant, due).catch((err: unknown) => tellFailed(err, tenant.id))) && isDone;
      }
      if (isDone) doneThrough = due;
    },
    stop: () => void (isStopping = true),
  };

  function tellFailed(err: unknown, tenantId: string): false {
    log.error({ err, tenantId }, 'the statement of a tenant could not be issued; it is tried again');
    return false;
  }
}

/** Makes what closes a month. */
async function makeStatement(
  { records, ids, clock, digest }: IssueDeps,
  { tenant, state, month }: { readonly tenant: Tenant; readonly state: BillState | undefined; readonly month: Month },
): Promise<{ statement: Statement | null; lines: readonly StatementLine[] }> {
  const closed = state?.closedMonth ?? null;
  const earlier = closed === null ? [] : monthsBetween(firstLateMonth(closed), closed);
  const { lines, ...converted } = await openLines(records, { tenant, month, earlier });
  if (lines.length === 0) return { statement: null, lines };
  const no = (state?.lastNo ?? 0) + 1;
  const unsealed: Statement = {
    id: ids.next('in'),
    tenantId: tenant.id,
    tenantName: tenant.name,
    no,
    number: statementNumber(tenant.id, no),
    month,
    issuedAtMs: clock.nowMs(),
    lineCount: lines.length,
    totalMicrocents: totalOf(lines).toString(),
    ...converted,
    previousHash: state?.lastHash ?? '',
    hash: '',
  };
  return { statement: { ...unsealed, hash: digest(contentOf(unsealed, lines)) }, lines };
}
