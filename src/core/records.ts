import type { ContainerMeter } from './containers/container-meter.ts';
import type { Container, ContainerRoster, Lease } from './containers/container-records.ts';
import type { RegistryCredential, Secret, TenantKey } from './containers/secret-records.ts';
import type { Domain, DomainClaim } from './containers/domain-records.ts';
import type { SshKey } from './containers/ssh-key-records.ts';
import type { OveragePolicy } from './ledger/account.ts';
import type { BillCorrection, BillLink, BillState, Statement, StatementLines } from './bills/bill-records.ts';
import type { BillingCustomer, Payment, UsageMeter } from './payments/payment-records.ts';
import type { PlainJson } from './json/plain-json.ts';
import type { ProjectSettings } from './routing/settings.ts';
import type { BudgetRule } from './windows/budget-rule.ts';

/** What a tenant may do. Source: architecture section 7; `maxKeys` counts its inference and management keys. */
export interface Entitlements {
  readonly tokenBilling: boolean;
  readonly containerSubscription: boolean;
  readonly gpuAccess: boolean;
  readonly maxGpus: number;
  readonly maxContainers: number;
  readonly hostChoice: boolean;
  readonly privateRegistries: boolean;
  readonly maxKeys: number;
}

/** ACTIVE works; SUSPENDED starts nothing new; CLOSED is for ever. Source: Cycles governance, `TenantStatus`. */
export type TenantStatus = 'ACTIVE' | 'SUSPENDED' | 'CLOSED';

/**
 * The owner of everything. `requireBudget` refuses calls that no money account covers, `allowUnpriced` lets models without a price
 * be called, `hideAmounts` keeps figures out of refusals. `keyCount` counts its keys that are not deleted (inference, management).
 */
export interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly status: TenantStatus;
  readonly entitlements: Entitlements;
  readonly requireBudget: boolean;
  readonly allowUnpriced: boolean;
  readonly hideAmounts: boolean;
  readonly keyCount: number;
  readonly createdAtMs: number;
  /** What the Cycles surfaces know of a tenant beside that; absent: its defaults. Lengths in milliseconds. */
  readonly parentTenantId?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly defaultOveragePolicy?: OveragePolicy;
  readonly defaultTtlMs?: number;
  readonly maxTtlMs?: number;
  readonly maxExtensions?: number;
  readonly reservationExpiryPolicy?: ReservationExpiryPolicy;
  readonly updatedAtMs?: number;
  readonly suspendedAtMs?: number;
  readonly closedAtMs?: number;
  /** Shares of a budget (0 to 1) at which its use is told beside the usual ones, because webhooks ask for them. */
  readonly utilizationThresholds?: readonly number[];
  /** What its money is in: a code of ISO 4217. Absent: EUR. */
  readonly currency?: string;
  /** Calls that its prepaid balance cannot pay are refused. Absent: false. */
  readonly requireBalance?: boolean;
  /** It keeps a prepaid balance, in its currency: calls take from it. Absent: it never did. */
  readonly hasBalance?: boolean;
  /** What its members have set for its calls; absent: nothing yet. */
  readonly projectSettings?: ProjectSettings;
  /** Limits of what its calls may spend in a day, week or month; absent: none. */
  readonly budgetRules?: readonly BudgetRule[];
}

/**
 * What becomes of a reservation whose time is over: it is returned when its grace is over as well; or it stays until somebody releases
 * it; or it may be committed during its grace, and counts as expired after. Source: Cycles governance, `reservation_expiry_policy`.
 */
export type ReservationExpiryPolicy = 'AUTO_RELEASE' | 'MANUAL_CLEANUP' | 'GRACE_ONLY';

/** What a policy advises its callers. Source: Cycles protocol, `Caps`. */
export interface PolicyCaps {
  readonly maxTokens?: number;
  readonly maxStepsRemaining?: number;
  readonly toolAllowlist?: readonly string[];
  readonly toolDenylist?: readonly string[];
  readonly cooldownMs?: number;
}

/**
 * Rules for the subjects whose scopes match `scopePattern`. Of several that match, the one of the highest priority applies, whole.
 * Lengths and moments in milliseconds; rates are per minute. Source: Cycles governance, `Policy`.
 */
export interface Policy {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly description: string | null;
  readonly scopePattern: string;
  readonly priority: number;
  readonly status: 'ACTIVE' | 'DISABLED';
  readonly caps: PolicyCaps | null;
  readonly overagePolicy: OveragePolicy | null;
  readonly ttlOverride: { readonly defaultTtlMs?: number; readonly maxTtlMs?: number; readonly maxExtensions?: number } | null;
  readonly rateLimits: { readonly maxReservationsPerMinute?: number; readonly maxCommitsPerMinute?: number } | null;
  readonly effectiveFromMs: number | null;
  readonly effectiveUntilMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/**
 * Who wants to be told of events. `tenantId` is {@link SYSTEM_TENANT} for the operator's. `secretSealed` and `headersSealed` (a JSON object
 * of names and values, or null) are base64 of the secret box. Source: Cycles governance, `WebhookSubscription`.
 */
export interface Webhook {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly url: string;
  readonly eventTypes: readonly string[];
  readonly eventCategories: readonly string[];
  readonly scopeFilter: string | null;
  readonly status: 'ACTIVE' | 'PAUSED' | 'DISABLED';
  readonly secretSealed: string;
  readonly headerNames: readonly string[];
  readonly headersSealed: string | null;
  readonly retryPolicy: PlainJson;
  readonly thresholds: PlainJson;
  readonly disableAfterFailures: number;
  readonly metadata: PlainJson;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** How often it was set ACTIVE again; absent: never. Failures count within one epoch. */
  readonly epoch?: number;
  /** Since when it is ACTIVE; events from before are not delivered. Absent: since it was made. */
  readonly activeSinceMs?: number;
}

/** A person in a tenant. `id` is unique in the tenant; the record's id is `tenantId/id`. A removed member stays as a name. */
export interface Member {
  readonly id: string;
  readonly tenantId: string;
  readonly email: string;
  readonly role: 'admin' | 'member';
  readonly createdAtMs: number;
  readonly removedAtMs: number | null;
}

/** `admin`: `admin_`; `inference`: `tk_`; `management`: `mk_`; `tenant`: `cyc_live_`. */
export type KeyKind = 'admin' | 'inference' | 'management' | 'tenant';

/**
 * The last time that a key got a new value. Until `previousUntilMs` the value before it is good as well: `previousHash` is that one's
 * hash, null where it died at once. Values before that one are dead.
 */
export interface KeyRotation {
  readonly atMs: number;
  readonly previousHash: string | null;
  readonly previousUntilMs: number;
}

/** How much may be asked for in one minute of UTC; null: no limit. Whole numbers from 1 on, at least one of them. */
export interface RateLimits {
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
}

/**
 * A credential. The plaintext is nowhere but in `sealed` (base64, the master key's secret box; only inference keys made on the
 * Tinfoil surface), else null. `hash` is the base64url HMAC-SHA256 of the plaintext. `mask` is what others than its creator see.
 * `outputBound`: `hard` keys never get more output than they hold; `soft` ones send no limit of ours upstream. A deleted key stays as the name of its usage.
 */
export interface ApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly hash: string;
  readonly mask: string;
  readonly sealed: string | null;
  readonly createdBy: string;
  readonly disabled: boolean;
  readonly expiresAtMs: number | null;
  readonly metadata: PlainJson;
  readonly outputBound: 'hard' | 'soft';
  /** Ids of the models that it may call; absent or null: every model. */
  readonly allowedModels?: readonly string[] | null;
  /** Over all of its calls; absent or null: none. */
  readonly rateLimits?: RateLimits | null;
  readonly createdAtMs: number;
  readonly deletedAtMs: number | null;
  /** What a tenant key may do, and on which scopes; absent for other kinds. Empty `scopeFilter`: everywhere. */
  readonly permissions?: readonly string[];
  readonly scopeFilter?: readonly string[];
  readonly description?: string | null;
  readonly revokedReason?: string | null;
  /** Levels that the key fixes, and those that its caller may fill, for calls of models. */
  readonly levels?: Readonly<Record<string, string>>;
  readonly callerLevels?: Readonly<Record<string, { readonly pattern: string; readonly required: boolean }>>;
  /** Missing in keys that an earlier release made, and null or missing where the key still has its first value. */
  readonly rotation?: KeyRotation | null;
  /** The expiry that was told of already; absent where none was. */
  readonly expiryToldMs?: number;
}

/** The API that a call is made in: OpenAI's, or Anthropic's Messages API. */
export type Dialect = 'openai' | 'anthropic';

/**
 * A server that answers inference requests. `kind` `demo` answers inside our process. `apiKeySealed` is base64 of the secret box.
 * `provider` and the next four feed the router.
 */
export interface Upstream {
  readonly id: string;
  readonly kind: 'openai' | 'demo';
  readonly baseUrl: string;
  readonly apiKeySealed: string | null;
  readonly provider: string;
  readonly region: string | null;
  readonly euNative: boolean;
  readonly quantized: boolean;
  readonly retentionDays: number | null;
  /** Whether it takes vLLM's `stream_options.continuous_usage_stats`; strict servers refuse unknown options. */
  readonly continuousUsage: boolean;
  /** The APIs that it answers; records that do not say are read by `speaks`. */
  readonly speaks?: readonly Dialect[];
  readonly timeoutMs: number | null;
  /** Headers that go with every request to it: their names as declared, and the sealed JSON object of names and values. */
  readonly headerNames?: readonly string[];
  readonly headersSealed?: string | null;
  /** Of all calls of this server that go there; absent or null: none. */
  readonly rateLimits?: RateLimits | null;
  /** It takes calls whose bodies are sealed for it, and no others; absent or null: it takes plain ones. */
  readonly sealed?: SealedUpstream | null;
  readonly createdAtMs: number;
}

/**
 * Where sealed bodies go. `enclaveUrls` are the addresses that callers may name; `attestationUrl` is where what they are verified by is
 * fetched, null where it is told nowhere. `maxOutputTokens` is the most that one call can get back, all of its choices together; null: the
 * largest output limit of the upstream's models.
 */
export interface SealedUpstream {
  readonly enclaveUrls: readonly string[];
  readonly attestationUrl: string | null;
  readonly maxOutputTokens: number | null;
}

/**
 * What a model is called at one upstream, and its share of the model's calls (0: for fallback only; absent: see `rankCandidates`).
 * `contextTokens` and `maxOutputTokens`: what it takes and gives there, where that is less than the model's own.
 */
export interface ModelUpstream {
  readonly id: string;
  readonly model: string;
  readonly weight?: number;
  readonly contextTokens?: number;
  readonly maxOutputTokens?: number;
}

/** A model that callers may name, and what bounds a call of it. Source: architecture section 7, `models`. Token counts. */
export interface Model {
  readonly id: string;
  readonly upstreams: readonly ModelUpstream[];
  readonly contextTokens: number;
  readonly maxOutputTokens: number;
  readonly defaultOutputTokens: number;
  readonly outputLimitField: 'max_tokens' | 'max_completion_tokens';
  readonly tokenizer: string | null;
  readonly promptOverheadTokens: number;
  readonly marginPercent: number;
  readonly maxImageTokens: number | null;
  readonly maxAudioTokens: number | null;
  readonly maxFileTokens: number | null;
  /** The longest audio of one transcription, in seconds; absent or null where nothing is declared. */
  readonly maxAudioSeconds?: number | null;
  readonly tags: readonly string[];
  /** What people are told of it; absent or null: nothing. */
  readonly description?: string | null;
  /** Of each tenant's calls that ask for it; absent or null: none. */
  readonly rateLimits?: RateLimits | null;
  /** Other names that callers may use. Usage and prices are under the id. */
  readonly aliases?: readonly string[];
  readonly createdAtMs: number;
}

/**
 * What a model costs from `appliesFromMs` on, at one upstream or, with `upstreamId` null, wherever the upstream has no price of its
 * own. Nano-dollars for one token, and for one request; `secondNanos`, `characterNanos` and `imageNanos` for one second of audio that
 * came in, one character that was spoken and one image that was made, absent where they cost nothing. Append-only.
 */
export interface Price {
  readonly id: string;
  readonly modelId: string;
  readonly upstreamId: string | null;
  readonly appliesFromMs: number;
  readonly inputNanos: number;
  readonly outputNanos: number;
  readonly cachedInputNanos: number | null;
  /** For a prompt token that the upstream wrote into its cache; absent where it costs what input costs. */
  readonly cacheWriteInputNanos?: number;
  readonly requestNanos: number;
  readonly secondNanos?: number;
  readonly characterNanos?: number;
  readonly imageNanos?: number;
  readonly createdAtMs: number;
}

/**
 * What one USD is worth in a currency from `appliesFromMs` on: nano-units of it, so 920,000,000 stands for 0.92. Append-only.
 */
export interface ExchangeRate {
  readonly id: string;
  readonly currency: string;
  readonly perUsdNanos: number;
  readonly appliesFromMs: number;
  readonly createdAtMs: number;
}

/**
 * What the operator paid into a tenant's prepaid balance, or took back: `microcents` of `currency`, decimal int64, negative where taken
 * back. `by` is the kind of who did it. Lines are never changed; a mistake is corrected by another line. Ids sort by time.
 */
export interface Credit {
  readonly id: string;
  readonly tenantId: string;
  readonly currency: string;
  readonly microcents: string;
  readonly reason: string;
  readonly by: string;
  readonly createdAtMs: number;
}

/**
 * Another proxy that may report usage, of keys of `tenants` only. `secretSealed` is base64 of the secret box. `previous` is the secret
 * before the last rotation, good until `untilMs`; null there: for as long as it stands in the record.
 */
export interface UsageReporter {
  readonly id: string;
  readonly secretSealed: string;
  readonly previous: { readonly secretSealed: string; readonly untilMs: number | null } | null;
  readonly tenants: readonly string[];
  readonly createdAtMs: number;
}

/** That a tenant's policy has a name: each name once. The record's id is `tenantId/name`. */
export interface PolicyName {
  readonly id: string;
  readonly policyId: string;
}

/** Which key a member was the last to make under a name where names are to be the only ones. The record's id is `tenantId/memberId/name`. */
export interface KeyName {
  readonly id: string;
  readonly keyId: string;
}

/** A server-wide value under a fixed name, such as the sealed secret of the key table. */
export interface Setting {
  readonly id: string;
  readonly value: PlainJson;
}

/**
 * Every kind of record and its type. The record id of a member is `tenantId/memberId`, of a policy's name `tenantId/name`,
 * of a key's `tenantId/memberId/name`, of a secret or an SSH key `tenantId/name`, of credentials `tenantId/registry`; of all others their `id`.
 */
export interface RecordTypes {
  readonly tenant: Tenant;
  readonly member: Member;
  readonly key: ApiKey;
  readonly upstream: Upstream;
  readonly model: Model;
  readonly price: Price;
  readonly 'exchange-rate': ExchangeRate;
  readonly credit: Credit;
  readonly setting: Setting;
  readonly 'usage-reporter': UsageReporter;
  readonly policy: Policy;
  readonly 'policy-name': PolicyName;
  readonly webhook: Webhook;
  readonly 'key-name': KeyName;
  readonly statement: Statement;
  readonly 'statement-lines': StatementLines;
  readonly 'bill-correction': BillCorrection;
  readonly 'bill-state': BillState;
  readonly 'bill-link': BillLink;
  readonly 'billing-customer': BillingCustomer;
  readonly 'usage-meter': UsageMeter;
  readonly payment: Payment;
  readonly container: Container;
  readonly 'container-meter': ContainerMeter;
  readonly 'container-roster': ContainerRoster;
  readonly lease: Lease;
  readonly 'tenant-key': TenantKey;
  readonly secret: Secret;
  readonly 'registry-credential': RegistryCredential;
  readonly 'ssh-key': SshKey;
  readonly domain: Domain;
  readonly 'domain-claim': DomainClaim;
}

/** The name of a kind of record. */
export type RecordKind = keyof RecordTypes;

/** Which record. */
export interface RecordRef {
  readonly kind: RecordKind;
  readonly id: string;
}

/** The record id of a member. */
export const memberRecordId = (tenantId: string, memberId: string): string => `${tenantId}/${memberId}`;

/** The record id of the name of a policy. */
export const policyNameId = (tenantId: string, name: string): string => `${tenantId}/${name}`;

/** The record id of the name of a key among those of a member. */
export const keyNameId = (tenantId: string, memberId: string, name: string): string => `${memberRecordId(tenantId, memberId)}/${name}`;

/** The identity under which a secret of a record is sealed: `key:<id>`, `upstream:<id>`. A sealed value opens for no other record. */
export const sealIdentity = (kind: RecordKind, id: string): string => `${kind}:${id}`;

/** The identity under which an upstream's headers are sealed: not that of its credential, so that neither opens in the other's place. */
export const headersIdentity = (upstreamId: string): string => `${sealIdentity('upstream', upstreamId)}:headers`;

/** The id of the setting that holds which name is an alias of which model: its value is an object from alias to model id. */
export const MODEL_ALIASES = 'model-aliases';

/** The tenant id under which records of the whole server (upstreams, models, prices, settings) are changed and audited. */
export const SYSTEM_TENANT = '_system';
