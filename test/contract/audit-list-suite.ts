import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AUDIT_SORT_KEYS, auditPosition, type AuditFilter, type AuditQuery, type StoredAudit } from '../../src/core/audit/audit-query.ts';
import type { CommandAudit } from '../../src/core/verb.ts';
import { pageOfAudit } from '../support/audit-list.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { audited, makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const TRACES = ['0'.repeat(31) + '1', '0'.repeat(31) + '2'];
const EVERY: AuditQuery = { sortBy: 'timestamp', descending: false, after: null, limit: 1000 };

/** Defines what lists of the trail promise. */
export function describeAuditLists(makeStore: MakeStore): void {
  let clock: TestClock;
  let at: TestStore;
  let commands: CommandMaker;

  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeStore({ clock });
    commands = makeCommands();
  });
  afterEach(() => at.destroy());

  /** Rows of every kind; some of the same moment, half of them refused, some without a status. */
  async function makeMany(): Promise<void> {
    const random = seededRandom(11);
    for (let batch = 0; batch < 12; batch++) {
      const made = Array.from({ length: 6 }, () => {
        const command = commands.createTenant(random.pick(['acme', 'acme-two', 'zeta']));
        const actorKind = random.pick(['operator', 'tenant_key', 'admin_key', 'system'] as const);
        const isKey = actorKind.endsWith('_key');
        const audit: CommandAudit = {
          id: `aud_${random.pick(['X', 'y'])}${command.id}`,
          operation: random.pick(['createTenant', 'updateTenant', 'POST:/v1/admin/tenants', 'é']),
          actorKind,
          actorId: isKey ? random.pick(['key_1', 'key_2']) : actorKind,
          resourceKind: random.pick(['tenant', 'budget', 'api_key']),
          resourceId: random.pick(['acme', 'Ledger_%', 'key_1']),
          requestId: random.pick(['req_1', 'req_2', 'req_3']),
          ...(random.between(0, 1) === 0 ? {} : { traceId: random.pick(TRACES), sourceIp: '10.0.0.1', userAgent: 'tests/1' }),
          ...(random.between(0, 4) === 0
            ? {}
            : {
                answers: {
                  done: random.pick([200, 201]),
                  refused: {
                    conflict: random.pick([
                      [409, 'CONFLICT'],
                      [400, 'BAD'],
                    ] as const),
                  },
                },
              }),
        };
        return { ...command, audit };
      });
      await at.store.execute(commands.id('batch'), made, 0);
      clock.set(clock.nowMs() + random.between(1, 3));
    }
  }

  describe('lists of the trail', () => {
    test('show what the filters mean, each row once, in every order and both directions, page by page', { timeout: 120_000 }, async () => {
      await makeMany();
      const all = await at.store.auditPage(EVERY);
      expect(all).toHaveLength(72);
      const times = all.map(({ entry }) => entry.atMs);
      const [fromMs, toMs] = [times[20] as number, times[50] as number];
      const filters: AuditFilter[] = [
        {},
        { tenantId: 'acme' },
        { tenantId: 'nobody' },
        { keyId: 'key_1' },
        { keyId: 'operator' },
        { operations: ['createTenant'] },
        { operations: ['createTenant', 'é', 'none', 'createTenant'] },
        { resourceKinds: ['budget', 'api_key'] },
        { resourceId: 'Ledger_%' },
        { errorCodes: ['CONFLICT'] },
        { errorCodes: ['CONFLICT', 'BAD'], exceptErrorCodes: ['BAD'] },
        { exceptErrorCodes: ['CONFLICT'] },
        { status: { min: 200, max: 200 } },
        { status: { min: 400, max: 599 } },
        { status: { min: 100, max: 599 } },
        { status: { min: 201, max: 400 }, tenantId: 'zeta' },
        { status: { min: 500, max: 599 } },
        { fromMs },
        { toMs },
        { fromMs, toMs, operations: ['updateTenant', 'createTenant'], tenantId: 'acme' },
        { search: 'tenant' },
        { search: 'ledger_%' },
        { search: 'aud_x' },
        { search: 'conf', status: { min: 409, max: 409 } },
        { traceId: TRACES[0] as string },
        { requestId: 'req_2', keyId: 'key_2' },
      ];
      let shown = 0;
      for (const filter of filters) {
        for (const sortBy of AUDIT_SORT_KEYS) {
          for (const descending of [true, false]) {
            const query: AuditQuery = { ...filter, sortBy, descending, after: null, limit: 1000 };
            const expected = pageOfAudit(all, query);
            const found: StoredAudit[] = [];
            for (let after: AuditQuery['after'] = null; ;) {
              const page = await at.store.auditPage({ ...query, after, limit: 13 });
              found.push(...page);
              const last = page.at(-1);
              if (last === undefined || page.length < 13) break;
              after = auditPosition(last, sortBy);
            }
            expect({ filter, sortBy, descending, found }).toEqual({ filter, sortBy, descending, found: expected });
            shown += found.length;
          }
        }
      }
      expect(shown).toBeGreaterThan(3000);
    });

    test('show a row that cannot be read whole, and those beside it', async () => {
      for (const id of ['acme', 'zeta', 'acme-two']) await at.store.execute(commands.id('batch'), [audited(commands.createTenant(id))], 0);
      await at.raw(`UPDATE audit SET metadata = '7' WHERE tenant_id = 'zeta'`);
      await at.raw(`UPDATE audit SET metadata = '[]' WHERE tenant_id = 'acme-two'`);
      const shown = (await at.store.auditPage({ ...EVERY, descending: false })).map(({ entry }) => [entry.tenantId, entry.metadata]);
      const unread = { error_message: expect.stringContaining('verify the audit trail') as string };
      expect(shown).toEqual([
        ['acme', expect.any(Object)],
        ['zeta', unread],
        ['acme-two', unread],
      ]);
      expect((await at.store.verify()).discrepancies.map(({ subject }) => subject)).toEqual(['acme-two 1', 'zeta 1']);
    });

    test('show every field of a row as it was written', async () => {
      const audit: CommandAudit = {
        id: 'aud_1',
        operation: 'createTenant',
        actorKind: 'tenant_key',
        actorId: 'key_1',
        resourceKind: 'tenant',
        resourceId: 'acme',
        requestId: 'req_1',
        traceId: TRACES[0] as string,
        sourceIp: '10.0.0.1',
        userAgent: 'tests/1',
        actorType: 'admin_on_behalf_of',
        metadata: { reason: 'a "test"', empty: [] },
        answers: { done: 201, refused: { conflict: [409, 'DUPLICATE_RESOURCE'] } },
      };
      const twice = [1, 2].map((n) => ({ ...commands.createTenant('acme'), audit: { ...audit, id: `aud_${n}` } }));
      await at.store.execute(commands.id('batch'), twice, 0);
      const { answers: _answers, actorType, metadata, ...shared } = audit;
      const row = { ...shared, tenantId: 'acme', atMs: clock.nowMs() };
      const more = { ...(metadata as object), actor_type: actorType };
      expect((await at.store.auditPage(EVERY)).map(({ entry }) => entry)).toEqual([
        { ...row, id: 'aud_1', code: null, status: 201, metadata: more },
        {
          ...row,
          id: 'aud_2',
          code: 'conflict',
          status: 409,
          errorCode: 'DUPLICATE_RESOURCE',
          metadata: { ...more, error_message: expect.any(String) as string },
        },
      ]);
    });
  });
}
