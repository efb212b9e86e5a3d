import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeAesSecretBox, masterKeyOf, SealBroken, sealingKeyOf, sealWith } from './aes-secret-box.ts';
import { makeKeyRing } from './key-ring.ts';

const one = masterKeyOf(randomBytes(32));
const two = masterKeyOf(randomBytes(32));

test('the name of a key is the same each time, another for another key, and nothing of the key itself', () => {
  expect(masterKeyOf(one.bytes).id).toBe(one.id);
  expect(one.id).not.toBe(two.id);
  expect(one.id).toMatch(/^[0-9a-f]{12}$/);
  expect(Buffer.from(one.bytes).toString('hex')).not.toContain(one.id);
});

test('every key at hand opens what it sealed, and a value names its key', () => {
  const ring = makeKeyRing([one, two]);
  const before = ring.seal('secret', 'key:1');
  expect([sealingKeyOf(before), ring.sealingId]).toEqual([one.id, one.id]);
  expect(ring.use(two.id)).toBe(true);
  const after = ring.seal('secret', 'key:1');
  expect([sealingKeyOf(after), ring.sealingId]).toEqual([two.id, two.id]);
  expect([ring.open(before, 'key:1'), ring.open(after, 'key:1')]).toEqual(['secret', 'secret']);
  expect(sealingKeyOf(ring.sealWith(one.id, 'x', 'key:1'))).toBe(one.id);
});

test('a key that was retired seals nothing more, and opens what was read before', () => {
  const ring = makeKeyRing([one, two]);
  const unnamed = makeAesSecretBox({ masterKey: one.bytes }).seal('old', 'key:1').split('.')[0] ?? '';
  const before = ring.seal('secret', 'key:1');
  ring.use(two.id);
  ring.retireOthers();
  expect(ring.ids).toEqual([two.id]);
  expect([ring.open(before, 'key:1'), ring.open(unnamed, 'key:1')]).toEqual(['secret', 'old']);
  expect(() => ring.sealWith(one.id, 'x', 'key:1')).toThrow(SealBroken);
  expect(ring.use(one.id)).toBe(false);
});

test('a key that another process made is looked for when a value names it', () => {
  let found: (typeof one)[] = [];
  const ring = makeKeyRing([one], () => found);
  const sealed = sealWith(two, 'secret', 'key:1');
  expect(() => ring.open(sealed, 'key:1')).toThrow(SealBroken);
  expect(ring.use(two.id)).toBe(false);
  found = [one, two];
  expect(ring.open(sealed, 'key:1')).toBe('secret');
  expect(ring.use(two.id)).toBe(true);
  expect(ring.sealingId).toBe(two.id);
});

test('a key that is not at hand cannot seal', () => {
  const ring = makeKeyRing([one]);
  expect(ring.use(two.id)).toBe(false);
  expect(ring.sealingId).toBe(one.id);
  ring.add(two);
  ring.add(two);
  expect(ring.ids).toEqual([one.id, two.id]);
});

test('a value that names no key is tried with each', () => {
  const unnamed = (key: typeof one): string => makeAesSecretBox({ masterKey: key.bytes }).seal('secret', 'key:1').split('.')[0] ?? '';
  const ring = makeKeyRing([one, two]);
  for (const key of [one, two]) {
    expect(sealingKeyOf(unnamed(key))).toBeNull();
    expect(ring.open(unnamed(key), 'key:1')).toBe('secret');
  }
  expect(() => ring.open(unnamed(masterKeyOf(randomBytes(32))), 'key:1')).toThrow(SealBroken);
  expect(() => ring.open(unnamed(one), 'key:2')).toThrow(SealBroken);
});
