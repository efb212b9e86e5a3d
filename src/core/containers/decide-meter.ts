import { balanceId, judgedBalance, tenantBalanceId } from '../balance/balance-account.ts';
import type { CallRate } from '../calls/call-context.ts';
import { balanceDebit, debitActual } from '../calls/settlement.ts';
import { eventEffects } from '../access/access-events.ts';
import type { Effect } from '../effects.ts';
import { budgetId, USD_MICROCENTS, type Account, type AccountId } from '../ledger/account.ts';
import { ForcedDebits, isStaleBooking } from '../ledger/forced-debits.ts';
import { decideNextSpend } from '../ledger/next-spend.ts';
import { chargeMicrocents } from '../pricing/rates.ts';
import type { Tenant } from '../records.ts';
import { accepted, rejected, type RejectionCode } from '../rejection.ts';
import type { UsageBooking } from '../usage/usage-report.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import {
  hourNanosOf,
  isPriced,
  metered,
  newMeter,
  RESOURCE_METERS,
  RESOURCES,
  secondsCostNanos,
  unbookedSpans,
  type ContainerMeter,
  type Resource,
} from './container-meter.ts';
import type { MeterContainerCommand } from './commands.ts';
import type { Container } from './container-records.ts';
import { containerEffect, toldOf } from './container-state.ts';

/** What metering came to; `isOverdue`: the container runs, and its tenant could not pay for longer than the grace. */
export interface MeterAnswer {
  readonly meter: ContainerMeter;
  readonly isOverdue: boolean;
}

/** The accounts that a container's use is booked on: the tenant's money budget, and its prepaid balance. */
export const meteredAccounts = (tenantId: string, rate: CallRate | null): AccountId[] => [
  budgetId(tenantId, `tenant:${tenantId}`, USD_MICROCENTS),
  ...(rate === null ? [] : [balanceId(tenantId, rate.currency)]),
];

const CANNOT_PAY: ReadonlySet<RejectionCode> = new Set(['budget_exceeded', 'balance_empty', 'over_limit', 'debt_outstanding']);

/** Whether accounts of a tenant have nothing left to pay with. What is frozen, or only held by calls in flight, is not empty. */
export function cannotPay(tenant: Tenant, accounts: readonly Account[]): boolean {
  const judged = accounts.map((account) => judgedBalance(account, tenant));
  const next = decideNextSpend(judged, { mustCoverMoney: false });
  return !next.ok && CANNOT_PAY.has(next.rejection.code);
}

/** What is booked for whole seconds of one resource. */
function bookingOf(
  { container, command }: { readonly container: Container; readonly command: MeterContainerCommand },
  resource: Resource,
  seconds: bigint,
): UsageBooking {
  const { tenantId, rate, windows } = command;
  const { model, unit } = RESOURCE_METERS[resource];
  const cost = secondsCostNanos(seconds, hourNanosOf(command.prices, resource));
  const charge = chargeMicrocents(cost);
  const debit = rate === null ? null : balanceDebit(rate, cost);
  return {
    accounts: meteredAccounts(tenantId, rate),
    ...(windows === null ? {} : { windows }),
    actuals: { tokens: 0n, microcents: charge, ...(debit === null ? {} : { debit: debitActual(debit) }) },
    usage: {
      id: `${command.id}_${resource}`,
      tenantId,
      keyId: `container/${container.name}`,
      model,
      upstreamId: `host:${container.current.hostName}`,
      priceId: '',
      route: 'container',
      requests: 0,
      promptTokens: 0,
      completionTokens: 0,
      cachedPromptTokens: 0,
      reasoningTokens: 0,
      costNanoUsd: cost,
      chargeMicrocents: charge,
      streaming: false,
      estimated: false,
      interrupted: false,
      media: { unit, quantity: Number(seconds) },
      ...(debit === null ? {} : { debit }),
    },
  };
}

/** Since when the tenant cannot pay, and the event where that begins or ends. */
function standing(
  command: MeterContainerCommand,
  of: { readonly container: Container; readonly meter: ContainerMeter; readonly isUnpaid: boolean; readonly nowMs: number },
): { readonly unpaidSinceMs: number | null; readonly effects: Effect[] } {
  const { container, meter, isUnpaid, nowMs } = of;
  const isRunning = container.deletedAtMs === null && (container.status === 'ready' || container.status === 'deploying');
  if (!isRunning) return { unpaidSinceMs: null, effects: [] };
  const { unpaidSinceMs: before } = meter;
  if (isUnpaid === (before !== null)) return { unpaidSinceMs: before, effects: [] };
  const told = toldOf(container, container.current);
  const data = isUnpaid ? { ...told, stops_at: new Date(nowMs + command.graceMs).toISOString() } : told;
  const type = isUnpaid ? 'container.unpaid' : 'container.paid';
  return { unpaidSinceMs: isUnpaid ? nowMs : null, effects: eventEffects(command, nowMs, [{ type, data }]) };
}

/** The loaded rows are those of another view than the tenant's present rules and balance ask for. */
function isStale(state: State, command: MeterContainerCommand, nowMs: number): boolean {
  const { tenantId, rate, windows } = command;
  const balance = tenantBalanceId(state.record('tenant', tenantId));
  if (balance !== (rate === null ? null : balanceId(tenantId, rate.currency))) return true;
  return isStaleBooking(state, { usage: { tenantId }, ...(windows === null ? {} : { windows }) }, nowMs);
}

/**
 * Books what a container has served until now and is not booked yet: the whole seconds of what it was given of its host, each resource as
 * usage of its own, on the tenant's money budget, its windows and its prepaid balance, by force, since it was used. The rest of a second
 * is booked with the next one. What was served is booked once, however often and from wherever this is sent. Value null: no such container.
 *
 * Rejects `stale_view` (the tenant has other rules or another balance by now), `amount_out_of_range` (an account cannot count so far;
 * nothing is booked). Invariants: L1, L5, L7.
 */
export const meterContainerVerb: Verb<MeterContainerCommand, MeterAnswer | null> = {
  needs: ({ tenantId, containerId, rate, windows }) => ({
    tenantLock: 'exclusive',
    accounts: [...meteredAccounts(tenantId, rate), ...(windows?.accounts ?? [])],
    records: [
      { kind: 'container', id: containerId },
      { kind: 'container-meter', id: containerId },
    ],
  }),
  decide: (state, command, nowMs): Decision<MeterAnswer | null> => {
    const container = state.record('container', command.containerId);
    const tenant = state.record('tenant', command.tenantId);
    if (container === undefined || container.tenantId !== command.tenantId || tenant === undefined) {
      return { outcome: accepted(null), effects: [] };
    }
    if (isStale(state, command, nowMs)) {
      return refuse(rejected({ code: 'stale_view', message: 'what the tenant pays from has changed meanwhile' }));
    }
    const before = state.record('container-meter', container.id) ?? newMeter(container);
    const { meter, seconds } = metered(before, unbookedSpans(container, before.untilMs, nowMs), nowMs);
    const debits = new ForcedDebits(state, { command: command.id, nowMs });
    const booked: Effect[] = [];
    let charged = BigInt(before.chargedMicrocents);
    for (const resource of RESOURCES) {
      if (seconds[resource] === 0n) continue;
      const booking = bookingOf({ container, command }, resource, seconds[resource]);
      const effects = debits.book(booking, nowMs);
      if (effects === null)
        return refuse(rejected({ code: 'amount_out_of_range', message: 'an account would have spent more than 2^63 - 1' }));
      booked.push(...effects);
      charged += booking.usage.chargeMicrocents;
    }
    const accounts = meteredAccounts(command.tenantId, command.rate).flatMap((id) => debits.account(id) ?? []);
    const isUnpaid = isPriced(command.prices) && cannotPay(tenant, accounts);
    const { unpaidSinceMs, effects: told } = standing(command, { container, meter, isUnpaid, nowMs });
    const next: ContainerMeter = { ...meter, chargedMicrocents: String(charged), unpaidSinceMs };
    const { served, ...emptied } = container;
    return {
      outcome: accepted({ meter: next, isOverdue: unpaidSinceMs !== null && nowMs - unpaidSinceMs >= command.graceMs }),
      effects: [
        ...booked,
        { type: 'record', kind: 'container-meter', id: container.id, record: next },
        ...(served === undefined ? [] : [containerEffect(emptied)]),
        ...told,
      ],
    };
  },
};
