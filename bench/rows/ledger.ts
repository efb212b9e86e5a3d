import { keyCapId, TOKENS, USD_MICROCENTS, budgetId, type AccountId } from '../../src/core/ledger/account.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { startPostgresCluster } from '../../test/support/postgres-cluster.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { temporaryFolder } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { median, rounded } from '../support/stats.ts';

const TENANT = 'bench';
const BATCHES = [1, 16, 64, 128] as const;

const legs: readonly AccountId[] = [
  keyCapId(TENANT, 'k', TOKENS),
  keyCapId(TENANT, 'k', USD_MICROCENTS),
  budgetId(TENANT, `tenant:${TENANT}`, USD_MICROCENTS),
];

const reserve = (id: string): Command => ({
  verb: 'reserve',
  id: `cmd_${id}`,
  tenantId: TENANT,
  reservationId: id,
  purpose: 'call',
  legs: legs.map((accountId) => ({ accountId, base: 100n, perUnit: 1n, divisor: 1n, required: false })),
  output: { min: 64n, max: 64n },
  mustCover: false,
  mustCoverMoney: false,
  otherUnitAccounts: [],
  overagePolicy: 'ALLOW_IF_AVAILABLE',
  ttlMs: 60_000,
  graceMs: 5000,
  maxExtensions: 0,
  ownerId: 'bench',
  context: { keyId: 'k', model: 'bench' },
});

const settle = (id: string): Command => ({
  verb: 'settle-call',
  id: `cmd_s${id}`,
  tenantId: TENANT,
  reservationId: id,
  actuals: { tokens: 90n, microcents: 80n },
  usage: {
    id,
    tenantId: TENANT,
    keyId: 'k',
    model: 'bench',
    upstreamId: 'u',
    priceId: 'p',
    route: '/v1/chat/completions',
    requests: 1,
    promptTokens: 60,
    completionTokens: 30,
    cachedPromptTokens: 0,
    reasoningTokens: 0,
    costNanoUsd: 800n,
    chargeMicrocents: 80n,
    streaming: false,
    estimated: false,
    interrupted: false,
  },
});

/** Pairs a second of reserve then settle, durable, `batch` calls at once. */
async function pairsPerSecond(store: LedgerStore, batch: number, options: { seconds: number; series: string }): Promise<number> {
  const startMs = performance.now();
  let pairs = 0;
  for (let round = 0; performance.now() - startMs < options.seconds * 1000; round += 1) {
    const ids = Array.from({ length: batch }, (_, index) => `${options.series}_${String(round).padStart(9, '0')}_${index}`);
    await store.execute(`b_${options.series}_${round}_r`, ids.map(reserve), 0);
    await store.execute(`b_${options.series}_${round}_s`, ids.map(settle), 0);
    pairs += batch;
  }
  return pairs / ((performance.now() - startMs) / 1000);
}

async function prepare(store: LedgerStore): Promise<void> {
  const allocate = legs.map((accountId, index): Command => ({
    verb: 'allocate',
    id: `cmd_a${index}`,
    tenantId: TENANT,
    accountId,
    allocated: 4_000_000_000_000_000n,
  }));
  await store.execute('b_prepare', allocate, 0);
}

/** Reserve and settle in process, without HTTP: three accounts a call, usage booked, durable at each step, on both stores in turn. */
export async function ledgerPairs(options: { quick: boolean }): Promise<Row[]> {
  const cluster = await startPostgresCluster();
  const sqlite = await openSqliteStore({ dataDir: temporaryFolder('ledger'), clock: { nowMs: Date.now } });
  const postgres = await openPostgresStore({ url: await cluster.createDatabase() });
  const stores = { sqlite, postgres } as const;
  const rounds = options.quick ? 2 : 5;
  const rows: Row[] = [];
  try {
    for (const store of Object.values(stores)) await prepare(store);
    for (const batch of BATCHES) {
      const rates: Record<keyof typeof stores, number[]> = { sqlite: [], postgres: [] };
      for (let round = 0; round <= rounds; round += 1) {
        for (const name of ['sqlite', 'postgres'] as const) {
          const rate = await pairsPerSecond(stores[name], batch, { seconds: options.quick ? 0.5 : 2, series: `${name}${batch}x${round}` });
          if (round > 0) rates[name].push(rate);
        }
      }
      const [ours, other] = [median(rates.sqlite), median(rates.postgres)];
      rows.push({
        what: `ledger pairs in process, ${batch} calls at once`,
        ours: `SQLite ${Math.round(ours)} pairs/s`,
        baseline: `PostgreSQL ${Math.round(other)} pairs/s`,
        ratio: `PostgreSQL ${rounded(other / ours)} of SQLite`,
        owed: 'PostgreSQL at least 0.5',
      });
    }
  } finally {
    await sqlite.close();
    await postgres.close();
    await cluster.stop();
  }
  return rows;
}
