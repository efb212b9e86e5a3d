import { CURRENCY_RULE, isCurrency, PRICE_CURRENCY, readPerUsd } from '../../core/pricing/currency.ts';
import { parseRfc3339 } from '../../core/rfc3339.ts';
import type { DeclaredExchangeRate } from './declared-config.ts';
import type { Field } from './field.ts';
import type { NamedFields } from './named-fields.ts';
import { refuseDouble } from './refuse-double.ts';

function momentOf(field: Field): number {
  const ms = parseRfc3339(field.text());
  return ms ?? field.fail('must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z, in quotes');
}

/** Reads the section `exchange_rates`: for each currency at most one rate without a moment, and one for each moment. */
export function parseExchangeRates(section: Field, named: NamedFields): DeclaredExchangeRate[] {
  const seen = new Set<string>();
  return section.items().map((item) => {
    const given = item.fields(['currency', 'per_usd', 'applies_from']);
    const currency = given.currency.text();
    if (!isCurrency(currency) || currency === PRICE_CURRENCY) {
      given.currency.fail(currency === PRICE_CURRENCY ? 'must not be USD, which prices are in' : `must ${CURRENCY_RULE}`);
    }
    const read = readPerUsd(given.per_usd.decimal());
    if (!read.ok) return given.per_usd.fail(`must ${read.rule}`);
    const appliesFromMs = given.applies_from.or(null, momentOf);
    refuseDouble(seen, appliesFromMs === null ? currency : `${currency} from ${appliesFromMs}`, given.currency);
    named.add('exchange-rate', currency, []);
    return { currency, perUsdNanos: read.perUsdNanos, appliesFromMs };
  });
}
