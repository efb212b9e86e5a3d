import { describe, expect, test } from 'vitest';
import type { AppConnection, MarkOutcome } from '../../src/core/containers/app-connection.ts';
import { makeUpdateContainers } from '../../src/app/containers/update-containers.ts';
import { makeLedgerWriter } from '../../src/app/ledger-writer.ts';
import type { Tenant } from '../../src/core/records.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import { SourceFault } from '../../src/ports/release-source.ts';
import { ANN, configOf, makeContainerHarness, unitOf } from '../support/container-harness.ts';
import { makeCountingIds, makeManualClock, makeMemoryLog } from '../support/fakes.ts';

const place = { groupName: null, groupOrder: 0, displayOrder: 0 };

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.rejection.message);
  return outcome.value;
}

const POLL_MS = 900_000;

/** A container that updates itself, and what looks at its repository: at its tags or, with `isConnected`, through an App. */
async function prepared(options: { readonly staging?: boolean; readonly isConnected?: boolean; readonly debug?: boolean } = {}) {
  const { staging = false, isConnected = false, debug = false } = options;
  const harness = makeContainerHarness({ isPolled: !isConnected });
  for (const tag of ['v2', 'v3']) harness.releases.set(tag, {});
  const made = { name: 'web', repo: 'acme/web', tag: 'v1', place, replaces: null, createdBy: 'ann', staging, debug };
  const { id } = valueOf(await harness.containers.create(ANN, 'acme', made)).container;
  await harness.settle();
  if (isConnected) {
    harness.app.connection = 'connected';
    valueOf(await harness.containers.set(ANN, 'acme', id, { githubAppConnected: true }));
  }
  expect(valueOf(await harness.containers.set(ANN, 'acme', id, { autoUpdate: true })).container.autoUpdate).toBe(true);
  const clock = makeManualClock(1_000_000);
  const ids = makeCountingIds();
  const log = makeMemoryLog();
  const at = {
    newest: 'v1' as string | null,
    fault: null as SourceFault | null,
    asked: 0,
    holdsLease: true,
    connection: 'connected' as AppConnection,
    mark: 'marked' as MarkOutcome,
    marked: [] as string[],
  };
  const fail = (): void => {
    if (at.fault !== null) throw at.fault;
  };
  const updates = makeUpdateContainers({
    records: harness.store,
    source: {
      isPolled: () => !isConnected,
      newerTag: async ({ than }) => {
        at.asked += 1;
        fail();
        return at.newest === than ? null : at.newest;
      },
      connection: async () => {
        fail();
        return at.connection;
      },
      markLatest: async ({ tag }) => {
        fail();
        at.marked.push(tag);
        return at.mark;
      },
    },
    containers: harness.containers,
    writer: makeLedgerWriter({
      store: harness.store,
      ids,
      onRecordsChanged: () => undefined,
      maxQueued: 100,
      failpoints: { hit: () => undefined },
      log,
    }),
    lease: { isHeld: () => at.holdsLease },
    tagsMs: 0,
    pollMs: POLL_MS,
    clock,
    ids,
    log,
  });
  const tags = (): readonly (string | undefined)[] => [harness.container(id)?.current.tag, harness.container(id)?.update?.tag];
  return {
    harness,
    id,
    clock,
    at,
    tags,
    look: () => updates.run(),
    note: (news: Parameters<typeof updates.note>[0]) => updates.note(news),
  };
}

const events = ({ store }: ReturnType<typeof makeContainerHarness>, type: string) =>
  store.tables.events.filter((event) => event.type === type);

test('a container goes to the newest tag by itself, in the program’s own name', async () => {
  const { harness, at, look, tags } = await prepared();
  await look();
  expect(tags()).toEqual(['v1', undefined]);
  at.newest = 'v2';
  await look();
  expect(tags()).toEqual(['v1', 'v2']);
  at.newest = 'v3';
  await look();
  expect(tags()).toEqual(['v1', 'v2']);
  await harness.settle();
  await look();
  await harness.settle();
  expect(tags()).toEqual(['v3', undefined]);
  const rows = harness.store.tables.audit.filter(({ operation }) => operation === 'relaunch-container');
  expect(rows.map(({ actorKind, actorId }) => [actorKind, actorId])).toEqual([
    ['system', 'auto-update'],
    ['system', 'auto-update'],
  ]);
});

test('a tag that does not come up is tried once, and the next one again', async () => {
  const { harness, at, id, look, tags } = await prepared();
  harness.releases.set('v2', { config: configOf({ units: [unitOf('web', { image: `ghcr.io/acme/deaf@sha256:${'e'.repeat(64)}` })] }) });
  harness.deaf.add('acme/deaf');
  at.newest = 'v2';
  await look();
  await harness.settle();
  expect([tags(), harness.container(id)?.update?.state]).toEqual([['v1', 'v2'], 'failed']);
  await look();
  valueOf(await harness.containers.cancel(ANN, 'acme', id));
  await look();
  expect(tags()).toEqual(['v1', undefined]);
  at.newest = 'v3';
  await look();
  await harness.settle();
  expect(tags()).toEqual(['v3', undefined]);
});

test('one that waits to be accepted, stopped, or does not ask for it is left alone, and so is all of it by a node that does not act', async () => {
  const staged = await prepared({ staging: true });
  staged.at.newest = 'v2';
  await staged.look();
  expect([staged.tags(), staged.at.asked]).toEqual([['v1', undefined], 0]);
  const { harness, id, at, look } = await prepared();
  at.newest = 'v2';
  at.holdsLease = false;
  await look();
  at.holdsLease = true;
  valueOf(await harness.containers.set(ANN, 'acme', id, { autoUpdate: false }));
  await look();
  valueOf(await harness.containers.set(ANN, 'acme', id, { autoUpdate: true }));
  valueOf(await harness.containers.stop(ANN, 'acme', id));
  await look();
  expect(at.asked).toBe(0);
});

test('a source that fails is left alone for as long as it says, or for five minutes', async () => {
  const { at, clock, look, tags } = await prepared();
  at.newest = 'v2';
  at.fault = new SourceFault({ isTimeout: false, message: 'm', publicMessage: 'm', retryAfterMs: 1000 });
  await look();
  at.fault = new SourceFault({ isTimeout: true, message: 'm', publicMessage: 'm' });
  clock.advance(999);
  await look();
  expect(at.asked).toBe(1);
  clock.advance(1);
  await look();
  clock.advance(299_999);
  await look();
  expect(at.asked).toBe(2);
  at.fault = null;
  clock.advance(1);
  await look();
  expect(tags()).toEqual(['v1', 'v2']);
});

test('without a source that is asked, only an App may tell of releases', async () => {
  const harness = makeContainerHarness();
  const made = { name: 'web', repo: 'acme/web', tag: 'v1', place, replaces: null, createdBy: 'ann' };
  const { id } = valueOf(await harness.containers.create(ANN, 'acme', made)).container;
  const refused = await harness.containers.set(ANN, 'acme', id, { autoUpdate: true });
  expect(refused.ok ? '' : refused.rejection.code).toBe('invalid_transition');
});

describe('through an App', () => {
  test('releases are looked at by themselves now and then, and as soon as there is news, on whichever node', async () => {
    const { harness, at, clock, look, note, tags } = await prepared({ isConnected: true });
    await look();
    await look();
    expect(at.asked).toBe(1);
    clock.advance(POLL_MS);
    await look();
    expect(at.asked).toBe(2);
    note({ owner: 'other', repo: 'other/web' });
    await look();
    expect(at.asked).toBe(2);
    at.holdsLease = false;
    at.newest = 'v2';
    note({ owner: 'Acme', repo: 'Acme/Web' });
    await look();
    await harness.settle();
    expect(tags()).toEqual(['v2', undefined]);
    at.newest = 'v3';
    note({ owner: 'acme', repo: null });
    await look();
    await harness.settle();
    expect(tags()).toEqual(['v3', undefined]);
    await look();
    expect(at.asked).toBe(4);
  });

  test('what serves in production is marked once, and not again by what comes later', async () => {
    const { harness, id, at, look, note, tags } = await prepared({ isConnected: true });
    await look();
    expect(at.marked).toEqual([]);
    at.newest = 'v2';
    note({ owner: 'acme', repo: null });
    await look();
    await look();
    expect(at.marked).toEqual([]);
    await harness.settle();
    await look();
    await look();
    expect([tags(), at.marked]).toEqual([['v2', undefined], ['v2']]);
    expect(events(harness, 'container.release_marked')).toMatchObject([{ data: { container_id: id, tag: 'v2' } }]);
    at.mark = 'not_permitted';
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { tag: 'v1', start: false }));
    await harness.settle();
    await look();
    await look();
    expect(at.marked).toEqual(['v2', 'v1']);
    expect(events(harness, 'container.release_marked')).toHaveLength(1);
    const rows = harness.store.tables.audit.filter(({ operation }) => operation === 'mark-release');
    expect(rows.map(({ metadata }) => metadata)).toMatchObject([{ mark: 'marked' }, { mark: 'not_permitted' }]);
  });

  test('a release that waits to be accepted is marked when it is, and one for debugging never', async () => {
    const staged = await prepared({ isConnected: true, staging: true });
    valueOf(await staged.harness.containers.deploy(ANN, 'acme', staged.id, { tag: 'v2', start: false }));
    await staged.harness.settle();
    await staged.look();
    expect([staged.tags(), staged.at.marked]).toEqual([['v1', 'v2'], []]);
    valueOf(await staged.harness.containers.accept(ANN, 'acme', staged.id));
    await staged.look();
    expect(staged.at.marked).toEqual(['v2']);
    const debugged = await prepared({ isConnected: true, debug: true });
    valueOf(await debugged.harness.containers.deploy(ANN, 'acme', debugged.id, { tag: 'v2', start: false }));
    await debugged.harness.settle();
    await debugged.look();
    expect(debugged.at.marked).toEqual([]);
  });

  test('a container whose App is gone is disconnected; one whose App is only halted stays as it is, and does nothing', async () => {
    const { harness, id, at, clock, look } = await prepared({ isConnected: true });
    at.newest = 'v2';
    for (const connection of ['suspended', 'not_allowed', 'no_app', 'elsewhere'] as const) {
      at.connection = connection;
      clock.advance(POLL_MS);
      await look();
      expect(harness.container(id)).toMatchObject({ githubAppConnected: true, autoUpdate: true, update: null });
    }
    expect(at.asked).toBe(0);
    at.connection = 'not_installed';
    clock.advance(POLL_MS);
    await look();
    expect(harness.container(id)).toMatchObject({ githubAppConnected: false, autoUpdate: false, update: null });
    expect(events(harness, 'container.changed').at(-1)).toMatchObject({ data: { github_app_connected: false, auto_update: false } });
  });

  test('a source that takes no more questions is left alone with all of its owner; news waits meanwhile', async () => {
    const { at, clock, look, note, tags } = await prepared({ isConnected: true });
    await look();
    at.newest = 'v2';
    at.fault = new SourceFault({ isTimeout: false, message: 'm', publicMessage: 'm', retryAfterMs: 60_000 });
    note({ owner: 'acme', repo: 'acme/web' });
    await look();
    at.fault = null;
    note({ owner: 'acme', repo: 'acme/web' });
    clock.advance(59_999);
    await look();
    expect(tags()).toEqual(['v1', undefined]);
    clock.advance(1);
    await look();
    expect(tags()).toEqual(['v1', 'v2']);
  });

  test('an update that is refused for what passes is tried again', async () => {
    const { harness, id, at, clock, look, note, tags } = await prepared({ isConnected: true });
    at.newest = 'v2';
    const tenant = harness.store.tables.records.get('tenant acme') as Tenant;
    harness.store.tables.records.set('tenant acme', { ...tenant, status: 'SUSPENDED' });
    note({ owner: 'acme', repo: null });
    await look();
    expect(harness.container(id)?.update).toBeNull();
    harness.store.tables.records.set('tenant acme', tenant);
    clock.advance(POLL_MS);
    await look();
    expect(tags()).toEqual(['v1', 'v2']);
  });
});

test.each([
  ['no_app', 'not_found', 'no GitHub App installation for acme: this server has no GitHub App declared'],
  ['not_installed', 'not_found', 'no GitHub App installation for acme: install the App for acme/web, then try again'],
  ['not_allowed', 'forbidden', 'the repositories of acme are not given to this organization'],
  ['elsewhere', 'invalid_transition', 'acme/web is not on GitHub here'],
  ['suspended', 'invalid_transition', 'the GitHub App installation for acme is suspended'],
] as const)('a container is not connected where the App is %s, and that leaves an audit row', async (connection, code, message) => {
  const harness = makeContainerHarness();
  const made = { name: 'web', repo: 'acme/web', tag: 'v1', place, replaces: null, createdBy: 'ann' };
  const { id } = valueOf(await harness.containers.create(ANN, 'acme', made)).container;
  harness.app.connection = connection;
  const refused = await harness.containers.set(ANN, 'acme', id, { githubAppConnected: true });
  expect(refused.ok ? null : refused.rejection).toMatchObject({ code, message: expect.stringContaining(message) as unknown });
  expect(harness.container(id)?.githubAppConnected).toBe(false);
  harness.app.connection = 'connected';
  valueOf(await harness.containers.set(ANN, 'acme', id, { githubAppConnected: true }));
  valueOf(await harness.containers.set(ANN, 'acme', id, { autoUpdate: true }));
  // Disconnecting ends the updates with it.
  expect(valueOf(await harness.containers.set(ANN, 'acme', id, { githubAppConnected: false })).container).toMatchObject({
    autoUpdate: false,
  });
});
