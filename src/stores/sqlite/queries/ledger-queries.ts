import { LAST_BATCH_MS } from '../store-time.ts';
import type { Database } from 'better-sqlite3';
import { invariant } from '../../../core/invariant.ts';
import { parseAccountId, type Account, type AccountId } from '../../../core/ledger/account.ts';
import type { Reservation } from '../../../core/ledger/reservation.ts';
import { accountFromRow, accountKeyValues, type AccountRow, type AccountValue } from '../../_shared/account-row.ts';
import { readable, reservationFromRow, type ReservationRow } from '../../_shared/reservation-row.ts';
import type { Queries } from '../messages.ts';

/** The statements of the ledger queries, with the index that each relies on. */
export const LEDGER_SQL = {
  /** By accounts_identity. */
  account: 'SELECT * FROM accounts WHERE tenant_id = ? AND kind = ? AND scope = ? AND unit = ? AND period = ?',
  /** By primary key: the accounts that legs name. */
  accountByNo: 'SELECT * FROM accounts WHERE no = ?',
  /** By primary key. */
  reservation: 'SELECT * FROM reservations WHERE id = ?',
  /** By reservations_due, which gives the order as well. The time is never below that of a batch. */
  expiredReservations: `SELECT id, tenant_id FROM reservations
    WHERE state = 'ACTIVE' AND expires_at_ms + grace_ms < max(?, ${LAST_BATCH_MS})
      AND id NOT IN (SELECT value FROM json_each(?))
    ORDER BY expires_at_ms + grace_ms LIMIT ?`,
  /** Calls in flight by reservations_due, expired ones by reservations_uncharged: both hold no row of a call that has ended well. */
  unsettledCalls: `
    SELECT * FROM (
      SELECT * FROM reservations INDEXED BY reservations_due WHERE state = 'ACTIVE' AND purpose = 'call'
      UNION ALL
      SELECT * FROM reservations INDEXED BY reservations_uncharged
        WHERE state = 'EXPIRED' AND purpose = 'call' AND settled_at_ms IS NULL
    )
    WHERE owner_id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?`,
} as const;

type LedgerQueries = Pick<Queries, 'accounts' | 'reservation' | 'expiredReservations' | 'unsettledCalls'>;

/** Queries of accounts and reservations, prepared on a reading connection. */
export function makeLedgerQueries(db: Database): LedgerQueries {
  const account = db.prepare<AccountValue[], AccountRow>(LEDGER_SQL.account).safeIntegers();
  const accountByNo = db.prepare<[number], AccountRow>(LEDGER_SQL.accountByNo).safeIntegers();
  const reservation = db.prepare<[string], ReservationRow>(LEDGER_SQL.reservation).safeIntegers();
  const expiredReservations = db.prepare<[number, string, number], { id: string; tenant_id: string }>(LEDGER_SQL.expiredReservations);
  const unsettledCalls = db.prepare<[string, number], ReservationRow>(LEDGER_SQL.unsettledCalls).safeIntegers();

  const idOf = (no: number): AccountId => {
    const row = accountByNo.get(no);
    invariant(row !== undefined, `a leg names the account number ${no}, which does not exist`);
    return accountFromRow(row).id;
  };

  return {
    // In one snapshot, so that the balances of one moment are shown together.
    accounts: db.transaction((ids: readonly AccountId[]) => {
      const found = new Map<AccountId, Account>();
      for (const id of ids) {
        const row = account.get(...accountKeyValues(parseAccountId(id)));
        if (row !== undefined) found.set(id, accountFromRow(row));
      }
      return found;
    }),
    reservation: db.transaction((id: string): Reservation | undefined => {
      const row = reservation.get(id);
      return row === undefined ? undefined : reservationFromRow(row, idOf);
    }),
    expiredReservations: ({ limit, except = [], clockMs }) =>
      expiredReservations.all(clockMs, JSON.stringify(except), limit).map((row) => ({ id: row.id, tenantId: row.tenant_id })),
    unsettledCalls: db.transaction(({ liveOwnerIds, limit }: { liveOwnerIds: readonly string[]; limit: number }) =>
      readable(unsettledCalls.all(JSON.stringify(liveOwnerIds), limit), (row) => reservationFromRow(row, idOf)),
    ),
  };
}
