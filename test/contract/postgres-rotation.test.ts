import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCreateKey } from '../../src/app/create-key.ts';
import { makeDirectory, type Directory } from '../../src/app/directory.ts';
import { makeLedgerWriter, type LedgerWriter } from '../../src/app/ledger-writer.ts';
import { makeRotateKey } from '../../src/app/rotate-key.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { makeSystemIds } from '../../src/server/secrets/system-ids.ts';
import { makeFakeHasher, makeFakeSecretBox, makeManualClock, makeMemoryLog, makeRecordingFailpoints } from '../support/fakes.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeCommands } from './commands.ts';

const START_MS = Date.UTC(2026, 3, 9);
const ACTOR = { kind: 'operator', id: 'operator', requestId: 'req_1' } as const;

/** One node of several: a store, its writer, and what it knows of keys. */
interface Node {
  readonly store: Awaited<ReturnType<typeof openPostgresStore>>;
  readonly writer: LedgerWriter;
  readonly directory: Directory;
}

describePostgres('a key that one node rotates', () => {
  const clock = makeManualClock(START_MS);
  const ids = makeSystemIds({ clock });
  const hasher = makeFakeHasher();
  const secretBox = makeFakeSecretBox();
  /** How long has passed as far as the nodes can tell. */
  let elapsedMs = 0;
  let cluster: PostgresCluster;
  let here: Node;
  let there: Node;

  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
    const url = await cluster.createDatabase();
    const open = async (nodeId: string): Promise<Node> => {
      const store = await openPostgresStore({ url, nodeId, clock });
      const log = makeMemoryLog();
      const directory = makeDirectory({ records: store, hasher, log, isShared: true, elapsedMs: () => elapsedMs });
      const writer = makeLedgerWriter({
        store,
        ids,
        log,
        onRecordsChanged: (refs) => directory.recordsChanged(refs),
        maxQueued: 100,
        failpoints: makeRecordingFailpoints(),
      });
      return { store, writer, directory };
    };
    [here, there] = [await open('here'), await open('there')];
    await here.writer.execute(makeCommands().createTenant('acme'));
  });
  afterAll(async () => {
    for (const { writer, store } of [here, there]) {
      await writer.close();
      await store.close();
    }
    await cluster.stop();
  });

  async function makeKey(): Promise<{ id: string; value: string }> {
    const limits = { expiresAtMs: null, maxTokens: null, moneyBudgetMicrocents: null, metadata: {} };
    const createKey = makeCreateKey({ writer: here.writer, ids, hasher, secretBox });
    const outcome = await createKey(ACTOR, { tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'robot', ...limits });
    if (!outcome.ok) throw new Error(outcome.rejection.message);
    return { id: outcome.value.key.id, value: outcome.value.plaintext };
  }
  async function rotate(id: string, graceMs: number): Promise<string> {
    const key = await here.store.record('key', id);
    if (key === undefined) throw new Error(`no key ${id}`);
    const outcome = await makeRotateKey({ writer: here.writer, ids, hasher, secretBox })(ACTOR, key, {
      tenantId: 'acme',
      asMember: null,
      graceMs,
    });
    if (!outcome.ok) throw new Error(outcome.rejection.message);
    return outcome.value.plaintext;
  }
  const codeAt = async ({ directory }: Node, value: string): Promise<string> => {
    const outcome = await directory.authenticate(value, clock.nowMs());
    return outcome.ok ? outcome.value.key.id : outcome.rejection.code;
  };

  test('has only its new value on another node as soon as that has looked, which it does twice a second', async () => {
    const { id, value: before } = await makeKey();
    expect([await codeAt(here, before), await codeAt(there, before)]).toEqual([id, id]);
    const after = await rotate(id, 0);
    expect([await codeAt(here, before), await codeAt(here, after)]).toEqual(['unauthorized', id]);
    await there.directory.poll();
    expect([await codeAt(there, before), await codeAt(there, after)]).toEqual(['unauthorized', id]);
  });

  test('is known by its new value on a node that has never looked, and by the old one no more once it has not heard for long', async () => {
    const { id, value: before } = await makeKey();
    expect(await codeAt(there, before)).toBe(id);
    const after = await rotate(id, 0);
    elapsedMs += 2001;
    expect([await codeAt(there, before), await codeAt(there, after)]).toEqual(['unauthorized', id]);
  });

  test('loses its old value on every node at the very end of the grace, though nobody tells them', async () => {
    const { id, value: before } = await makeKey();
    const after = await rotate(id, 60_000);
    await there.directory.poll();
    clock.advance(59_999);
    for (const node of [here, there]) expect([await codeAt(node, before), await codeAt(node, after)]).toEqual([id, id]);
    clock.advance(1);
    for (const node of [here, there]) expect([await codeAt(node, before), await codeAt(node, after)]).toEqual(['unauthorized', id]);
  });

  test('dies by every value at once where it is deleted, also by the one that another node has in memory', async () => {
    const { id, value: before } = await makeKey();
    const after = await rotate(id, 60_000);
    for (const value of [before, after]) expect(await codeAt(here, value)).toBe(id);
    await here.writer.execute({ verb: 'delete-key', id: ids.next('cmd'), tenantId: 'acme', keyId: id });
    expect([await codeAt(here, before), await codeAt(here, after)]).toEqual(['unauthorized', 'unauthorized']);
    await there.directory.poll();
    expect([await codeAt(there, before), await codeAt(there, after)]).toEqual(['unauthorized', 'unauthorized']);
  });

  test('rotated by two nodes at the same moment, has the value of the later one, and that of the other in its grace', async () => {
    const { id, value: first } = await makeKey();
    const key = await here.store.record('key', id);
    if (key === undefined) throw new Error(`no key ${id}`);
    const outcomes = await Promise.all(
      [here, there].map(({ writer }) =>
        makeRotateKey({ writer, ids, hasher, secretBox })(ACTOR, key, { tenantId: 'acme', asMember: null, graceMs: 60_000 }),
      ),
    );
    const values = outcomes.map((outcome) => (outcome.ok ? outcome.value.plaintext : ''));
    for (const node of [here, there]) {
      await node.directory.poll();
      expect(await Promise.all([first, ...values].map((value) => codeAt(node, value)))).toEqual(['unauthorized', id, id]);
    }
  });
});
