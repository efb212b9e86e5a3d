import type { CommandBase } from '../verb.ts';
import type { ApiKey, Entitlements, Member, Model, Price, RecordKind, Setting, Tenant, TenantStatus, Upstream } from '../records.ts';
import type { SealedReplacement } from './sealed-values.ts';

/** Makes a tenant; the command's `tenantId` is the new tenant's. */
export interface CreateTenantCommand extends CommandBase {
  readonly verb: 'create-tenant';
  readonly tenant: Omit<Tenant, 'createdAtMs' | 'keyCount' | 'status'>;
}

/** Changes what is given of a tenant. */
export interface UpdateTenantCommand extends CommandBase {
  readonly verb: 'update-tenant';
  readonly name?: string;
  readonly status?: TenantStatus;
  readonly requireBudget?: boolean;
  readonly allowUnpriced?: boolean;
  readonly hideAmounts?: boolean;
  readonly entitlements?: Partial<Entitlements>;
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

/** Makes a key of any kind. `maxTokens` null leaves its token account unlimited; `moneyBudgetMicrocents` null makes no money account. */
export interface CreateKeyCommand extends CommandBase {
  readonly verb: 'create-key';
  readonly key: Omit<ApiKey, 'createdAtMs' | 'deletedAtMs' | 'tenantId'>;
  readonly maxTokens: bigint | null;
  readonly moneyBudgetMicrocents: bigint | null;
}

/** Changes what is given of a key; null clears the cap, the budget or the expiry. */
export interface UpdateKeyCommand extends CommandBase {
  readonly verb: 'update-key';
  readonly keyId: string;
  readonly name?: string;
  readonly disabled?: boolean;
  readonly expiresAtMs?: number | null;
  readonly outputBound?: 'hard' | 'soft';
  readonly maxTokens?: bigint | null;
  readonly moneyBudgetMicrocents?: bigint | null;
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

/** Forgets an upstream, a model, or a price that does not apply yet. */
export interface RemoveRecordCommand extends CommandBase {
  readonly verb: 'remove-record';
  readonly kind: 'upstream' | 'model' | 'price';
  readonly recordId: string;
}

/** Adds a price. `appliesFromMs` null is now; a moment in the past is refused. */
export interface AddPriceCommand extends CommandBase {
  readonly verb: 'add-price';
  readonly price: Omit<Price, 'createdAtMs' | 'appliesFromMs'> & { readonly appliesFromMs: number | null };
}

/** Writes a server-wide setting once; one that exists is left as it is, and the outcome is the value that stands. */
export interface InitSettingCommand extends CommandBase {
  readonly verb: 'init-setting';
  readonly setting: Setting;
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
  | UpdateTenantCommand
  | AddMemberCommand
  | RemoveMemberCommand
  | CreateKeyCommand
  | UpdateKeyCommand
  | DeleteKeyCommand
  | PutUpstreamCommand
  | UpdateUpstreamCommand
  | PutModelCommand
  | UpdateModelCommand
  | RemoveRecordCommand
  | AddPriceCommand
  | InitSettingCommand
  | ResealCommand;
