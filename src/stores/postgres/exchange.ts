import type pg from 'pg';
import { TYPES, type Row, type Statement } from './statement.ts';

/** A prepared statement with its parameters in text form; null is NULL. */
export interface Request {
  readonly statement: Statement;
  readonly values?: readonly (string | number | null)[];
}

/** The rows of an answer by column name, and what the server says it did (`COMMIT`, `INSERT 0 2`, ...). */
export interface Answer {
  readonly rows: Row[];
  readonly tag: string;
}

/** What a connection has prepared: how to read the rows of each statement, by its name. Empty for one that returns none. */
export type Prepared = Map<string, readonly RowField[]>;

interface RowField {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

const parserOf = (oid: number): RowField['parse'] => TYPES.getTypeParser(oid, 'text') as RowField['parse'];

/**
 * Several prepared statements in one round trip: all are written at once with a single Sync behind them, and the server passes over
 * the rest when one fails. The driver's own queries put a Sync behind each, for which the server wakes us up every time.
 *
 * It is what `pg` calls a submittable: `client.query(exchange)` writes it, then calls the `handle...` methods as messages arrive.
 */
export class Exchange implements pg.Submittable {
  readonly result: Promise<Answer[]>;
  readonly #requests: readonly Request[];
  readonly #prepared: Prepared;
  readonly #beforeLast: (() => void) | undefined;
  readonly #answers: Answer[] = [];
  readonly #resolve: (answers: Answer[]) => void;
  readonly #reject: (error: unknown) => void;
  #rows: Row[] = [];
  #refusal: { readonly error: unknown } | undefined;

  /** `beforeLast` is called when all requests but the last are written; where it throws, the last is never sent. */
  constructor(requests: readonly Request[], prepared: Prepared, beforeLast?: () => void) {
    this.#requests = requests;
    this.#prepared = prepared;
    this.#beforeLast = beforeLast;
    const { promise, resolve, reject } = Promise.withResolvers<Answer[]>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** The request that the server is at: the one that failed, after an error. */
  get current(): Request | undefined {
    return this.#requests[this.#answers.length];
  }

  /** Whether `beforeLast` threw, so that the last request was never sent. */
  get isRefused(): boolean {
    return this.#refusal !== undefined;
  }

  submit(connection: pg.Connection): void {
    const { stream } = connection;
    const last = this.#requests.length - 1;
    stream.cork();
    for (const [index, request] of this.#requests.entries()) {
      if (index === last && this.#beforeLast !== undefined) {
        stream.uncork();
        try {
          this.#beforeLast();
        } catch (error) {
          this.#refusal = { error };
        }
        stream.cork();
        if (this.#refusal !== undefined) break;
      }
      this.#write(connection, request);
    }
    connection.sync();
    stream.uncork();
  }

  handleRowDescription(message: { readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[] }): void {
    const name = this.current?.statement.name ?? '';
    this.#prepared.set(
      name,
      message.fields.map((field) => ({ name: field.name, parse: parserOf(field.dataTypeID) })),
    );
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    const fields = this.#prepared.get(this.current?.statement.name ?? '') ?? [];
    const row: Record<string, unknown> = {};
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as RowField;
      const text = message.fields[i] ?? null;
      row[field.name] = text === null ? null : field.parse(text);
    }
    this.#rows.push(row);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const name = this.current?.statement.name ?? '';
    if (!this.#prepared.has(name)) this.#prepared.set(name, []);
    this.#answers.push({ rows: this.#rows, tag: message.text });
    this.#rows = [];
  }

  handleReadyForQuery(): void {
    if (this.#refusal === undefined) this.#resolve(this.#answers);
    else this.#reject(this.#refusal.error);
  }

  /** An error of the server, after which it waits for the Sync that we have sent; or the end of the connection. */
  handleError(error: unknown): void {
    this.#reject(error);
  }

  #write(connection: pg.Connection, { statement, values = [] }: Request): void {
    const { name, text } = statement;
    const isPrepared = this.#prepared.has(name);
    if (!isPrepared) {
      // It may be there from an exchange that failed before it could tell. To close what is not there is no error.
      connection.close({ type: 'S', name }, true);
      connection.parse({ name, text, types: [] }, true);
    }
    // The driver's types leave out that a parameter may be null; its serializer writes those as NULL.
    const texts = values.map((value) => (value === null ? null : String(value))) as string[];
    connection.bind({ statement: name, values: texts }, true);
    if (!isPrepared) connection.describe({ type: 'P', name: '' }, true);
    connection.execute({}, true);
  }
}
