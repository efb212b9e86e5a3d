import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeAesSecretBox, SealBroken } from './aes-secret-box.ts';
import { makeDataKeys } from './data-keys.ts';

const secretBox = makeAesSecretBox({ masterKey: randomBytes(32) });
const dataKeys = makeDataKeys({ secretBox });
const key = dataKeys.make('acme');
const sealed = dataKeys.seal(key, 'the value', 'secret:acme/A');

test('what is sealed opens for the same name under the same key, and says which key that is', () => {
  expect(dataKeys.open(key, sealed, 'secret:acme/A')).toBe('the value');
  expect(sealed.endsWith(`.${key.id}`)).toBe(true);
  expect(dataKeys.seal(key, 'the value', 'secret:acme/A')).not.toBe(sealed);
});

test('it opens for no other name, tenant or key', () => {
  expect(() => dataKeys.open(key, sealed, 'secret:acme/B')).toThrow(SealBroken);
  expect(() => dataKeys.open(key, sealed, 'secret:other/A')).toThrow(SealBroken);
  expect(() => dataKeys.open(dataKeys.make('acme'), sealed, 'secret:acme/A')).toThrow(SealBroken);
  expect(() => dataKeys.open({ ...key, tenantId: 'other' }, sealed, 'secret:acme/A')).toThrow(SealBroken);
});

test('keys are nowhere in the clear, and no two are the same', () => {
  const other = makeDataKeys({ secretBox: makeAesSecretBox({ masterKey: randomBytes(32) }) });
  expect(() => other.open(key, sealed, 'secret:acme/A')).toThrow(SealBroken);
  expect(dataKeys.make('acme').id).not.toBe(key.id);
});
