import type { LogLine } from '../../ports/container-engine.ts';

/** A line that a unit of a container wrote. `tag` and `deploymentId` tell which deployment's. */
export interface ContainerLogLine extends LogLine {
  readonly unit: string;
  readonly deploymentId: string;
  readonly tag: string;
}

/** The last lines of deployments that failed: their units are removed, and whoever looks for the reason comes after. */
export interface LastLines {
  /** Keeps those of a container's deployment, instead of those of another one. */
  keep(containerId: string, lines: readonly ContainerLogLine[]): void;
  of(containerId: string): readonly ContainerLogLine[];
}

/** Containers whose lines are kept; the oldest go first. */
const MAX_KEPT = 200;

/** Makes {@link LastLines} in this process's memory: another node, and the next start, have none. */
export function makeLastLines(): LastLines {
  const kept = new Map<string, readonly ContainerLogLine[]>();
  return {
    of: (containerId) => kept.get(containerId) ?? [],
    keep: (containerId, lines) => {
      kept.delete(containerId);
      kept.set(containerId, lines);
      const [oldest] = kept.keys();
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    },
  };
}
