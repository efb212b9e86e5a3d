import type { ContainerConfig } from './config/container-config.ts';

/** What a container is doing. Source: Tinfoil reference section 4. */
export type ContainerStatus = 'deploying' | 'ready' | 'failed' | 'stopping' | 'stopped';

/**
 * Where a deployment stands. `pending`: nothing runs yet; `started`: its units run and are checked; `ready`: it waits to be accepted;
 * `serving`: it takes traffic; `draining`: it takes no more and is removed once what it serves has ended; `stopped` and `failed`: nothing
 * of it runs.
 */
export type DeploymentState = 'pending' | 'started' | 'ready' | 'serving' | 'draining' | 'stopped' | 'failed';

/** Beside the one that serves, or after it: a configuration that cannot run twice, or more than one GPU. */
export type DeploymentStrategy = 'blue-green' | 'stop-first';

/**
 * What a deployment runs. `variables` are those given, declared or not; `secrets` and `sshKeys` are names. `gpus` is how many it gets:
 * what was asked for, else what the configuration says. `customDomain` null: the generated one. `commit` is that of the tag when it was read.
 */
export interface DeploymentSpec {
  readonly tag: string;
  readonly commit: string;
  readonly config: ContainerConfig;
  readonly variables: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly sshKeys: readonly string[];
  readonly gpus: number;
  readonly debug: boolean;
  readonly dockerLog: boolean;
  readonly customDomain: string | null;
  readonly hostName: string;
}

/** Where the unit that serves answers, as the ingress reaches it. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/**
 * One attempt to run a container at a tag with a configuration. `hold`: once ready it waits to be accepted. `drainUntilMs` is there while
 * it drains: what it still serves then is cut. `endpoint` is there from ready on. `servingAtMs` is when it first took traffic.
 */
export interface Deployment extends DeploymentSpec {
  readonly id: string;
  readonly state: DeploymentState;
  readonly strategy: DeploymentStrategy;
  readonly hold: boolean;
  readonly endpoint: Endpoint | null;
  readonly errorMessage: string | null;
  readonly drainUntilMs: number | null;
  readonly createdAtMs: number;
  readonly servingAtMs: number | null;
}

/** For how long a deployment of a container took traffic, with what it was given of its host meanwhile: thousandths of a processor, MB, GPUs. */
export interface ServedSpan {
  readonly deploymentId: string;
  readonly hostName: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly milliCpus: number;
  readonly memoryMb: number;
  readonly gpus: number;
}

/**
 * A deployed application. `current` is the deployment that it is described by: the one that serves, served last, or is its first;
 * `update` the one that is to take its place; `retired` those that drain. `replaces` is the container that goes once this one is ready.
 * A container that is being deleted (`deletedAtMs`) is seen by nobody, and forgotten when nothing of it runs. `served` is what it has served
 * that is over and not booked as used yet; absent: nothing. `markedDeploymentId` is the deployment whose release was marked as the latest, or of which it is
 * settled that it is not; absent: none.
 */
export interface Container {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly repo: string;
  readonly status: ContainerStatus;
  readonly current: Deployment;
  readonly update: Deployment | null;
  readonly retired: readonly Deployment[];
  readonly staging: boolean;
  readonly autoUpdate: boolean;
  readonly githubAppConnected: boolean;
  readonly replaces: string | null;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly deletedAtMs: number | null;
  readonly served?: readonly ServedSpan[];
  readonly markedDeploymentId?: string;
}

/**
 * What a tenant's other containers must know of one: its name (`debug` as it is and, during an update that changes it, as it will be), what
 * it uses, and where lists show it. `staleSinceMs`: since when a secret that it uses has another value than it was given.
 */
export interface RosterEntry {
  readonly id: string;
  readonly name: string;
  readonly debug: boolean;
  readonly nextDebug: boolean | null;
  readonly gpus: number;
  readonly secrets: readonly string[];
  readonly sshKeys: readonly string[];
  readonly customDomains: readonly string[];
  readonly staleSinceMs: number | null;
  readonly groupName: string | null;
  readonly groupOrder: number;
  readonly displayOrder: number;
  readonly createdAtMs: number;
}

/**
 * All containers of a tenant, so that names, limits, groups and uses are decided on one row. `id` is the tenant's. `sshKeyCount`: how many SSH keys it has;
 * absent: none yet.
 */
export interface ContainerRoster {
  readonly id: string;
  readonly sshKeyCount?: number;
  readonly domainCount?: number;
  readonly containers: readonly RosterEntry[];
}

/** Who alone does a work of the whole server until `untilMs`. Each taking over has a greater `token`: what an earlier one does is refused. */
export interface Lease {
  readonly id: string;
  readonly ownerId: string;
  readonly token: number;
  readonly untilMs: number;
}

/** The lease of whoever acts on container hosts. */
export const CONTAINER_LEASE = 'reconcile-containers';

/** Whether anything of a deployment is to be on its host. Everything else of ours there is an orphan. */
export const isLive = ({ state }: Pick<Deployment, 'state'>): boolean => state !== 'stopped' && state !== 'failed';

/** The deployments of a container of which anything is to be on a host. */
export const liveDeployments = ({ current, update, retired }: Container): Deployment[] =>
  [current, ...(update === null ? [] : [update]), ...retired].filter(isLive);
