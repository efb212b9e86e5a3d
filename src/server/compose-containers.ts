import { setTimeout as wait } from 'node:timers/promises';
import { makeBringUp, type DeploymentSecrets } from '../app/containers/bring-up.ts';
import { makeContainerLease } from '../app/containers/container-lease.ts';
import { fenceEngine } from '../app/containers/fenced-engine.ts';
import { makeManageContainers, type ManageContainers } from '../app/containers/manage-containers.ts';
import { makeContainerReads } from '../app/containers/container-reads.ts';
import { makeLastLines } from '../app/containers/last-lines.ts';
import { makeMeterContainers, type MeterContainers, type MeterContainersDeps } from '../app/containers/meter-containers.ts';
import { makeManageDomains, type ManageDomains } from '../app/containers/manage-domains.ts';
import { makeReadContainerUse, type ReadContainerUse } from '../app/containers/read-container-use.ts';
import { makeReadLogs, type ReadLogs } from '../app/containers/read-logs.ts';
import { makeSampleContainers } from '../app/containers/sample-containers.ts';
import { makeContainerReconciler } from '../app/containers/reconcile-containers.ts';
import type { TakeReleaseHook } from '../app/containers/take-release-hook.ts';
import { makeRouteTable, type RouteTable } from '../app/containers/route-table.ts';
import type { LedgerWriter } from '../app/ledger-writer.ts';
import { SAMPLE_EVERY_MS } from '../core/containers/container-samples.ts';
import { SYSTEM_TENANT, type RecordKind, type RecordRef } from '../core/records.ts';
import { makeDomainLookup } from '../dns/domain-lookup.ts';
import { probeEndpoint } from '../ingress/probe-endpoint.ts';
import { startJob, type Job } from '../jobs/start-job.ts';
import type { Clock } from '../ports/clock.ts';
import type { ContainerHost, ContainerHosts } from '../ports/container-hosts.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import { makeInFlight, type InFlightTable } from '../ingress/in-flight.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { Closers } from './closers.ts';
import { composeReleases } from './compose-releases.ts';
import type { ContainersConfig } from './declared/parse-containers.ts';
import type { RunIdentity } from './run-identity.ts';

/** What the part about containers is wired from. */
export interface ContainerDeps {
  readonly containers: ContainersConfig;
  readonly writer: LedgerWriter;
  /** The writer of requests, which knows whose refusals have left a row already. */
  readonly requestWriter: Pick<LedgerWriter, 'execute'>;
  readonly store: Pick<RecordStore, 'record' | 'records' | 'accounts' | 'containerSamples'>;
  /** Rates of currencies. */
  readonly directory: MeterContainersDeps['rates'];
  readonly isShared: boolean;
  readonly run: RunIdentity;
  readonly secrets: DeploymentSecrets;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly failpoints: Failpoints;
  readonly log: Log;
  readonly closers: Closers;
}

/** The part about containers. */
export interface ContainerParts {
  readonly manage: ManageContainers;
  readonly logs: ReadLogs;
  readonly use: ReadContainerUse;
  readonly domains: ManageDomains;
  readonly routes: RouteTable;
  /** Null where no webhooks of releases are declared. */
  readonly takeReleaseHook: TakeReleaseHook | null;
  /** What is under way through the ingress of this node. */
  readonly inFlight: InFlightTable;
  readonly hosts: ContainerHosts;
  /** The domain below which containers are reached. */
  readonly baseDomain: string;
  /** The port of the gateway to debug containers; null where there is none. */
  readonly sshPort: () => number | null;
  noteSshPort(port: number): void;
  /** Calls back whenever who may open a shell may have changed on this node. The value ends it. */
  watchAccess(listener: () => void): () => void;
  /** Told of every change of records on this node. */
  recordsChanged(refs: readonly RecordRef[]): void;
  readonly jobs: readonly Job[];
}

/** Hosts and containers are looked at that often, and whenever one changed on this node. */
const LOOK_EVERY_MS = 1000;
/** Where another node may have changed something, this one knows within twice that. */
const REFRESH_EVERY_MS = 500;
/** When the right to act on hosts is taken, after a start. */
const FIRST_SAMPLE_MS = 2000;
/** So much of what containers use is not booked yet at most. */
const METER_EVERY_MS = 60_000;
/** Domains whose time has come are looked for that often. */
const CHECK_DOMAINS_EVERY_MS = 60_000;
const SETTLE_SHARED_MS = 4 * REFRESH_EVERY_MS;

/** What a shell in a container depends on. */
const ACCESS_KINDS: ReadonlySet<RecordKind> = new Set<RecordKind>(['container', 'ssh-key', 'tenant']);

/** Under this name the installation is known on hosts, which other installations may use as well. */
async function installationId({ store, writer, ids }: Pick<ContainerDeps, 'store' | 'writer' | 'ids'>): Promise<string> {
  const known = await store.record('setting', 'installation');
  if (typeof known?.value === 'string') return known.value;
  const setting = { id: 'installation', value: ids.next('inst') };
  const outcome = await writer.execute({ verb: 'init-setting', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, setting });
  if (!outcome.ok || typeof outcome.value.value !== 'string') throw new Error('this installation could not be given a name');
  return outcome.value.value;
}

/** Opens the declared hosts. Nothing is asked of them yet, and their library is loaded only where there is one: it takes its time. */
async function openHosts({ hosts }: ContainersConfig): Promise<ContainerHosts> {
  if (hosts.length === 0) return [];
  const { makeDockerEngine } = await import('../engine/docker/docker-engine.ts');
  return hosts.map(({ name, address, gpus, gpuDevices, isDefault, gpuProbe, engine, firewall }): ContainerHost => {
    return {
      name,
      address,
      gpus,
      gpuDevices,
      isDefault,
      gpuProbe,
      engine: makeDockerEngine({ host: name, docker: engine, address, firewall }),
    };
  });
}

/** What meters containers, and what keeps domains. */
function openUseAndDomains(
  deps: ContainerDeps,
  stopDrainMs: number,
): { readonly metering: MeterContainers; readonly domains: ManageDomains } {
  const { containers: config, writer, store, clock, ids, log } = deps;
  const { settings, baseDomain } = config;
  const metering = makeMeterContainers({
    records: store,
    writer,
    rates: deps.directory,
    prices: config.prices,
    graceMs: settings.unpaidGraceMs,
    stopDrainMs,
    clock,
    ids,
    log,
  });
  const domains = makeManageDomains({
    records: store,
    writer: deps.requestWriter,
    lookup: makeDomainLookup(config.dns.lookup),
    settings: { ...config.dns, baseDomain },
    clock,
    ids,
    log,
  });
  return { metering, domains };
}

/** Wires the part about containers, and starts what looks after them where hosts are declared. */
export async function composeContainers(deps: ContainerDeps): Promise<ContainerParts> {
  const { containers: config, writer, store, clock, ids, failpoints, log, closers } = deps;
  const { settings, registries, baseDomain } = config;
  const hosts = await openHosts(config);
  const inFlight = makeInFlight();
  const lastLines = makeLastLines();
  const routes = makeRouteTable({ records: store, baseDomain });
  const releases = composeReleases({ ...deps, config, records: store });
  const { source, readRelease, takeReleaseHook } = releases;
  const elapsedMs = (): number => performance.now();
  const stopDrainMs = Math.min(settings.stopDrainMs, settings.drainMs);
  const { metering, domains } = openUseAndDomains(deps, stopDrainMs);
  const jobs: Job[] = [];
  const watchers = new Set<() => void>();
  let sshPort: number | null = null;
  let hostFault: (name: string) => string | null = () => null;

  const manage = makeManageContainers({
    records: store,
    routes,
    writer: deps.requestWriter,
    ids,
    hosts,
    hostFault: (name) => hostFault(name),
    readRelease,
    metering,
    source,
    drainMs: settings.drainMs,
    stopDrainMs,
  });

  if (hosts.length > 0) {
    await routes.refresh();
    const lease = makeContainerLease({ writer, ids, ownerId: deps.run.ownerId, isAlone: !deps.isShared, elapsedMs });
    const installation = await installationId(deps);
    const timers = { elapsedMs, wait: (ms: number, signal: AbortSignal): Promise<void> => wait(ms, undefined, { signal }) };
    const shared = { ...timers, installation, registries };
    const reconciler = makeContainerReconciler({
      ...shared,
      hosts: hosts.map((host) => ({ ...host, engine: fenceEngine(host.engine, lease) })),
      records: store,
      writer,
      lease,
      metering,
      bringUp: makeBringUp({
        ...shared,
        lastLines,
        log,
        secrets: deps.secrets,
        probe: probeEndpoint,
        readyTimeoutMs: settings.readyTimeoutMs,
      }),
      inFlight,
      refreshRoutes: () => routes.refresh(),
      drainMs: settings.drainMs,
      settleMs: deps.isShared ? SETTLE_SHARED_MS : 0,
      giveUpMs: settings.giveUpMs,
      onWorkEnded: () => jobs[0]?.wake(),
      clock,
      ids,
      failpoints,
      log,
    });
    hostFault = (name) => reconciler.hostFault(name);
    closers.add('container hosts', async () => void (await Promise.all(hosts.map(({ engine }) => engine.close()))));
    closers.add('containers', () => reconciler.stop());
    jobs.push(startJob({ name: 'reconcile-containers', everyMs: LOOK_EVERY_MS, run: () => reconciler.run(), log }));
    const sample = makeSampleContainers({ records: store, writer, hosts, installation: shared.installation, lease, clock, ids, log });
    jobs.push(startJob({ name: 'sample-containers', everyMs: SAMPLE_EVERY_MS, firstInMs: FIRST_SAMPLE_MS, run: sample, log }));
    jobs.push(startJob({ name: 'meter-containers', everyMs: METER_EVERY_MS, run: () => metering.run(), log }));
    jobs.push(releases.startUpdates({ containers: manage, lease }));
    const checkEveryMs = Math.min(config.dns.checkEveryMs, CHECK_DOMAINS_EVERY_MS);
    jobs.push(startJob({ name: 'check-domains', everyMs: checkEveryMs, run: () => domains.recheck(), log }));
    if (deps.isShared) jobs.push(startJob({ name: 'refresh-routes', everyMs: REFRESH_EVERY_MS, run: () => routes.refresh(), log }));
    closers.add('jobs about containers', async () => void (await Promise.all(jobs.map((job) => job.stop()))));
  }

  const lookups = makeContainerReads({ records: store, hosts, readRelease, routes });
  return {
    routes,
    inFlight,
    hosts,
    baseDomain,
    jobs,
    domains,
    use: makeReadContainerUse({ records: store, lookups, clock }),
    logs: makeReadLogs({
      lookups,
      hosts,
      lastLines,
      installation: () => installationId(deps),
    }),
    manage,
    takeReleaseHook,
    sshPort: () => sshPort,
    noteSshPort: (port) => void (sshPort = port),
    watchAccess: (listener) => {
      watchers.add(listener);
      return () => void watchers.delete(listener);
    },
    recordsChanged: (refs) => {
      if (refs.some(({ kind }) => ACCESS_KINDS.has(kind))) for (const watch of watchers) watch();
      if (jobs.length === 0 || !refs.some(({ kind }) => kind === 'container' || kind === 'domain')) return;
      routes.refresh().catch((err: unknown) => log.error({ err }, 'the routes of containers could not be read'));
      jobs[0]?.wake();
      releases.containerChanged();
    },
  };
}
