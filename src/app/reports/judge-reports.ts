import type { ReportItem } from '../../core/ledger/commands.ts';
import type { ApiKey } from '../../core/records.ts';
import { judgeReport } from '../../core/usage/judge-report.ts';
import { writeQuarantined, type QuarantinedEvent } from '../../core/usage/reported-event.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { Directory } from '../directory.ts';

/** An event to be judged: what is known of it, and the hash that tells it from others under its id. */
export interface EventToJudge {
  readonly event: QuarantinedEvent;
  readonly hash: string;
}

/** Judges events of a reporter by what is known of keys, models and prices now. Asks the store for each key once. */
export type JudgeReports = (reporterId: string, events: readonly EventToJudge[]) => Promise<ReportItem[]>;

/** What judging needs. */
export interface JudgeReportsDeps {
  readonly records: Pick<RecordStore, 'keyByHash' | 'deletedKeyByHash'>;
  readonly directory: Pick<Directory, 'catalogue' | 'refresh' | 'tenant'>;
  readonly clock: Clock;
}

/** Makes a {@link JudgeReports}. A key that was deleted counts as long as it is known: it was used before. */
export function makeJudgeReports({ records, directory, clock }: JudgeReportsDeps): JudgeReports {
  const findKeys = async (hashes: ReadonlySet<string>): Promise<Map<string, ApiKey | undefined>> => {
    const find = async (hash: string): Promise<[string, ApiKey | undefined]> => [
      hash,
      (await records.keyByHash(hash)) ?? (await records.deletedKeyByHash(hash)),
    ];
    return new Map(await Promise.all([...hashes].map(find)));
  };

  const findUnpriced = async (tenantIds: ReadonlySet<string>): Promise<Set<string>> => {
    const tenants = await Promise.all([...tenantIds].map((id) => directory.tenant(id)));
    return new Set(tenants.flatMap((tenant) => (tenant?.allowUnpriced === true ? [tenant.id] : [])));
  };

  return async (reporterId, events) => {
    await directory.refresh();
    const { catalogue } = directory;
    const keys = await findKeys(new Set(events.map(({ event }) => event.keyHash)));
    const unpriced = await findUnpriced(new Set([...keys.values()].flatMap((key) => (key === undefined ? [] : [key.tenantId]))));
    const nowMs = clock.nowMs();
    return events.map(({ event, hash }): ReportItem => {
      const key = keys.get(event.keyHash);
      const model = catalogue.model(event.model);
      const judgement = judgeReport(event, {
        reporterId,
        key,
        allowUnpriced: key !== undefined && unpriced.has(key.tenantId),
        model,
        prices: model === undefined ? [] : catalogue.prices(model.id),
        nowMs,
      });
      return { eventId: event.eventId, hash, occurredAtMs: event.occurredAtMs, judgement, body: writeQuarantined(event) };
    });
  };
}
