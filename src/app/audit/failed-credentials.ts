import { sourceOf } from '../../core/access/source-limit.ts';
import { UNKNOWN_TENANT } from '../../core/audit/audit-query.ts';
import type { AuditEntry } from '../../core/effects.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/**
 * A request that came without a good credential. `about` is whose credential it was, where it is one that is good no more. `path` is the
 * route's pattern.
 */
export interface FailedCredential {
  readonly address: string;
  readonly about: { readonly tenantId: string; readonly keyId: string } | null;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly errorCode: string;
  readonly requestId: string;
  readonly traceId?: string;
  readonly userAgent?: string;
}

/** Requests without a good credential: each is counted, and rows of the trail tell of them together. */
export interface FailedCredentials {
  /** Counts one, in memory: nobody can buy a write to a disk with bad credentials. */
  note(failed: FailedCredential): void;
  /**
   * Writes what was counted: of each source the first in a minute at once, the others of that minute together when it is over or, with
   * `all`, now. What cannot be written stays for the next time.
   */
  flush(options?: { readonly all: boolean }): Promise<void>;
  /** How many there were since the start. */
  readonly total: number;
}

const MINUTE_MS = 60_000;
/** Sources that are told apart in a minute; what comes of others is counted together. */
const MAX_SOURCES = 100;

/** What one source did in one minute, and one key of it. */
interface Tally {
  readonly minute: number;
  readonly tenantId: string;
  /** The first of those that no row tells of yet. */
  first: FailedCredential;
  isOthers: boolean;
  count: number;
  isToldOf: boolean;
}

/** Makes the {@link FailedCredentials}. A kill loses what was counted in the last seconds. */
export function makeFailedCredentials(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly clock: Clock;
}): FailedCredentials {
  const { writer, ids, clock } = deps;
  const tallies = new Map<string, Tally>();
  let total = 0;
  let sources = 0;
  let currentMinute = 0;

  function note(failed: FailedCredential): void {
    total += 1;
    const minute = Math.floor(clock.nowMs() / MINUTE_MS);
    if (minute !== currentMinute) {
      currentMinute = minute;
      sources = 0;
    }
    const { about, address } = failed;
    const key = `${minute} ${about?.keyId ?? ''} ${sourceOf(address)}`;
    const isOthers = sources >= MAX_SOURCES && !tallies.has(key);
    const found = tallies.get(isOthers ? `${minute} others` : key);
    if (found !== undefined) {
      if (found.count === 0) found.first = failed;
      found.count += 1;
      return;
    }
    if (!isOthers) sources += 1;
    const tenantId = isOthers ? UNKNOWN_TENANT : (about?.tenantId ?? UNKNOWN_TENANT);
    tallies.set(isOthers ? `${minute} others` : key, { minute, tenantId, first: failed, isOthers, count: 1, isToldOf: false });
  }

  function entryOf({ minute, first, isOthers, count }: Tally): Omit<AuditEntry, 'tenantId' | 'atMs'> {
    const { about, method, path, status, errorCode, requestId, traceId, userAgent, address } = first;
    const isKnown = about !== null && !isOthers;
    return {
      id: ids.next('aud'),
      operation: `${method}:${path}`,
      actorKind: isKnown ? 'tenant_key' : 'unknown',
      actorId: isKnown ? about.keyId : 'unknown',
      resourceKind: '',
      resourceId: '',
      requestId,
      ...(traceId === undefined ? {} : { traceId }),
      ...(isOthers ? {} : { sourceIp: address }),
      ...(userAgent === undefined ? {} : { userAgent }),
      code: errorCode.toLowerCase(),
      status,
      errorCode,
      metadata: {
        method,
        path,
        error_message: isOthers ? 'no good credential, from more sources than are told apart' : 'no good credential',
        attempts: count,
        minute: new Date(minute * MINUTE_MS).toISOString(),
      },
    };
  }

  async function write(tenantId: string, due: readonly Tally[]): Promise<void> {
    const told = due.map((tally) => ({ tally, count: tally.count }));
    await writer.execute({ verb: 'note-refusals', id: ids.next('cmd'), tenantId, entries: due.map(entryOf) });
    for (const { tally, count } of told) {
      tally.count -= count;
      tally.isToldOf = true;
    }
  }

  /** One after another, so that nothing is told of twice. */
  let writing: Promise<void> = Promise.resolve();

  async function flush(isLast: boolean): Promise<void> {
    const now = Math.floor(clock.nowMs() / MINUTE_MS);
    const due = [...tallies.values()].filter(({ minute, count, isToldOf }) => count > 0 && (isLast || minute < now || !isToldOf));
    for (const [tenantId, ofTenant] of Map.groupBy(due, (tally) => tally.tenantId)) await write(tenantId, ofTenant);
    for (const [key, { minute, count }] of tallies) if (minute < now && count === 0) tallies.delete(key);
  }

  return {
    note,
    flush: (options) => {
      const done = writing.then(() => flush(options?.all === true));
      writing = done.catch(() => undefined);
      return done;
    },
    get total() {
      return total;
    },
  };
}
