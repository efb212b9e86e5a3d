import { describe, expect, test } from 'vitest';
import { DEFAULT_PERMISSIONS, isPermission, PERMISSIONS } from './permissions.ts';
import { isCyclesUnit } from './units.ts';

describe('permissions', () => {
  test('there are 27, each once', () => {
    expect(PERMISSIONS).toHaveLength(27);
    expect(new Set(PERMISSIONS).size).toBe(27);
  });

  test('a key that asks for none gets ten, of which none is for the operator', () => {
    expect(DEFAULT_PERMISSIONS).toHaveLength(10);
    expect(DEFAULT_PERMISSIONS.every(isPermission)).toBe(true);
    expect(DEFAULT_PERMISSIONS.some((name) => name.startsWith('admin:'))).toBe(false);
  });

  test('what the admin guide gives is taken too, and nothing else', () => {
    expect([isPermission('events:create'), isPermission('events:write'), isPermission('ADMIN:READ'), isPermission('')]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});

test('units are the four of the protocol', () => {
  expect([isCyclesUnit('TOKENS'), isCyclesUnit('tokens'), isCyclesUnit('EUR_MICROCENTS')]).toEqual([true, false, false]);
});
