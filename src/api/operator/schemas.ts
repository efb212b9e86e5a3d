import Type, { type TProperties, type TSchema } from 'typebox';
import { MAX_GRACE_SECONDS } from '../../core/access/decide-rotate-key.ts';
import { Int64 } from '../_shared/validation.ts';

const rule = (text: string): { rule: string } => ({ rule: text });

/** Bodies of this surface name everything that they know: a misspelt field is told, not passed over. */
const strict = <P extends TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false });

const orNull = <T extends TSchema>(type: T, text: string) => Type.Union([type, Type.Null()], rule(`${text}, or null`));

const Text = Type.String(rule('a string'));
const Switch = Type.Boolean(rule('true or false'));
const Whole = Type.Integer({ ...rule('a whole number that is at least 0'), minimum: 0 });

const GraceSeconds = Type.Integer({
  ...rule(`a whole number from 0 to ${MAX_GRACE_SECONDS}`),
  minimum: 0,
  maximum: MAX_GRACE_SECONDS,
});

/** A USD amount: a number, or a decimal string where a double would not hold it. The amount itself is checked with its exactness. */
export const UsdOrNull = Type.Union(
  [Type.Number(), Type.BigInt(), Type.String(), Type.Null()],
  rule('an amount in USD, as a number or a decimal string, or null'),
);

/** A moment, or null. Its form is checked where it is read. */
export const NullOrTime = orNull(Type.String(), 'an RFC 3339 timestamp such as 2026-12-31T23:59:59Z');

/** Entitlements as configuration file and API name them. */
export const Entitlements = strict({
  token_billing: Type.Optional(Switch),
  container_subscription: Type.Optional(Switch),
  gpu_access: Type.Optional(Switch),
  max_gpus: Type.Optional(Whole),
  max_containers: Type.Optional(Whole),
  host_choice: Type.Optional(Switch),
  private_registries: Type.Optional(Switch),
  max_keys: Type.Optional(Whole),
});

const tenantFields = {
  require_budget: Type.Optional(Switch),
  allow_unpriced: Type.Optional(Switch),
  hide_amounts: Type.Optional(Switch),
  currency: Type.Optional(Text),
  require_balance: Type.Optional(Switch),
};

/** Body of `POST /tenants`. */
export const CreateTenantBody = strict({ id: Text, name: Type.Optional(Text), ...tenantFields, entitlements: Type.Optional(Entitlements) });

/** Body of `PATCH /tenants/{id}`. A tenant is closed by its owner's protocol, which has more to close than the tenant. */
export const UpdateTenantBody = strict({
  name: Type.Optional(Text),
  status: Type.Optional(Type.Union([Type.Literal('ACTIVE'), Type.Literal('SUSPENDED')], rule('ACTIVE or SUSPENDED'))),
  ...tenantFields,
});

/** Body of `PUT /tenants/{id}/money-budget`; null is no limit. */
export const MoneyBudgetBody = strict({ money_budget_usd: UsdOrNull });

/** Body of `POST /tenants/{id}/members`. */
export const AddMemberBody = strict({
  id: Text,
  email: Text,
  role: Type.Optional(Type.Union([Type.Literal('admin'), Type.Literal('member')], rule('admin or member'))),
});

/** Body of `POST /tenants/{id}/admin-keys` and `/management-keys`. */
export const MemberKeyBody = strict({ name: Text, member_id: Text });

/** Levels of the subject that a key pins; null pins none. */
export const LevelsOrNull = Type.Union(
  [Type.Record(Type.String(), Type.String()), Type.Null()],
  rule('an object of levels and values, or null'),
);

/** Levels of the subject that a key leaves to its caller; null leaves none. */
export const CallerLevelsOrNull = Type.Union(
  [Type.Record(Type.String(), strict({ pattern: Type.String(), required: Type.Optional(Switch) })), Type.Null()],
  rule('an object of levels, each with a pattern and whether it is required, or null'),
);

const PerMinute = Type.Optional(orNull(Type.Integer({ minimum: 1 }), 'a whole number that is at least 1'));

/** Limits of a key, a model or an upstream; null has none. Their bounds are checked where they are decided. */
const RateLimitsOrNull = Type.Union(
  [strict({ requests_per_minute: PerMinute, tokens_per_minute: PerMinute }), Type.Null()],
  rule('an object with requests_per_minute or tokens_per_minute, which are whole numbers from 1 on, or null'),
);

/** Body of `PATCH /keys/{id}`. */
export const UpdateKeyBody = strict({
  name: Type.Optional(Text),
  max_tokens: Type.Optional(orNull(Int64, 'a whole number')),
  expires_at: Type.Optional(NullOrTime),
  disabled: Type.Optional(Switch),
  money_budget_usd: Type.Optional(UsdOrNull),
  output_bound: Type.Optional(Type.Union([Type.Literal('hard'), Type.Literal('soft')], rule('hard or soft'))),
  allowed_models: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()], rule('a list of model ids, or null'))),
  levels: Type.Optional(LevelsOrNull),
  caller_levels: Type.Optional(CallerLevelsOrNull),
  rate_limits: Type.Optional(RateLimitsOrNull),
});

/** Body of `POST /keys/{id}/rotate`; nothing at all is the same as no grace. */
export const RotateKeyBody = Type.Union([strict({ grace_seconds: Type.Optional(GraceSeconds) }), Type.Null()]);

/** Where sealed bodies go; null takes plain calls. Its rules are checked where they are decided. */
const SealedOrNull = Type.Union(
  [
    strict({
      enclave_urls: Type.Array(Type.String()),
      attestation_url: Type.Optional(orNull(Type.String(), 'a string')),
      max_output_tokens: Type.Optional(orNull(Type.Integer(), 'a whole number')),
    }),
    Type.Null(),
  ],
  rule('an object with enclave_urls, a list of addresses, and optionally attestation_url and max_output_tokens, or null'),
);

const upstreamFields = {
  base_url: Type.Optional(Text),
  api_key: Type.Optional(
    orNull(Type.String({ pattern: '^[\\x21-\\x7e]+$', maxLength: 4096 }), 'a credential of at most 4096 visible ASCII characters'),
  ),
  provider: Type.Optional(Text),
  region: Type.Optional(orNull(Type.String(), 'a string')),
  eu_native: Type.Optional(Switch),
  quantized: Type.Optional(Switch),
  retention_days: Type.Optional(orNull(Type.Integer(), 'a whole number')),
  continuous_usage: Type.Optional(Switch),
  timeout_ms: Type.Optional(orNull(Type.Integer(), 'a whole number')),
  headers: Type.Optional(
    Type.Union(
      [Type.Record(Type.String(), Type.String()), Type.Null()],
      rule('an object of header names and values that are strings, or null'),
    ),
  ),
  speaks: Type.Optional(
    Type.Array(Type.Union([Type.Literal('openai'), Type.Literal('anthropic')]), rule('a list of openai and anthropic, each at most once')),
  ),
  rate_limits: Type.Optional(RateLimitsOrNull),
  sealed: Type.Optional(SealedOrNull),
};

/** Body of `POST /upstreams`. */
export const CreateUpstreamBody = strict({
  id: Text,
  kind: Type.Optional(Type.Union([Type.Literal('openai'), Type.Literal('demo')], rule('openai or demo'))),
  ...upstreamFields,
});

/** Body of `PATCH /upstreams/{id}`. */
export const UpdateUpstreamBody = strict(upstreamFields);

const ModelUpstreams = Type.Array(
  Type.Object(
    {
      id: Text,
      model: Type.Optional(Text),
      weight: Type.Optional(Whole),
      context_tokens: Type.Optional(Whole),
      max_output_tokens: Type.Optional(Whole),
    },
    { additionalProperties: false, ...rule('an object with id, model, weight, context_tokens and max_output_tokens') },
  ),
  {
    ...rule('a list of objects with id, model, weight, context_tokens and max_output_tokens'),
  },
);

const modelFields = {
  context_tokens: Type.Optional(Whole),
  max_output_tokens: Type.Optional(Whole),
  default_output_tokens: Type.Optional(Whole),
  output_limit_field: Type.Optional(
    Type.Union([Type.Literal('max_tokens'), Type.Literal('max_completion_tokens')], rule('max_tokens or max_completion_tokens')),
  ),
  tokenizer: Type.Optional(orNull(Type.String(), 'a string')),
  prompt_overhead_tokens: Type.Optional(Whole),
  margin_percent: Type.Optional(Whole),
  max_image_tokens: Type.Optional(orNull(Type.Integer(), 'a whole number')),
  max_audio_tokens: Type.Optional(orNull(Type.Integer(), 'a whole number')),
  max_file_tokens: Type.Optional(orNull(Type.Integer(), 'a whole number')),
  max_audio_seconds: Type.Optional(orNull(Type.Integer(), 'a whole number')),
  tags: Type.Optional(Type.Array(Text, rule('a list of strings'))),
  description: Type.Optional(orNull(Type.String(), 'a string')),
  rate_limits: Type.Optional(RateLimitsOrNull),
  aliases: Type.Optional(Type.Array(Text, rule('a list of strings'))),
};

/** Body of `POST /models`. */
export const CreateModelBody = strict({ id: Text, upstreams: ModelUpstreams, ...modelFields });

/** Body of `PATCH /models/{id}`. */
export const UpdateModelBody = strict({ upstreams: Type.Optional(ModelUpstreams), ...modelFields });

/** Body of `POST /tenants/{id}/credits`. */
export const CreditBody = strict({
  amount: Type.Union([Type.Number(), Type.BigInt(), Type.String()], rule('an amount, as a number or a decimal string')),
  reason: Text,
  currency: Type.Optional(Text),
  idempotency_key: Type.Optional(Type.String({ minLength: 1, maxLength: 256, ...rule('a string of 1 to 256 characters') })),
});

/** Body of `POST /exchange-rates`. */
export const AddExchangeRateBody = strict({
  currency: Text,
  per_usd: Type.Union([Type.Number(), Type.String()], rule('what one USD is worth, as a number or a decimal string')),
  applies_from: Type.Optional(orNull(Type.String(), 'an RFC 3339 timestamp')),
});

const Price = Type.Union([Type.Number(), Type.String()], rule('a price in USD, as a number or a decimal string'));
const PriceOrNull = Type.Union(
  [Type.Number(), Type.String(), Type.Null()],
  rule('a price in USD, as a number or a decimal string, or null'),
);

/** Body of `POST /prices`. */
export const AddPriceBody = strict({
  model_id: Text,
  upstream_id: Type.Optional(orNull(Type.String(), 'a string')),
  input_per_1m: Price,
  output_per_1m: Price,
  cached_input_per_1m: Type.Optional(PriceOrNull),
  cache_write_input_per_1m: Type.Optional(PriceOrNull),
  per_request: Type.Optional(PriceOrNull),
  per_second: Type.Optional(PriceOrNull),
  per_1m_characters: Type.Optional(PriceOrNull),
  per_image: Type.Optional(PriceOrNull),
  applies_from: Type.Optional(orNull(Type.String(), 'an RFC 3339 timestamp')),
});
