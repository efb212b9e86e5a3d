import { describe, expect, test } from 'vitest';
import { ruleFor, ruleId, windowAccounts, windowsOf, withoutRulesOf, type BudgetRule, type RuleScope } from './budget-rule.ts';
import type { WindowPeriod } from './window-period.ts';

const rule = (scope: RuleScope, period: WindowPeriod, target: string | null = null): BudgetRule => ({
  id: ruleId({ scope, target, period }),
  scope,
  target,
  period,
  limitMicrocents: '100',
  createdAtMs: 0,
  updatedAtMs: 0,
});
const ANN = { keyId: 'k1', memberId: 'ann' };
const idsOf = (rules: readonly BudgetRule[]): string[] => windowsOf(rules, ANN).map((window) => `${window.rule.id} for ${window.target}`);

describe('the windows of a call', () => {
  test.each<[string, readonly BudgetRule[], readonly string[]]>([
    ['no rules', [], []],
    ['a project', [rule('project', 'daily')], ['project:daily for project']],
    [
      'several periods of one target',
      [rule('project', 'monthly'), rule('project', 'daily')],
      ['project:daily for project', 'project:monthly for project'],
    ],
    [
      'each user and each key',
      [rule('each_key', 'daily'), rule('each_user', 'weekly')],
      ['each_user:weekly for user:ann', 'each_key:daily for key:k1'],
    ],
    [
      'a rule of one’s own in the place of the default',
      [rule('each_user', 'daily'), rule('user', 'daily', 'ann')],
      ['user:ann:daily for user:ann'],
    ],
    ['the order does not matter', [rule('user', 'daily', 'ann'), rule('each_user', 'daily')], ['user:ann:daily for user:ann']],
    [
      'a rule of one’s own replaces the default of its period alone',
      [rule('each_key', 'daily'), rule('each_key', 'monthly'), rule('key', 'daily', 'k1')],
      ['key:k1:daily for key:k1', 'each_key:monthly for key:k1'],
    ],
    ['rules of others', [rule('user', 'daily', 'bob'), rule('key', 'daily', 'k2')], []],
    [
      'the default where another has a rule of their own',
      [rule('each_user', 'daily'), rule('user', 'daily', 'bob')],
      ['each_user:daily for user:ann'],
    ],
  ])('%s', (_what, rules, expected) => {
    expect(idsOf(rules)).toEqual(expected);
    for (const window of windowsOf(rules, ANN)) expect(ruleFor(rules, window.target, window.rule.period)).toBe(window.rule);
  });

  test('names the accounts on both sides of a midnight that is close, and one elsewhere', () => {
    const windows = windowsOf([rule('project', 'daily')], ANN);
    const labels = (text: string): string[] => windowAccounts('acme', windows, Date.parse(text)).map((id) => id.split('|').at(-1) ?? '');
    expect(labels('2026-11-22T12:00:00Z')).toEqual(['2026-11-22']);
    expect(labels('2026-11-22T23:59:57Z')).toEqual(['2026-11-22', '2026-11-23']);
    expect(labels('2026-11-23T00:00:03Z')).toEqual(['2026-11-22', '2026-11-23']);
  });

  test('the rules of a key that is gone go, and a tenant without such rules stays itself', () => {
    const tenant = { budgetRules: [rule('key', 'daily', 'k1'), rule('each_key', 'daily'), rule('key', 'weekly', 'k1')] };
    expect(withoutRulesOf(tenant, 'key:k1').budgetRules.map(({ id }) => id)).toEqual(['each_key:daily']);
    expect(withoutRulesOf(tenant, 'key:k2')).toBe(tenant);
  });
});
