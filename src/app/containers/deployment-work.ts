import type { ContainerProgress } from '../../core/containers/commands.ts';
import type { Container, Deployment } from '../../core/containers/container-records.ts';
import type { CommandAudit } from '../../core/verb.ts';
import type { Clock } from '../../ports/clock.ts';
import { EngineFault } from '../../ports/container-engine.ts';
import type { ContainerHost } from '../../ports/container-hosts.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Ids } from '../../ports/ids.ts';
import type { InFlight } from '../../ports/ingress-routes.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { BringUp } from './bring-up.ts';
import { isComingUp, type Due, type TaskKind } from './due-tasks.ts';
import { takeDown, type HostSweeps } from './sweep-hosts.ts';
import { DeploymentFailed } from './wait-ready.ts';

/** What work on deployments needs. Lengths in milliseconds. */
export interface DeploymentWorkDeps {
  readonly installation: string;
  readonly records: Pick<RecordStore, 'records' | 'record'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
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
  /** Lets time pass; rejects with the signal's reason where it is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly elapsedMs: () => number;
  readonly ids: Pick<Ids, 'next'>;
  readonly failpoints: Failpoints;
  readonly log: Log;
}

/** Does what is due about deployments. */
export interface DeploymentWork {
  /** By kind: as long as the signal lasts. Throws what stopped it; then it is begun again. */
  readonly by: Readonly<Record<TaskKind, (of: Due, host: ContainerHost, signal: AbortSignal) => Promise<void>>>;
  /** Notes progress; whether it was taken: it is not where the container changed meanwhile, or another node acts. */
  advance(container: Container, deployment: Deployment, progress: ContainerProgress): Promise<boolean>;
  /** Deletes a container, in the program's own name. */
  remove(tenantId: string, containerId: string): Promise<void>;
}

const LOOK_MS = 50;
const RETRY_MS = 1000;
const MAX_RETRY_MS = 15_000;

/** Makes the {@link DeploymentWork}. `fence` is the token of the lease that is held now. */
export function makeDeploymentWork(
  deps: DeploymentWorkDeps,
  at: { readonly fence: () => number; readonly sweeps: HostSweeps },
): DeploymentWork {
  const { records, log } = deps;
  const notes = makeProgressNotes(deps, at.fence);
  const { advance } = notes;
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
      await failed(of, err, { host, signal });
    }
  }

  /** Notes that a deployment cannot come up. One that serves is tried again: it was well before. */
  async function failed(
    { container, deployment }: Due,
    err: unknown,
    { host, signal }: { readonly host: ContainerHost; readonly signal: AbortSignal },
  ): Promise<void> {
    if (signal.aborted) return;
    if (!(err instanceof DeploymentFailed)) throw err;
    if (deployment.state === 'serving' || deployment.state === 'ready') {
      log.warn({ err, containerId: container.id, deploymentId: deployment.id }, 'a container that serves is not well; it is started again');
      await deps.wait(RETRY_MS, signal).catch(() => undefined);
      return;
    }
    await advance(container, deployment, { type: 'failed', errorMessage: err.message });
    at.sweeps.leaveImages(host, deployment);
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
      await notes.remove(container.tenantId, replaces);
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
      await failed(of, err, { host, signal });
    }
  }

  /** Waits until a deployment serves nothing any more, or its time is over: then the rest is cut. */
  async function drain({ deployment }: Due, signal: AbortSignal): Promise<void> {
    await deps.refreshRoutes();
    const untilMs = deployment.drainUntilMs ?? 0;
    const sinceMs = deps.elapsedMs();
    const isOver = (): boolean => deps.clock.nowMs() >= untilMs;
    const isSettled = (): boolean => deps.elapsedMs() - sinceMs >= deps.settleMs;
    while (!isOver() && !(isSettled() && deps.inFlight.count(deployment.id) === 0)) await deps.wait(LOOK_MS, signal);
    const cut = deps.inFlight.cut(deployment.id);
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
    // Before anybody forgets the deployment, since nothing else names its images.
    await insist(of, signal, () => at.sweeps.removeImages(host, deployment));
    await advance(container, deployment, { type: 'removed' });
  }

  return { ...notes, by: { up: bringUp, room: makeRoom, down: takeAway } };
}

/** Makes what sends commands about containers in the program's own name. */
function makeProgressNotes({ writer, ids, log }: DeploymentWorkDeps, fence: () => number): Pick<DeploymentWork, 'advance' | 'remove'> {
  const auditOf = (operation: string, containerId: string): CommandAudit => ({
    id: ids.next('aud'),
    operation,
    actorKind: 'system',
    actorId: 'containers',
    resourceKind: 'container',
    resourceId: containerId,
    requestId: ids.next('req'),
  });

  return {
    advance: async (container, deployment, progress) => {
      const outcome = await writer.execute({
        verb: 'advance-container',
        id: ids.next('cmd'),
        tenantId: container.tenantId,
        audit: auditOf(`container.${progress.type}`, container.id),
        containerId: container.id,
        deploymentId: deployment.id,
        replaces: container.replaces,
        fence: fence(),
        progress,
      });
      if (!outcome.ok) {
        log.info({ containerId: container.id, deploymentId: deployment.id, progress: progress.type }, outcome.rejection.message);
      }
      return outcome.ok;
    },
    remove: async (tenantId, containerId) => {
      const audit = auditOf('delete-container', containerId);
      await writer.execute({ verb: 'delete-container', id: ids.next('cmd'), tenantId, audit, containerId });
    },
  };
}
