import { expect, test } from 'vitest';
import type { Policy } from '../records.ts';
import { policyScopes, rankPolicies, resolvePolicy } from './resolve-policy.ts';

const NOW_MS = 1_000_000;

const policy = (id: string, scopePattern: string, more: Partial<Policy> = {}): Policy => ({
  id,
  tenantId: 'acme',
  name: id,
  description: null,
  scopePattern,
  priority: 0,
  status: 'ACTIVE',
  caps: null,
  overagePolicy: null,
  ttlOverride: null,
  rateLimits: null,
  effectiveFromMs: null,
  effectiveUntilMs: null,
  createdAtMs: 0,
  updatedAtMs: 0,
  ...more,
});

const winner = (policies: readonly Policy[], path = 'tenant:acme/app:x/agent:bot', nowMs = NOW_MS): string | undefined =>
  resolvePolicy(rankPolicies('acme', policies), policyScopes(path, 'acme'), nowMs)?.id;

test('the highest priority wins, however broad its pattern', () => {
  expect(winner([policy('narrow', 'tenant:acme/app:x/agent:bot'), policy('broad', 'tenant:acme/*', { priority: 1 })])).toBe('broad');
});

test('of one priority the most specific wins, then the newest', () => {
  expect(winner([policy('broad', 'tenant:acme/*', { createdAtMs: 5 }), policy('narrow', 'agent:bot')])).toBe('narrow');
  expect(winner([policy('old', 'agent:*', { createdAtMs: 1 }), policy('new', 'agent:*', { createdAtMs: 2 })])).toBe('new');
});

test('the winner is taken whole: what it does not say is not looked for in the next', () => {
  const rules = rankPolicies('acme', [policy('low', 'agent:*', { caps: { maxTokens: 1 } }), policy('high', 'agent:*', { priority: 9 })]);
  expect(resolvePolicy(rules, ['tenant:acme/agent:a'], NOW_MS)?.caps).toBeNull();
});

test('a policy that is switched off, or out of its dates, does not count', () => {
  expect(winner([policy('off', 'agent:*', { status: 'DISABLED' })])).toBeUndefined();
  expect(winner([policy('early', 'agent:*', { effectiveFromMs: NOW_MS + 1 })])).toBeUndefined();
  expect(winner([policy('begins', 'agent:*', { effectiveFromMs: NOW_MS })])).toBe('begins');
  expect(winner([policy('ends', 'agent:*', { effectiveUntilMs: NOW_MS })])).toBeUndefined();
  expect(winner([policy('last', 'agent:*', { effectiveUntilMs: NOW_MS + 1 })])).toBe('last');
});

test('one level more escapes no policy of the levels above it', () => {
  const rules = [policy('agent', 'tenant:acme/app:x/agent:bot')];
  expect(winner(rules, 'tenant:acme/app:x/agent:bot/toolset:t')).toBe('agent');
  expect(winner(rules, 'tenant:acme/app:x')).toBeUndefined();
});

test('a subject that does not name its tenant is still of its tenant', () => {
  expect(policyScopes('workspace:w/agent:a', 'acme')).toEqual([
    'tenant:acme',
    'tenant:acme/workspace:w',
    'tenant:acme/workspace:w/agent:a',
  ]);
  expect(winner([policy('all', 'tenant:acme')], 'agent:a')).toBe('all');
});

test('a policy whose pattern nobody can read matches nothing and hides no other', () => {
  expect(winner([policy('broken', 'tenant:other', { priority: 9 }), policy('good', 'agent:*')])).toBe('good');
});

test('whether any policy limits commits is known beforehand', () => {
  expect(rankPolicies('acme', [policy('p', 'agent:*')]).limitsCommits).toBe(false);
  expect(rankPolicies('acme', [policy('p', 'agent:*', { rateLimits: { maxCommitsPerMinute: 1 } })]).limitsCommits).toBe(true);
});
