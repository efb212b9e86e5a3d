import type { Database } from 'better-sqlite3';
import { usedPercentOf } from '../../core/budgets/budget-query.ts';
import { invariant } from '../../core/invariant.ts';
import type { Account, AccountId } from '../../core/ledger/account.ts';
import type { Entry } from '../../core/ledger/entry.ts';
import type { Reservation } from '../../core/ledger/reservation.ts';
import type { RecordKind } from '../../core/records.ts';
import type { Changes, RecordChange } from '../../core/working-set.ts';
import { adoptedHash, chainEntries, CHAINED_AUDIT_COLUMNS, type ChainHead } from '../_shared/audit-chain.ts';
import { ACCOUNT_COLUMNS, ACCOUNT_STATE_COLUMNS, accountStateValues, accountValues } from '../_shared/account-row.ts';
import { JOURNAL_SUM_MASK, journalSums } from '../_shared/checksums.ts';
import {
  AUDIT_COLUMNS,
  ENTRY_COLUMNS,
  entryValues,
  EVENT_COLUMNS,
  eventValues,
  IDEMPOTENCY_COLUMNS,
  idempotencyValues,
  isPlainEntry,
  PLAIN_ENTRY_COLUMNS,
  plainEntryValues,
} from '../_shared/journal-rows.ts';
import { RECORD_TABLES, recordColumns, recordValues } from '../_shared/record-tables.ts';
import { REPORT_COLUMNS, REPORT_STATE_COLUMNS, reportValues } from '../_shared/report-row.ts';
import {
  answersByReservation,
  legsToText,
  RESERVATION_COLUMNS,
  type KeptAnswer,
  RESERVATION_FIXED_COLUMNS,
  RESERVATION_STATE_COLUMNS,
  reservationFixedValues,
  reservationStateValues,
} from '../_shared/reservation-row.ts';
import { OBJECT_COLUMNS, objectValues } from '../_shared/upstream-object-row.ts';
import { addToSample, SAMPLE_COLUMNS, sampleValues } from '../_shared/sample-row.ts';
import { USAGE_COLUMNS, usageValues } from '../_shared/usage-row.ts';
import { makeRowInserter, type BindValue } from './insert-rows.ts';
import type { WriterCaches } from './load-rows.ts';

/** Writes what a batch did, inside its transaction, and keeps the caches in step. */
export type ChangeWriter = (changes: Changes, nowMs: number) => void;

/** Prepares the statements for objects that upstreams keep. */
function makeObjectWriter(db: Database): (puts: Changes['upstreamObjects']) => void {
  const updates = OBJECT_COLUMNS.slice(2).map((column) => `${column} = excluded.${column}`);
  const put = db.prepare<BindValue[]>(
    `INSERT INTO upstream_objects (${OBJECT_COLUMNS.join(', ')}) VALUES (${OBJECT_COLUMNS.map(() => '?').join(', ')})
     ON CONFLICT (tenant_id, id) DO UPDATE SET ${updates.join(', ')}`,
  );
  const remove = db.prepare<[string, string]>('DELETE FROM upstream_objects WHERE tenant_id = ? AND id = ?');
  return (puts) => {
    for (const { tenantId, id, object } of puts) {
      if (object === null) remove.run(tenantId, id);
      else put.run(...objectValues(object));
    }
  };
}

/** Prepares the writing of the trail, each row linked to the one before of its tenant. */
function makeAuditWriter(db: Database): (entries: Changes['audit']) => void {
  const insert = makeRowInserter(db, 'audit', CHAINED_AUDIT_COLUMNS);
  const head = db.prepare<[string], { no: number; hash: string }>('SELECT no, hash FROM audit_heads WHERE tenant_id = ?');
  // By audit_of_tenant.
  const unlinked = db
    .prepare<[string], (string | number | null)[]>(
      `SELECT ${AUDIT_COLUMNS.join(', ')} FROM audit WHERE tenant_id = ? AND no IS NULL ORDER BY seq`,
    )
    .raw();
  const putHead = db.prepare<[string, number, string]>(
    'INSERT INTO audit_heads (tenant_id, no, hash) VALUES (?, ?, ?) ON CONFLICT (tenant_id) DO UPDATE SET no = excluded.no, hash = excluded.hash',
  );
  const headOf = (tenantId: string): ChainHead => head.get(tenantId) ?? { no: 0, hash: adoptedHash(unlinked.iterate(tenantId)) };
  return (entries) => {
    if (entries.length === 0) return;
    const { rows, heads } = chainEntries(entries, headOf);
    insert(rows);
    for (const [tenantId, { no, hash }] of heads) putHead.run(tenantId, no, hash);
  };
}

const assignments = (columns: readonly string[]): string => columns.map((column) => `${column} = ?`).join(', ');
const placeholders = (columns: readonly string[]): string => columns.map(() => '?').join(', ');

/** `caches` must be dropped where the transaction does not commit. */
export function makeChangeWriter(db: Database, caches: WriterCaches): ChangeWriter {
  const writeAccounts = makeAccountWriter(db, caches);
  const writeReservations = makeReservationWriter(db, caches);
  const writeRecord = makeRecordWriter(db, caches);
  const writeObjects = makeObjectWriter(db);
  const insertEntries = makeEntryInserter(db, caches);
  const insertUsage = makeRowInserter(db, 'usage_tail', USAGE_COLUMNS);
  const writeReports = makeReportWriter(db);
  const insertEvents = makeRowInserter(db, 'events', EVENT_COLUMNS);
  const writeAudit = makeAuditWriter(db);
  const putIdempotency = db.prepare<BindValue[]>(
    `INSERT OR REPLACE INTO idempotency (${IDEMPOTENCY_COLUMNS.join(', ')}) VALUES (${placeholders(IDEMPOTENCY_COLUMNS)})`,
  );
  const putRate = db.prepare<BindValue[]>(
    'INSERT OR REPLACE INTO rate_windows (tenant_id, policy_id, kind, minute, count) VALUES (?, ?, ?, ?, ?)',
  );
  const putKeyUse = db.prepare<[string, number]>(
    'INSERT INTO key_uses (key_id, last_used_at_ms) VALUES (?, ?) ON CONFLICT (key_id) DO UPDATE SET last_used_at_ms = max(last_used_at_ms, excluded.last_used_at_ms)',
  );
  const addSample = db.prepare<(string | number)[]>(
    `INSERT INTO container_samples (${SAMPLE_COLUMNS.join(', ')}) VALUES (${placeholders(SAMPLE_COLUMNS)})
     ON CONFLICT (container_id, level_ms, bucket_ms) DO UPDATE SET ${addToSample('max')}`,
  );
  const keepTime = db.prepare<[number]>('UPDATE store_state SET last_ms = ?');
  const keepTimeAndRecords = db.prepare<[number]>('UPDATE store_state SET last_ms = ?, generation = generation + 1');

  return (changes, nowMs) => {
    // First, since legs and entries name accounts by number.
    writeAccounts(changes);
    writeReservations(changes.reservations, answersByReservation(changes.idempotency));
    insertEntries(changes.entries);
    insertUsage(changes.usage.map(usageValues));
    writeReports(changes.reports);
    writeObjects(changes.upstreamObjects);
    for (const change of changes.records) writeRecord(change);
    for (const { ref, record } of changes.idempotency) {
      if (record.keptBy === undefined) putIdempotency.run(...idempotencyValues(ref, record));
    }
    for (const { ref, window } of changes.rates) putRate.run(ref.tenantId, ref.policyId, ref.kind, window.minute, window.count);
    for (const { keyId, atMs } of changes.keyUses) putKeyUse.run(keyId, atMs);
    for (const bucket of changes.containerSamples) addSample.run(...sampleValues(bucket));
    insertEvents(changes.events.map(eventValues));
    writeAudit(changes.audit);
    if (changes.records.length > 0) keepTimeAndRecords.run(nowMs);
    else if (changes.entries.length === 0) keepTime.run(nowMs);
  };
}

/** Lines that neither allocate nor make debt have fewer values to bind, and most batches have no others. */
function makeEntryInserter(db: Database, caches: WriterCaches): (entries: readonly Entry[]) => void {
  const insert = makeRowInserter(db, 'ledger_entries', ENTRY_COLUMNS);
  const insertPlain = makeRowInserter(db, 'ledger_entries', PLAIN_ENTRY_COLUMNS, ['0', '0']);
  return (entries) => {
    const no = (entry: Entry): number => accountNo(caches, entry.accountId);
    if (entries.every(isPlainEntry)) insertPlain(entries.map((entry) => plainEntryValues(entry, no(entry))));
    else insert(entries.map((entry) => entryValues(entry, no(entry))));
  };
}

function accountNo(caches: WriterCaches, id: AccountId): number {
  const known = caches.accounts.get(id);
  invariant(known !== undefined && known !== null, `the account ${id} has no number`);
  return known.no;
}

function makeAccountWriter(db: Database, caches: WriterCaches): (changes: Changes) => void {
  const columns = [...ACCOUNT_COLUMNS, 'journal_sum'];
  const insert = db.prepare<BindValue[]>(`INSERT INTO accounts (${columns.join(', ')}) VALUES (${placeholders(columns)})`);
  const update = db.prepare<BindValue[]>(
    `UPDATE accounts SET ${assignments(ACCOUNT_STATE_COLUMNS)}, journal_sum = (journal_sum + ?) & ${JOURNAL_SUM_MASK} WHERE no = ?`,
  );
  const updateUse = db.prepare<BindValue[]>(
    `UPDATE accounts SET spent = ?, reserved = ?, journal_sum = (journal_sum + ?) & ${JOURNAL_SUM_MASK} WHERE no = ?`,
  );
  const put = (account: Account, isNew: boolean, sum: number): number => {
    if (isNew) return Number(insert.run(...accountValues(account), sum).lastInsertRowid);
    const known = caches.accounts.get(account.id);
    invariant(known !== undefined && known !== null, `the account ${account.id} has no number`);
    // The very same account is one that is to be written anew, whatever its row says.
    if (known.account !== account && isUseAlone(known.account, account)) updateUse.run(account.spent, account.reserved, sum, known.no);
    else update.run(...accountStateValues(account), sum, known.no);
    return known.no;
  };
  return ({ accounts, entries }) => {
    const sums = journalSums(entries);
    for (const { account, isNew } of accounts) {
      const no = put(account, isNew, sums.get(account.id) ?? 0);
      caches.accounts.set(account.id, { no, account });
    }
  };
}

/** Whether an account differs from what is stored in what it has spent and holds only: what a call changes. */
const isUseAlone = (stored: Account, account: Account): boolean =>
  stored.allocated === account.allocated &&
  stored.debt === account.debt &&
  stored.overdraftLimit === account.overdraftLimit &&
  stored.isOverLimit === account.isOverLimit &&
  stored.status === account.status &&
  stored.overagePolicy === account.overagePolicy &&
  stored.budget === account.budget &&
  stored.window === account.window &&
  (account.kind !== 'budget' || usedPercentOf(stored) === usedPercentOf(account));

/** What every reservation begins with, written out in the statement that inserts one: a value costs more to bind than to parse once. */
const NEW_STATE = { state: 'ACTIVE', extensions: 0, charged: null, finalizedAtMs: null, settledAtMs: null, checkpoint: null } as const;

const isUntouched = (reservation: Reservation): boolean =>
  Object.entries(NEW_STATE).every(([name, value]) => reservation[name as keyof typeof NEW_STATE] === value);

type ReservationWriter = (reservations: Changes['reservations'], answers: ReturnType<typeof answersByReservation>) => void;

function makeReservationWriter(db: Database, caches: WriterCaches): ReservationWriter {
  const insert = db.prepare<BindValue[]>(
    `INSERT INTO reservations (${RESERVATION_COLUMNS.join(', ')}) VALUES (${placeholders(RESERVATION_COLUMNS)})`,
  );
  const insertNew = db.prepare<BindValue[]>(
    `INSERT INTO reservations (${RESERVATION_FIXED_COLUMNS.join(', ')}, state, extensions, expires_at_ms, owner_id)
     VALUES (${placeholders(RESERVATION_FIXED_COLUMNS)}, 'ACTIVE', 0, ?, ?)`,
  );
  const update = db.prepare<BindValue[]>(`UPDATE reservations SET ${assignments(RESERVATION_STATE_COLUMNS)} WHERE id = ?`);
  const updateLegs = db.prepare<[string, string]>('UPDATE reservations SET legs = ? WHERE id = ?');
  const numberOf = (id: AccountId): number => accountNo(caches, id);

  const writeNew = (reservation: Reservation, made: KeptAnswer | undefined, ended: KeptAnswer | undefined): void => {
    const fixed = reservationFixedValues(reservation, numberOf, made);
    if (isUntouched(reservation)) insertNew.run(...fixed, reservation.expiresAtMs, reservation.ownerId);
    else insert.run(...fixed, ...reservationStateValues(reservation, ended));
    // Kept where the batch fails: an id that is too great costs a look-up, never a wrong answer.
    if (reservation.id > caches.newestReservationId) caches.newestReservationId = reservation.id;
  };
  const writeChanged = (reservation: Reservation, ended: KeptAnswer | undefined): void => {
    update.run(...reservationStateValues(reservation, ended), reservation.id);
  };
  return (reservations, answers) => {
    for (const { reservation, isNew, hasNewLegs } of reservations) {
      const kept = answers.get(reservation.id);
      if (hasNewLegs) updateLegs.run(legsToText(reservation.legs, numberOf), reservation.id);
      if (isNew) writeNew(reservation, kept?.made, kept?.ended);
      else writeChanged(reservation, kept?.ended);
      // A settled one is asked for again by a late repeat at most.
      if (reservation.state === 'ACTIVE') caches.reservations.set(reservation.id, reservation);
      else caches.reservations.delete(reservation.id);
    }
  };
}

function makeReportWriter(db: Database): (reports: Changes['reports']) => void {
  const insert = makeRowInserter(db, 'usage_reports', REPORT_COLUMNS);
  const update = db.prepare<BindValue[]>(
    `UPDATE usage_reports SET ${assignments(REPORT_STATE_COLUMNS)} WHERE reporter_id = ? AND event_id = ?`,
  );
  return (reports) => {
    insert(reports.filter(({ isNew }) => isNew).map(({ report }) => reportValues(report)));
    for (const { report, isNew } of reports) {
      if (!isNew) update.run(...reportValues(report).slice(2), report.reporterId, report.eventId);
    }
  };
}

function makeRecordWriter(db: Database, caches: WriterCaches): (change: RecordChange) => void {
  const kinds = Object.keys(RECORD_TABLES) as RecordKind[];
  const statements = new Map(
    kinds.map((kind) => {
      const { table } = RECORD_TABLES[kind];
      const columns = recordColumns(kind);
      const updates = columns.slice(1).map((column) => `${column} = excluded.${column}`);
      const put = db.prepare<BindValue[]>(
        `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${placeholders(columns)}) ON CONFLICT (id) DO UPDATE SET ${updates.join(', ')}`,
      );
      return [kind, { put, remove: db.prepare<[string]>(`DELETE FROM ${table} WHERE id = ?`) }] as const;
    }),
  );
  return (change) => {
    const { kind, id, record } = change;
    if (record === null) statements.get(kind)?.remove.run(id);
    else statements.get(kind)?.put.run(...recordValues(kind, id, record));
    if (kind === 'tenant') caches.tenants.set(id, record);
  };
}
