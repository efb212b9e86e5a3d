import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeLatencyWatch, makeStoreWatch } from '../../src/app/events/watch-system.ts';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import { cyclesEvent } from '../../src/core/cycles/event-object.ts';
import { isEventType } from '../../src/core/cycles/event-types.ts';
import { formatRfc3339 } from '../../src/core/rfc3339.ts';
import { parseJson, stringifyJson } from '../../src/core/json/int64.ts';
import { makeExpireReservations } from '../../src/jobs/expire-reservations.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import type { WebhookStore } from '../../src/ports/webhook-store.ts';
import { makeSqliteStore } from '../contract/sqlite-store.ts';
import type { TestStore } from '../contract/test-store.ts';
import { makeRuntime, type Runtime } from '../api/cycles-runtime/runtime-harness.ts';
import { expectEvent } from '../support/cycles-answers.ts';
import { makeManualClock, type ManualClock } from '../support/fakes.ts';
import type { WATCHED_TYPES } from './watched-types.ts';

type Watched = (typeof WATCHED_TYPES)[number];

const MINUTE_MS = 60_000;

/** Events that a look at rates, lengths or the connection finds, over a real store and a clock that the test moves. */
describe('what is watched', () => {
  let at: TestStore;
  let store: LedgerStore & RecordStore & WebhookStore;
  let clock: ManualClock;
  let runtime: Runtime;
  let tenants = 0;

  beforeAll(async () => {
    clock = makeManualClock(Date.UTC(2026, 3, 9, 12, 0, 30));
    at = await makeSqliteStore({ clock });
    ({ store } = at);
    runtime = await makeRuntime({ store, clock });
  });
  afterAll(async () => {
    await runtime.close();
    await at.destroy();
  });

  /** A tenant with a budget, and the holder of its key. */
  const tenant = async (allocated: number) => {
    const id = `watched-${(tenants += 1)}`;
    await runtime.makeTenant(id);
    await runtime.makeBudget(`tenant:${id}`, allocated);
    const key = await runtime.keyOf(id);
    return { id, scope: `tenant:${id}`, key, subject: { tenant: id } };
  };
  /** The events of a type as the surfaces show them, each found to be what its type may say. */
  const told = async (type: Watched, tenantId: string) => {
    const found = await store.listEvents({ types: [type], tenantId, sortBy: 'timestamp', descending: false, after: null, limit: 100 });
    return found.map(({ event }) => {
      if (!isEventType(event.type)) throw new Error(`${event.type} is not registered`);
      const shown = parseJson(stringifyJson(cyclesEvent({ ...event, type: event.type }))) as {
        data: object;
        scope?: string;
        tenant_id: string;
      };
      expectEvent(shown);
      return shown;
    });
  };
  /** A look at the rates, as its job has one every ten seconds. */
  const look = async (): Promise<void> => {
    await runtime.events.activity.flush();
    await runtime.events.watchRates();
  };
  const expire = () => makeExpireReservations({ ...runtime, records: store, onQuarantined: () => undefined })();

  test('refused holds beyond the share that is allowed are told once while that lasts, and again when they begin anew', async () => {
    const { id, key, subject } = await tenant(10);
    const tooMuch = { subject, estimate: { unit: 'TOKENS', amount: 11 } };
    const small = { subject, estimate: { unit: 'TOKENS', amount: 1 } };
    for (let n = 0; n < 4; n++) await runtime.reserve({ ...small, idempotency_key: `small ${n}` }, key);
    // What is answered from memory is no hold of its own.
    for (let n = 0; n < 100; n++) await runtime.reserve({ ...small, idempotency_key: 'small 0' }, key);
    await look();
    expect(await told('reservation.denial_rate_spike', id)).toEqual([]);
    for (let n = 0; n < 6; n++) expect((await runtime.reserve(tooMuch, key)).status).toBe(409);
    await look();
    const [spike] = await told('reservation.denial_rate_spike', id);
    expect(spike).toMatchObject({
      tenant_id: id,
      data: { metric: 'denial_rate', current_rate: 1.2, threshold_rate: 0.1, window_seconds: 300, sample_count: 10 },
    });
    for (let n = 0; n < 3; n++) {
      clock.advance(10_000);
      await runtime.reserve(tooMuch, key);
      await look();
    }
    expect(await told('reservation.denial_rate_spike', id)).toHaveLength(1);
    // The window has passed: the look finds nothing, and what comes after is another spike.
    clock.advance(10 * MINUTE_MS);
    await look();
    for (let n = 0; n < 6; n++) await runtime.reserve(tooMuch, key);
    await look();
    await look();
    expect(await told('reservation.denial_rate_spike', id)).toHaveLength(2);
  });

  test('a subscription’s own window and share are told beside the usual ones', async () => {
    const { id, key, subject } = await tenant(100);
    const made = await runtime.operator('POST', `/v1/admin/webhooks?tenant_id=${id}`, {
      url: 'https://hooks.example.com/',
      event_types: ['reservation.denial_rate_spike'],
      thresholds: { denial_rate_threshold: 0.9, rate_window_seconds: 60 },
    });
    expect(made.status).toBe(201);
    for (let n = 0; n < 10; n++) await runtime.reserve({ subject, estimate: { unit: 'TOKENS', amount: 101 } }, key);
    await look();
    const shown = (await told('reservation.denial_rate_spike', id)).map(
      ({ data }) => data as { threshold_rate: number; window_seconds: number },
    );
    const configured = shown.map(({ threshold_rate: rate, window_seconds: seconds }) => `${rate} ${seconds}`);
    expect(configured.toSorted()).toEqual(['0.1 300', '0.9 60']);
  });

  test('reservations that expire beyond the share that is allowed are told once', async () => {
    const { id, key, subject } = await tenant(1000);
    for (let n = 0; n < 8; n++)
      await runtime.reserve({ subject, estimate: { unit: 'TOKENS', amount: 1 }, ttl_ms: 1000, grace_period_ms: 0 }, key);
    clock.advance(2000);
    await expire();
    await look();
    await look();
    expect(await told('reservation.expiry_rate_spike', id)).toMatchObject([
      { data: { metric: 'expiry_rate', current_rate: 1.6, threshold_rate: 0.05, window_seconds: 300, sample_count: 8 } },
    ]);
  });

  test('credentials that are not good beyond the share that is allowed are told once, to the operator where they are nobody’s', async () => {
    for (let n = 0; n < 6; n++) expect((await runtime.cycles('cyc_live_nobody-has-such-a-key')('GET', '/v1/balances')).status).toBe(401);
    await look();
    await look();
    expect(await told('api_key.auth_failure_rate_spike', SYSTEM_TENANT)).toMatchObject([
      { tenant_id: '__system__', data: { metric: 'auth_failure_rate', threshold_rate: 0.1, window_seconds: 300, sample_count: 6 } },
    ]);
  });

  test('a budget that is spent several times faster than before is told once, with when it will be used up', async () => {
    const { id, scope, key, subject } = await tenant(100_000);
    const spend = async (amount: number): Promise<void> => {
      expect((await runtime.event(amount, { subject }, key)).status).toBe(201);
    };
    await runtime.events.watchBurn();
    for (let minute = 0; minute < 10; minute++) {
      await spend(10);
      clock.advance(MINUTE_MS);
      await runtime.events.watchBurn();
    }
    expect(await told('budget.burn_rate_anomaly', id)).toEqual([]);
    await spend(400);
    await runtime.events.watchBurn();
    clock.advance(10_000);
    await spend(10);
    await runtime.events.watchBurn();
    const anomalies = await told('budget.burn_rate_anomaly', id);
    expect(anomalies).toMatchObject([
      {
        scope,
        data: {
          scope,
          unit: 'TOKENS',
          current_rate: expect.any(Number) as number,
          baseline_rate: expect.any(Number) as number,
          multiplier: expect.any(Number) as number,
          window_seconds: 300,
          projected_exhaustion_minutes: expect.any(Number) as number,
        },
      },
    ]);
    const data = anomalies[0]?.data;
    const { current_rate: rate, baseline_rate: baseline, multiplier, projected_exhaustion_minutes: left } = data as Record<string, number>;
    expect(multiplier).toBeGreaterThanOrEqual(3);
    expect((rate ?? 0) / (baseline ?? 1)).toBeCloseTo(multiplier ?? 0, 3);
    expect(left).toBeCloseTo((100_000 - 500) / (rate ?? 1), 3);
  });

  test('a store that takes too long for one command in a hundred is told once while that lasts', async () => {
    const watch = makeLatencyWatch({ writer: runtime.writer, ids: runtime.ids, nodeId: 'node-1' });
    const minute = async (slow: number): Promise<void> => {
      for (let n = 0; n < 200; n++) watch.note(n < slow ? 1500 : 3);
      await watch.look();
      clock.advance(MINUTE_MS);
    };
    await minute(1);
    expect(await told('system.high_latency', SYSTEM_TENANT)).toEqual([]);
    await minute(5);
    await minute(5);
    await minute(0);
    const events = await told('system.high_latency', SYSTEM_TENANT);
    expect(events).toMatchObject([
      {
        tenant_id: '__system__',
        data: { component: 'store', severity: 'warning', details: { p99_ms: 1500, threshold_ms: 1000, sample_count: 200, node: 'node-1' } },
      },
    ]);
    await minute(5);
    expect(await told('system.high_latency', SYSTEM_TENANT)).toHaveLength(2);
  });

  test('a connection to the store that was lost is told when it is back, with both moments, once', async () => {
    let isConnected = true;
    const nowMs = () => clock.nowMs();
    const watch = makeStoreWatch({ isConnected: () => isConnected, writer: runtime.writer, ids: runtime.ids, nowMs, nodeId: 'node-1' });
    await watch();
    isConnected = false;
    const lostAt = formatRfc3339(clock.nowMs());
    for (let n = 0; n < 3; n++) {
      await watch();
      clock.advance(1000);
    }
    expect(await told('system.store_connection_lost', SYSTEM_TENANT)).toEqual([]);
    isConnected = true;
    await watch();
    await watch();
    const details = { node: 'node-1', lost_at: lostAt, lost_for_ms: 3000 };
    expect(await told('system.store_connection_lost', SYSTEM_TENANT)).toMatchObject([
      { data: { component: 'store', severity: 'critical', details } },
    ]);
    expect(await told('system.store_connection_restored', SYSTEM_TENANT)).toMatchObject([
      { data: { component: 'store', severity: 'info', details } },
    ]);
  });
});
