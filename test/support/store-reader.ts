import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { DATABASE_FILE } from '../../src/stores/sqlite/connection.ts';

/** Which store a server runs on. `url` is the address of a PostgreSQL database. */
export type TestStore = { readonly kind: 'sqlite' } | { readonly kind: 'postgres'; readonly url: string };

/** A row as the database holds it: whole numbers as bigint, flags as boolean. */
export type Row = Readonly<Record<string, unknown>>;

/** Reads the tables of a store by its own connections, past all code of the program, while a server runs or after it ended. */
export interface StoreReader {
  rows(sql: string): Promise<Row[]>;
  /** The rows of several queries, all as of one moment. */
  snapshot(queries: readonly string[]): Promise<Row[][]>;
}

const FLAGS = ['streaming', 'estimated', 'interrupted', 'is_over_limit'];

/** Makes a reader. It connects anew for each read, so that a restart of the server or of the database is no matter. */
export function makeStoreReader(store: TestStore, dataDir: string): StoreReader {
  const snapshot = store.kind === 'sqlite' ? sqliteSnapshot(join(dataDir, DATABASE_FILE)) : postgresSnapshot(store.url);
  return { snapshot, rows: async (sql) => (await snapshot([sql]))[0] ?? [] };
}

function sqliteSnapshot(file: string): StoreReader['snapshot'] {
  return (queries) => {
    if (!existsSync(file)) return Promise.resolve(queries.map(() => []));
    const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5000 });
    try {
      db.exec('BEGIN');
      const results = queries.map((sql) => db.prepare<[], Record<string, unknown>>(sql).safeIntegers().all());
      for (const row of results.flat()) for (const flag of FLAGS) if (flag in row) row[flag] = row[flag] === 1n;
      return Promise.resolve(results);
    } finally {
      db.close();
    }
  };
}

function postgresSnapshot(url: string): StoreReader['snapshot'] {
  return async (queries) => {
    const client = new pg.Client({ connectionString: url, types: { getTypeParser: parserOf } });
    await client.connect();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const results: Row[][] = [];
      for (const sql of queries) results.push((await client.query<Row>(sql)).rows);
      return results;
    } finally {
      await client.end();
    }
  };
}

const INT8_OID = 20;
const NUMERIC_OID = 1700;

/** Whole numbers of any size exactly; everything else as `pg` reads it. */
function parserOf(oid: number, format?: string): (text: string) => unknown {
  if (oid === INT8_OID || oid === NUMERIC_OID) return (text) => BigInt(text);
  return pg.types.getTypeParser(oid, format as 'text') as (text: string) => unknown;
}

/** One metered request as the tables hold it. */
export interface StoredUsage {
  readonly id: string;
  readonly keyId: string;
  readonly tenantId: string;
  readonly promptTokens: bigint;
  readonly completionTokens: bigint;
  readonly costNanoUsd: bigint;
  readonly chargeMicrocents: bigint;
  readonly estimated: boolean;
  readonly interrupted: boolean;
}

/** One hold. `charged` are the amounts booked, one for each leg; null until then. */
export interface StoredReservation {
  readonly id: string;
  readonly state: string;
  readonly charged: readonly string[] | null;
  readonly isSettled: boolean;
}

export interface StoredAccount {
  readonly tenantId: string;
  readonly kind: string;
  readonly scope: string;
  readonly unit: string;
  readonly allocated: bigint | null;
  readonly spent: bigint;
  readonly reserved: bigint;
}

export interface StoredKey {
  readonly id: string;
  readonly tenantId: string;
  readonly kind: string;
  readonly name: string;
  readonly isDeleted: boolean;
}

/** Sums of one key that were folded so far. */
export interface StoredRollup {
  readonly keyId: string;
  readonly requests: bigint;
  readonly tokens: bigint;
}

/** What the tables hold of calls, money and keys. */
export interface StoredState {
  readonly usage: readonly StoredUsage[];
  readonly tailIds: readonly string[];
  readonly reservations: readonly StoredReservation[];
  readonly accounts: readonly StoredAccount[];
  readonly keys: readonly StoredKey[];
  readonly rollups: readonly StoredRollup[];
}

const USAGE_COLUMNS = 'id, key_id, tenant_id, prompt_tokens, completion_tokens, cost_nano_usd, charge_microcents, estimated, interrupted';

const ACCOUNTS = 'SELECT tenant_id, kind, scope, unit, allocated, spent, reserved FROM accounts';

/** Reads everything that the checks of effects look at, as of one moment. */
export async function readState(reader: StoreReader): Promise<StoredState> {
  const [tail = [], folded = [], reservations = [], keys = [], rollups = [], accounts = []] = await reader.snapshot([
    `SELECT ${USAGE_COLUMNS} FROM usage_tail`,
    `SELECT ${USAGE_COLUMNS} FROM usage_events`,
    "SELECT id, state, charged, settled_at_ms FROM reservations WHERE purpose = 'call'",
    'SELECT id, tenant_id, kind, name, deleted_at_ms FROM api_keys',
    `SELECT key_id, sum(requests) AS requests, sum(prompt_tokens + completion_tokens) AS tokens FROM usage_rollups
     WHERE level_ms = 0 AND key_id <> '' GROUP BY key_id`,
    ACCOUNTS,
  ]);
  return {
    usage: [...tail, ...folded].map(usageOf),
    tailIds: tail.map((row) => text(row['id'])),
    reservations: reservations.map((row) => ({
      id: text(row['id']),
      state: text(row['state']),
      charged: chargedOf(row['charged']),
      isSettled: row['settled_at_ms'] !== null,
    })),
    accounts: accounts.map(accountOf),
    keys: keys.map((row) => ({
      id: text(row['id']),
      tenantId: text(row['tenant_id']),
      kind: text(row['kind']),
      name: text(row['name']),
      isDeleted: row['deleted_at_ms'] !== null,
    })),
    rollups: rollups.map((row) => ({ keyId: text(row['key_id']), requests: row['requests'] as bigint, tokens: row['tokens'] as bigint })),
  };
}

/** Every account as it stands. */
export const readAccounts = async (reader: StoreReader): Promise<StoredAccount[]> => (await reader.rows(ACCOUNTS)).map(accountOf);

const accountOf = (row: Row): StoredAccount => ({
  tenantId: text(row['tenant_id']),
  kind: text(row['kind']),
  scope: text(row['scope']),
  unit: text(row['unit']),
  allocated: row['allocated'] as bigint | null,
  spent: row['spent'] as bigint,
  reserved: row['reserved'] as bigint,
});

const usageOf = (row: Row): StoredUsage => ({
  id: text(row['id']),
  keyId: text(row['key_id']),
  tenantId: text(row['tenant_id']),
  promptTokens: row['prompt_tokens'] as bigint,
  completionTokens: row['completion_tokens'] as bigint,
  costNanoUsd: row['cost_nano_usd'] as bigint,
  chargeMicrocents: row['charge_microcents'] as bigint,
  estimated: row['estimated'] === true,
  interrupted: row['interrupted'] === true,
});

const text = (value: unknown): string => (typeof value === 'string' ? value : String(value));

/** SQLite keeps JSON as text, PostgreSQL hands it over parsed. */
const chargedOf = (value: unknown): readonly string[] | null =>
  value === null ? null : ((typeof value === 'string' ? JSON.parse(value) : value) as string[]);

/** The tables whose rows a request may change. Counts of all of them, and the sum of their journal, tell whether it did. */
const TABLES = [
  'tenants',
  'members',
  'api_keys',
  'upstreams',
  'models',
  'prices',
  'exchange_rates',
  'balance_credits',
  'settings',
  'usage_reporters',
  'usage_reports',
  'accounts',
  'ledger_entries',
  'reservations',
  'idempotency',
  'usage_tail',
  'usage_events',
  'events',
] as const;

/**
 * Everything that the tables hold, as text, but for the audit trail (a refused change leaves a row there), heartbeats, the time of the last
 * batch, and when an event was handed out: two equal texts mean that nothing was changed in between.
 */
export async function dumpState(reader: StoreReader): Promise<string> {
  const tables = await reader.snapshot(TABLES.map((table) => `SELECT * FROM ${table}`));
  const print = ({ delivered_at_ms: _handedOut, ...row }: Row): string =>
    JSON.stringify(row, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
  return tables.flatMap((rows, index) => [TABLES[index] ?? '', ...rows.map(print).toSorted()]).join('\n');
}
