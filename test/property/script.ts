import {
  accountId,
  budgetId,
  keyCapId,
  TOKENS,
  USD_MICROCENTS,
  type AccountId,
  type AccountStatus,
  type OveragePolicy,
} from '../../src/core/ledger/account.ts';
import type { FundOperation } from '../../src/core/ledger/commands.ts';
import type { TenantStatus } from '../../src/core/records.ts';

/** A unit beside tokens and money. */
export const CREDITS = 'CREDITS';

/**
 * One random step, in numbers that a run turns into a command: accounts are places in the run's pool, reservations are counted back
 * from the newest that still holds.
 */
export type Op =
  | {
      readonly op: 'reserve';
      readonly scopes: readonly number[];
      readonly unit: 'TOKENS' | 'CREDITS';
      readonly amount: bigint;
      readonly times: Times;
      readonly policy: OveragePolicy;
      readonly idempotency: Idempotency;
    }
  | {
      readonly op: 'reserve-call';
      readonly accounts: readonly number[];
      readonly base: bigint;
      readonly rate: number;
      readonly output: { readonly min: number; readonly more: number };
      readonly times: Times;
      readonly required: boolean;
      readonly mustCoverMoney: boolean;
    }
  | {
      readonly op: 'commit';
      readonly back: number;
      readonly actual: bigint;
      readonly unit: string;
      readonly foreign: boolean;
      readonly idempotency: Idempotency;
    }
  | { readonly op: 'release'; readonly back: number; readonly foreign: boolean; readonly idempotency: Idempotency }
  | { readonly op: 'extend'; readonly back: number; readonly byMs: number; readonly idempotency: Idempotency }
  | {
      readonly op: 'debit';
      readonly scopes: readonly number[];
      readonly amount: bigint;
      readonly policy: OveragePolicy;
      readonly idempotency: Idempotency;
    }
  | {
      readonly op: 'fund';
      readonly account: number;
      readonly operation: FundOperation;
      readonly amount: bigint;
      readonly spent: bigint | undefined;
      readonly idempotency: Idempotency;
    }
  | { readonly op: 'allocate'; readonly account: number; readonly allocated: bigint | null }
  | { readonly op: 'expire'; readonly back: number }
  | { readonly op: 'keep-call'; readonly back: number; readonly ttlMs: number; readonly checkpoint: number }
  | {
      readonly op: 'settle-call';
      readonly back: number;
      readonly tokens: bigint;
      readonly microcents: bigint;
      readonly ran: boolean;
      readonly foreign: boolean;
    }
  | { readonly op: 'create-tenant' }
  | { readonly op: 'update-tenant'; readonly status: TenantStatus };

/** How long a hold lasts, and how often it may be extended. */
export type Times = { readonly ttlMs: number; readonly graceMs: number; readonly maxExtensions: number };

/** A caller's key, the body that came with it, and how long the answer is kept; undefined: no key. */
export type Idempotency = { readonly key: number; readonly hash: number; readonly keepMs: number } | undefined;

/** How an account of the pool is before the first command: made beforehand with terms that no verb sets, or not yet there. */
export interface Terms {
  readonly overdraftLimit: bigint;
  readonly status: AccountStatus;
}

/** Commands that are decided together, after the clock went on. `terms` are changed before, where the store does it. */
export interface Batch {
  readonly advanceMs: number;
  readonly terms: readonly { readonly account: number; readonly terms: Terms }[];
  readonly ops: readonly Op[];
}

/** A whole run: how its accounts are at first, their limits (undefined: none set), and the batches. */
export interface Script {
  readonly made: readonly (Terms | undefined)[];
  readonly limits: readonly (bigint | null | undefined)[];
  readonly batches: readonly Batch[];
}

/** The accounts of a run, few, so that commands meet: three nested scopes in tokens, one in another unit, money, and a key's caps. */
export const poolOf = (tenantId: string): readonly AccountId[] => [
  budgetId(tenantId, `tenant:${tenantId}`, TOKENS),
  budgetId(tenantId, `tenant:${tenantId}/app:bot`, TOKENS),
  budgetId(tenantId, `tenant:${tenantId}/app:bot/workflow:refund`, TOKENS),
  budgetId(tenantId, `tenant:${tenantId}/app:bot`, CREDITS),
  budgetId(tenantId, `tenant:${tenantId}`, USD_MICROCENTS),
  keyCapId(tenantId, 'key_1', TOKENS),
  keyCapId(tenantId, 'key_1', USD_MICROCENTS),
  accountId({ tenantId, kind: 'window', scope: 'rule:daily', unit: TOKENS, period: '2026-11-22' }),
];

/** How many accounts the pool has, and how many of them, the first, are the nested scopes. */
export const POOL_SIZE = 8;
export const NESTED_SCOPES = 3;

/** As a way back: any reservation that was asked for, whether it came to be, of whatever purpose, or one that nobody asked for. */
export const BLIND = 7;
