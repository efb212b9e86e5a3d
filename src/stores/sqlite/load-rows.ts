import type { Database } from 'better-sqlite3';
import { isKeptWithReservation } from '../../core/cycles/operation-names.ts';
import type { IdempotencyRecord, IdempotencyRef } from '../../core/effects.ts';
import { invariant } from '../../core/invariant.ts';
import { parseAccountId, type Account, type AccountId } from '../../core/ledger/account.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { Reservation } from '../../core/ledger/reservation.ts';
import type { RateRef, RateWindow } from '../../core/policy/rate-window.ts';
import type { RecordKind, RecordRef, RecordTypes, Tenant } from '../../core/records.ts';
import type { ReportRef, UsageReport } from '../../core/usage/usage-report.ts';
import { needsOf, type Command } from '../../core/verbs.ts';
import { spendingAccounts, type Spending, type SpendingRef } from '../../core/windows/spending.ts';
import type { WorkingSet } from '../../core/working-set.ts';
import { accountFromRow, accountKeyValues, type AccountRow, type AccountValue } from '../_shared/account-row.ts';
import { RECORD_TABLES, recordFromBody } from '../_shared/record-tables.ts';
import { reportFromRow, type ReportRow } from '../_shared/report-row.ts';
import { keptAnswerOf, reservationFromRow, type KeptAnswersRow, type ReservationRow } from '../_shared/reservation-row.ts';
import { chargesByKey, chargesSql, openCallsSql } from '../_shared/spending-sql.ts';
import { RowCache } from './row-cache.ts';

/** An account with the number of its row. */
export interface NumberedAccount {
  readonly no: number;
  readonly account: Account;
}

/** What the writer remembers of the tables that every call touches. */
export interface WriterCaches {
  readonly accounts: RowCache<AccountId, NumberedAccount>;
  readonly reservations: RowCache<string, Reservation>;
  readonly tenants: RowCache<string, Tenant>;
  /** The greatest id of a reservation so far. Ids sort by time, so a new one is beyond it and need not be looked for. */
  newestReservationId: string;
}

const ACCOUNTS_KEPT = 20_000;
const RESERVATIONS_KEPT = 5_000;
const TENANTS_KEPT = 2_000;

/** Caches that know no row yet. */
export const emptyCaches = (db: Database): WriterCaches => ({
  accounts: new RowCache(ACCOUNTS_KEPT),
  reservations: new RowCache(RESERVATIONS_KEPT),
  tenants: new RowCache(TENANTS_KEPT),
  newestReservationId: db.prepare<[], string | null>('SELECT max(id) FROM reservations').pluck().get() ?? '',
});

/** The database compares bytes, this language UTF-16 units: of an ASCII text they agree whether it is the greater one. */
const ASCII = /^[ -~]*$/;

/** Puts every row that commands name into a working set, from the caches or from the tables. */
export type RowLoader = (rows: WorkingSet, commands: readonly Command[]) => void;

/** Reads through `caches`, which the writer keeps up to date. */
export function makeRowLoader(db: Database, caches: WriterCaches): RowLoader {
  const find = prepareLookups(db);

  const loadAccount = (rows: WorkingSet, id: AccountId): void => {
    let known = caches.accounts.get(id);
    if (known === undefined) {
      known = find.account(id);
      caches.accounts.set(id, known);
    }
    rows.putAccount(id, known?.account);
  };

  const loadReservation = (rows: WorkingSet, id: string): void => {
    let reservation = caches.reservations.get(id);
    if (reservation === undefined && !(id > caches.newestReservationId && ASCII.test(id))) {
      reservation = find.reservation(id);
      // That a reservation does not exist is asked once, by the command that makes it.
      if (reservation !== null) caches.reservations.set(id, reservation);
    }
    rows.putReservation(id, reservation ?? undefined);
    for (const leg of reservation?.legs ?? []) loadAccount(rows, leg.accountId);
  };

  const loadRecord = ({ kind, id }: RecordRef, rows: WorkingSet): void => {
    if (kind !== 'tenant') {
      rows.putRecord(kind, id, find.record(kind, id) ?? undefined);
      return;
    }
    let tenant = caches.tenants.get(id);
    if (tenant === undefined) {
      tenant = find.record('tenant', id);
      caches.tenants.set(id, tenant);
    }
    rows.putRecord('tenant', id, tenant ?? undefined);
  };

  const loadIdempotency = (rows: WorkingSet, ref: IdempotencyRef): void => {
    const mayBeKept = isKeptWithReservation(ref.operation);
    const kept = mayBeKept ? findKept(ref) : undefined;
    if (kept !== undefined) rows.putKeeper(kept.keptBy, kept.isHeld);
    // A dry run makes no reservation; what ended one is in its row and nowhere else.
    const isElsewhere = kept === undefined && (!mayBeKept || ref.target === '');
    rows.putIdempotency(ref, kept?.record ?? (isElsewhere ? (find.idempotency(ref) ?? undefined) : undefined));
  };

  /** One that holds was not ended by anybody: no need to read its row for that. */
  const findKept = (ref: IdempotencyRef): Kept | undefined =>
    ref.target !== '' && caches.reservations.get(ref.target)?.state === 'ACTIVE' ? undefined : find.kept(ref);

  const loadSpending = (rows: WorkingSet, ref: SpendingRef): void => {
    const { charges, owners, callIds } = find.spending(ref);
    for (const id of callIds) loadReservation(rows, id);
    const calls = callIds.map((id) => rows.reservation(id)).filter((call) => call !== undefined);
    for (const id of spendingAccounts(ref, { owners })) loadAccount(rows, id);
    rows.putSpending(ref, { charges, owners, calls });
  };

  return (rows, commands) => {
    for (const command of commands) {
      const needs = needsOf(command);
      loadRecord({ kind: 'tenant', id: command.tenantId }, rows);
      for (const id of needs.accounts ?? []) loadAccount(rows, id);
      for (const id of needs.reservations ?? []) loadReservation(rows, id);
      for (const ref of needs.rates ?? []) rows.putRate(ref, find.rate(ref) ?? undefined);
      for (const ref of needs.idempotency ?? []) loadIdempotency(rows, ref);
      for (const ref of needs.records ?? []) loadRecord(ref, rows);
      if (needs.spending !== undefined) loadSpending(rows, needs.spending);
      for (const ref of needs.reports ?? []) rows.putReport(ref, find.report(ref) ?? undefined);
    }
  };
}

/** An answer in a reservation's row, and whether that one holds. */
interface Kept {
  readonly record: IdempotencyRecord;
  readonly keptBy: string;
  readonly isHeld: boolean;
}

interface Lookups {
  readonly kept: (ref: IdempotencyRef) => Kept | undefined;
  readonly rate: (ref: RateRef) => RateWindow | null;
  readonly account: (id: AccountId) => NumberedAccount | null;
  readonly reservation: (id: string) => Reservation | null;
  readonly record: <K extends RecordKind>(kind: K, id: string) => RecordTypes[K] | null;
  readonly idempotency: (ref: IdempotencyRef) => IdempotencyRecord | null;
  readonly report: (ref: ReportRef) => UsageReport | null;
  readonly spending: (ref: SpendingRef) => Omit<Spending, 'calls'> & { readonly callIds: readonly string[] };
}

function prepareLookups(db: Database): Lookups {
  // By the unique index accounts_identity.
  const account = db
    .prepare<AccountValue[], AccountRow>(
      'SELECT * FROM accounts WHERE tenant_id = ? AND kind = ? AND scope = ? AND unit = ? AND period = ?',
    )
    .safeIntegers();
  const accountByNo = db.prepare<[number], AccountRow>('SELECT * FROM accounts WHERE no = ?').safeIntegers();
  // By primary key, as are the others.
  const reservation = db.prepare<[string], ReservationRow>('SELECT * FROM reservations WHERE id = ?').safeIntegers();
  const idempotency = db.prepare<string[], { hash: string; answer: string; expires_at_ms: number }>(
    'SELECT hash, answer, expires_at_ms FROM idempotency WHERE tenant_id = ? AND operation = ? AND target = ? AND key = ?',
  );
  const keptColumns = 'id, tenant_id, state, request_key, request_hash, request_answer, settle_key, settle_hash, settle_answer';
  // By reservations_of_request.
  const keptByRequest = db.prepare<[string, string], KeptAnswersRow & { id: string }>(
    `SELECT ${keptColumns} FROM reservations WHERE tenant_id = ? AND request_key = ?`,
  );
  const keptByEnd = db.prepare<[string], KeptAnswersRow & { id: string }>(`SELECT ${keptColumns} FROM reservations WHERE id = ?`);
  const rate = db.prepare<[string, string, string], RateWindow>(
    'SELECT minute, count FROM rate_windows WHERE tenant_id = ? AND policy_id = ? AND kind = ?',
  );
  const report = db.prepare<[string, string], ReportRow>('SELECT * FROM usage_reports WHERE reporter_id = ? AND event_id = ?');
  const places = { tenant: '@tenant', since: '@since' };
  type Since = { readonly tenant: string; readonly since: bigint };
  const charges = db.prepare<[Since], { key_id: string; microcents: bigint }>(chargesSql(places)).safeIntegers();
  const openCalls = db.prepare<[Since], string>(openCallsSql(places)).pluck();
  const owners = db.prepare<[string], { id: string; owner: string }>(
    "SELECT id, body ->> 'createdBy' AS owner FROM api_keys WHERE tenant_id = ?",
  );
  const records = new Map(
    Object.entries(RECORD_TABLES).map(([kind, { table }]) => [
      kind,
      db.prepare<[string], string>(`SELECT body FROM ${table} WHERE id = ?`).pluck(),
    ]),
  );
  const idOf = (no: number): AccountId => {
    const row = accountByNo.get(no);
    invariant(row !== undefined, `a leg names the account number ${no}, which does not exist`);
    return accountFromRow(row).id;
  };

  return {
    account: (id) => {
      const row = account.get(...accountKeyValues(parseAccountId(id)));
      return row === undefined ? null : { no: Number(row.no), account: accountFromRow(row) };
    },
    reservation: (id) => {
      const row = reservation.get(id);
      return row === undefined ? null : reservationFromRow(row, idOf);
    },
    record: <K extends RecordKind>(kind: K, id: string) => {
      const body = records.get(kind)?.get(id);
      return body === undefined ? null : recordFromBody<K>(body);
    },
    idempotency: (ref) => {
      const row = idempotency.get(ref.tenantId, ref.operation, ref.target, ref.key);
      return row === undefined ? null : { hash: row.hash, answer: JSON.parse(row.answer) as PlainJson, expiresAtMs: row.expires_at_ms };
    },
    kept: (ref) => {
      const row = ref.target === '' ? keptByRequest.get(ref.tenantId, ref.key) : keptByEnd.get(ref.target);
      const record = row === undefined ? undefined : keptAnswerOf(row.id, row, ref);
      return row === undefined || record === undefined ? undefined : { record, keptBy: row.id, isHeld: row.state === 'ACTIVE' };
    },
    rate: ({ tenantId, policyId, kind }) => rate.get(tenantId, policyId, kind) ?? null,
    spending: ({ tenantId, sinceMs }) => ({
      charges: chargesByKey(charges.iterate({ tenant: tenantId, since: BigInt(sinceMs) })),
      owners: new Map(owners.all(tenantId).map(({ id, owner }) => [id, owner])),
      callIds: openCalls.all({ tenant: tenantId, since: BigInt(sinceMs) }),
    }),
    report: ({ reporterId, eventId }) => {
      const row = report.get(reporterId, eventId);
      return row === undefined ? null : reportFromRow(row);
    },
  };
}
