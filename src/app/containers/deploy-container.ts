import { invalid, notFound } from '../../core/access/rules.ts';
import type { ContainerPlace } from '../../core/containers/commands.ts';
import { checkContainerName } from '../../core/containers/container-names.ts';
import type { Container, Deployment, DeploymentSpec } from '../../core/containers/container-records.ts';
import { refuseGpus, refuseHostChoice, refuseUnpaid } from '../../core/containers/deploy-rules.ts';
import { gpuRoom, neededGpus } from '../../core/containers/gpu-allotment.ts';
import { uuidOf } from '../../core/containers/uuid.ts';
import { Fault } from '../../core/fault.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { ContainerHost, ContainerHosts } from '../../ports/container-hosts.ts';
import type { Ids } from '../../ports/ids.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { ContainerLookups, ContainerView } from './container-reads.ts';
import type { MeterContainers } from './meter-containers.ts';
import type { ReadRelease, Release } from './read-release.ts';

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

/** What makes and deploys containers. */
export interface Deployments {
  /** Rejects: what the command may be refused for without the release; `payment_required` (nothing is left to pay with), `not_found` (host), reading the release, then as `create-container`. */
  create(actor: Actor, tenantId: string, wanted: NewContainer): Promise<Outcome<ContainerView>>;
  /** Rejects likewise, as `deploy-container`. */
  deploy(
    actor: Actor,
    tenantId: string,
    id: string,
    wanted: DeploymentRequest & { readonly start: boolean },
  ): Promise<Outcome<ContainerView>>;
}

/** What deploying needs. */
export interface DeploymentsDeps {
  readonly lookups: ContainerLookups;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next' | 'token'>;
  readonly hosts: ContainerHosts;
  /** Why a host cannot be used now; null where it can, or nobody knows yet. */
  readonly hostFault: (name: string) => string | null;
  readonly readRelease: ReadRelease;
  readonly metering: Pick<MeterContainers, 'requireFunds'>;
}

/** A container that changed between reading and deciding is read again that often. */
const TRIES = 3;

/** Makes the {@link Deployments}. */
export function makeDeployments(deps: DeploymentsDeps): Deployments {
  const { lookups, writer, ids, hosts, readRelease } = deps;

  /** Throws where a host is known to be out of reach: nothing is asked of it that cannot begin. */
  function requireReachable({ name }: ContainerHost): void {
    const fault = deps.hostFault(name);
    if (fault !== null) throw unreachable(`the container host ${name} is not reachable: ${fault}`);
  }

  const baseOf = (actor: Actor, name: string, tenantId: string, id: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'container', resourceId: id });

  const planned = (spec: DeploymentSpec, runsTwice: boolean) => ({ deploymentId: ids.next('dep'), spec, runsTwice });

  async function create(actor: Actor, tenantId: string, wanted: NewContainer): Promise<Outcome<ContainerView>> {
    const tenant = await lookups.tenant(tenantId);
    if (!tenant.ok) return tenant;
    const roster = await lookups.roster(tenantId);
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
    const funds = await deps.metering.requireFunds(tenant.value);
    if (!funds.ok) return funds;
    const host = hostOf(hosts, wanted.hostName);
    if (!host.ok) return host;
    const release = await readRelease({ tenantId, repo: wanted.repo, tag: wanted.tag });
    if (!release.ok) return release;
    requireReachable(host.value);
    const spec = specOf({ ...wanted, debug }, { before: null, release: release.value, tag: wanted.tag, hostName: host.value.name });
    const misfit = refuseMisfit(host.value, spec);
    if (misfit !== null) return misfit;
    const containerId = uuidOf(ids.token(16));
    const outcome = await writer.execute({
      verb: 'create-container',
      ...baseOf(actor, 'create-container', tenantId, containerId),
      ...planned(spec, (await hasRoom(lookups, host.value, spec, wanted.replaces)) && release.value.runsTwice),
      containerId,
      name,
      repo: wanted.repo,
      staging: wanted.staging ?? false,
      place: wanted.place,
      replaces: wanted.replaces,
      asksHost: wanted.hostName !== undefined,
      createdBy: wanted.createdBy,
    });
    return lookups.viewed(outcome);
  }

  async function deploy(
    actor: Actor,
    tenantId: string,
    id: string,
    wanted: DeploymentRequest & { readonly start: boolean },
  ): Promise<Outcome<ContainerView>> {
    for (let tries = TRIES; ; tries -= 1) {
      const outcome = await deployOnce(actor, tenantId, id, wanted);
      if (outcome.ok || outcome.rejection.code !== 'stale_view' || tries === 0) return lookups.viewed(outcome);
    }
  }

  async function deployOnce(
    actor: Actor,
    tenantId: string,
    id: string,
    wanted: DeploymentRequest & { readonly start: boolean },
  ): Promise<Outcome<Container>> {
    const found = await lookups.container(tenantId, id);
    if (!found.ok) return found;
    const { current: before, repo } = found.value;
    const tenant = await lookups.tenant(tenantId);
    if (!tenant.ok) return tenant;
    // A container that serves stays where it is; one that does not may go elsewhere.
    const asksHost = wanted.hostName !== undefined && wanted.hostName !== before.hostName;
    const early = refuseUnpaid(tenant.value) ?? refuseHostChoice(tenant.value, asksHost);
    if (early !== null) return early;
    const funds = await deps.metering.requireFunds(tenant.value);
    if (!funds.ok) return funds;
    const host = hostOf(hosts, wanted.hostName ?? before.hostName);
    if (!host.ok) return host;
    const tag = wanted.tag ?? before.tag;
    const release = await readRelease({ tenantId, repo, tag });
    if (!release.ok) return release;
    requireReachable(host.value);
    const spec = specOf(wanted, { before, release: release.value, tag, hostName: host.value.name });
    const misfit = refuseMisfit(host.value, spec);
    if (misfit !== null) return misfit;
    return writer.execute({
      verb: 'deploy-container',
      ...baseOf(actor, wanted.start ? 'start-container' : 'relaunch-container', tenantId, id),
      ...planned(spec, (await hasRoom(lookups, host.value, spec, id)) && release.value.runsTwice),
      containerId: id,
      start: wanted.start,
      hold: wanted.staging ?? null,
      seenDeploymentId: before.id,
      asksHost,
    });
  }

  return { create, deploy };
}

/** Whether a deployment can run beside what it takes the place of (`ofId`), as far as its GPUs go. Throws where it cannot run at all. */
async function hasRoom(
  lookups: Pick<ContainerLookups, 'gpusOn'>,
  host: ContainerHost,
  { gpus: count }: DeploymentSpec,
  ofId: string | null,
): Promise<boolean> {
  if (count === 0) return true;
  const total = host.gpuDevices.length;
  const { used, given } = await lookups.gpusOn(host.name, ofId);
  const room = gpuRoom({ total, used, given, count });
  if (room !== 'none') return room === 'beside';
  throw unreachable(
    `the container host ${host.name} has ${Math.max(0, total - used)} of its ${total} GPUs free, and ${count} are asked for`,
  );
}

/** Nothing can be asked of a host: 503, with a sentence for whoever asks. */
const unreachable = (publicMessage: string): Fault => new Fault({ code: 'overloaded', message: publicMessage, publicMessage });

/** Refuses a number of GPUs that the configuration cannot do with, or the host has no place for: `invalid_request`. */
function refuseMisfit(host: ContainerHost, { gpus, config }: DeploymentSpec) {
  const { count, unit } = neededGpus(config);
  if (count > gpus) return invalid('gpus', `be at least ${count}: the container ${unit} of the configuration has so many`);
  if (gpus === 0 || host.gpus.includes(gpus)) return null;
  const known = host.gpus.length === 0 ? 'be 0: the host has none' : `be one of ${host.gpus.join(', ')} on the host ${host.name}`;
  return invalid('gpus', known);
}

/** The host of that name or, without a name, the default one, or the first. */
function hostOf(hosts: ContainerHosts, name: string | undefined): Outcome<ContainerHost> {
  const host = name === undefined ? (hosts.find(({ isDefault }) => isDefault) ?? hosts[0]) : hosts.find((known) => known.name === name);
  if (host !== undefined) return accepted(host);
  if (name !== undefined && hosts.length > 0) return notFound(`host ${name}`);
  throw unreachable('no container host is declared: the operator declares hosts in the configuration file');
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
