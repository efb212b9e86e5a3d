import type { ReportItem } from '../../core/ledger/commands.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import { readQuarantined } from '../../core/usage/reported-event.ts';
import type { UsageReport } from '../../core/usage/usage-report.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { judgedAnew, makeJudgeReports, type JudgeReportsDeps } from './judge-reports.ts';

/** A page of events in quarantine. `nextAfter` is the event id after which the next page begins, null on the last one. */
export interface QuarantinePage {
  readonly reports: readonly UsageReport[];
  readonly nextAfter: string | null;
}

/** What a second attempt came to: how many events were booked, how many stay, and where the next attempt begins. */
export interface QuarantineRetry {
  readonly booked: number;
  readonly quarantined: number;
  readonly nextAfter: string | null;
}

/** What the operator does with reported events that could not be booked. */
export interface Quarantine {
  /** Rejects: `not_found` (the reporter). */
  page(reporterId: string, query: { readonly after?: string; readonly limit: number }): Promise<Outcome<QuarantinePage>>;
  /**
   * Judges events again and books what can be booked by now: a model was declared, a tenant was added to the reporter. At most
   * {@link MAX_RETRIED} events, those after `after`. Rejects: `not_found` (the reporter).
   */
  retry(actor: Actor, reporterId: string, after?: string): Promise<Outcome<QuarantineRetry>>;
}

/** Most events of one attempt: one command, which must not hold others up for long. */
const MAX_RETRIED = 1000;

/** Makes the {@link Quarantine}. */
export function makeQuarantine(
  deps: JudgeReportsDeps & {
    writer: Pick<LedgerWriter, 'execute'>;
    records: Pick<RecordStore, 'record' | 'quarantinedReports'>;
    ids: Pick<Ids, 'next'>;
  },
): Quarantine {
  const { writer, records, ids } = deps;
  const judge = makeJudgeReports(deps);

  const page: Quarantine['page'] = async (reporterId, { after, limit }) => {
    if ((await records.record('usage-reporter', reporterId)) === undefined) {
      return rejected({ code: 'not_found', message: `usage reporter ${reporterId} not found` });
    }
    const query = { reporterId, limit: limit + 1, ...(after === undefined ? {} : { afterEventId: after }) };
    const found = await records.quarantinedReports(query);
    const reports = found.slice(0, limit);
    return accepted({ reports, nextAfter: found.length > limit ? (reports.at(-1)?.eventId ?? null) : null });
  };

  /** Of an event that breaks a rule nothing was kept that could be judged again. */
  const judgeAgain = async (reporterId: string, reports: readonly UsageReport[]): Promise<ReportItem[]> => {
    const whole = reports.flatMap(({ body, hash }) => {
      const event = readQuarantined(body);
      return event === null ? [] : [{ event, hash }];
    });
    return judge(reporterId, whole);
  };

  return {
    page,
    retry: async (actor, reporterId, after) => {
      const found = await page(reporterId, { limit: MAX_RETRIED, ...(after === undefined ? {} : { after }) });
      if (!found.ok) return found;
      const { reports, nextAfter } = found.value;
      const operation = { name: 'retry-usage-reports', tenantId: SYSTEM_TENANT, resourceKind: 'usage-reporter', resourceId: reporterId };
      const outcome = await judgedAnew(async () => {
        const items = await judgeAgain(reporterId, reports);
        const base = auditedBase(ids, actor, operation);
        return writer.execute({ verb: 'report-usage', ...base, reporterId, nonce: null, nonceKeepMs: 0, items });
      });
      if (!outcome.ok) return outcome;
      const booked = outcome.value.events.filter(({ status }) => status === 'booked').length;
      return accepted({ booked, quarantined: reports.length - booked, nextAfter });
    },
  };
}
