import type { UpstreamHealthReport } from '../../app/calls/upstream-health.ts';
import type { UpstreamSpeeds } from '../../app/calls/upstream-speeds.ts';
import type { KeyWithUse } from '../../app/list-keys.ts';
import { exactNumber } from '../../core/json/int64.ts';
import type { DomainEvent } from '../../core/effects.ts';
import { remainingOf, type Account } from '../../core/ledger/account.ts';
import { exactEventData } from '../../core/events/event-amounts.ts';
import { currencyOf } from '../../core/pricing/currency.ts';
import { renderPer1m, renderPerRequest, renderUsdMicrocents } from '../../core/pricing/usd.ts';
import type { Entitlements, Member, Model, Price, RateLimits, SealedUpstream, Tenant, Upstream } from '../../core/records.ts';
import { dialectsOf } from '../../core/routing/dialects.ts';
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
  currency: currencyOf(tenant),
  require_balance: tenant.requireBalance ?? false,
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

const rateLimitsObject = (limits: RateLimits | null | undefined): object | null =>
  limits === null || limits === undefined
    ? null
    : { requests_per_minute: limits.requestsPerMinute, tokens_per_minute: limits.tokensPerMinute };

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
  allowed_models: key.allowedModels ?? null,
  levels: key.levels ?? null,
  caller_levels: key.callerLevels ?? null,
  rate_limits: rateLimitsObject(key.rateLimits),
  tokens_used: (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0),
  request_count: usage?.requests ?? 0,
  last_used_at: formatRfc3339OrNull(usage?.lastUsedAtMs ?? null),
  rotated_at: formatRfc3339OrNull(key.rotation?.atMs ?? null),
  created_at: formatRfc3339(key.createdAtMs),
});

/** An event as the operator sees it; amounts are exact. */
export const eventObject = ({ id, type, tenantId, atMs, data }: DomainEvent): object => ({
  id,
  type,
  tenant_id: tenantId,
  created_at: formatRfc3339(atMs),
  data: exactEventData(data),
});

/** How an upstream does, as this process sees it. */
const healthObject = ({ state, window, lastFailure, ...report }: UpstreamHealthReport): object => ({
  state,
  consecutive_failures: report.consecutiveFailures,
  recent_attempts: window.attempts,
  recent_failures: window.failures,
  opened_count: report.openedCount,
  retry_in_ms: report.retryInMs,
  rests_for_ms: report.restsForMs,
  last_failure: lastFailure === null ? null : { code: lastFailure.code, ago_ms: lastFailure.agoMs },
});

/** How fast an upstream has been with one model. */
const speedObject = ({ modelId, speed }: ReturnType<UpstreamSpeeds['report']>[number]): object => ({
  model: modelId,
  first_token_ms: Math.round(speed.firstTokenMs),
  tokens_per_second: speed.tokensPerSecond === null ? null : Math.round(speed.tokensPerSecond * 10) / 10,
});

/** What calls have shown of an upstream. */
export interface UpstreamReport {
  readonly health: UpstreamHealthReport;
  readonly speeds: ReturnType<UpstreamSpeeds['report']>;
}

/** An upstream as the operator sees it: never its credential or the values of its headers. */
export const upstreamObject = (upstream: Upstream, { health, speeds }: UpstreamReport): object => ({
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
  header_names: upstream.headerNames ?? [],
  health: healthObject(health),
  speeds: speeds.map(speedObject),
  speaks: dialectsOf(upstream),
  rate_limits: rateLimitsObject(upstream.rateLimits),
  sealed: sealedObject(upstream.sealed ?? null),
  created_at: formatRfc3339(upstream.createdAtMs),
});

const sealedObject = (sealed: SealedUpstream | null): object | null =>
  sealed === null
    ? null
    : { enclave_urls: sealed.enclaveUrls, attestation_url: sealed.attestationUrl, max_output_tokens: sealed.maxOutputTokens };

/** A model as the operator sees it. */
export const modelObject = (model: Model): object => ({
  id: model.id,
  upstreams: model.upstreams.map(({ contextTokens, maxOutputTokens, ...upstream }) => ({
    ...upstream,
    ...(contextTokens === undefined ? {} : { context_tokens: contextTokens }),
    ...(maxOutputTokens === undefined ? {} : { max_output_tokens: maxOutputTokens }),
  })),
  ...Object.fromEntries(Object.entries(MODEL_NAMES).map(([wire, own]) => [wire, model[own] ?? null])),
  // Models of older releases have none.
  aliases: model.aliases ?? [],
  rate_limits: rateLimitsObject(model.rateLimits),
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
  cache_write_input_per_1m: price.cacheWriteInputNanos === undefined ? null : exactNumber(renderPer1m(price.cacheWriteInputNanos)),
  per_request: exactNumber(renderPerRequest(price.requestNanos)),
  ...(price.secondNanos === undefined ? {} : { per_second: exactNumber(renderPerRequest(price.secondNanos)) }),
  ...(price.characterNanos === undefined ? {} : { per_1m_characters: exactNumber(renderPer1m(price.characterNanos)) }),
  ...(price.imageNanos === undefined ? {} : { per_image: exactNumber(renderPerRequest(price.imageNanos)) }),
  applies_from: formatRfc3339(price.appliesFromMs),
  created_at: formatRfc3339(price.createdAtMs),
});
