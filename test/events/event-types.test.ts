import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../src/core/cycles/event-types.ts';
import type { Running } from '../../src/server/boot.ts';
import { credentialsOf, makeFolders } from '../observability/started.ts';
import { expectAnswer } from '../support/cycles-answers.ts';
import { makeHttpClient } from '../support/http-client.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeStage, type ShownEvent, type Stage } from './stage.ts';
import { SURFACE_CASES, TENANT, type EventCase } from './surface-cases.ts';
import { WATCHED_TYPES } from './watched-types.ts';

const CASES = Object.entries(SURFACE_CASES) as readonly (readonly [EventType, EventCase])[];

describe('an event of the type', () => {
  const folders = makeFolders();
  const http = makeHttpClient();
  const stages = new Map<EventType, Stage>();
  let running: Running;
  let operatorKey: string;
  let all: ShownEvent[] = [];
  let laterMs = 0;

  const read = async (): Promise<ShownEvent[]> => {
    const found: ShownEvent[] = [];
    for (let cursor = ''; ;) {
      const path = `/v1/admin/events?sort_by=timestamp&sort_dir=asc&limit=100${cursor}`;
      const answer = await http.ask(`${running.listeners.admin.origin}${path}`, { headers: { 'x-admin-api-key': operatorKey } });
      const page = answer.json<{ events: ShownEvent[]; has_more: boolean; next_cursor?: string }>();
      expectAnswer('listEvents', answer.status, page);
      found.push(...page.events);
      if (!page.has_more) return found;
      cursor = `&cursor=${page.next_cursor}`;
    }
  };
  /** The events of a case: those of its own tenant or, of the operator's, those that name it. */
  const eventsOf = (type: EventType): ShownEvent[] => {
    const stage = stages.get(type);
    const owner = SURFACE_CASES[type as keyof typeof SURFACE_CASES].tenant;
    return all.filter(
      (event) =>
        event.event_type === type &&
        (owner === undefined
          ? event.tenant_id === stage?.tenant
          : event.tenant_id === owner && JSON.stringify(event.data).includes(`"${stage?.tenant}"`)),
    );
  };

  beforeAll(async () => {
    const folder = folders.make();
    running = await folder.start({ overrides: { clock: { nowMs: () => Date.now() + laterMs } } });
    operatorKey = credentialsOf(folder).operator_key;
    for (const [index, [type, { act }]] of CASES.entries()) {
      const stage = await makeStage({ running, http, operatorKey }, `case-${index + 1}`);
      stages.set(type, stage);
      await act(stage);
    }
    // What was given five seconds is over; what runs by itself has told so a moment later.
    laterMs = 10_000;
    await waitUntil(async () => {
      all = await read();
      return CASES.every(([type]) => eventsOf(type).length > 0);
    }, 30_000);
  });
  afterAll(async () => {
    await http.close();
    await folders.dispose();
  });

  test.each(CASES)('%s arises once with its condition, and says all that its type has', (type, { data, tenant }) => {
    const found = eventsOf(type);
    expect(found.map(({ event_type: name }) => name)).toEqual([type]);
    const [event] = found as [ShownEvent];
    const stage = stages.get(type);
    expect(event.data).toEqual(filled(data, stage?.tenant ?? ''));
    expect(event.category).toBe(type.split('.')[0]);
    expect(event.tenant_id).toBe(tenant ?? stage?.tenant);
    if (type.startsWith('budget.') || type.startsWith('reservation.')) expect(event.scope).toBe(stage?.scope);
    // Whatever a request is behind says which.
    const isAsked = event.actor['type'] !== 'system';
    expect([event.request_id !== undefined, event.trace_id !== undefined]).toEqual([isAsked, isAsked]);
  });

  test('every registered type has its case, here or among those that are watched', () => {
    const cases = [...CASES.map(([type]) => type), ...WATCHED_TYPES];
    expect(cases.toSorted()).toEqual([...EVENT_TYPES].toSorted());
  });

  test('an event has an id of its own', () => {
    expect(new Set(all.map(({ event_id: id }) => id)).size).toBe(all.length);
  });
});

/** Expected data with the tenant in its place. */
function filled(value: unknown, tenant: string): unknown {
  if (typeof value === 'string') return value.replace(TENANT, tenant);
  if (Array.isArray(value)) return value.map((item) => filled(item, tenant));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, filled(inner, tenant)]));
}
