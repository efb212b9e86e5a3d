import type { CreditBalanceCommand } from '../balance/commands.ts';
import { creditBalanceVerb } from '../balance/decide-credit.ts';
import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { TakePaymentCommand } from './commands.ts';
import type { Payment } from './payment-records.ts';

/** What became of a payment: as it stands, and whether it was this command that took it. */
export interface TakenPayment {
  readonly payment: Payment;
  readonly isNew: boolean;
}

const creditOf = ({ verb: _verb, payment, ...command }: TakePaymentCommand): CreditBalanceCommand => ({
  ...command,
  verb: 'credit-balance',
  currency: payment.currency,
  amount: payment.microcents,
  reason: `Payment ${payment.id}`,
});

/**
 * Takes a payment: it is remembered under its id, and credited to the tenant's balance with it. One that cannot be credited, such as one in
 * another currency, is remembered with the reason. The value is the {@link TakenPayment}; it never refuses, as the money was paid.
 */
export const takePaymentVerb: Verb<TakePaymentCommand, TakenPayment> = {
  needs: (command) => {
    const needs = creditBalanceVerb.needs(creditOf(command));
    return { ...needs, records: [...(needs.records ?? []), { kind: 'payment', id: command.payment.id }] };
  },
  decide: (state, command, nowMs) => {
    const { id, eventId, currency, microcents } = command.payment;
    const before = state.record('payment', id);
    if (before !== undefined) return { outcome: accepted({ payment: before, isNew: false }), effects: [] };
    const { outcome, effects } = creditBalanceVerb.decide(state, creditOf(command), nowMs);
    const payment: Payment = {
      id,
      tenantId: command.tenantId,
      eventId,
      currency,
      microcents: microcents.toString(),
      creditId: outcome.ok ? command.creditId : null,
      refusal: outcome.ok ? null : outcome.rejection.message,
      createdAtMs: nowMs,
    };
    return {
      outcome: accepted({ payment, isNew: true }),
      effects: [...effects, { type: 'record', kind: 'payment', id, record: payment }],
    };
  },
};
