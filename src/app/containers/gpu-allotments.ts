import type { Deployment } from '../../core/containers/container-records.ts';
import { allotGpus } from '../../core/containers/gpu-allotment.ts';
import { EngineFault } from '../../ports/container-engine.ts';
import type { ContainerHost } from '../../ports/container-hosts.ts';

/** Gives GPUs of hosts to deployments, each to one at a time. */
export interface GpuAllotments {
  /**
   * The GPUs of a deployment: those that its units have already, else the first free ones, kept for it until `release`. Of what was made since then, its units
   * tell by themselves. Throws an `EngineFault` that may pass where too few are free.
   */
  allot(of: { readonly deployment: Deployment; readonly host: ContainerHost }): Promise<{
    readonly gpus: readonly string[];
    readonly release: () => void;
  }>;
}

/** Makes the {@link GpuAllotments}. Only one process acts on a host at a time, so that what is not on the host yet is known here. */
export function makeGpuAllotments({ installation }: { readonly installation: string }): GpuAllotments {
  /** What is being made, by host and deployment. */
  const making = new Map<string, Map<string, readonly string[]>>();

  return {
    allot: async ({ deployment, host }) => {
      const { id, gpus: count } = deployment;
      if (count === 0) return { gpus: [], release: () => undefined };
      const { units } = await host.engine.list(installation);
      // Nothing is waited for from here on.
      const others = making.get(host.name) ?? new Map<string, readonly string[]>();
      making.set(host.name, others);
      const had = units.find(({ owner, allottedGpus }) => owner.deployment === id && allottedGpus.length > 0)?.allottedGpus;
      const taken = new Set([...units.flatMap(({ allottedGpus }) => allottedGpus), ...[...others.values()].flat()]);
      const gpus = had ?? others.get(id) ?? allotGpus({ devices: host.gpuDevices, taken, count });
      if (gpus === null) {
        const publicMessage = `the container host ${host.name} has too few free GPUs: ${count} of its ${host.gpuDevices.length} are asked for`;
        throw new EngineFault({ kind: 'full', message: publicMessage, publicMessage });
      }
      others.set(id, gpus);
      return { gpus, release: () => void others.delete(id) };
    },
  };
}
