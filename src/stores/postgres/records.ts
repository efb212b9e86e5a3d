import type { Account, AccountId } from '../../core/ledger/account.ts';
import type { ApiKey, RecordKind, RecordTypes } from '../../core/records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { AuditReads } from '../../ports/audit-reads.ts';
import type { GovernanceReads } from '../../ports/governance-reads.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { ACCOUNT_COLUMNS, accountFromRow, type AccountRow } from '../_shared/account-row.ts';
import { eventFromRow, type EventRow } from '../_shared/journal-rows.ts';
import { RECORD_TABLES, recordFromBody, TENANT_KINDS } from '../_shared/record-tables.ts';
import { REPORT_COLUMNS, reportFromRow, type ReportRow } from '../_shared/report-row.ts';
import { readable, RESERVATION_OWN_COLUMNS, reservationFromRow, type ReservationRow } from '../_shared/reservation-row.ts';
import { OBJECT_COLUMNS, objectFromRow, type ObjectRow } from '../_shared/upstream-object-row.ts';
import { makeBudgetReads } from './budget-reads.ts';
import { ACCOUNT_ID, arrayText } from './columns.ts';
import { EVENT_FIELDS } from './event-lists.ts';
import { makeSampleReads } from './sample-reads.ts';
import { SERVER_NOW_MS, type Statement } from './statement.ts';
import type { Reader } from './reader.ts';

interface BodyRow {
  readonly body: string;
}

// Index: accounts_id.
const ACCOUNTS: Statement = {
  name: 'accounts',
  text: `SELECT no, ${ACCOUNT_COLUMNS.join(', ')} FROM accounts WHERE ${ACCOUNT_ID} = ANY ($1::text[])`,
};

// Reservations with the ids of their legs' accounts: `numbers` gives [[number, id], ...]. Indexes: reservations_pkey, accounts_pkey.
const withLegAccounts = (reservations: string): string => `
  SELECT r.*, (
    SELECT json_agg(json_build_array(no, ${ACCOUNT_ID})) FROM accounts
    WHERE no IN (SELECT (leg ->> 0)::bigint FROM json_array_elements(r.legs) AS leg)
  ) AS numbers
  FROM (SELECT ${RESERVATION_OWN_COLUMNS.join(', ')} FROM reservations ${reservations}) AS r`;

const RESERVATION: Statement = { name: 'reservation', text: withLegAccounts('WHERE id = $1') };

// What holds is found among the active, what has expired among the uncharged. Indexes: reservations_expiry, reservations_uncharged.
const UNSETTLED_CALLS: Statement = {
  name: 'unsettled_calls',
  text: `${withLegAccounts(`
    WHERE (state = 'ACTIVE' OR state = 'EXPIRED' AND settled_at_ms IS NULL) AND purpose = 'call' AND owner_id <> ALL ($1::text[])
    ORDER BY id LIMIT $2`)} ORDER BY r.id`,
};

// By the server's time, asked once, unless $1 replaces it. Index: reservations_expiry.
const EXPIRED_RESERVATIONS: Statement = {
  name: 'expired_reservations',
  text: `
    SELECT id, tenant_id FROM reservations
    WHERE state = 'ACTIVE' AND expires_at_ms + grace_ms < (SELECT coalesce($1::bigint, ${SERVER_NOW_MS}))
      AND id <> ALL ($3::text[])
    ORDER BY expires_at_ms + grace_ms, id LIMIT $2`,
};

// Indexes: api_keys_hash, then api_keys_previous_hash.
const KEY_BY_HASH: Statement = {
  name: 'key_by_hash',
  text: `
    SELECT body FROM api_keys WHERE hash = $1 AND deleted_at_ms IS NULL
    UNION ALL SELECT body FROM api_keys WHERE previous_hash = $1 AND deleted_at_ms IS NULL LIMIT 1`,
};

// Index: api_keys_deleted_hash.
const DELETED_KEY_BY_HASH: Statement = {
  name: 'deleted_key_by_hash',
  text: 'SELECT body FROM api_keys WHERE hash = $1 AND deleted_at_ms IS NOT NULL ORDER BY deleted_at_ms DESC LIMIT 1',
};

// Index: usage_reports_quarantined.
const QUARANTINED_REPORTS: Statement = {
  name: 'quarantined_reports',
  text: `
    SELECT ${REPORT_COLUMNS.join(', ')} FROM usage_reports WHERE reporter_id = $1 AND reason IS NOT NULL AND event_id > $2
    ORDER BY event_id LIMIT $3`,
};

// At most $4 rows of each kind, in their order. Index: api_keys_of_kind, in whose words the order stands.
const KEYS: Statement = {
  name: 'keys',
  text: `
    SELECT k.body FROM unnest($2::text[]) AS wanted(kind) CROSS JOIN LATERAL (
      SELECT id, body FROM api_keys
      WHERE tenant_id = $1 AND kind = wanted.kind AND deleted_at_ms IS NULL AND id || '' > $3
      ORDER BY id || '' LIMIT $4
    ) AS k ORDER BY k.id LIMIT $4`,
};

// Newest first. Index: events_of_tenant, in whose words the order stands.
const EVENTS: Statement = {
  name: 'events',
  text: `SELECT ${EVENT_FIELDS} FROM events WHERE tenant_id = $1 AND -seq > -$2::bigint ORDER BY -seq LIMIT $3`,
};

// The same of one type. Index: events_of_type.
const EVENTS_OF_TYPE: Statement = {
  name: 'events_of_type',
  text: `SELECT ${EVENT_FIELDS} FROM events WHERE tenant_id = $1 AND type = $4 AND -seq > -$2::bigint ORDER BY -seq LIMIT $3`,
};

// Index: api_keys_pkey.
const KEY_NAMES: Statement = { name: 'key_names', text: 'SELECT id, name FROM api_keys WHERE id = ANY ($2::text[]) AND tenant_id = $1' };

// Index: upstream_objects_pkey.
const UPSTREAM_OBJECTS: Statement = {
  name: 'upstream_objects',
  text: `SELECT ${OBJECT_COLUMNS.join(', ')} FROM upstream_objects WHERE tenant_id = $1 AND id = ANY ($2::text[])`,
};

// Newest first. Index: balance_credits_of_tenant.
const CREDITS: Statement = {
  name: 'credits',
  text: 'SELECT body FROM balance_credits WHERE tenant_id = $1 AND ($2::text IS NULL OR id < $2) ORDER BY tenant_id DESC, id DESC LIMIT $3',
};

const GENERATION: Statement = { name: 'generation', text: 'SELECT value FROM generation' };

// Index: heartbeats_pkey. One row for each run of a process; old ones are pruned.
const HEARTBEAT: Statement = {
  name: 'heartbeat',
  text: `
    WITH moment AS (SELECT coalesce($3::bigint, ${SERVER_NOW_MS}) AS now_ms),
    mine AS (
      INSERT INTO heartbeats (owner_id, seen_at_ms) SELECT $1, now_ms FROM moment
      ON CONFLICT (owner_id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms RETURNING owner_id
    )
    SELECT owner_id FROM mine
    UNION
    SELECT owner_id FROM heartbeats CROSS JOIN moment WHERE seen_at_ms >= now_ms - $2::bigint
    ORDER BY owner_id`,
};

const reservationOf = (row: ReservationRow & { numbers: string | null }): ReturnType<typeof reservationFromRow> => {
  const ids = new Map(JSON.parse(row.numbers ?? '[]') as [number, AccountId][]);
  return reservationFromRow(row, (no) => ids.get(no) ?? (`unknown account ${no}` as AccountId));
};

/** The reads of records, accounts and reservations. */
export type RecordReads = Omit<
  RecordStore,
  | 'usageTotals'
  | 'usageSeries'
  | 'keyUsage'
  | 'usageEvents'
  | 'usageCharges'
  | 'firstUsageMs'
  | 'chargedMicrocents'
  | 'reservations'
  | keyof GovernanceReads
  | keyof AuditReads
>;

/** Connections by what must not wait behind what: `general` may be taken up for seconds. */
export interface Readers {
  readonly general: Reader;
  /** For what every call needs: its key, and records by their id. */
  readonly lookups: Reader;
  /** For the signs of life: of this run, and of changes by other nodes. */
  readonly pulse: Reader;
}

/** Makes the reads of records, accounts and reservations. `clock` replaces the server's time. */
export function makeRecordReads({ general: reader, lookups, pulse }: Readers, clock: Clock | undefined): RecordReads {
  const bodies = async <K extends RecordKind>(
    from: Reader,
    name: string,
    text: string,
    values: readonly unknown[],
  ): Promise<RecordTypes[K][]> => (await from.rows<BodyRow>({ name, text }, values)).map(({ body }) => recordFromBody<K>(body));

  return {
    ...makeBudgetReads(reader, clock),
    ...makeSampleReads(reader),
    async record(kind, id) {
      const { table } = RECORD_TABLES[kind];
      const [found] = await bodies<typeof kind>(lookups, `record_${table}`, `SELECT body FROM ${table} WHERE id = $1`, [id]);
      return found;
    },
    records(kind, tenantId) {
      const { table } = RECORD_TABLES[kind];
      const conditions = kind === 'key' ? ['deleted_at_ms IS NULL'] : [];
      const isNarrowed = tenantId !== undefined && TENANT_KINDS.has(kind);
      if (isNarrowed) conditions.push('tenant_id = $1');
      const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
      const name = `records_${table}${isNarrowed ? '_of_tenant' : ''}`;
      return bodies(reader, name, `SELECT body FROM ${table} ${where} ORDER BY id`, isNarrowed ? [tenantId] : []);
    },
    async keyByHash(hash) {
      const [row] = await lookups.rows<BodyRow>(KEY_BY_HASH, [hash]);
      return row === undefined ? undefined : recordFromBody<'key'>(row.body);
    },
    async deletedKeyByHash(hash) {
      const [row] = await lookups.rows<BodyRow>(DELETED_KEY_BY_HASH, [hash]);
      return row === undefined ? undefined : recordFromBody<'key'>(row.body);
    },
    async quarantinedReports({ reporterId, afterEventId, limit }) {
      return (await reader.rows<ReportRow>(QUARANTINED_REPORTS, [reporterId, afterEventId ?? '', limit])).map(reportFromRow);
    },
    async keys({ tenantId, kinds, afterId, limit }): Promise<ApiKey[]> {
      const rows = await reader.rows<BodyRow>(KEYS, [tenantId, arrayText(kinds), afterId ?? '', limit ?? null]);
      return rows.map(({ body }) => recordFromBody<'key'>(body));
    },
    async keyNames(tenantId, keyIds) {
      const rows = await reader.rows<{ id: string; name: string }>(KEY_NAMES, [tenantId, arrayText(keyIds)]);
      return new Map(rows.map(({ id, name }) => [id, name]));
    },
    async accounts(ids): Promise<Map<AccountId, Account>> {
      const rows = await reader.rows<AccountRow>(ACCOUNTS, [arrayText(ids)]);
      return new Map(rows.map(accountFromRow).map((account) => [account.id, account]));
    },
    async reservation(id) {
      const [row] = await reader.rows<ReservationRow & { numbers: string | null }>(RESERVATION, [id]);
      return row === undefined ? undefined : reservationOf(row);
    },
    async expiredReservations({ limit, except = [] }) {
      const rows = await reader.rows<{ id: string; tenant_id: string }>(EXPIRED_RESERVATIONS, [
        clock?.nowMs() ?? null,
        limit,
        arrayText(except),
      ]);
      return rows.map((row) => ({ id: row.id, tenantId: row.tenant_id }));
    },
    async unsettledCalls({ liveOwnerIds, limit }) {
      const rows = await reader.rows<ReservationRow & { numbers: string | null }>(UNSETTLED_CALLS, [arrayText(liveOwnerIds), limit]);
      return readable(rows, reservationOf);
    },
    credits: ({ tenantId, beforeId, limit }) => bodies<'credit'>(reader, CREDITS.name, CREDITS.text, [tenantId, beforeId ?? null, limit]),
    async events({ tenantId, type, beforeSeq = Number.MAX_SAFE_INTEGER, limit }) {
      const values = [tenantId, beforeSeq, limit];
      const rows = await (type === undefined
        ? reader.rows<EventRow>(EVENTS, values)
        : reader.rows<EventRow>(EVENTS_OF_TYPE, [...values, type]));
      return rows.map(eventFromRow);
    },
    async upstreamObjects({ tenantId, ids }) {
      return (await lookups.rows<ObjectRow>(UPSTREAM_OBJECTS, [tenantId, arrayText(ids)])).map(objectFromRow);
    },
    async generation() {
      const [row] = await pulse.rows<{ value: bigint }>(GENERATION);
      return Number(row?.value ?? 0n);
    },
    async heartbeat({ ownerId, withinMs }) {
      const rows = await pulse.rows<{ owner_id: string }>(HEARTBEAT, [ownerId, withinMs, clock?.nowMs() ?? null]);
      return rows.map((row) => row.owner_id);
    },
  };
}
