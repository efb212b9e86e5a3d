import type { DomainEvent } from '../core/effects.ts';
import type { Account } from '../core/ledger/account.ts';
import type { TenantKeyStatus } from '../core/cycles/tenant-key.ts';
import type { ApiKey, Tenant, TenantStatus } from '../core/records.ts';

/** By what a list of tenants is sorted, as the wire has it. */
export type TenantSort = 'created_at' | 'tenant_id' | 'name' | 'status';

/** By what a list of tenants' keys is sorted, as the wire has it. */
export type TenantKeySort = 'created_at' | 'key_id' | 'name' | 'tenant_id' | 'status' | 'expires_at';

/** Which part of a sorted list is wanted. `after` is the sort value and the id of the last item of the page before; ids break ties. */
export interface SortedPage<K extends string> {
  readonly sortBy: K;
  readonly descending: boolean;
  readonly after: { readonly value: string | number | null; readonly id: string } | null;
  readonly limit: number;
}

/** What narrows a list of tenants. `search` is looked for in id and name, whatever the case of ASCII letters. */
export interface TenantFilter {
  readonly status?: TenantStatus;
  readonly parentTenantId?: string;
  readonly search: string | null;
}

/** What narrows a list of tenants' keys, revoked ones among them. `search` is looked for in id and name. */
export interface TenantKeyFilter {
  readonly tenantId?: string;
  readonly status?: TenantKeyStatus;
  readonly search: string | null;
  /** At which moment a key counts as expired. */
  readonly nowMs: number;
}

/**
 * What a tenant owns that its closing has to end: ACTIVE reservations of Cycles clients, budgets that are not CLOSED, webhooks that are not
 * DISABLED, and keys of all kinds that are not deleted. Budgets are known by the ids of their accounts.
 */
export type OpenKind = 'reservation' | 'budget' | 'webhook' | 'key';

/** A webhook whose last deliveries failed. */
export interface FailingWebhook {
  readonly id: string;
  readonly url: string;
  readonly failures: number;
  readonly lastFailureAtMs: number | null;
}

/** What the first page of a dashboard shows, of one moment. Lists hold at most ten. */
export interface OverviewRows {
  readonly tenants: Readonly<Partial<Record<TenantStatus, number>>>;
  /** Budgets that have a limit. */
  readonly budgets: readonly { readonly status: string; readonly unit: string; readonly count: number }[];
  readonly overLimit: number;
  readonly withDebt: number;
  /** The deepest in debt first. */
  readonly overLimitBudgets: readonly Account[];
  readonly debtBudgets: readonly Account[];
  readonly webhooks: Readonly<Record<string, number>>;
  readonly failing: number;
  /** The one with the most failures first. */
  readonly failingWebhooks: readonly FailingWebhook[];
  /** Registered events since the moment asked for, by type. */
  readonly events: Readonly<Record<string, number>>;
  /** Denials since that moment by reason, those that were gathered into one event counted each. */
  readonly denialReasons: Readonly<Record<string, number>>;
  /** Newest first. */
  readonly denials: readonly DomainEvent[];
  readonly expiries: readonly DomainEvent[];
}

/** The reads that only the governance surface needs. */
export interface GovernanceReads {
  /** Tenants in order, at most `limit`. By `tenants_by_creation` and its like. */
  tenantPage(query: SortedPage<TenantSort> & TenantFilter): Promise<Tenant[]>;
  /** How many tenants there are that a filter lets through. */
  tenantCount(filter: TenantFilter): Promise<number>;
  /** Tenants' keys in order, at most `limit`. By `api_keys_of_tenants` and its like. */
  tenantKeyPage(query: SortedPage<TenantKeySort> & TenantKeyFilter): Promise<ApiKey[]>;
  /** When tenants' keys were last used, as far as it was written down; those never used are left out. By the primary key. */
  keyUses(ids: readonly string[]): Promise<Map<string, number>>;
  /**
   * Counts and lists for a dashboard; events from `sinceMs` on. Reads index entries of tenants, budgets and webhooks, and of events no more
   * than those of that time: nothing grows with what happened before, or with reservations.
   */
  overview(query: { readonly sinceMs: number }): Promise<OverviewRows>;
  /** Ids of at most `limit` things of a kind that a tenant still has open, without those of `except`. */
  openThings(query: {
    readonly kind: OpenKind;
    readonly tenantId: string;
    readonly except: readonly string[];
    readonly limit: number;
  }): Promise<string[]>;
}
