import { allocationOf } from './container-meter.ts';
import type { Container, Deployment, Endpoint } from './container-records.ts';

const drained = (deployment: Deployment, untilMs: number): Deployment => ({ ...deployment, state: 'draining', drainUntilMs: untilMs });

/** The deployments that drain once `deployment` is to go: one that was stopped is gone already; of one that failed there may be images. */
export const retire = (deployment: Deployment, untilMs: number): Deployment[] => {
  if (deployment.state === 'stopped') return [];
  return [deployment.state === 'draining' ? deployment : drained(deployment, untilMs)];
};

/** What a container has served and is not booked yet, once its current deployment takes no more traffic. */
const servedUntil = ({ current, served }: Container, nowMs: number): Pick<Container, 'served'> => {
  const { id: deploymentId, hostName, state, servingAtMs } = current;
  if (state !== 'serving' || servingAtMs === null || servingAtMs >= nowMs) return served === undefined ? {} : { served };
  return { served: [...(served ?? []), { deploymentId, hostName, fromMs: servingAtMs, untilMs: nowMs, ...allocationOf(current) }] };
};

/** A container whose update takes the traffic from now on; what served before drains. */
export function promoted(container: Container, endpoint: Endpoint, at: { readonly nowMs: number; readonly drainMs: number }): Container {
  const { current, update, retired } = container;
  if (update === null) return container;
  return {
    ...container,
    ...servedUntil(container, at.nowMs),
    status: 'ready',
    current: { ...update, state: 'serving', hold: false, endpoint, errorMessage: null, servingAtMs: at.nowMs },
    update: null,
    retired: [...retired, ...retire(current, at.nowMs + at.drainMs)],
    updatedAtMs: at.nowMs,
  };
}

/** A container whose first deployment, or the one after a failure or a stop, takes traffic from now on. */
export const serving = (container: Container, endpoint: Endpoint, nowMs: number): Container => ({
  ...container,
  status: 'ready',
  current: {
    ...container.current,
    state: 'serving',
    endpoint,
    errorMessage: null,
    servingAtMs: container.current.servingAtMs ?? nowMs,
  },
  updatedAtMs: nowMs,
});

/** A container without its update: what there is of it on its host goes at once. */
export function withoutUpdate(container: Container, nowMs: number): Container {
  const { update, retired } = container;
  if (update === null) return container;
  return { ...container, update: null, retired: [...retired, ...retire(update, nowMs)], updatedAtMs: nowMs };
}

/** A container whose deployment that serves is to go; `status` is what it does meanwhile. An update is dropped unless it is kept. */
export function emptied(
  container: Container,
  to: { readonly status: Container['status']; readonly untilMs: number; readonly nowMs: number; readonly update: Deployment | null },
): Container {
  const kept = to.update === null ? withoutUpdate(container, to.nowMs) : container;
  const { current } = kept;
  const next = current.state === 'stopped' ? current : drained(current, to.untilMs);
  return { ...kept, ...servedUntil(kept, to.nowMs), status: to.status, current: next, update: to.update, updatedAtMs: to.nowMs };
}

/** A container whose deployment `id` has nothing left on its host. */
export function withoutDeployment(container: Container, id: string, nowMs: number): Container {
  const { current, retired } = container;
  if (current.id !== id) return { ...container, retired: retired.filter((deployment) => deployment.id !== id), updatedAtMs: nowMs };
  return {
    ...container,
    status: container.status === 'stopping' ? 'stopped' : container.status,
    current: { ...current, state: 'stopped', endpoint: null, drainUntilMs: null },
    updatedAtMs: nowMs,
  };
}

/** A container whose deployment cannot be brought up: the one that serves is left alone, else the container has failed. */
export function failedWith(container: Container, id: string, at: { readonly errorMessage: string; readonly nowMs: number }): Container {
  const { errorMessage, nowMs } = at;
  const { current, update, retired } = container;
  const fail = (deployment: Deployment): Deployment => ({ ...deployment, state: 'failed', endpoint: null, errorMessage });
  if (update === null || update.id !== id) return { ...container, status: 'failed', current: fail(current), updatedAtMs: nowMs };
  if (current.state === 'serving') return { ...container, update: fail(update), updatedAtMs: nowMs };
  return {
    ...container,
    status: 'failed',
    current: fail(update),
    update: null,
    retired: [...retired, ...retire(current, nowMs)],
    updatedAtMs: nowMs,
  };
}
