/**
 * Kills a server under load again and again on each store, and records what was found in `bench/results/soak-<date>.md`.
 *
 * `npm run soak -- containers` relaunches a container under load instead: see `containers.ts`.
 *
 * `npm run soak -- [kills] [sqlite|postgres]`: kills at random moments for each store (500 where nothing is said), both stores where
 * none is named. One kill in five comes on top of them, at a named point. `TEST_SEED` repeats a run's choices.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from '../../bench/support/machine.ts';
import { startCampaign, type Death } from '../crash/campaign.ts';
import { LOAD_POINTS } from '../crash/kill-points.ts';
import { startPostgresCluster } from '../support/postgres-cluster.ts';
import { seededRandom, seedOfRun, type SeededRandom } from '../support/seeded-random.ts';
import type { TestStore } from '../support/store-reader.ts';
import { soakContainers } from './containers.ts';

const DEFAULT_KILLS = 500;
/** A campaign's data grows; a new one begins after so many kills, so that the checks stay quick. */
const KILLS_PER_CAMPAIGN = 50;
const LATEST_KILL_MS = 1500;

/** What a soak of one store came to. */
interface SoakResult {
  readonly store: TestStore['kind'];
  readonly seed: number;
  readonly randomKills: number;
  readonly pointKills: number;
  readonly calls: number;
  readonly keys: number;
  readonly seconds: number;
  readonly contradictions: readonly string[];
}

async function soak(options: {
  kind: TestStore['kind'];
  kills: number;
  seed: number;
  makeStore: () => Promise<TestStore>;
}): Promise<SoakResult> {
  const { kind, kills, seed, makeStore } = options;
  const random = seededRandom(seed);
  const startedMs = Date.now();
  const sum = { randomKills: 0, pointKills: 0, calls: 0, keys: 0 };
  const contradictions: string[] = [];
  while (sum.randomKills < kills) {
    const campaign = await startCampaign({ store: await makeStore(), random });
    try {
      for (let kill = 0; kill < KILLS_PER_CAMPAIGN && sum.randomKills < kills;) {
        const death = chooseDeath(random);
        contradictions.push(...(await campaign.die(death)));
        if ('point' in death) sum.pointKills += 1;
        else {
          sum.randomKills += 1;
          kill += 1;
        }
      }
      contradictions.push(...(await campaign.finish()));
      sum.calls += campaign.log.calls.length;
      sum.keys += campaign.log.keys.size;
    } finally {
      await campaign.dispose();
    }
    console.log(
      `${kind}: ${sum.randomKills} of ${kills} random kills, ${sum.pointKills} at points, ${sum.calls} calls, ${contradictions.length} contradictions`,
    );
    for (const each of contradictions) console.log(`  ${each}`);
  }
  return { store: kind, seed, ...sum, seconds: Math.round((Date.now() - startedMs) / 1000), contradictions };
}

function chooseDeath(random: SeededRandom): Death {
  if (random.between(1, 6) > 1) return { afterMs: random.between(1, LATEST_KILL_MS) };
  const point = random.pick(LOAD_POINTS);
  return { point, hit: point === 'fold.written' ? 1 : random.between(1, 100) };
}

function record(results: readonly SoakResult[]): string {
  const rows = results.map(
    ({ store, seed, randomKills, pointKills, calls, keys, seconds, contradictions }) =>
      `| ${store} | ${seed} | ${randomKills} | ${pointKills} | ${calls} | ${keys} | ${contradictions.length} | ${seconds} s |`,
  );
  const found = results.flatMap(({ store, contradictions }) => contradictions.map((each) => `- ${store}: ${each}`));
  const text = [
    `# Soak: killed under load`,
    '',
    `Made by \`npm run soak\` on ${new Date().toISOString().slice(0, 10)}. A real process is killed (SIGKILL) under calls, streams and key changes and started again on`,
    'the same data. After each kill the ledger is verified, and after each start every answered effect must be there, once.',
    '',
    ...Object.entries(describeMachine()).map(([name, value]) => `- ${name}: ${value}`),
    '',
    '| store | seed | kills at random moments | kills at named points | calls answered | keys made | contradictions | took |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
    ...(found.length === 0 ? [] : ['## Contradictions', '', ...found, '']),
  ].join('\n');
  const folder = join(import.meta.dirname, '../../bench/results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `soak-${new Date().toISOString().slice(0, 10)}.md`);
  writeFileSync(file, text);
  return file;
}

async function soakStores([killsText, only]: readonly string[]): Promise<boolean> {
  const kills = Number(killsText ?? DEFAULT_KILLS);
  const seed = seedOfRun();
  const cluster = only === 'sqlite' ? null : await startPostgresCluster();
  const soaks: Promise<SoakResult>[] = [];
  if (only !== 'postgres') soaks.push(soak({ kind: 'sqlite', kills, seed, makeStore: () => Promise.resolve({ kind: 'sqlite' }) }));
  if (cluster !== null)
    soaks.push(soak({ kind: 'postgres', kills, seed, makeStore: async () => ({ kind: 'postgres', url: await cluster.createDatabase() }) }));
  const results = await Promise.all(soaks);
  await cluster?.stop();
  console.log(`recorded in ${record(results)}`);
  return results.every(({ contradictions }) => contradictions.length === 0);
}

const args = process.argv.slice(2);
const isSound = args[0] === 'containers' ? await soakContainers() : await soakStores(args);
process.exitCode = isSound ? 0 : 1;
