import { describe, expect, test } from 'vitest';
import { accountWith, allocate, codeOf, fund, reserve, START_MS, TENANT, TENANT_BUDGET } from '../../test/support/ledger-fixtures.ts';
import { runBatch } from './run-batch.ts';
import type { AuditAnswers, CommandAudit } from './verb.ts';
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
  const ANSWERS: AuditAnswers = { done: 201, refused: { amount_out_of_range: [422, 'OUT_OF_RANGE'] } };
  const REFUSED = { via: 'file', error_message: 'the amount must lie between 0 and 2^63 - 1' };

  test.each<[string, bigint, AuditAnswers | undefined, object]>([
    ['when it succeeds', 5n, undefined, { code: null, status: 200, metadata: { via: 'file' } }],
    ['when it succeeds, with the status of the answer', 5n, ANSWERS, { code: null, status: 201, metadata: { via: 'file' } }],
    ['when it is refused, with the code and the message', -1n, undefined, { code: 'amount_out_of_range', metadata: REFUSED }],
    [
      'when it is refused, with the status and code of the answer',
      -1n,
      ANSWERS,
      { code: 'amount_out_of_range', status: 422, errorCode: 'OUT_OF_RANGE', metadata: REFUSED },
    ],
  ])('%s', (_what, allocated, answers, row) => {
    const rows = rowsWith(1n);
    const audit = { ...AUDIT, metadata: { via: 'file' }, ...(answers === undefined ? {} : { answers }) };
    runBatch(rows, [allocate(allocated, { audit })], START_MS + 3);
    expect(rows.changes().audit).toEqual([{ ...AUDIT, tenantId: TENANT, atMs: START_MS + 3, ...row }]);
  });

  test('that names on whose behalf it was', () => {
    const rows = rowsWith(1n);
    runBatch(rows, [allocate(5n, { audit: { ...AUDIT, actorType: 'admin_on_behalf_of' } })], START_MS);
    expect(rows.changes().audit).toMatchObject([{ metadata: { actor_type: 'admin_on_behalf_of' } }]);
    expect(rows.changes().audit[0]).not.toHaveProperty('actorType');
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
