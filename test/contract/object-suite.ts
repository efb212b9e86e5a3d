import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UPSTREAM_OBJECTS_KEEP_MS, type MetObject } from '../../src/core/calls/upstream-object.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const object = (id: string, changes: Partial<MetObject> = {}): MetObject => ({
  id,
  upstreamId: 'u1',
  model: 'm1',
  tokens: 12,
  ...changes,
});

/** What upstreams keep for tenants, and what calls used beside tokens. */
export function describeObjects(makeStore: MakeStore): void {
  describe('objects that upstreams keep', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
      await execute(commands.createTenant('acme'), commands.createTenant('other'));
    });
    afterEach(() => at.destroy());

    const execute = async (...batch: Command[]): Promise<void> => {
      const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
      expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
    };
    const keep = (tenantId: string, ...objects: MetObject[]): Command => ({
      verb: 'keep-upstream-objects',
      id: commands.id('cmd'),
      tenantId,
      objects,
    });
    const forget = (tenantId: string, objectId: string): Command => ({
      verb: 'forget-upstream-object',
      id: commands.id('cmd'),
      tenantId,
      objectId,
    });
    const idsOf = async (tenantId: string, ...ids: string[]): Promise<string[]> =>
      (await at.store.upstreamObjects({ tenantId, ids })).map(({ id }) => id).toSorted();

    test('are found by their ids, and by their own tenant only', async () => {
      await execute(keep('acme', object('resp_1'), object('msg_1', { tokens: null })), keep('other', object('resp_2')));
      const found = await at.store.upstreamObjects({ tenantId: 'acme', ids: ['resp_1', 'msg_1', 'resp_2', 'none'] });
      expect(found.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
        { tenantId: 'acme', id: 'msg_1', upstreamId: 'u1', model: 'm1', tokens: null, atMs: clock.nowMs() },
        { tenantId: 'acme', id: 'resp_1', upstreamId: 'u1', model: 'm1', tokens: 12, atMs: clock.nowMs() },
      ]);
      expect(await idsOf('other', 'resp_1', 'resp_2')).toEqual(['resp_2']);
      expect(await at.store.upstreamObjects({ tenantId: 'acme', ids: [] })).toEqual([]);
    });

    test('the last to say so holds one, in a batch and after it', async () => {
      await execute(
        keep('acme', object('resp_1'), object('resp_1', { upstreamId: 'u2' })),
        keep('acme', object('resp_1', { upstreamId: 'u3' })),
      );
      expect(await at.store.upstreamObjects({ tenantId: 'acme', ids: ['resp_1'] })).toMatchObject([{ upstreamId: 'u3' }]);
      clock.set(clock.nowMs() + 5);
      await execute(keep('acme', object('resp_1', { upstreamId: 'u4', tokens: 3 })));
      expect(await at.store.upstreamObjects({ tenantId: 'acme', ids: ['resp_1'] })).toMatchObject([
        { upstreamId: 'u4', tokens: 3, atMs: clock.nowMs() },
      ]);
    });

    test('one that is forgotten is gone, for its tenant only, and forgetting twice is nothing', async () => {
      await execute(keep('acme', object('resp_1'), object('resp_2')), keep('other', object('resp_1')));
      await execute(forget('acme', 'resp_1'), forget('acme', 'resp_1'), forget('acme', 'none'));
      expect(await idsOf('acme', 'resp_1', 'resp_2')).toEqual(['resp_2']);
      expect(await idsOf('other', 'resp_1')).toEqual(['resp_1']);
    });

    test('they are remembered with the settlement of their call, and a second settlement adds none', async () => {
      const hold = commands.hold({ tenantId: 'acme', keyId: 'key_1' });
      await execute(hold);
      const settle = commands.settle(hold, { promptTokens: 5, completionTokens: 7, microcents: 3n });
      await execute({ ...settle, objects: [object('resp_1')] });
      await execute({ ...settle, id: commands.id('cmd'), objects: [object('resp_2')] });
      expect(await idsOf('acme', 'resp_1', 'resp_2')).toEqual(['resp_1']);
    });

    test('they outlive a restart, and go when their time is over', async () => {
      await execute(keep('acme', object('old')));
      clock.set(clock.nowMs() + 1000);
      await execute(keep('acme', object('young')));
      at = await at.reopen({ clock });
      expect(await idsOf('acme', 'old', 'young')).toEqual(['old', 'young']);
      clock.set(clock.nowMs() + UPSTREAM_OBJECTS_KEEP_MS);
      await execute(commands.allocate(moneyOf('acme'), 1n));
      expect(await at.store.prune()).toBeGreaterThan(0);
      expect(await idsOf('acme', 'old', 'young')).toEqual(['young']);
    });
  });

  test('a usage event keeps what was used beside tokens, in the tail and folded; one without is without', async () => {
    const clock = makeTestClock();
    const at = await makeStore({ clock });
    try {
      const commands = makeCommands();
      await at.store.execute('b0', [commands.createTenant('acme')], 0);
      const used = { promptTokens: 0, completionTokens: 0, microcents: 3n };
      const holds = [commands.hold({ tenantId: 'acme', keyId: 'key_1' }), commands.hold({ tenantId: 'acme', keyId: 'key_1' })];
      const [spoken, plain] = holds.map((hold) => commands.settle(hold, used));
      const media = { unit: 'characters', quantity: 4096 } as const;
      await at.store.execute('b1', [...holds, { ...spoken!, usage: { ...spoken!.usage!, media } }, plain!], 0);
      const expected = [{ ...spoken!.usage!, media }, plain!.usage!].map((event) => ({
        ...event,
        atMs: clock.nowMs(),
        heldAtMs: clock.nowMs(),
      }));
      const byId = async () => (await at.store.usageEvents({ tenantId: 'acme', limit: 9 })).toSorted((a, b) => (a.id < b.id ? -1 : 1));
      expect(await byId()).toEqual(expected);
      expect(await at.store.foldUsage(10)).toBe(2);
      expect(await byId()).toEqual(expected);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    } finally {
      await at.destroy();
    }
  });
}
