import type { NoteRefusalsCommand } from '../../core/audit/note-refusals.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** A request that was refused: who asked for what, and how it was answered. `path` is the route's pattern, never the address. */
export interface RefusedOperation {
  readonly tenantId: string;
  readonly actor: Actor;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly errorCode: string;
  readonly message: string;
}

/** Sees to it that every management request leaves its row in the trail, also one that is refused before any command comes of it. */
export interface RequestAudit {
  /** The writer for the surfaces' use cases: it remembers which commands left a row. */
  readonly writer: LedgerWriter;
  /** Begins to watch a request. Each that begins must end. */
  begin(requestId: string): void;
  /** Ends it, and tells whether a command of it left a row. */
  end(requestId: string): boolean;
  /**
   * Leaves the row of a refused request. Where it cannot be written the refusal stands, and the log says so. The first hundred of a caller in
   * a minute have a row each, with those of refused commands; the others are counted, and one row of {@link RequestAudit.flush} tells of them.
   */
  refuse(refused: RefusedOperation): Promise<void>;
  /** Writes what was only counted in minutes that are over or, with `all`, so far. What cannot be written stays for the next time. */
  flush(options?: { readonly all: boolean }): Promise<void>;
}

/** Refused requests of one caller in a minute that leave a row each: no key can fill the store with what it may not do. */
const ROWS_A_MINUTE = 100;
const MINUTE_MS = 60_000;
/** What a row has of a message at most. */
const MAX_MESSAGE = 1024;

/** What one caller was refused in one minute. */
interface Tally {
  readonly minute: number;
  rows: number;
  /** Those without a row, and the first of them. */
  counted: number;
  first: RefusedOperation | null;
}

/** The command that leaves the row of a refused request. `more` adds to the row's metadata. */
function noteRefusal(
  ids: Pick<Ids, 'next'>,
  { tenantId, actor, method, path, status, errorCode, message }: RefusedOperation,
  more: Readonly<Record<string, string | number>> = {},
): NoteRefusalsCommand {
  const { kind, id: actorId, requestId, traceId, sourceIp, userAgent, onBehalf } = actor;
  const entry = {
    id: ids.next('aud'),
    operation: `${method}:${path}`,
    actorKind: kind,
    actorId,
    resourceKind: '',
    resourceId: '',
    requestId,
    ...(traceId === undefined ? {} : { traceId }),
    ...(sourceIp === undefined ? {} : { sourceIp }),
    ...(userAgent === undefined ? {} : { userAgent }),
    code: errorCode.toLowerCase(),
    status,
    errorCode,
    metadata: {
      method,
      path,
      error_message: message.slice(0, MAX_MESSAGE),
      ...(onBehalf === true ? { actor_type: 'admin_on_behalf_of' } : {}),
      ...more,
    },
  };
  return { verb: 'note-refusals', id: ids.next('cmd'), tenantId, entries: [entry] };
}

/** Makes the {@link RequestAudit} over the writer of the program. */
export function makeRequestAudit(deps: {
  readonly writer: LedgerWriter;
  readonly ids: Pick<Ids, 'next'>;
  readonly clock: Clock;
  readonly log: Log;
}): RequestAudit {
  const { writer, ids, clock, log } = deps;
  /** Whether each request under way has its row. */
  const watched = new Map<string, boolean>();
  const note = (requestId: string): void => {
    if (watched.has(requestId)) watched.set(requestId, true);
  };
  const tallies = new Map<string, Tally>();
  const minuteNow = (): number => Math.floor(clock.nowMs() / MINUTE_MS);
  const tallyOf = (actorId: string): Tally => {
    const minute = minuteNow();
    const key = `${minute} ${actorId}`;
    const tally = tallies.get(key) ?? { minute, rows: 0, counted: 0, first: null };
    tallies.set(key, tally);
    return tally;
  };
  /** Most commands leave no row, and are handed on as they are. */
  const execute: LedgerWriter['execute'] = async (command) => {
    const { audit } = command;
    if (audit === undefined || !watched.has(audit.requestId)) return writer.execute(command);
    const tally = tallyOf(audit.actorId);
    const isCounted = tally.rows >= ROWS_A_MINUTE;
    const outcome = await writer.execute(isCounted ? { ...command, audit: { ...audit, isRefusalCounted: true } } : command);
    if (outcome.ok || !isCounted) note(audit.requestId);
    if (!outcome.ok && !isCounted) tally.rows += 1;
    return outcome;
  };
  const write: LedgerWriter['write'] = async (command) => {
    const written = await writer.write(command);
    if (command.audit !== undefined) note(command.audit.requestId);
    return written;
  };
  /** One after another, so that nothing is told of twice. */
  let flushing: Promise<void> = Promise.resolve();
  const flush = async (isLast: boolean): Promise<void> => {
    const now = minuteNow();
    for (const [key, tally] of tallies) {
      const { minute, first, counted } = tally;
      if (minute >= now && !isLast) continue;
      if (first !== null) await tellCounted(tally, first, counted);
      if (minute < now) tallies.delete(key);
    }
  };
  const tellCounted = async (tally: Tally, first: RefusedOperation, counted: number): Promise<void> => {
    tally.first = null;
    tally.counted = 0;
    const more = { attempts: counted, minute: new Date(tally.minute * MINUTE_MS).toISOString() };
    try {
      await writer.execute(noteRefusal(ids, first, more));
    } catch (error) {
      tally.first = first;
      tally.counted += counted;
      throw error;
    }
  };
  return {
    writer: {
      execute,
      write,
      barrier: (tenantId) => writer.barrier(tenantId),
      get pending() {
        return writer.pending;
      },
      close: () => writer.close(),
    },
    begin: (requestId) => void watched.set(requestId, false),
    end: (requestId) => {
      const hasRow = watched.get(requestId) ?? false;
      watched.delete(requestId);
      return hasRow;
    },
    refuse: async (refused) => {
      const { actor, path } = refused;
      const tally = tallyOf(actor.id);
      if (tally.rows >= ROWS_A_MINUTE) {
        tally.counted += 1;
        tally.first ??= refused;
        return;
      }
      tally.rows += 1;
      try {
        await writer.execute(noteRefusal(ids, refused));
      } catch (err) {
        log.error({ err, requestId: actor.requestId, route: path }, 'the refusal of a request left no row in the audit trail');
      }
    },
    flush: (options) => {
      const done = flushing.then(() => flush(options?.all === true));
      flushing = done.catch(() => undefined);
      return done;
    },
  };
}
