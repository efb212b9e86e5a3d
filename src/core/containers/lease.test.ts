import { expect, test } from 'vitest';
import { SYSTEM_TENANT } from '../records.ts';
import { runBatch } from '../run-batch.ts';
import { WorkingSet } from '../working-set.ts';
import { CONTAINER_LEASE, type Lease } from './container-records.ts';

const NOW_MS = 1_000_000;
const HELD: Lease = { id: CONTAINER_LEASE, ownerId: 'a', token: 7, untilMs: NOW_MS + 10_000 };

function take(before: Lease | undefined, ownerId: string, isAlone = false): Lease | string {
  const rows = new WorkingSet();
  rows.putRecord('tenant', SYSTEM_TENANT, undefined);
  rows.putRecord('lease', CONTAINER_LEASE, before);
  const command = {
    verb: 'take-lease',
    id: 'c1',
    tenantId: SYSTEM_TENANT,
    leaseId: CONTAINER_LEASE,
    ownerId,
    ttlMs: 30_000,
    isAlone,
  } as const;
  const [outcome] = runBatch(rows, [command], NOW_MS);
  if (outcome === undefined) throw new Error('no outcome');
  return outcome.ok ? (outcome.value as Lease) : outcome.rejection.code;
}

test('a lease goes to whoever comes first, is kept by its owner, and passes on with a greater token once it is over', () => {
  expect(take(undefined, 'a')).toEqual({ id: CONTAINER_LEASE, ownerId: 'a', token: 1, untilMs: NOW_MS + 30_000 });
  expect(take(HELD, 'a')).toMatchObject({ ownerId: 'a', token: 7 });
  expect(take(HELD, 'b')).toBe('conflict');
  expect(take({ ...HELD, untilMs: NOW_MS }, 'b')).toMatchObject({ ownerId: 'b', token: 8 });
  expect(take({ ...HELD, untilMs: NOW_MS }, 'a')).toMatchObject({ ownerId: 'a', token: 8 });
});

test('where no other process can be at work, a lease of before holds nobody up', () => {
  expect(take(HELD, 'b', true)).toMatchObject({ ownerId: 'b', token: 8 });
});
