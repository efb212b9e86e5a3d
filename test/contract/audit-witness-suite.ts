import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_RETENTION } from '../../src/core/retention/retention.ts';
import type { TrailWitness } from '../../src/ports/audit-trail.ts';
import { audited, makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const SECRET = 'the secret of the trail';
const KEEP_NOTHING = { ...DEFAULT_RETENTION, auditMs: 0 };

/** What changes rows and heads alike, so that the store by itself cannot show it. */
const REWRITTEN: readonly (readonly [what: string, sql: readonly string[]])[] = [
  [
    'a truncated end',
    [
      `DELETE FROM audit WHERE tenant_id = 'acme' AND no >= 3`,
      `UPDATE audit_heads SET no = 2, hash = (SELECT hash FROM audit WHERE tenant_id = 'acme' AND no = 2) WHERE tenant_id = 'acme'`,
    ],
  ],
  ['a whole trail that is gone', [`DELETE FROM audit WHERE tenant_id = 'acme'`, `DELETE FROM audit_heads WHERE tenant_id = 'acme'`]],
];

const forgedCheckpoint = (no: number): string[] => [
  `UPDATE audit_heads SET pruned_no = ${no}, pruned_mac = 'f00d', pruned_hash = (SELECT hash FROM audit WHERE tenant_id = 'acme' AND no = ${no})
   WHERE tenant_id = 'acme'`,
  `DELETE FROM audit WHERE tenant_id = 'acme' AND no <= ${no}`,
];

/** Defines what of the trail shows against what is known outside of the store. */
export function describeTrailWitness(makeStore: MakeStore): void {
  describe('the trail, against a witness', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    const write = async (...tenants: string[]): Promise<void> => {
      clock.set(clock.nowMs() + 1000);
      await at.store.execute(
        commands.id('batch'),
        tenants.map((tenant) => audited(commands.createTenant(tenant))),
        0,
      );
    };

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
      for (const tenant of ['acme', 'acme', 'other', 'acme', 'acme']) await write(tenant);
    });
    afterEach(() => at.destroy());

    const exported = (): Promise<TrailWitness['exported']> => at.store.auditHeads({ afterTenantId: '', limit: 100 });
    const found = async (witness: Partial<TrailWitness> = {}): Promise<string[]> =>
      (await at.store.verify({ exported: [], discrepancies: [], secret: null, ...witness })).discrepancies.map(({ check }) => check);
    const tamper = async (statements: readonly string[]): Promise<void> => {
      for (const sql of statements) await at.raw(sql);
    };
    const prune = async (secret?: string): Promise<number> => at.store.prune(KEEP_NOTHING, () => false, secret);

    test('tells where every chain ends, in pages', async () => {
      const ends = await exported();
      expect(ends.map(({ tenantId, no }) => [tenantId, no])).toEqual([
        ['acme', 4],
        ['other', 1],
      ]);
      expect(ends.every(({ hash }) => /^[0-9a-f]{64}$/.test(hash))).toBe(true);
      expect(await at.store.auditHeads({ afterTenantId: '', limit: 1 })).toEqual(ends.slice(0, 1));
      expect(await at.store.auditHeads({ afterTenantId: 'acme', limit: 1 })).toEqual(ends.slice(1));
    });

    test('tells what became of places where it ended once', async () => {
      const placesOf = async (...ends: readonly [string, number, string?][]): Promise<string[]> => {
        const rows = (await at.raw('SELECT tenant_id, no, hash FROM audit')) as unknown as {
          tenant_id: string;
          no: unknown;
          hash: string;
        }[];
        const hashOf = (tenant: string, no: number): string =>
          rows.find((row) => row.tenant_id === tenant && Number(row.no) === no)?.hash ?? 'none';
        return at.store.auditPlaces(ends.map(([tenantId, no, hash]) => ({ tenantId, no, hash: hash ?? hashOf(tenantId, no) })));
      };
      const asked = [
        ['acme', 2],
        ['other', 1],
        ['acme', 1, 'f'],
        ['acme', 5],
        ['nobody', 1],
      ] as const;
      expect(await placesOf(...asked.map((each) => [...each] as [string, number, string?]))).toEqual([
        'stands',
        'stands',
        'differs',
        'differs',
        'differs',
      ]);
      const before = await exported();
      const [second] = (await at.raw(`SELECT hash FROM audit WHERE tenant_id = 'acme' AND no = 2`)) as unknown as { hash: string }[];
      await write('late');
      await prune(SECRET);
      expect(await at.store.auditPlaces(before)).toEqual(['forgotten', 'forgotten']);
      expect(await placesOf(['acme', 2, second?.hash ?? ''], ['acme', 4, 'f'], ['acme', 5], ['late', 1])).toEqual([
        'forgotten',
        'differs',
        'differs',
        'stands',
      ]);
      expect(await at.store.auditPlaces([])).toEqual([]);
    });

    test('fits what was exported, and goes on fitting while it grows', async () => {
      const first = await exported();
      await write('acme', 'acme', 'other');
      expect(await found({ exported: [...first, ...(await exported())] })).toEqual([]);
    });

    test.each(REWRITTEN)('shows %s, which the store by itself does not', async (_what, statements) => {
      const before = await exported();
      await tamper(statements);
      expect(await found()).toEqual([]);
      expect(await found({ exported: before })).toEqual(['audit: a chain reaches as far as it was exported']);
    });

    test('shows a chain that was cut and written on', async () => {
      const before = await exported();
      await tamper(REWRITTEN[0]?.[1] ?? []);
      await write('acme', 'acme');
      expect(await found()).toEqual([]);
      expect(await found({ exported: before })).toEqual(['audit: a chain is as it was exported']);
    });

    test('passes on what is wrong with the export itself', async () => {
      const wrong = { check: 'a line', subject: '3', found: 'a', expected: 'b' };
      expect(await found({ discrepancies: [wrong] })).toEqual(['a line']);
    });

    test('that was pruned says where, signed by the server', async () => {
      const early = await exported();
      await write('late');
      expect(await prune(SECRET)).toBeGreaterThan(0);
      expect(await found({ exported: early, secret: SECRET })).toEqual([]);
      await write('acme', 'acme', 'late');
      expect(await prune(SECRET)).toBeGreaterThan(0);
      expect(await found({ exported: early, secret: SECRET })).toEqual([]);
      expect(new Set(await found({ secret: 'another' }))).toEqual(new Set(['audit: where a chain was cut is signed']));
    });

    test('shows the oldest rows dropped as if they had been pruned, and no later pruning covers that up', async () => {
      await tamper(forgedCheckpoint(2));
      expect(await found()).toEqual([]);
      expect(await found({ secret: SECRET })).toEqual(['audit: where a chain was cut is signed']);
      await write('late');
      await prune(SECRET);
      expect(await found({ secret: SECRET })).toEqual(['audit: where a chain was cut is signed']);
    });

    test('is not vouched for where rows were missing before it was pruned', async () => {
      await tamper([`DELETE FROM audit WHERE tenant_id = 'acme' AND no = 2`]);
      await write('late');
      await prune(SECRET);
      expect(await found()).toEqual([]);
      expect(await found({ secret: SECRET })).toEqual(['audit: where a chain was cut is signed']);
    });

    test('is held against what was exported at the very place where it was cut', async () => {
      const before = await exported();
      await write('late');
      await prune();
      await tamper([`UPDATE audit_heads SET hash = 'f', pruned_hash = 'f' WHERE tenant_id = 'acme'`]);
      expect(await found({ exported: before })).toEqual(['audit: a chain is as it was exported']);
    });

    test('shows a row without a place that is put in after the first rows were pruned', async () => {
      await write('late');
      await prune(SECRET);
      await write('acme', 'acme');
      await tamper([`UPDATE audit SET no = NULL, previous = NULL, hash = NULL WHERE tenant_id = 'late'`]);
      await tamper([`UPDATE audit SET tenant_id = 'acme' WHERE tenant_id = 'late'`, `DELETE FROM audit_heads WHERE tenant_id = 'late'`]);
      expect(await found({ secret: SECRET })).toEqual(['audit: every row has its place']);
    });

    describe('with rows from before there was a chain', () => {
      beforeEach(async () => {
        await tamper([`UPDATE audit SET no = NULL, previous = NULL, hash = NULL`, `DELETE FROM audit_heads`]);
        await write('acme', 'acme');
      });

      test('begins with a hash over them', async () => {
        expect(await found({ secret: SECRET })).toEqual([]);
        const [row] = await at.raw(`SELECT previous FROM audit WHERE tenant_id = 'acme' AND no = 1`);
        expect(row?.['previous']).toMatch(/^adopted:4:[0-9a-f]{64}$/);
      });

      test.each([
        ['edited', `UPDATE audit SET operation = 'other' WHERE tenant_id = 'acme' AND no IS NULL`],
        ['dropped', `DELETE FROM audit WHERE tenant_id = 'acme' AND no IS NULL`],
        ['moved to another tenant', `UPDATE audit SET tenant_id = 'other' WHERE tenant_id = 'acme' AND no IS NULL`],
      ])('shows them %s', async (_what, sql) => {
        await tamper([sql]);
        expect(await found()).toEqual(['audit: a row is linked to the one before']);
      });

      test('can lose them to pruning, and the first of the chain after that', async () => {
        await at.raw(`UPDATE audit SET at_ms = 1 WHERE no IS NULL`);
        clock.set(clock.nowMs() + 1000);
        await at.store.prune({ ...DEFAULT_RETENTION, auditMs: 10_000 }, () => false, SECRET);
        expect(await at.raw(`SELECT id FROM audit WHERE no IS NULL`)).toEqual([]);
        expect(await at.raw(`SELECT pruned_no FROM audit_heads WHERE tenant_id = 'acme' AND pruned_no = 0`)).toHaveLength(1);
        expect(await found({ secret: SECRET })).toEqual([]);
        await write('late');
        await prune(SECRET);
        expect(await found({ secret: SECRET })).toEqual([]);
      });
    });
  });
}
