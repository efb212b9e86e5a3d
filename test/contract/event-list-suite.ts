import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { categoryOf, EVENT_TYPES, type EventType } from '../../src/core/cycles/event-types.ts';
import type { DomainEvent } from '../../src/core/effects.ts';
import type { TellEventsCommand, Telling } from '../../src/core/events/commands.ts';
import type { StoredEvent } from '../../src/ports/record-store.ts';
import type { EventPosition, EventQuery, EventSort } from '../../src/ports/webhook-store.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const SORTS: readonly EventSort[] = ['timestamp', 'event_type', 'category', 'scope', 'tenant_id'];
const TENANTS = ['acme', 'beta', 'gamma'];
const SCOPES = [undefined, 'tenant:acme', 'tenant:acme/app:bot', 'tenant:acme/app:bot/agent:a', 'tenant:acme/app:bot-2', 'tenant:beta'];

/** Lists of events: whatever they are narrowed and sorted by, page by page, they show what a plain look at every event shows. */
export function describeEventLists(makeStore: MakeStore): void {
  describe('lists of events', () => {
    let clock: TestClock;
    let at: TestStore;
    let all: StoredEvent[];
    let startMs: number;

    /** Every fourth moment has several events; types, tenants and scopes go round at lengths that have no common measure. */
    beforeAll(async () => {
      clock = makeTestClock();
      startMs = clock.nowMs();
      at = await makeStore({ clock });
      for (let n = 0; n < 120; n++) {
        clock.set(startMs + Math.floor(n / 4) * 1000);
        const tenantId = TENANTS[n % TENANTS.length] as string;
        const scope = SCOPES[n % SCOPES.length];
        const telling: Telling = {
          type: n % 17 === 0 ? 'model.created' : (EVENT_TYPES[(n * 7) % EVENT_TYPES.length] as string),
          data: { n, amount: `${2n ** 60n}` },
          ...(scope === undefined ? {} : { scope }),
          metadata: { n },
          ...(n % 5 === 0
            ? {}
            : {
                origin: {
                  requestId: `req_${n % 11}`,
                  traceId: (n % 7).toString(16).padStart(32, '0'),
                  actor: { type: 'api_key', keyId: 'key_1' },
                  source: 'test',
                  ...(n % 2 === 0 ? {} : { correlationId: `act:${n % 3}` }),
                },
              }),
        };
        const command: TellEventsCommand = { verb: 'tell-events', id: `cmd_${n}`, tenantId, tellings: [telling] };
        await at.store.execute(`batch_${n}`, [command], 0);
      }
      all = await at.store.eventsToHandOut({ limit: 1000 });
      expect(all).toHaveLength(120);
    });
    afterAll(() => at.destroy());

    const keyOf = ({ type, tenantId, scope }: DomainEvent, sortBy: EventSort): string | null =>
      ({ timestamp: null, event_type: type, category: categoryOf(type as EventType), scope: scope ?? '', tenant_id: tenantId })[sortBy];
    const byTime = (sortBy: EventSort): boolean => sortBy !== 'scope' && sortBy !== 'tenant_id';
    const compare = (a: StoredEvent, b: StoredEvent, sortBy: EventSort): number => {
      const [x, y] = [keyOf(a.event, sortBy) ?? '', keyOf(b.event, sortBy) ?? ''];
      if (x !== y) return x < y ? -1 : 1;
      return (byTime(sortBy) ? a.event.atMs - b.event.atMs : 0) || a.seq - b.seq;
    };
    /** What a list must show, found by looking at every event. */
    const expected = (query: EventQuery): number[] =>
      all
        .filter(({ event }) => {
          const { scope = '', origin } = event;
          const isIn = query.scope === undefined || scope === query.scope || scope.startsWith(`${query.scope}/`);
          const isFound =
            query.search === undefined ||
            scope.includes(query.search) ||
            (origin?.correlationId ?? '').toLowerCase().includes(query.search);
          return (
            query.types.includes(event.type) &&
            (query.tenantId ?? event.tenantId) === event.tenantId &&
            event.atMs >= (query.fromMs ?? -Infinity) &&
            event.atMs <= (query.toMs ?? Infinity) &&
            (query.requestId === undefined || origin?.requestId === query.requestId) &&
            (query.traceId === undefined || origin?.traceId === query.traceId) &&
            (query.correlationId === undefined || origin?.correlationId === query.correlationId) &&
            isIn &&
            isFound
          );
        })
        .toSorted((a, b) => (query.descending ? -1 : 1) * compare(a, b, query.sortBy))
        .map(({ seq }) => seq);

    const walk = async (query: EventQuery): Promise<number[]> => {
      const seen: number[] = [];
      for (let after: EventPosition | null = null; ;) {
        const page: StoredEvent[] = await at.store.listEvents({ ...query, after });
        seen.push(...page.map(({ seq }) => seq));
        const last = page.at(-1);
        if (page.length < query.limit || last === undefined) return seen;
        after = { key: keyOf(last.event, query.sortBy), atMs: last.event.atMs, seq: last.seq };
      }
    };

    const FILTERS: readonly [string, Partial<EventQuery>][] = [
      ['everything', {}],
      ['one tenant', { tenantId: 'acme' }],
      ['one type', { types: ['budget.exhausted'] }],
      [
        'what tenants see of one tenant',
        { tenantId: 'beta', types: EVENT_TYPES.filter((type) => /^(budget|reservation|tenant)\./.test(type)) },
      ],
      ['a scope and below', { scope: 'tenant:acme/app:bot' }],
      ['a scope of a tenant', { scope: 'tenant:acme', tenantId: 'beta' }],
      ['a request', { requestId: 'req_3' }],
      ['a trace', { traceId: '3'.padStart(32, '0') }],
      ['an act', { correlationId: 'act:1', tenantId: 'gamma' }],
      ['a text', { search: 'bot' }],
      ['a text in the correlation id', { search: 'act:2' }],
      ['nothing', { requestId: 'req_99' }],
    ];
    test.each(FILTERS.flatMap(([name, filter]) => SORTS.map((sortBy) => [name, sortBy, filter] as const)))(
      '%s by %s, both ways, page by page',
      async (_name, sortBy, filter) => {
        for (const descending of [true, false]) {
          const query: EventQuery = { types: EVENT_TYPES, sortBy, descending, after: null, limit: 7, ...filter };
          expect(await walk(query)).toEqual(expected(query));
        }
      },
    );

    test('a range of time has both its ends', async () => {
      const query: EventQuery = {
        types: EVENT_TYPES,
        fromMs: startMs + 5000,
        toMs: startMs + 7000,
        sortBy: 'timestamp',
        descending: true,
        after: null,
        limit: 100,
      };
      const found = await walk(query);
      expect(found).toEqual(expected(query));
      expect(found.length).toBeGreaterThan(8);
    });

    test('an event comes back whole, and by its id', async () => {
      const { event } = all.find(({ event: each }) => each.scope !== undefined && each.origin?.correlationId !== undefined) as StoredEvent;
      expect((await at.store.event(event.id))?.event).toEqual(event);
      expect(event.metadata).toEqual({ n: (event.data as { n: number }).n });
      expect(await at.store.event('evt_none')).toBeUndefined();
    });

    test('a scope with more events than are sorted is walked instead, to the same end', async () => {
      const own = await makeStore({ clock });
      try {
        const tellings = Array.from({ length: 2100 }, (_, n): Telling => ({
          type: 'budget.exhausted',
          data: { n },
          scope: n % 3 === 0 ? 'tenant:acme' : 'tenant:acme/app:bot',
        }));
        await own.store.execute('b', [{ verb: 'tell-events', id: 'cmd', tenantId: 'acme', tellings }], 0);
        const page = await own.store.listEvents({
          types: EVENT_TYPES,
          scope: 'tenant:acme',
          sortBy: 'timestamp',
          descending: true,
          after: null,
          limit: 3,
        });
        expect(page.map(({ event }) => (event.data as { n: number }).n)).toEqual([2099, 2098, 2097]);
        const narrow = await own.store.listEvents({
          types: EVENT_TYPES,
          scope: 'tenant:acme/app:bot',
          sortBy: 'timestamp',
          descending: false,
          after: null,
          limit: 2,
        });
        expect(narrow.map(({ event }) => (event.data as { n: number }).n)).toEqual([1, 2]);
      } finally {
        await own.destroy();
      }
    });
  });
}
