import { invalid, notFound } from '../../core/access/rules.ts';
import { checkContainerName } from '../../core/containers/container-names.ts';
import { liveDeployments, type Container, type ContainerRoster, type RosterEntry } from '../../core/containers/container-records.ts';
import { listOrder } from '../../core/containers/decide-organize.ts';
import { isNameFree, refuseCount, refuseGpus, refuseTakenDomain } from '../../core/containers/deploy-rules.ts';
import { domainRecordId } from '../../core/containers/domain-records.ts';
import { isDomain } from '../../core/containers/domain-rules.ts';
import { isUuid } from '../../core/containers/uuid.ts';
import type { Tenant } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { ContainerHosts } from '../../ports/container-hosts.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { RouteTable } from './route-table.ts';
import type { ReadRelease, Release } from './read-release.ts';

/** A container with what the roster says of it. */
export interface ContainerView {
  readonly container: Container;
  readonly entry: RosterEntry;
}

/** Whether a release may be deployed, and what it would be. */
export interface CheckedRelease {
  readonly release: Release;
  readonly gpus: number;
}

/** What is asked about a tenant's containers. Ids that are no UUID, or those of others, are `not_found`. */
export interface ContainerReads {
  /** In the order of their groups and places. */
  list(tenantId: string): Promise<ContainerView[]>;
  find(tenantId: string, id: string): Promise<Outcome<ContainerView>>;
  hosts(tenantId: string): Promise<ContainerHosts>;
  /** Whether a name is free. Rejects: `invalid_request`, `not_found` (the container to relaunch). The value says why it is not. */
  checkName(
    tenantId: string,
    wanted: { readonly name: string; readonly debug: boolean; readonly customDomain: string | null; readonly relaunches: string | null },
  ): Promise<Outcome<{ readonly reason: string | null }>>;
  /** Rejects `not_found` (the container whose place it takes), as reading the release does, then `forbidden` (GPUs, as many containers as there may be). `inPlaceOf`: it takes that one's place. */
  checkRelease(
    tenantId: string,
    wanted: { readonly repo: string; readonly tag: string; readonly inPlaceOf: string | null },
  ): Promise<Outcome<CheckedRelease>>;
}

/** The same, for use cases that go on from there. */
export interface ContainerLookups extends ContainerReads {
  roster(tenantId: string): Promise<ContainerRoster>;
  /** Rejects `not_found`, `tenant_closed`. */
  tenant(tenantId: string): Promise<Outcome<Tenant>>;
  container(tenantId: string, id: string): Promise<Outcome<Container>>;
  /** How many GPUs of a host what is there of all tenants' containers has, and how much of that one container has (`ofId`, null for none). */
  gpusOn(hostName: string, ofId: string | null): Promise<{ readonly used: number; readonly given: number }>;
  /** A container as it is shown; a refusal stays one. */
  viewed(outcome: Outcome<Container>): Promise<Outcome<ContainerView>>;
}

/** Makes the {@link ContainerLookups}. */
export function makeContainerReads(deps: {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly hosts: ContainerHosts;
  readonly readRelease: ReadRelease;
  /** Where requests go, as the ingress of this node knows it. */
  readonly routes: Pick<RouteTable, 'isKnown' | 'refresh'>;
}): ContainerLookups {
  const { records, hosts, readRelease } = deps;

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

  /** A container that is shown as ready is reached: the ingress hears of a change a moment after it. */
  async function untilRouted(containers: readonly Container[]): Promise<void> {
    const isBehind = containers.some(({ current }) => current.state === 'serving' && !deps.routes.isKnown(current.id));
    if (isBehind && hosts.length > 0) await deps.routes.refresh();
  }

  async function viewOf(container: Container): Promise<ContainerView> {
    await untilRouted([container]);
    const roster = await rosterOf(container.tenantId);
    const entry = roster.containers.find(({ id }) => id === container.id);
    return { container, entry: entry ?? placeless(container) };
  }

  const viewed = async (outcome: Outcome<Container>): Promise<Outcome<ContainerView>> =>
    outcome.ok ? accepted(await viewOf(outcome.value)) : outcome;

  return {
    roster: rosterOf,
    tenant: tenantOf,
    container: containerOf,
    gpusOn: async (hostName, ofId) => {
      const sum = (of: readonly Container[]): number =>
        of
          .flatMap(liveDeployments)
          .filter((deployment) => deployment.hostName === hostName)
          .reduce((gpus, deployment) => gpus + deployment.gpus, 0);
      const all = await records.records('container');
      return { used: sum(all), given: sum(all.filter(({ id }) => id === ofId)) };
    },
    viewed,
    list: async (tenantId) => {
      const [roster, containers] = await Promise.all([rosterOf(tenantId), records.records('container', tenantId)]);
      await untilRouted(containers);
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
      if (customDomain === null || customDomain === '') return accepted({ reason: null });
      if (!isDomain(customDomain)) return invalid('custom_domain', 'be a domain in lower case, such as api.example.com');
      const domain = await records.record('domain', domainRecordId(tenantId, customDomain));
      if ((domain?.verifiedAtMs ?? null) === null) return accepted({ reason: `the domain ${customDomain} is not verified` });
      const others = roster.containers.filter(({ id }) => id !== relaunches);
      return accepted({ reason: refuseTakenDomain(others, customDomain)?.rejection.message ?? null });
    },
    checkRelease: async (tenantId, { repo, tag, inPlaceOf }) => {
      const tenant = await tenantOf(tenantId);
      if (!tenant.ok) return tenant;
      if (inPlaceOf !== null) {
        const found = await containerOf(tenantId, inPlaceOf);
        if (!found.ok) return found;
      }
      const release = await readRelease({ tenantId, repo, tag });
      if (!release.ok) return release;
      const roster = await rosterOf(tenantId);
      const { gpus } = release.value.config;
      const others = roster.containers.filter(({ id }) => id !== inPlaceOf);
      const refusal = (inPlaceOf === null ? refuseCount(tenant.value, roster, null) : null) ?? refuseGpus(tenant.value, gpus, others);
      return refusal ?? accepted({ release: release.value, gpus });
    },
  };
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
