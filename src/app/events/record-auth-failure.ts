import type { CommandOrigin } from '../../core/command-origin.ts';
import type { Telling } from '../../core/events/commands.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { ActivityCounter } from './count-activity.ts';

/** A credential that was not good. `tenantId` and `keyId` are those of a key that was, or would be; null where nobody has such a one. */
export interface AuthFailure {
  readonly tenantId: string | null;
  readonly keyId: string | null;
  /** Such as `key_not_found`, `key_revoked`, `key_expired`. */
  readonly reason: string;
  readonly sourceIp: string;
  readonly origin: CommandOrigin;
}

/** Takes note of credentials. */
export interface AuthRecorder {
  /** Of one that was good. */
  succeeded(tenantId: string): void;
  /** Of one that was not. Returns at once and never throws. */
  failed(failure: AuthFailure): void;
  /** Tells what is not told yet, and takes no more. */
  close(): Promise<void>;
}

const MINUTE_MS = 60_000;
/** Failures of one source in a minute that are told one by one; the rest is told as one event with their number. */
const SINGLE_PER_MINUTE = 5;
/** Sources of a minute that are told apart: addresses are cheap to have. */
const MAX_SOURCES = 200;
const FLUSH_MS = 1000;

interface Source {
  singles: number;
  gathered: number;
  last: AuthFailure | null;
}

const tellingOf = ({ keyId, reason, sourceIp, origin }: AuthFailure, gathered: number): Telling => ({
  type: 'api_key.auth_failed',
  origin,
  data: {
    ...(keyId === null ? {} : { key_id: keyId }),
    failure_reason: reason,
    source_ip: sourceIp,
    ...(gathered === 0 ? {} : { count: gathered }),
  },
});

/**
 * Makes the recorder of failed authentications: bounded by source and minute, so that nobody buys disk with bad keys. Whoever was refused
 * does not wait for it; a kill loses a second's worth. Source: Cycles governance, `api_key.auth_failed`; architecture section 11.
 */
export function makeAuthRecorder(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly activity: Pick<ActivityCounter, 'count'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Log;
  readonly elapsedMs: () => number;
}): AuthRecorder {
  const { writer, activity, ids, log, elapsedMs } = deps;
  const sources = new Map<string, Source>();
  const waiting = new Map<string, Telling[]>();
  let minuteEndsMs = -Infinity;
  let timer: NodeJS.Timeout | null = null;
  let isClosed = false;

  const tell = (failure: AuthFailure, gathered: number): void => {
    const tenantId = failure.tenantId ?? SYSTEM_TENANT;
    const tellings = waiting.get(tenantId) ?? [];
    waiting.set(tenantId, tellings);
    tellings.push(tellingOf(failure, gathered));
  };
  const endMinute = (): void => {
    for (const { last, gathered } of sources.values()) if (last !== null) tell(last, gathered);
    sources.clear();
  };
  const flush = async (): Promise<void> => {
    const batches = [...waiting];
    waiting.clear();
    try {
      await Promise.all(
        batches.map(([tenantId, tellings]) => writer.execute({ verb: 'tell-events', id: ids.next('cmd'), tenantId, tellings })),
      );
    } catch (err) {
      log.warn({ err, tenants: batches.length }, 'failed authentications could not be told');
    }
  };
  const schedule = (): void => {
    if (timer !== null || isClosed) return;
    timer = setTimeout(() => {
      timer = null;
      if (elapsedMs() >= minuteEndsMs) endMinute();
      void flush();
      if ([...sources.values()].some(({ gathered }) => gathered > 0)) schedule();
    }, FLUSH_MS);
    timer.unref();
  };

  return {
    succeeded: (tenantId) => activity.count(tenantId, 'auths'),
    failed: (failure) => {
      if (isClosed) return;
      const tenantId = failure.tenantId ?? SYSTEM_TENANT;
      activity.count(tenantId, 'auths');
      activity.count(tenantId, 'auth_failures');
      const nowMs = elapsedMs();
      if (nowMs >= minuteEndsMs) {
        endMinute();
        minuteEndsMs = nowMs + MINUTE_MS;
      }
      const key = sources.has(failure.sourceIp) || sources.size < MAX_SOURCES ? failure.sourceIp : '';
      const source = sources.get(key) ?? { singles: 0, gathered: 0, last: null };
      sources.set(key, source);
      if (source.singles < SINGLE_PER_MINUTE) {
        source.singles += 1;
        tell(failure, 0);
      } else {
        source.gathered += 1;
        source.last = failure;
      }
      schedule();
    },
    close: async () => {
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
      endMinute();
      await flush();
    },
  };
}
