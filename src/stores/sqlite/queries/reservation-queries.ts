import type { Database } from 'better-sqlite3';
import type { ReservationQuery } from '../../../core/cycles/reservation-query.ts';
import { invariant } from '../../../core/invariant.ts';
import type { AccountId } from '../../../core/ledger/account.ts';
import type { Reservation } from '../../../core/ledger/reservation.ts';
import { accountFromRow, type AccountRow } from '../../_shared/account-row.ts';
import { reservationPageSql, type BoundValue } from '../../_shared/reservation-list.ts';
import { RESERVATION_OWN_COLUMNS, reservationFromRow, type ReservationRow } from '../../_shared/reservation-row.ts';
import type { Queries } from '../messages.ts';
import { LEDGER_SQL } from './ledger-queries.ts';

/** A statement with the values that it binds. */
interface BoundStatement {
  readonly sql: string;
  readonly values: readonly BoundValue[];
}

/** The statement of a page of reservations; null where nothing can match. */
function reservationListSql(query: ReservationQuery): BoundStatement | null {
  const values: BoundValue[] = [];
  const sql = reservationPageSql(RESERVATION_OWN_COLUMNS.join(', '), query, {
    bind: (value) => {
      values.push(value);
      return '?';
    },
    positionIn: (haystack, needle) => `instr(${haystack}, ${needle})`,
  });
  return sql === null ? null : { sql, values };
}

/** The query of lists of reservations, on a reading connection. */
export function makeReservationQueries(db: Database): Pick<Queries, 'reservations'> {
  const accountByNo = db.prepare<[number], AccountRow>(LEDGER_SQL.accountByNo).safeIntegers();

  return {
    // In one snapshot, so that the accounts of its legs are there.
    reservations: db.transaction((query: ReservationQuery): Reservation[] => {
      const statement = reservationListSql(query);
      if (statement === null) return [];
      const rows = db
        .prepare<BoundValue[], ReservationRow>(statement.sql)
        .safeIntegers()
        .all(...statement.values);
      // Most rows of a page name the same few accounts.
      const known = new Map<number, AccountId>();
      const idOf = (no: number): AccountId => {
        const found = known.get(no);
        if (found !== undefined) return found;
        const row = accountByNo.get(no);
        invariant(row !== undefined, `a leg names the account number ${no}, which does not exist`);
        const { id } = accountFromRow(row);
        known.set(no, id);
        return id;
      };
      return rows.map((row) => reservationFromRow(row, idOf));
    }),
  };
}
