import { loadMigrations, StoreRefusal } from '../_shared/migrations.ts';
import { MIGRATION_LOCK } from './migrate.ts';
import type { OneSession } from './one-session.ts';

/**
 * Tables that a copy leaves out: who was alive, the ids of batches whose answer somebody may still wait for, and what the rows of others
 * count themselves as they are copied.
 */
const LEFT_OUT = new Set(['heartbeats', 'batches', 'tallies']);

/** The table that says which steps the schema has taken. No step makes it, so a copy says how it is made. */
const VERSION_TABLE = 'schema_version';

/** Rows go in portions of at most so many, and so many characters of text. */
const PORTION_ROWS = 5000;
const PORTION_CHARACTERS = 4 * 1024 * 1024;
const FETCH_ROWS = 1000;

/** The text of a value depends on these. */
const TEXT_FORM = `SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL timezone = 'UTC'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1;
  SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`;

/** A table with its columns in their order, each with its type as SQL writes it. */
export interface CopiedTable {
  readonly table: string;
  readonly columns: readonly string[];
  readonly types: readonly string[];
}

/** Some rows of a table, each in PostgreSQL's own text form of a whole row. */
export interface RowPortion {
  readonly table: string;
  readonly rows: readonly string[];
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** The tables of the database that a copy has, by name. */
export async function tablesOf({ query }: Pick<OneSession, 'query'>): Promise<CopiedTable[]> {
  const rows = await query<{ name: string; columns: string[]; types: string[] }>(`
    SELECT relname::text AS name, array_agg(attname::text ORDER BY attnum) AS columns,
           array_agg(format_type(atttypid, atttypmod) ORDER BY attnum) AS types
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    GROUP BY relname ORDER BY relname`);
  return rows.filter(({ name }) => !LEFT_OUT.has(name)).map(({ name, columns, types }) => ({ table: name, columns, types }));
}

/**
 * Every row of `tables`, in portions. The session's transaction must be one snapshot (REPEATABLE READ); nobody waits for it.
 */
export async function* rowsOf({ query }: OneSession, tables: readonly CopiedTable[]): AsyncGenerator<RowPortion> {
  await query(TEXT_FORM);
  for (const { table } of tables) {
    await query(`DECLARE castellan_copy NO SCROLL CURSOR FOR SELECT castellan_row::text AS line FROM ${quoted(table)} AS castellan_row`);
    let rows: string[] = [];
    let characters = 0;
    for (let isOver = false; !isOver;) {
      const lines = await query<{ line: string }>(`FETCH ${FETCH_ROWS} FROM castellan_copy`);
      isOver = lines.length < FETCH_ROWS;
      for (const { line } of lines) {
        rows.push(line);
        characters += line.length;
      }
      if (rows.length > 0 && (isOver || rows.length >= PORTION_ROWS || characters >= PORTION_CHARACTERS)) {
        yield { table, rows };
        [rows, characters] = [[], 0];
      }
    }
    await query('CLOSE castellan_copy');
  }
}

/** A database that takes the rows of a copy. All of it is one transaction: until `commit` the database stays empty to everyone else. */
export interface TableImport {
  put(portion: RowPortion): Promise<void>;
  /** Sets what numbers new rows behind the copied ones. To be called after the last row, before anything is looked at. */
  finish(): Promise<void>;
  commit(): Promise<void>;
}

/**
 * Begins to fill the empty database of a session with a copy: makes the schema by the steps `applied`, in which the copied tables must have
 * the same columns. A start on the same database waits meanwhile.
 *
 * Throws a `StoreRefusal` where the database is not empty, or where the copy's steps or tables are others than this program's.
 */
export async function beginImport(
  session: OneSession,
  { applied, tables }: { readonly applied: readonly number[]; readonly tables: readonly CopiedTable[] },
): Promise<TableImport> {
  const { query } = session;
  await query('BEGIN');
  await query(TEXT_FORM);
  await query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
  await refuseFull(session);
  for (const sql of stepsOf(applied)) await query(sql);
  await makeVersionTable(session, tables);
  const here = new Map((await tablesOf(session)).map(({ table, columns }) => [table, columns.join()]));
  for (const { table, columns } of tables) {
    if (here.get(table) !== columns.join())
      throw new StoreRefusal(
        `The backup's table ${table} is not the one that this program knows: restore it with the version that made it.`,
      );
    // Migrations put first rows into some tables; the copy brings them as they are now.
    await query(`DELETE FROM ${quoted(table)} WHERE EXISTS (SELECT FROM ${quoted(table)})`);
  }
  return {
    put: async ({ table, rows }) => {
      if (!here.has(table)) throw new StoreRefusal(`The backup has rows of the table ${table}, which this program does not know.`);
      const name = quoted(table);
      await query(`INSERT INTO ${name} OVERRIDING SYSTEM VALUE SELECT * FROM unnest($1::${name}[])`, [rowArray(rows)]);
    },
    finish: async () => {
      for (const { table, columns } of tables) await setSequences(session, table, columns);
      // Verification reads all of it, and the server knows nothing yet of what is in there.
      await query('ANALYZE');
    },
    commit: async () => void (await query('COMMIT')),
  };
}

/** An array of rows in PostgreSQL's text form. */
const rowArray = (rows: readonly string[]): string => `{${rows.map((row) => `"${row.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(',')}}`;

/** The texts of the steps. In an empty database an index is made at once, and has nobody to wait for. */
function stepsOf(applied: readonly number[]): string[] {
  const steps = loadMigrations('postgres').filter(({ version }) => applied.includes(version));
  if (steps.length !== applied.length)
    throw new StoreRefusal(
      `The backup has taken the steps ${applied.join(', ')} of the schema, and this program does not know all of them: restore it with the version that made it.`,
    );
  return steps.map(({ sql }) => sql.replaceAll(/\bCONCURRENTLY\b/gi, ''));
}

async function makeVersionTable({ query }: OneSession, tables: readonly CopiedTable[]): Promise<void> {
  const { columns = [], types = [] } = tables.find(({ table }) => table === VERSION_TABLE) ?? {};
  const isSound = columns.length > 0 && columns.length === types.length && types.every((type) => /^[a-z][a-z ]*$/.test(type));
  if (!isSound) throw new StoreRefusal('The backup does not say which steps its schema has taken: it is damaged.');
  const lines = columns.map((column, at) => `${quoted(column)} ${types[at]}`);
  await query(`CREATE TABLE ${VERSION_TABLE} (${lines.join(', ')}, PRIMARY KEY (version))`);
}

async function refuseFull({ query }: OneSession): Promise<void> {
  const [found] = await query<{ count: bigint; some: string | null }>(`
    SELECT count(*) AS count, min(relname)::text AS some FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')`);
  if (found !== undefined && found.count > 0n)
    throw new StoreRefusal(
      `The database at DATABASE_URL is not empty (it has a table ${found.some}): make a new one, and restore into that; nothing was changed.`,
    );
}

async function setSequences({ query }: OneSession, table: string, columns: readonly string[]): Promise<void> {
  for (const column of columns) {
    const [found] = await query<{ name: string | null }>('SELECT pg_get_serial_sequence($1, $2) AS name', [quoted(table), column]);
    const name = found?.name ?? null;
    if (name === null) continue;
    const highest = `max(${quoted(column)})`;
    await query(`SELECT setval($1::regclass, coalesce(${highest}, 1), ${highest} IS NOT NULL) FROM ${quoted(table)}`, [name]);
  }
}
