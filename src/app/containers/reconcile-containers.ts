import type { ContainerProgress } from '../../core/containers/commands.ts';
import { liveDeployments, type Container, type Deployment } from '../../core/containers/container-records.ts';
import { imageAddress, resolveImage, type ImageRef, type Registries } from '../../core/containers/images.ts';
import type { CommandAudit } from '../../core/verb.ts';
import type { Clock } from '../../ports/clock.ts';
import { EngineFault, type OwnedObjects, type OwnedUnit } from '../../ports/container-engine.ts';
import type { ContainerHost, ContainerHosts } from '../../ports/container-hosts.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Ids } from '../../ports/ids.ts';
import type { InFlight } from '../../ports/ingress-routes.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { DeploymentFailed, imageAddresses, takeDown, type BringUp } from './bring-up.ts';
import type { ContainerLease } from './container-lease.ts';

/** What the reconciler needs. Lengths in milliseconds. */
export interface ReconcilerDeps {
  readonly installation: string;
  readonly hosts: ContainerHosts;
  readonly registries: Registries;
  readonly records: Pick<RecordStore, 'records' | 'record'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly lease: ContainerLease;
  readonly bringUp: BringUp;
  readonly inFlight: InFlight;
  /** Lets the ingress of this node know where requests go now. */
  readonly refreshRoutes: () => Promise<void>;
  /** How long what a deployment served before a switch may take to end. */
  readonly drainMs: number;
  /** Other nodes learn of a switch within that time: nothing is removed sooner after it. */
  readonly settleMs: number;
  /** For how long a deployment is tried again whose host, or registry, is out of reach. */
  readonly giveUpMs: number;
  /** Called when a piece of work has ended: another look may find the next. */
  readonly onWorkEnded: () => void;
  /** Lets time pass; rejects with the signal's reason where it is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly elapsedMs: () => number;
  readonly ids: Pick<Ids, 'next'>;
  readonly failpoints: Failpoints;
  readonly log: Log;
}

/** Makes what runs on the hosts what the records ask for. */
export interface ContainerReconciler {
  /** Looks once at every host and container, and begins what is missing; long work goes on after it. Does nothing while another node acts. */
  run(): Promise<void>;
  /** How each host was at the last look: null where it answered, else why not, for its users. */
  hostFault(name: string): string | null;
  /** Resolves when nothing is under way any more. */
  idle(): Promise<void>;
  /** Breaks off what is under way, and gives the lease back. What runs on the hosts goes on. */
  stop(): Promise<void>;
}

/** What is done about a deployment: brought up (or looked after again), made room for, or taken down. */
type TaskKind = 'up' | 'room' | 'down';

interface Task {
  readonly kind: TaskKind;
  readonly containerId: string;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

interface Due {
  readonly kind: TaskKind;
  readonly container: Container;
  readonly deployment: Deployment;
}

const LOOK_MS = 50;
const RETRY_MS = 1000;
const MAX_RETRY_MS = 15_000;

const isComingUp = ({ state }: Deployment): boolean => state === 'pending' || state === 'started';

/** Whether what runs of a deployment is what is recorded: every unit is there, and the one that serves is reached where the record says. */
function isWhole(deployment: Deployment, units: readonly OwnedUnit[]): boolean {
  const { config, endpoint } = deployment;
  return config.units.every(({ name }) => {
    const unit = units.find((owned) => owned.unit === name);
    if (unit === undefined) return false;
    return name === config.shim.upstreamUnit ? unit.state === 'running' && unit.publishedPort === endpoint?.port : unit.state !== 'created';
  });
}

/**
 * What is to be done about a container's deployments, given the units of each on its host. Pure. Source: Tinfoil reference section 4: an update that cannot run
 * beside what serves waits until that is gone; the rest comes up beside it.
 */
export function dueTasks(container: Container, unitsOf: (deployment: Deployment) => readonly OwnedUnit[]): Due[] {
  const { current, update, retired } = container;
  const due: Due[] = [];
  const add = (kind: TaskKind, deployment: Deployment): void => void due.push({ kind, container, deployment });
  const lookAfter = (deployment: Deployment): void => {
    if (isComingUp(deployment) || !isWhole(deployment, unitsOf(deployment))) add('up', deployment);
  };
  for (const deployment of retired) add('down', deployment);
  if (current.state === 'draining') add('down', current);
  else if (current.state === 'serving' || isComingUp(current)) lookAfter(current);
  if (update === null || update.state === 'failed') return due;
  if (update.strategy === 'blue-green') lookAfter(update);
  else if (current.state === 'serving') add('room', update);
  else if (current.state !== 'draining') lookAfter(update);
  return due;
}

/** Makes the {@link ContainerReconciler}. */
export function makeContainerReconciler(deps: ReconcilerDeps): ContainerReconciler {
  const { hosts, records, writer, lease, inFlight, log, ids } = deps;
  const tasks = new Map<string, Task>();
  const faults = new Map<string, string>();
  let fence = 0;
  let isStopping = false;

  const hostOf = (name: string): ContainerHost | undefined => hosts.find((host) => host.name === name);
  const resolve = (image: string): ImageRef | null => {
    const resolved = resolveImage(image, deps.registries);
    return resolved.ok ? resolved.image : null;
  };

  const auditOf = (operation: string, containerId: string): CommandAudit => ({
    id: ids.next('aud'),
    operation,
    actorKind: 'system',
    actorId: 'containers',
    resourceKind: 'container',
    resourceId: containerId,
    requestId: ids.next('req'),
  });

  /** Notes progress; whether it was taken: it is not where the container changed meanwhile, or another node acts. */
  async function advance(container: Container, deployment: Deployment, progress: ContainerProgress): Promise<boolean> {
    const outcome = await writer.execute({
      verb: 'advance-container',
      id: ids.next('cmd'),
      tenantId: container.tenantId,
      audit: auditOf(`container.${progress.type}`, container.id),
      containerId: container.id,
      deploymentId: deployment.id,
      replaces: container.replaces,
      fence,
      progress,
    });
    if (!outcome.ok)
      log.info({ containerId: container.id, deploymentId: deployment.id, progress: progress.type }, outcome.rejection.message);
    return outcome.ok;
  }

  /** Runs `work` until it ends, again after faults that may pass; after `giveUpMs` of these only, the deployment has failed. */
  async function insist<T>(of: Due, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const sinceMs = deps.elapsedMs();
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_RETRY_MS)) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (err) {
        if (!(err instanceof EngineFault) || signal.aborted) throw err;
        const { id, hostName } = of.deployment;
        log.warn({ err, deploymentId: id, host: hostName }, 'a host did not do what was asked; it is asked again');
        const isNew = isComingUp(of.deployment);
        if (isNew && deps.elapsedMs() - sinceMs > deps.giveUpMs) throw new DeploymentFailed(err.publicMessage, { cause: err });
        await deps.wait(pauseMs, signal);
      }
    }
  }

  async function bringUp(of: Due, host: ContainerHost, signal: AbortSignal): Promise<void> {
    const { container, deployment } = of;
    try {
      await makeRoomForReplacing(of, host, signal);
      const onStarted = async (): Promise<void> => {
        deps.failpoints.hit('container.started');
        if (deployment.state === 'pending') await advance(container, deployment, { type: 'started' });
      };
      const endpoint = await insist(of, signal, () => deps.bringUp.run({ container, deployment, host, signal, onStarted }));
      deps.failpoints.hit('container.ready');
      await advance(container, deployment, { type: 'ready', endpoint, drainMs: deps.drainMs });
      await deps.refreshRoutes();
    } catch (err) {
      await failed(of, err, signal);
    }
  }

  /** Notes that a deployment cannot come up. One that serves is tried again: it was well before. */
  async function failed({ container, deployment }: Due, err: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    if (!(err instanceof DeploymentFailed)) throw err;
    if (deployment.state === 'serving' || deployment.state === 'ready') {
      log.warn({ err, containerId: container.id, deploymentId: deployment.id }, 'a container that serves is not well; it is started again');
      await deps.wait(RETRY_MS, signal).catch(() => undefined);
      return;
    }
    await advance(container, deployment, { type: 'failed', errorMessage: err.message });
  }

  /** Deletes the container that this one replaces before it comes up, where both cannot be there at a time. */
  async function makeRoomForReplacing(of: Due, host: ContainerHost, signal: AbortSignal): Promise<void> {
    const { container, deployment } = of;
    const { replaces } = container;
    if (replaces === null || deployment.strategy !== 'stop-first' || deployment.state !== 'pending') return;
    const replaced = await records.record('container', replaces);
    if (replaced === undefined) return;
    if (replaced.deletedAtMs === null) {
      await insist(of, signal, () => deps.bringUp.pull({ container, deployment, host, signal }));
      const audit = auditOf('delete-container', replaces);
      await writer.execute({ verb: 'delete-container', id: ids.next('cmd'), tenantId: container.tenantId, audit, containerId: replaces });
    }
    while ((await records.record('container', replaces)) !== undefined) await deps.wait(LOOK_MS, signal);
  }

  /** Lets what serves go, once everything that its successor needs from elsewhere is there. */
  async function makeRoom(of: Due, host: ContainerHost, signal: AbortSignal): Promise<void> {
    const { container, deployment } = of;
    try {
      await insist(of, signal, () => deps.bringUp.pull({ container, deployment, host, signal }));
      await advance(container, deployment, { type: 'stopping-current', drainMs: deps.drainMs });
      await deps.refreshRoutes();
    } catch (err) {
      await failed(of, err, signal);
    }
  }

  /** Waits until a deployment serves nothing any more, or its time is over: then the rest is cut. */
  async function drain({ deployment }: Due, signal: AbortSignal): Promise<void> {
    await deps.refreshRoutes();
    const untilMs = deployment.drainUntilMs ?? 0;
    const sinceMs = deps.elapsedMs();
    const isOver = (): boolean => deps.clock.nowMs() >= untilMs;
    const isSettled = (): boolean => deps.elapsedMs() - sinceMs >= deps.settleMs;
    while (!isOver() && !(isSettled() && inFlight.count(deployment.id) === 0)) await deps.wait(LOOK_MS, signal);
    const cut = inFlight.cut(deployment.id);
    if (cut > 0) log.warn({ deploymentId: deployment.id, cut }, 'requests of a deployment that was replaced took too long and were cut');
  }

  async function takeAway(of: Due, host: ContainerHost, signal: AbortSignal): Promise<void> {
    const { container, deployment } = of;
    await drain(of, signal);
    await insist(of, signal, async () => {
      const owned = await host.engine.list(deps.installation);
      const units = owned.units.filter(({ owner }) => owner.deployment === deployment.id);
      const networks = owned.networks.filter(({ owner }) => owner.deployment === deployment.id).map(({ name }) => name);
      await takeDown({ engine: host.engine, deployment, units, networks });
      deps.failpoints.hit('container.removed');
    });
    await advance(container, deployment, { type: 'removed' });
    await sweepImages(host, [deployment]);
  }

  /** Removes the images of deployments that no other deployment of ours on that host needs. */
  async function sweepImages(host: ContainerHost, gone: readonly Deployment[]): Promise<void> {
    const containers = await records.records('container');
    const kept = containers.flatMap(liveDeployments).filter(({ hostName }) => hostName === host.name);
    const needed = imageAddresses(kept, resolve);
    for (const { image } of gone.flatMap(({ config }) => config.units)) {
      const ref = resolve(image);
      if (ref !== null && !needed.has(imageAddress(ref))) await host.engine.removeImage(ref);
    }
  }

  const WORK: Readonly<Record<TaskKind, (of: Due, host: ContainerHost, signal: AbortSignal) => Promise<void>>> = {
    up: bringUp,
    room: makeRoom,
    down: takeAway,
  };

  function start(of: Due, host: ContainerHost): void {
    const { id } = of.deployment;
    const running = tasks.get(id);
    if (running !== undefined) {
      if (running.kind !== of.kind) running.abort.abort(new Error('the deployment is to do something else'));
      return;
    }
    const abort = new AbortController();
    const work = WORK[of.kind](of, host, abort.signal).catch((err: unknown) => {
      if (!abort.signal.aborted) log.error({ err, deploymentId: id, task: of.kind }, 'work on a deployment failed; it is begun again');
    });
    const done = work.then(async () => {
      tasks.delete(id);
      if (abort.signal.aborted && of.kind !== 'down' && !isStopping) await dropImages(of, host);
      deps.onWorkEnded();
    });
    tasks.set(id, { kind: of.kind, containerId: of.container.id, abort, done });
  }

  /** An update that was dropped while it came up may have left images that nothing needs. */
  const dropImages = ({ deployment }: Due, host: ContainerHost): Promise<void> =>
    sweepImages(host, [deployment]).catch((err: unknown) => log.warn({ err, deploymentId: deployment.id }, 'images could not be removed'));

  /** What stands on a host; null where it does not answer. */
  async function listHost(host: ContainerHost): Promise<OwnedObjects | null> {
    try {
      const owned = await host.engine.list(deps.installation);
      if (faults.delete(host.name)) log.info({ host: host.name }, 'a container host answers again');
      return owned;
    } catch (err) {
      if (!faults.has(host.name)) log.error({ err, host: host.name }, 'a container host does not answer');
      faults.set(host.name, err instanceof EngineFault ? err.publicMessage : 'the host does not answer');
      return null;
    }
  }

  /** Removes from a host what belongs to no deployment that is to be there, and volumes of containers that are gone. */
  async function removeOrphans(host: ContainerHost, owned: OwnedObjects, containers: readonly Container[]): Promise<void> {
    const live = new Set(
      containers
        .flatMap(liveDeployments)
        .filter(({ hostName }) => hostName === host.name)
        .map(({ id }) => id),
    );
    const isOrphan = ({ owner }: { readonly owner: { readonly deployment: string | null } }): boolean =>
      owner.deployment !== null && !live.has(owner.deployment) && !tasks.has(owner.deployment);
    const units = owned.units.filter(isOrphan);
    for (const unit of units) {
      log.info({ host: host.name, unit: unit.name }, 'a unit that belongs to no deployment is removed');
      await host.engine.removeUnit(unit.id);
    }
    for (const { name } of owned.networks.filter(isOrphan)) await host.engine.removeNetwork(name);
    const known = new Set(containers.map(({ id }) => id));
    for (const { name } of owned.volumes.filter(({ owner }) => !known.has(owner.container))) await host.engine.removeVolume(name);
    if (units.length > 0) await removeImagesOf(host, units, containers);
  }

  /** Removes images that units were made of that are gone, where nothing else of ours needs them. */
  async function removeImagesOf(host: ContainerHost, units: readonly OwnedUnit[], containers: readonly Container[]): Promise<void> {
    const kept = imageAddresses(containers.flatMap(liveDeployments), resolve);
    for (const address of new Set(units.flatMap(({ image }) => (image === null || kept.has(image) ? [] : [image])))) {
      const parts = /^(?<host>[^/]+)\/(?<repository>.+)@(?<digest>sha256:[0-9a-f]{64})$/.exec(address)?.groups;
      const { host: from, repository, digest } = parts ?? {};
      if (from === undefined || repository === undefined || digest === undefined) continue;
      await host.engine.removeImage({ host: from, repository, digest, kind: 'other' });
    }
  }

  /** Ends work on deployments that are not to be there any more. */
  function abortStale(due: readonly Due[]): void {
    const wanted = new Set(due.map(({ deployment }) => deployment.id));
    for (const [id, task] of tasks) if (!wanted.has(id)) task.abort.abort(new Error('the deployment is not wanted any more'));
  }

  async function forgetGone(container: Container, owned: readonly OwnedObjects[]): Promise<void> {
    if (container.deletedAtMs === null || liveDeployments(container).length > 0) return;
    for (const [index, host] of hosts.entries()) {
      const volumes = owned[index]?.volumes.filter(({ owner }) => owner.container === container.id) ?? [];
      for (const { name } of volumes) await host.engine.removeVolume(name);
    }
    await writer.execute({ verb: 'forget-container', id: ids.next('cmd'), tenantId: container.tenantId, containerId: container.id, fence });
  }

  /** Closed tenants run nothing. Source: architecture section 13. */
  async function deleteOfClosed(containers: readonly Container[]): Promise<void> {
    const tenantIds = new Set(containers.filter(({ deletedAtMs }) => deletedAtMs === null).map(({ tenantId }) => tenantId));
    for (const tenantId of tenantIds) {
      if ((await records.record('tenant', tenantId))?.status !== 'CLOSED') continue;
      for (const { id } of containers.filter((container) => container.tenantId === tenantId && container.deletedAtMs === null)) {
        await writer.execute({
          verb: 'delete-container',
          id: ids.next('cmd'),
          tenantId,
          audit: auditOf('delete-container', id),
          containerId: id,
        });
      }
    }
  }

  async function run(): Promise<void> {
    const token = await lease.hold();
    if (token === null || isStopping) {
      for (const task of tasks.values()) task.abort.abort(new Error('another node acts on container hosts'));
      return;
    }
    fence = token;
    // Hosts first: what stands there was made after its record, so a record that is read later knows of it.
    const owned = await Promise.all(hosts.map(listHost));
    const containers = await records.records('container');
    await deleteOfClosed(containers);
    const onHost = new Map(hosts.map(({ name }, index) => [name, owned[index] ?? null]));
    const unitsOf = ({ id, hostName }: Deployment): readonly OwnedUnit[] =>
      onHost.get(hostName)?.units.filter(({ owner }) => owner.deployment === id) ?? [];
    const due = containers.flatMap((container) => dueTasks(container, unitsOf));
    abortStale([...due]);
    for (const of of due) await begin(of, onHost);
    for (const [index, host] of hosts.entries()) {
      const objects = owned[index];
      if (objects !== null && objects !== undefined) await attempt(host.name, () => removeOrphans(host, objects, containers));
    }
    const reachable = owned.map((objects) => objects ?? { units: [], networks: [], volumes: [] });
    for (const container of containers) await attempt(container.current.hostName, () => forgetGone(container, reachable));
  }

  /** Does what the next look does again where a host fails: the others are not kept waiting. */
  async function attempt(hostName: string, work: () => Promise<void>): Promise<void> {
    await work().catch((err: unknown) => {
      if (!(err instanceof EngineFault)) throw err;
      log.warn({ err, host: hostName }, 'what is not needed any more could not be removed from a host');
    });
  }

  /** Begins work where its host is there. What was on a host that is not declared any more is out of our reach. */
  async function begin(of: Due, onHost: ReadonlyMap<string, OwnedObjects | null>): Promise<void> {
    const { hostName } = of.deployment;
    const host = hostOf(hostName);
    if (host === undefined) {
      if (of.kind === 'down') await advance(of.container, of.deployment, { type: 'removed' });
      else if (isComingUp(of.deployment)) {
        await advance(of.container, of.deployment, { type: 'failed', errorMessage: `the host ${hostName} is not declared any more` });
      }
      return;
    }
    const isUp = onHost.get(hostName) !== null;
    // Work on a host that does not answer waits for it by itself; what serves there is left alone.
    if (isUp || of.kind !== 'up' || isComingUp(of.deployment)) start(of, host);
  }

  return {
    run,
    hostFault: (name) => faults.get(name) ?? null,
    idle: async () => {
      while (tasks.size > 0) await Promise.all([...tasks.values()].map(({ done }) => done));
    },
    stop: async () => {
      isStopping = true;
      for (const task of tasks.values()) task.abort.abort(new Error('the server stops'));
      await Promise.all([...tasks.values()].map(({ done }) => done));
      await lease.giveUp().catch((err: unknown) => log.warn({ err }, 'the lease of container hosts could not be given back'));
    },
  };
}
