import { expect, test } from 'vitest';
import { makeUpdateByTags } from '../../src/app/containers/update-by-tags.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import { SourceFault } from '../../src/ports/release-source.ts';
import { ANN, configOf, makeContainerHarness, unitOf } from '../support/container-harness.ts';
import { makeCountingIds, makeManualClock, makeMemoryLog } from '../support/fakes.ts';

const place = { groupName: null, groupOrder: 0, displayOrder: 0 };

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.rejection.message);
  return outcome.value;
}

/** A container that updates itself, and what looks at its repository. */
async function prepared(options: { readonly staging?: boolean } = {}) {
  const harness = makeContainerHarness({ isPolled: true });
  for (const tag of ['v2', 'v3']) harness.releases.set(tag, {});
  const made = { name: 'web', repo: 'acme/web', tag: 'v1', place, replaces: null, createdBy: 'ann', staging: options.staging ?? false };
  const { id } = valueOf(await harness.containers.create(ANN, 'acme', made)).container;
  await harness.settle();
  expect(valueOf(await harness.containers.set(ANN, 'acme', id, { autoUpdate: true })).container.autoUpdate).toBe(true);
  const clock = makeManualClock(1_000_000);
  const at = { newest: 'v1' as string | null, fault: null as SourceFault | null, asked: 0, holdsLease: true };
  const look = makeUpdateByTags({
    records: harness.store,
    source: {
      isPolled: () => true,
      newerTag: async ({ than }) => {
        at.asked += 1;
        if (at.fault !== null) throw at.fault;
        return at.newest === than ? null : at.newest;
      },
    },
    deployments: harness.containers,
    lease: { isHeld: () => at.holdsLease },
    clock,
    ids: makeCountingIds(),
    log: makeMemoryLog(),
  });
  const tags = (): readonly (string | undefined)[] => [harness.container(id)?.current.tag, harness.container(id)?.update?.tag];
  return { harness, id, clock, at, look, tags };
}

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
