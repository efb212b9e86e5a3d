import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { INT64_MAX } from '../../../src/core/int64.ts';
import { makeExpireReservations } from '../../../src/jobs/expire-reservations.ts';
import type { TestStore } from '../../contract/test-store.ts';
import { expectAnswer } from '../../support/cycles-answers.ts';
import { makeManualClock, makeMemoryLog, type ManualClock } from '../../support/fakes.ts';
import { TEST_START_MS, type TestResponse } from '../../support/test-app.ts';
import { codeOf, makeRuntime, type Runtime, type Sender } from './runtime-harness.ts';

/** A number that a double cannot hold. */
const ODD = 9_007_199_254_740_993n;

interface Told {
  readonly event_type: string;
  readonly scope?: string;
  readonly data?: Record<string, unknown>;
}

/** Faults that other servers of the protocol had, which this one must not have: the runtime plane's part, over one store. */
export function describeKnownBugs(name: string, makeStore: (clock: ManualClock) => Promise<Pick<TestStore, 'store' | 'destroy'>>): void {
  describe(name, () => {
    let at: Pick<TestStore, 'store' | 'destroy'>;
    let runtime: Runtime;
    let count = 0;
    let tenant = '';
    let scope = '';
    let key: Sender;

    beforeAll(async () => {
      const clock = makeManualClock(TEST_START_MS);
      at = await makeStore(clock);
      runtime = await makeRuntime({ store: at.store, clock });
    });
    afterAll(async () => {
      await runtime.close();
      await at.destroy();
    });
    beforeEach(async () => {
      tenant = `bug-${(count += 1)}`;
      scope = `tenant:${tenant}`;
      await runtime.makeTenant(tenant);
      key = await runtime.keyOf(tenant);
    });

    const tokens = (amount: number | bigint): unknown => ({ unit: 'TOKENS', amount });
    const subject = (levels: Record<string, unknown> = {}): Record<string, unknown> => ({ tenant, ...levels });
    const reserve = (parts: Record<string, unknown> = {}): Promise<TestResponse> => runtime.reserve({ subject: subject(), ...parts }, key);
    const made = async (parts: Record<string, unknown> = {}): Promise<string> => {
      const answer = await reserve(parts);
      expect(answer.status, `answered ${answer.text}`).toBe(200);
      return (answer.json as { reservation_id: string }).reservation_id;
    };
    const told = async (type?: string): Promise<Told[]> => {
      const url = `/v1/admin/events?tenant_id=${tenant}&limit=100${type === undefined ? '' : `&event_type=${type}`}`;
      const answer = await runtime.operator('GET', url);
      expectAnswer('listEvents', answer.status, answer.json, 'governance');
      return (answer.json as { events: Told[] }).events;
    };
    const sweep = (): Promise<unknown> => {
      const { store, writer, ids } = runtime;
      return makeExpireReservations({ records: store, writer, ids, log: makeMemoryLog(), onQuarantined: () => undefined })();
    };

    test('1: amounts past 2^53 keep every digit, through whatever is asked', async () => {
      await runtime.makeBudget(scope, INT64_MAX);
      const first = await made({ estimate: tokens(ODD), metadata: { n: ODD } });
      const second = await made({ estimate: tokens(ODD) });
      expect((await runtime.commit(first, ODD - 2n, {}, key)).text).toContain(`"charged":{"unit":"TOKENS","amount":${ODD - 2n}}`);
      expect((await runtime.release(second, {}, key)).text).toContain(`"released":{"unit":"TOKENS","amount":${ODD}}`);
      const booked = await runtime.event(ODD, { subject: subject() }, key);
      const left = INT64_MAX - (ODD - 2n) - ODD;
      expect(booked.text).toContain(`"remaining":{"unit":"TOKENS","amount":${left}}`);
      const balances = await runtime.ask('getBalances', key, 'GET', `/v1/balances?tenant=${tenant}`);
      expect(balances.text).toContain(`"remaining":{"unit":"TOKENS","amount":${left}}`);
      const shown = await runtime.ask('getReservation', key, 'GET', `/v1/reservations/${first}`);
      expect(shown.text).toContain(`"metadata":{"n":${ODD}}`);
      const listed = await runtime.ask('listReservations', key, 'GET', '/v1/reservations?include=metadata');
      for (const text of [
        `"reserved":{"unit":"TOKENS","amount":${ODD}}`,
        `"committed":{"unit":"TOKENS","amount":${ODD - 2n}}`,
        `{"n":${ODD}}`,
      ])
        expect(listed.text).toContain(text);
    });

    test('2: a preview and the real thing share their keys, so that one is never taken for the other', async () => {
      await runtime.makeBudget(scope, 100);
      for (const [first, second] of [
        [true, false],
        [false, true],
      ]) {
        const body = runtime.hold({ subject: subject() });
        expect(codeOf(await runtime.reserve({ ...body, dry_run: first }, key))).toBe(200);
        expect(codeOf(await runtime.reserve({ ...body, dry_run: second }, key))).toBe('IDEMPOTENCY_MISMATCH');
      }
    });

    test('3: only budgets that were short are marked as over their limit', async () => {
      await runtime.makeBudget(scope, 1000);
      await runtime.makeBudget(`${scope}/app:bot`, 20);
      await runtime.makeBudget(`${scope}/app:bot/agent:x`, 500);
      const levels = subject({ app: 'bot', agent: 'x' });
      const marks = async (): Promise<unknown[]> =>
        Promise.all([scope, `${scope}/app:bot`, `${scope}/app:bot/agent:x`].map(async (each) => (await runtime.budget(each))['over']));
      const committed = await runtime.commit(await made({ subject: levels }), 50, {}, key);
      expect((committed.json as { charged: unknown }).charged).toEqual(tokens(20));
      expect(await marks()).toEqual([false, true, false]);
      await runtime.operator('POST', `/v1/admin/budgets/fund?tenant_id=${tenant}&scope=${scope}/app:bot&unit=TOKENS`, {
        operation: 'CREDIT',
        amount: tokens(10),
        idempotency_key: 'more',
      });
      expect(await marks()).toEqual([false, false, false]);
      expect((await runtime.event(30, { subject: levels }, key)).json).toMatchObject({ charged: tokens(10) });
      expect(await marks()).toEqual([false, true, false]);
    });

    test('4 and 5: a repeat is the first answer, byte for byte, whatever happened since; nothing is told or counted again', async () => {
      await runtime.makeBudget(scope, 1000);
      await runtime.operator('POST', '/v1/admin/policies', {
        tenant_id: tenant,
        name: 'limits',
        scope_pattern: scope,
        rate_limits: { max_reservations_per_minute: 50, max_commits_per_minute: 50 },
      });
      const [toCommit, toRelease, toExtend] = [await made(), await made(), await made()];
      const bodies = {
        decide: runtime.hold({ subject: subject() }),
        reserve: runtime.hold({ subject: subject(), ttl_ms: 1000 }),
        event: { idempotency_key: 'event', subject: subject() },
        commit: { idempotency_key: 'commit' },
        release: { idempotency_key: 'release' },
        extend: { idempotency_key: 'extend' },
      };
      const requests: Record<string, () => Promise<TestResponse>> = {
        decide: () => runtime.decide(bodies.decide, key),
        reserve: () => runtime.reserve(bodies.reserve, key),
        event: () => runtime.event(7, bodies.event, key),
        // Above the hold, which is told.
        commit: () => runtime.commit(toCommit, 30, bodies.commit, key),
        release: () => runtime.release(toRelease, bodies.release, key),
        extend: () => runtime.extend(toExtend, 500, bodies.extend, key),
      };
      const first: Record<string, TestResponse> = {};
      for (const [what, request] of Object.entries(requests)) first[what] = await request();
      await runtime.event(900, { subject: subject() }, key);
      const before = [await told(), await runtime.budget(scope), runtime.denials.length];
      const remaining = (await reserve({ estimate: tokens(0) })).headers['x-ratelimit-remaining'];
      for (const [what, request] of Object.entries(requests)) {
        const again = await request();
        expect([what, again.status, again.text]).toEqual([what, first[what]?.status, first[what]?.text]);
      }
      expect([await told(), await runtime.budget(scope), runtime.denials.length]).toEqual(before);
      expect((await reserve({ estimate: tokens(0) })).headers['x-ratelimit-remaining']).toBe(String(Number(remaining) - 1));
    });

    test('6: an overage is told where more was used than held, and not of every commit', async () => {
      await runtime.makeBudget(scope, 1000);
      for (const actual of [0, 9, 10]) await runtime.commit(await made(), actual, {}, key);
      expect(await told('reservation.commit_overage')).toEqual([]);
      const id = await made();
      await runtime.commit(id, 13, {}, key);
      expect(await told('reservation.commit_overage')).toMatchObject([
        { scope, data: { reservation_id: id, estimated_amount: 10, actual_amount: 13, overage: 3 } },
      ]);
    });

    test('7: what expires is told once, and what was settled never', async () => {
      await runtime.makeBudget(scope, 1000);
      const short = { ttl_ms: 1000, grace_period_ms: 0 };
      const [gone, committed, released] = [await made(short), await made(short), await made(short)];
      await runtime.commit(committed, 1, {}, key);
      await runtime.release(released, {}, key);
      runtime.clock.advance(1001);
      for (let turn = 0; turn < 3; turn += 1) await sweep();
      expect(await told('reservation.expired')).toMatchObject([{ scope, data: { reservation_id: gone } }]);
      expect(await runtime.budget(scope)).toMatchObject({ reserved: 0, spent: 1 });
    });

    test('8: of several budgets that are used up at once, each is told once', async () => {
      const scopes = [scope, `${scope}/app:bot`, `${scope}/app:bot/agent:x`];
      for (const each of scopes) await runtime.makeBudget(each, 10);
      const levels = subject({ app: 'bot', agent: 'x' });
      const id = await made({ subject: levels });
      await runtime.commit(id, 10, {}, key);
      await runtime.event(5, { subject: levels }, key);
      const exhausted = await told('budget.exhausted');
      expect(new Set(exhausted.map((event) => event.scope))).toEqual(new Set(scopes));
      expect(exhausted).toHaveLength(scopes.length);
      const flagged = await told('budget.over_limit_entered');
      expect(new Set(flagged.map((event) => event.scope))).toEqual(new Set(scopes));
      expect(flagged).toHaveLength(scopes.length);
    });

    test('9: a wrong unit is the request’s fault, a missing budget is not found', async () => {
      const body = (unit: string): Record<string, unknown> => ({ estimate: { unit, amount: 1 } });
      expect([(await reserve(body('TOKENS'))).status, codeOf(await reserve(body('TOKENS')))]).toEqual([404, 'NOT_FOUND']);
      await runtime.makeBudget(scope, 10);
      for (const answer of [
        await reserve(body('CREDITS')),
        await reserve({ ...body('CREDITS'), dry_run: true }),
        await runtime.decide({ subject: subject(), ...body('CREDITS') }, key),
      ]) {
        expect([answer.status, codeOf(answer)]).toEqual([400, 'UNIT_MISMATCH']);
        expect((answer.json as { details: object }).details).toEqual({ scope, requested_unit: 'CREDITS', expected_units: ['TOKENS'] });
      }
    });

    test('12: a tenant that closes between the check of its key and the decision is closed for whatever was asked', async () => {
      await runtime.makeBudget(scope, 1000);
      const [settled, id] = [await made(), await made()];
      const commit = { idempotency_key: 'before' };
      const first = await runtime.commit(settled, 5, commit, key);
      // The check still finds the tenant as it was: nobody told it.
      const closing = { verb: 'update-tenant', id: `close-${tenant}`, tenantId: tenant, status: 'CLOSED' } as const;
      await at.store.execute(`batch-${tenant}`, [closing], 0);
      for (const answer of [
        await reserve(),
        await runtime.event(1, { subject: subject() }, key),
        await runtime.commit(id, 1, {}, key),
        await runtime.release(id, {}, key),
        await runtime.extend(id, 1, {}, key),
        await runtime.release(id, {}, runtime.operator),
        // Before what a settled reservation would be refused for.
        await runtime.commit(settled, 1, {}, key),
        await runtime.release(settled, {}, runtime.operator),
      ])
        expect([answer.status, codeOf(answer)]).toEqual([409, 'TENANT_CLOSED']);
      for (const answer of [await reserve({ dry_run: true }), await runtime.decide({ subject: subject() }, key)])
        expect(answer.json).toMatchObject({ decision: 'DENY', reason_code: 'TENANT_CLOSED' });
      expect((await runtime.commit(settled, 5, commit, key)).text).toBe(first.text);
      const { reserved, spent } = await runtime.budget(scope);
      expect([reserved, spent]).toEqual([10, 5]);
    });

    test('19: empty lists and empty objects come back as what they are', async () => {
      await runtime.makeBudget(scope, 100);
      const caps = { tool_allowlist: [], tool_denylist: [] };
      await runtime.operator('POST', '/v1/admin/policies', { tenant_id: tenant, name: 'caps', scope_pattern: scope, caps });
      const action = { kind: 'k', name: 'n', tags: [] };
      const metadata = { list: [], object: {}, deep: [{ list: [] }] };
      const answer = await reserve({ action, metadata });
      expect(answer.json).toMatchObject({ decision: 'ALLOW_WITH_CAPS', caps });
      const { reservation_id: id } = answer.json as { reservation_id: string };
      await runtime.commit(id, 1, { metadata, metrics: { custom: { list: [] } } }, key);
      const shown = await runtime.ask('getReservation', key, 'GET', `/v1/reservations/${id}`);
      expect(shown.json).toMatchObject({ action, metadata, committed_metadata: metadata });
      expect(shown.text).not.toContain('"tags":{}');
      const listed = await runtime.ask('listReservations', key, 'GET', '/v1/reservations?include=metadata,committed_metadata');
      expect((listed.json as { reservations: unknown[] }).reservations).toMatchObject([{ action, metadata, committed_metadata: metadata }]);
    });

    test('20: pages neither skip nor repeat where moments are the same, the last one is full, or the row of the cursor is gone', async () => {
      await runtime.makeBudget(scope, 1000);
      const ids: string[] = [];
      for (let place = 0; place < 6; place += 1) ids.push(await made({ ttl_ms: 60_000 }));
      for (const query of ['', '&sort_by=expires_at_ms', '&sort_by=reserved', '&sort_by=status', '&sort_by=scope_path&sort_dir=asc'])
        for (const limit of [1, 3, 4, 6]) {
          const seen: string[] = [];
          let cursor = '';
          for (let pages = 0; pages < 10; pages += 1) {
            const answer = await runtime.ask('listReservations', key, 'GET', `/v1/reservations?limit=${limit}${query}${cursor}`);
            const page = answer.json as { reservations: { reservation_id: string }[]; has_more: boolean; next_cursor?: string };
            seen.push(...page.reservations.map(({ reservation_id: id }) => id));
            expect(page.has_more).toBe(seen.length < ids.length);
            if (page.next_cursor === undefined) break;
            cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
          }
          expect(seen.toSorted(), `in pages of ${limit}${query}`).toEqual(ids.toSorted());
        }
      // The row that the cursor stands on leaves the list between two pages.
      const active = '/v1/reservations?status=ACTIVE&limit=2';
      const first = (await runtime.ask('listReservations', key, 'GET', active)).json as {
        reservations: { reservation_id: string }[];
        next_cursor: string;
      };
      const shown = first.reservations.map(({ reservation_id: id }) => id);
      await runtime.release(shown.at(-1) ?? '', {}, key);
      const rest = await runtime.ask('listReservations', key, 'GET', '/v1/reservations?status=ACTIVE');
      expect((rest.json as { reservations: unknown[] }).reservations).toHaveLength(5);
      const next = await runtime.ask('listReservations', key, 'GET', `${active}&cursor=${encodeURIComponent(first.next_cursor)}`);
      const following = (next.json as { reservations: { reservation_id: string }[] }).reservations.map(({ reservation_id: id }) => id);
      expect(following).toHaveLength(2);
      expect(following.filter((id) => shown.includes(id))).toEqual([]);
    });

    test('a tenant sees neither balances nor reservations of another', async () => {
      await runtime.makeBudget(scope, 1000);
      const id = await made();
      await runtime.makeTenant(`${tenant}-x`);
      await runtime.makeBudget(`tenant:${tenant}-x`, 7);
      const stranger = await runtime.keyOf(`${tenant}-x`);
      const ask = (operation: string, url: string): Promise<TestResponse> => runtime.ask(operation, stranger, 'GET', url);
      expect(codeOf(await ask('getBalances', `/v1/balances?tenant=${tenant}`))).toBe('FORBIDDEN');
      expect(codeOf(await ask('listReservations', `/v1/reservations?tenant=${tenant}`))).toBe('FORBIDDEN');
      expect(codeOf(await ask('getReservation', `/v1/reservations/${id}`))).toBe('FORBIDDEN');
      expect((await ask('listReservations', '/v1/reservations')).json).toEqual({ reservations: [], has_more: false });
      // The one's name begins with the other's.
      const own = await runtime.ask('getBalances', key, 'GET', `/v1/balances?tenant=${tenant}`);
      expect((own.json as { balances: unknown[] }).balances).toHaveLength(1);
    });

    test('the order of the fields of metadata makes no other request', async () => {
      await runtime.makeBudget(scope, 100);
      const body = runtime.hold({ subject: subject(), metadata: { a: { x: 1, y: [1, { p: 1, q: 2 }] }, b: 2 } });
      const first = await runtime.reserve(body, key);
      const again = await runtime.reserve({ ...body, metadata: { b: 2, a: { y: [1, { q: 2, p: 1 }], x: 1 } } }, key);
      expect([again.status, again.text]).toEqual([200, first.text]);
      const other = await runtime.reserve({ ...body, metadata: { b: 2, a: { y: [{ q: 2, p: 1 }, 1], x: 1 } } }, key);
      expect(codeOf(other)).toBe('IDEMPOTENCY_MISMATCH');
    });

    test('after the close of a tenant its reservations hold nothing, and say so', async () => {
      await runtime.makeBudget(scope, 100);
      const id = await made();
      await runtime.patchTenant(tenant, { status: 'CLOSED' });
      const shown = await runtime.ask('getReservation', runtime.operator, 'GET', `/v1/reservations/${id}`);
      expect(shown.json).toMatchObject({ status: 'RELEASED' });
      const listed = await runtime.ask('listReservations', runtime.operator, 'GET', `/v1/reservations?tenant=${tenant}&status=ACTIVE`);
      expect(listed.json).toEqual({ reservations: [], has_more: false });
    });
  });
}
