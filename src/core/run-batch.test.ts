import { describe, expect, test } from 'vitest';
import { accountWith, allocate, codeOf, fund, reserve, START_MS, TENANT, TENANT_BUDGET } from '../../test/support/ledger-fixtures.ts';
import { runBatch } from './run-batch.ts';
import type { CommandAudit } from './verb.ts';
import { WorkingSet } from './working-set.ts';

function rowsWith(allocated: bigint): WorkingSet {
  const rows = new WorkingSet();
  rows.putRecord('tenant', TENANT, undefined);
  rows.putAccount(TENANT_BUDGET, accountWith(TENANT_BUDGET, { allocated }));
  for (const id of ['res_1', 'res_2']) rows.putReservation(id, undefined);
  return rows;
}

const AUDIT: CommandAudit = {
  id: 'aud_1',
  operation: 'setMoneyBudget',
  actorKind: 'operator',
  actorId: 'operator',
  resourceKind: 'money-budget',
  resourceId: TENANT,
  requestId: 'req_1',
};

describe('a batch', () => {
  test('is decided in order, each command seeing what those before it did', () => {
    const commands = [reserve({ amount: 10n }), fund('CREDIT', 4n), reserve({ reservationId: 'res_2', amount: 10n })];
    expect(runBatch(rowsWith(16n), commands, START_MS).map(codeOf)).toEqual(['ok', 'ok', 'ok']);
    expect(runBatch(rowsWith(15n), commands, START_MS).map(codeOf)).toEqual(['ok', 'ok', 'budget_exceeded']);
  });

  test('of nothing comes to nothing', () => {
    expect(runBatch(rowsWith(1n), [], START_MS)).toEqual([]);
  });
});

describe('a management command leaves an audit row', () => {
  test.each<[string, bigint, string | null]>([
    ['when it succeeds', 5n, null],
    ['when it is refused, with the code', -1n, 'amount_out_of_range'],
  ])('%s', (_what, allocated, code) => {
    const rows = rowsWith(1n);
    runBatch(rows, [allocate(allocated, { audit: { ...AUDIT, metadata: { via: 'file' } } })], START_MS + 3);
    expect(rows.changes().audit).toEqual([{ ...AUDIT, tenantId: TENANT, atMs: START_MS + 3, code, metadata: { via: 'file' } }]);
  });

  test('with no metadata where it has none', () => {
    const rows = rowsWith(1n);
    runBatch(rows, [allocate(2n, { audit: AUDIT })], START_MS);
    expect(rows.changes().audit).toMatchObject([{ metadata: {} }]);
  });

  test('and no other command does', () => {
    const rows = rowsWith(1n);
    runBatch(rows, [allocate(2n), reserve({ amount: 99n })], START_MS);
    expect(rows.changes().audit).toEqual([]);
  });
});
