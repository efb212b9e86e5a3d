import { describe, expect, test } from 'vitest';
import { callScopes, checkKeyLevels, fitsPattern, pinnedScopes } from './subject-levels.ts';

const open = (pattern: string, required = false) => ({ pattern, required });

describe('the scopes of a call', () => {
  test.each([
    ['of a key that says nothing are its tenant', {}, {}, ['tenant:acme']],
    ['of a pinned level lie below the tenant', { levels: { app: 'Bot' } }, {}, ['tenant:acme', 'tenant:acme/app:bot']],
    [
      'of an open level come from the header',
      { levels: { app: 'bot' }, callerLevels: { agent: open('a-*') } },
      { 'x-castellan-agent': 'a-7' },
      ['tenant:acme', 'tenant:acme/app:bot', 'tenant:acme/app:bot/agent:a-7'],
    ],
    ['leave out an open level that nobody fills', { callerLevels: { agent: open('*') } }, {}, ['tenant:acme']],
    ['leave out an open level that is sent empty', { callerLevels: { agent: open('*') } }, { 'x-castellan-agent': '' }, ['tenant:acme']],
  ])('%s', (_name, key, headers, scopes) => {
    expect(callScopes(key, 'acme', headers)).toEqual({ ok: true, value: scopes });
  });

  test.each([
    ['a level that the key does not open', {}, { 'x-castellan-app': 'bot' }, 'x-castellan-app'],
    ['a level that the key pins', { levels: { app: 'bot' } }, { 'x-castellan-app': 'bot' }, 'x-castellan-app'],
    ['an unopened level that is sent empty', {}, { 'x-castellan-app': '' }, 'x-castellan-app'],
    ['a value that the pattern forbids', { callerLevels: { agent: open('a-*') } }, { 'x-castellan-agent': 'b-1' }, 'x-castellan-agent'],
    ['a value that no scope can hold', { callerLevels: { agent: open('*') } }, { 'x-castellan-agent': 'a/b' }, 'x-castellan-agent'],
    ['a value that names another scope', { callerLevels: { agent: open('*') } }, { 'x-castellan-agent': 'a|b' }, 'x-castellan-agent'],
    ['a header that comes twice', { callerLevels: { agent: open('*') } }, { 'x-castellan-agent': ['a', 'b'] }, 'x-castellan-agent'],
    ['a required level that is missing', { callerLevels: { agent: open('*', true) } }, {}, 'x-castellan-agent'],
    ['a required level that is empty', { callerLevels: { agent: open('*', true) } }, { 'x-castellan-agent': '' }, 'x-castellan-agent'],
  ])('are refused for %s', (_name, key, headers, field) => {
    expect(callScopes(key, 'acme', headers)).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field } });
  });
});

test('scopes of every call of a key end where its caller chooses', () => {
  expect(pinnedScopes({}, 'acme')).toEqual(['tenant:acme']);
  expect(pinnedScopes({ levels: { app: 'bot', agent: 'x' } }, 'acme')).toEqual([
    'tenant:acme',
    'tenant:acme/app:bot',
    'tenant:acme/app:bot/agent:x',
  ]);
  expect(pinnedScopes({ levels: { app: 'bot', agent: 'x' }, callerLevels: { workflow: open('*') } }, 'acme')).toEqual([
    'tenant:acme',
    'tenant:acme/app:bot',
  ]);
});

test.each([
  ['a-7', 'a-*', true],
  ['A-7', 'a-*', true],
  ['a-', 'a-*', true],
  ['b-7', 'a-*', false],
  ['team-x-prod', 'team-*-prod', true],
  ['team-prod', 'team-*-prod', false],
  ['aba', 'ab*ba', false],
  ['abcbd', 'a*b*d', true],
  ['anything', '*', true],
  ['exact', 'exact', true],
  ['exactly', 'exact', false],
])('%s against %s is %s', (value, pattern, fits) => {
  expect(fitsPattern(value, pattern)).toBe(fits);
});

test.each([
  ['levels of no subject', { floor: '1' }, undefined, 'levels'],
  ['the tenant', { tenant: 'other' }, undefined, 'levels'],
  ['a value that no scope can hold', { app: 'a b' }, undefined, 'levels.app'],
  ['a blank value', { app: ' ' }, undefined, 'levels.app'],
  ['a level that is pinned and open', { app: 'a' }, { app: open('*') }, 'caller_levels.app'],
  ['an open tenant', undefined, { tenant: open('*') }, 'caller_levels'],
  ['an empty pattern', undefined, { app: open('') }, 'caller_levels.app.pattern'],
  ['a pattern of other characters', undefined, { app: open('a?') }, 'caller_levels.app.pattern'],
])('a key may not have %s', (_name, levels, callerLevels, field) => {
  expect(checkKeyLevels(levels, callerLevels)).toMatchObject({ rejection: { field } });
});
