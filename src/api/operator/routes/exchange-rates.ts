import type { ExchangeRateManagement } from '../../../app/manage-exchange-rates.ts';
import { exactNumber } from '../../../core/json/int64.ts';
import { renderPerUsd } from '../../../core/pricing/currency.ts';
import type { ExchangeRate } from '../../../core/records.ts';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import { valueOf } from '../../_shared/problem.ts';
import { queryText, refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { momentOf } from '../fields.ts';
import { AddExchangeRateBody } from '../schemas.ts';

/** A rate as the operator sees it, exact. */
const rateObject = ({ id, currency, perUsdNanos, appliesFromMs, createdAtMs }: ExchangeRate): object => ({
  id,
  currency,
  per_usd: exactNumber(renderPerUsd(perUsdNanos)),
  applies_from: formatRfc3339(appliesFromMs),
  created_at: formatRfc3339(createdAtMs),
});

/** `/exchange-rates`: added and, while they lie ahead, taken back; never changed. */
export function mountExchangeRates(app: TypedApp, { exchangeRates }: { readonly exchangeRates: ExchangeRateManagement }): void {
  app.post('/exchange-rates', { schema: { body: AddExchangeRateBody } }, async (request, reply) => {
    const { currency, per_usd: perUsd, applies_from: appliesFrom = null } = request.body;
    const added = await exchangeRates.add(operatorOf(request), { currency, perUsd, appliesFromMs: momentOf(appliesFrom) });
    return reply.code(201).send(rateObject(valueOf(added)));
  });
  app.get('/exchange-rates', async (request) => {
    refuseUnknownQuery(request, ['currency']);
    return { exchange_rates: (await exchangeRates.list(queryText(request, 'currency'))).map(rateObject) };
  });
  app.delete<{ Params: { id: string } }>('/exchange-rates/:id', async (request, reply) => {
    valueOf(await exchangeRates.remove(operatorOf(request), request.params.id));
    return reply.code(204).send();
  });
}
