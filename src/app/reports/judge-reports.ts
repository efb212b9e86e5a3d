import type { ReportItem } from '../../core/ledger/commands.ts';
import { currencyOf, type PinnedRate } from '../../core/pricing/currency.ts';
import type { ApiKey, Tenant } from '../../core/records.ts';
import { judgeReport } from '../../core/usage/judge-report.ts';
import { writeQuarantined, type QuarantinedEvent } from '../../core/usage/reported-event.ts';
import type { Outcome } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { Directory } from '../directory.ts';
import type { Catalogue } from '../directory/catalogue.ts';

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
  readonly directory: Pick<Directory, 'catalogue' | 'refresh' | 'currentTenant'>;
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

  const findTenants = async (tenantIds: ReadonlySet<string>): Promise<Map<string, Tenant | undefined>> => {
    const find = async (id: string): Promise<[string, Tenant | undefined]> => [id, await directory.currentTenant(id)];
    return new Map(await Promise.all([...tenantIds].map(find)));
  };

  return async (reporterId, events) => {
    await directory.refresh();
    const { catalogue } = directory;
    const keys = await findKeys(new Set(events.map(({ event }) => event.keyHash)));
    const tenants = await findTenants(new Set([...keys.values()].flatMap((key) => (key === undefined ? [] : [key.tenantId]))));
    const nowMs = clock.nowMs();
    return events.map(({ event, hash }): ReportItem => {
      const key = keys.get(event.keyHash);
      const tenant = key === undefined ? undefined : tenants.get(key.tenantId);
      const model = catalogue.model(event.model);
      const judgement = judgeReport(event, {
        reporterId,
        key,
        allowUnpriced: tenant?.allowUnpriced === true,
        rate: tenant === undefined ? null : balanceRate(catalogue, tenant, { occurredAtMs: event.occurredAtMs, nowMs }),
        model,
        prices: model === undefined ? [] : catalogue.prices(model.id),
        nowMs,
        rules: tenant?.budgetRules,
      });
      return { eventId: event.eventId, hash, occurredAtMs: event.occurredAtMs, judgement, body: writeQuarantined(event) };
    });
  };
}

/** How often events are judged anew whose tenants changed their rules while they were judged. */
const TRIES = 5;

/** What `attempt` comes to, which judges events and books them, by rules that hold. */
export async function judgedAnew<T>(attempt: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  for (let left = TRIES; ; left -= 1) {
    const outcome = await attempt();
    if (outcome.ok || outcome.rejection.code !== 'stale_view' || left === 1) return outcome;
  }
}

/** The rate of the moment at which an event happened or, for one from before the first rate, the present one. Null without a balance. */
function balanceRate(
  catalogue: Pick<Catalogue, 'rate'>,
  tenant: Tenant,
  { occurredAtMs, nowMs }: { readonly occurredAtMs: number; readonly nowMs: number },
): PinnedRate | null {
  if (tenant.hasBalance !== true) return null;
  return catalogue.rate(currencyOf(tenant), Math.min(occurredAtMs, nowMs)) ?? catalogue.rate(currencyOf(tenant), nowMs);
}
