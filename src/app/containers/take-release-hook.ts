import { SYSTEM_TENANT } from '../../core/records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { ReleaseHooks } from '../../ports/release-source.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** A webhook as it came. `event`, `deliveryId` and `signature` are its headers, empty where they are missing. */
export interface HookDelivery {
  readonly event: string;
  readonly deliveryId: string;
  readonly signature: string;
  readonly body: Uint8Array;
}

/** What came of a webhook. `repeated`: the same bytes were taken before; `old`: what it tells happened too long ago; `ignored`: it concerns no releases. */
export type HookReceipt =
  | { readonly status: 'taken' | 'repeated' | 'old' | 'ignored' | 'unsigned' }
  | { readonly status: 'malformed'; readonly rule: string };

/** Takes a webhook of a release source. */
export type TakeReleaseHook = (delivery: HookDelivery) => Promise<HookReceipt>;

/** GitHub delivers again for three days when it is asked to: what is told later than that was recorded by somebody. */
export const HOOK_WINDOW_MS = 3 * 24 * 3_600_000;
/** The clocks of two machines differ by less. */
const SKEW_MS = 300_000;

/**
 * Makes the {@link TakeReleaseHook}. A webhook is remembered for longer than it may be delivered, by its signed bytes, on all nodes; what it tells of is looked
 * at soon (`note`). Throws a `Fault` where the store did not take it: then it may be delivered again.
 */
export function makeTakeReleaseHook(deps: {
  readonly hooks: ReleaseHooks;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly note: (news: { readonly owner: string; readonly repo: string | null }) => void;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Pick<Log, 'info' | 'warn'>;
}): TakeReleaseHook {
  const { hooks, writer, note, clock, ids, log } = deps;
  return async ({ deliveryId, ...delivery }) => {
    const read = hooks.read(delivery);
    if (read.kind === 'unsigned') return { status: 'unsigned' };
    if (read.kind === 'malformed') return { status: 'malformed', rule: read.rule };
    if (read.kind === 'other') return { status: 'ignored' };
    const { owner, repo, digest, atMs } = read;
    const told = { event: delivery.event, deliveryId, owner, repo };
    if (atMs !== null && Math.abs(clock.nowMs() - atMs) > (atMs > clock.nowMs() ? SKEW_MS : HOOK_WINDOW_MS)) {
      log.warn({ ...told, atMs }, 'a webhook tells of something that is too old, or yet to come');
      return { status: 'old' };
    }
    const keepMs = HOOK_WINDOW_MS + 2 * SKEW_MS;
    const outcome = await writer.execute({ verb: 'take-release-hook', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, digest, keepMs });
    if (!outcome.ok || !outcome.value.isNew) return { status: 'repeated' };
    note({ owner, repo });
    log.info(told, 'a webhook tells of news');
    return { status: 'taken' };
  };
}
