import type { Effect, IdempotencyRef } from '../effects.ts';
import { SYSTEM_TENANT } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { MAX_REPORT_AGE_MS, MAX_REPORT_SKEW_MS, type QuarantineReason, type UsageReport } from '../usage/usage-report.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import type { ReportItem, ReportUsageCommand } from './commands.ts';
import { ForcedDebits, isStaleBooking } from './forced-debits.ts';

/**
 * What became of one event. `booked`: now. `duplicate`: it was received before, and what came of it then stands. `conflict`: another event
 * was received under its id; this one is not booked. `quarantined`: kept, and not booked, for `reason`.
 */
export interface ReportedOutcome {
  readonly eventId: string;
  readonly status: 'booked' | 'duplicate' | 'conflict' | 'quarantined';
  readonly reason: QuarantineReason | null;
}

/** What became of every event, in their order. */
export interface ReportUsageAnswer {
  readonly events: readonly ReportedOutcome[];
}

/** Under what a delivery is remembered. */
const deliveryRef = ({ reporterId, nonce }: ReportUsageCommand): IdempotencyRef | null =>
  nonce === null ? null : { tenantId: SYSTEM_TENANT, operation: 'usage-delivery', target: reporterId, key: nonce };

const tenantsOf = (items: readonly ReportItem[]): string[] => [
  ...new Set(items.flatMap(({ judgement }) => (judgement.kind === 'book' ? [judgement.booking.usage.tenantId] : []))),
];

/** Whether an event was judged by other rules than its tenant has: an account that it counts on was not loaded. */
function isStale(state: State, { judgement, occurredAtMs }: ReportItem, nowMs: number): boolean {
  if (judgement.kind !== 'book') return false;
  return isStaleBooking(state, judgement.booking, Math.min(occurredAtMs, nowMs));
}

/** What the events of a report come to, one after another. Sees what those before it did, which the state does not show yet. */
class Booking {
  readonly effects: Effect[] = [];
  readonly #debits: ForcedDebits;
  readonly #state: State;
  readonly #command: ReportUsageCommand;
  readonly #tenants: ReadonlySet<string>;
  readonly #nowMs: number;
  readonly #received = new Map<string, UsageReport>();

  constructor(state: State, command: ReportUsageCommand, at: { readonly tenants: readonly string[]; readonly nowMs: number }) {
    this.#state = state;
    this.#command = command;
    this.#tenants = new Set(at.tenants);
    this.#nowMs = at.nowMs;
    this.#debits = new ForcedDebits(state, { command: command.id, nowMs: at.nowMs });
  }

  take(item: ReportItem): ReportedOutcome {
    const { reporterId, nonce } = this.#command;
    const { eventId, hash } = item;
    const before = this.#received.get(eventId) ?? this.#state.report({ reporterId, eventId });
    const isSecondAttempt = nonce === null && before !== undefined && before.reason !== null;
    if (before !== undefined && !isSecondAttempt) {
      return { eventId, status: before.hash === hash ? 'duplicate' : 'conflict', reason: before.reason };
    }
    const reason = this.#refusal(item) ?? this.#book(item);
    const receivedAtMs = before?.receivedAtMs ?? this.#nowMs;
    const report: UsageReport = { reporterId, eventId, hash, reason, receivedAtMs, body: reason === null ? null : item.body };
    this.#received.set(eventId, report);
    // A second attempt that comes to the same changes nothing.
    if (before === undefined || before.reason !== reason) this.effects.push({ type: 'report', report });
    return { eventId, status: reason === null ? 'booked' : 'quarantined', reason };
  }

  #refusal({ judgement, occurredAtMs }: ReportItem): QuarantineReason | null {
    if (judgement.kind === 'quarantine') return judgement.reason;
    if (!this.#tenants.has(judgement.booking.usage.tenantId)) return 'foreign_tenant';
    if (occurredAtMs > this.#nowMs + MAX_REPORT_SKEW_MS) return 'in_future';
    return occurredAtMs < this.#nowMs - MAX_REPORT_AGE_MS ? 'too_old' : null;
  }

  /** Books all of an event or, where an account cannot count so far, nothing. */
  #book({ judgement, occurredAtMs }: ReportItem): QuarantineReason | null {
    if (judgement.kind !== 'book') return judgement.reason;
    // A clock that is a little ahead of ours must not put usage where no window looks yet.
    const effects = this.#debits.book(judgement.booking, Math.min(occurredAtMs, this.#nowMs));
    if (effects === null) return 'out_of_range';
    this.effects.push(...effects);
    return null;
  }
}

/**
 * Books what another proxy reports: on the accounts that a call of the key would hold on, whatever their state and their tenant's, since
 * the spend has happened; `remaining` may go below zero. Usage is counted at the moment at which it happened, the journal bears the
 * moment at which it was booked.
 *
 * An event is booked once at most: its id is remembered for as long as it is not too old to be booked. One that cannot be booked is
 * kept in quarantine and hinders no other. The whole report takes effect, or nothing of it.
 * Rejects, in this order: `unauthorized` (the reporter was removed meanwhile), `conflict` (the delivery was taken before), `stale_view` (it
 * was judged by other rules for windows than its tenants have now: judge it again).
 * Source: Tinfoil reference section 5, "Usage reports"; architecture section 4, "Two ways to settle". Invariants: L1, L5, L7.
 */
export const reportUsageVerb: Verb<ReportUsageCommand, ReportUsageAnswer> = {
  needs: (command) => {
    const { reporterId, items } = command;
    const delivery = deliveryRef(command);
    return {
      // A first attempt makes rows only, and who makes the same row second runs again. A second one changes rows, so it is alone.
      tenantLock: delivery === null ? 'exclusive' : 'shared',
      lockedTenants: tenantsOf(items),
      accounts: [
        ...new Set(
          items.flatMap(({ judgement }) =>
            judgement.kind === 'book' ? [...judgement.booking.accounts, ...(judgement.booking.windows?.accounts ?? [])] : [],
          ),
        ),
      ],
      records: [{ kind: 'usage-reporter', id: reporterId }, ...tenantsOf(items).map((id) => ({ kind: 'tenant', id }) as const)],
      reports: items.map(({ eventId }) => ({ reporterId, eventId })),
      idempotency: delivery === null ? [] : [delivery],
    };
  },
  decide: (state, command, nowMs): Decision<ReportUsageAnswer> => {
    const reporter = state.record('usage-reporter', command.reporterId);
    if (reporter === undefined) return refuse(rejected({ code: 'unauthorized', message: 'this usage reporter is not known' }));
    const delivery = deliveryRef(command);
    const taken = delivery === null ? undefined : state.idempotency(delivery);
    if (taken !== undefined && taken.expiresAtMs > nowMs) {
      return refuse(rejected({ code: 'conflict', message: 'this delivery was received before', field: 'delivery_id' }));
    }
    if (command.items.some((item) => isStale(state, item, nowMs)))
      return refuse(rejected({ code: 'stale_view', message: 'the rules of a tenant have changed meanwhile' }));
    const booking = new Booking(state, command, { tenants: reporter.tenants, nowMs });
    const events = command.items.map((item) => booking.take(item));
    const remembered: Effect[] =
      delivery === null
        ? []
        : [{ type: 'idempotency', ref: delivery, record: { hash: '', answer: true, expiresAtMs: nowMs + command.nonceKeepMs } }];
    return { outcome: accepted({ events }), effects: [...booking.effects, ...remembered] };
  },
};
