import { parseAccountId, remainingOf, type AccountId } from '../../core/ledger/account.ts';
import { burnConfigOf } from '../../core/events/rates.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { BudgetSpend, WebhookStore } from '../../ports/webhook-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { Subscriptions } from '../webhooks/subscriptions.ts';
import { LOOK_EVERY_MS } from './watch-rates.ts';

const MINUTE_MS = 60_000;
const KEEP_MS = 3 * LOOK_EVERY_MS;
/** Lines of the journal that one read sums: some milliseconds of the reading thread. */
const READ_LINES = 20_000;
/** Reads of one look. Where the journal grows faster than that, what lies before is passed over. */
const MAX_READS = 50;
/** The baseline is what was spent in so many windows before the present one, as far as is known. */
const BASELINE_WINDOWS = 12;
/** Budgets that are watched: those that were spent from last. */
const MAX_BUDGETS = 20_000;
const LONGEST_MS = 25 * 60 * MINUTE_MS;

interface Burn {
  readonly tenantId: string | null;
  readonly windowSeconds: number;
  readonly multiplier: number;
}

/** Spend of one budget by minute, oldest first. */
type Minutes = Map<number, bigint>;

/** The rates of a budget in units a minute: of the window that ends now, and of the time before it; null where that is less than a window. */
function burnOf(
  minutes: ReadonlyMap<number, bigint>,
  at: { readonly nowMs: number; readonly sinceMs: number; readonly windowSeconds: number },
): { readonly current: number; readonly baseline: number } | null {
  const windowMs = at.windowSeconds * 1000;
  const fromMs = at.nowMs - windowMs;
  const baseFromMs = Math.max(at.sinceMs, fromMs - BASELINE_WINDOWS * windowMs);
  if (fromMs - baseFromMs < windowMs) return null;
  let [now, before] = [0n, 0n];
  for (const [minuteMs, spent] of minutes) {
    // A minute counts where its middle lies, so that none counts twice.
    const middleMs = minuteMs + MINUTE_MS / 2;
    if (middleMs > at.nowMs + MINUTE_MS || middleMs < baseFromMs) continue;
    if (middleMs >= fromMs) now += spent;
    else before += spent;
  }
  return { current: (Number(now) * MINUTE_MS) / windowMs, baseline: (Number(before) * MINUTE_MS) / (fromMs - baseFromMs) };
}

/**
 * Makes the look at how fast budgets are spent: each whose rate is the multiple of its own baseline that somebody wants to be told of, once
 * when that begins. It reads the journal as it grows, from when this process began: a baseline is known a window later.
 */
export function makeWatchBurn(deps: {
  readonly store: Pick<WebhookStore, 'budgetSpend'>;
  readonly records: Pick<RecordStore, 'accounts'>;
  readonly subscriptions: Pick<Subscriptions, 'all' | 'refresh'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly nowMs: () => number;
}) {
  const { store, records, subscriptions, writer, ids, nowMs } = deps;
  const budgets = new Map<string, Minutes>();
  let afterSeq: number | null = null;
  let sinceMs = 0;
  let raised = new Map<string, { readonly tenantId: string; readonly alert: string }>();

  function add({ accountId, minuteMs, spent }: BudgetSpend): void {
    const minutes = budgets.get(accountId) ?? new Map<number, bigint>();
    // Last in the order of a Map are those that were spent from last.
    budgets.delete(accountId);
    budgets.set(accountId, minutes);
    minutes.set(minuteMs, (minutes.get(minuteMs) ?? 0n) + spent);
    const [oldest] = budgets.keys();
    if (budgets.size > MAX_BUDGETS && oldest !== undefined) budgets.delete(oldest);
  }

  async function read(): Promise<void> {
    for (let reads = 0; reads < MAX_READS; reads++) {
      const { spend, lastSeq } = await store.budgetSpend({ afterSeq, limit: READ_LINES });
      for (const each of spend) add(each);
      const isAll = afterSeq === null || lastSeq - afterSeq < READ_LINES;
      if (afterSeq === null) sinceMs = nowMs();
      afterSeq = lastSeq;
      if (isAll) return;
    }
    afterSeq = null;
    budgets.clear();
  }

  function forget(beforeMs: number): void {
    for (const [id, minutes] of budgets) {
      for (const minuteMs of minutes.keys()) if (minuteMs < beforeMs) minutes.delete(minuteMs);
      if (minutes.size === 0) budgets.delete(id);
    }
  }

  function configs(): Burn[] {
    const all = new Map<string, Burn>();
    const put = (burn: Burn): void => void all.set(JSON.stringify(burn), burn);
    put({ tenantId: null, ...burnConfigOf({}) });
    for (const webhook of subscriptions.all()) {
      if (webhook.status === 'ACTIVE')
        put({ tenantId: webhook.tenantId === SYSTEM_TENANT ? null : webhook.tenantId, ...burnConfigOf(webhook.thresholds) });
    }
    return [...all.values()];
  }

  return async (): Promise<void> => {
    await subscriptions.refresh();
    await read();
    const now = nowMs();
    const burns = configs();
    const longestMs = Math.max(...burns.map(({ windowSeconds }) => windowSeconds * 1000)) * (BASELINE_WINDOWS + 1);
    forget(now - Math.min(longestMs, LONGEST_MS) - MINUTE_MS);
    const seen = new Map<string, { readonly tenantId: string; readonly alert: string }>();
    for (const [accountId, minutes] of budgets) {
      const { tenantId, scope, unit } = parseAccountId(accountId as AccountId);
      for (const { tenantId: only, windowSeconds, multiplier } of burns) {
        if (only !== null && only !== tenantId) continue;
        const burn = burnOf(minutes, { nowMs: now, sinceMs, windowSeconds });
        if (burn === null || burn.baseline <= 0 || burn.current < multiplier * burn.baseline) continue;
        const alert = `burn_rate:${windowSeconds}:${multiplier}:${scope}:${unit}`;
        seen.set(`${tenantId} ${alert}`, { tenantId, alert });
        const account = (await records.accounts([accountId as AccountId])).get(accountId as AccountId);
        const remaining = account === undefined ? null : remainingOf(account);
        const data = {
          scope,
          unit,
          current_rate: burn.current,
          baseline_rate: burn.baseline,
          multiplier: Math.round((burn.current / burn.baseline) * 1_000_000) / 1_000_000,
          threshold_multiplier: multiplier,
          window_seconds: windowSeconds,
          ...(remaining === null || remaining < 0n ? {} : { projected_exhaustion_minutes: Number(remaining) / burn.current }),
        };
        const telling = { type: 'budget.burn_rate_anomaly', scope, data };
        await writer.execute({ verb: 'set-alert', id: ids.next('cmd'), tenantId, alert, telling, keepMs: KEEP_MS });
      }
    }
    for (const [key, { tenantId, alert }] of raised) {
      if (!seen.has(key)) await writer.execute({ verb: 'set-alert', id: ids.next('cmd'), tenantId, alert, telling: null, keepMs: KEEP_MS });
    }
    raised = seen;
  };
}
