import type { OveragePolicy } from '../ledger/account.ts';
import type { SeenTerms } from '../balance/balance-terms.ts';
import type { CommandBase } from '../verb.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type {
  ApiKey,
  Entitlements,
  ExchangeRate,
  Member,
  Model,
  Price,
  RecordKind,
  ReservationExpiryPolicy,
  Setting,
  Tenant,
  TenantStatus,
  Upstream,
  UsageReporter,
} from '../records.ts';
import type { InferenceSettings } from '../routing/settings.ts';
import type { SealedKeyRing } from '../sealed/key-ring.ts';
import type { SealedReplacement } from './sealed-values.ts';

/** Makes a tenant; the command's `tenantId` is the new tenant's. `seen` is there where it names a currency or requires a balance. */
export interface CreateTenantCommand extends CommandBase {
  readonly verb: 'create-tenant';
  readonly tenant: Omit<Tenant, 'createdAtMs' | 'keyCount' | 'status' | 'hasBalance'>;
  readonly seen?: SeenTerms;
}

/** The same for callers who may try again: a tenant of the same id and name is left as it is, and counts as made. */
export interface EnsureTenantCommand extends CommandBase {
  readonly verb: 'ensure-tenant';
  readonly tenant: CreateTenantCommand['tenant'];
  readonly seen?: SeenTerms;
}

/**
 * Changes what is given of a tenant. CLOSED begins the close cascade, also of a tenant that is closed already. `seen` is there where
 * `currency` or `requireBalance` is.
 */
export interface UpdateTenantCommand extends CommandBase {
  readonly verb: 'update-tenant';
  readonly name?: string;
  readonly status?: TenantStatus;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly defaultOveragePolicy?: OveragePolicy;
  readonly defaultTtlMs?: number;
  readonly maxTtlMs?: number;
  readonly maxExtensions?: number;
  readonly reservationExpiryPolicy?: ReservationExpiryPolicy;
  readonly requireBudget?: boolean;
  readonly allowUnpriced?: boolean;
  readonly hideAmounts?: boolean;
  readonly entitlements?: Partial<Entitlements>;
  readonly currency?: string;
  readonly requireBalance?: boolean;
  readonly seen?: SeenTerms;
}

/** Adds a member to a tenant; a removed member of the same id comes back. With `replace`, one who is there is changed. */
export interface AddMemberCommand extends CommandBase {
  readonly verb: 'add-member';
  readonly replace?: boolean;
  readonly member: Omit<Member, 'createdAtMs' | 'removedAtMs' | 'tenantId'>;
}

/** Removes a member: their admin and management keys stop working (403), the tenant's inference keys stay. */
export interface RemoveMemberCommand extends CommandBase {
  readonly verb: 'remove-member';
  readonly memberId: string;
}

/**
 * Makes a key of any kind. `maxTokens` null leaves its token account unlimited; `moneyBudgetMicrocents` null makes no money account.
 *
 * `onlyName` is there where no other key of the member may have the name: the caller has seen that none has it, and `lastKeyId` is the key
 * that was the last to be made so under the name, as it was before the caller looked; null: none.
 */
export interface CreateKeyCommand extends CommandBase {
  readonly verb: 'create-key';
  readonly key: Omit<ApiKey, 'createdAtMs' | 'deletedAtMs' | 'tenantId'>;
  readonly maxTokens: bigint | null;
  readonly moneyBudgetMicrocents: bigint | null;
  readonly onlyName?: { readonly lastKeyId: string | null };
}

/** Changes what is given of a key; null clears the cap, the budget, the expiry or the list of models. */
export interface UpdateKeyCommand extends CommandBase {
  readonly verb: 'update-key';
  readonly keyId: string;
  readonly name?: string;
  readonly disabled?: boolean;
  readonly expiresAtMs?: number | null;
  readonly outputBound?: 'hard' | 'soft';
  readonly allowedModels?: readonly string[] | null;
  readonly levels?: ApiKey['levels'] | null;
  readonly callerLevels?: ApiKey['callerLevels'] | null;
  readonly rateLimits?: ApiKey['rateLimits'];
  readonly maxTokens?: bigint | null;
  readonly moneyBudgetMicrocents?: bigint | null;
}

/**
 * Gives a key a new value, of which these are hash, mask and, where its value is kept, seal; the old one stays good for `graceMs`.
 * `asMember` is whose admin key asks; missing where it is the operator.
 */
export interface RotateKeyCommand extends CommandBase {
  readonly verb: 'rotate-key';
  readonly keyId: string;
  readonly hash: string;
  readonly mask: string;
  readonly sealed: string | null;
  readonly graceMs: number;
  readonly asMember?: string;
}

/** Deletes a key. Its usage and accounts stay. */
export interface DeleteKeyCommand extends CommandBase {
  readonly verb: 'delete-key';
  readonly keyId: string;
}

/** Makes an upstream, or replaces it where `replace`. */
export interface PutUpstreamCommand extends CommandBase {
  readonly verb: 'put-upstream';
  readonly upstream: Omit<Upstream, 'createdAtMs'>;
  readonly replace: boolean;
}

/** Makes a model, or replaces it where `replace`. */
export interface PutModelCommand extends CommandBase {
  readonly verb: 'put-model';
  readonly model: Omit<Model, 'createdAtMs'>;
  readonly replace: boolean;
}

/** Changes what is given of an upstream. */
export interface UpdateUpstreamCommand extends CommandBase {
  readonly verb: 'update-upstream';
  readonly upstreamId: string;
  readonly changes: Partial<Omit<Upstream, 'id' | 'createdAtMs'>>;
}

/** Changes what is given of a model. */
export interface UpdateModelCommand extends CommandBase {
  readonly verb: 'update-model';
  readonly modelId: string;
  readonly changes: Partial<Omit<Model, 'id' | 'createdAtMs'>>;
}

/** Makes a usage reporter, or replaces it where `replace`. */
export interface PutUsageReporterCommand extends CommandBase {
  readonly verb: 'put-usage-reporter';
  readonly reporter: Omit<UsageReporter, 'createdAtMs'>;
  readonly replace: boolean;
}

/** Changes what is given of a usage reporter. With a new secret, the one before it is good for `graceMs` more, 0: not at all. */
export interface UpdateUsageReporterCommand extends CommandBase {
  readonly verb: 'update-usage-reporter';
  readonly reporterId: string;
  readonly tenants?: readonly string[];
  readonly secret?: { readonly sealed: string; readonly graceMs: number };
}

/** Forgets an upstream, a model, a usage reporter, or a price or an exchange rate that does not apply yet. */
export interface RemoveRecordCommand extends CommandBase {
  readonly verb: 'remove-record';
  readonly kind: 'upstream' | 'model' | 'price' | 'exchange-rate' | 'usage-reporter';
  readonly recordId: string;
}

/** Adds a price. `appliesFromMs` null is now; a moment in the past is refused. */
export interface AddPriceCommand extends CommandBase {
  readonly verb: 'add-price';
  readonly price: Omit<Price, 'createdAtMs' | 'appliesFromMs'> & { readonly appliesFromMs: number | null };
}

/** Declares an exchange rate. `appliesFromMs` null is now; a moment in the past is refused. */
export interface AddExchangeRateCommand extends CommandBase {
  readonly verb: 'add-exchange-rate';
  readonly rate: Omit<ExchangeRate, 'createdAtMs' | 'appliesFromMs'> & { readonly appliesFromMs: number | null };
}

/** Changes a tenant's settings for its calls, as a member. `inference` replaces all that was given before; what is missing stays. */
export interface SetProjectSettingsCommand extends CommandBase {
  readonly verb: 'set-project-settings';
  readonly memberId: string;
  readonly allowOverwrite?: boolean;
  readonly inference?: Partial<InferenceSettings>;
}

/** Writes a server-wide setting once; one that exists is left as it is, and the outcome is the value that stands. */
export interface InitSettingCommand extends CommandBase {
  readonly verb: 'init-setting';
  readonly setting: Setting;
}

/** Writes down how fast upstreams have been: `speeds` as `writeSpeeds` gives them. */
export interface KeepSpeedsCommand extends CommandBase {
  readonly verb: 'keep-speeds';
  readonly speeds: PlainJson;
}

/** Puts the next version of the keys that sealed bodies are opened with in the place of the one before. */
export interface PutSealedKeysCommand extends CommandBase {
  readonly verb: 'put-sealed-keys';
  readonly ring: SealedKeyRing;
}

/** Replaces sealed texts of one record by the same secrets sealed with another master key. */
export interface ResealCommand extends CommandBase {
  readonly verb: 'reseal';
  readonly kind: RecordKind;
  readonly recordId: string;
  readonly values: readonly SealedReplacement[];
}

/** Every command that changes records. */
export type AccessCommand =
  | CreateTenantCommand
  | EnsureTenantCommand
  | UpdateTenantCommand
  | AddMemberCommand
  | RemoveMemberCommand
  | CreateKeyCommand
  | UpdateKeyCommand
  | RotateKeyCommand
  | DeleteKeyCommand
  | PutUpstreamCommand
  | UpdateUpstreamCommand
  | PutModelCommand
  | UpdateModelCommand
  | RemoveRecordCommand
  | AddPriceCommand
  | AddExchangeRateCommand
  | PutUsageReporterCommand
  | UpdateUsageReporterCommand
  | SetProjectSettingsCommand
  | InitSettingCommand
  | KeepSpeedsCommand
  | PutSealedKeysCommand
  | ResealCommand;
