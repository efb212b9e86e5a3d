import { isLive, liveDeployments, type Container, type Deployment } from '../../core/containers/container-records.ts';
import type { Registries } from '../../core/containers/images.ts';
import { EngineFault, type OwnedObjects, type OwnedUnit } from '../../ports/container-engine.ts';
import type { ContainerHost, ContainerHosts } from '../../ports/container-hosts.ts';
import type { Log } from '../../ports/log.ts';
import type { ContainerLease } from './container-lease.ts';
import { makeDeploymentWork, type DeploymentWork, type DeploymentWorkDeps } from './deployment-work.ts';
import { dueTasks, isComingUp, type Due, type TaskKind } from './due-tasks.ts';
import type { MeterContainers } from './meter-containers.ts';
import { makeHostSweeps, type HostSweeps } from './sweep-hosts.ts';

/** What the reconciler needs. Lengths in milliseconds. */
export interface ReconcilerDeps extends DeploymentWorkDeps {
  readonly hosts: ContainerHosts;
  readonly registries: Registries;
  readonly lease: ContainerLease;
  readonly metering: Pick<MeterContainers, 'settle'>;
  /** Called when a piece of work has ended: another look may find the next. */
  readonly onWorkEnded: () => void;
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

/** A piece of work that is under way. */
interface Task {
  readonly kind: TaskKind;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** The work that is under way, at most one piece for a deployment. */
interface Tasks {
  /** Begins what is due, unless it is under way; other work on that deployment is broken off for it first. */
  start(of: Due, host: ContainerHost): void;
  isBusy(deploymentId: string): boolean;
  /** Breaks off the work on every deployment for which `isWanted` is false. */
  abort(why: string, isWanted?: (deploymentId: string) => boolean): void;
  idle(): Promise<void>;
}

function makeTasks(deps: { readonly work: () => DeploymentWork; readonly onEnded: () => void; readonly log: Log }): Tasks {
  const tasks = new Map<string, Task>();
  return {
    isBusy: (id) => tasks.has(id),
    start: (of, host) => {
      const { id } = of.deployment;
      const running = tasks.get(id);
      if (running !== undefined) {
        if (running.kind !== of.kind) running.abort.abort(new Error('the deployment is to do something else'));
        return;
      }
      const abort = new AbortController();
      const work = deps.work().by[of.kind](of, host, abort.signal);
      const ended = work.catch((err: unknown) => {
        if (!abort.signal.aborted)
          deps.log.error({ err, deploymentId: id, task: of.kind }, 'work on a deployment failed; it is begun again');
      });
      const done = ended.then(() => {
        tasks.delete(id);
        deps.onEnded();
      });
      tasks.set(id, { kind: of.kind, abort, done });
    },
    abort: (why, isWanted = () => false) => {
      for (const [id, task] of tasks) if (!isWanted(id)) task.abort.abort(new Error(why));
    },
    idle: async () => {
      while (tasks.size > 0) await Promise.all([...tasks.values()].map(({ done }) => done));
    },
  };
}

/** Asks hosts what stands there, and remembers which do not answer. */
function makeHostList({ installation, log }: Pick<ReconcilerDeps, 'installation' | 'log'>) {
  const faults = new Map<string, string>();
  return {
    faults,
    list: async (host: ContainerHost): Promise<OwnedObjects | null> => {
      try {
        const owned = await host.engine.list(installation);
        if (faults.delete(host.name)) log.info({ host: host.name }, 'a container host answers again');
        return owned;
      } catch (err) {
        if (!faults.has(host.name)) log.error({ err, host: host.name }, 'a container host does not answer');
        faults.set(host.name, err instanceof EngineFault ? err.publicMessage : 'the host does not answer');
        return null;
      }
    },
  };
}

/** Makes the {@link ContainerReconciler}. */
export function makeContainerReconciler(deps: ReconcilerDeps): ContainerReconciler {
  const { hosts, records, lease, log } = deps;
  const { faults, list } = makeHostList(deps);
  let fence = 0;
  let isStopping = false;
  const tasks = makeTasks({
    log,
    work: () => work,
    onEnded: deps.onWorkEnded,
  });
  const sweeps: HostSweeps = makeHostSweeps({ ...deps, isBusy: (id) => tasks.isBusy(id) });
  const work = makeDeploymentWork(deps, { fence: () => fence, sweeps });

  async function forgetGone(container: Container, owned: readonly OwnedObjects[]): Promise<void> {
    if (container.deletedAtMs === null || liveDeployments(container).length > 0) return;
    for (const [index, host] of hosts.entries()) {
      const volumes = owned[index]?.volumes.filter(({ owner }) => owner.container === container.id) ?? [];
      for (const { name } of volumes) await host.engine.removeVolume(name);
    }
    try {
      await deps.metering.settle(container);
    } catch (err) {
      log.error({ err, containerId: container.id }, 'what a deleted container used could not be booked; it is tried again');
      return;
    }
    const { id: containerId, tenantId } = container;
    await deps.writer.execute({ verb: 'forget-container', id: deps.ids.next('cmd'), tenantId, containerId, fence });
  }

  /** Whoever acted before may have been killed between the end of a deployment and the removal of its images. */
  function leaveImagesOfEnded({ current, update }: Container): void {
    for (const deployment of [current, ...(update === null ? [] : [update])]) {
      const host = hosts.find(({ name }) => name === deployment.hostName);
      if (host !== undefined && !isLive(deployment)) sweeps.leaveImages(host, deployment);
    }
  }

  /** Closed tenants run nothing. Source: architecture section 13. */
  async function deleteOfClosed(containers: readonly Container[]): Promise<void> {
    const kept = containers.filter(({ deletedAtMs }) => deletedAtMs === null);
    for (const tenantId of new Set(kept.map((container) => container.tenantId))) {
      if ((await records.record('tenant', tenantId))?.status !== 'CLOSED') continue;
      for (const { id } of kept.filter((container) => container.tenantId === tenantId)) await work.remove(tenantId, id);
    }
  }

  async function run(): Promise<void> {
    const token = await lease.hold();
    if (token === null || isStopping) {
      tasks.abort('another node acts on container hosts');
      return;
    }
    const isNewHere = fence !== token;
    fence = token;
    // Hosts first: what stands there was made after its record, so a record that is read later knows of it.
    const owned = await Promise.all(hosts.map(list));
    const containers = await records.records('container');
    await deleteOfClosed(containers);
    const onHost = new Map(hosts.map(({ name }, index) => [name, owned[index] ?? null]));
    const unitsOf = ({ id, hostName }: Deployment): readonly OwnedUnit[] =>
      onHost.get(hostName)?.units.filter(({ owner }) => owner.deployment === id) ?? [];
    const due = containers.flatMap((container) => dueTasks(container, unitsOf));
    const wanted = new Set(due.map(({ deployment }) => deployment.id));
    tasks.abort('the deployment is not wanted any more', (id) => wanted.has(id));
    for (const of of due) await begin(of, onHost);
    for (const [index, host] of hosts.entries()) {
      const objects = owned[index];
      if (objects !== null && objects !== undefined) await attempt(host.name, () => sweeps.removeOrphans(host, objects, containers));
    }
    if (isNewHere) containers.forEach(leaveImagesOfEnded);
    for (const host of hosts) if (onHost.get(host.name) !== null) await attempt(host.name, () => sweeps.removeLeftImages(host));
    const reachable = owned.map((objects) => objects ?? { units: [], networks: [], volumes: [] });
    for (const container of containers) await attempt(container.current.hostName, () => forgetGone(container, reachable));
  }

  /** Does what the next look does again where a host fails: the others are not kept waiting. */
  async function attempt(hostName: string, sweep: () => Promise<void>): Promise<void> {
    await sweep().catch((err: unknown) => {
      if (!(err instanceof EngineFault)) throw err;
      log.warn({ err, host: hostName }, 'what is not needed any more could not be removed from a host');
    });
  }

  /** Begins work where its host is there. What was on a host that is not declared any more is out of our reach. */
  async function begin(of: Due, onHost: ReadonlyMap<string, OwnedObjects | null>): Promise<void> {
    const { hostName } = of.deployment;
    const host = hosts.find(({ name }) => name === hostName);
    if (host === undefined) {
      if (of.kind === 'down') await work.advance(of.container, of.deployment, { type: 'removed' });
      else if (isComingUp(of.deployment)) {
        await work.advance(of.container, of.deployment, { type: 'failed', errorMessage: `the host ${hostName} is not declared any more` });
      }
      return;
    }
    const isUp = onHost.get(hostName) !== null;
    // Work on a host that does not answer waits for it by itself; what serves there is left alone.
    if (isUp || of.kind !== 'up' || isComingUp(of.deployment)) tasks.start(of, host);
  }

  return {
    run,
    hostFault: (name) => faults.get(name) ?? null,
    idle: () => tasks.idle(),
    stop: async () => {
      isStopping = true;
      tasks.abort('the server stops');
      await tasks.idle();
      await lease.giveUp().catch((err: unknown) => log.warn({ err }, 'the lease of container hosts could not be given back'));
    },
  };
}
