import { readCallContext } from '../calls/call-context.ts';
import type { AccountId } from '../ledger/account.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { onlyTarget, windowId, type RuleScope, type WindowTarget } from './budget-rule.ts';

/** Which spending is asked for: of calls of a tenant that were held from `sinceMs` on, for the rule of that scope and target in the window `label`. */
export interface SpendingRef {
  readonly tenantId: string;
  readonly sinceMs: number;
  readonly label: string;
  readonly scope: RuleScope;
  readonly target: string | null;
}

/**
 * What was spent. `charges`: USD micro-cents by key, a key at most once, of calls that are settled and of reported usage. `owners`: the
 * member to whom each key of the tenant belongs, deleted keys among them. `calls`: holds of calls that are not settled.
 */
export interface Spending {
  readonly charges: ReadonlyMap<string, bigint>;
  readonly owners: ReadonlyMap<string, string>;
  readonly calls: readonly Reservation[];
}

/** What one target has spent in a window, and its calls that will be charged there. */
interface TargetSpending {
  readonly microcents: bigint;
  readonly calls: readonly Reservation[];
}

/** Names spending within a batch. */
export const spendingKey = (ref: SpendingRef): string => JSON.stringify([ref.tenantId, ref.sinceMs, ref.label, ref.scope, ref.target]);

/**
 * The target of a rule's kind that spending of a key counts for; undefined where it counts for none. What has no owner is no key's (a
 * container's use), and counts for the project alone.
 */
function targetOf(ref: SpendingRef, keyId: string, owners: Spending['owners']): WindowTarget | undefined {
  const owner = owners.get(keyId);
  if (ref.scope === 'project') return 'project';
  if (owner === undefined) return undefined;
  const target = ref.scope === 'key' || ref.scope === 'each_key' ? `key:${keyId}` : `user:${owner}`;
  return (onlyTarget(ref) ?? target) === target ? target : undefined;
}

/** The spending by the targets of a rule; targets that spent nothing and have no calls are left out. */
export function spendingByTarget(ref: SpendingRef, { charges, owners, calls }: Spending): Map<WindowTarget, TargetSpending> {
  const found = new Map<WindowTarget, { microcents: bigint; calls: Reservation[] }>();
  const at = (keyId: string): { microcents: bigint; calls: Reservation[] } | undefined => {
    const target = targetOf(ref, keyId, owners);
    if (target === undefined) return undefined;
    const known = found.get(target) ?? { microcents: 0n, calls: [] };
    found.set(target, known);
    return known;
  };
  for (const [keyId, microcents] of charges) {
    const sum = at(keyId);
    if (sum !== undefined) sum.microcents += microcents;
  }
  for (const call of calls) {
    const context = readCallContext(call.context);
    if (context !== null) at(context.keyId)?.calls.push(call);
  }
  return found;
}

/**
 * The accounts that may count the spending of a rule's targets, for a store to load with it: those of every key, since commands before this
 * one of its batch may have spent as well.
 */
export function spendingAccounts(ref: SpendingRef, { owners }: Pick<Spending, 'owners'>): AccountId[] {
  const only = onlyTarget(ref);
  const targets = new Set(only === null ? [] : [only]);
  for (const keyId of owners.keys()) {
    const target = targetOf(ref, keyId, owners);
    if (target !== undefined) targets.add(target);
  }
  return [...targets].map((target) => windowId(ref.tenantId, target, ref.label));
}

/** Whether a hold is one whose charge will count in a window from `sinceMs` on. */
export const isOpenCall = (reservation: Reservation, { tenantId, sinceMs }: SpendingRef): boolean =>
  reservation.purpose === 'call' &&
  reservation.tenantId === tenantId &&
  reservation.settledAtMs === null &&
  reservation.createdAtMs >= sinceMs;
