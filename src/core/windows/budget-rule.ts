import { accountId, USD_MICROCENTS, type AccountId } from '../ledger/account.ts';
import { WINDOW_PERIODS, windowLabel, type WindowPeriod } from './window-period.ts';

/**
 * Whose spend a rule limits: that of the whole project, of each user by themselves, of one user, of each key by itself, of one key. A
 * user's spend is that of the keys which belong to them. Source: Cortecs reference, section 3.
 */
export type RuleScope = 'project' | 'each_user' | 'user' | 'each_key' | 'key';

/**
 * A limit on what may be spent in each window of a period. `target` is the member or the key of the scopes `user` and `key`, else null.
 * `limitMicrocents` is decimal text (USD micro-cents): records hold no bigint. `id` is made of the first three, which no two rules of a
 * tenant share.
 */
export interface BudgetRule {
  readonly id: string;
  readonly scope: RuleScope;
  readonly target: string | null;
  readonly period: WindowPeriod;
  readonly limitMicrocents: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** Most rules of one tenant: every call of it looks through them. */
export const MAX_BUDGET_RULES = 500;

/** Who makes a call: its key, and the member whom the key belongs to. Both null for what a container uses, which is the project's alone. */
export interface Caller {
  readonly keyId: string | null;
  readonly memberId: string | null;
}

/** What a call asks of windows: who makes it, and the accounts that were to be loaded for it. */
export interface WindowDemand extends Caller {
  readonly accounts: readonly AccountId[];
}

/** Whose window an account counts: `project`, `user:<member>` or `key:<key>`. */
export type WindowTarget = string;

/** One window that a call must fit into. */
export interface CallWindow {
  readonly rule: BudgetRule;
  readonly target: WindowTarget;
}

/** The id of a rule: `project:daily`, `user:ann:weekly`, `each_key:monthly`. */
export const ruleId = ({ scope, target, period }: Pick<BudgetRule, 'scope' | 'target' | 'period'>): string =>
  target === null ? `${scope}:${period}` : `${scope}:${target}:${period}`;

/** The one target of a rule that is not for each of many; null for one that is. */
export function onlyTarget({ scope, target }: Pick<BudgetRule, 'scope' | 'target'>): WindowTarget | null {
  if (scope === 'project') return 'project';
  return scope === 'user' || scope === 'key' ? `${scope}:${target}` : null;
}

/** Of which kind the targets of a rule are. */
type Level = 'project' | 'user' | 'key';
const LEVELS: Readonly<Record<RuleScope, Level>> = { project: 'project', each_user: 'user', user: 'user', each_key: 'key', key: 'key' };

/** The targets that a caller's spend counts for, widest first. */
const targetsOf = ({ keyId, memberId }: Caller): readonly (readonly [Level, WindowTarget])[] => [
  ['project', 'project'],
  ...(memberId === null ? [] : ([['user', `user:${memberId}`]] as const)),
  ...(keyId === null ? [] : ([['key', `key:${keyId}`]] as const)),
];

/** Whether a rule limits the spend of a target: it names it, or is for each of its kind. */
export const covers = (rule: BudgetRule, target: WindowTarget): boolean =>
  (onlyTarget(rule) ?? target) === target && LEVELS[rule.scope] === target.split(':', 1)[0];

/**
 * The rule that limits a target in a period: one that names it, else the one for each of its kind, which is a default. Undefined where
 * there is none.
 */
export function ruleFor(rules: readonly BudgetRule[], target: WindowTarget, period: WindowPeriod): BudgetRule | undefined {
  const found = rules.filter((rule) => rule.period === period && covers(rule, target));
  return found.find((rule) => onlyTarget(rule) !== null) ?? found[0];
}

const NO_WINDOWS: readonly CallWindow[] = [];

/** Every window that a call must fit into: project, then user, then key, each from the shortest period on. All of them must have room. */
export function windowsOf(rules: readonly BudgetRule[] | undefined, caller: Caller): readonly CallWindow[] {
  if (rules === undefined || rules.length === 0) return NO_WINDOWS;
  const windows: CallWindow[] = [];
  for (const [level, target] of targetsOf(caller)) {
    for (const period of WINDOW_PERIODS) {
      let found: BudgetRule | undefined;
      for (const rule of rules) {
        if (rule.period !== period || LEVELS[rule.scope] !== level) continue;
        const only = onlyTarget(rule);
        if (only === target) {
          found = rule;
          break;
        }
        if (only === null) found = rule;
      }
      if (found !== undefined) windows.push({ rule: found, target });
    }
  }
  return windows;
}

/** The account that counts what a target spends in the window `label`. */
export const windowId = (tenantId: string, target: WindowTarget, label: string): AccountId =>
  accountId({ tenantId, kind: 'window', scope: target, unit: USD_MICROCENTS, period: label });

/** How far the clock of a node and that of the store may lie apart before a call that is made at midnight is made anew. */
const CLOCKS_APART_MS = 5000;

/**
 * The accounts that a call may hold on by `rules`: those of the windows that hold `atMs` by the node's clock, and close to midnight those of
 * the windows before or after as well, since the store's clock decides.
 */
export function windowAccounts(tenantId: string, windows: readonly CallWindow[], atMs: number): AccountId[] {
  const ids = new Set<AccountId>();
  for (const { rule, target } of windows) {
    for (const momentMs of [atMs - CLOCKS_APART_MS, atMs + CLOCKS_APART_MS])
      ids.add(windowId(tenantId, target, windowLabel(rule.period, momentMs)));
  }
  return [...ids];
}

/** A tenant without the rules that name a key or a member who is gone; itself where there are none. */
export function withoutRulesOf<T extends { readonly budgetRules?: readonly BudgetRule[] }>(tenant: T, target: WindowTarget): T {
  const { budgetRules } = tenant;
  if (budgetRules === undefined || !budgetRules.some((rule) => onlyTarget(rule) === target)) return tenant;
  return { ...tenant, budgetRules: budgetRules.filter((rule) => onlyTarget(rule) !== target) };
}
