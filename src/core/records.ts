import type { PlainJson } from './ledger/reservation.ts';

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
 * A credential. The plaintext is nowhere but in `sealed` (base64, the master key's secret box; only inference keys made on the
 * Tinfoil surface), else null. `hash` is the base64url HMAC-SHA256 of the plaintext. `mask` is what others than its creator see.
 * `outputBound`: `hard` keys never get more output than they hold. A deleted key stays as the name of its usage.
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
  readonly createdAtMs: number;
  readonly deletedAtMs: number | null;
}

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
  readonly timeoutMs: number | null;
  readonly createdAtMs: number;
}

/** What a model is called at one upstream. */
export interface ModelUpstream {
  readonly id: string;
  readonly model: string;
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
  readonly requestNanos: number;
  readonly secondNanos?: number;
  readonly characterNanos?: number;
  readonly imageNanos?: number;
  readonly createdAtMs: number;
}

/** A server-wide value under a fixed name, such as the sealed secret of the key table. */
export interface Setting {
  readonly id: string;
  readonly value: PlainJson;
}

/** Every kind of record and its type. The record id of a member is `tenantId/memberId`; of all others their `id`. */
export interface RecordTypes {
  readonly tenant: Tenant;
  readonly member: Member;
  readonly key: ApiKey;
  readonly upstream: Upstream;
  readonly model: Model;
  readonly price: Price;
  readonly setting: Setting;
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

/** The identity under which a secret of a record is sealed: `key:<id>`, `upstream:<id>`. A sealed value opens for no other record. */
export const sealIdentity = (kind: RecordKind, id: string): string => `${kind}:${id}`;

/** The tenant id under which records of the whole server (upstreams, models, prices, settings) are changed and audited. */
export const SYSTEM_TENANT = '_system';
