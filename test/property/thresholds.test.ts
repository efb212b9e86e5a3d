import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { budgetId, keyCapId, TOKENS, USD_MICROCENTS, type AccountId } from '../../src/core/ledger/account.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeManualClock } from '../support/fakes.ts';
import { allocate, debit, fixedLeg, fund, reserve, settleCall, START_MS } from '../support/ledger-fixtures.ts';
import { makeMemoryStore } from '../support/memory-store.ts';
import { describePostgres, startPostgresCluster } from '../support/postgres-cluster.ts';
import { runsOf, seedOf } from './runs.ts';

type Store = LedgerStore & RecordStore;

/** One thing that happens to an account of the run, by its place. */
type Step =
  | { readonly op: 'spend' | 'call' | 'raise' | 'reset'; readonly account: number; readonly amount: bigint }
  | { readonly op: 'limit'; readonly account: number; readonly amount: bigint | null };

const ACCOUNTS = 4;
const THRESHOLDS = [50n, 80n, 95n, 100n];

/** The accounts of a run: a key's two caps and its tenant's two budgets. */
const accountsOf = (tenantId: string): AccountId[] => [
  keyCapId(tenantId, 'k', TOKENS),
  keyCapId(tenantId, 'k', USD_MICROCENTS),
  budgetId(tenantId, `tenant:${tenantId}`, TOKENS),
  budgetId(tenantId, `tenant:${tenantId}`, USD_MICROCENTS),
];

const amounts = fc.oneof(fc.bigInt({ min: 0n, max: 130n }), fc.constantFrom(1n, 49n, 50n, 51n, 100n, 2n ** 62n));
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ op: fc.constantFrom('spend' as const, 'call' as const), account: places(), amount: amounts }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('raise' as const, 'reset' as const), account: places(), amount: amounts }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('limit' as const), account: places(), amount: fc.option(amounts) }) },
  ),
  { minLength: 1, maxLength: 40 },
);
function places(): fc.Arbitrary<number> {
  return fc.nat({ max: ACCOUNTS - 1 });
}

/** The commands of one step; a call is a hold and its settlement. */
function commandsOf(step: Step, at: { tenantId: string; name: string; accounts: readonly AccountId[] }): Command[] {
  const { tenantId, name } = at;
  const accountId = at.accounts[step.account] as AccountId;
  const base = { id: name, tenantId };
  switch (step.op) {
    case 'spend':
      return [debit(step.amount, { ...base, debitId: name, accounts: [accountId], overagePolicy: 'ALLOW_WITH_OVERDRAFT' })];
    case 'call': {
      const reservationId = `res_${name}`;
      return [
        reserve({ ...base, id: `${name}.hold`, reservationId, purpose: 'call', legs: [fixedLeg(accountId, 0n)], ownerId: 'run' }),
        settleCall({ tokens: step.amount, microcents: step.amount }, { ...base, id: `${name}.settle`, reservationId }),
      ];
    }
    case 'raise':
      return [fund('CREDIT', step.amount, { ...base, accountId })];
    case 'reset':
      return [fund('RESET_SPENT', step.amount, { ...base, accountId })];
    case 'limit':
      return [allocate(step.amount, { ...base, accountId })];
  }
}

interface Shares {
  readonly limit: bigint | null;
  readonly spent: bigint;
}

/** Whether that share of the limit is spent; written down anew here, without a look at what the program does. */
const isReached = ({ limit, spent }: Shares, percent: bigint): boolean => limit !== null && spent > 0n && spent * 100n >= limit * percent;

/**
 * Plays steps one command after another, in batches of the given sizes, and says what must have been told: a line for each account and
 * threshold that a command took from below to reached. The shares come from a twin that runs each command alone.
 */
async function play(
  store: Store,
  script: { readonly steps: readonly Step[]; readonly batchSize: number },
  tenantId: string,
): Promise<void> {
  const accounts = accountsOf(tenantId);
  const clock = makeManualClock(START_MS);
  const twin = makeMemoryStore({ clock });
  const start = accounts.map((accountId, index) => allocate(100n, { id: `${tenantId}.start.${index}`, tenantId, accountId }));
  const commands = [
    ...start,
    ...script.steps.flatMap((step, index) => commandsOf(step, { tenantId, accounts, name: `${tenantId}.${index}` })),
  ];

  const expected: string[] = [];
  const sharesOf = (id: AccountId): Shares => ({
    limit: twin.tables.accounts.get(id)?.allocated ?? null,
    spent: twin.tables.accounts.get(id)?.spent ?? 0n,
  });
  for (const command of commands) {
    const before = accounts.map(sharesOf);
    await twin.execute('batch', [command], 0);
    for (const [index, id] of accounts.entries()) {
      for (const percent of THRESHOLDS) {
        if (isReached(sharesOf(id), percent) && !isReached(before[index] as Shares, percent)) expected.push(`${id} ${percent}`);
      }
    }
  }

  for (let at = 0; at < commands.length; at += script.batchSize) {
    await store.execute(`${tenantId}.batch.${at}`, commands.slice(at, at + script.batchSize), 0);
  }
  expect((await toldOf(store, tenantId)).toSorted()).toEqual(expected.toSorted());
}

/** What the store's events tell, a line for each. */
async function toldOf(store: Store, tenantId: string): Promise<string[]> {
  const events = await store.events({ tenantId, limit: 10_000 });
  return events
    .filter(({ event }) => event.type.endsWith('.threshold_crossed') && (event.data as { direction?: string }).direction !== 'falling')
    .map(({ event }) => {
      const { kind, scope, unit, threshold_percent: percent } = event.data as Record<string, string>;
      return `${tenantId}|${kind}|${scope}|${unit}| ${percent}`;
    });
}

async function expectEachOnceAtRandom(store: Store, options: { runs: number; name: string }): Promise<void> {
  const seed = seedOf();
  const numRuns = runsOf(options.runs);
  console.log(`threshold property on ${options.name}: ${numRuns} runs, seed ${seed}`);
  let runs = 0;
  const script = fc.record({ steps, batchSize: fc.integer({ min: 1, max: 9 }) });
  await fc.assert(
    fc.asyncProperty(script, (given) => play(store, given, `threshold-${(runs += 1)}`)),
    { seed, numRuns },
  );
}

/**
 * Many charges at once on the same accounts, from every node: whichever of them passes a threshold tells of it, and no other.
 */
async function expectEachOnceAtOnce(nodes: readonly Store[]): Promise<void> {
  const tenantId = 'race';
  const accounts = accountsOf(tenantId);
  const [first] = nodes as [Store];
  const limit = 200;
  const round = async (name: string): Promise<void> => {
    const charges = Array.from({ length: limit }, (_, index) =>
      debit(1n, { id: `${name}.${index}`, tenantId, debitId: `${name}.${index}`, accounts, overagePolicy: 'ALLOW_WITH_OVERDRAFT' }),
    );
    await Promise.all(
      charges.map((charge, index) => {
        const node = nodes[index % nodes.length] as Store;
        return node.execute(`batch.${charge.id}`, [charge], index % node.lanes);
      }),
    );
  };
  const eachOnce = accounts.flatMap((id) => THRESHOLDS.map((percent) => `${id} ${percent}`)).toSorted();
  const limits = accounts.map((accountId, index) => allocate(BigInt(limit), { id: `race.limit.${index}`, tenantId, accountId }));
  await first.execute('race.limits', limits, 0);
  await round('one');
  expect((await toldOf(first, tenantId)).toSorted()).toEqual(eachOnce);
  // After a reset, each is told once more.
  const resets = accounts.map((accountId, index) => fund('RESET_SPENT', BigInt(limit), { id: `race.reset.${index}`, tenantId, accountId }));
  await first.execute('race.resets', resets, 0);
  await round('two');
  expect((await toldOf(first, tenantId)).toSorted()).toEqual([...eachOnce, ...eachOnce].toSorted());
  expect((await first.verify()).discrepancies).toEqual([]);
}

describe('each threshold that a command makes an account pass is told exactly once', () => {
  test('by the decisions over plain maps', { timeout: 600_000 }, () =>
    expectEachOnceAtRandom(makeMemoryStore({ clock: makeManualClock(START_MS) }), { runs: 300, name: 'memory' }),
  );

  test('by SQLite, at random and at once', { timeout: 600_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'castellan-thresholds-'));
    const store = await openSqliteStore({ file: join(folder, 'thresholds.db'), clock: makeManualClock(START_MS) });
    try {
      await expectEachOnceAtRandom(store, { runs: 25, name: 'SQLite' });
      await expectEachOnceAtOnce([store]);
    } finally {
      await store.close();
      rmSync(folder, { recursive: true });
    }
  });
});

describePostgres('each threshold that a command makes an account pass is told exactly once', () => {
  test('by two nodes on PostgreSQL, at random and at once', { timeout: 600_000 }, async () => {
    const cluster = await startPostgresCluster({ fsync: false });
    try {
      const url = await cluster.createDatabase();
      const nodes = await Promise.all(['a', 'b'].map((nodeId) => openPostgresStore({ url, nodeId })));
      try {
        await expectEachOnceAtRandom(nodes[0] as Store, { runs: 25, name: 'PostgreSQL' });
        await expectEachOnceAtOnce(nodes);
      } finally {
        await Promise.all(nodes.map((node) => node.close()));
      }
    } finally {
      await cluster.stop();
    }
  });
});
