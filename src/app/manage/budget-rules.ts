import type { Account } from '../../core/ledger/account.ts';
import { countedOf, remainingOf } from '../../core/ledger/account.ts';
import type { ApiKey, KeyKind, Tenant } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import {
  onlyTarget,
  ruleFor,
  ruleId,
  windowId,
  type BudgetRule,
  type RuleScope,
  type WindowTarget,
} from '../../core/windows/budget-rule.ts';
import type { BudgetReset } from '../../core/windows/decide-budget-rule.ts';
import { windowEndMs, windowLabel, type WindowPeriod } from '../../core/windows/window-period.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** One target's present window of a rule. Amounts in USD micro-cents: what was spent since the last reset by hand, what calls in flight hold. */
export interface WindowUse {
  readonly target: WindowTarget;
  readonly label: string;
  readonly spent: bigint;
  readonly held: bigint;
  readonly remaining: bigint;
  readonly resetsAtMs: number;
  /** When it was last reset by hand, null where it was not. */
  readonly resetAtMs: number | null;
}

/** A rule with the use of its targets. A rule for each of many shows those that were used in the present window and that no rule of their own limits. */
export interface BudgetRuleView {
  readonly rule: BudgetRule;
  readonly windows: readonly WindowUse[];
}

/** A rule as it is asked for. `target`: a member's id; a key's id or, where only one key of the tenant has it, its name. */
export interface WantedRule {
  readonly scope: RuleScope;
  readonly target: string | null;
  readonly period: WindowPeriod;
  readonly limitMicrocents: bigint;
}

/** Whose rules they are, and which member asks; absent for the operator. */
export interface RuleOwner {
  readonly tenantId: string;
  readonly memberId?: string;
}

/** What is done with budgets with windows. */
export interface BudgetRules {
  /** Oldest first. Rejects `tenant_not_found` as `not_found`. */
  list(tenantId: string): Promise<Outcome<BudgetRuleView[]>>;
  /** Rejects, in this order: `not_found` and `invalid_request` (a key's name that nobody or several have), then as `put-budget-rule`. */
  put(actor: Actor, owner: RuleOwner, wanted: WantedRule): Promise<Outcome<BudgetRuleView>>;
  /** Rejects as `delete-budget-rule`. */
  remove(actor: Actor, owner: RuleOwner, id: string): Promise<Outcome<BudgetRule>>;
  /** `target` as in {@link WantedRule}, of a rule for each of many; else null. Rejects as {@link BudgetRules.put}, then as `reset-budget-rule`. */
  reset(actor: Actor, owner: RuleOwner, id: string, target: string | null): Promise<Outcome<BudgetReset>>;
}

const CALLING: readonly KeyKind[] = ['inference', 'management'];

/** How often a change is asked for anew that met midnight. */
const TRIES = 3;

/** Makes the {@link BudgetRules}. */
export function makeBudgetRules(deps: {
  records: Pick<RecordStore, 'record' | 'records' | 'keys' | 'accounts'>;
  writer: Pick<LedgerWriter, 'execute'>;
  ids: Pick<Ids, 'next'>;
  clock: Clock;
}): BudgetRules {
  const { records, writer, ids, clock } = deps;

  const baseOf = (actor: Actor, { tenantId, memberId }: RuleOwner, name: string, id: string) => ({
    ...auditedBase(ids, actor, { name, tenantId, resourceKind: 'budget_rule', resourceId: id }),
    ...(memberId === undefined ? {} : { memberId }),
  });

  const callingKeys = (tenantId: string): Promise<ApiKey[]> => records.keys({ tenantId, kinds: CALLING });

  /** The id of the key that is meant: by its id, else by a name that no other key has. */
  const keyIdOf = async (tenantId: string, text: string): Promise<Outcome<string>> => {
    const keys = await callingKeys(tenantId);
    if (keys.some(({ id }) => id === text)) return accepted(text);
    const named = keys.filter(({ name }) => name === text);
    if (named.length > 1) {
      const message = `target must be the id of a key: ${named.length} keys have this name`;
      return rejected({ code: 'invalid_request', message, field: 'target' });
    }
    return named[0] === undefined ? rejected({ code: 'not_found', message: 'API key not found', field: 'target' }) : accepted(named[0].id);
  };

  const again = async <T>(ask: () => Promise<Outcome<T>>): Promise<Outcome<T>> => {
    for (let left = TRIES; ; left -= 1) {
      const outcome = await ask();
      if (outcome.ok || outcome.rejection.code !== 'stale_view' || left === 1) return outcome;
    }
  };

  /** Whose windows a rule has: those of its kind that no rule of their own limits. */
  const targetsOf = async (tenant: Tenant, rule: BudgetRule): Promise<readonly WindowTarget[]> => {
    const only = onlyTarget(rule);
    if (only !== null) return [only];
    const all =
      rule.scope === 'each_user'
        ? (await records.records('member', tenant.id)).map(({ id }) => `user:${id}`)
        : (await callingKeys(tenant.id)).map(({ id }) => `key:${id}`);
    return all.filter((target) => ruleFor(tenant.budgetRules ?? [], target, rule.period)?.id === rule.id);
  };

  const viewOf = async (tenant: Tenant, rule: BudgetRule): Promise<BudgetRuleView> => {
    const nowMs = clock.nowMs();
    const label = windowLabel(rule.period, nowMs);
    const targets = await targetsOf(tenant, rule);
    const accounts = await records.accounts(targets.map((target) => windowId(tenant.id, target, label)));
    const windows = targets.flatMap((target): WindowUse[] => {
      const account = accounts.get(windowId(tenant.id, target, label));
      if (account === undefined && onlyTarget(rule) === null) return [];
      return [{ target, label, ...useOf(rule, account), resetsAtMs: windowEndMs(rule.period, nowMs) }];
    });
    return { rule, windows };
  };

  return {
    list: async (tenantId) => {
      const tenant = await records.record('tenant', tenantId);
      if (tenant === undefined) return rejected({ code: 'not_found', message: `tenant ${tenantId} not found` });
      return accepted(await Promise.all((tenant.budgetRules ?? []).map((rule) => viewOf(tenant, rule))));
    },
    put: async (actor, owner, { scope, target: wanted, period, limitMicrocents }) => {
      const key = scope === 'key' && wanted !== null ? await keyIdOf(owner.tenantId, wanted) : accepted(wanted);
      if (!key.ok) return key;
      const rule = { scope, target: key.value, period };
      const outcome = await again(() =>
        writer.execute({
          verb: 'put-budget-rule',
          ...baseOf(actor, owner, 'put-budget-rule', ruleId(rule)),
          ...rule,
          limitMicrocents,
          atMs: clock.nowMs(),
        }),
      );
      if (!outcome.ok) return outcome;
      const tenant = await records.record('tenant', owner.tenantId);
      return accepted(tenant === undefined ? { rule: outcome.value, windows: [] } : await viewOf(tenant, outcome.value));
    },
    remove: (actor, owner, id) =>
      writer.execute({ verb: 'delete-budget-rule', ...baseOf(actor, owner, 'delete-budget-rule', id), ruleId: id }),
    reset: async (actor, owner, id, target) => {
      const tenant = await records.record('tenant', owner.tenantId);
      const rule = tenant?.budgetRules?.find((each) => each.id === id);
      if (rule === undefined) return rejected({ code: 'not_found', message: 'budget not found' });
      const whose = await resetTarget(rule, target, (text) => keyIdOf(owner.tenantId, text));
      if (!whose.ok) return whose;
      return again(() =>
        writer.execute({
          verb: 'reset-budget-rule',
          ...baseOf(actor, owner, 'reset-budget-rule', id),
          ruleId: id,
          period: rule.period,
          windowTarget: whose.value,
          atMs: clock.nowMs(),
        }),
      );
    },
  };
}

/** What of a rule's limit is used, by the account of one window; nothing where there is no account yet. */
function useOf(rule: BudgetRule, account: Account | undefined): Pick<WindowUse, 'spent' | 'held' | 'remaining' | 'resetAtMs'> {
  const limit = BigInt(rule.limitMicrocents);
  if (account === undefined) return { spent: 0n, held: 0n, remaining: limit, resetAtMs: null };
  // By the limit as it is now: the account learns of it with its next call.
  const { spent } = countedOf(account);
  const remaining = remainingOf({ ...account, allocated: limit + (account.window?.resetSpent ?? 0n) }) ?? 0n;
  return { spent, held: account.reserved, remaining, resetAtMs: account.window?.resetAtMs ?? null };
}

/** Whose window a reset is for. */
async function resetTarget(
  rule: BudgetRule,
  target: string | null,
  keyIdOf: (text: string) => Promise<Outcome<string>>,
): Promise<Outcome<WindowTarget>> {
  const only = onlyTarget(rule);
  const bad = (message: string): Outcome<never> => rejected({ code: 'invalid_request', message, field: 'target' });
  if (only !== null) return target === null ? accepted(only) : bad(`target must not be given for the budget ${rule.id}`);
  if (target === null) return bad(`target must name whose window of ${rule.id} is reset`);
  if (rule.scope === 'each_user') return accepted(`user:${target}`);
  const key = await keyIdOf(target);
  return key.ok ? accepted(`key:${key.value}`) : key;
}
