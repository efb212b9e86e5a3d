import type { Command } from '../../core/verbs.ts';
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
  /** The writer for the surfaces' use cases: it remembers whose commands left a row. */
  readonly writer: LedgerWriter;
  /** Begins to watch a request. Each that begins must end. */
  begin(requestId: string): void;
  /** Ends it, and tells whether a command of it left a row. */
  end(requestId: string): boolean;
  /** Leaves the row of a refused request. Where it cannot be written the refusal stands, and the log says so. */
  refuse(refused: RefusedOperation): Promise<void>;
}

/** Makes the {@link RequestAudit} over the writer of the program. */
export function makeRequestAudit(deps: {
  readonly writer: LedgerWriter;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Log;
}): RequestAudit {
  const { writer, ids, log } = deps;
  /** Whether each request under way has its row. */
  const watched = new Map<string, boolean>();
  /** Most commands leave no row, and are handed on as they are. */
  const noting = <C extends Command, T>(command: C, run: () => Promise<T>): Promise<T> => {
    const requestId = command.audit?.requestId;
    if (requestId === undefined || !watched.has(requestId)) return run();
    return run().then((value) => {
      if (watched.has(requestId)) watched.set(requestId, true);
      return value;
    });
  };
  return {
    writer: {
      execute: (command) => noting(command, () => writer.execute(command)),
      write: (command) => noting(command, () => writer.write(command)),
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
    refuse: async ({ tenantId, actor, method, path, status, errorCode, message }) => {
      const { kind, id, requestId, traceId, sourceIp, userAgent, onBehalf } = actor;
      const entry = {
        id: ids.next('aud'),
        operation: `${method}:${path}`,
        actorKind: kind,
        actorId: id,
        resourceKind: '',
        resourceId: '',
        requestId,
        ...(traceId === undefined ? {} : { traceId }),
        ...(sourceIp === undefined ? {} : { sourceIp }),
        ...(userAgent === undefined ? {} : { userAgent }),
        code: errorCode.toLowerCase(),
        status,
        errorCode,
        metadata: { method, path, error_message: message, ...(onBehalf === true ? { actor_type: 'admin_on_behalf_of' } : {}) },
      };
      try {
        await writer.execute({ verb: 'note-refusals', id: ids.next('cmd'), tenantId, entries: [entry] });
      } catch (err) {
        log.error({ err, requestId, route: path }, 'the refusal of a request left no row in the audit trail');
      }
    },
  };
}
