import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeCloseTenants } from '../../src/app/cycles/close-tenant.ts';
import { makeLedgerWriter } from '../../src/app/ledger-writer.ts';
import { SPEEDS_SETTING } from '../../src/core/access/decide-speeds.ts';
import type { PlainJson } from '../../src/core/json/plain-json.ts';
import { budgetId, TOKENS } from '../../src/core/ledger/account.ts';
import type { ApiKey, Tenant, Webhook } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { SortedPage, TenantFilter, TenantKeyFilter, TenantKeySort, TenantSort } from '../../src/ports/governance-reads.ts';
import { makeCountingIds, makeMemoryLog } from '../support/fakes.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const ALL: TenantFilter = { search: null };

/** Lists of tenants and of their keys, what a tenant still has open, and when keys were used. */
export function describeGovernance(makeStore: MakeStore): void {
  let clock: TestClock;
  let at: TestStore;
  let commands: CommandMaker;

  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeStore({ clock });
    commands = makeCommands();
  });
  afterEach(() => at.destroy());

  const execute = async (...batch: Command[]): Promise<void> => {
    const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
    expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
  };
  /** True, as the database writes it. */
  const yes = async (): Promise<string> => (typeof (await at.raw('SELECT 1 = 1 AS yes'))[0]?.['yes'] === 'boolean' ? 'true' : '1');
  const pass = (ms: number): void => clock.set(clock.nowMs() + ms);

  /** The ids of every page of `limit`, in order. */
  async function walk<K extends string, T extends { readonly id: string }>(
    page: Pick<SortedPage<K>, 'sortBy' | 'descending' | 'limit'>,
    read: (page: SortedPage<K>) => Promise<T[]>,
    valueOf: (item: T) => string | number,
  ): Promise<string[]> {
    const ids: string[] = [];
    let after: SortedPage<K>['after'] = null;
    for (;;) {
      const found: T[] = await read({ ...page, after });
      const last = found.at(-1);
      if (last === undefined) return ids;
      ids.push(...found.map(({ id }) => id));
      after = { value: valueOf(last), id: last.id };
    }
  }

  describe('lists of tenants', () => {
    const valueOf = (sortBy: TenantSort) => (tenant: Tenant) =>
      ({ created_at: tenant.createdAtMs, tenant_id: tenant.id, name: tenant.name, status: tenant.status })[sortBy];
    const list = (sortBy: TenantSort, options: Partial<TenantFilter> & { descending?: boolean; limit?: number } = {}) => {
      const { descending = false, limit = 2, ...filter } = options;
      return walk({ sortBy, descending, limit }, (page) => at.store.tenantPage({ ...page, ...ALL, ...filter }), valueOf(sortBy));
    };

    beforeEach(async () => {
      const named = (id: string, name: string, parentTenantId: string | null = null): Command => {
        const made = commands.createTenant(id) as Extract<Command, { verb: 'create-tenant' }>;
        return { ...made, tenant: { ...made.tenant, name, parentTenantId } };
      };
      await execute(named('b', 'Über', 'top'), named('a', 'zeta'));
      pass(1000);
      await execute(named('c', 'Alpha', 'top'), named('d', 'alpha'), named('e', 'Alpha'));
      await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: 'c', status: 'SUSPENDED' });
    });

    test('go in every order, both ways, in pages of any length, whatever is the same', async () => {
      const orders: Readonly<Record<TenantSort, readonly string[]>> = {
        created_at: ['a', 'b', 'c', 'd', 'e'],
        tenant_id: ['a', 'b', 'c', 'd', 'e'],
        // By bytes: capitals first, and what is beyond ASCII last.
        name: ['c', 'e', 'd', 'a', 'b'],
        status: ['a', 'b', 'd', 'e', 'c'],
      };
      for (const [sortBy, expected] of Object.entries(orders) as [TenantSort, readonly string[]][]) {
        for (const limit of [1, 2, 3, 100]) {
          expect(await list(sortBy, { limit })).toEqual(expected);
          expect(await list(sortBy, { limit, descending: true })).toEqual(expected.toReversed());
        }
      }
    });

    const narrowed: readonly [string, Partial<TenantFilter>, readonly string[]][] = [
      ['a status', { status: 'SUSPENDED' }, ['c']],
      ['a parent', { parentTenantId: 'top' }, ['b', 'c']],
      ['a part of a name, whatever its case', { search: 'lph' }, ['c', 'd', 'e']],
      ['a part of an id', { search: 'b' }, ['b']],
      ['letters beyond ASCII as they are', { search: 'Über' }, ['b']],
      ['all of them together', { search: 'alpha', status: 'ACTIVE', parentTenantId: 'top' }, []],
      ['characters that patterns know', { search: '%' }, []],
    ];

    test('are narrowed by every filter and by all of them, and counted', async () => {
      for (const [what, filter, expected] of narrowed) {
        expect([what, await list('tenant_id', filter)]).toEqual([what, expected]);
        expect([what, await at.store.tenantCount({ ...ALL, ...filter })]).toEqual([what, expected.length]);
      }
    });

    test('go on behind a tenant that has moved', async () => {
      const [first] = await at.store.tenantPage({ sortBy: 'name', descending: false, after: null, limit: 1, ...ALL });
      await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: first?.id ?? '', name: 'zz' });
      const rest = await at.store.tenantPage({ sortBy: 'name', descending: false, after: { value: 'Alpha', id: 'c' }, limit: 10, ...ALL });
      expect(rest.map(({ id }) => id)).toEqual(['e', 'd', 'a', 'c', 'b']);
    });
  });

  describe('lists of tenants’ keys', () => {
    const valueOf = (sortBy: TenantKeySort) => (key: ApiKey) =>
      ({
        created_at: key.createdAtMs,
        key_id: key.id,
        name: key.name,
        tenant_id: key.tenantId,
        status: key.deletedAtMs !== null ? 'REVOKED' : (key.expiresAtMs ?? Infinity) <= clock.nowMs() ? 'EXPIRED' : 'ACTIVE',
        expires_at: key.expiresAtMs ?? 253_402_300_799_000,
      })[sortBy];
    const list = (sortBy: TenantKeySort, options: Partial<TenantKeyFilter> & { descending?: boolean; limit?: number } = {}) => {
      const { descending = false, limit = 2, ...filter } = options;
      const read = (page: SortedPage<TenantKeySort>) => at.store.tenantKeyPage({ ...page, search: null, nowMs: clock.nowMs(), ...filter });
      return walk({ sortBy, descending, limit }, read, valueOf(sortBy));
    };

    beforeEach(async () => {
      await execute(commands.createTenant('acme'), commands.createTenant('globex'));
      const key = (id: string, tenantId: string, name: string, expiresAtMs: number | null): Command => {
        const made = commands.createKey(tenantId, id) as Extract<Command, { verb: 'create-key' }>;
        return { ...made, key: { ...made.key, kind: 'tenant', name, expiresAtMs, permissions: [] }, maxTokens: null };
      };
      const nowMs = clock.nowMs();
      await execute(key('k1', 'acme', 'Zoo', nowMs + 500), key('k2', 'globex', 'apple', null), commands.createKey('acme', 'model'));
      pass(1000);
      await execute(key('k3', 'acme', 'Apple', nowMs + 9_000_000), key('k4', 'acme', 'bee', nowMs + 8_000_000));
      await execute({ verb: 'revoke-key', id: commands.id('cmd'), tenantId: 'acme', keyId: 'k4', reason: null });
    });

    test('go in every order, both ways, in pages of any length', async () => {
      const orders: Readonly<Record<TenantKeySort, readonly string[]>> = {
        created_at: ['k1', 'k2', 'k3', 'k4'],
        key_id: ['k1', 'k2', 'k3', 'k4'],
        name: ['k3', 'k1', 'k2', 'k4'],
        tenant_id: ['k1', 'k3', 'k4', 'k2'],
        status: ['k2', 'k3', 'k1', 'k4'],
        expires_at: ['k1', 'k4', 'k3', 'k2'],
      };
      for (const [sortBy, expected] of Object.entries(orders) as [TenantKeySort, readonly string[]][]) {
        for (const limit of [1, 3]) {
          expect(await list(sortBy, { limit })).toEqual(expected);
          expect(await list(sortBy, { limit, descending: true })).toEqual(expected.toReversed());
        }
      }
    });

    const narrowed: readonly [string, Partial<TenantKeyFilter>, readonly string[]][] = [
      ['a tenant', { tenantId: 'acme' }, ['k1', 'k3', 'k4']],
      ['ACTIVE', { status: 'ACTIVE' }, ['k2', 'k3']],
      ['EXPIRED', { status: 'EXPIRED' }, ['k1']],
      ['REVOKED, of a tenant', { status: 'REVOKED', tenantId: 'acme' }, ['k4']],
      ['a part of a name', { search: 'pple' }, ['k2', 'k3']],
      ['all of them together', { search: 'APPLE'.toLowerCase(), status: 'ACTIVE', tenantId: 'globex' }, ['k2']],
    ];

    test('are narrowed by every filter and by all of them, in the order of their state too', async () => {
      for (const [what, filter, expected] of narrowed) {
        expect([what, await list('key_id', filter)]).toEqual([what, expected]);
        expect([what, (await list('status', filter)).toSorted()]).toEqual([what, expected]);
      }
    });
  });

  test('the last use of a key is the latest that anybody noted', async () => {
    const note = (...uses: [string, number][]): Command => ({
      verb: 'note-key-uses',
      id: commands.id('cmd'),
      tenantId: '_system',
      uses: uses.map(([keyId, atMs]) => ({ keyId, atMs })),
    });
    await execute(note(['k1', 50], ['k2', 60]));
    await execute(note(['k2', 55], ['k1', 70]));
    expect(await at.store.keyUses(['k1', 'k2', 'k3'])).toEqual(
      new Map([
        ['k1', 70],
        ['k2', 60],
      ]),
    );
  });

  test('the speed of an upstream is the newest that any node kept', async () => {
    const nowMs = clock.nowMs();
    const keep = (speeds: Record<string, PlainJson>): Command => ({
      verb: 'keep-speeds',
      id: commands.id('cmd'),
      tenantId: '_system',
      speeds,
    });
    await execute(keep({ 'u1 m': [10, 50, nowMs, 300], 'u2 m': [5, null, nowMs, 0] }));
    await execute(keep({ 'u1 m': [20, 40, nowMs - 1, 9], 'u3 m': [7, 30, nowMs, 8] }));
    expect((await at.store.record('setting', SPEEDS_SETTING))?.value).toEqual({
      'u1 m': [10, 50, nowMs, 300],
      'u2 m': [5, null, nowMs, 0],
      'u3 m': [7, 30, nowMs, 8],
    });
  });

  describe('what a closed tenant owns', () => {
    const webhook = (id: string, status: Webhook['status']): string => {
      const body = JSON.stringify({ id, tenantId: 'acme', name: null, status });
      return `INSERT INTO webhooks (id, tenant_id, body) VALUES ('${id}', 'acme', '${body}')`;
    };

    beforeEach(async () => {
      await execute(commands.createTenant('acme'), commands.createTenant('globex'));
      await execute(commands.createKey('acme', 'key_1'), commands.createKey('globex', 'key_2'));
      await execute(commands.allocate(moneyOf('acme'), 1_000_000n), commands.allocate(moneyOf('globex'), 1_000_000n));
    });

    test('is found, a bounded number at a time, and passed over where it is said', async () => {
      const holds = Array.from({ length: 5 }, () => commands.hold({ tokens: 1n, microcents: 1n }));
      await execute(...holds.map((each) => ({ ...each, purpose: 'budget' as const })));
      const open = (except: readonly string[], limit: number): Promise<string[]> =>
        at.store.openThings({ kind: 'reservation', tenantId: 'acme', except, limit });
      const all = await open([], 100);
      expect(all.toSorted()).toEqual(holds.map(({ reservationId }) => reservationId).toSorted());
      expect(await open([], 2)).toHaveLength(2);
      expect(await open(all.slice(1), 100)).toEqual(all.slice(0, 1));
      const budget = moneyOf('acme');
      expect(await at.store.openThings({ kind: 'budget', tenantId: 'acme', except: [], limit: 10 })).toEqual([budget]);
      expect(await at.store.openThings({ kind: 'budget', tenantId: 'acme', except: [budget], limit: 10 })).toEqual([]);
      expect(await at.store.openThings({ kind: 'key', tenantId: 'acme', except: [], limit: 10 })).toEqual(['key_1']);
      for (const [id, status] of [
        ['w1', 'ACTIVE'],
        ['w2', 'DISABLED'],
        ['w3', 'PAUSED'],
      ] as const)
        await at.raw(webhook(id, status));
      expect((await at.store.openThings({ kind: 'webhook', tenantId: 'acme', except: [], limit: 10 })).toSorted()).toEqual(['w1', 'w3']);
    });

    test('comes to its end, in many batches, and the ledger still holds', async () => {
      const holds = Array.from({ length: 450 }, () => commands.hold({ tokens: 1n, microcents: 10n }));
      await execute(...holds.map((each) => ({ ...each, purpose: 'budget' as const })));
      await at.raw(webhook('w1', 'ACTIVE'));
      await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: 'acme', status: 'CLOSED' });
      const log = makeMemoryLog();
      const failpoints = { hit: () => undefined };
      const ids = makeCountingIds();
      const writer = makeLedgerWriter({ store: at.store, ids, onRecordsChanged: () => undefined, maxQueued: 1000, failpoints, log });
      const closing = makeCloseTenants({ writer, records: at.store, ids, failpoints, log });
      await closing.resume();
      for (const kind of ['reservation', 'budget', 'webhook', 'key'] as const)
        expect(await at.store.openThings({ kind, tenantId: 'acme', except: [], limit: 10 })).toEqual([]);
      expect(await at.store.openThings({ kind: 'key', tenantId: 'globex', except: [], limit: 10 })).toEqual(['key_2']);
      await writer.close();
      const events = await at.store.events({ tenantId: 'acme', type: 'reservation.released_via_tenant_cascade', limit: 10 });
      expect(events.map(({ event }) => event.data)).toMatchObject([{ released_amount: '4500' }]);
      expect((await at.store.records('setting')).filter(({ id }) => id.startsWith('tenant-close:'))).toEqual([]);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });
  });

  test('tenants and budgets are counted as they come, go and change', async () => {
    const counted = async () => {
      const { tenants, budgets } = await at.store.overview({ sinceMs: 0 });
      return [tenants, Object.fromEntries(budgets.map(({ status, unit, count }) => [`${status} ${unit}`, count]))];
    };
    expect(await counted()).toEqual([{}, {}]);
    await execute(commands.createTenant('acme'), commands.createTenant('globex'), commands.createTenant('initech'));
    await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: 'globex', name: 'Other', status: 'SUSPENDED' });
    await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: 'acme', name: 'Same status' });
    const bot = budgetId('acme', 'tenant:acme/app:bot', TOKENS);
    await execute(commands.allocate(moneyOf('acme'), 5n), commands.allocate(bot, 5n), commands.allocate(moneyOf('initech'), null));
    // What only counts is no budget, nor is the cap of a key.
    await execute(commands.createKey('acme', 'key_1', { maxTokens: 10n }));
    expect(await counted()).toEqual([
      { ACTIVE: 2, SUSPENDED: 1 },
      { 'ACTIVE USD_MICROCENTS': 1, 'ACTIVE TOKENS': 1 },
    ]);
    await execute(commands.allocate(moneyOf('initech'), 7n), commands.allocate(moneyOf('acme'), null));
    await execute({ verb: 'freeze-budget', id: commands.id('cmd'), tenantId: 'acme', accountId: bot });
    await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: 'globex', status: 'CLOSED' });
    expect(await counted()).toEqual([
      { ACTIVE: 2, CLOSED: 1 },
      { 'ACTIVE USD_MICROCENTS': 1, 'FROZEN TOKENS': 1 },
    ]);
    await execute(commands.hold({ tokens: 0n, microcents: 0n }), commands.allocate(moneyOf('initech'), 9n));
    await execute({ verb: 'unfreeze-budget', id: commands.id('cmd'), tenantId: 'acme', accountId: bot });
    expect((await counted())[1]).toEqual({ 'ACTIVE USD_MICROCENTS': 1, 'ACTIVE TOKENS': 1 });
  });

  test('the overview counts and shows what there is, from the moment on that is asked for', async () => {
    await execute(commands.createTenant('acme'), commands.createTenant('globex'));
    await execute({ verb: 'update-tenant', id: commands.id('cmd'), tenantId: 'globex', status: 'SUSPENDED' });
    const money = moneyOf('acme');
    const indebted = budgetId('acme', 'tenant:acme/app:bot', TOKENS);
    await execute(commands.allocate(money, 50n), commands.allocate(indebted, 9_007_199_254_740_993n));
    await execute(commands.allocate(moneyOf('globex'), null));
    await at.raw(
      `UPDATE accounts SET debt = 7, overdraft_limit = 3, is_over_limit = ${await yes()} WHERE unit = 'TOKENS' AND kind = 'budget'`,
    );
    for (const [id, failures] of [
      ['w1', 2],
      ['w2', 5],
      ['w3', 0],
    ] as const) {
      await at.raw(
        `INSERT INTO webhooks (id, tenant_id, body) VALUES ('${id}', 'acme', '{"status":"ACTIVE","url":"https://${id}.example"}')`,
      );
      await at.raw(
        `INSERT INTO webhook_health (webhook_id, epoch, failures, last_failure_at_ms, fence) VALUES ('${id}', 0, ${failures}, 77, 0)`,
      );
    }
    const sinceMs = clock.nowMs() + 1000;
    clock.set(sinceMs);
    const denied = (id: string, atMs: number, data: string): string =>
      `INSERT INTO events (id, type, tenant_id, at_ms, data) VALUES ('${id}', 'reservation.denied', 'acme', ${atMs}, '${data}')`;
    await at.raw(denied('old', sinceMs - 1, '{"reason_code":"A"}'));
    await at.raw(denied('one', sinceMs, '{"reason_code":"A"}'));
    await at.raw(denied('many', sinceMs + 1, '{"reason_code":"B","count":40}'));
    await at.raw(denied('nameless', sinceMs + 2, '{}'));
    await at.raw(`INSERT INTO events (id, type, tenant_id, at_ms, data) VALUES ('ours', 'model.created', 'acme', ${sinceMs}, '{}')`);

    const found = await at.store.overview({ sinceMs });
    expect(found).toMatchObject({
      tenants: { ACTIVE: 1, SUSPENDED: 1 },
      overLimit: 1,
      withDebt: 1,
      overLimitBudgets: [{ id: indebted, allocated: 9_007_199_254_740_993n, debt: 7n }],
      debtBudgets: [{ id: indebted, overdraftLimit: 3n }],
      webhooks: { ACTIVE: 3 },
      failing: 2,
      failingWebhooks: [
        { id: 'w2', url: 'https://w2.example', failures: 5, lastFailureAtMs: 77 },
        { id: 'w1', url: 'https://w1.example', failures: 2, lastFailureAtMs: 77 },
      ],
      events: { 'reservation.denied': 3 },
      denialReasons: { A: 1, B: 40 },
      expiries: [],
    });
    expect(found.budgets.toSorted((a, b) => (a.unit < b.unit ? -1 : 1))).toEqual([
      { status: 'ACTIVE', unit: TOKENS, count: 1 },
      { status: 'ACTIVE', unit: 'USD_MICROCENTS', count: 1 },
    ]);
    expect(found.denials.map(({ id }) => id)).toEqual(['nameless', 'many', 'one']);
  });
}
