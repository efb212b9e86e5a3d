import { presentedValue, previousValidUntilMs, type PresentedValue } from '../core/access/decide-rotate-key.ts';
import { pinnedScopes } from '../core/access/subject-levels.ts';
import { judgedBalance, tenantBalanceId } from '../core/balance/balance-account.ts';
import { callLegs } from '../core/calls/call-hold.ts';
import { snapshotOf, type AccountSnapshot } from '../core/ledger/account.ts';
import { usageWindow, type UsageWindow } from '../core/usage/windows.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { KeyHasher } from '../ports/secret-box.ts';
import type { Identity } from './directory.ts';
import type { UsageReader, UsageSums } from './read-usage.ts';

/** What a key is told of itself. Moments are milliseconds; null is never, or none. */
export interface OwnKey {
  readonly identity: Identity;
  /** The accounts that its calls hold on and that exist, in the order in which they refuse. None for an admin key, which makes no calls. */
  readonly limits: readonly AccountSnapshot[];
  /** What it used, by window; `all` is since it was made. */
  readonly usage: ReadonlyMap<string, UsageSums>;
  readonly lastUsedAtMs: number | null;
  readonly rotation: {
    /** Which of its values this request came by. */
    readonly presented: PresentedValue;
    readonly rotatedAtMs: number | null;
    readonly previousUntilMs: number | null;
  };
}

/** Everything since the key was made, as a window's name. */
const ALL_TIME = 'all';
const WINDOWS: readonly UsageWindow[] = ['1h', '24h', '7d', '30d'].flatMap((name) => usageWindow(name) ?? []);

/**
 * Makes the use case that tells a key its own limits, use, what is held, when that resets, and how its rotation stands. Committed rows,
 * those of its own finished calls among them. Of a tenant that hides amounts, the tenant's budgets are left out; what is the key's own
 * is always told.
 *
 * `credential` is the value that the key came by. Throws a `Fault` where the store cannot be read.
 */
export function makeDescribeOwnKey(deps: {
  readonly records: Pick<RecordStore, 'accounts' | 'keyUsage'>;
  readonly usage: Pick<UsageReader, 'ofKey'>;
  readonly hasher: KeyHasher;
  readonly clock: Clock;
}) {
  const { records, usage, hasher, clock } = deps;

  async function limitsOf({ key, tenant }: Identity): Promise<AccountSnapshot[]> {
    if (key.kind === 'admin') return [];
    const scopes = pinnedScopes(key, tenant.id);
    const legs = callLegs({ tenantId: tenant.id, keyId: key.id, scopes, inputTokens: 0, rates: null });
    const balance = tenantBalanceId(tenant);
    const ids = [...legs.map(({ accountId }) => accountId), ...(balance === null ? [] : [balance])];
    const accounts = await records.accounts(ids);
    return ids
      .flatMap((id) => accounts.get(id) ?? [])
      .filter(({ kind }) => kind === 'key_cap' || !tenant.hideAmounts)
      .map((account) => snapshotOf(judgedBalance(account, tenant)));
  }

  return async (identity: Identity, credential: string): Promise<OwnKey> => {
    const { key } = identity;
    const about = { tenantId: key.tenantId, keyId: key.id };
    const sums = async (name: string, window: UsageWindow | null) => [name, await usage.ofKey({ ...about, window })] as const;
    // The sums first: they wait until the key's own finished calls are durable.
    const used = new Map(await Promise.all([sums(ALL_TIME, null), ...WINDOWS.map((window) => sums(window.name, window))]));
    const [limits, [counters]] = await Promise.all([limitsOf(identity), records.keyUsage({ tenantId: key.tenantId, keyIds: [key.id] })]);
    const nowMs = clock.nowMs();
    return {
      identity,
      limits,
      usage: used,
      lastUsedAtMs: counters?.lastUsedAtMs ?? null,
      rotation: {
        presented: presentedValue(key, hasher.hash(credential), nowMs) ?? 'previous',
        rotatedAtMs: key.rotation?.atMs ?? null,
        previousUntilMs: previousValidUntilMs(key, nowMs),
      },
    };
  };
}
