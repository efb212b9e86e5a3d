import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeExpireReservations } from '../../../src/jobs/expire-reservations.ts';
import type { TestStore } from '../../contract/test-store.ts';
import { makeManualClock, makeMemoryLog, type ManualClock } from '../../support/fakes.ts';
import type { TestResponse } from '../../support/test-app.ts';
import { codeOf, makeRuntime, type Runtime, type Sender } from './runtime-harness.ts';

const START_MS = Date.parse('2026-06-29T12:00:00Z');

/** What the runtime plane does as time goes by, over one store: expiry by each rule, periods of budgets, limits by the minute. */
export function describeTimes(name: string, makeStore: (clock: ManualClock) => Promise<Pick<TestStore, 'store' | 'destroy'>>): void {
  describe(name, () => {
    let at: Pick<TestStore, 'store' | 'destroy'>;
    let runtime: Runtime;
    let count = 0;
    let tenant = '';
    let scope = '';
    let key: Sender;

    beforeAll(async () => {
      const clock = makeManualClock(START_MS);
      at = await makeStore(clock);
      runtime = await makeRuntime({ store: at.store, clock });
    });
    afterAll(async () => {
      await runtime.close();
      await at.destroy();
    });
    beforeEach(() => {
      tenant = `time-${(count += 1)}`;
      scope = `tenant:${tenant}`;
    });

    const begin = async (parts: Record<string, unknown> = {}): Promise<void> => {
      await runtime.makeTenant(tenant, parts);
      key = await runtime.keyOf(tenant);
    };
    const reserve = (parts: Record<string, unknown> = {}): Promise<TestResponse> => runtime.reserve({ subject: { tenant }, ...parts }, key);
    const made = async (parts: Record<string, unknown> = {}): Promise<string> => {
      const answer = await reserve(parts);
      expect(answer.status, `answered ${answer.text}`).toBe(200);
      return (answer.json as { reservation_id: string }).reservation_id;
    };
    const sweep = (): Promise<unknown> => {
      const { store, writer, ids } = runtime;
      return makeExpireReservations({ records: store, writer, ids, log: makeMemoryLog(), onQuarantined: () => undefined })();
    };
    const stateOf = async (id: string): Promise<unknown> => {
      const answer = await runtime.ask('listReservations', key, 'GET', '/v1/reservations?limit=200');
      const rows = (answer.json as { reservations: { reservation_id: string; status: string }[] }).reservations;
      return rows.find((row) => row.reservation_id === id)?.status;
    };
    const leftOf = async (): Promise<unknown> => {
      const answer = await runtime.ask('getBalances', key, 'GET', `/v1/balances?tenant=${tenant}`);
      const [balance] = (answer.json as { balances: Record<string, { amount: number }>[] }).balances;
      return ['allocated', 'spent', 'reserved', 'remaining'].map((field) => balance?.[field]?.amount);
    };

    test.each(['AUTO_RELEASE', 'GRACE_ONLY'])('%s: commits go through in the grace; after it the hold is returned', async (rule) => {
      await begin({ reservation_expiry_policy: rule });
      await runtime.makeBudget(scope, 100);
      const [inGrace, gone] = [await made({ ttl_ms: 1000, grace_period_ms: 500 }), await made({ ttl_ms: 1000, grace_period_ms: 500 })];
      runtime.clock.advance(1500);
      await sweep();
      expect(codeOf(await runtime.commit(inGrace, 10, {}, key))).toBe(200);
      runtime.clock.advance(1);
      expect(codeOf(await runtime.commit(gone, 10, {}, key)), 'before any sweep').toBe('RESERVATION_EXPIRED');
      expect(await leftOf()).toEqual([100, 10, 10, 80]);
      await sweep();
      expect([await stateOf(gone), await leftOf()]).toEqual(['EXPIRED', [100, 10, 0, 90]]);
    });

    test('MANUAL_CLEANUP: the hold stays until somebody releases it, however often the sweep comes by', async () => {
      await begin({ reservation_expiry_policy: 'MANUAL_CLEANUP' });
      await runtime.makeBudget(scope, 100);
      const [id, other] = [await made({ ttl_ms: 1000, grace_period_ms: 500 }), await made({ ttl_ms: 1000, grace_period_ms: 500 })];
      runtime.clock.advance(1500);
      expect(codeOf(await runtime.commit(other, 4, {}, key)), 'in the grace').toBe(200);
      runtime.clock.advance(60_000);
      await sweep();
      expect([await stateOf(id), await leftOf()]).toEqual(['ACTIVE', [100, 4, 10, 86]]);
      expect(codeOf(await runtime.commit(id, 4, {}, key))).toBe('RESERVATION_EXPIRED');
      expect(codeOf(await runtime.release(id, {}, key))).toBe(200);
      expect([await stateOf(id), await leftOf()]).toEqual(['RELEASED', [100, 4, 0, 96]]);
    });

    test('a limit by the minute admits exactly what it says of many that come at once, and its headers count down', async () => {
      await begin();
      await runtime.makeBudget(scope, 1000);
      await runtime.operator('POST', '/v1/admin/policies', {
        tenant_id: tenant,
        name: 'limit',
        scope_pattern: scope,
        rate_limits: { max_reservations_per_minute: 7 },
      });
      runtime.clock.set(Math.ceil(runtime.clock.nowMs() / 60_000) * 60_000 + 15_000);
      const answers = await Promise.all(Array.from({ length: 20 }, () => reserve()));
      const taken = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 429);
      expect([taken.length, refused.length]).toEqual([7, 13]);
      const left = taken.map(({ headers }) => Number(headers['x-ratelimit-remaining'])).toSorted((a, b) => a - b);
      expect(left).toEqual([0, 1, 2, 3, 4, 5, 6]);
      const reset = String((runtime.clock.nowMs() + 45_000) / 1000);
      for (const { headers } of refused)
        expect([
          headers['retry-after'],
          headers['x-ratelimit-limit'],
          headers['x-ratelimit-remaining'],
          headers['x-ratelimit-reset'],
        ]).toEqual(['45', '7', '0', reset]);
      runtime.clock.advance(45_000);
      expect(codeOf(await reserve())).toBe(200);
    });

    test.each<[string, number[], number[]]>([
      // Spent 30 and held 10 of 100: what was not spent is carried, and the hold stays where it is.
      ['NONE', [100, 0, 10, 90], [100, 8, 0, 92]],
      ['CARRY_FORWARD', [170, 0, 10, 160], [170, 8, 0, 162]],
      ['CAP_AT_ALLOCATED', [110, 0, 10, 100], [110, 8, 0, 102]],
    ])(
      '%s: a period that ends is seen by decisions, balances and commits at once; a hold goes over into the next',
      async (rule, begun, settled) => {
        await begin();
        // An hour lies ahead, so that a hold lasts beyond it.
        const startMs = runtime.clock.nowMs() - 1_800_000;
        const periodEnd = startMs + 3_600_000;
        const period = {
          period_start: new Date(startMs).toISOString(),
          period_end: new Date(periodEnd).toISOString(),
          rollover_policy: rule,
        };
        await runtime.makeBudget(scope, 100, period);
        await runtime.event(30, { subject: { tenant } }, key);
        const id = await made({ ttl_ms: 3_600_000 });
        const wide = { subject: { tenant }, estimate: { unit: 'TOKENS', amount: 61 } };
        expect((await runtime.decide(wide, key)).json).toMatchObject({ decision: 'DENY', reason_code: 'BUDGET_EXCEEDED' });
        runtime.clock.set(periodEnd - 1);
        expect(await leftOf()).toEqual([100, 30, 10, 60]);
        runtime.clock.set(periodEnd);
        expect(await leftOf()).toEqual(begun);
        expect((await runtime.decide(wide, key)).json).toMatchObject({ decision: 'ALLOW' });
        expect(codeOf(await runtime.commit(id, 8, {}, key))).toBe(200);
        expect(await leftOf()).toEqual(settled);
      },
    );
  });
}
