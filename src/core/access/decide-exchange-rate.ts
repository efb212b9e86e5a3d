import { CURRENCY_RULE, isCurrency, MAX_PER_USD, ONE_PER_USD, PRICE_CURRENCY } from '../pricing/currency.ts';
import type { ExchangeRate } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { AddExchangeRateCommand } from './commands.ts';
import { checkWhole, invalid, type Refusal } from './rules.ts';

/** A moment later than this is a slip of the pen, and would not survive RFC 3339. */
const MAX_MOMENT_MS = Date.UTC(9999, 11, 31);

function refuseRate(state: State, { rate }: AddExchangeRateCommand, nowMs: number): Refusal | null {
  if (!isCurrency(rate.currency)) return invalid('currency', CURRENCY_RULE);
  if (rate.currency === PRICE_CURRENCY) return invalid('currency', 'not be USD, which prices are in: it is worth itself');
  const bad = checkWhole('per_usd', rate.perUsdNanos, { min: 1, max: MAX_PER_USD * ONE_PER_USD });
  if (bad !== null) return bad;
  const { appliesFromMs } = rate;
  if (appliesFromMs !== null && (appliesFromMs < nowMs || appliesFromMs > MAX_MOMENT_MS))
    return invalid('applies_from', 'not lie in the past');
  if (state.record('exchange-rate', rate.id) === undefined) return null;
  return rejected({ code: 'conflict', message: `the exchange rate ${rate.id} exists already`, field: 'id' });
}

/**
 * Declares what a USD is worth in a currency from a moment on. Rates are never changed, because calls are settled by the one that they were
 * held with. The value is the rate.
 *
 * Rejects, in this order: `invalid_request` (currency, per_usd, applies_from in the past), `conflict`.
 */
export const addExchangeRateVerb: Verb<AddExchangeRateCommand, ExchangeRate> = {
  needs: ({ rate }) => ({ tenantLock: 'exclusive', records: [{ kind: 'exchange-rate', id: rate.id }] }),
  decide: (state, command, nowMs) => {
    const refusal = refuseRate(state, command, nowMs);
    if (refusal !== null) return refuse(refusal);
    const rate: ExchangeRate = { ...command.rate, appliesFromMs: command.rate.appliesFromMs ?? nowMs, createdAtMs: nowMs };
    const data = { exchange_rate_id: rate.id, currency: rate.currency };
    const events = eventEffects(command, nowMs, [{ type: 'exchange_rate.created', data }]);
    return { outcome: accepted(rate), effects: [{ type: 'record', kind: 'exchange-rate', id: rate.id, record: rate }, ...events] };
  },
};
