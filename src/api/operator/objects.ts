import type { KeyWithUse } from '../../app/list-keys.ts';
import { exactNumber } from '../../core/json/int64.ts';
import { remainingOf, type Account } from '../../core/ledger/account.ts';
import { renderPer1m, renderPerRequest, renderUsdMicrocents } from '../../core/pricing/usd.ts';
import type { Entitlements, Member, Model, Price, Tenant, Upstream } from '../../core/records.ts';
import { formatRfc3339, formatRfc3339OrNull } from '../../core/rfc3339.ts';
import { ENTITLEMENT_NAMES, MODEL_NAMES } from './fields.ts';

const usd = (microcents: bigint): object => exactNumber(renderUsdMicrocents(microcents));
const usdOrNull = (microcents: bigint | null): object | null => (microcents === null ? null : usd(microcents));

/** Entitlements as the operator sees them. */
export const entitlementsObject = (entitlements: Entitlements): object =>
  Object.fromEntries(Object.entries(ENTITLEMENT_NAMES).map(([wire, own]) => [wire, entitlements[own]]));

/** A tenant as the operator sees it. */
export const tenantObject = (tenant: Tenant): object => ({
  id: tenant.id,
  name: tenant.name,
  status: tenant.status,
  require_budget: tenant.requireBudget,
  allow_unpriced: tenant.allowUnpriced,
  hide_amounts: tenant.hideAmounts,
  entitlements: entitlementsObject(tenant.entitlements),
  key_count: tenant.keyCount,
  created_at: formatRfc3339(tenant.createdAtMs),
});

/** A member as the operator sees them. */
export const memberObject = ({ id, tenantId, email, role, createdAtMs }: Member): object => ({
  id,
  tenant_id: tenantId,
  email,
  role,
  created_at: formatRfc3339(createdAtMs),
});

/** Money of an account, exact USD. `money_budget_usd` is null where nothing limits it, and all is null where nobody keeps an account. */
export const moneyObject = (account: Account | undefined): object => ({
  money_budget_usd: usdOrNull(account?.allocated ?? null),
  spent_usd: usdOrNull(account?.spent ?? null),
  reserved_usd: usdOrNull(account?.reserved ?? null),
  remaining_usd: account === undefined ? null : usdOrNull(remainingOf(account)),
});

/** A key as the operator sees it: never its value. */
export const keyObject = ({ key, maxTokens, money, usage }: KeyWithUse): object => ({
  id: key.id,
  tenant_id: key.tenantId,
  kind: key.kind,
  name: key.name,
  masked_key: key.mask,
  member_id: key.createdBy,
  disabled: key.disabled,
  expires_at: formatRfc3339OrNull(key.expiresAtMs),
  max_tokens: maxTokens,
  ...moneyObject(money),
  output_bound: key.outputBound,
  tokens_used: (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0),
  request_count: usage?.requests ?? 0,
  last_used_at: formatRfc3339OrNull(usage?.lastUsedAtMs ?? null),
  created_at: formatRfc3339(key.createdAtMs),
});

/** An upstream as the operator sees it: never its credential. */
export const upstreamObject = (upstream: Upstream): object => ({
  id: upstream.id,
  kind: upstream.kind,
  base_url: upstream.baseUrl,
  has_api_key: upstream.apiKeySealed !== null,
  provider: upstream.provider,
  region: upstream.region,
  eu_native: upstream.euNative,
  quantized: upstream.quantized,
  retention_days: upstream.retentionDays,
  continuous_usage: upstream.continuousUsage,
  timeout_ms: upstream.timeoutMs,
  created_at: formatRfc3339(upstream.createdAtMs),
});

/** A model as the operator sees it. */
export const modelObject = (model: Model): object => ({
  id: model.id,
  upstreams: model.upstreams,
  ...Object.fromEntries(Object.entries(MODEL_NAMES).map(([wire, own]) => [wire, model[own] ?? null])),
  created_at: formatRfc3339(model.createdAtMs),
});

/** A price as the operator sees it, in exact USD; those of media only where they are set. */
export const priceObject = (price: Price): object => ({
  id: price.id,
  model_id: price.modelId,
  upstream_id: price.upstreamId,
  input_per_1m: exactNumber(renderPer1m(price.inputNanos)),
  output_per_1m: exactNumber(renderPer1m(price.outputNanos)),
  cached_input_per_1m: price.cachedInputNanos === null ? null : exactNumber(renderPer1m(price.cachedInputNanos)),
  per_request: exactNumber(renderPerRequest(price.requestNanos)),
  ...(price.secondNanos === undefined ? {} : { per_second: exactNumber(renderPerRequest(price.secondNanos)) }),
  ...(price.characterNanos === undefined ? {} : { per_1m_characters: exactNumber(renderPer1m(price.characterNanos)) }),
  ...(price.imageNanos === undefined ? {} : { per_image: exactNumber(renderPerRequest(price.imageNanos)) }),
  applies_from: formatRfc3339(price.appliesFromMs),
  created_at: formatRfc3339(price.createdAtMs),
});
