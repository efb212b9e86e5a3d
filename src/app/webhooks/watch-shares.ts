import type { Webhook } from '../../core/records.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { DEFAULT_SHARES } from '../../core/webhooks/match-event.ts';
import { thresholdsOf } from '../../core/webhooks/webhook-thresholds.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Shares that are told in any case. */
const USUAL: ReadonlySet<number> = new Set([0.5, ...DEFAULT_SHARES]);
/** A tenant is told at no more shares than this, so that nobody makes every charge a tale. */
const MAX_SHARES = 50;

const sharesOf = (webhooks: readonly Webhook[]): number[] =>
  webhooks.filter(({ status }) => status !== 'DISABLED').flatMap((webhook) => thresholdsOf(webhook).budget_utilization ?? []);

const unusual = (shares: readonly number[]): number[] =>
  [...new Set(shares)]
    .filter((share) => !USUAL.has(share) && share > 0)
    .toSorted((a, b) => a - b)
    .slice(0, MAX_SHARES);

/**
 * Makes what keeps in each tenant's record the shares of budgets at which its subscriptions and the operator's want to be told beside the
 * usual ones: the decisions of the ledger see the tenant, and no subscription. Looks at one tenant, or at all that may have changed.
 */
export function makeWatchShares(deps: {
  readonly records: Pick<RecordStore, 'records' | 'record'>;
  readonly subscriptions: Pick<Subscriptions, 'all' | 'of' | 'refresh' | 'version'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
}) {
  const { records, subscriptions, writer, ids } = deps;
  let lookedAt: number | null = null;
  let hadAny = true;

  async function set(tenantId: string, current: readonly number[]): Promise<void> {
    const shares = unusual(sharesOf(subscriptions.of(tenantId)));
    if (JSON.stringify(shares) !== JSON.stringify(current))
      await writer.execute({ verb: 'watch-shares', id: ids.next('cmd'), tenantId, shares });
  }

  return {
    /** After a change of a subscription of `tenantId`. */
    changed: async (tenantId: string): Promise<void> => {
      await subscriptions.refresh();
      if (tenantId === SYSTEM_TENANT) return;
      const tenant = await records.record('tenant', tenantId);
      if (tenant !== undefined) await set(tenantId, tenant.utilizationThresholds ?? []);
    },
    /** All tenants, where anybody wants anything unusual, or did at the look before. */
    all: async (): Promise<void> => {
      await subscriptions.refresh();
      if (subscriptions.version === lookedAt) return;
      lookedAt = subscriptions.version;
      const hasAny = unusual(sharesOf(subscriptions.all())).length > 0;
      if (!hasAny && !hadAny) return;
      for (const tenant of await records.records('tenant')) await set(tenant.id, tenant.utilizationThresholds ?? []);
      hadAny = hasAny;
    },
  };
}
