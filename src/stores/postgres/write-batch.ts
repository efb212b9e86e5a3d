import type { AccountId } from '../../core/ledger/account.ts';
import { invariant } from '../../core/invariant.ts';
import type { RecordKind } from '../../core/records.ts';
import { idempotencyMapKey, type Changes, type RecordChange } from '../../core/working-set.ts';
import { adoptedHash, chainEntries, CHAINED_AUDIT_COLUMNS } from '../_shared/audit-chain.ts';
import { ACCOUNT_COLUMNS, ACCOUNT_STATE_COLUMNS, accountStateValues, accountValues } from '../_shared/account-row.ts';
import { JOURNAL_SUM_MASK, journalSums } from '../_shared/checksums.ts';
import {
  AUDIT_COLUMNS,
  trailValues,
  ENTRY_COLUMNS,
  entryValues,
  EVENT_COLUMNS,
  eventValues,
  IDEMPOTENCY_COLUMNS,
  idempotencyValues,
} from '../_shared/journal-rows.ts';
import { RECORD_TABLES, recordColumns, recordValues } from '../_shared/record-tables.ts';
import { REPORT_COLUMNS, REPORT_STATE_COLUMNS, reportValues } from '../_shared/report-row.ts';
import {
  answersByReservation,
  RESERVATION_COLUMNS,
  RESERVATION_STATE_COLUMNS,
  reservationFixedValues,
  legsToText,
  reservationStateValues,
} from '../_shared/reservation-row.ts';
import { OBJECT_COLUMNS, objectValues } from '../_shared/upstream-object-row.ts';
import { addToSample, SAMPLE_COLUMNS, sampleValues } from '../_shared/sample-row.ts';
import { USAGE_COLUMNS, usageValues } from '../_shared/usage-row.ts';
import { ACCOUNT_ID, arrayText, columnArrays, compareBytes, unnest, type ColumnValue, storableText } from './columns.ts';
import type { Request } from './exchange.ts';
import type { Session } from './session.ts';
import type { Statement } from './statement.ts';

/** Inserts rows given as one array for each column. */
const insertMany = (table: string, columns: readonly string[], tail = ''): Statement => ({
  name: `insert_${table}`,
  text: `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM ${unnest(columns, 'x')} ${tail}`,
});

/** Sets `columns` of the rows whose `key` is given with them. Index: the primary key. */
const updateMany = (table: string, key: string, columns: readonly string[]): Statement => ({
  name: `update_${table}`,
  text: `
    UPDATE ${table} AS t SET ${columns.map((column) => `${column} = x.${column}`).join(', ')}
    FROM ${unnest([key, ...columns], 'x')} WHERE t.${key} = x.${key}`,
});

const INSERT_ACCOUNTS = insertMany('accounts', [...ACCOUNT_COLUMNS, 'journal_sum'], `RETURNING no, ${ACCOUNT_ID} AS id`);
// `journal_sum` is given as what the batch adds to it.
const UPDATE_ACCOUNTS: Statement = {
  name: 'update_accounts',
  text: `
    UPDATE accounts AS t SET ${ACCOUNT_STATE_COLUMNS.map((column) => `${column} = x.${column}`).join(', ')},
      journal_sum = (t.journal_sum + x.journal_sum) & ${JOURNAL_SUM_MASK}
    FROM ${unnest(['no', ...ACCOUNT_STATE_COLUMNS, 'journal_sum'], 'x')} WHERE t.no = x.no`,
};
const INSERT_ENTRIES = insertMany('ledger_entries', ENTRY_COLUMNS);
const INSERT_RESERVATIONS = insertMany('reservations', RESERVATION_COLUMNS);
const UPDATE_RESERVATIONS = updateMany('reservations', 'id', RESERVATION_STATE_COLUMNS);
const UPDATE_LEGS: Statement = { ...updateMany('reservations', 'id', ['legs']), name: 'update_reservation_legs' };
const INSERT_IDEMPOTENCY = insertMany('idempotency', IDEMPOTENCY_COLUMNS);
const RATE_COLUMNS = ['tenant_id', 'policy_id', 'kind', 'minute', 'count'] as const;
const INSERT_RATES = insertMany('rate_windows', RATE_COLUMNS);
// Index: rate_windows_pkey.
const UPDATE_RATES: Statement = {
  name: 'update_rate_windows',
  text: `
    UPDATE rate_windows AS t SET minute = x.minute, count = x.count
    FROM ${unnest(RATE_COLUMNS, 'x')} WHERE t.tenant_id = x.tenant_id AND t.policy_id = x.policy_id AND t.kind = x.kind`,
};
const INSERT_USAGE = insertMany('usage_tail', USAGE_COLUMNS);
const INSERT_REPORTS = insertMany('usage_reports', REPORT_COLUMNS);
// Index: usage_reports_pkey.
const UPDATE_REPORTS: Statement = {
  name: 'update_usage_reports',
  text: `
    UPDATE usage_reports AS t SET ${REPORT_STATE_COLUMNS.map((column) => `${column} = x.${column}`).join(', ')}
    FROM ${unnest(REPORT_COLUMNS, 'x')} WHERE t.reporter_id = x.reporter_id AND t.event_id = x.event_id`,
};
const INSERT_EVENTS = insertMany('events', EVENT_COLUMNS);
const INSERT_AUDIT = insertMany('audit', CHAINED_AUDIT_COLUMNS);
// The heads of chains are locked after every other class but the generation, in the order of their tenants. Index: audit_heads_pkey.
const LOCK_AUDIT_HEADS: Statement = {
  name: 'lock_audit_heads',
  text: 'SELECT tenant_id, no, hash FROM audit_heads WHERE tenant_id = ANY ($1::text[]) ORDER BY tenant_id FOR UPDATE',
};
// Index: audit_of_tenant.
const UNLINKED_AUDIT: Statement = {
  name: 'unlinked_audit',
  text: `SELECT ${AUDIT_COLUMNS.join(', ')} FROM audit WHERE tenant_id = $1 AND no IS NULL ORDER BY seq`,
};
const PUT_AUDIT_HEADS = insertMany(
  'audit_heads',
  ['tenant_id', 'no', 'hash'],
  'ON CONFLICT (tenant_id) DO UPDATE SET no = excluded.no, hash = excluded.hash WHERE audit_heads.no < excluded.no',
);

// An answer whose time is over makes room for a new one to the same key. Index: idempotency_pkey.
const DELETE_EXPIRED_IDEMPOTENCY: Statement = {
  name: 'delete_expired_idempotency',
  text: `
    DELETE FROM idempotency i USING unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS x(tenant_id, operation, target, key)
    WHERE (i.tenant_id, i.operation, i.target, i.key) = (x.tenant_id, x.operation, x.target, x.key) AND i.expires_at_ms <= $5::bigint`,
};

const OBJECT_UPDATES = OBJECT_COLUMNS.slice(2).map((column) => `${column} = excluded.${column}`);
const PUT_OBJECTS = insertMany(
  'upstream_objects',
  OBJECT_COLUMNS,
  `ON CONFLICT (tenant_id, id) DO UPDATE SET ${OBJECT_UPDATES.join(', ')}`,
);

// Index: upstream_objects_pkey.
const DELETE_OBJECTS: Statement = {
  name: 'delete_upstream_objects',
  text: `
    DELETE FROM upstream_objects o USING unnest($1::text[], $2::text[]) AS x(tenant_id, id)
    WHERE (o.tenant_id, o.id) = (x.tenant_id, x.id)`,
};

// Nodes write the same keys, each in the order of their ids, and the later moment stays.
const PUT_KEY_USES = insertMany(
  'key_uses',
  ['key_id', 'last_used_at_ms'],
  'ON CONFLICT (key_id) DO UPDATE SET last_used_at_ms = greatest(key_uses.last_used_at_ms, excluded.last_used_at_ms)',
);

// Index: container_samples_pkey.
const ADD_SAMPLES = insertMany(
  'container_samples',
  SAMPLE_COLUMNS,
  `ON CONFLICT (container_id, level_ms, bucket_ms) DO UPDATE SET ${addToSample('greatest')}`,
);

const putRecords = (kind: RecordKind): Statement => {
  const columns = recordColumns(kind);
  const set = columns.slice(1).map((column) => `${column} = excluded.${column}`);
  const { table } = RECORD_TABLES[kind];
  return insertMany(table, columns, `ON CONFLICT (id) DO UPDATE SET ${set.join(', ')}`);
};

// Taken after everything else: batches that change records pass here one after another, and hold it for no longer than their COMMIT.
const BUMP_GENERATION: Statement = { name: 'bump_generation', text: 'UPDATE generation SET value = value + 1' };

const INSERT_BATCH: Statement = { name: 'insert_batch', text: 'INSERT INTO batches (id, at_ms) VALUES ($1, $2)' };

/** Rows sorted by the text of their first `keyWidth` values: every batch makes new keys in the same order, so none waits in a ring. */
const sortedByKey = (rows: readonly ColumnValue[][], keyWidth: number): ColumnValue[][] =>
  rows.length < 2 ? [...rows] : rows.toSorted((a, b) => compareBytes(a.slice(0, keyWidth).join('|'), b.slice(0, keyWidth).join('|')));

const writeRows = (statement: Statement, rows: readonly (readonly ColumnValue[])[]): Request => ({
  statement,
  values: columnArrays(rows, rows[0]?.length ?? 0),
});

function recordRequests(changes: readonly RecordChange[]): Request[] {
  const requests: Request[] = [];
  for (const kind of Object.keys(RECORD_TABLES) as RecordKind[]) {
    const ofKind = changes.filter((change) => change.kind === kind);
    const puts = ofKind.flatMap((change) => (change.record === null ? [] : [recordValues(change.kind, change.id, change.record)]));
    const removed = ofKind.filter((change) => change.record === null).map((change) => change.id);
    if (removed.length > 0) {
      const { table } = RECORD_TABLES[kind];
      requests.push({
        statement: { name: `delete_${table}`, text: `DELETE FROM ${table} WHERE id = ANY ($1::text[])` },
        values: [arrayText(removed)],
      });
    }
    if (puts.length > 0)
      requests.push(
        writeRows(
          putRecords(kind),
          sortedByKey(
            puts.map((row) => [...row]),
            1,
          ),
        ),
      );
  }
  if (changes.length > 0) requests.push({ statement: BUMP_GENERATION });
  return requests;
}

function objectRequests(puts: Changes['upstreamObjects']): Request[] {
  const kept = puts.flatMap(({ object }) => (object === null ? [] : [objectValues(object)]));
  const gone = puts.flatMap(({ tenantId, id, object }) => (object === null ? [[tenantId, id]] : []));
  return [
    ...(kept.length === 0 ? [] : [writeRows(PUT_OBJECTS, sortedByKey(kept, 2))]),
    ...(gone.length === 0 ? [] : [writeRows(DELETE_OBJECTS, sortedByKey(gone, 2))]),
  ];
}

function reservationRequests({ reservations, idempotency }: Changes, numberOf: (id: AccountId) => bigint): Request[] {
  const requests: Request[] = [];
  const answers = answersByReservation(idempotency);
  const created: ColumnValue[][] = [];
  const changed: ColumnValue[][] = [];
  const joined: ColumnValue[][] = [];
  for (const { reservation, isNew, hasNewLegs } of reservations) {
    if (hasNewLegs) joined.push([reservation.id, legsToText(reservation.legs, numberOf)]);
    const { made, ended } = answers.get(reservation.id) ?? {};
    const state = reservationStateValues(reservation, ended);
    if (isNew) created.push([...reservationFixedValues(reservation, numberOf, made), ...state]);
    else changed.push([reservation.id, ...state]);
  }
  if (created.length > 0) requests.push(writeRows(INSERT_RESERVATIONS, sortedByKey(created, 1)));
  if (changed.length > 0) requests.push(writeRows(UPDATE_RESERVATIONS, changed));
  if (joined.length > 0) requests.push(writeRows(UPDATE_LEGS, joined));
  return requests;
}

function idempotencyRequests(changes: Changes['idempotency'], answeredKeys: ReadonlySet<string>, nowMs: number): Request[] {
  const inTable = changes.filter(({ record }) => record.keptBy === undefined);
  if (inTable.length === 0) return [];
  // The last of several answers to the same key counts.
  const rowsByKey = new Map(inTable.map(({ ref, record }) => [idempotencyMapKey(ref), idempotencyValues(ref, record)]));
  const rows = sortedByKey([...rowsByKey.values()], 4);
  const replaced = sortedByKey(
    [...rowsByKey].filter(([key]) => answeredKeys.has(key)).map(([, row]) => row),
    4,
  );
  const insert = writeRows(INSERT_IDEMPOTENCY, rows);
  return replaced.length === 0
    ? [insert]
    : [{ statement: DELETE_EXPIRED_IDEMPOTENCY, values: [...columnArrays(replaced, 4), nowMs] }, insert];
}

function rateRequests(changes: Changes['rates']): Request[] {
  const rowsOf = (isNew: boolean): ColumnValue[][] =>
    changes
      .filter((change) => change.isNew === isNew)
      .map(({ ref, window }) => [ref.tenantId, ref.policyId, ref.kind, window.minute, window.count]);
  const created = rowsOf(true);
  const changed = rowsOf(false);
  return [
    ...(created.length === 0 ? [] : [writeRows(INSERT_RATES, sortedByKey(created, 3))]),
    ...(changed.length === 0 ? [] : [writeRows(UPDATE_RATES, changed)]),
  ];
}

function reportRequests(changes: Changes['reports']): Request[] {
  const requests: Request[] = [];
  const created = changes.filter(({ isNew }) => isNew).map(({ report }) => reportValues(report));
  const changed = changes.filter(({ isNew }) => !isNew).map(({ report }) => reportValues(report));
  if (created.length > 0) requests.push(writeRows(INSERT_REPORTS, sortedByKey(created, 2)));
  if (changed.length > 0) requests.push(writeRows(UPDATE_REPORTS, changed));
  return requests;
}

/** Inserts the accounts that the batch made and adds their numbers to `accountNos`; the other rows need them. */
export async function writeNewAccounts(session: Session, changes: Changes, accountNos: Map<AccountId, bigint>): Promise<void> {
  const created = changes.accounts.filter(({ isNew }) => isNew).map(({ account }) => account);
  if (created.length === 0) return;
  const sums = journalSums(changes.entries, storableText);
  const rows = created
    .toSorted((a, b) => compareBytes(a.id, b.id))
    .map((account) => [...accountValues(account), sums.get(account.id) ?? 0]);
  const [answer] = await session.send([writeRows(INSERT_ACCOUNTS, rows)]);
  for (const { no, id } of (answer?.rows ?? []) as unknown as { no: bigint; id: AccountId }[]) accountNos.set(id, no);
}

/**
 * Links the trail's new rows to those before them, which locks the heads of their chains. Two batches that begin the same chain meet in the
 * unique index of its places, and the second runs again.
 */
export async function linkAudit(session: Session, entries: Changes['audit']): Promise<Request[]> {
  if (entries.length === 0) return [];
  const tenants = [...new Set(entries.map(({ tenantId }) => tenantId))];
  const [answer] = await session.send([{ statement: LOCK_AUDIT_HEADS, values: [arrayText(tenants)] }]);
  const known = new Map(
    ((answer?.rows ?? []) as unknown as { tenant_id: string; no: bigint; hash: string }[]).map(({ tenant_id: id, no, hash }) => [
      id,
      { no: Number(no), hash },
    ]),
  );
  for (const tenantId of tenants) {
    if (known.has(tenantId)) continue;
    const [unlinked] = await session.send([{ statement: UNLINKED_AUDIT, values: [tenantId] }]);
    const rows = (unlinked?.rows ?? []) as unknown as Record<string, string | number | bigint | null>[];
    known.set(tenantId, { no: 0, hash: adoptedHash(rows.map(trailValues)) });
  }
  const { rows, heads } = chainEntries(entries, (tenantId) => known.get(tenantId) ?? { no: 0, hash: '' }, storableText);
  const ends = [...heads].map(([tenantId, { no, hash }]) => [tenantId, no, hash]);
  return [writeRows(INSERT_AUDIT, rows), writeRows(PUT_AUDIT_HEADS, sortedByKey(ends, 1))];
}

/** The statements that write what a batch changed, but for accounts that it made. Journal and balances go in the same transaction. */
export function writeRequests(options: {
  batchId: string;
  changes: Changes;
  accountNos: ReadonlyMap<AccountId, bigint>;
  answeredKeys: ReadonlySet<string>;
  /** As {@link linkAudit} gives them. */
  audit: readonly Request[];
  nowMs: number;
}): Request[] {
  const { changes, nowMs } = options;
  const numberOf = (id: AccountId): bigint => {
    const no = options.accountNos.get(id);
    invariant(no !== undefined, `account ${id} has no number`);
    return no;
  };
  const requests: Request[] = [];
  const accounts = changes.accounts.filter(({ isNew }) => !isNew);
  if (accounts.length > 0) {
    const sums = journalSums(changes.entries, storableText);
    const rows = accounts.map(({ account }) => [numberOf(account.id), ...accountStateValues(account), sums.get(account.id) ?? 0]);
    requests.push(writeRows(UPDATE_ACCOUNTS, rows));
  }
  if (changes.entries.length > 0)
    requests.push(
      writeRows(
        INSERT_ENTRIES,
        changes.entries.map((entry) => entryValues(entry, numberOf(entry.accountId))),
      ),
    );
  requests.push(
    ...reservationRequests(changes, numberOf),
    ...rateRequests(changes.rates),
    ...idempotencyRequests(changes.idempotency, options.answeredKeys, nowMs),
  );
  if (changes.usage.length > 0) requests.push(writeRows(INSERT_USAGE, sortedByKey(changes.usage.map(usageValues), 1)));
  requests.push(...reportRequests(changes.reports));
  requests.push(...objectRequests(changes.upstreamObjects));
  if (changes.keyUses.length > 0) {
    const rows = changes.keyUses.map(({ keyId, atMs }) => [keyId, atMs]);
    requests.push(writeRows(PUT_KEY_USES, sortedByKey(rows, 1)));
  }
  if (changes.containerSamples.length > 0)
    requests.push(writeRows(ADD_SAMPLES, sortedByKey(changes.containerSamples.map(sampleValues), 3)));
  if (changes.events.length > 0) requests.push(writeRows(INSERT_EVENTS, changes.events.map(eventValues)));
  requests.push(...options.audit);
  requests.push({ statement: INSERT_BATCH, values: [options.batchId, nowMs] }, ...recordRequests(changes.records));
  return requests;
}

/** Whether a batch changed anything at all. */
export const hasChanges = (changes: Changes): boolean => Object.values(changes).some((list) => (list as readonly unknown[]).length > 0);
