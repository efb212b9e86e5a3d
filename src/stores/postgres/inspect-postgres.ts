import type { Verification } from '../../ports/ledger-store.ts';
import { schemaStateOf, type StoreInspection } from '../_shared/inspection.ts';
import { loadMigrations, type AppliedMigration } from '../_shared/migrations.ts';
import { openOneSession, type OneSession } from './one-session.ts';
import { makeRecordReads } from './records.ts';
import { SERVER_NOW_MS } from './statement.ts';
import { verify } from './verify.ts';

/** What a server says of itself, as far as it matters to us. */
export interface PostgresFacts {
  readonly version: string;
  readonly versionNumber: number;
  readonly encoding: string;
  readonly synchronousCommit: string;
  readonly fsync: string;
  readonly nowMs: number;
  /** Whether this role may make tables. */
  readonly mayCreate: boolean;
  readonly maxConnections: number;
  readonly usedConnections: number;
}

/** The steps of the schema that the database of a session has taken. The release before this one did not keep who may run on them. */
async function appliedIn(session: Pick<OneSession, 'query'>): Promise<AppliedMigration[]> {
  const [kept] = await session.query<{ is_kept: boolean }>(
    `SELECT to_regclass(quote_ident(current_schema()) || '.schema_version') IS NOT NULL AS is_kept`,
  );
  if (kept?.is_kept !== true) return [];
  const rows = await session.query<{ version: bigint; marker: string | null }>(
    `SELECT version, to_jsonb(schema_version) ->> 'compatible_with' AS marker FROM schema_version`,
  );
  return rows.map(({ version, marker }) => ({ version: Number(version), compatibleWith: marker === null ? null : Number(marker) }));
}

/** Looks at the database by a session, within whatever transaction that is in. Closing it closes the session. */
export async function inspectSession(session: OneSession): Promise<StoreInspection> {
  const { reader } = session;
  const records = makeRecordReads({ general: reader, lookups: reader, pulse: reader }, undefined);
  return {
    schema: schemaStateOf(await appliedIn(session), loadMigrations('postgres')),
    records,
    lastBatchMs: async () => {
      const [row] = await session.query<{ last_ms: bigint | null }>('SELECT max(at_ms) AS last_ms FROM batches');
      return row?.last_ms === null || row?.last_ms === undefined ? null : Number(row.last_ms);
    },
    verify: (witness): Promise<Verification> => verify(reader, witness),
    close: () => session.close(),
  };
}

/** Looks at the database at `url`, in one snapshot for as long as it is open, together with the server's own word. */
export async function inspectPostgres(url: string): Promise<{ inspection: StoreInspection; facts: PostgresFacts }> {
  const session = await openOneSession({ url, name: 'castellan command' });
  try {
    const facts = await factsOf(session);
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return { inspection: await inspectSession(session), facts };
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function factsOf(session: OneSession): Promise<PostgresFacts> {
  const [row] = await session.query<{
    version: string;
    version_number: string;
    encoding: string;
    synchronous_commit: string;
    fsync: string;
    now_ms: bigint;
    may_create: boolean | null;
    max_connections: string;
    used_connections: bigint;
  }>(`
    SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS version_number,
           current_setting('server_encoding') AS encoding, current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('fsync') AS fsync, ${SERVER_NOW_MS} AS now_ms,
           has_schema_privilege(current_schema(), 'CREATE') AS may_create, current_setting('max_connections') AS max_connections,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used_connections`);
  return {
    version: row?.version ?? '',
    versionNumber: Number(row?.version_number),
    encoding: row?.encoding ?? '',
    synchronousCommit: row?.synchronous_commit ?? '',
    fsync: row?.fsync ?? '',
    nowMs: Number(row?.now_ms),
    mayCreate: row?.may_create === true,
    maxConnections: Number(row?.max_connections),
    usedConnections: Number(row?.used_connections),
  };
}
