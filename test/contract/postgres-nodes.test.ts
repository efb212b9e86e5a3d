import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { budgetId, TOKENS, type AccountId } from '../../src/core/ledger/account.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import { DEFAULT_RETENTION } from '../../src/core/retention/retention.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { ChainEnd } from '../../src/ports/audit-trail.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import {
  allocate,
  balances,
  codeOf,
  commit,
  debit,
  fixedLeg,
  idempotent,
  release,
  reserve,
  settleCall,
  TENANT,
  TENANT_BUDGET,
  usageOf,
  valueOf,
} from '../support/ledger-fixtures.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { seededRandom, type SeededRandom } from '../support/seeded-random.ts';
import { audited, makeCommands } from './commands.ts';

type Store = Awaited<ReturnType<typeof openPostgresStore>>;

/** The same things in an order of chance. */
function shuffled<T>(things: readonly T[], random: SeededRandom): T[] {
  return things
    .map((thing) => ({ thing, place: random.between(0, 1_000_000_000) }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ thing }) => thing);
}

/** Hands commands to nodes and lanes in turn, a few to a batch, all at once; outcomes in the order of the commands. */
async function hammer(nodes: readonly Store[], commands: readonly Command[], batchSize: number): Promise<Outcome<unknown>[]> {
  const batches = Array.from({ length: Math.ceil(commands.length / batchSize) }, (_, index) =>
    commands.slice(index * batchSize, (index + 1) * batchSize),
  );
  const results = await Promise.all(
    batches.map((batch, index) => {
      const node = nodes[index % nodes.length] as Store;
      return node.execute(`batch_${batch[0]?.id}`, batch, Math.floor(index / nodes.length) % node.lanes);
    }),
  );
  return results.flatMap(({ outcomes }) => outcomes);
}

describePostgres('two nodes on one PostgreSQL database', () => {
  let cluster: PostgresCluster;
  let database: string;
  let nodes: Store[];

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());

  beforeEach(async () => {
    database = await cluster.createDatabase();
    nodes = await Promise.all(['a', 'b'].map((nodeId) => openPostgresStore({ url: database, nodeId })));
  });
  // The server publishes what a session counted when it ends, if not before.
  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    expect(await cluster.sql('SELECT coalesce(sum(deadlocks), 0)::int AS deadlocks FROM pg_stat_database')).toEqual([{ deadlocks: 0 }]);
  });

  const first = (): Store => nodes[0] as Store;
  const accountOf = async (id: AccountId): Promise<(bigint | null)[]> => {
    const account = (await first().accounts([id])).get(id);
    if (account === undefined) throw new Error(`no account ${id}`);
    return balances(account);
  };

  test('a budget that fits exactly K holds admits exactly K of many at once', async () => {
    await first().execute('batch_0', [allocate(10n * 37n)], 0);
    const commands = Array.from({ length: 400 }, (_, index) => reserve({ id: `cmd_${index}`, reservationId: `res_${index}`, amount: 10n }));
    const outcomes = await hammer(nodes, commands, 5);
    const codes = outcomes.map(codeOf);
    expect(codes.filter((code) => code === 'ok')).toHaveLength(37);
    expect(codes.filter((code) => code === 'budget_exceeded')).toHaveLength(400 - 37);
    expect(await accountOf(TENANT_BUDGET)).toEqual([370n, 0n, 370n, 0n]);
    expect((await first().verify()).discrepancies).toEqual([]);
  });

  test('a limit of a policy admits exactly what it says in a minute, over all nodes, also where nobody has counted yet', async () => {
    // A clock that stands still: the minute must not end meanwhile.
    const clock = { nowMs: () => Date.parse('2026-11-22T10:07:30Z') };
    const timed = await Promise.all(['c', 'd'].map((nodeId) => openPostgresStore({ url: database, nodeId, clock })));
    try {
      await first().execute('batch_0', [allocate(1_000_000n)], 0);
      const limits = ['pol_a', 'pol_b'].map((policyId) => ({ policyId, kind: 'reserve', perMinute: 23 }) as const);
      const commands = Array.from({ length: 100 }, (_, index) => ({
        ...reserve({ id: `cmd_${index}`, reservationId: `res_${index}`, amount: 1n }),
        limit: limits[index % 2] ?? null,
      }));
      const codes = (await hammer(timed, commands, 3)).map(codeOf);
      for (const place of [0, 1]) {
        const ofLimit = codes.filter((_, index) => index % 2 === place);
        expect(ofLimit.filter((code) => code === 'ok')).toHaveLength(23);
        expect(ofLimit.filter((code) => code === 'rate_limited')).toHaveLength(27);
      }
      expect(await accountOf(TENANT_BUDGET)).toEqual([1_000_000n, 0n, 46n, 0n]);
    } finally {
      await Promise.all(timed.map((node) => node.close()));
    }
  });

  test('limits of a key, a model and an upstream admit exactly what they say in a minute, over all nodes', async () => {
    const clock = { nowMs: () => Date.parse('2026-11-22T10:07:30Z') };
    const timed = await Promise.all(['c', 'd'].map((nodeId) => openPostgresStore({ url: database, nodeId, clock })));
    try {
      await first().execute('batch_0', [allocate(1_000_000n)], 0);
      const limits = [
        { on: 'key', id: 'k1', unit: 'requests', perMinute: 50 },
        { on: 'model', id: 'm1', unit: 'tokens', perMinute: 379 },
      ] as const;
      const share = { limits: [{ on: 'upstream', id: 'u1', unit: 'requests', perMinute: 11 } as const], tokens: 0, tenantId: '_system' };
      const commands = Array.from({ length: 100 }, (_, index): Command => {
        const hold = reserve({ id: `cmd_${index}`, reservationId: `res_${index}`, amount: 10n, rates: { limits, inputTokens: 10 } });
        return index % 2 === 0 ? hold : { verb: 'take-rate', id: `cmd_${index}`, ...share };
      });
      const codes = (await hammer(timed, commands, 3)).map(codeOf);
      const admitted = (place: number): number => codes.filter((code, index) => index % 2 === place && code === 'ok').length;
      expect([admitted(0), admitted(1)]).toEqual([37, 11]);
      expect(await accountOf(TENANT_BUDGET)).toEqual([1_000_000n, 0n, 370n, 0n]);
    } finally {
      await Promise.all(timed.map((node) => node.close()));
    }
  });

  test('commands on many accounts in every order end without a deadlock, and every balance is the sum of what was admitted', async () => {
    const random = seededRandom(20_261_122);
    const accounts = Array.from({ length: 6 }, (_, index) => budgetId(TENANT, `tenant:acme/app:a${index}`, TOKENS));
    await first().execute(
      'batch_0',
      accounts.map((accountId, index) => allocate(10_000n, { accountId, id: `cmd_alloc_${index}` })),
      0,
    );
    const ids = Array.from({ length: 300 }, (_, index) => `res_${index}`);
    const holds = ids.map((reservationId, index): Command => {
      const chosen = shuffled(accounts, random).slice(0, random.between(1, 3));
      return reserve({ id: `cmd_${index}`, reservationId, legs: chosen.map((accountId) => fixedLeg(accountId, 3n)) });
    });
    expect((await hammer(nodes, holds, 7)).map(codeOf)).toEqual(ids.map(() => 'ok'));

    // Everything is settled twice, by whoever comes first; and charged directly meanwhile.
    const endings = ids.flatMap((reservationId, index): Command[] => [
      commit(2n, { id: `cmd_c${index}`, reservationId }),
      release({ id: `cmd_r${index}`, reservationId }),
      debit(1n, { id: `cmd_d${index}`, debitId: `evt_${index}`, accounts: shuffled(accounts, random).slice(0, 2) }),
    ]);
    const codes = (await hammer(nodes, shuffled(endings, random), 7)).map(codeOf);
    expect(codes.filter((code) => code === 'reservation_finalized')).toHaveLength(ids.length);
    expect(codes.filter((code) => code === 'ok')).toHaveLength(ids.length * 2);
    for (const id of accounts) expect((await accountOf(id))[2]).toBe(0n);
    expect((await first().verify()).discrepancies).toEqual([]);
  });

  test('an account that both nodes make at once is made once', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => budgetId(TENANT, `tenant:acme/app:n${index}`, TOKENS));
    const commands = ids.flatMap((accountId, index) => [
      allocate(5n, { accountId, id: `cmd_a${index}` }),
      allocate(5n, { accountId, id: `cmd_b${index}` }),
    ]);
    expect((await hammer(nodes, commands, 1)).map(codeOf)).toEqual(commands.map(() => 'ok'));
    expect(await first().accounts(ids)).toHaveProperty('size', 40);
    expect((await first().verify()).discrepancies).toEqual([]);
  });

  test('one idempotency key on both nodes charges once and answers alike', async () => {
    await first().execute('batch_0', [allocate(1000n)], 0);
    const commands = Array.from({ length: 40 }, (_, index) =>
      debit(9n, {
        id: `cmd_${index}`,
        debitId: `evt_${index}`,
        idempotency: idempotent('debit', { keepMs: 60_000, key: `key-${index % 4}` }),
      }),
    );
    const values = (await hammer(nodes, commands, 2)).map((outcome) => JSON.stringify(valueOf(outcome)));
    expect(new Set(values).size).toBe(4);
    expect(await accountOf(TENANT_BUDGET)).toEqual([1000n, 36n, 0n, 0n]);
  });

  test('an answer whose time is over is replaced by exactly one of those who come after it', async () => {
    await first().execute('batch_0', [allocate(1000n)], 0);
    const charge = (id: string): Command =>
      debit(9n, { id: `cmd_${id}`, debitId: id, idempotency: idempotent('debit', { keepMs: 60_000 }) });
    await first().execute('batch_1', [charge('old')], 0);
    await cluster.sql('UPDATE idempotency SET expires_at_ms = 1', new URL(database).pathname.slice(1));
    const outcomes = await hammer(
      nodes,
      Array.from({ length: 16 }, (_, index) => charge(`new_${index}`)),
      1,
    );
    expect(new Set(outcomes.map((outcome) => JSON.stringify(valueOf(outcome)))).size).toBe(1);
    expect(await accountOf(TENANT_BUDGET)).toEqual([1000n, 18n, 0n, 0n]);
  });

  test('usage is counted once by every reader while both nodes fold', async () => {
    await first().execute('batch_0', [allocate(1_000_000n)], 0);
    const ids = Array.from({ length: 240 }, (_, index) => `res_${String(index).padStart(4, '0')}`);
    await hammer(
      nodes,
      ids.map((reservationId) => reserve({ id: `cmd_${reservationId}`, reservationId, purpose: 'call', amount: 20n })),
      40,
    );
    const settle = (reservationId: string): Command =>
      settleCall(
        { tokens: 12n, microcents: 7n },
        { id: `cmd_s_${reservationId}`, reservationId, usage: usageOf(reservationId, { keyId: `key_${reservationId.at(-1)}` }) },
      );
    await hammer(nodes, ids.map(settle), 40);

    let isFolding = true;
    const seen = new Set<number>();
    const watch = async (node: Store): Promise<void> => {
      while (isFolding) {
        const totals = await node.usageTotals({ tenantId: TENANT, fromMs: null, intervalMs: 5000 });
        seen.add(totals.reduce((sum, total) => sum + total.requests, 0));
        const counters = await node.keyUsage({ tenantId: TENANT });
        seen.add(counters.reduce((sum, counter) => sum + counter.requests, 0));
      }
    };
    const watchers = nodes.map(watch);
    let folded = 0;
    for (let round = 0; folded < ids.length && round < 500; round += 1) {
      const counts = await Promise.all(nodes.map((node) => node.foldUsage(7)));
      folded += counts.reduce((sum, count) => sum + count, 0);
    }
    isFolding = false;
    await Promise.all(watchers);
    expect(folded).toBe(ids.length);
    expect([...seen]).toEqual([ids.length]);
    expect(await first().usageEvents({ tenantId: TENANT, limit: 1000 })).toHaveLength(ids.length);
    expect((await first().verify()).discrepancies).toEqual([]);
  });

  test('a batch is never dated before one that it saw', async () => {
    const results = [];
    for (let round = 0; round < 20; round += 1) {
      const node = nodes[round % 2] as Store;
      results.push(await node.execute(`batch_${round}`, [allocate(BigInt(round), { id: `cmd_${round}` })], round % node.lanes));
    }
    const times = results.map(({ nowMs }) => nowMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test('a hold that another node makes while a batch waits for its locks is settled by that batch', async () => {
    const busy = budgetId(TENANT, 'tenant:acme/app:busy', TOKENS);
    await first().execute('batch_0', [allocate(100n), allocate(100n, { id: 'cmd_busy', accountId: busy })], 0);
    const holder = new pg.Client({ connectionString: database });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query(`SELECT 1 FROM accounts WHERE scope = 'tenant:acme/app:busy' FOR UPDATE`);

    // Its statement that locks accounts has looked for the reservation's legs before the reservation is there.
    const waiting = first().execute('batch_1', [debit(1n, { id: 'cmd_1', debitId: 'evt_1', accounts: [busy] }), commit(4n)], 0);
    await vi.waitUntil(
      async () =>
        (await holder.query(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'castellan a' AND wait_event_type = 'Lock'`)).rowCount,
    );
    await (nodes[1] as Store).execute('batch_2', [reserve()], 0);
    await holder.query('ROLLBACK');
    await holder.end();

    expect((await waiting).outcomes.map(codeOf)).toEqual(['ok', 'ok']);
    expect(await accountOf(TENANT_BUDGET)).toEqual([100n, 4n, 0n, 0n]);
    expect((await first().verify()).discrepancies).toEqual([]);
  });

  test('text that is no plain text comes back as it was, but for the character that PostgreSQL cannot hold', async () => {
    const odd = `NULL {a,"b"} 'c' \\ é \u{1F600} \n`;
    const context = { [odd]: [odd, 'nul \0', 'half of a pair \uD800'], z: 1, a: 2 };
    await first().execute('batch_0', [allocate(100n)], 0);
    await first().execute('batch_1', [reserve({ reservationId: odd, context }), reserve({ id: 'cmd_2', reservationId: 'nul \0' })], 0);
    const stored = await first().reservation(odd);
    expect(stored?.context).toEqual(context);
    expect(Object.keys(stored?.context as object)).toEqual(Object.keys(context));
    expect((await first().reservation('nul \0'))?.id).toBe('nul \uFFFD');
    expect(await first().record('key', '\0')).toBeUndefined();
    expect((await first().verify()).discrepancies).toEqual([]);
  });

  test('the trail of each tenant is one chain, whichever node writes to it, also while old rows are forgotten and its ends are read', async () => {
    const make = makeCommands();
    const tenants = ['acme', 'zeta', 'beta'];
    const commands = Array.from({ length: 150 }, (_, index) => audited(make.createTenant(tenants[index % 3] as string)));
    const exported: ChainEnd[] = [];
    let isOver = false;
    const readEnds = async (node: Store): Promise<void> => {
      while (!isOver) exported.push(...(await node.auditHeads({ afterTenantId: '', limit: 10 })));
    };
    let forgotten = 0;
    const forget = async (node: Store): Promise<void> => {
      while (!isOver) forgotten += await node.prune({ ...DEFAULT_RETENTION, auditMs: 20 }, () => isOver, 'secret');
    };
    const beside = [readEnds(first()), forget(nodes[1] as Store)];
    await hammer(nodes, commands, 4);
    await vi.waitUntil(() => forgotten > 0);
    isOver = true;
    await Promise.all(beside);
    const ends = await first().auditHeads({ afterTenantId: '', limit: 10 });
    expect(ends.map(({ tenantId, no }) => [tenantId, no])).toEqual([
      ['acme', 50],
      ['beta', 50],
      ['zeta', 50],
    ]);
    expect((await first().verify({ exported: [...exported, ...ends], discrepancies: [], secret: 'secret' })).discrepancies).toEqual([]);
    expect(new Set(await first().auditPlaces(exported))).not.toContain('differs');
  });
});
