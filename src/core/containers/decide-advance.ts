import type { Happening } from '../access/access-events.ts';
import type { ContainerEventType } from './event-types.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import type { AdvanceContainerCommand, ContainerProgress, ForgetContainerCommand } from './commands.ts';
import { liveDeployments, type Container, type Deployment } from './container-records.ts';
import { changeEffects, containerEffect, containerNeeds, toldOf } from './container-state.ts';
import { deleteEffects } from './decide-lifecycle.ts';
import { fenceNeeds, refuseFence } from './lease.ts';
import { emptied, failedWith, promoted, serving, withoutDeployment } from './transitions.ts';
import type { Effect } from '../effects.ts';

/** What progress comes to: the container, and the type of the event; null where it is none that the container's state knows. */
interface Advanced {
  readonly container: Container;
  readonly type: ContainerEventType;
  readonly isSwitched?: boolean;
}

const isComingUp = ({ state }: Deployment): boolean => state === 'pending' || state === 'started';

function startedOf(container: Container, id: string, nowMs: number): Advanced | null {
  const start = (deployment: Deployment): Deployment => (deployment.id === id ? { ...deployment, state: 'started' } : deployment);
  const { current, update } = container;
  const isUpdate = update?.id === id;
  const deployment = isUpdate ? update : current;
  if (deployment.id !== id || deployment.state !== 'pending') return null;
  const next = { ...container, current: start(current), update: update === null ? null : start(update), updatedAtMs: nowMs };
  return { container: next, type: isUpdate ? 'container.update_checking' : 'container.checking' };
}

function readyOf(
  container: Container,
  id: string,
  progress: Extract<ContainerProgress, { type: 'ready' }>,
  nowMs: number,
): Advanced | null {
  const { current, update } = container;
  const { endpoint, drainMs } = progress;
  if (current.id === id) {
    if (isComingUp(current)) return { container: serving(container, endpoint, nowMs), type: 'container.ready', isSwitched: true };
    return current.state === 'serving' ? { container: serving(container, endpoint, nowMs), type: 'container.moved' } : null;
  }
  if (update?.id !== id || (!isComingUp(update) && update.state !== 'ready')) return null;
  if (update.hold && update.strategy === 'blue-green') {
    return {
      container: { ...container, update: { ...update, state: 'ready', endpoint }, updatedAtMs: nowMs },
      type: 'container.update_ready',
    };
  }
  return { container: promoted(container, endpoint, { nowMs, drainMs }), type: 'container.updated', isSwitched: true };
}

function failedOf(container: Container, id: string, errorMessage: string, nowMs: number): Advanced | null {
  const { current, update } = container;
  if (update?.id === id) {
    if (!isComingUp(update) && update.state !== 'ready') return null;
    return { container: failedWith(container, id, { errorMessage, nowMs }), type: 'container.update_failed' };
  }
  if (current.id !== id || !isComingUp(current)) return null;
  return { container: failedWith(container, id, { errorMessage, nowMs }), type: 'container.failed' };
}

function stoppingOf(container: Container, id: string, drainMs: number, nowMs: number): Advanced | null {
  const { current, update } = container;
  if (update?.id !== id || update.strategy !== 'stop-first' || current.state !== 'serving' || update.state !== 'pending') return null;
  const next = emptied(container, { status: 'deploying', untilMs: nowMs + drainMs, nowMs, update });
  return { container: next, type: 'container.stopping_for_update' };
}

function removedOf(container: Container, id: string, nowMs: number): Advanced | null {
  const { current, retired } = container;
  const isGone = current.id === id ? current.state === 'draining' : retired.some((deployment) => deployment.id === id);
  if (!isGone) return null;
  const next = withoutDeployment(container, id, nowMs);
  return { container: next, type: next.status === 'stopped' && current.id === id ? 'container.stopped' : 'container.removed' };
}

function advance(container: Container, { deploymentId, progress }: AdvanceContainerCommand, nowMs: number): Advanced | null {
  if (progress.type === 'removed') return removedOf(container, deploymentId, nowMs);
  if (container.deletedAtMs !== null) return null;
  if (progress.type === 'started') return startedOf(container, deploymentId, nowMs);
  if (progress.type === 'ready') return readyOf(container, deploymentId, progress, nowMs);
  if (progress.type === 'failed') return failedOf(container, deploymentId, progress.errorMessage, nowMs);
  return stoppingOf(container, deploymentId, progress.drainMs, nowMs);
}

/** Deletes the container that this one replaces, now that it serves; what it still serves may end. */
function replaceEffects(state: State, command: AdvanceContainerCommand, nowMs: number): Effect[] {
  const { replaces, progress } = command;
  const replaced = replaces === null ? undefined : state.record('container', replaces);
  if (replaced === undefined || replaced.deletedAtMs !== null || progress.type !== 'ready') return [];
  return deleteEffects(
    state,
    { ...command, id: `${command.id}_replaced` },
    { container: replaced, nowMs, untilMs: nowMs + progress.drainMs },
  ).effects;
}

const deploymentOf = ({ current, update, retired }: Container, id: string): Deployment =>
  [current, ...(update === null ? [] : [update]), ...retired].find((deployment) => deployment.id === id) ?? current;

/**
 * Notes what became of a deployment. The value is the container as it is now.
 *
 * Rejects `stale_view`: somebody else has the lease, or the deployment is not where that could happen to it any more.
 */
export const advanceContainerVerb: Verb<AdvanceContainerCommand, Container> = {
  needs: ({ tenantId, containerId, replaces }) => {
    const fence = fenceNeeds();
    const ids = [containerId, ...(replaces === null ? [] : [replaces])];
    return { tenantLock: 'exclusive', lockedTenants: fence.lockedTenants, records: [...fence.records, ...containerNeeds(tenantId, ids)] };
  },
  decide: (state, command, nowMs): Decision<Container> => {
    const lost = refuseFence(state, command.fence);
    if (lost !== null) return refuse(lost);
    const before = state.record('container', command.containerId);
    const advanced = before === undefined ? null : advance(before, command, nowMs);
    if (advanced === null || advanced.container.replaces !== command.replaces) {
      return refuse(rejected({ code: 'stale_view', message: 'the container changed meanwhile' }));
    }
    const { type, isSwitched = false } = advanced;
    const replacing = isSwitched ? replaceEffects(state, command, nowMs) : [];
    const container = isSwitched ? { ...advanced.container, replaces: null } : advanced.container;
    const told = toldOf(container, deploymentOf(container, command.deploymentId));
    const error = command.progress.type === 'failed' ? { error_message: command.progress.errorMessage } : {};
    const happenings: Happening[] = [{ type, data: { ...told, ...error } }];
    const isDeleted = container.deletedAtMs !== null;
    return {
      outcome: accepted(container),
      effects: isDeleted
        ? [containerEffect(container)]
        : [...replacing, ...changeEffects(state, command, nowMs, { container, happenings, isStaleOver: isSwitched })],
      auditMetadata: { ...told, progress: type, ...error },
    };
  },
};

/**
 * Forgets a container that was deleted. The value tells whether it did.
 *
 * Rejects `stale_view`: somebody else has the lease, something of it may run still, or what it has served is not booked yet.
 */
export const forgetContainerVerb: Verb<ForgetContainerCommand, boolean> = {
  needs: ({ containerId }) => {
    const fence = fenceNeeds();
    return {
      tenantLock: 'exclusive',
      lockedTenants: fence.lockedTenants,
      records: [...fence.records, { kind: 'container', id: containerId }, { kind: 'container-meter', id: containerId }],
    };
  },
  decide: (state, command) => {
    const lost = refuseFence(state, command.fence);
    if (lost !== null) return refuse(lost);
    const container = state.record('container', command.containerId);
    if (container === undefined) return { outcome: accepted(false), effects: [] };
    if (container.deletedAtMs === null || liveDeployments(container).length > 0) {
      return refuse(rejected({ code: 'stale_view', message: 'something of the container runs still' }));
    }
    if (container.served !== undefined) {
      return refuse(rejected({ code: 'stale_view', message: 'what the container has served is not booked yet' }));
    }
    const meter = state.record('container-meter', container.id);
    return {
      outcome: accepted(true),
      effects: [
        { type: 'record-removed', kind: 'container', id: container.id },
        ...(meter === undefined ? [] : ([{ type: 'record-removed', kind: 'container-meter', id: container.id }] as const)),
      ],
    };
  },
};
