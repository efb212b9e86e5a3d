import type { Container, Deployment, Endpoint } from '../../core/containers/container-records.ts';
import { networkName } from '../../core/containers/engine-names.ts';
import { imageAddress, type ImageRef, type Registries, type RegistryKind } from '../../core/containers/images.ts';
import { EngineFault, type ContainerEngine, type RegistryAuth, type UnitState } from '../../ports/container-engine.ts';
import type { Log } from '../../ports/log.ts';
import type { ContainerHost } from '../../ports/container-hosts.ts';
import { planDeployment, type DeploymentPlan } from './plan-units.ts';

/** What a deployment's secrets are worth, and what opens its registries. */
export interface DeploymentSecrets {
  /** The values of those of the names that the tenant has. */
  values(tenantId: string, names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Null: nothing is stored for that registry. */
  registryAuth(tenantId: string, kind: RegistryKind): Promise<RegistryAuth | null>;
  /** The registry did not take what is stored for it. */
  noteRefusedAuth(tenantId: string, kind: RegistryKind): Promise<void>;
}

/** Whether anything answers HTTP at an endpoint: any status counts. */
export type ProbeEndpoint = (endpoint: Endpoint, signal: AbortSignal) => Promise<boolean>;

/** What bringing up needs. Lengths in milliseconds. */
export interface BringUpDeps {
  readonly installation: string;
  readonly registries: Registries;
  readonly secrets: DeploymentSecrets;
  readonly probe: ProbeEndpoint;
  /** Lets time pass; rejects with the signal's reason where it is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly elapsedMs: () => number;
  /** Told what of an environment is left out; names, and no values. */
  readonly log: Pick<Log, 'warn'>;
  /** From the start of its units until a deployment must answer, beside the time that its health checks ask for. */
  readonly readyTimeoutMs: number;
}

/** A deployment cannot come up: `message` is for its owner. It is not tried again. */
export class DeploymentFailed extends Error {
  override readonly name = 'DeploymentFailed';
}

const LOOK_EVERY_MS = 100;
/** An engine starts a unit that keeps ending again and again, ever more slowly: after so many times it is given up. */
const MAX_RESTARTS = 3;
const HIDDEN = '***';
const SHORTEST_HIDDEN = 4;

/** A unit ended that is to run. Its host may have been started anew: it is given a second time. */
class UnitEnded extends DeploymentFailed {}

/** Faults that end a deployment: trying again would end the same way. */
const FINAL: ReadonlySet<EngineFault['kind']> = new Set(['refused', 'conflict', 'unstartable', 'image_refused', 'firewall']);

/** Text without the values of secrets: what an engine or a health check says may hold them. */
function hideSecrets(text: string, values: Iterable<string>): string {
  let hidden = text;
  for (const value of values) if (value.length >= SHORTEST_HIDDEN) hidden = hidden.replaceAll(value, HIDDEN);
  return hidden;
}

/** Which deployment on which host, as long as `signal` lasts. `onStarted` is called once all units run. */
export interface BringUpRequest {
  readonly container: Container;
  readonly deployment: Deployment;
  readonly host: ContainerHost;
  readonly signal: AbortSignal;
  readonly onStarted: () => Promise<void>;
}

/** Brings deployments up. */
export interface BringUp {
  /** Pulls what a deployment is made of, without making anything else. Throws as {@link BringUp.run}. */
  pull(request: Omit<BringUpRequest, 'onStarted'>): Promise<void>;
  /**
   * Makes what is missing of a deployment, starts it and waits until it answers: where, is the value. May be run again at any time.
   *
   * Throws {@link DeploymentFailed} where it cannot come up, `EngineFault` where trying again may help, and the signal's reason.
   */
  run(request: BringUpRequest): Promise<Endpoint>;
}

/** Makes the {@link BringUp}. */
export function makeBringUp(deps: BringUpDeps): BringUp {
  const { installation, registries, secrets } = deps;

  async function plan({
    container,
    deployment,
  }: Pick<BringUpRequest, 'container' | 'deployment'>): Promise<{ plan: DeploymentPlan; hidden: string[] }> {
    const values = await secrets.values(container.tenantId, deployment.secrets);
    try {
      const given = { values: { variables: deployment.variables, secrets: values }, registries };
      return { plan: planDeployment({ container, deployment, installation }, given), hidden: [...values.values()] };
    } catch (err) {
      throw new DeploymentFailed(err instanceof Error ? err.message : 'the deployment cannot be planned', { cause: err });
    }
  }

  async function pullImage(image: ImageRef, { container, host, signal }: Omit<BringUpRequest, 'onStarted'>): Promise<void> {
    if (await host.engine.hasImage(image)) return;
    const auth = await secrets.registryAuth(container.tenantId, image.kind);
    try {
      await host.engine.pull({ image, auth, signal });
    } catch (err) {
      if (auth !== null && err instanceof EngineFault && (err.status === 401 || err.status === 403)) {
        await secrets.noteRefusedAuth(container.tenantId, image.kind);
      }
      throw err;
    }
  }

  async function pullAll(images: readonly ImageRef[], request: Omit<BringUpRequest, 'onStarted'>): Promise<void> {
    for (const image of images) {
      request.signal.throwIfAborted();
      await pullImage(image, request);
    }
  }

  /** Makes and starts what is planned; returns the ids of units by name. */
  async function make(planned: DeploymentPlan, { host, signal }: BringUpRequest): Promise<Map<string, string>> {
    const { engine } = host;
    for (const volume of planned.volumes) await engine.ensureVolume(volume);
    for (const network of planned.networks) await engine.ensureNetwork(network);
    const ids = new Map<string, string>();
    for (const unit of planned.units) {
      signal.throwIfAborted();
      ids.set(unit.unit, (await engine.createUnit(unit)).id);
    }
    for (const [, id] of ids) {
      signal.throwIfAborted();
      await engine.startUnit(id);
    }
    return ids;
  }

  /** Ends with an error that tells of the unit what is wrong with it, where something is for good. */
  function refuseEnded(name: string, unit: UnitState | null, isUpstream: boolean): void {
    if (unit === null) throw new DeploymentFailed(`the container ${name} is gone from its host`);
    const memory = unit.oomKilled ? ': its memory was full' : '';
    if (unit.restarts >= MAX_RESTARTS) {
      throw new DeploymentFailed(`the container ${name} keeps ending, last with exit code ${unit.exitCode}${memory}`);
    }
    const isDone = unit.state === 'exited' || unit.state === 'dead';
    // What has ended well may have prepared something for the others; what serves may not end.
    if (isDone && (isUpstream || unit.exitCode !== 0 || unit.oomKilled)) {
      const why = unit.error === '' ? '' : `: ${unit.error}`;
      throw new UnitEnded(`the container ${name} ended with exit code ${unit.exitCode}${memory}${why}`);
    }
    if (unit.health === 'unhealthy') {
      const said = unit.healthOutput.trim();
      throw new DeploymentFailed(`the container ${name} is unhealthy${said === '' ? '' : `: ${said}`}`);
    }
  }

  const isWell = (unit: UnitState): boolean =>
    (unit.state === 'running' && (unit.health === 'none' || unit.health === 'healthy')) || (unit.state === 'exited' && unit.exitCode === 0);

  /** Where the deployment answers, once it does; null while it does not yet. */
  async function look(ids: ReadonlyMap<string, string>, upstream: string, { host, signal }: BringUpRequest): Promise<Endpoint | null> {
    let port: number | null = null;
    let allWell = true;
    for (const [name, id] of ids) {
      const unit = await host.engine.inspectUnit(id);
      refuseEnded(name, unit, name === upstream);
      if (unit === null) continue;
      allWell = allWell && isWell(unit);
      if (name === upstream) port = unit.publishedPort;
    }
    if (!allWell || port === null) return null;
    const endpoint = { address: host.address, port };
    return (await deps.probe(endpoint, signal)) ? endpoint : null;
  }

  /** How long the health checks of a deployment may take before the engine itself gives up on it. */
  const checkMs = ({ config }: Deployment): number =>
    Math.max(
      0,
      ...config.units.map(({ healthcheck: check }) =>
        check === null ? 0 : check.startPeriodMs + (check.intervalMs + check.timeoutMs) * (check.retries + 1),
      ),
    );

  async function waitReady(ids: ReadonlyMap<string, string>, upstream: string, request: BringUpRequest): Promise<Endpoint> {
    const limitMs = deps.readyTimeoutMs + checkMs(request.deployment);
    const sinceMs = deps.elapsedMs();
    for (;;) {
      const endpoint = await look(ids, upstream, request);
      if (endpoint !== null) return endpoint;
      if (deps.elapsedMs() - sinceMs > limitMs) {
        const { upstreamPort } = request.deployment.config.shim;
        throw new DeploymentFailed(
          `the container ${upstream} did not answer HTTP on port ${upstreamPort} within ${Math.round(limitMs / 1000)} s`,
        );
      }
      await deps.wait(LOOK_EVERY_MS, request.signal);
    }
  }

  return {
    pull: async (request) => {
      const { plan: planned, hidden } = await plan(request);
      await pullAll(planned.images, request).catch((err: unknown) => fail(err, hidden));
    },
    run: async (request) => {
      const { plan: planned, hidden } = await plan(request);
      try {
        for (const warning of planned.warnings) {
          deps.log.warn({ containerId: request.container.id, deploymentId: request.deployment.id }, warning);
        }
        await pullAll(planned.images, request);
        const ids = await make(planned, request);
        await request.onStarted();
        try {
          return await waitReady(ids, planned.upstream, request);
        } catch (err) {
          if (!(err instanceof UnitEnded)) throw err;
          return await waitReady(await make(planned, request), planned.upstream, request);
        }
      } catch (err) {
        return fail(err, hidden);
      }
    },
  };

  /** Throws what went wrong: as the deployment's failure where it is for good, without the values of secrets. */
  function fail(err: unknown, hidden: readonly string[]): never {
    if (err instanceof DeploymentFailed) throw new DeploymentFailed(hideSecrets(err.message, hidden), { cause: err.cause });
    if (err instanceof EngineFault && FINAL.has(err.kind))
      throw new DeploymentFailed(hideSecrets(err.publicMessage, hidden), { cause: err });
    throw err;
  }
}

/** What taking down needs: the engine of the host that it is on. */
interface TakeDown {
  readonly engine: ContainerEngine;
  readonly deployment: Deployment;
  readonly units: readonly { readonly id: string }[];
  readonly networks: readonly string[];
}

/** Time from the stop signal to the kill where the configuration names none, as the engine's own. */
const STOP_TIMEOUT_S = 10;

/** Removes everything of a deployment from its host but images and volumes. Units stop in their own time, all at once. */
export async function takeDown({ engine, deployment, units, networks }: TakeDown): Promise<void> {
  const timeoutS = Math.max(...deployment.config.units.map(({ stopTimeoutS }) => stopTimeoutS ?? STOP_TIMEOUT_S), 0);
  await Promise.all(
    units.map(async ({ id }) => {
      await engine.stopUnit(id, timeoutS);
      await engine.removeUnit(id);
    }),
  );
  const shim = networkName(deployment.id, 'shim', '');
  for (const name of new Set([...networks, shim])) await engine.removeNetwork(name);
}

/** The addresses of the images of deployments, by their digests; those that are not allowed any more are left out. */
export function imageAddresses(deployments: readonly Deployment[], resolve: (image: string) => ImageRef | null): Set<string> {
  const images = deployments.flatMap(({ config }) => config.units.map(({ image }) => resolve(image)));
  return new Set(images.flatMap((image) => (image === null ? [] : [imageAddress(image)])));
}
