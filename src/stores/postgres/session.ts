import pg from 'pg';
import { Exchange, type Answer, type Prepared, type Request } from './exchange.ts';
import { ConnectionLost, endsSession, sqlStateOf, storeUnavailable, toThrowable } from './sql-errors.ts';
import { TYPES, type Row, type Statement } from './statement.ts';

/** How long the server may take. All in milliseconds. */
export interface Timeouts {
  /** To accept a connection. */
  readonly connectMs: number;
  /** A statement's wait for one lock. */
  readonly lockMs: number;
  /** One statement. */
  readonly statementMs: number;
  /** Silence of a connection that owes us an answer, after which we take it for lost. Longer than `statementMs`. */
  readonly answerMs: number;
  /** To take leave of a connection, after which it is cut. */
  readonly closeMs: number;
}

/** Makes a batch's transaction durable. An error of this statement alone says nothing about whether it happened. */
export const COMMIT: Statement = { name: 'commit', text: 'COMMIT' };

/**
 * A writer's connection. `send` writes all requests at once and resolves when all are answered, so several statements cost one round
 * trip; the first that fails ends it, and those behind it are not carried out. Throws the server's error, or {@link ConnectionLost}:
 * then nobody knows how far the server got. `beforeLast` is called when all requests but the last are on their way.
 */
export interface Session {
  /** The server process behind it and when that started; together they name it for ever. */
  readonly pid: number;
  readonly backendStart: string;
  send(requests: readonly Request[], beforeLast?: () => void): Promise<Answer[]>;
  /** No longer usable: the server or the network ended it. */
  isLost(): boolean;
  close(): Promise<void>;
  /** Cuts the connection without a goodbye. */
  destroy(): void;
}

// The statements of a batch look rows up by key and by nothing else. Tables grow from empty to large under statements that were
// planned once, so the planner is told what the small tables of the first minute would hide from it.
// How far a commit is carried stays what it was when the session was opened: a later change of the server's settings reaches new sessions,
// which refuse `off`, and never turns the commits of an open one into promises.
const sessionSettings = (timeouts: Timeouts): string => `
  SET statement_timeout = ${timeouts.statementMs};
  SET lock_timeout = ${timeouts.lockMs};
  SET idle_in_transaction_session_timeout = ${timeouts.answerMs};
  SET default_transaction_isolation = 'read committed';
  SET plan_cache_mode = force_generic_plan;
  SET enable_seqscan = off;
  SET enable_hashjoin = off;
  SET enable_mergejoin = off;
  SET jit = off;
  SELECT pid, backend_start::text, set_config('synchronous_commit', current_setting('synchronous_commit'), false) AS synchronous_commit
  FROM pg_stat_activity WHERE pid = pg_backend_pid();
`;

/**
 * Waits until a connection's goodbye is answered, at most `closeMs`; then cuts it. A server that has stopped without dying keeps the
 * socket open for ever, and with it this process.
 */
export async function leave(ended: Promise<unknown>, closeMs: number, cut: () => void): Promise<void> {
  const { promise: isTime, resolve } = Promise.withResolvers<'time'>();
  const timer = setTimeout(() => resolve('time'), closeMs);
  try {
    if ((await Promise.race([ended, isTime])) === 'time') cut();
  } finally {
    clearTimeout(timer);
  }
}

interface Backend {
  readonly pid: number;
  readonly backend_start: string;
  readonly synchronous_commit: string;
}

async function connect(client: pg.Client, timeouts: Timeouts): Promise<Backend> {
  await client.connect();
  // Text of several statements is answered with one result each.
  const results = (await client.query(sessionSettings(timeouts))) as unknown as { rows: Row[] }[];
  const backend = results.at(-1)?.rows[0] as unknown as Backend;
  // The setting may have changed since the store was opened.
  if (backend.synchronous_commit === 'off') throw storeUnavailable('PostgreSQL has synchronous_commit off: a commit would not be durable');
  return backend;
}

/** Opens a connection for writing. Throws a `Fault` where there is none to be had, or where commits would not be durable. */
export async function openSession(options: { url: string; applicationName: string; timeouts: Timeouts }): Promise<Session> {
  const { timeouts } = options;
  const client = new pg.Client({
    connectionString: options.url,
    application_name: options.applicationName,
    connectionTimeoutMillis: timeouts.connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: TYPES,
  });
  let isLost = false;
  const markLost = (): void => void (isLost = true);
  client.on('error', markLost);
  client.on('end', markLost);
  const backend = await connect(client, timeouts).catch((error: unknown) => {
    client.connection.stream.destroy();
    throw toThrowable(error);
  });
  const destroy = (): void => {
    isLost = true;
    client.connection.stream.destroy();
  };

  const prepared: Prepared = new Map();
  const exchange = async (requests: readonly Request[], beforeLast: (() => void) | undefined): Promise<Answer[]> => {
    if (isLost) throw new ConnectionLost(new Error('it was lost before'));
    // A server that went away without a word leaves the socket open; nothing but time tells.
    const watchdog = setTimeout(destroy, timeouts.answerMs);
    const sent = new Exchange(requests, prepared, beforeLast);
    try {
      return await client.query(sent).result;
    } catch (error) {
      // The last request was never sent.
      if (sent.isRefused) throw error;
      // A COMMIT that fails may have happened all the same: the server may die while it waits for the disk. So may one behind an error
      // that is not the server's.
      if (!endsSession(sqlStateOf(error)) && sent.current?.statement !== COMMIT) throw error;
      destroy();
      throw new ConnectionLost(error);
    } finally {
      clearTimeout(watchdog);
    }
  };

  // The driver takes one query at a time.
  let tail: Promise<unknown> = Promise.resolve();
  return {
    pid: backend.pid,
    backendStart: backend.backend_start,
    send(requests, beforeLast) {
      const answers = tail.then(() => exchange(requests, beforeLast));
      tail = answers.catch(() => undefined);
      return answers;
    },
    isLost: () => isLost,
    destroy,
    async close() {
      await tail;
      if (isLost) destroy();
      else await leave(client.end(), timeouts.closeMs, destroy);
    },
  };
}
