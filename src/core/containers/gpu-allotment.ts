import type { ContainerConfig, UnitConfig } from './config/container-config.ts';

/** The GPUs of a host that a deployment is given: the first ones that nobody has, in the host's order; null where too few are left. */
export function allotGpus(of: {
  readonly devices: readonly string[];
  readonly taken: ReadonlySet<string>;
  readonly count: number;
}): readonly string[] | null {
  const free = of.devices.filter((device) => !of.taken.has(device));
  return free.length < of.count ? null : free.slice(0, of.count);
}

/** Which of a deployment's GPUs one of its units is given: so many, all, or those of these numbers, counted from 0 in the deployment. Null: none. */
export function unitGpus(gpus: UnitConfig['gpus'], allotted: readonly string[]): readonly string[] | null {
  if (gpus === null || allotted.length === 0) return null;
  if (gpus === 'all') return allotted;
  if (typeof gpus === 'number') return allotted.slice(0, gpus);
  return gpus.flatMap((number) => allotted[Number(number)] ?? []);
}

/** How many GPUs a deployment needs at least for each of its units to get what it names; with the name of the unit that needs most. */
export function neededGpus({ units }: Pick<ContainerConfig, 'units'>): { readonly count: number; readonly unit: string } {
  const needs = units.map(({ name, gpus }) => {
    if (gpus === null || gpus === 'all') return { count: 0, unit: name };
    return { count: typeof gpus === 'number' ? gpus : Math.max(...gpus.map(Number)) + 1, unit: name };
  });
  return needs.toSorted((a, b) => b.count - a.count)[0] ?? { count: 0, unit: '' };
}

/**
 * How a deployment of `count` GPUs fits on a host of which `used` of `total` are taken, `given` of them by what it is to take the place of: beside that,
 * only after it, or not at all.
 */
export function gpuRoom(of: {
  readonly total: number;
  readonly used: number;
  readonly given: number;
  readonly count: number;
}): 'beside' | 'after' | 'none' {
  const { total, used, given, count } = of;
  if (count <= total - used) return 'beside';
  return count <= total - used + given ? 'after' : 'none';
}
