import type { FastifyRequest } from 'fastify';
import type { makeFindKey } from '../../../app/find-key.ts';
import type { TenantUsage, UsageReader, UsageSums } from '../../../app/read-usage.ts';
import { usdNumber } from '../../../core/pricing/rates.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { queryText } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { timeOf } from '../fields.ts';
import { KeyUsageBody } from '../schemas.ts';

/** What both routes need. */
interface UsageDeps {
  readonly usage: UsageReader;
  readonly findKey: ReturnType<typeof makeFindKey>;
}

const sums = ({ requests, promptTokens, completionTokens, costNanoUsd }: UsageSums) => ({
  tokens: promptTokens + completionTokens,
  input_tokens: promptTokens,
  output_tokens: completionTokens,
  requests,
  cost: usdNumber(costNanoUsd),
});

const totals = ({ requests, promptTokens, completionTokens, costNanoUsd }: UsageSums) => ({
  total_tokens: promptTokens + completionTokens,
  total_input_tokens: promptTokens,
  total_output_tokens: completionTokens,
  total_requests: requests,
  cost: usdNumber(costNanoUsd),
});

// Names come from callers: fromEntries makes a plain field even of `__proto__`.
const usageObject = (usage: TenantUsage) => ({
  ...sums(usage),
  keys: Object.fromEntries(
    usage.keys.map((key) => [
      key.name,
      { ...totals(key), models: Object.fromEntries([...key.models].map(([model, of]) => [model, sums(of)])) },
    ]),
  ),
});

/** `GET /api/billing/usage`: totals by key name and model; of one key with `?key=`, as the oldest document has it. */
export function mountBillingUsage(app: TypedApp, deps: UsageDeps): void {
  app.get('/api/billing/usage', async (request) => {
    const { tenantId } = request.tinfoilAdmin.key;
    const window = timeOf(request);
    const value = queryText(request, 'key');
    if (value === undefined) return usageObject(await deps.usage.byKeyName({ tenantId, window }));
    const { id: keyId } = valueOf(await deps.findKey(tenantId, value));
    return usageObject(await deps.usage.byKeyName({ tenantId, window, keyId }));
  });
}

/** `POST /api/billing/usage/key`: totals of one key, whose full value stands in the body, or in `?key=`. */
export function mountKeyUsage(app: TypedApp, deps: UsageDeps): void {
  const handle = async (request: FastifyRequest, inBody: string | undefined): Promise<object> => {
    const { tenantId } = request.tinfoilAdmin.key;
    const window = timeOf(request);
    const value = inBody ?? queryText(request, 'key');
    if (value === undefined) throw new RefusedRequest({ code: 'invalid_request', message: 'key is required', field: 'key' });
    const { id: keyId } = valueOf(await deps.findKey(tenantId, value));
    const { promptTokens, completionTokens, requests, costNanoUsd } = await deps.usage.ofKey({ tenantId, window, keyId });
    return { prompt_tokens: promptTokens, completion_tokens: completionTokens, requests, cost: usdNumber(costNanoUsd) };
  };
  app.post('/api/billing/usage/key', { schema: { body: KeyUsageBody } }, (request) => handle(request, request.body?.key));
}
