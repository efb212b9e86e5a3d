import type { ReservationQuery } from '../../core/cycles/reservation-query.ts';
import type { AccountId } from '../../core/ledger/account.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { invariant } from '../../core/invariant.ts';
import { orderOf, reservationPageSql, type BoundValue } from '../_shared/reservation-list.ts';
import { RESERVATION_OWN_COLUMNS, reservationFromRow, type ReservationRow } from '../_shared/reservation-row.ts';
import { ACCOUNT_ID } from './columns.ts';
import type { Reader } from './reader.ts';

/** The statement of a page of reservations with the values that it binds; null where nothing can match. */
function reservationListSql(query: ReservationQuery): { readonly text: string; readonly values: readonly BoundValue[] } | null {
  const values: BoundValue[] = [];
  const text = reservationPageSql(RESERVATION_OWN_COLUMNS.join(', '), query, {
    bind: (value, type) => {
      values.push(value);
      return `$${values.length}::${type}`;
    },
    positionIn: (haystack, needle) => `strpos(${haystack}, ${needle})`,
  });
  return text === null ? null : { text, values };
}

/** A page with the ids of its legs' accounts: `numbers` gives [[number, id], ...]. Index: accounts_pkey. */
const withLegAccounts = (page: string, order: string): string => `
  SELECT r.*, (
    SELECT json_agg(json_build_array(no, ${ACCOUNT_ID})) FROM accounts
    WHERE no IN (SELECT (leg ->> 0)::bigint FROM json_array_elements(r.legs) AS leg)
  ) AS numbers
  FROM (${page}) AS r ${order}`;

/** Makes the read of lists of reservations. */
export const makeReservationReads = (reader: Reader): Pick<RecordStore, 'reservations'> => ({
  async reservations(query) {
    const statement = reservationListSql(query);
    if (statement === null) return [];
    // Without a name: of so many texts none is worth being kept prepared.
    const rows = await reader.rows<ReservationRow & { numbers: string | null }>(
      { name: '', text: withLegAccounts(statement.text, orderOf(query)) },
      statement.values,
    );
    return rows.map((row) => {
      const ids = new Map(row.numbers === null ? [] : (JSON.parse(row.numbers) as [number, AccountId][]));
      return reservationFromRow(row, (no) => {
        const id = ids.get(no);
        invariant(id !== undefined, `a leg names the account number ${no}, which does not exist`);
        return id;
      });
    });
  },
});
