import { expect, test } from 'vitest';
import type { Command } from '../verbs.ts';
import { runBatch } from '../run-batch.ts';
import { WorkingSet } from '../working-set.ts';
import { SYSTEM_TENANT } from '../records.ts';
import { SEALED_KEYS_SETTING } from './key-ring.ts';

test('of two nodes that put the same version the first wins, and both are told what stands', () => {
  const rows = new WorkingSet();
  rows.putRecord('setting', SEALED_KEYS_SETTING, undefined);
  rows.putRecord('tenant', SYSTEM_TENANT, undefined);
  const ring = (version: number, sealed: string) => ({ version, keys: [], sealed });
  const put = (id: string, of: ReturnType<typeof ring>): Command => ({ verb: 'put-sealed-keys', id, tenantId: SYSTEM_TENANT, ring: of });
  const outcomes = runBatch(rows, [put('c1', ring(1, 'a')), put('c2', ring(1, 'b')), put('c3', ring(2, 'c')), put('c4', ring(2, 'd'))], 0);
  expect(outcomes.map((outcome) => (outcome as { value?: unknown }).value)).toEqual([
    ring(1, 'a'),
    ring(1, 'a'),
    ring(2, 'c'),
    ring(2, 'c'),
  ]);
  expect(rows.record('setting', SEALED_KEYS_SETTING)?.value).toEqual(ring(2, 'c'));
});
