import type { Database } from 'better-sqlite3';
import type { ApiKey, RecordKind, RecordTypes } from '../../../core/records.ts';
import { eventFromRow, type EventRow } from '../../_shared/journal-rows.ts';
import { RECORD_TABLES, recordFromBody } from '../../_shared/record-tables.ts';
import { reportFromRow, type ReportRow } from '../../_shared/report-row.ts';
import type { Queries } from '../messages.ts';

/** The statements of the record queries, with the index that each relies on. Records of a kind by id come from its primary key. */
export const RECORD_SQL = {
  /** By api_keys_deleted_hash; of several under one hash the one that was deleted last. */
  deletedKeyByHash: 'SELECT body FROM api_keys WHERE hash = ? AND deleted_at_ms IS NOT NULL ORDER BY deleted_at_ms DESC LIMIT 1',
  /** By usage_reports_quarantined, which gives the order as well; the primary key would lead past every event that was booked. */
  quarantinedReports:
    'SELECT * FROM usage_reports INDEXED BY usage_reports_quarantined WHERE reporter_id = ? AND reason IS NOT NULL AND event_id > ? ORDER BY event_id LIMIT ?',
  /** By api_keys_hash, then by api_keys_previous_hash. */
  keyByHash: `SELECT body FROM api_keys WHERE hash = @hash AND deleted_at_ms IS NULL
    UNION ALL SELECT body FROM api_keys WHERE previous_hash = @hash AND deleted_at_ms IS NULL LIMIT 1`,
  /** By api_keys_of_kind, which gives the order as well. */
  keysOfKind: `SELECT id, body FROM api_keys
    WHERE tenant_id = ? AND kind = ? AND deleted_at_ms IS NULL AND id > ? ORDER BY id LIMIT ?`,
  /** By primary key for each id; deleted keys count too. */
  keyNames: 'SELECT id, name FROM api_keys WHERE id IN (SELECT value FROM json_each(?)) AND tenant_id = ?',
  /** By api_keys_of_tenant. */
  keysOfTenant: 'SELECT body FROM api_keys WHERE tenant_id = ? AND deleted_at_ms IS NULL ORDER BY id',
  /** By members_of_tenant. */
  membersOfTenant: 'SELECT body FROM members WHERE tenant_id = ? ORDER BY id',
  /** By policies_of_tenant, which gives the order as well. */
  policiesOfTenant: 'SELECT body FROM policies WHERE tenant_id = ? ORDER BY id',
  /** By webhooks_of_tenant, which gives the order as well. */
  webhooksOfTenant: 'SELECT body FROM webhooks WHERE tenant_id = ? ORDER BY id',
  /** By balance_credits_of_tenant, which gives the order as well. */
  creditsOfTenant: 'SELECT body FROM balance_credits WHERE tenant_id = ? ORDER BY id',
  /** The same from the other end. */
  credits: 'SELECT body FROM balance_credits WHERE tenant_id = ? AND id < ? ORDER BY id DESC LIMIT ?',
  /** By statements_of_tenant, which gives the order as well. */
  statementsOfTenant: 'SELECT body FROM statements WHERE tenant_id = ? ORDER BY id',
  /** By bill_corrections_of_tenant, which gives the order as well. */
  correctionsOfTenant: 'SELECT body FROM bill_corrections WHERE tenant_id = ? ORDER BY id',
  /** By bill_links_of_tenant, which gives the order as well. */
  billLinksOfTenant: 'SELECT body FROM bill_links WHERE tenant_id = ? ORDER BY id',
  /** By containers_of_tenant, which gives the order as well. */
  containersOfTenant: 'SELECT body FROM containers WHERE tenant_id = ? ORDER BY id',
  /** By secrets_by_tenant, which gives the order as well. */
  secretsOfTenant: 'SELECT body FROM secrets WHERE tenant_id = ? ORDER BY id',
  /** By registry_credentials_by_tenant, which gives the order as well. */
  registryCredentialsOfTenant: 'SELECT body FROM registry_credentials WHERE tenant_id = ? ORDER BY id',
  /** By domains_of_tenant, which gives the order as well. */
  domainsOfTenant: 'SELECT body FROM domains WHERE tenant_id = ? ORDER BY id',
  /** By ssh_keys_by_tenant, which gives the order as well. */
  sshKeysOfTenant: 'SELECT body FROM ssh_keys WHERE tenant_id = ? ORDER BY id',
  generation: 'SELECT generation FROM store_state',
  /** By events_of_tenant, which gives the order as well. */
  events: 'SELECT * FROM events WHERE tenant_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?',
  /** By events_of_type, which gives the order as well. */
  eventsOfType: 'SELECT * FROM events WHERE tenant_id = ? AND seq < ? AND type = ? ORDER BY seq DESC LIMIT ?',
} as const;

type RecordQueries = Pick<
  Queries,
  'record' | 'records' | 'keyByHash' | 'deletedKeyByHash' | 'quarantinedReports' | 'keys' | 'keyNames' | 'credits' | 'events' | 'generation'
>;

/** Behind every id. */
const LAST_ID = '\u{10FFFF}';

interface BodyRow {
  readonly id: string;
  readonly body: string;
}

/** Queries of records, prepared on a reading connection. */
export function makeRecordQueries(db: Database): RecordQueries {
  const kinds = Object.keys(RECORD_TABLES) as RecordKind[];
  const byId = new Map(
    kinds.map((kind) => [kind, db.prepare<[string], string>(`SELECT body FROM ${RECORD_TABLES[kind].table} WHERE id = ?`).pluck()]),
  );
  const all = new Map(kinds.map((kind) => [kind, db.prepare<[], string>(sqlForAll(kind)).pluck()]));
  const ofTenant = new Map<RecordKind, { all: (tenantId: string) => string[] }>([
    ['key', db.prepare<[string], string>(RECORD_SQL.keysOfTenant).pluck()],
    ['member', db.prepare<[string], string>(RECORD_SQL.membersOfTenant).pluck()],
    ['policy', db.prepare<[string], string>(RECORD_SQL.policiesOfTenant).pluck()],
    ['credit', db.prepare<[string], string>(RECORD_SQL.creditsOfTenant).pluck()],
    ['webhook', db.prepare<[string], string>(RECORD_SQL.webhooksOfTenant).pluck()],
    ['statement', db.prepare<[string], string>(RECORD_SQL.statementsOfTenant).pluck()],
    ['bill-link', db.prepare<[string], string>(RECORD_SQL.billLinksOfTenant).pluck()],
    ['container', db.prepare<[string], string>(RECORD_SQL.containersOfTenant).pluck()],
    ['secret', db.prepare<[string], string>(RECORD_SQL.secretsOfTenant).pluck()],
    ['registry-credential', db.prepare<[string], string>(RECORD_SQL.registryCredentialsOfTenant).pluck()],
    ['domain', db.prepare<[string], string>(RECORD_SQL.domainsOfTenant).pluck()],
    ['ssh-key', db.prepare<[string], string>(RECORD_SQL.sshKeysOfTenant).pluck()],
    ['bill-correction', db.prepare<[string], string>(RECORD_SQL.correctionsOfTenant).pluck()],
  ]);
  const keyByHash = db.prepare<[{ hash: string }], string>(RECORD_SQL.keyByHash).pluck();
  const deletedKeyByHash = db.prepare<[string], string>(RECORD_SQL.deletedKeyByHash).pluck();
  const quarantinedReports = db.prepare<[string, string, number], ReportRow>(RECORD_SQL.quarantinedReports);
  const keysOfKind = db.prepare<[string, string, string, number], BodyRow>(RECORD_SQL.keysOfKind);
  const events = db.prepare<[string, number, number], EventRow>(RECORD_SQL.events);
  const eventsOfType = db.prepare<[string, number, string, number], EventRow>(RECORD_SQL.eventsOfType);
  const keyNames = db.prepare<[string, string], { id: string; name: string }>(RECORD_SQL.keyNames);
  const credits = db.prepare<[string, string, number], string>(RECORD_SQL.credits).pluck();
  const generation = db.prepare<[], number>(RECORD_SQL.generation).pluck();

  return {
    record: <K extends RecordKind>(kind: K, id: string) => {
      const body = byId.get(kind)?.get(id);
      return body === undefined ? undefined : recordFromBody<K>(body);
    },
    records: <K extends RecordKind>(kind: K, tenantId?: string) => {
      const bodies = tenantId === undefined ? (all.get(kind)?.all() ?? []) : bodiesOfTenant(ofTenant, kind, tenantId);
      return bodies.map((body): RecordTypes[K] => recordFromBody<K>(body));
    },
    keyByHash: (hash) => {
      const body = keyByHash.get({ hash });
      return body === undefined ? undefined : recordFromBody<'key'>(body);
    },
    deletedKeyByHash: (hash) => {
      const body = deletedKeyByHash.get(hash);
      return body === undefined ? undefined : recordFromBody<'key'>(body);
    },
    quarantinedReports: ({ reporterId, afterEventId, limit }) =>
      quarantinedReports.all(reporterId, afterEventId ?? '', limit).map(reportFromRow),
    // In one snapshot, for a key of each kind may be deleted meanwhile.
    keys: db.transaction(({ tenantId, kinds: wanted, afterId, limit }: Parameters<Queries['keys']>[0]): ApiKey[] => {
      // A negative limit is none.
      const rows = wanted.flatMap((kind) => keysOfKind.all(tenantId, kind, afterId ?? '', limit ?? -1));
      const inOrder = wanted.length === 1 ? rows : rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      return inOrder.slice(0, limit).map(({ body }) => recordFromBody<'key'>(body));
    }),
    keyNames: (tenantId, keyIds) => new Map(keyNames.all(JSON.stringify(keyIds), tenantId).map(({ id, name }) => [id, name])),
    credits: ({ tenantId, beforeId = LAST_ID, limit }) =>
      credits.all(tenantId, beforeId, limit).map((body) => recordFromBody<'credit'>(body)),
    events: ({ tenantId, type, beforeSeq = Number.MAX_SAFE_INTEGER, limit }) =>
      (type === undefined ? events.all(tenantId, beforeSeq, limit) : eventsOfType.all(tenantId, beforeSeq, type, limit)).map(eventFromRow),
    generation: () => generation.get() ?? 0,
  };
}

const sqlForAll = (kind: RecordKind): string =>
  `SELECT body FROM ${RECORD_TABLES[kind].table} ${kind === 'key' ? 'WHERE deleted_at_ms IS NULL' : ''} ORDER BY id`;

function bodiesOfTenant(
  ofTenant: ReadonlyMap<RecordKind, { all: (tenantId: string) => string[] }>,
  kind: RecordKind,
  tenantId: string,
): string[] {
  const statement = ofTenant.get(kind);
  if (statement === undefined) throw new TypeError(`records of the kind ${kind} belong to no tenant`);
  return statement.all(tenantId);
}
