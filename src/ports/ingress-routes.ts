import type { ShimConfig } from '../core/containers/config/container-config.ts';

/** One deployment's unit that serves, as the ingress reaches it. */
export interface IngressSlot {
  readonly deploymentId: string;
  readonly address: string;
  readonly port: number;
}

/** Where requests of a host go. `fallback` is the slot before, while it drains: for requests that fail to connect. */
export interface IngressTarget extends IngressSlot {
  readonly tenantId: string;
  readonly containerId: string;
  readonly shim: ShimConfig;
  readonly fallback: IngressSlot | null;
}

/** Which deployment answers for a host. A look-up costs as much however many there are. */
export interface IngressRoutes {
  /** `host` in lower case, without a port or a dot at its end. */
  find(host: string): IngressTarget | undefined;
}

/** What is under way to deployments: requests, streams and upgraded connections. */
export interface InFlight {
  /** How many of a deployment are open. */
  count(deploymentId: string): number;
  /** Ends those of a deployment that are open, and tells how many these were. */
  cut(deploymentId: string): number;
}
