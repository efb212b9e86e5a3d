import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { audited, makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestStore } from './test-store.ts';

/** What somebody with access to the tables may do to the trail; each must show. */
const TAMPERINGS: readonly (readonly [what: string, sql: readonly string[]])[] = [
  ['an edited operation', [`UPDATE audit SET operation = 'other' WHERE no = 2`]],
  ['an edited outcome', [`UPDATE audit SET code = NULL WHERE no = 2`]],
  ['an edited moment', [`UPDATE audit SET at_ms = at_ms + 1 WHERE no = 2`]],
  ['an edited metadata', [`UPDATE audit SET metadata = '{"via":"fil3"}' WHERE no = 2`]],
  ['a dropped row', [`DELETE FROM audit WHERE no = 2`]],
  ['a dropped first row', [`DELETE FROM audit WHERE no = 1`]],
  ['a truncated end', [`DELETE FROM audit WHERE no >= 3`]],
  ['everything dropped', [`DELETE FROM audit`]],
  ['a row that names another tenant', [`UPDATE audit SET tenant_id = 'other', no = 9 WHERE no = 4`]],
  [
    'two rows in each other’s place',
    [`UPDATE audit SET no = 99 WHERE no = 2`, `UPDATE audit SET no = 2 WHERE no = 3`, `UPDATE audit SET no = 3 WHERE no = 99`],
  ],
  [
    'a row put in',
    [
      `INSERT INTO audit (id, tenant_id, at_ms, operation, actor_kind, actor_id, resource_kind, resource_id, request_id, metadata, no, previous, hash)
       SELECT 'x', tenant_id, at_ms, operation, actor_kind, actor_id, resource_kind, resource_id, request_id, metadata, 5, hash, 'f' FROM audit WHERE no = 4`,
    ],
  ],
  ['an unlinked row put in', [`UPDATE audit SET no = NULL, previous = NULL, hash = NULL WHERE no = 4`]],
];

/** Defines the promises of the trail of one store. */
export function describeAudit(makeStore: MakeStore): void {
  describe('the trail', () => {
    const clock = makeTestClock();
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      at = await makeStore({ clock });
      commands = makeCommands();
      await at.store.execute(commands.id('batch'), [audited(commands.createTenant('acme'))], 0);
      // The second is refused, and in the trail all the same; the last two are of one batch.
      await at.store.execute(commands.id('batch'), [audited(commands.createTenant('acme'))], 0);
      await at.store.execute(commands.id('batch'), [audited(commands.createTenant('acme')), audited(commands.createTenant('acme'))], 0);
    });
    afterEach(() => at.destroy());

    const discrepancies = async (): Promise<string[]> => (await at.store.verify()).discrepancies.map(({ check }) => check);

    test('is one chain for each tenant, in the order of writing, over restarts', async () => {
      await at.store.execute(commands.id('batch'), [audited(commands.createTenant('other'))], 0);
      at = await at.reopen();
      await at.store.execute(commands.id('batch'), [audited(commands.createTenant('acme'))], 0);
      const rows = await at.raw('SELECT tenant_id, no, previous, hash FROM audit ORDER BY tenant_id, no');
      expect(rows.map(({ tenant_id: tenant, no }) => `${String(tenant)} ${String(no)}`)).toEqual([
        'acme 1',
        'acme 2',
        'acme 3',
        'acme 4',
        'acme 5',
        'other 1',
      ]);
      for (const [index, row] of rows.slice(1, 5).entries()) expect(row['previous']).toBe(rows[index]?.['hash']);
      expect(await discrepancies()).toEqual([]);
    });

    test.each(TAMPERINGS)('shows %s', async (_what, statements) => {
      expect(await discrepancies()).toEqual([]);
      for (const sql of statements) await at.raw(sql);
      expect(await discrepancies()).not.toEqual([]);
    });

    test('that was pruned begins where it was cut, and shows what is dropped after that', async () => {
      const retention = { auditMs: 0 };
      clock.set(clock.nowMs() + 1000);
      await at.store.execute(commands.id('batch'), [audited(commands.createTenant('late'))], 0);
      const { DEFAULT_RETENTION } = await import('../../src/core/retention/retention.ts');
      await at.store.prune({ ...DEFAULT_RETENTION, ...retention });
      expect(await at.raw(`SELECT id FROM audit WHERE tenant_id = 'acme'`)).toEqual([]);
      expect(await discrepancies()).toEqual([]);
      await at.store.execute(commands.id('batch'), [audited(commands.createTenant('acme')), audited(commands.createTenant('acme'))], 0);
      expect(await discrepancies()).toEqual([]);
      await at.raw(`DELETE FROM audit WHERE tenant_id = 'acme' AND no = 5`);
      expect(await discrepancies()).not.toEqual([]);
    });
  });
}
