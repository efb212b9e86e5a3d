import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { allocate, debit, idempotent, reserve, TENANT } from '../support/ledger-fixtures.ts';
import { makeSqliteStore } from './sqlite-store.ts';
import { makeTestClock, type TestClock, type TestStore } from './test-store.ts';

const DAY_MS = 86_400_000;

describe('the time of an embedded store', () => {
  let clock: TestClock;
  let at: TestStore;
  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeSqliteStore({ clock });
    await at.store.execute('batch_0', [allocate(1000n)], 0);
  });
  afterEach(() => at.destroy());

  test('a clock that jumps ahead forgets nothing until a batch is dated by it', async () => {
    const charge = debit(7n, { id: 'cmd_1', debitId: 'd1', idempotency: idempotent('debit', { keepMs: 60_000 }) });
    await at.store.execute('batch_1', [charge], 0);
    clock.set(clock.nowMs() + 400 * DAY_MS);
    expect(await at.store.prune()).toBe(0);
    expect(await at.raw('SELECT key FROM idempotency')).toHaveLength(1);
    await at.store.execute('batch_2', [allocate(2000n, { id: 'cmd_2' })], 0);
    expect(await at.store.prune()).toBeGreaterThan(0);
    expect(await at.raw('SELECT key FROM idempotency')).toEqual([]);
  });

  test('a clock that has gone back does not hide what has expired by the time of a batch', async () => {
    const startMs = clock.nowMs();
    await at.store.execute('batch_1', [reserve({ reservationId: 'res_a' })], 0);
    clock.set(startMs + DAY_MS);
    await at.store.execute('batch_2', [allocate(2000n, { id: 'cmd_2' })], 0);
    clock.set(startMs);
    expect(await at.store.expiredReservations({ limit: 10 })).toEqual([{ id: 'res_a', tenantId: TENANT }]);
  });
});
