import type { BudgetPosition } from '../../core/budgets/budget-query.ts';
import { positionOf } from '../../core/budgets/budget-query.ts';
import { inCurrentPeriod } from '../../core/budgets/budget-period.ts';
import { conditionsOf, lastSegment, type ScopeCondition, type SubjectLevel } from '../../core/cycles/scope.ts';
import type { ReservationQuery } from '../../core/cycles/reservation-query.ts';
import type { Account } from '../../core/ledger/account.ts';
import { noReservation, notOwned } from '../../core/ledger/commit.ts';
import type { Reservation } from '../../core/ledger/reservation.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { refusePath, type RuntimeCaller, type TenantCaller } from './runtime-caller.ts';

/** Levels of a subject that a query names, in lower case. */
export type LevelFilter = { readonly [L in SubjectLevel]?: string };

/** Which reservations a query means. */
export type WantedReservations = Omit<ReservationQuery, 'tenantId' | 'scopes'> & { readonly levels: LevelFilter };

/** What the reads need. */
export interface SpendingReads {
  readonly records: Pick<RecordStore, 'reservation' | 'reservations' | 'budgets'>;
  readonly clock: Clock;
}

/** A condition for each level that is named; the tenant is what whose rows are read anyway. */
const levelConditions = (levels: LevelFilter): ScopeCondition[][] =>
  Object.entries(levels)
    .filter(([level]) => level !== 'tenant')
    .map(([level, value]) => [{ kind: 'segment', text: `${level}:${value}` }]);

/** Whose things a query is about; the operator has to say so, and a key may say its own tenant alone. */
function tenantOf(caller: RuntimeCaller, named: string | undefined): Outcome<string> {
  if (caller.kind === 'operator') {
    if (named !== undefined) return accepted(named);
    const message = 'tenant query parameter is required when using admin key authentication';
    return rejected({ code: 'invalid_request', message, field: 'tenant' });
  }
  if (named !== undefined && named !== caller.tenant.id)
    return rejected({ code: 'forbidden', message: 'tenant must be the tenant of the key', field: 'tenant' });
  return accepted(caller.tenant.id);
}

const filterOf = (caller: RuntimeCaller): readonly string[] => (caller.kind === 'operator' ? [] : (caller.key.scopeFilter ?? []));

/** Makes the use cases that read reservations and balances. */
export function makeReadSpending({ records, clock }: SpendingReads) {
  return {
    /**
     * One reservation of a Cycles client.
     *
     * Rejects, in this order: `reservation_not_found`, `forbidden` (another tenant's), `insufficient_permissions` (outside of the key's scope
     * filter), `reservation_expired`. Source: Cycles runtime spec, getReservation.
     */
    async reservation(caller: RuntimeCaller, id: string): Promise<Outcome<Reservation>> {
      const reservation = await records.reservation(id);
      const client = reservation?.client;
      if (reservation === undefined || client === null || client === undefined) return rejected(noReservation(id));
      if (caller.kind === 'tenant') {
        if (reservation.tenantId !== caller.tenant.id) return rejected(notOwned(id));
        const refusal = refusePath(caller, client.scopePath);
        if (refusal !== null) return rejected(refusal);
      }
      if (reservation.state !== 'EXPIRED') return accepted(reservation);
      return rejected({ code: 'reservation_expired', message: `the reservation ${id} expired at ${reservation.expiresAtMs}` });
    },

    /**
     * A part of the reservations that a caller may see of those that it wants, one more than `limit` where more follow.
     *
     * Rejects, in this order: `invalid_request` (the operator names no tenant), `forbidden` (another tenant's). Source: Cycles runtime spec,
     * listReservations.
     */
    async reservations(caller: RuntimeCaller, wanted: WantedReservations): Promise<Outcome<Reservation[]>> {
      const { levels, ...query } = wanted;
      const tenantId = tenantOf(caller, levels.tenant);
      if (!tenantId.ok) return tenantId;
      const scopes = [...levelConditions(levels), ...conditionsOf(filterOf(caller))];
      return accepted(await records.reservations({ ...query, tenantId: tenantId.value, scopes, limit: query.limit + 1 }));
    },

    /**
     * Budgets whose scopes have every level that is named, by scope and unit, one more than `limit` where more follow. Without
     * `withChildren`, only those whose last segment is the deepest level that is named.
     *
     * Rejects `forbidden` (another tenant's). Source: Cycles runtime spec, getBalances.
     */
    async balances(
      caller: TenantCaller,
      wanted: {
        readonly levels: LevelFilter;
        readonly withChildren: boolean;
        readonly after: BudgetPosition | null;
        readonly limit: number;
      },
    ): Promise<Outcome<Account[]>> {
      const { levels, after, limit } = wanted;
      const tenantId = tenantOf(caller, levels.tenant);
      if (!tenantId.ok) return tenantId;
      const scopes = [...levelConditions(levels), ...conditionsOf(filterOf(caller))];
      const deepest = Object.entries(levels).at(-1);
      const isWanted = ({ scope }: Account): boolean => wanted.withChildren || lastSegment(scope) === deepest?.join(':');
      const found: Account[] = [];
      let from = after;
      // Children are few pages among their parents; each turn goes on behind the last row that was read.
      for (;;) {
        const page = await records.budgets({
          tenantId: tenantId.value,
          scopes,
          sortBy: 'scope',
          descending: false,
          after: from,
          limit: limit + 1,
        });
        found.push(...page.filter(isWanted));
        const last = page.at(-1);
        if (page.length <= limit || found.length > limit || last === undefined) break;
        from = positionOf(last, 'scope');
      }
      const nowMs = clock.nowMs();
      return accepted(found.slice(0, limit + 1).map((account) => inCurrentPeriod(account, nowMs)));
    },
  };
}

/** The use cases of {@link makeReadSpending}. */
export type ReadSpending = ReturnType<typeof makeReadSpending>;
