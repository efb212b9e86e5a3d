import type { Entitlements, RateLimits, SealedUpstream } from '../../core/records.ts';
import { microcentsFromUsd } from '../../core/pricing/usd.ts';
import { parseRfc3339 } from '../../core/rfc3339.ts';
import { RefusedRequest } from '../_shared/problem.ts';

const refuse = (field: string, rule: string): RefusedRequest =>
  new RefusedRequest({ code: 'invalid_request', message: `${field} must ${rule}`, field });

/** The micro-cents of a `money_budget_usd`; null is no limit. */
export function microcentsOf(usd: number | bigint | string | null): bigint | null {
  if (usd === null) return null;
  const result = microcentsFromUsd(usd);
  if (result.ok) return result.microcents;
  throw refuse('money_budget_usd', result.rule);
}

/** The moment of an `applies_from`; null is now. */
export function momentOf(text: string | null): number | null {
  if (text === null) return null;
  const ms = parseRfc3339(text);
  if (ms === null) throw refuse('applies_from', 'be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z');
  return ms;
}

/** Names of fields on the wire and in the program. */
type Names = Readonly<Record<string, string>>;

/** Fields of a body by the program's names, those that were given only. */
export function renamed<T>(body: Readonly<Record<string, unknown>>, names: Names): T {
  const given = Object.entries(names).filter(([wire]) => body[wire] !== undefined);
  // The schema of the body gave each field its type, and the names pair fields of one type.
  return Object.fromEntries(given.map(([wire, own]) => [own, body[wire]])) as T;
}

/** The given names of a body, refused where there are none: a change of nothing is a mistake. */
export function givenNames(body: object): string[] {
  const names = Object.keys(body);
  if (names.length === 0) throw new RefusedRequest({ code: 'invalid_request', message: 'the body must name at least one field to change' });
  return names;
}

/** Limits of requests and tokens a minute as a body has them. */
interface GivenRateLimits {
  readonly requests_per_minute?: number | null;
  readonly tokens_per_minute?: number | null;
}

/** The `rate_limits` of a body, if it has any: null takes them away, and what is left out of the object is no limit. */
export function rateLimitsOf(body: { readonly rate_limits?: GivenRateLimits | null }): { readonly rateLimits?: RateLimits | null } {
  const { rate_limits: given } = body;
  if (given === undefined) return {};
  if (given === null) return { rateLimits: null };
  return { rateLimits: { requestsPerMinute: given.requests_per_minute ?? null, tokensPerMinute: given.tokens_per_minute ?? null } };
}

/** Where sealed bodies go, as a body has it. */
interface GivenSealed {
  readonly enclave_urls: readonly string[];
  readonly attestation_url?: string | null;
  readonly max_output_tokens?: number | null;
}

/** The `sealed` of a body, if it has any: null makes the upstream one for plain calls again. */
export function sealedOf(body: { readonly sealed?: GivenSealed | null }): { readonly sealed?: SealedUpstream | null } {
  const { sealed: given } = body;
  if (given === undefined) return {};
  if (given === null) return { sealed: null };
  const { enclave_urls: enclaveUrls, attestation_url: attestationUrl = null, max_output_tokens: maxOutputTokens = null } = given;
  return { sealed: { enclaveUrls, attestationUrl, maxOutputTokens } };
}

/** The entitlements' names on the wire. */
export const ENTITLEMENT_NAMES = {
  token_billing: 'tokenBilling',
  container_subscription: 'containerSubscription',
  gpu_access: 'gpuAccess',
  max_gpus: 'maxGpus',
  max_containers: 'maxContainers',
  host_choice: 'hostChoice',
  private_registries: 'privateRegistries',
  max_keys: 'maxKeys',
} as const satisfies Record<string, keyof Entitlements>;

/** The names of a tenant's other fields on the wire. */
export const TENANT_NAMES = {
  name: 'name',
  status: 'status',
  require_budget: 'requireBudget',
  allow_unpriced: 'allowUnpriced',
  hide_amounts: 'hideAmounts',
  currency: 'currency',
  require_balance: 'requireBalance',
} as const;

/** The names of an upstream's fields on the wire. */
export const UPSTREAM_NAMES = {
  kind: 'kind',
  base_url: 'baseUrl',
  api_key: 'apiKey',
  provider: 'provider',
  region: 'region',
  eu_native: 'euNative',
  quantized: 'quantized',
  retention_days: 'retentionDays',
  continuous_usage: 'continuousUsage',
  timeout_ms: 'timeoutMs',
  headers: 'headers',
  speaks: 'speaks',
} as const;

/** The names of a model's fields on the wire, but its upstreams. */
export const MODEL_NAMES = {
  context_tokens: 'contextTokens',
  max_output_tokens: 'maxOutputTokens',
  default_output_tokens: 'defaultOutputTokens',
  output_limit_field: 'outputLimitField',
  tokenizer: 'tokenizer',
  prompt_overhead_tokens: 'promptOverheadTokens',
  margin_percent: 'marginPercent',
  max_image_tokens: 'maxImageTokens',
  max_audio_tokens: 'maxAudioTokens',
  max_file_tokens: 'maxFileTokens',
  max_audio_seconds: 'maxAudioSeconds',
  tags: 'tags',
  description: 'description',
  aliases: 'aliases',
} as const;
