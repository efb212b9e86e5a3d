import type { AccountId } from '../../core/ledger/account.ts';
import type { CascadeCommand } from '../../core/cycles/cascade-commands.ts';
import type { Closed } from '../../core/cycles/decide-cascade.ts';
import { CLOSE_MARK_PREFIX } from '../../core/cycles/close-mark.ts';
import type { Outcome } from '../../core/rejection.ts';
import type { Failpoint, Failpoints } from '../../ports/failpoints.ts';
import type { OpenKind } from '../../ports/governance-reads.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** Things that are brought to their end at once: enough to share a flush, few enough that other callers are not kept waiting. */
const BATCH = 200;

/** One kind of thing that a closed tenant owns. */
interface CloseStep {
  readonly kind: OpenKind;
  readonly failpoint: Failpoint;
  readonly command: (id: string, base: { id: string; tenantId: string; auditId: string }) => CascadeCommand;
}

/** What is ended, in order: budgets after the reservations that hold on them. A new kind of thing that tenants own is added here. */
const STEPS: readonly CloseStep[] = [
  {
    kind: 'reservation',
    failpoint: 'close.reservations',
    command: (id, base) => ({ verb: 'cascade-reservation', ...base, reservationId: id }),
  },
  {
    kind: 'budget',
    failpoint: 'close.budgets',
    // What the store gives for this kind are ids of accounts.
    command: (id, base) => ({ verb: 'cascade-budget', ...base, accountId: id as AccountId }),
  },
  { kind: 'webhook', failpoint: 'close.webhooks', command: (id, base) => ({ verb: 'cascade-webhook', ...base, webhookId: id }) },
  { kind: 'key', failpoint: 'close.keys', command: (id, base) => ({ verb: 'cascade-key', ...base, keyId: id }) },
];

/** Brings what closed tenants own to its end. */
export interface CloseTenants {
  /**
   * Goes on with one tenant, as long as it takes or until `withinMs` are over; then the rest happens in the background. Those who ask for
   * the same tenant at the same time share one run. Resolves to whether all is done.
   */
  run(tenantId: string, withinMs: number): Promise<boolean>;
  /** Goes on with every tenant whose closing was broken off, by a crash or a store that was away, here or on another node. */
  resume(): Promise<void>;
  /** Ends between two batches, and resolves when nothing is under way any more. What is left is found again. */
  stop(): Promise<void>;
}

/**
 * Makes the {@link CloseTenants}.
 *
 * Everything is read again before it is ended and decided under the tenant's lock, so that runs of several nodes at once end each thing
 * once, with one event and one audit row. A thing that cannot be ended is logged and passed over, and its tenant is tried again later.
 * Source: Cycles governance, CASCADE SEMANTICS, rule 1, mode B; architecture section 13.
 */
export function makeCloseTenants(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'records' | 'openThings'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly failpoints: Failpoints;
  readonly log: Log;
}): CloseTenants {
  const { writer, records, ids, failpoints, log } = deps;
  const running = new Map<string, Promise<boolean>>();
  let isStopping = false;

  /** What became of one thing: `failed` where it has to be tried again, `unchanged` where somebody else ended it. */
  async function end(step: CloseStep, tenantId: string, id: string): Promise<'changed' | 'unchanged' | 'failed'> {
    const command = step.command(id, { id: ids.next('cmd'), tenantId, auditId: ids.next('aud') });
    try {
      // The commands of a close refuse nothing, and each comes to the same.
      const outcome: Outcome<Closed> = await writer.execute(command);
      return outcome.ok && outcome.value.changed ? 'changed' : 'unchanged';
    } catch (err) {
      log.error({ err, tenantId, kind: step.kind, thing: id }, 'something of a closed tenant cannot be ended; it is tried again');
      return 'failed';
    }
  }

  /** Whether everything of one kind came to its end. */
  async function endAll(step: CloseStep, tenantId: string): Promise<boolean> {
    const passedOver: string[] = [];
    let hasFailed = false;
    for (;;) {
      const open = await records.openThings({ kind: step.kind, tenantId, except: passedOver, limit: BATCH });
      if (open.length === 0) return !hasFailed;
      if (isStopping) return false;
      const results = await Promise.all(open.map((id) => end(step, tenantId, id)));
      hasFailed ||= results.includes('failed');
      // What is still open would be read again for ever.
      passedOver.push(...open.filter((_id, index) => results[index] !== 'changed'));
      failpoints.hit(step.failpoint);
    }
  }

  async function endEverything(tenantId: string): Promise<boolean> {
    failpoints.hit('close.marked');
    let isDone = true;
    for (const step of STEPS) isDone = (await endAll(step, tenantId)) && isDone;
    if (!isDone) return false;
    failpoints.hit('close.ended');
    await writer.execute({ verb: 'finish-cascade', id: ids.next('cmd'), tenantId });
    return true;
  }

  function start(tenantId: string): Promise<boolean> {
    const shared = running.get(tenantId);
    if (shared !== undefined) return shared;
    const started = endEverything(tenantId)
      .catch((err: unknown) => {
        log.error({ err, tenantId }, 'what a closed tenant owns could not be ended; it is tried again');
        return false;
      })
      .finally(() => running.delete(tenantId));
    running.set(tenantId, started);
    return started;
  }

  return {
    run: async (tenantId, withinMs) => {
      let timer: NodeJS.Timeout | undefined;
      const isLate = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), withinMs)));
      try {
        return await Promise.race([start(tenantId), isLate]);
      } finally {
        clearTimeout(timer);
      }
    },
    resume: async () => {
      const settings = await records.records('setting');
      const marked = settings.filter(({ id }) => id.startsWith(CLOSE_MARK_PREFIX)).map(({ id }) => id.slice(CLOSE_MARK_PREFIX.length));
      for (const tenantId of marked) if (!isStopping) await start(tenantId);
    },
    stop: async () => {
      isStopping = true;
      await Promise.all(running.values());
    },
  };
}

/** How long a request that closes a tenant waits for the rest, in milliseconds. */
export const CLOSE_WAIT_MS = 2000;
