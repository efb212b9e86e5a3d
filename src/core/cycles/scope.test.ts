import { expect, test } from 'vitest';
import { conditionsOf, filterCovers, isWithin, lastSegment, meetsOneOfEach, parseScope } from './scope.ts';

test.each([
  ['tenant:acme', 'tenant:acme'],
  ['TENANT:Acme/App:Bot', 'tenant:acme/app:bot'],
  ['tenant:acme/workspace:w/app:a/workflow:f/agent:g/toolset:t', 'tenant:acme/workspace:w/app:a/workflow:f/agent:g/toolset:t'],
  ['tenant:acme/agent:a.b_c-d', 'tenant:acme/agent:a.b_c-d'],
  [`tenant:${'a'.repeat(128)}`, `tenant:${'a'.repeat(128)}`],
])('the scope %s is %s', (text, path) => {
  const outcome = parseScope(text);
  expect(outcome.ok && outcome.value.path).toBe(path);
});

test.each([
  '',
  'acme',
  'tenant:',
  'app:bot',
  'tenant:acme/',
  '/tenant:acme',
  'tenant:acme//app:bot',
  'tenant:acme/agent:a/app:b',
  'tenant:acme/tenant:acme',
  'tenant:acme/team:x',
  'tenant:acme/app:*',
  'tenant:-acme',
  'tenant:acme/app:b:c',
  'tenant:acme/app: b',
  'tenant:acme/app:b|c',
  `tenant:${'a'.repeat(129)}`,
])('%j is no scope, and the refusal names the field', (text) => {
  expect(parseScope(text, 'scope')).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field: 'scope' } });
});

test.each([
  ['tenant:a', 'tenant:a', true],
  ['tenant:a/app:b', 'tenant:a', true],
  ['tenant:ab', 'tenant:a', false],
  ['tenant:a/app:bc', 'tenant:a/app:b', false],
  ['tenant:a', 'tenant:a/app:b', false],
] as const)('%s lies within %s: %s', (scope, prefix, expected) => {
  expect(isWithin(scope, prefix)).toBe(expected);
});

test('the last segment of a path is its own name', () => {
  expect([lastSegment('tenant:a'), lastSegment('tenant:a/app:b')]).toEqual(['tenant:a', 'app:b']);
});

test.each([
  [[], 'tenant:acme', true],
  [['workspace:eng'], 'tenant:acme/workspace:eng', true],
  [['workspace:eng'], 'tenant:acme/workspace:eng/agent:a', true],
  [['workspace:eng'], 'tenant:acme/workspace:engine', false],
  [['workspace:eng'], 'tenant:acme', false],
  [['Workspace:ENG'], 'tenant:acme/workspace:eng', true],
  [['workspace:eng', 'workspace:ops'], 'tenant:acme/workspace:ops', true],
  [['agent:*'], 'tenant:acme/agent:a', true],
  [['agent:*'], 'tenant:acme', false],
  [['agent:*'], 'tenant:acme/app:agent', false],
  [['workspace:eng', 'agent:*'], 'tenant:acme/workspace:eng', true],
  [['workspace:eng', 'agent:*'], 'tenant:acme/workspace:eng/agent:a', true],
  [['workspace:eng', 'agent:*'], 'tenant:acme/workspace:other/agent:a', false],
  [['agent:a', 'agent:*'], 'tenant:acme/agent:b', true],
  [['tenant:acme/app:bot'], 'tenant:acme/app:bot/agent:a', true],
  [['tenant:acme/app:bot/*'], 'tenant:acme/app:bot', false],
  [['tenant:acme/app:bot/*'], 'tenant:acme/app:bot/agent:a', true],
  [['nonsense'], 'tenant:acme', false],
  [['*'], 'tenant:acme', false],
] as const)('a key restricted to %j may act on %s: %s', (filter, scope, expected) => {
  expect(filterCovers(filter, scope)).toBe(expected);
  // And what a store is asked for is the same.
  expect(meetsOneOfEach(scope, conditionsOf(filter))).toBe(expected);
});
