import { expect, test } from 'vitest';
import { networkName, unitName, volumeName } from './engine-names.ts';

test('the way out of a unit is its open network: that name sorts before the name of the shim, and a closed one has no way out', () => {
  const open = ['a', 'zzzz', '0'].map((name) => networkName('d1', 'open', name));
  expect([networkName('d1', 'shim', ''), ...open].toSorted().at(-1)).toBe(networkName('d1', 'shim', ''));
});

test('things of different deployments, or of one of them, have different names', () => {
  const names = ['d1', 'd2'].flatMap((id) => [
    unitName(id, 'web'),
    unitName(id, 'db'),
    networkName(id, 'shim', ''),
    networkName(id, 'open', 'x'),
    networkName(id, 'closed', 'x'),
    volumeName(id, 'data'),
  ]);
  expect(new Set(names).size).toBe(names.length);
});
