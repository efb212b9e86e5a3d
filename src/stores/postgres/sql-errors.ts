import { Fault } from '../../core/fault.ts';
import { InvariantViolation } from '../../core/invariant.ts';

/** The five-character SQLSTATE of an error that the server reported, or undefined (a broken connection has none). */
export function sqlStateOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error && 'severity' in error ? error.code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** The connection ended while it owed us an answer. What it was asked may have happened or not. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';

  constructor(cause: unknown) {
    super(`the connection to PostgreSQL was lost: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Another row with that unique key exists: in a batch, one that another node committed since the batch looked. */
export const UNIQUE_VIOLATION = '23505';

const RERUN_STATES = new Set(['40001', '40P01', '55P03', UNIQUE_VIOLATION]);

/**
 * Whether the same batch may come out well when it is run again: serialization failure, deadlock, a lock not given in time, or a row
 * that another node made first.
 */
export const isRerunState = (state: string | undefined): boolean => state !== undefined && RERUN_STATES.has(state);

/**
 * Whether the session is over with this error: an administrator's command, the crash of another session, shutdown, start-up, idle in a
 * transaction for too long, or no SQLSTATE at all, because then it was the driver or the network that failed.
 */
export const endsSession = (state: string | undefined): boolean =>
  state === undefined || state.startsWith('57P') || state.startsWith('08') || state === '25P03';

// Classes: connection, credentials, no such database, insufficient resources (disk full, out of memory, too many connections), operator
// intervention, system error, a lock or an order of things that was not to be had.
const OUTSIDE_CLASSES = ['08', '28', '3D', '53', '57', '58', '55', '40'];

/** Names what failed for logs, without the statement or its parameters. */
const describeError = (error: unknown): string => {
  const state = sqlStateOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return state === undefined ? message : `${message} (SQLSTATE ${state})`;
};

// Credentials refused, no such database, no right to make tables.
const REFUSED_STATES = ['28', '3D', '42501'];

/** Whether the server knows us and will not have us: waiting is no use, the operator must mend the address or the rights. */
export const isRefusedByServer = (error: unknown): boolean => REFUSED_STATES.some((prefix) => sqlStateOf(error)?.startsWith(prefix));

/** The store cannot be reached or cannot write at the moment. */
export const storeUnavailable = (message: string, cause?: unknown): Fault =>
  new Fault({ code: 'store_unavailable', message, publicMessage: 'The store is unavailable at the moment.', retryAfterMs: 1000, cause });

/**
 * What to throw for an error of the driver or the server: a `Fault` where the outside world failed, an `InvariantViolation` where the
 * server refused what we asked (a constraint, a wrong statement). Only for errors of a connection: what has no SQLSTATE is taken for a
 * failure of the network.
 */
export function toThrowable(error: unknown): unknown {
  if (error instanceof Fault || error instanceof InvariantViolation) return error;
  if (error instanceof ConnectionLost) return storeUnavailable(error.message, error);
  const state = sqlStateOf(error);
  if (state === undefined || OUTSIDE_CLASSES.some((prefix) => state.startsWith(prefix)) || state === '25P03') {
    return storeUnavailable(`PostgreSQL: ${describeError(error)}`, error);
  }
  return new InvariantViolation(`PostgreSQL refused a statement: ${describeError(error)}`, { cause: error });
}
