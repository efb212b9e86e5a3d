import { describe, expect, test } from 'vitest';
import { budgetId, TOKENS } from '../../core/ledger/account.ts';
import type { Command } from '../../core/verbs.ts';
import { batchNeeds } from './batch-needs.ts';

const accountOf = (tenantId: string) => budgetId(tenantId, `tenant:${tenantId}`, TOKENS);

/** A command that takes its tenant's lock as shared. */
const allocate = (tenantId: string): Command => ({ verb: 'allocate', id: 'cmd', tenantId, accountId: accountOf(tenantId), allocated: 1n });

/** A command that takes it exclusively. */
const suspend = (tenantId: string): Command => ({ verb: 'update-tenant', id: 'cmd', tenantId, status: 'SUSPENDED' });

describe('what a batch needs', () => {
  test('names every row once', () => {
    const needs = batchNeeds([allocate('a'), allocate('a'), allocate('b')]);
    expect(needs.accounts).toEqual([accountOf('a'), accountOf('b')]);
    expect(needs.tenants).toEqual(['a', 'b']);
  });

  test('locks tenants in one order, whatever the order of the commands', () => {
    const tenants = Array.from({ length: 50 }, (_, index) => `tenant-${index}`);
    const there = batchNeeds(tenants.map(allocate)).tenantLocks;
    const back = batchNeeds(tenants.toReversed().map(allocate)).tenantLocks;
    expect(there).toEqual(back);
    expect(there).toHaveLength(50);
  });

  test('takes the stronger of two locks on a tenant at once, whichever command comes first', () => {
    const [lock] = batchNeeds([allocate('a'), suspend('a')]).tenantLocks;
    expect(lock?.isExclusive).toBe(true);
    expect(batchNeeds([suspend('a'), allocate('a')]).tenantLocks).toEqual([lock]);
    expect(batchNeeds([allocate('a')]).tenantLocks).toEqual([{ key: lock?.key, isExclusive: false }]);
  });

  test('hashes a tenant to the number by which every release of the program locks it', () => {
    expect(batchNeeds([allocate('acme')]).tenantLocks[0]?.key).toBe(-2_111_097_939);
  });
});
