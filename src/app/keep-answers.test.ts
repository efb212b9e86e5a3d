import { expect, test } from 'vitest';
import type { Command } from '../core/verbs.ts';
import { allocate, debit, idempotent } from '../../test/support/ledger-fixtures.ts';
import { keepAnswersFor } from './keep-answers.ts';
import type { LedgerWriter } from './ledger-writer.ts';

test('every answer to an idempotency key is kept as long as the table says, and commands without one pass untouched', async () => {
  const seen: Command[] = [];
  const inner = {
    execute: (command: Command) => {
      seen.push(command);
      return Promise.resolve({ ok: true, value: null });
    },
    barrier: () => Promise.resolve(),
    pending: 3,
    close: () => Promise.resolve(),
  } as unknown as LedgerWriter;
  const writer = keepAnswersFor(inner, 7000);
  const plain = allocate(5n);
  const keyed = debit(7n, { id: 'cmd_1', debitId: 'd1', idempotency: idempotent('debit', { keepMs: 1 }) });
  await writer.execute(plain);
  await writer.execute(keyed);
  expect(seen[0]).toBe(plain);
  expect(seen[1]).toEqual({ ...keyed, idempotency: { ...keyed.idempotency, keepMs: 7000 } });
  expect(keyed.idempotency?.keepMs).toBe(1);
  expect(writer.pending).toBe(3);
});
