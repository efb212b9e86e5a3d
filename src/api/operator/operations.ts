import Type from 'typebox';
import { cyclesForm } from '../_shared/cycles-form.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import {
  named,
  object,
  orNull,
  Timestamp,
  WholeNumber,
  type Answer,
  type DocumentedSurface,
  type Operation,
  type Operations,
} from '../_shared/openapi/operation.ts';
import { BILL_OPERATIONS } from './bill-operations.ts';
import { EVENT_OPERATIONS, listedTenant, PAGE_HEADERS, pageEnd, pageQuery } from './event-operations.ts';
import { BALANCE_OPERATIONS } from './balance-operations.ts';
import { EXCHANGE_RATE_OPERATIONS } from './exchange-rate-operations.ts';
import { Entitlements } from './schemas.ts';
import { SERVER_OPERATIONS } from './server-operations.ts';
import { OPERATOR_PREFIX } from './prefix.ts';
import { windowBudgetOperations } from './window-budget-operations.ts';
import { USAGE_REPORTER_OPERATIONS } from './usage-reporter-operations.ts';

const Usd = Type.Number({ description: 'USD, exact.' });

const EntitlementsOut = named('Entitlements', Type.Required(Type.Object({ ...Entitlements.properties })));

const Tenant = named(
  'Tenant',
  object({
    id: Type.String(),
    name: Type.String(),
    status: Type.Union([Type.Literal('ACTIVE'), Type.Literal('SUSPENDED'), Type.Literal('CLOSED')]),
    require_budget: Type.Boolean({ description: 'Calls that no money account covers are refused.' }),
    allow_unpriced: Type.Boolean({ description: 'Models without a price may be called.' }),
    hide_amounts: Type.Boolean({ description: 'Refusals tell no figures.' }),
    currency: Type.String({ description: 'What its balance is in. It can change only at a balance of 0.' }),
    require_balance: Type.Boolean({ description: 'Calls that its prepaid balance cannot pay are refused.' }),
    entitlements: EntitlementsOut,
    key_count: WholeNumber,
    created_at: Timestamp,
  }),
);

/** How much may be asked for in a minute. */
const RateLimits = named(
  'MinuteLimits',
  object({ requests_per_minute: orNull(Type.Integer({ minimum: 1 })), tokens_per_minute: orNull(Type.Integer({ minimum: 1 })) }),
);

const Member = named(
  'Member',
  object({
    id: Type.String(),
    tenant_id: Type.String(),
    email: Type.String(),
    role: Type.Union([Type.Literal('admin'), Type.Literal('member')]),
    created_at: Timestamp,
  }),
);

const money = {
  money_budget_usd: orNull(Usd, 'What may be spent in all, in USD; null is no limit.'),
  spent_usd: orNull(Usd),
  reserved_usd: orNull(Usd, 'Held by calls in flight.'),
  remaining_usd: orNull(Usd, 'Null where nothing limits it.'),
};

const MoneyBudget = named('MoneyBudget', object(money));

const Levels = Type.Record(Type.String(), Type.String());
const CallerLevels = Type.Record(Type.String(), object({ pattern: Type.String(), required: Type.Boolean() }));

const OperatorKey = named(
  'OperatorKey',
  object({
    id: Type.String(),
    tenant_id: Type.String(),
    kind: Type.Union([Type.Literal('admin'), Type.Literal('inference'), Type.Literal('management'), Type.Literal('tenant')]),
    name: Type.String(),
    masked_key: Type.String(),
    member_id: Type.String(),
    disabled: Type.Boolean(),
    expires_at: orNull(Timestamp),
    max_tokens: orNull(WholeNumber),
    ...money,
    output_bound: Type.Union([Type.Literal('hard'), Type.Literal('soft')]),
    allowed_models: orNull(Type.Array(Type.String()), 'The models that it may call; null is every model.'),
    levels: orNull(Levels, 'Levels of the subject that it pins, such as `app`; null is none.'),
    caller_levels: orNull(CallerLevels, 'Levels that its caller may fill by a header such as `X-Castellan-Agent`; null is none.'),
    rate_limits: orNull(RateLimits, 'Over all of its calls; null is none.'),
    tokens_used: WholeNumber,
    request_count: WholeNumber,
    last_used_at: orNull(Timestamp),
    rotated_at: orNull(Timestamp, 'When it got its present value; null where that is its first.'),
    created_at: Timestamp,
  }),
);

const NewKey = named(
  'NewKey',
  object({
    id: Type.String(),
    key: Type.String({ description: 'The value of the key. It is told this once.' }),
    name: Type.String(),
    kind: Type.String(),
    tenant_id: Type.String(),
    member_id: Type.String(),
    created_at: Timestamp,
  }),
);

const RotatedKey = named(
  'RotatedKey',
  object({
    id: Type.String(),
    key: Type.String({ description: 'The new value of the key. It is told this once.' }),
    name: Type.String(),
    kind: Type.String(),
    tenant_id: Type.String(),
    member_id: Type.String(),
    disabled: Type.Boolean(),
    expires_at: orNull(Timestamp),
    rotated_at: orNull(Timestamp),
    previous_valid_until: orNull(Timestamp, 'Until when the value before is good; null where it is dead.'),
  }),
);

const UpstreamHealth = object(
  {
    state: Type.Union([Type.Literal('closed'), Type.Literal('open'), Type.Literal('half_open')], {
      description: '`closed`: it is asked; `open`: it is left alone; `half_open`: one call tries it.',
    }),
    consecutive_failures: WholeNumber,
    recent_attempts: WholeNumber,
    recent_failures: WholeNumber,
    opened_count: Type.Integer({ format: 'int64', description: 'How often it was left alone since this process started.' }),
    retry_in_ms: orNull(WholeNumber, 'When the next call may try it; null while it may be tried.'),
    rests_for_ms: orNull(WholeNumber, 'For how long it asked to be left alone; null where it did not.'),
    last_failure: orNull(object({ code: Type.String(), ago_ms: WholeNumber })),
  },
  { description: 'How it does, as the calls of this process tell.' },
);

const Upstream = named(
  'Upstream',
  object({
    id: Type.String(),
    kind: Type.Union([Type.Literal('openai'), Type.Literal('demo')]),
    base_url: Type.String(),
    has_api_key: Type.Boolean(),
    provider: Type.String(),
    region: orNull(Type.String()),
    eu_native: Type.Boolean(),
    quantized: Type.Boolean(),
    retention_days: orNull(Type.Integer()),
    continuous_usage: Type.Boolean(),
    timeout_ms: orNull(Type.Integer()),
    header_names: Type.Array(Type.String(), { description: 'Headers that go with every request to it; their values are never shown.' }),
    health: UpstreamHealth,
    speeds: Type.Array(
      object({
        model: Type.String(),
        first_token_ms: Type.Integer(),
        tokens_per_second: orNull(Type.Number(), 'Of output, after the first token; null where the model gives none.'),
      }),
      { description: 'How fast it has been with each model within the hour, as averages that favour the newest answers.' },
    ),
    speaks: Type.Array(Type.Union([Type.Literal('openai'), Type.Literal('anthropic')]), { description: 'The APIs that it answers.' }),
    rate_limits: orNull(RateLimits, 'Of all calls of this server that go there; null is none.'),
    sealed: orNull(
      object({
        enclave_urls: Type.Array(Type.String(), { description: 'What callers may name in `X-Tinfoil-Enclave-Url`.' }),
        attestation_url: orNull(Type.String(), 'Where `GET /attestation` is answered from; null: nowhere.'),
        max_output_tokens: orNull(Type.Integer(), "The most that one call can get back; null: the largest limit of the upstream's models."),
      }),
      'Where it takes sealed calls, and no others; null: it takes plain ones.',
    ),
    created_at: Timestamp,
  }),
);

const Model = named(
  'Model',
  object({
    id: Type.String(),
    upstreams: Type.Array(
      object({
        id: Type.String(),
        model: Type.String({ description: 'What the model is called there.' }),
        weight: Type.Optional(Type.Integer({ description: 'Its share of the calls; 0 is for fallback only.' })),
        context_tokens: Type.Optional(Type.Integer({ description: "Its own context size; left out where it is the model's." })),
        max_output_tokens: Type.Optional(Type.Integer({ description: "Its own output limit; left out where it is the model's." })),
      }),
      { description: 'In the order in which they are tried where no weights are given.' },
    ),
    context_tokens: Type.Integer(),
    max_output_tokens: Type.Integer(),
    default_output_tokens: Type.Integer(),
    output_limit_field: Type.String(),
    tokenizer: orNull(Type.String()),
    prompt_overhead_tokens: Type.Integer(),
    margin_percent: Type.Integer(),
    max_image_tokens: orNull(Type.Integer()),
    max_audio_tokens: orNull(Type.Integer()),
    max_file_tokens: orNull(Type.Integer()),
    max_audio_seconds: orNull(Type.Integer(), 'The longest audio of one transcription; null: what the file can hold.'),
    tags: Type.Array(Type.String()),
    description: orNull(Type.String(), 'What people are told of it.'),
    rate_limits: orNull(RateLimits, 'Of the calls of each tenant that ask for it; null is none.'),
    aliases: Type.Array(Type.String(), { description: 'Other names that callers may use.' }),
    created_at: Timestamp,
  }),
);

const Price = named(
  'Price',
  object({
    id: Type.String(),
    model_id: Type.String(),
    upstream_id: orNull(Type.String(), 'Null: every upstream that has no price of its own.'),
    input_per_1m: Usd,
    output_per_1m: Usd,
    cached_input_per_1m: orNull(Usd),
    cache_write_input_per_1m: orNull(Usd, 'Of input that the upstream writes into its cache, USD; null: what input costs.'),
    per_request: Usd,
    per_second: Type.Optional({ ...Usd, description: 'Of one second of audio that comes in, USD; left out where it costs nothing.' }),
    per_1m_characters: Type.Optional({
      ...Usd,
      description: 'Of a million characters that are spoken, USD; left out where they cost nothing.',
    }),
    per_image: Type.Optional({ ...Usd, description: 'Of one image that is made, USD; left out where it costs nothing.' }),
    applies_from: Timestamp,
    created_at: Timestamp,
  }),
);

const Verification = named(
  'Verification',
  object({
    accounts: WholeNumber,
    entries: WholeNumber,
    reservations: WholeNumber,
    discrepancies: Type.Array(object({ check: Type.String(), subject: Type.String(), found: Type.String(), expected: Type.String() }), {
      description: 'Empty where the ledger holds.',
    }),
  }),
);

/** The body of this surface's errors. */
export const CyclesError = named(
  'CyclesError',
  object({
    error: Type.String({ description: 'A code; the table of codes says what it means.' }),
    message: Type.String(),
    request_id: Type.String({ description: 'The id of the request in the log.' }),
    details: Type.Optional(object({ field: Type.String({ description: 'The field that breaks a rule.' }) })),
  }),
);

const at = (path: string): string => OPERATOR_PREFIX + path;
const GONE: Answer = { description: 'It is gone.' };
const listOf = (name: string, schema: typeof Tenant | typeof Member | typeof Upstream | typeof Model | typeof Price): Answer => ({
  description: 'All of them, ordered by id.',
  schema: object({ [name]: Type.Array(schema) }),
});

const TENANT_PATH = { id: 'The id of the tenant.' };

const TENANT_OPERATIONS: Operations = {
  [`POST ${at('/tenants')}`]: {
    id: 'createTenant',
    summary: 'Create a tenant',
    answers: { 201: { description: 'The new tenant.', schema: Tenant } },
    errors: [409],
  },
  [`GET ${at('/tenants')}`]: { id: 'listTenants', summary: 'List tenants', answers: { 200: listOf('tenants', Tenant) } },
  [`GET ${at('/tenants/:id')}`]: {
    id: 'getTenant',
    summary: 'Show a tenant',
    path: TENANT_PATH,
    answers: { 200: { description: 'The tenant.', schema: Tenant } },
    errors: [404],
  },
  [`PATCH ${at('/tenants/:id')}`]: {
    id: 'updateTenant',
    summary: 'Change a tenant',
    description: 'Only what the body names is changed. A suspended tenant starts nothing new; what is in flight ends and is booked.',
    path: TENANT_PATH,
    answers: { 200: { description: 'The tenant as it is now.', schema: Tenant } },
    errors: [404, 409],
  },
  [`GET ${at('/tenants/:id/entitlements')}`]: {
    id: 'getEntitlements',
    summary: 'Show what a tenant is entitled to',
    path: TENANT_PATH,
    answers: { 200: { description: 'The entitlements.', schema: EntitlementsOut } },
    errors: [404],
  },
  [`PATCH ${at('/tenants/:id/entitlements')}`]: {
    id: 'updateEntitlements',
    summary: 'Change what a tenant is entitled to',
    path: TENANT_PATH,
    answers: { 200: { description: 'The entitlements as they are now.', schema: EntitlementsOut } },
    errors: [404, 409],
  },
  [`GET ${at('/tenants/:id/money-budget')}`]: {
    id: 'getMoneyBudget',
    summary: 'Show the money budget of a tenant',
    path: TENANT_PATH,
    answers: { 200: { description: 'The budget; all is null where nobody keeps one.', schema: MoneyBudget } },
    errors: [404],
  },
  [`PUT ${at('/tenants/:id/money-budget')}`]: {
    id: 'setMoneyBudget',
    summary: 'Set the money budget of a tenant',
    description: 'Sets what may be spent in all and never touches what is spent. Null takes the limit away.',
    path: TENANT_PATH,
    answers: { 200: { description: 'The budget as it is now.', schema: MoneyBudget } },
    errors: [404, 409],
  },
  ...windowBudgetOperations(at('/tenants/:id/budgets'), TENANT_PATH),
};

const makeKeyOperation = (kind: 'admin' | 'management'): Operation => ({
  id: kind === 'admin' ? 'createAdminKey' : 'createManagementKey',
  summary: `Create ${kind === 'admin' ? 'an admin' : 'a management'} key`,
  description: 'The key acts as the member that it names. Its value is told this once.',
  path: TENANT_PATH,
  answers: { 201: { description: 'The new key with its value.', schema: NewKey } },
  errors: [404, 409],
});

const MEMBER_OPERATIONS: Operations = {
  [`POST ${at('/tenants/:id/members')}`]: {
    id: 'addMember',
    summary: 'Add a member to a tenant',
    path: TENANT_PATH,
    answers: { 201: { description: 'The new member.', schema: Member } },
    errors: [404, 409],
  },
  [`GET ${at('/tenants/:id/members')}`]: {
    id: 'listMembers',
    summary: 'List the members of a tenant',
    path: TENANT_PATH,
    answers: { 200: listOf('members', Member) },
    errors: [404],
  },
  [`DELETE ${at('/tenants/:id/members/:memberId')}`]: {
    id: 'removeMember',
    summary: 'Remove a member from a tenant',
    description: "The member's admin and management keys stop working; inference keys stay with the tenant.",
    path: { ...TENANT_PATH, memberId: 'The id of the member.' },
    answers: { 204: GONE },
    errors: [404, 409],
  },
  [`POST ${at('/tenants/:id/admin-keys')}`]: makeKeyOperation('admin'),
  [`POST ${at('/tenants/:id/management-keys')}`]: makeKeyOperation('management'),
};

const KEY_PATH = { id: 'The id of the key, `key_...`; not its value.' };

const KEY_OPERATIONS: Operations = {
  [`GET ${at('/keys')}`]: {
    id: 'listTenantKeys',
    summary: 'List the keys of a tenant',
    description: 'Keys of every kind, oldest first, a page at a time.',
    query: {
      tenant_id: listedTenant,
      ...pageQuery('Keys'),
    },
    answers: {
      200: {
        description: 'A page of keys.',
        schema: object({ keys: Type.Array(OperatorKey), ...pageEnd }),
        headers: PAGE_HEADERS,
      },
    },
    errors: [404],
    security: ['operatorKey', 'adminKey'],
  },
  [`GET ${at('/keys/:id')}`]: {
    id: 'getKey',
    summary: 'Show a key',
    description: 'With its limits and what it has used; never its value.',
    path: KEY_PATH,
    answers: { 200: { description: 'The key.', schema: OperatorKey } },
    errors: [404],
  },
  [`PATCH ${at('/keys/:id')}`]: {
    id: 'updateKey',
    summary: 'Change a key',
    path: KEY_PATH,
    answers: { 200: { description: 'The key as it is now.', schema: OperatorKey } },
    errors: [404, 409],
  },
  [`DELETE ${at('/keys/:id')}`]: {
    id: 'deleteKey',
    summary: 'Delete a key',
    description: 'The very next request with it is refused. What it used stays on record.',
    path: KEY_PATH,
    answers: { 204: GONE },
    errors: [404, 409],
  },
};

const ROTATION_OPERATIONS: Operations = {
  [`POST ${at('/keys/:id/rotate')}`]: {
    id: 'rotateKey',
    summary: 'Give a key a new value',
    description:
      'All else of the key stays. The value before is good for `grace_seconds` more; without them it is dead at once. An admin key rotates keys of its tenant, but none that acts as another member. A key of the first start stands with its new value in `credentials.json` of the node that was asked.',
    path: KEY_PATH,
    answers: { 200: { description: 'The key with its new value.', schema: RotatedKey } },
    errors: [404],
    security: ['operatorKey', 'adminKey'],
  },
};

const UPSTREAM_PATH = { id: 'The id of the upstream.' };
const MODEL_PATH = { id: 'The id of the model.' };

const CATALOGUE_OPERATIONS: Operations = {
  [`POST ${at('/upstreams')}`]: {
    id: 'createUpstream',
    summary: 'Add an upstream',
    description: 'A server that answers model calls. Its credential is sealed and never shown again.',
    answers: { 201: { description: 'The new upstream.', schema: Upstream } },
    errors: [409],
  },
  [`GET ${at('/upstreams')}`]: { id: 'listUpstreams', summary: 'List upstreams', answers: { 200: listOf('upstreams', Upstream) } },
  [`GET ${at('/upstreams/:id')}`]: {
    id: 'getUpstream',
    summary: 'Show an upstream',
    path: UPSTREAM_PATH,
    answers: { 200: { description: 'The upstream.', schema: Upstream } },
    errors: [404],
  },
  [`PATCH ${at('/upstreams/:id')}`]: {
    id: 'updateUpstream',
    summary: 'Change an upstream',
    path: UPSTREAM_PATH,
    answers: { 200: { description: 'The upstream as it is now.', schema: Upstream } },
    errors: [404, 409],
  },
  [`DELETE ${at('/upstreams/:id')}`]: {
    id: 'deleteUpstream',
    summary: 'Remove an upstream',
    path: UPSTREAM_PATH,
    answers: { 204: GONE },
    errors: [404, 409],
  },
  [`POST ${at('/models')}`]: {
    id: 'createModel',
    summary: 'Add a model',
    answers: { 201: { description: 'The new model.', schema: Model } },
    errors: [409],
  },
  [`GET ${at('/models')}`]: { id: 'listCatalogueModels', summary: 'List models', answers: { 200: listOf('models', Model) } },
  [`GET ${at('/models/:id')}`]: {
    id: 'getCatalogueModel',
    summary: 'Show a model',
    path: MODEL_PATH,
    answers: { 200: { description: 'The model.', schema: Model } },
    errors: [404],
  },
  [`PATCH ${at('/models/:id')}`]: {
    id: 'updateModel',
    summary: 'Change a model',
    path: MODEL_PATH,
    answers: { 200: { description: 'The model as it is now.', schema: Model } },
    errors: [404, 409],
  },
  [`DELETE ${at('/models/:id')}`]: {
    id: 'deleteModel',
    summary: 'Remove a model',
    path: MODEL_PATH,
    answers: { 204: GONE },
    errors: [404, 409],
  },
  [`POST ${at('/prices')}`]: {
    id: 'addPrice',
    summary: 'Add a price',
    description: 'Prices are added and never changed: a call is booked by the price that applied when it was held.',
    answers: { 201: { description: 'The new price.', schema: Price } },
    errors: [404, 409],
  },
  [`GET ${at('/prices')}`]: {
    id: 'listPrices',
    summary: 'List prices',
    query: { model_id: { description: 'Only prices of this model.', schema: Type.String() } },
    answers: { 200: listOf('prices', Price) },
  },
  [`DELETE ${at('/prices/:id')}`]: {
    id: 'deletePrice',
    summary: 'Take back a price that lies ahead',
    path: { id: 'The id of the price.' },
    answers: { 204: GONE },
    errors: [404, 409],
  },
};

const LEDGER_OPERATIONS: Operations = {
  [`POST ${at('/verify')}`]: {
    id: 'verifyLedger',
    summary: 'Recompute the whole ledger',
    description:
      'Reads every account, entry and reservation and tells what contradicts itself. It walks the audit trail along its chains as well, and ' +
      'compares it with what was exported of it. It changes nothing.',
    answers: { 200: { description: 'What was read, and what was found.', schema: Verification } },
  },
};

/** What the document tells about the operator API. */
export const OPERATOR_SURFACE: DocumentedSurface = {
  id: 'operator',
  title: 'Operator API',
  description:
    'Tenants, balances, members, keys, upstreams, models, prices, exchange rates and usage reporters, for whoever runs this server.',
  prefixes: [OPERATOR_PREFIX],
  operations: {
    ...TENANT_OPERATIONS,
    ...BALANCE_OPERATIONS,
    ...MEMBER_OPERATIONS,
    ...KEY_OPERATIONS,
    ...ROTATION_OPERATIONS,
    ...EVENT_OPERATIONS,
    ...CATALOGUE_OPERATIONS,
    ...EXCHANGE_RATE_OPERATIONS,
    ...USAGE_REPORTER_OPERATIONS,
    ...SERVER_OPERATIONS,
    ...BILL_OPERATIONS,
    ...LEDGER_OPERATIONS,
  },
  security: ['operatorKey'],
  errors: {
    form: CyclesError,
    always: [400, 401, 403, 421, 500, 503],
    codes: errorCodes((code) => {
      const { status, body } = cyclesForm({ code, message: '' }, '');
      return { status, code: (body as { readonly error: string }).error };
    }),
  },
};
