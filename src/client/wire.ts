/**
 * What the operator API says and takes. USD amounts are decimal texts with every digit; counts beyond 2^53 are `bigint`; moments are
 * RFC 3339.
 */

/** What a tenant may do. */
export interface Entitlements {
  readonly token_billing: boolean;
  readonly container_subscription: boolean;
  readonly gpu_access: boolean;
  readonly max_gpus: number;
  readonly max_containers: number;
  readonly host_choice: boolean;
  readonly private_registries: boolean;
  readonly max_keys: number;
}

/** Switches of a tenant. */
export interface TenantSwitches {
  readonly require_budget?: boolean;
  readonly allow_unpriced?: boolean;
  readonly hide_amounts?: boolean;
}

/** A tenant. */
export interface Tenant extends Required<TenantSwitches> {
  readonly id: string;
  readonly name: string;
  readonly status: 'ACTIVE' | 'SUSPENDED' | 'CLOSED';
  readonly entitlements: Entitlements;
  readonly key_count: number;
  readonly created_at: string;
}

/** A tenant to be made. */
export interface NewTenant extends TenantSwitches {
  readonly id: string;
  readonly name?: string;
  readonly entitlements?: Partial<Entitlements>;
}

/** What may change of a tenant. */
export interface TenantChanges extends TenantSwitches {
  readonly name?: string;
  readonly status?: 'ACTIVE' | 'SUSPENDED';
}

/** Money of an account; `money_budget_usd` null is no limit, and all is null where nobody keeps an account. */
export interface Money {
  readonly money_budget_usd: string | null;
  readonly spent_usd: string | null;
  readonly reserved_usd: string | null;
  readonly remaining_usd: string | null;
}

/** The kinds of key. */
export type KeyKind = 'admin' | 'inference' | 'management' | 'tenant';

/** A key, without its value. `max_tokens` null is no cap. */
export interface Key extends Money {
  readonly id: string;
  readonly tenant_id: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly masked_key: string;
  readonly member_id: string;
  readonly disabled: boolean;
  readonly expires_at: string | null;
  readonly max_tokens: number | bigint | null;
  readonly output_bound: 'hard' | 'soft';
  readonly tokens_used: number;
  readonly request_count: number;
  readonly last_used_at: string | null;
  readonly created_at: string;
}

/** One page of keys. */
export interface KeyPage {
  readonly keys: readonly Key[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

/** A key to be made. Admin and management keys act as a member and have no limits of their own. */
export type NewKey =
  | { readonly kind: 'admin' | 'management'; readonly name: string; readonly member_id: string }
  | {
      readonly kind: 'inference';
      readonly name: string;
      readonly member_id?: string;
      readonly max_tokens?: number | bigint | null;
      readonly money_budget_usd?: string | null;
      readonly expires_at?: string | null;
    };

/** A key that was just made: the one time that its value is told. */
export interface MadeKey {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly kind: KeyKind;
  readonly tenant_id: string;
  readonly member_id: string;
  readonly created_at: string;
}

/** What may change of a key; null takes a limit away. */
export interface KeyChanges {
  readonly name?: string;
  readonly disabled?: boolean;
  readonly max_tokens?: number | bigint | null;
  readonly money_budget_usd?: string | null;
  readonly expires_at?: string | null;
}

/** What usage is summed over. */
export type UsageGrouping = 'tenant' | 'key' | 'model';

/** One sum of usage. The key is named where usage is grouped by keys, the model where it is grouped by models. */
export interface UsageRow {
  readonly tenant_id: string;
  readonly key_id?: string;
  readonly key_name?: string | null;
  readonly model?: string;
  readonly requests: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cost_usd: string;
}

/** Usage from a moment (null: from the beginning) to another. */
export interface Usage {
  readonly time: string | null;
  readonly from: string | null;
  readonly to: string;
  readonly by: UsageGrouping;
  readonly usage: readonly UsageRow[];
}

/** A contradiction in the books. */
export interface Discrepancy {
  readonly check: string;
  readonly subject: string;
  readonly found: string;
  readonly expected: string;
}

/** What a verification read and found; the books hold where `discrepancies` is empty. */
export interface Verification {
  readonly accounts: number;
  readonly entries: number;
  readonly reservations: number;
  readonly discrepancies: readonly Discrepancy[];
}

/** What a server says of itself. */
export interface Server {
  readonly version: string;
  readonly run_id: string;
  readonly store: 'sqlite' | 'postgres';
  readonly master_key: { readonly id: string; readonly source: 'environment' | 'file' };
}

/** What a change of the master key came to. */
export interface MasterKeyChange {
  readonly from_key_id: string;
  readonly to_key_id: string;
  readonly resealed: number;
}
