import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { makeAesSecretBox, SealBroken } from './aes-secret-box.ts';
import { makeHmacKeyHasher } from './hmac-key-hasher.ts';
import { makeSystemIds } from './system-ids.ts';

describe('secret box', () => {
  const box = makeAesSecretBox({ masterKey: randomBytes(32) });

  test('opens what it sealed for the same identity', () => {
    expect(box.open(box.seal('tk_secret é', 'key/1'), 'key/1')).toBe('tk_secret é');
    expect(box.open(box.seal('', 'key/1'), 'key/1')).toBe('');
  });

  test('seals the same text differently each time, and never shows it', () => {
    const sealed = box.seal('tk_secret', 'key/1');
    expect(sealed).not.toBe(box.seal('tk_secret', 'key/1'));
    expect(Buffer.from(sealed, 'base64').includes('tk_secret')).toBe(false);
  });

  test('does not open a value that was moved to another row', () => {
    const sealed = box.seal('tk_secret', 'key/1');
    expect(() => box.open(sealed, 'key/2')).toThrow(SealBroken);
  });

  test('does not open under another master key', () => {
    const sealed = box.seal('tk_secret', 'key/1');
    expect(() => makeAesSecretBox({ masterKey: randomBytes(32) }).open(sealed, 'key/1')).toThrow(SealBroken);
  });

  test('does not open when any one bit is changed', () => {
    const bytes = Buffer.from(box.seal('tk_secret', 'key/1'), 'base64');
    for (let i = 0; i < bytes.length; i++) {
      const damaged = Buffer.from(bytes);
      damaged[i] = (damaged[i] ?? 0) ^ 1;
      expect(() => box.open(damaged.toString('base64'), 'key/1')).toThrow(SealBroken);
    }
  });

  test('does not open what is too short or empty', () => {
    for (const text of ['', 'AQ==', Buffer.alloc(28, 1).toString('base64')]) expect(() => box.open(text, 'x')).toThrow(SealBroken);
  });
});

test('a credential hashes the same under one secret and differently under another', () => {
  const hasher = makeHmacKeyHasher({ secret: Buffer.alloc(32, 1) });
  expect(hasher.hash('tk_a')).toBe(hasher.hash('tk_a'));
  expect(hasher.hash('tk_a')).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(hasher.hash('tk_a')).not.toBe(hasher.hash('tk_b'));
  expect(hasher.hash('tk_a')).not.toBe(makeHmacKeyHasher({ secret: Buffer.alloc(32, 2) }).hash('tk_a'));
});

describe('ids', () => {
  test('sort by the order in which they were made, within a millisecond and when the clock goes back', () => {
    const times = [5000, 5000, 5000, 4000, 4999, 5001, 1_700_000_000_000];
    const ids = makeSystemIds({ clock: { nowMs: () => times.shift() ?? 1_700_000_000_000 } });
    const made = Array.from({ length: 5000 }, () => ids.next('call'));
    expect(made).toEqual([...made].sort());
    expect(new Set(made).size).toBe(made.length);
    expect(made[0]).toMatch(/^call_[0-9A-HJKMNP-TV-Z]{26}$/);
  });

  test('begin with the moment in Crockford base 32', () => {
    const ids = makeSystemIds({ clock: { nowMs: () => 1_469_918_176_385 } });
    expect(ids.next('x').slice(0, 12)).toBe('x_01ARYZ6S41');
  });

  test('base62 text has the asked length and uses every character about as often', () => {
    const ids = makeSystemIds({ clock: { nowMs: () => 0 } });
    expect(ids.base62(31)).toMatch(/^[0-9A-Za-z]{31}$/);
    const counts = new Map<string, number>();
    for (const character of ids.base62(62_000)) counts.set(character, (counts.get(character) ?? 0) + 1);
    expect(counts.size).toBe(62);
    // Six standard deviations around 1,000: a source that threw no byte away would give the first eight characters 1,211 each.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(200);
    expect(ids.token(32)).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});
