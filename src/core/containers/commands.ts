import type { AppConnection, MarkOutcome } from './app-connection.ts';
import type { CallRate } from '../calls/call-context.ts';
import type { CommandBase } from '../verb.ts';
import type { WindowDemand } from '../windows/budget-rule.ts';
import type { ResourcePrices } from './container-meter.ts';
import type { ContainerSample } from './container-samples.ts';
import type { DeploymentSpec, Endpoint, RosterEntry } from './container-records.ts';

/** Where a container stands in lists. */
export type ContainerPlace = Pick<RosterEntry, 'groupName' | 'groupOrder' | 'displayOrder'>;

/** What a deployment is made of: its id, and whether its configuration can run twice at a time. */
export interface PlannedDeployment {
  readonly deploymentId: string;
  readonly spec: DeploymentSpec;
  readonly runsTwice: boolean;
}

/** Makes a container and its first deployment. `asksHost` says that the caller named the host. */
export interface CreateContainerCommand extends CommandBase, PlannedDeployment {
  readonly verb: 'create-container';
  readonly containerId: string;
  readonly name: string;
  readonly repo: string;
  readonly staging: boolean;
  readonly place: ContainerPlace;
  readonly replaces: string | null;
  readonly asksHost: boolean;
  readonly createdBy: string;
}

/**
 * Deploys a container anew. `start` is for one that is stopped, the other for one that runs or failed. The spec was made from
 * that of `seenDeploymentId`. `hold`: whether it waits to be accepted once it is
 * ready; null: as the container says.
 */
export interface DeployContainerCommand extends CommandBase, PlannedDeployment {
  readonly verb: 'deploy-container';
  readonly containerId: string;
  readonly start: boolean;
  readonly hold: boolean | null;
  readonly seenDeploymentId: string;
  readonly asksHost: boolean;
}

/** Stops a container that runs; what it serves is given until `drainMs` to end. */
export interface StopContainerCommand extends CommandBase {
  readonly verb: 'stop-container';
  readonly containerId: string;
  readonly drainMs: number;
}

/** Deletes a container, whatever it does. */
export interface DeleteContainerCommand extends CommandBase {
  readonly verb: 'delete-container';
  readonly containerId: string;
}

/** Lets an update that is ready take the traffic. */
export interface AcceptUpdateCommand extends CommandBase {
  readonly verb: 'accept-container-update';
  readonly containerId: string;
  readonly drainMs: number;
}

/** Drops an update. */
export interface CancelUpdateCommand extends CommandBase {
  readonly verb: 'cancel-container-update';
  readonly containerId: string;
}

/** Changes what is given of a container, without deploying it. */
export interface SetContainerCommand extends CommandBase {
  readonly verb: 'set-container';
  readonly containerId: string;
  readonly autoUpdate?: boolean;
  /** Whether the source of its repository is asked for new tags: then no App is needed for that. */
  readonly isPolled: boolean;
  readonly githubAppConnected?: boolean;
  /** How the App stands to the repository; null where that was not asked: nothing is connected then. */
  readonly connection: AppConnection | null;
}

/** Notes what came of marking the release that a deployment serves as the latest. The command is the server's. */
export interface NoteReleaseMarkCommand extends CommandBase {
  readonly verb: 'note-release-mark';
  readonly containerId: string;
  readonly deploymentId: string;
  readonly mark: MarkOutcome;
}

/** Remembers for `keepMs` that a webhook with a body of that digest was taken. The command is the server's. */
export interface TakeReleaseHookCommand extends CommandBase {
  readonly verb: 'take-release-hook';
  readonly digest: string;
  readonly keepMs: number;
}

/** A change of the lists of a tenant's containers. */
export type OrganizeChange =
  | { readonly type: 'place'; readonly containerId: string; readonly place: ContainerPlace }
  | { readonly type: 'reorder'; readonly orders: readonly { readonly containerId: string; readonly displayOrder: number }[] }
  | { readonly type: 'rename-group'; readonly from: string; readonly to: string }
  | { readonly type: 'reorder-groups'; readonly groups: readonly { readonly name: string; readonly groupOrder: number }[] }
  | { readonly type: 'delete-group'; readonly name: string };

/** Orders a tenant's containers and groups. */
export interface OrganizeContainersCommand extends CommandBase {
  readonly verb: 'organize-containers';
  readonly change: OrganizeChange;
}

/** Something that whoever acts on hosts saw or did. Lengths in milliseconds. */
export type ContainerProgress =
  /** The units of a deployment run, and are checked. */
  | { readonly type: 'started' }
  /** A deployment answers. One that serves already and answers elsewhere from now on. `drainMs` is for the one before it. */
  | { readonly type: 'ready'; readonly endpoint: Endpoint; readonly drainMs: number }
  | { readonly type: 'failed'; readonly errorMessage: string }
  /** The one before an update that comes after it is to go now. */
  | { readonly type: 'stopping-current'; readonly drainMs: number }
  /** Nothing of a deployment is left on its host. */
  | { readonly type: 'removed' };

/** Notes progress, by whoever has the lease with that token. `replaces` is what the container says of itself. */
export interface AdvanceContainerCommand extends CommandBase {
  readonly verb: 'advance-container';
  readonly containerId: string;
  readonly deploymentId: string;
  readonly replaces: string | null;
  readonly fence: number;
  readonly progress: ContainerProgress;
}

/** Forgets a container that is deleted and of which nothing runs. */
export interface ForgetContainerCommand extends CommandBase {
  readonly verb: 'forget-container';
  readonly containerId: string;
  readonly fence: number;
}

/** Takes or keeps a lease for `ttlMs`. `isAlone`: no other process can be at work, so whoever has it is gone. */
export interface TakeLeaseCommand extends CommandBase {
  readonly verb: 'take-lease';
  readonly leaseId: string;
  readonly ownerId: string;
  readonly ttlMs: number;
  readonly isAlone: boolean;
}

/** Gives a lease back before its time. */
export interface EndLeaseCommand extends CommandBase {
  readonly verb: 'end-lease';
  readonly leaseId: string;
  readonly ownerId: string;
}

/**
 * Books what a container has served since it was booked last. `rate` is by what that takes from the tenant's balance, null where it keeps
 * none; `windows` names the windows that it counts in by the tenant's rules, null where it has none. `graceMs`: for how long a container
 * whose tenant cannot pay goes on.
 */
export interface MeterContainerCommand extends CommandBase {
  readonly verb: 'meter-container';
  readonly containerId: string;
  readonly prices: ResourcePrices;
  readonly rate: CallRate | null;
  readonly windows: WindowDemand | null;
  readonly graceMs: number;
}

/** Notes what containers used of what they are given. */
export interface NoteContainerSamplesCommand extends CommandBase {
  readonly verb: 'note-container-samples';
  readonly samples: readonly ContainerSample[];
}

/** Every command about containers. */
export type ContainerCommand =
  | CreateContainerCommand
  | DeployContainerCommand
  | StopContainerCommand
  | DeleteContainerCommand
  | AcceptUpdateCommand
  | CancelUpdateCommand
  | SetContainerCommand
  | NoteReleaseMarkCommand
  | TakeReleaseHookCommand
  | OrganizeContainersCommand
  | AdvanceContainerCommand
  | ForgetContainerCommand
  | MeterContainerCommand
  | NoteContainerSamplesCommand
  | TakeLeaseCommand
  | EndLeaseCommand;
