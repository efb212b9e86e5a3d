import pg from 'pg';
import { storable } from './columns.ts';
import { leave, type Timeouts } from './session.ts';
import { TYPES, type Row, type Statement } from './statement.ts';
import { sqlStateOf, toThrowable } from './sql-errors.ts';

/** Runs statements outside of the batches, on connections of a pool. Throws a `Fault` where the server cannot be reached. */
export interface Reader {
  /** Rows by column name. A broken connection is tried once more on a new one: only for statements that may run twice. */
  rows<R extends object>(statement: Statement, values?: readonly unknown[]): Promise<R[]>;
  /** Runs `work` on one connection, in a transaction that begins with `begin`. Not tried again. */
  transaction<T>(begin: string, work: (query: (text: string, values?: readonly unknown[]) => Promise<Row[]>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

// Prepared statements look rows up by key; see the writers' sessions. What reads whole tables says so itself.
export const LOOKUPS_BY_KEY =
  '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off';

/** For a transaction that reads whole tables: the planner chooses freely, and takes the time that it needs. */
export const WHOLE_TABLES =
  'SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; SET LOCAL statement_timeout = 0';

/** Makes a reader with at most `connections` connections. */
export function makeReader(options: {
  url: string;
  applicationName: string;
  connections: number;
  timeouts: Timeouts;
  warn: (message: string) => void;
}): Reader {
  const { connectMs, lockMs, statementMs, closeMs } = options.timeouts;
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.connections,
    connectionTimeoutMillis: connectMs,
    lock_timeout: lockMs,
    statement_timeout: statementMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    options: LOOKUPS_BY_KEY,
    types: TYPES,
  });
  // An idle connection that the server ended; the pool makes a new one when it needs it, and has told below.
  pool.on('error', () => undefined);
  // The pool itself listens to idle connections only, and the process ends with an error that nobody listens to: such as one that breaks
  // between two statements of a transaction, or in the moment between being handed over and its first statement.
  const open = new Map<pg.PoolClient, Promise<void>>();
  pool.on('connect', (client) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    open.set(client, promise);
    client.once('end', () => {
      open.delete(client);
      resolve();
    });
    client.on('error', (error) => options.warn(`a connection to PostgreSQL was lost: ${error.message}`));
  });

  const read = async <R extends object>(statement: Statement, values: readonly unknown[]): Promise<R[]> => {
    const { rows } = await pool.query<R>({
      ...statement,
      values: values.map(storable),
      query_timeout: statementMs + 1000,
    } as pg.QueryConfig);
    return rows;
  };
  return {
    async rows<R extends object>(statement: Statement, values: readonly unknown[] = []) {
      try {
        return await read<R>(statement, values);
      } catch (error) {
        const state = sqlStateOf(error);
        if (state !== undefined && !state.startsWith('57P')) throw toThrowable(error);
      }
      return read<R>(statement, values).catch((error: unknown) => {
        throw toThrowable(error);
      });
    },
    async transaction(begin, work) {
      const client = await pool.connect().catch((error: unknown) => {
        throw toThrowable(error);
      });
      let isBroken = true;
      try {
        await client.query(begin);
        const result = await work(async (text, values = []) => (await client.query<Row>(text, values as unknown[])).rows);
        await client.query('COMMIT');
        isBroken = false;
        return result;
      } catch (error) {
        throw toThrowable(error);
      } finally {
        // A connection in an unknown state is thrown away, which also undoes its transaction.
        client.release(isBroken);
      }
    },
    async close() {
      // The pool ends before the connections that it says goodbye to.
      const ended = pool.end().then(() => Promise.all(open.values()));
      await leave(ended, closeMs, () => {
        for (const client of open.keys()) client.connection.stream.destroy();
      });
    },
  };
}
