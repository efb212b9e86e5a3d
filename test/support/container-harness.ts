import { setImmediate as turn } from 'node:timers/promises';
import { DEFAULT_ENTITLEMENTS } from '../../src/core/access/defaults.ts';
import type { AppConnection } from '../../src/core/containers/app-connection.ts';
import type { ContainerConfig, UnitConfig } from '../../src/core/containers/config/container-config.ts';
import type { Container } from '../../src/core/containers/container-records.ts';
import { DEFAULT_REGISTRIES } from '../../src/core/containers/images.ts';
import type { ResourcePrices } from '../../src/core/containers/container-meter.ts';
import { USD_RATE } from '../../src/core/pricing/currency.ts';
import type { Tenant } from '../../src/core/records.ts';
import { accepted, rejected, type Outcome } from '../../src/core/rejection.ts';
import type { Actor } from '../../src/app/audited-command.ts';
import { makeBringUp } from '../../src/app/containers/bring-up.ts';
import { makeLastLines } from '../../src/app/containers/last-lines.ts';
import { makeContainerLease } from '../../src/app/containers/container-lease.ts';
import { fenceEngine } from '../../src/app/containers/fenced-engine.ts';
import { makeManageDomains, type ManageDomains } from '../../src/app/containers/manage-domains.ts';
import { DEFAULT_DNS } from '../../src/server/declared/parse-dns.ts';
import { makeMeterContainers, type MeterContainers } from '../../src/app/containers/meter-containers.ts';
import { makeManageContainers, type ManageContainers } from '../../src/app/containers/manage-containers.ts';
import type { Release } from '../../src/app/containers/read-release.ts';
import { makeContainerReconciler, type ContainerReconciler } from '../../src/app/containers/reconcile-containers.ts';
import { makeRouteTable, type RouteTable } from '../../src/app/containers/route-table.ts';
import { makeDeploymentSecrets } from '../../src/app/containers/deployment-secrets.ts';
import { makeManageRegistries, type ManageRegistries } from '../../src/app/containers/manage-registries.ts';
import { makeManageSecrets, type ManageSecrets } from '../../src/app/containers/manage-secrets.ts';
import { makeManageSshKeys, type ManageSshKeys } from '../../src/app/containers/manage-ssh-keys.ts';
import { parseSshKey } from '../../src/ssh/parse-ssh-key.ts';
import { makeDataKeys } from '../../src/server/secrets/data-keys.ts';
import { makeLedgerWriter } from '../../src/app/ledger-writer.ts';
import { makeCountingIds, makeFakeSecretBox, makeManualClock, makeMemoryLog } from './fakes.ts';
import { makeFakeEngine, type FakeEngine } from './fake-engine.ts';
import { makeMemoryStore, type MemoryStore } from './memory-store.ts';

const LOOK_EVERY_MS = 500;
const TURNS = 12;
/** Longer than a host that failed is left alone, and than a lease of a process that was killed. */
const QUIET_LOOKS = 70;
const MAX_LOOKS = 1500;
const NOW_MS = Date.UTC(2026, 3, 9);
const DIGEST = `sha256:${'a'.repeat(64)}`;

export const ACME: Tenant = {
  id: 'acme',
  name: 'Acme',
  status: 'ACTIVE',
  entitlements: { ...DEFAULT_ENTITLEMENTS, containerSubscription: true, gpuAccess: true, maxGpus: 8, maxContainers: 5, hostChoice: true },
  requireBudget: false,
  allowUnpriced: false,
  hideAmounts: false,
  keyCount: 0,
  createdAtMs: 1,
};

export const ANN: Actor = { kind: 'admin_key', id: 'k1', requestId: 'r1' };

/** A unit of a configuration: read-only, without anything else. */
export const unitOf = (name: string, changes: Partial<UnitConfig> = {}): UnitConfig => ({
  name,
  image: `ghcr.io/acme/${name}@${DIGEST}`,
  digest: DIGEST,
  command: null,
  entrypoint: null,
  workingDir: null,
  user: null,
  env: [],
  secrets: [],
  volumes: [],
  networks: [],
  ports: [],
  gpus: null,
  ipc: null,
  capAdd: [],
  shmBytes: null,
  memoryBytes: null,
  cpus: null,
  tmpfs: [],
  readOnly: true,
  pidsLimit: 64,
  restart: { name: 'no', maximumRetries: 0 },
  stopSignal: null,
  stopTimeoutS: null,
  healthcheck: null,
  ...changes,
});

/** A configuration of one unit that serves. */
export const configOf = (changes: Partial<ContainerConfig> = {}): ContainerConfig => ({
  cvmVersion: null,
  cpus: 1,
  memoryMb: 64,
  gpus: 0,
  units: [unitOf('web')],
  networks: [],
  volumes: [],
  shim: {
    upstreamUnit: 'web',
    upstreamPort: 80,
    paths: [],
    origins: null,
    authenticated: false,
    authenticatedEndpoints: [],
    rateLimit: null,
    rateBurst: null,
  },
  ...changes,
});

/** Everything about containers but the ingress, on a store and an engine in memory; time passes only where something waits for it. */
export interface ContainerHarness {
  readonly store: MemoryStore;
  readonly engine: FakeEngine;
  readonly containers: ManageContainers;
  readonly secrets: ManageSecrets;
  readonly registries: ManageRegistries;
  readonly sshKeys: ManageSshKeys;
  readonly metering: MeterContainers;
  readonly domains: ManageDomains;
  /** The TXT records that there are, by their names. */
  readonly dns: Map<string, readonly string[]>;
  readonly routes: RouteTable;
  /** What the tags of any repository are to run; others are not there. */
  readonly releases: Map<string, Partial<Release>>;
  /** Open requests, by deployment. */
  readonly open: Map<string, number>;
  /** Units that answer no HTTP, by image. */
  readonly deaf: Set<string>;
  /** The reconciler of the process that lives; {@link ContainerHarness.crash} makes another. */
  readonly reconciler: () => ContainerReconciler;
  /** Ends the process as a kill does: nothing of it goes on. A new one takes over once the lease of the old one has run out, or at once. */
  crash(): void;
  /** How the App stands to every repository. */
  readonly app: { connection: AppConnection };
  /** Lets the reconciler look once, and half a second pass. */
  look(): Promise<void>;
  /** Lets the reconciler look until nothing has changed for longer than anything waits. */
  settle(): Promise<void>;
  /** Lets time pass. */
  advance(ms: number): void;
  container(id: string): Container | undefined;
}

/** Makes a {@link ContainerHarness}. */
export function makeContainerHarness(
  options: { readonly prices?: ResourcePrices; readonly onTime?: (ms: number) => void; readonly isPolled?: boolean } = {},
): ContainerHarness {
  const clock = makeManualClock(NOW_MS);
  let elapsed = 0;
  const ids = makeCountingIds();
  const log = makeMemoryLog();
  const store = makeMemoryStore({ clock });
  store.tables.records.set('tenant acme', ACME);
  const failpoints = { hit: (): void => undefined };
  const writer = makeLedgerWriter({ store, ids, onRecordsChanged: () => undefined, maxQueued: 1000, failpoints, log });
  const engine = makeFakeEngine();
  const routes = makeRouteTable({ records: store, baseDomain: 'containers.localhost' });
  const open = new Map<string, number>();
  const deaf = new Set<string>();
  const app: { connection: AppConnection } = { connection: 'no_app' };
  const releases = new Map<string, Partial<Release>>([['v1', {}]]);
  const dataKeys = makeDataKeys({ secretBox: makeFakeSecretBox() });
  const dns = new Map<string, readonly string[]>();
  const domains = makeManageDomains({
    records: store,
    writer,
    lookup: { texts: async (name) => [...(dns.get(name) ?? [])], alias: async () => null },
    settings: { ...DEFAULT_DNS, baseDomain: 'containers.localhost' },
    clock,
    ids,
    log,
  });
  const metering = makeMeterContainers({
    records: store,
    writer,
    rates: { refresh: async () => undefined, catalogue: { rate: (currency) => ({ ...USD_RATE, currency }) } },
    prices: options.prices ?? { cpuHourNanos: 0n, memoryGbHourNanos: 0n, gpuHourNanos: 0n },
    graceMs: 600_000,
    stopDrainMs: 1000,
    clock,
    ids,
    log,
  });
  let run = 0;
  let reconciler = makeRun();

  const sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  function advance(ms: number): void {
    options.onTime?.(ms);
    elapsed += ms;
    clock.advance(ms);
    for (const sleeper of sleepers) {
      if (sleeper.untilMs > elapsed) continue;
      sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  function wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => (signal.aborted ? reject(signal.reason as Error) : resolve());
      if (signal.aborted) return end();
      const sleeper = { untilMs: elapsed + ms, wake: end };
      sleepers.add(sleeper);
      signal.addEventListener('abort', () => {
        sleepers.delete(sleeper);
        end();
      });
    });
  }

  function makeRun(): ContainerReconciler {
    run += 1;
    const mine = run;
    const isDead = (): boolean => mine !== run;
    // A process that was killed does nothing more, whatever it was in the middle of.
    const never = new Promise<never>(() => undefined);
    const alive = async <T>(work: () => Promise<T>): Promise<T> => (isDead() ? never : work().then((value) => (isDead() ? never : value)));
    const lively = { execute: ((command) => alive(() => writer.execute(command))) as typeof writer.execute };
    const lease = makeContainerLease({ writer: lively, ids, ownerId: `run-${run}`, isAlone: false, elapsedMs: () => elapsed });
    const fenced = fenceEngine(engine, lease);
    const dying = Object.fromEntries(
      Object.entries(fenced).map(([name, act]) => [
        name,
        name === 'logs' ? act : (...args: never[]) => alive(() => (act as (...given: never[]) => Promise<unknown>)(...args)),
      ]),
    ) as unknown as typeof fenced;
    const host = {
      name: 'one',
      address: '127.0.0.1',
      gpus: [1, 2, 4],
      gpuDevices: ['0', '1', '2', '3'],
      isDefault: true,
      gpuProbe: ['gpu-probe'],
      engine: dying,
    };
    const timers = { elapsedMs: () => elapsed, wait: (ms: number, signal: AbortSignal) => alive(() => wait(ms, signal)) };
    const bringUp = makeBringUp({
      lastLines: makeLastLines(),
      ...timers,
      installation: 'inst',
      registries: DEFAULT_REGISTRIES,
      secrets: makeDeploymentSecrets({ records: store, writer: lively, ids, dataKeys }),
      probe: async ({ port }) => {
        const unit = [...engine.units.values()].find(({ publishedPort }) => publishedPort === port);
        return unit !== undefined && !deaf.has(unit.spec.image.repository);
      },
      readyTimeoutMs: 5000,
      log,
    });
    return makeContainerReconciler({
      ...timers,
      installation: 'inst',
      hosts: [host],
      registries: DEFAULT_REGISTRIES,
      records: store,
      writer: lively,
      lease,
      metering,
      bringUp,
      inFlight: { count: (id) => open.get(id) ?? 0, cut: (id) => (open.delete(id) ? 1 : 0) },
      refreshRoutes: () => routes.refresh(),
      drainMs: 60_000,
      settleMs: 0,
      giveUpMs: 30_000,
      onWorkEnded: () => undefined,
      clock,
      ids,
      failpoints,
      log,
    });
  }

  const containers = makeManageContainers({
    records: store,
    routes,
    writer,
    ids,
    hosts: [
      {
        name: 'one',
        address: '127.0.0.1',
        gpus: [1, 2, 4],
        gpuDevices: ['0', '1', '2', '3'],
        isDefault: true,
        gpuProbe: ['gpu-probe'],
        engine,
      },
    ],
    hostFault: () => null,
    source: { isPolled: () => options.isPolled ?? false, connection: async () => app.connection },
    readRelease: async ({ repo, tag }): Promise<Outcome<Release>> => {
      const release = releases.get(tag);
      if (release === undefined) return rejected({ code: 'not_found', message: `${repo} has no tag ${tag}` });
      return accepted({ commit: 'c'.repeat(40), config: configOf(), warnings: [], runsTwice: true, ...release });
    },
    metering,
    drainMs: 60_000,
    stopDrainMs: 1000,
  });

  async function look(): Promise<void> {
    await reconciler.run();
    for (let turns = 0; turns < TURNS; turns += 1) await turn();
    advance(LOOK_EVERY_MS);
    await turn();
  }

  return {
    store,
    engine,
    containers,
    secrets: makeManageSecrets({ records: store, writer, ids, dataKeys }),
    registries: makeManageRegistries({ records: store, writer, ids, dataKeys }),
    sshKeys: makeManageSshKeys({ records: store, writer, ids, parseSshKey }),
    metering,
    domains,
    dns,
    routes,
    releases,
    app,
    open,
    deaf,
    reconciler: () => reconciler,
    advance,
    crash: () => {
      reconciler = makeRun();
    },
    look,
    settle: async () => {
      for (let quiet = 0, last = '', rounds = 0; quiet < QUIET_LOOKS; rounds += 1) {
        if (rounds > MAX_LOOKS) throw new Error('something changes for ever');
        await look();
        const containers = [...store.tables.records].filter(([key]) => key.startsWith('container '));
        const now = JSON.stringify([containers, engine.done.length]);
        quiet = now === last ? quiet + 1 : 0;
        last = now;
      }
    },
    container: (id) => store.tables.records.get(`container ${id}`) as Container | undefined,
  };
}
