import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { makePageCursors, type PageCursors } from './page-cursors.ts';

const cursorsOf = (secret: string): PageCursors =>
  makePageCursors({ hash: (plaintext) => createHmac('sha256', secret).update(plaintext).digest('base64url') });

const cursors = cursorsOf('ours');

test('a cursor leads back to its position, whatever stands in it', () => {
  for (const position of ['key_01H', '', '42', 'a.b', 'ä "quoted" 𝄞'])
    expect(cursors.read('a', cursors.issue('a', position))).toBe(position);
});

test('a cursor needs no escape in an address', () => {
  expect(cursors.issue('keys of acme', 'ä/+="')).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
});

test('a cursor of another list, of another server, changed in any character, cut or made up is none', () => {
  const given = cursors.issue('keys of acme', 'key_0001');
  expect(cursors.read('keys of other', given)).toBeNull();
  expect(cursorsOf('theirs').read('keys of acme', given)).toBeNull();
  for (let at = 0; at < given.length; at++) {
    expect(cursors.read('keys of acme', `${given.slice(0, at)}${given[at] === 'A' ? 'B' : 'A'}${given.slice(at + 1)}`)).toBeNull();
    expect(cursors.read('keys of acme', given.slice(0, at))).toBeNull();
  }
  for (const made of ['', '.', 'key_0001', `${given} `, ` ${given}`, `${given}=`, '!!!.x', '_w.x', 'x'.repeat(10_000)])
    expect(cursors.read('keys of acme', made)).toBeNull();
});

test('two lists whose names and positions run together share no cursor', () => {
  expect(cursors.read('ab', cursors.issue('a', 'bc'))).toBeNull();
  expect(cursors.read('a b', cursors.issue('a', 'b'))).toBeNull();
});
