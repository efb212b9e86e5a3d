import { expect, test } from 'vitest';
import { parseScopePattern } from './scope-pattern.ts';

const pattern = (text: string): ReturnType<typeof parseScopePattern> => parseScopePattern(text, 'acme');

test.each([
  ['tenant:acme', 'tenant:acme', true],
  ['tenant:acme', 'tenant:acme/app:bot', false],
  ['Tenant:Acme', 'tenant:acme', true],
  ['tenant:acme/app:bot', 'tenant:acme/app:bot', true],
  ['tenant:acme/app:bot', 'tenant:acme/app:bots', false],
  ['tenant:acme/*', 'tenant:acme', false],
  ['tenant:acme/*', 'tenant:acme/app:bot', true],
  ['tenant:acme/*', 'tenant:acme/app:bot/agent:a', true],
  ['tenant:acme/*', 'tenant:acme2/app:bot', false],
  ['tenant:acme/app:bot/*', 'tenant:acme/app:bot', false],
  ['tenant:acme/app:bot/*', 'tenant:acme/app:bot/agent:a', true],
  ['tenant:acme/agent:*', 'tenant:acme/agent:a', true],
  ['tenant:acme/agent:*', 'tenant:acme/workspace:w/agent:a', false],
  ['tenant:acme/agent:*', 'tenant:acme/agent:a/toolset:t', false],
  ['agent:*', 'tenant:acme/agent:a', true],
  ['agent:*', 'tenant:acme/workspace:w/agent:a', true],
  ['agent:*', 'tenant:acme/workspace:w', false],
  ['*/agent:bot', 'tenant:acme/agent:bot', true],
  ['*/agent:bot', 'tenant:acme/workspace:w/app:x/agent:bot', true],
  ['*/agent:bot', 'tenant:acme/agent:bots', false],
  ['*/agent:*', 'tenant:acme/agent:a', true],
  ['agent:bot', 'tenant:acme/app:x/agent:bot', true],
  ['workspace:w/agent:*', 'tenant:acme/workspace:w/agent:a', true],
  ['*', 'tenant:acme', true],
  ['tenant:*', 'tenant:acme', true],
] as const)('%s matches %s: %s', (text, scope, expected) => {
  const outcome = pattern(text);
  expect(outcome.ok && outcome.value.matches(scope)).toBe(expected);
});

test.each([
  '',
  'acme',
  'tenant:other',
  'tenant:other/*',
  'team:x',
  'tenant:acme/',
  'tenant:acme/*/agent:a',
  'tenant:acme/agent:a*',
  'tenant:acme/agent:a/app:b',
  'app:x/tenant:acme',
  '*/tenant:acme',
  'tenant:acme/agent:a b',
])('%j is no pattern of this tenant', (text) => {
  expect(pattern(text)).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field: 'scope_pattern' } });
});

test('of two patterns that match, the narrower one is the more specific', () => {
  const rising = [
    'tenant:acme',
    'tenant:acme/*',
    'agent:*',
    'tenant:acme/agent:*',
    'agent:bot',
    'tenant:acme/agent:bot',
    'tenant:acme/workspace:w/agent:*',
    'tenant:acme/workspace:w/agent:bot',
  ].map((text) => {
    const outcome = pattern(text);
    return outcome.ok ? outcome.value.specificity : Number.NaN;
  });
  expect(rising).toEqual(rising.toSorted((a, b) => a - b));
  expect(new Set(rising).size).toBe(rising.length);
});
