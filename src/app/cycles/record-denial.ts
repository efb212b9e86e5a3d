import type { CommandOrigin } from '../../core/command-origin.ts';
import type { Telling } from '../../core/events/commands.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** A spend that was refused: a hold, a charge or a call that did not come to be, or that would not. Amounts in `unit`. */
export interface Denial {
  readonly tenantId: string;
  /** The scope path that refused, or the deepest of the subject. */
  readonly scope: string;
  readonly unit: string;
  /** As the surface answers it, such as `BUDGET_EXCEEDED`. */
  readonly reasonCode: string;
  readonly requestedAmount: bigint | null;
  /** What the refusing budget had left; null where none refused. */
  readonly remaining: bigint | null;
  readonly action?: PlainJson;
  readonly subject?: PlainJson;
  readonly policyId?: string;
  readonly origin?: CommandOrigin;
}

/** Remembers denials until they are told. */
export interface DenialRecorder {
  /** Takes note of a denial. Returns at once and never throws: whoever was refused does not wait for it. */
  record(denial: Denial): void;
  /** Tells what is not told yet, and takes no more. */
  close(): Promise<void>;
}

/** What the recorder needs. `elapsedMs` is a clock that never goes back. */
export interface DenialRecorderDeps {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Log;
  readonly elapsedMs: () => number;
}

/** Denials of one kind in a second that are told one by one; further ones are told as one event with their number. */
const SINGLE_PER_SECOND = 10;
const SECOND_MS = 1000;
/** What is lost at most where the process is killed. */
const FLUSH_MS = 250;
/** Singles of one second: scopes are a caller's to name, and must not buy memory or disk. Kinds that come after these share one of their tenant. */
const MAX_SINGLES = 1000;

/** Denials of one kind within a second. */
interface Kind {
  singles: number;
  gathered: number;
  last: Denial | null;
}

/** What an event tells of a denial. Source: Cycles governance, `EventDataReservationDenied`. */
const tellingOf = (denial: Denial, gathered: number): Telling => ({
  type: 'reservation.denied',
  scope: denial.scope,
  data: {
    scope: denial.scope,
    unit: denial.unit,
    reason_code: denial.reasonCode,
    ...(denial.requestedAmount === null ? {} : { requested_amount: `${denial.requestedAmount}` }),
    ...(denial.remaining === null ? {} : { remaining: `${denial.remaining}` }),
    ...(denial.action === undefined ? {} : { action: denial.action }),
    ...(denial.subject === undefined ? {} : { subject: denial.subject }),
    ...(denial.policyId === undefined ? {} : { policy_id: denial.policyId }),
    ...(gathered === 0 ? {} : { count: gathered }),
  },
  ...(denial.origin === undefined ? {} : { origin: denial.origin }),
});

/**
 * Makes the recorder of denials. Of one kind (tenant, scope, unit, reason) ten in a second are told singly; the rest of that second is told
 * as one event whose data has their `count` and is otherwise that of the last. Source: architecture section 11.
 */
export function makeDenialRecorder(deps: DenialRecorderDeps): DenialRecorder {
  const { writer, ids, log, elapsedMs } = deps;
  const kinds = new Map<string, Kind>();
  const waiting = new Map<string, Telling[]>();
  let secondEndsMs = -Infinity;
  let singles = 0;
  let timer: NodeJS.Timeout | null = null;
  let isClosed = false;

  const tell = (denial: Denial, gathered: number): void => {
    const tellings = waiting.get(denial.tenantId) ?? [];
    waiting.set(denial.tenantId, tellings);
    tellings.push(tellingOf(denial, gathered));
  };

  const endSecond = (): void => {
    for (const { last, gathered } of kinds.values()) if (last !== null) tell(last, gathered);
    kinds.clear();
    singles = 0;
  };

  const flush = async (): Promise<void> => {
    const batches = [...waiting];
    waiting.clear();
    try {
      await Promise.all(
        batches.map(([tenantId, tellings]) => writer.execute({ verb: 'tell-events', id: ids.next('cmd'), tenantId, tellings })),
      );
    } catch (err) {
      log.warn({ err, tenants: batches.length }, 'denials could not be told');
    }
  };

  const schedule = (): void => {
    if (timer !== null || isClosed) return;
    timer = setTimeout(() => {
      timer = null;
      if (elapsedMs() >= secondEndsMs) endSecond();
      void flush();
      if (kinds.size > 0) schedule();
    }, FLUSH_MS);
    timer.unref();
  };

  return {
    record: (denial) => {
      if (isClosed) return;
      const nowMs = elapsedMs();
      if (nowMs >= secondEndsMs) {
        endSecond();
        secondEndsMs = nowMs + SECOND_MS;
      }
      const name = JSON.stringify([denial.tenantId, denial.reasonCode, denial.scope, denial.unit]);
      const isCrowded = singles >= MAX_SINGLES && !kinds.has(name);
      const key = isCrowded ? JSON.stringify([denial.tenantId, denial.reasonCode]) : name;
      const kind = kinds.get(key) ?? { singles: 0, gathered: 0, last: null };
      kinds.set(key, kind);
      if (kind.singles < SINGLE_PER_SECOND && !isCrowded) {
        kind.singles += 1;
        singles += 1;
        tell(denial, 0);
      } else {
        kind.gathered += 1;
        kind.last = denial;
      }
      schedule();
    },
    close: async () => {
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
      endSecond();
      await flush();
    },
  };
}
