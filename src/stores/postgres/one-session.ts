import pg from 'pg';
import { StoreRefusal } from '../_shared/migrations.ts';
import { storable } from './columns.ts';
import type { Reader } from './reader.ts';
import { isRefusedByServer, toThrowable } from './sql-errors.ts';
import { TYPES, type Row } from './statement.ts';

const CONNECT_MS = 5000;

/** One connection of a command. `query` throws as the stores do: a `Fault`, or an `InvariantViolation`. */
export interface OneSession {
  readonly client: pg.Client;
  readonly query: <R extends object = Row>(text: string, values?: readonly unknown[]) => Promise<R[]>;
  /** The same connection as the reads of a store take it; a transaction of theirs is the one that this session is in. */
  readonly reader: Reader;
  close(): Promise<void>;
}

/** Connects. Throws a `StoreRefusal` where the server knows us and will not have us, a `Fault` where it cannot be reached. */
export async function openOneSession(options: { readonly url: string; readonly name: string }): Promise<OneSession> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: options.name,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    types: TYPES,
  });
  // What broke shows in the statement that waits for an answer, or in the next one.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    if (error instanceof Error && isRefusedByServer(error))
      throw new StoreRefusal(`DATABASE_URL leads to a PostgreSQL server that refuses us: ${error.message}.`);
    throw toThrowable(error);
  }
  const query = async <R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> => {
    try {
      return (await client.query<R>(text, values.map(storable))).rows;
    } catch (error) {
      throw toThrowable(error);
    }
  };
  return {
    client,
    query,
    reader: {
      rows: ({ text }, values) => query(text, values),
      transaction: (_begin, work) => work((text, values) => query(text, values)),
      close: () => Promise.resolve(),
    },
    close: () => client.end().catch(() => undefined),
  };
}
