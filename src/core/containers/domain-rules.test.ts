import { expect, test } from 'vitest';
import { checkDomain, cnameTarget, DEFAULT_PROOF, proofHost, proofValue } from './domain-rules.ts';

const of = { baseDomain: 'containers.example.org', allowed: ['corp.internal', 'test'] };
const messageOf = (domain: string): string => checkDomain(domain, of)?.rejection.message ?? 'taken';

test('names of the public DNS are taken, and those whose parents are declared', () => {
  expect(['a.io', 'api.example.com', 'x.corp.internal', 'page.test'].map(messageOf)).toEqual(Array(4).fill('taken'));
  expect(messageOf('x.internal')).toContain('a name of the public DNS, which internal is not');
  expect(messageOf('web.acme.containers.example.org')).toContain('not lie below containers.example.org');
  expect(messageOf('example.org')).toBe('taken');
});

test('the longest domain leaves room for the label of its proof', () => {
  const longest = `${'a'.repeat(60)}.`.repeat(4).slice(0, 216) + '.com';
  expect([longest.length, messageOf(longest)]).toEqual([220, 'taken']);
  expect(proofHost(longest, DEFAULT_PROOF).length).toBeLessThanOrEqual(253);
  expect(messageOf(`a${longest}`)).toContain('at most 220 characters');
});

test('records are made of what is declared', () => {
  expect([proofHost('a.io', { label: '_x', prefix: '' }), proofValue('n', { label: '', prefix: 'p=' }), cnameTarget('h', 'b.c')]).toEqual([
    '_x.a.io',
    'p=n',
    'h.b.c',
  ]);
});
