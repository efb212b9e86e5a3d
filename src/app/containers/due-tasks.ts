import type { Container, Deployment } from '../../core/containers/container-records.ts';
import type { OwnedUnit } from '../../ports/container-engine.ts';

/** What is done about a deployment: brought up (or looked after again), made room for, or taken down. */
export type TaskKind = 'up' | 'room' | 'down';

/** A piece of work: what is to be done about which deployment of which container. */
export interface Due {
  readonly kind: TaskKind;
  readonly container: Container;
  readonly deployment: Deployment;
}

/** Whether a deployment is asked for and does not answer yet. */
export const isComingUp = ({ state }: Deployment): boolean => state === 'pending' || state === 'started';

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
