import type { Database } from 'better-sqlite3';

/** A value that can be bound. */
export type BindValue = string | number | bigint | null;

/** Rows in one statement. Each call of a statement costs about as much as binding and inserting one row. */
const CHUNK_ROWS = 8;

/**
 * Inserts many rows in few statements. Values must come in the order of the columns; `constants` are SQL for the last columns, the same in
 * every row and not bound.
 */
export function makeRowInserter(
  db: Database,
  table: string,
  columns: readonly string[],
  constants: readonly string[] = [],
): (rows: readonly (readonly BindValue[])[]) => void {
  const tuple = `(${columns.map((_, index) => constants[index - (columns.length - constants.length)] ?? '?').join(', ')})`;
  const sqlFor = (rowCount: number): string =>
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${Array(rowCount).fill(tuple).join(', ')}`;
  const insertOne = db.prepare<BindValue[]>(sqlFor(1));
  const insertChunk = db.prepare<BindValue[]>(sqlFor(CHUNK_ROWS));
  return (rows) => {
    let values: BindValue[] = [];
    const whole = rows.length - (rows.length % CHUNK_ROWS);
    for (let index = 0; index < whole; index++) {
      for (const value of rows[index] ?? []) values.push(value);
      if ((index + 1) % CHUNK_ROWS !== 0) continue;
      // Spread: the binding reads arguments much faster than the elements of an array.
      insertChunk.run(...values);
      values = [];
    }
    for (const row of rows.slice(whole)) insertOne.run(...row);
  };
}
