import Database from 'better-sqlite3';
import { Fault } from '../../core/fault.ts';
import { InvariantViolation } from '../../core/invariant.ts';
import { StoreRefusal } from '../_shared/migrations.ts';

/** An error as it crosses from a worker: a structured clone would keep neither class nor code. */
export interface EncodedError {
  readonly name: string;
  readonly message: string;
  readonly code: string | null;
  readonly stack: string | null;
}

const PUBLIC_MESSAGE = 'The store is unavailable at the moment.';
const RETRY_AFTER_MS = 1000;

/** What SQLite calls a failure of the disk, the file system or the memory, by the start of its code. All else is a fault of ours. */
const OUTSIDE_FAILURES = [
  'SQLITE_FULL',
  'SQLITE_IOERR',
  'SQLITE_CORRUPT',
  'SQLITE_NOTADB',
  'SQLITE_CANTOPEN',
  'SQLITE_READONLY',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_NOMEM',
  'SQLITE_PROTOCOL',
  'SQLITE_PERM',
];

/** The fault of a store that cannot be reached or cannot write. `message` is for the log. */
export const storeUnavailable = (message: string, cause?: unknown): Fault =>
  new Fault({ code: 'store_unavailable', message, publicMessage: PUBLIC_MESSAGE, retryAfterMs: RETRY_AFTER_MS, cause });

/** Flattens an error for its way out of a worker. */
export function encodeError(error: unknown): EncodedError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), code: null, stack: null };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  return {
    name: error instanceof Database.SqliteError ? 'SqliteError' : error.name,
    message: error.message,
    code,
    stack: error.stack ?? null,
  };
}

/**
 * The error that a worker meant: failures of the disk are a `Fault` `store_unavailable`, rows that the database refuses and statements
 * that it does not understand an `InvariantViolation`; everything else keeps its name, message and code.
 */
export function decodeError({ name, message, code, stack }: EncodedError): Error {
  if (name === 'SqliteError') {
    if (OUTSIDE_FAILURES.some((start) => code?.startsWith(start))) return storeUnavailable(`SQLite: ${message} (${code})`);
    return keepStack(new InvariantViolation(`the store refused: ${message} (${code})`), stack);
  }
  if (name === 'Fault') return storeUnavailable(message);
  if (name === 'InvariantViolation') return keepStack(new InvariantViolation(message), stack);
  if (name === 'StoreRefusal') return new StoreRefusal(message);
  const error = Object.assign(new Error(message), { name });
  return keepStack(code === null ? error : Object.assign(error, { code }), stack);
}

/** Shows where the worker threw, not where its answer was read. */
function keepStack<E extends Error>(error: E, stack: string | null): E {
  if (stack !== null) error.stack = stack;
  return error;
}
