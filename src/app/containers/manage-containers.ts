import { invalid, notFound } from '../../core/access/rules.ts';
import type { ContainerPlace, OrganizeChange } from '../../core/containers/commands.ts';
import { checkContainerName } from '../../core/containers/container-names.ts';
import type { Container, ContainerRoster, Deployment, DeploymentSpec, RosterEntry } from '../../core/containers/container-records.ts';
import { listOrder } from '../../core/containers/decide-organize.ts';
import { isNameFree, refuseCount, refuseGpus, refuseHostChoice, refuseUnpaid } from '../../core/containers/deploy-rules.ts';
import { isUuid, uuidOf } from '../../core/containers/uuid.ts';
import type { Tenant } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import { Fault } from '../../core/fault.ts';
import type { ContainerHost, ContainerHosts } from '../../ports/container-hosts.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { ReadRelease, Release } from './read-release.ts';

/** A container with what the roster says of it. */
export interface ContainerView {
  readonly container: Container;
  readonly entry: RosterEntry;
}

/** What may be asked of a deployment; what is left out stays as it is, or is the default of a new container. */
export interface DeploymentRequest {
  readonly tag?: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly sshKeys?: readonly string[];
  readonly gpus?: number;
  readonly debug?: boolean;
  readonly dockerLog?: boolean;
  /** Empty: the generated one. */
  readonly customDomain?: string;
  readonly hostName?: string;
  /** Whether it waits to be accepted once it is ready. */
  readonly staging?: boolean;
}

/** A container as it is asked for. */
export interface NewContainer extends Omit<DeploymentRequest, 'tag'> {
  readonly name: string;
  readonly repo: string;
  readonly tag: string;
  readonly place: ContainerPlace;
  readonly replaces: string | null;
  readonly createdBy: string;
}

/** Whether a release may be deployed, and what it would be. */
export interface CheckedRelease {
  readonly release: Release;
  readonly gpus: number;
}

/** What is done with a tenant's containers. Ids that are no UUID, or those of others, are `not_found`. */
export interface ManageContainers {
  /** In the order of their groups and places. */
  list(tenantId: string): Promise<ContainerView[]>;
  find(tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  hosts(tenantId: string): Promise<ContainerHosts>;
  /** Whether a name is free. Rejects: `invalid_request`, `not_found` (the container to relaunch). The value says why it is not. */
  checkName(
    tenantId: string,
    wanted: { readonly name: string; readonly debug: boolean; readonly customDomain: string | null; readonly relaunches: string | null },
  ): Promise<Outcome<{ readonly reason: string | null }>>;
  /** Rejects as reading the release does, then `forbidden` (GPUs, as many containers as there may be). `inPlaceOf`: it takes that one's place. */
  checkRelease(
    tenantId: string,
    wanted: { readonly repo: string; readonly tag: string; readonly inPlaceOf: string | null },
  ): Promise<Outcome<CheckedRelease>>;
  /** Rejects: what the command may be refused for without the release; `not_found` (host), reading the release, then as `create-container`. */
  create(actor: Actor, tenantId: string, wanted: NewContainer): Promise<Outcome<ContainerView>>;
  /** Rejects likewise, as `deploy-container`. */
  deploy(
    actor: Actor,
    tenantId: string,
    id: string,
    wanted: DeploymentRequest & { readonly start: boolean },
  ): Promise<Outcome<ContainerView>>;
  stop(actor: Actor, tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  remove(actor: Actor, tenantId: string, id: string): Promise<Outcome<Container>>;
  accept(actor: Actor, tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  cancel(actor: Actor, tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  set(
    actor: Actor,
    tenantId: string,
    id: string,
    changes: { readonly autoUpdate?: boolean; readonly githubAppConnected?: boolean },
  ): Promise<Outcome<ContainerView>>;
  /** The value is the tenant's containers as they are listed now. */
  organize(actor: Actor, tenantId: string, change: OrganizeChange): Promise<Outcome<ContainerView[]>>;
}

/** What managing needs. Lengths in milliseconds. */
export interface ManageContainersDeps {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next' | 'token'>;
  readonly hosts: ContainerHosts;
  /** Why a host cannot be used now; null where it can, or nobody knows yet. */
  readonly hostFault: (name: string) => string | null;
  readonly readRelease: ReadRelease;
  /** Called before a container is deleted: what it used until now is settled. */
  readonly settleUse: (container: Container) => Promise<void>;
  readonly drainMs: number;
  readonly stopDrainMs: number;
}

/** A container that changed between reading and deciding is read again that often. */
const TRIES = 3;

/** Makes the {@link ManageContainers}. */
export function makeManageContainers(deps: ManageContainersDeps): ManageContainers {
  const { records, writer, ids, hosts, readRelease } = deps;

  const rosterOf = async (tenantId: string): Promise<ContainerRoster> =>
    (await records.record('container-roster', tenantId)) ?? { id: tenantId, containers: [] };

  async function tenantOf(tenantId: string): Promise<Outcome<Tenant>> {
    const tenant = await records.record('tenant', tenantId);
    if (tenant === undefined) return notFound(`tenant ${tenantId}`);
    return tenant.status === 'CLOSED' ? rejected({ code: 'tenant_closed', message: `the tenant ${tenantId} is closed` }) : accepted(tenant);
  }

  async function containerOf(tenantId: string, id: string): Promise<Outcome<Container>> {
    const container = isUuid(id) ? await records.record('container', id) : undefined;
    const isSeen = container !== undefined && container.tenantId === tenantId && container.deletedAtMs === null;
    return isSeen ? accepted(container) : notFound(`container ${id}`);
  }

  async function viewOf(container: Container): Promise<ContainerView> {
    const roster = await rosterOf(container.tenantId);
    const entry = roster.containers.find(({ id }) => id === container.id);
    return { container, entry: entry ?? placeless(container) };
  }

  const viewed = async (outcome: Outcome<Container>): Promise<Outcome<ContainerView>> =>
    outcome.ok ? accepted(await viewOf(outcome.value)) : outcome;

  /** The host of that name or, without a name, the default one, or the first. */
  function hostOf(name: string | undefined): Outcome<ContainerHost> {
    const host = name === undefined ? (hosts.find(({ isDefault }) => isDefault) ?? hosts[0]) : hosts.find((known) => known.name === name);
    if (host !== undefined) return accepted(host);
    if (name !== undefined && hosts.length > 0) return notFound(`host ${name}`);
    throw unreachable('no container host is declared: the operator declares hosts in the configuration file');
  }

  /** Throws where a host is known to be out of reach: nothing is asked of it that cannot begin. */
  function requireReachable({ name }: ContainerHost): void {
    const fault = deps.hostFault(name);
    if (fault !== null) throw unreachable(`the container host ${name} is not reachable: ${fault}`);
  }

  /** What a deployment is to run, from a request, the release and what was there before. */
  function specOf(
    wanted: DeploymentRequest,
    at: { readonly before: Deployment | null; readonly release: Release; readonly tag: string; readonly hostName: string },
  ): DeploymentSpec {
    const { before, release, tag, hostName } = at;
    const { customDomain } = wanted;
    return {
      tag,
      commit: release.commit,
      config: release.config,
      variables: wanted.variables ?? before?.variables ?? {},
      secrets: wanted.secrets ?? before?.secrets ?? [],
      sshKeys: wanted.sshKeys ?? before?.sshKeys ?? [],
      gpus: wanted.gpus ?? (before === null || before.gpus === before.config.gpus ? release.config.gpus : before.gpus),
      debug: wanted.debug ?? before?.debug ?? false,
      dockerLog: wanted.dockerLog ?? before?.dockerLog ?? false,
      customDomain: customDomain === undefined ? (before?.customDomain ?? null) : customDomain === '' ? null : customDomain,
      hostName,
    };
  }

  const baseOf = (actor: Actor, name: string, tenantId: string, id: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'container', resourceId: id });

  const planned = (spec: DeploymentSpec, release: Release) => ({ deploymentId: ids.next('dep'), spec, runsTwice: release.runsTwice });

  async function create(actor: Actor, tenantId: string, wanted: NewContainer): Promise<Outcome<ContainerView>> {
    const tenant = await tenantOf(tenantId);
    if (!tenant.ok) return tenant;
    const roster = await rosterOf(tenantId);
    const exceptIds = wanted.replaces === null ? [] : [wanted.replaces];
    const { name, debug = false } = wanted;
    const early =
      refuseUnpaid(tenant.value) ??
      checkContainerName(name) ??
      refuseHostChoice(tenant.value, wanted.hostName !== undefined) ??
      (wanted.gpus === undefined
        ? null
        : refuseGpus(
            tenant.value,
            wanted.gpus,
            roster.containers.filter(({ id }) => !exceptIds.includes(id)),
          ));
    if (early !== null) return early;
    const host = hostOf(wanted.hostName);
    if (!host.ok) return host;
    const release = await readRelease(wanted);
    if (!release.ok) return release;
    requireReachable(host.value);
    const spec = specOf({ ...wanted, debug }, { before: null, release: release.value, tag: wanted.tag, hostName: host.value.name });
    const misfit = refuseMisfit(host.value, spec);
    if (misfit !== null) return misfit;
    const containerId = uuidOf(ids.token(16));
    const outcome = await writer.execute({
      verb: 'create-container',
      ...baseOf(actor, 'create-container', tenantId, containerId),
      ...planned(spec, release.value),
      containerId,
      name,
      repo: wanted.repo,
      staging: wanted.staging ?? false,
      place: wanted.place,
      replaces: wanted.replaces,
      asksHost: wanted.hostName !== undefined,
      createdBy: wanted.createdBy,
    });
    return viewed(outcome);
  }

  async function deploy(
    actor: Actor,
    tenantId: string,
    id: string,
    wanted: DeploymentRequest & { readonly start: boolean },
  ): Promise<Outcome<ContainerView>> {
    for (let tries = TRIES; ; tries -= 1) {
      const outcome = await deployOnce(actor, tenantId, id, wanted);
      if (outcome.ok || outcome.rejection.code !== 'stale_view' || tries === 0) return viewed(outcome);
    }
  }

  async function deployOnce(
    actor: Actor,
    tenantId: string,
    id: string,
    wanted: DeploymentRequest & { readonly start: boolean },
  ): Promise<Outcome<Container>> {
    const found = await containerOf(tenantId, id);
    if (!found.ok) return found;
    const { current: before, repo } = found.value;
    const tenant = await tenantOf(tenantId);
    if (!tenant.ok) return tenant;
    // A container that serves stays where it is; one that does not may go elsewhere.
    const asksHost = wanted.hostName !== undefined && wanted.hostName !== before.hostName;
    const early = refuseUnpaid(tenant.value) ?? refuseHostChoice(tenant.value, asksHost);
    if (early !== null) return early;
    const host = hostOf(wanted.hostName ?? before.hostName);
    if (!host.ok) return host;
    const tag = wanted.tag ?? before.tag;
    const release = await readRelease({ repo, tag });
    if (!release.ok) return release;
    requireReachable(host.value);
    const spec = specOf(wanted, { before, release: release.value, tag, hostName: host.value.name });
    const misfit = refuseMisfit(host.value, spec);
    if (misfit !== null) return misfit;
    return writer.execute({
      verb: 'deploy-container',
      ...baseOf(actor, wanted.start ? 'start-container' : 'relaunch-container', tenantId, id),
      ...planned(spec, release.value),
      containerId: id,
      start: wanted.start,
      hold: wanted.staging ?? null,
      seenDeploymentId: before.id,
      asksHost,
    });
  }

  const act = async (
    of: { readonly actor: Actor; readonly tenantId: string; readonly id: string; readonly name: string },
    send: (base: ReturnType<typeof baseOf>) => Promise<Outcome<Container>>,
  ): Promise<Outcome<ContainerView>> => {
    const found = await containerOf(of.tenantId, of.id);
    return found.ok ? viewed(await send(baseOf(of.actor, of.name, of.tenantId, of.id))) : found;
  };

  return {
    list: async (tenantId) => {
      const [roster, containers] = await Promise.all([rosterOf(tenantId), records.records('container', tenantId)]);
      const byId = new Map(containers.map((container) => [container.id, container]));
      return roster.containers.toSorted(listOrder).flatMap((entry) => {
        const container = byId.get(entry.id);
        return container === undefined || container.deletedAtMs !== null ? [] : [{ container, entry }];
      });
    },
    find: async (tenantId, id) => viewed(await containerOf(tenantId, id)),
    hosts: async (tenantId) => {
      const tenant = await records.record('tenant', tenantId);
      if (tenant === undefined) return [];
      return tenant.entitlements.hostChoice
        ? hosts
        : hosts.filter(({ isDefault }, index) => isDefault || (index === 0 && !hosts.some((host) => host.isDefault)));
    },
    checkName: async (tenantId, { name, debug, customDomain, relaunches }) => {
      const bad = checkContainerName(name);
      if (bad !== null) return bad;
      if (relaunches !== null) {
        const found = await containerOf(tenantId, relaunches);
        if (!found.ok) return found;
      }
      const roster = await rosterOf(tenantId);
      const isFree = isNameFree(roster, { name, debug, exceptIds: relaunches === null ? [] : [relaunches] });
      if (!isFree) return accepted({ reason: `a ${debug ? 'debug ' : ''}container named ${name} exists already` });
      return accepted({ reason: customDomain === null || customDomain === '' ? null : `the domain ${customDomain} is not verified` });
    },
    checkRelease: async (tenantId, { repo, tag, inPlaceOf }) => {
      const tenant = await tenantOf(tenantId);
      if (!tenant.ok) return tenant;
      const release = await readRelease({ repo, tag });
      if (!release.ok) return release;
      const roster = await rosterOf(tenantId);
      const { gpus } = release.value.config;
      const others = roster.containers.filter(({ id }) => id !== inPlaceOf);
      const refusal = (inPlaceOf === null ? refuseCount(tenant.value, roster, null) : null) ?? refuseGpus(tenant.value, gpus, others);
      return refusal ?? accepted({ release: release.value, gpus });
    },
    create,
    deploy,
    stop: (actor, tenantId, id) =>
      act({ actor, tenantId, id, name: 'stop-container' }, (base) =>
        writer.execute({ verb: 'stop-container', ...base, containerId: id, drainMs: deps.stopDrainMs }),
      ),
    remove: async (actor, tenantId, id) => {
      const found = await containerOf(tenantId, id);
      if (!found.ok) return found;
      await deps.settleUse(found.value);
      return writer.execute({ verb: 'delete-container', ...baseOf(actor, 'delete-container', tenantId, id), containerId: id });
    },
    accept: (actor, tenantId, id) =>
      act({ actor, tenantId, id, name: 'accept-container-update' }, (base) =>
        writer.execute({ verb: 'accept-container-update', ...base, containerId: id, drainMs: deps.drainMs }),
      ),
    cancel: (actor, tenantId, id) =>
      act({ actor, tenantId, id, name: 'cancel-container-update' }, (base) =>
        writer.execute({ verb: 'cancel-container-update', ...base, containerId: id }),
      ),
    set: (actor, tenantId, id, changes) =>
      act({ actor, tenantId, id, name: 'set-container' }, (base) =>
        writer.execute({ verb: 'set-container', ...base, containerId: id, ...changes }),
      ),
    organize: async (actor, tenantId, change) => {
      const base = auditedBase(ids, actor, {
        name: 'organize-containers',
        tenantId,
        resourceKind: 'container-roster',
        resourceId: tenantId,
      });
      const outcome = await writer.execute({ verb: 'organize-containers', ...base, change });
      if (!outcome.ok) return outcome;
      const containers = new Map((await records.records('container', tenantId)).map((container) => [container.id, container]));
      return accepted(
        outcome.value.containers.toSorted(listOrder).flatMap((entry) => {
          const container = containers.get(entry.id);
          return container === undefined ? [] : [{ container, entry }];
        }),
      );
    },
  };
}

/** Nothing can be asked of a host: 503, with a sentence for whoever asks. */
const unreachable = (publicMessage: string): Fault => new Fault({ code: 'overloaded', message: publicMessage, publicMessage });

/** Refuses a number of GPUs that the host has no place for: `invalid_request`. */
function refuseMisfit(host: ContainerHost, { gpus }: DeploymentSpec) {
  if (gpus === 0 || host.gpus.includes(gpus)) return null;
  const known = host.gpus.length === 0 ? 'be 0: the host has none' : `be one of ${host.gpus.join(', ')} on the host ${host.name}`;
  return invalid('gpus', known);
}

const placeless = (container: Container): RosterEntry => ({
  id: container.id,
  name: container.name,
  debug: container.current.debug,
  nextDebug: null,
  gpus: container.current.gpus,
  secrets: container.current.secrets,
  sshKeys: container.current.sshKeys,
  customDomains: [],
  staleSinceMs: null,
  groupName: null,
  groupOrder: 0,
  displayOrder: 0,
  createdAtMs: container.createdAtMs,
});
