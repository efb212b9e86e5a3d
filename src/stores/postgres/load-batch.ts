import { isKeptWithReservation } from '../../core/cycles/operation-names.ts';
import type { IdempotencyRecord, IdempotencyRef } from '../../core/effects.ts';
import type { AccountId } from '../../core/ledger/account.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { RateKind } from '../../core/policy/rate-window.ts';
import type { RecordKind } from '../../core/records.ts';
import { spendingAccounts, type Spending, type SpendingRef } from '../../core/windows/spending.ts';
import { idempotencyMapKey, WorkingSet } from '../../core/working-set.ts';
import { ACCOUNT_COLUMNS, accountFromRow, type AccountRow } from '../_shared/account-row.ts';
import { RECORD_TABLES, recordFromBody } from '../_shared/record-tables.ts';
import { REPORT_COLUMNS, reportFromRow, type ReportRow } from '../_shared/report-row.ts';
import {
  keptAnswerOf,
  RESERVATION_OWN_COLUMNS,
  reservationFromRow,
  type KeptAnswersRow,
  type ReservationRow,
} from '../_shared/reservation-row.ts';
import { chargesByKey, chargesSql, openCallsSql } from '../_shared/spending-sql.ts';
import type { BatchNeeds } from './batch-needs.ts';
import { ACCOUNT_ID, arrayText, columnArrays } from './columns.ts';
import type { Answer, Request } from './exchange.ts';
import type { Session } from './session.ts';
import { SERVER_NOW_MS, type Statement } from './statement.ts';

/** The first number of the advisory locks of tenants; the second is a hash of the tenant's id. */
const TENANT_LOCKS = 0x7e4a;

/**
 * What a batch found: its rows, the numbers of the loaded accounts, which idempotency keys have an answer (as `idempotencyMapKey` names
 * them), and the server's time after all locks were given.
 */
export interface LoadedBatch {
  readonly rows: WorkingSet;
  readonly accountNos: Map<AccountId, bigint>;
  readonly answeredKeys: ReadonlySet<string>;
  readonly serverNowMs: number;
}

/** A row came into being between two statements of the load, so that the batch does not hold all the locks it needs. */
export class StaleLoad extends Error {
  override readonly name = 'StaleLoad';
}

const BEGIN: Statement = { name: 'begin', text: 'BEGIN' };

// Advisory locks, not row locks: they also cover tenants that are being created and the system's, and a shared lock on a tenant's row
// would write to the row in every batch. Function scans hand out their rows in order, so the locks are taken in the order given.
const LOCK_TENANTS: Statement = {
  name: 'lock_tenants',
  text: `
    SELECT CASE WHEN t.is_exclusive THEN pg_advisory_xact_lock(${TENANT_LOCKS}, t.key)
                ELSE pg_advisory_xact_lock_shared(${TENANT_LOCKS}, t.key) END IS NULL AS taken
    FROM unnest($1::int[], $2::boolean[]) AS t(key, is_exclusive)`,
};

// The accounts of a batch, locked in the order of their numbers. Index: accounts_id.
const LOCK_ACCOUNTS: Statement = {
  name: 'lock_accounts',
  text: `
    SELECT no, ${ACCOUNT_COLUMNS.join(', ')} FROM accounts
    WHERE ${ACCOUNT_ID} = ANY ($1::text[])
    ORDER BY no FOR UPDATE`,
};

// The same with the accounts of reservations, whose legs change under their tenant's exclusive lock alone and so can be read before they are
// locked.
// Indexes: accounts_id, accounts_pkey, reservations_pkey.
const LOCK_ACCOUNTS_AND_LEGS: Statement = {
  name: 'lock_accounts_and_legs',
  text: `
    SELECT no, ${ACCOUNT_COLUMNS.join(', ')} FROM accounts
    WHERE ${ACCOUNT_ID} = ANY ($1::text[])
       OR no = ANY (ARRAY(
            SELECT (leg ->> 0)::bigint FROM reservations r CROSS JOIN LATERAL json_array_elements(r.legs) AS leg WHERE r.id = ANY ($2::text[])))
    ORDER BY no FOR UPDATE`,
};

// Index: reservations_pkey.
const LOCK_RESERVATIONS: Statement = {
  name: 'lock_reservations',
  text: `SELECT ${RESERVATION_OWN_COLUMNS.join(', ')}, settle_key, settle_hash, settle_answer FROM reservations WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE`,
};

// The counts of policies, locked in the order of their names. One that is not there yet is made by whoever comes first; the second meets
// its row and runs again. Index: rate_windows_pkey.
const LOCK_RATES: Statement = {
  name: 'lock_rates',
  text: `
    SELECT r.tenant_id, r.policy_id, r.kind, r.minute, r.count
    FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted(tenant_id, policy_id, kind)
    JOIN rate_windows r USING (tenant_id, policy_id, kind)
    ORDER BY r.tenant_id, r.policy_id, r.kind FOR UPDATE OF r`,
};

// Reservations by the keys that made them, with the answers that their rows keep. Not locked: as for other answers, the second of two that
// make one under one key meets the first's row. Index: reservations_of_request.
const READ_REQUESTS: Statement = {
  name: 'read_requests',
  text: `
    SELECT wanted.place, r.id, r.tenant_id, r.state, r.request_key, r.request_hash, r.request_answer
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted(tenant_id, request_key, place)
    JOIN reservations r USING (tenant_id, request_key)`,
};

// Remembered answers by their place in the list of keys. Not locked: they never change, and of two batches that remember an answer to
// the same key the second meets the first's row and runs again. Index: idempotency_pkey.
const READ_IDEMPOTENCY: Statement = {
  name: 'read_idempotency',
  text: `
    SELECT wanted.place, i.hash, i.answer, i.expires_at_ms
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS wanted(tenant_id, operation, target, key, place)
    JOIN idempotency i USING (tenant_id, operation, target, key)`,
};

// Reports by their names. Not locked: who makes one that another makes too meets its row and runs again, and who changes one is alone
// (see the verb). Index: usage_reports_pkey.
const READ_REPORTS: Statement = {
  name: 'read_reports',
  text: `
    SELECT ${REPORT_COLUMNS.join(', ')} FROM unnest($1::text[], $2::text[]) AS wanted(reporter_id, event_id)
    JOIN usage_reports USING (reporter_id, event_id)`,
};

// Records need no lock of their own: who changes one holds its tenant's lock exclusively. Index: the primary key.
const READ_RECORDS = Object.fromEntries(
  Object.entries(RECORD_TABLES).map(([kind, { table }]) => [
    kind,
    { name: `read_${table}`, text: `SELECT id, body FROM ${table} WHERE id = ANY ($1::text[])` },
  ]),
) as { readonly [K in RecordKind]: Statement };

// The time after the locks, and the tenants; one row without a tenant where there is none of them. Index: tenants_pkey.
const READ_MOMENT: Statement = {
  name: 'read_moment',
  text: `
    SELECT moment.now_ms, t.id, t.body
    FROM (SELECT ${SERVER_NOW_MS} AS now_ms) AS moment
    LEFT JOIN tenants t ON t.id = ANY ($1::text[])`,
};

// What keys of a tenant were charged, whose keys they are, and which calls are not settled: read under the tenant's exclusive lock, so that
// nothing of it changes before the batch is written.
const SINCE = { tenant: '$1::text', since: '$2::bigint' };
const READ_CHARGES: Statement = { name: 'read_charges', text: chargesSql(SINCE) };
const READ_OPEN_CALLS: Statement = { name: 'read_open_calls', text: openCallsSql(SINCE) };
const READ_OWNERS: Statement = {
  name: 'read_owners',
  text: `SELECT id, body ->> 'createdBy' AS owner FROM api_keys WHERE tenant_id = $1::text`,
};

/** Spending as its rows tell it, without the reservations themselves. */
type FoundSpending = Omit<Spending, 'calls'> & { readonly ref: SpendingRef; readonly callIds: readonly string[] };

/** What a batch needs beside what its commands named, because spending was asked for. */
interface ExtendedNeeds {
  readonly needs: BatchNeeds;
  readonly found: readonly FoundSpending[];
}

/** Begins the transaction and reads spending, whose calls and accounts the batch then needs as well. A round trip of its own. */
async function readSpending(session: Session, needs: BatchNeeds): Promise<ExtendedNeeds> {
  const requests = needs.spending.flatMap(({ tenantId, sinceMs }): Request[] => [
    { statement: READ_CHARGES, values: [tenantId, sinceMs] },
    { statement: READ_OPEN_CALLS, values: [tenantId, sinceMs] },
    { statement: READ_OWNERS, values: [tenantId] },
  ]);
  const answers = (await session.send([...lockTenants(needs).values(), ...requests])).slice(-requests.length);
  const rowsAt = <R>(index: number): readonly R[] => (answers[index]?.rows ?? []) as unknown as readonly R[];
  const accounts = new Set(needs.accounts);
  const reservations = new Set(needs.reservations);
  const found = needs.spending.map((ref, index): FoundSpending => {
    const charges = chargesByKey(rowsAt<{ key_id: string; microcents: bigint }>(index * 3));
    const calls = rowsAt<{ id: string }>(index * 3 + 1);
    const owners = new Map(rowsAt<{ id: string; owner: string }>(index * 3 + 2).map(({ id, owner }) => [id, owner]));
    for (const id of spendingAccounts(ref, { owners })) accounts.add(id);
    for (const { id } of calls) reservations.add(id);
    return { ref, charges, owners, callIds: calls.map(({ id }) => id) };
  });
  return { needs: { ...needs, accounts: [...accounts], reservations: [...reservations] }, found };
}

/** Tells a key under which a reservation may have been made. */
const isRequest = (ref: IdempotencyRef): boolean => ref.target === '' && isKeptWithReservation(ref.operation);

/** Tells a key whose answer may stand in the table of answers: all but those of what ends a reservation, which stand in its row. */
const isInTable = (ref: IdempotencyRef): boolean => ref.target === '' || !isKeptWithReservation(ref.operation);

/** The beginning of a transaction: nothing is read before the tenants are locked. */
function lockTenants(needs: BatchNeeds): Map<string, Request> {
  const locks = [
    arrayText(needs.tenantLocks.map(({ key }) => key)),
    arrayText(needs.tenantLocks.map(({ isExclusive }) => Number(isExclusive))),
  ];
  return new Map([
    ['begin', { statement: BEGIN }],
    ['tenants', { statement: LOCK_TENANTS, values: locks }],
  ]);
}

/** The requests of a load by what they load, in the order of the locks; without the beginning where the transaction has begun. */
function loadRequests(needs: BatchNeeds, hasBegun: boolean): Map<string, Request> {
  const requests = hasBegun ? new Map<string, Request>() : lockTenants(needs);
  if (needs.reservations.length > 0) {
    const reservations = arrayText(needs.reservations);
    requests.set('accounts', { statement: LOCK_ACCOUNTS_AND_LEGS, values: [arrayText(needs.accounts), reservations] });
    requests.set('reservations', { statement: LOCK_RESERVATIONS, values: [reservations] });
  } else if (needs.accounts.length > 0) {
    requests.set('accounts', { statement: LOCK_ACCOUNTS, values: [arrayText(needs.accounts)] });
  }
  if (needs.rates.length > 0) {
    const names = needs.rates.map(({ tenantId, policyId, kind }) => [tenantId, policyId, kind]);
    requests.set('rates', { statement: LOCK_RATES, values: columnArrays(names, 3) });
  }
  const requestKeys = needs.idempotency.filter(isRequest);
  if (requestKeys.length > 0) {
    const keys = requestKeys.map((ref) => [ref.tenantId, ref.key]);
    requests.set('requests', { statement: READ_REQUESTS, values: columnArrays(keys, 2) });
  }
  const others = needs.idempotency.filter(isInTable);
  if (others.length > 0) {
    const keys = others.map((ref) => [ref.tenantId, ref.operation, ref.target, ref.key]);
    requests.set('idempotency', { statement: READ_IDEMPOTENCY, values: columnArrays(keys, 4) });
  }
  if (needs.reports.length > 0) {
    const names = needs.reports.map(({ reporterId, eventId }) => [reporterId, eventId]);
    requests.set('reports', { statement: READ_REPORTS, values: columnArrays(names, 2) });
  }
  for (const [kind, ids] of needs.records) requests.set(`record ${kind}`, { statement: READ_RECORDS[kind], values: [arrayText(ids)] });
  requests.set('moment', { statement: READ_MOMENT, values: [arrayText(needs.tenants)] });
  return requests;
}

/**
 * Begins a transaction, takes every lock that the batch needs (tenants, accounts, reservations; each class in the order of its keys)
 * and reads the rows. All in one round trip, two where spending is asked for.
 *
 * Throws {@link StaleLoad} where the batch must be run again, and what {@link Session.send} throws.
 */
export async function loadBatch(session: Session, named: BatchNeeds): Promise<LoadedBatch> {
  const { needs, found } = named.spending.length === 0 ? { needs: named, found: [] } : await readSpending(session, named);
  const requests = loadRequests(needs, named.spending.length > 0);
  const answers = await session.send([...requests.values()]);
  const answerOf = new Map<string, Answer>([...requests.keys()].map((name, index) => [name, answers[index] as Answer]));
  const rowsOf = <R>(name: string): readonly R[] => (answerOf.get(name)?.rows ?? []) as unknown as readonly R[];

  const rows = new WorkingSet();
  const accountNos = new Map<AccountId, bigint>();
  const idsByNo = new Map<number, AccountId>();
  for (const id of needs.accounts) rows.putAccount(id, undefined);
  for (const row of rowsOf<AccountRow>('accounts')) {
    const account = accountFromRow(row);
    rows.putAccount(account.id, account);
    accountNos.set(account.id, row.no);
    idsByNo.set(Number(row.no), account.id);
  }

  const idOf = (accountNo: number): AccountId => {
    const id = idsByNo.get(accountNo);
    // The reservation was committed after the statement that locked the accounts had taken its snapshot.
    if (id === undefined) throw new StaleLoad(`account ${accountNo} of a reservation was not locked`);
    return id;
  };
  for (const id of needs.reservations) rows.putReservation(id, undefined);
  const endedById = new Map<string, KeptAnswersRow>();
  for (const row of rowsOf<ReservationRow & KeptAnswersRow>('reservations')) {
    rows.putReservation(row.id, reservationFromRow(row, idOf));
    endedById.set(row.id, row);
  }

  for (const { ref, charges, owners, callIds } of found) {
    const calls = callIds.map((id) => rows.reservation(id)).filter((call) => call !== undefined);
    rows.putSpending(ref, { charges, owners, calls });
  }

  const answeredKeys = new Set<string>();
  for (const ref of needs.idempotency) {
    const row = isInTable(ref) ? undefined : endedById.get(ref.target);
    rows.putIdempotency(ref, row === undefined ? undefined : keptAnswerOf(ref.target, row, ref));
  }
  const requestKeys = needs.idempotency.filter(isRequest);
  for (const row of rowsOf<KeptAnswersRow & { place: bigint; id: string }>('requests')) {
    const ref = requestKeys[Number(row.place) - 1];
    if (ref === undefined) continue;
    rows.putIdempotency(ref, keptAnswerOf(row.id, row, ref));
    rows.putKeeper(row.id, row.state === 'ACTIVE');
  }
  const inTable = needs.idempotency.filter(isInTable);
  for (const row of rowsOf<{ place: bigint; hash: string; answer: string; expires_at_ms: bigint }>('idempotency')) {
    const ref = inTable[Number(row.place) - 1];
    const record: IdempotencyRecord = {
      hash: row.hash,
      answer: JSON.parse(row.answer) as PlainJson,
      expiresAtMs: Number(row.expires_at_ms),
    };
    if (ref === undefined) continue;
    rows.putIdempotency(ref, record);
    answeredKeys.add(idempotencyMapKey(ref));
  }

  for (const ref of needs.rates) rows.putRate(ref, undefined);
  for (const row of rowsOf<{ tenant_id: string; policy_id: string; kind: string; minute: bigint; count: bigint }>('rates')) {
    const ref = { tenantId: row.tenant_id, policyId: row.policy_id, kind: row.kind as RateKind };
    rows.putRate(ref, { minute: Number(row.minute), count: Number(row.count) });
  }

  for (const ref of needs.reports) rows.putReport(ref, undefined);
  for (const row of rowsOf<ReportRow>('reports')) {
    const report = reportFromRow(row);
    rows.putReport(report, report);
  }

  for (const [kind, ids] of needs.records) {
    for (const id of ids) rows.putRecord(kind, id, undefined);
    for (const { id, body } of rowsOf<{ id: string; body: string }>(`record ${kind}`)) rows.putRecord(kind, id, recordFromBody(body));
  }
  const moment = rowsOf<{ now_ms: bigint; id: string | null; body: string }>('moment');
  for (const id of needs.tenants) rows.putRecord('tenant', id, undefined);
  for (const { id, body } of moment) if (id !== null) rows.putRecord('tenant', id, recordFromBody<'tenant'>(body));
  return { rows, accountNos, answeredKeys, serverNowMs: Number(moment[0]?.now_ms) };
}
