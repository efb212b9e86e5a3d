import type { ContainerEngine } from './container-engine.ts';

/** A declared engine. `address` is where its published ports are reached; `gpus` are the numbers of GPUs that a container may ask for there. */
export interface ContainerHost {
  readonly name: string;
  readonly address: string;
  readonly gpus: readonly number[];
  /** The GPUs that there are for containers, as the engine knows them. */
  readonly gpuDevices: readonly string[];
  readonly isDefault: boolean;
  /** A command that prints what a unit uses of its GPUs, where it is run; null: nobody can tell. */
  readonly gpuProbe: readonly string[] | null;
  readonly engine: ContainerEngine;
}

/** The hosts that containers may run on, in the order of their declaration. */
export type ContainerHosts = readonly ContainerHost[];
