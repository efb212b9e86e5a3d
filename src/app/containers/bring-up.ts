import type { Container, Deployment, Endpoint } from '../../core/containers/container-records.ts';
import type { ImageRef, Registries, RegistryKind } from '../../core/containers/images.ts';
import { EngineFault, type RegistryAuth } from '../../ports/container-engine.ts';
import type { Log } from '../../ports/log.ts';
import type { ContainerHost } from '../../ports/container-hosts.ts';
import { DeploymentFailed, makeWaitReady, UnitEnded, type WaitReadyDeps } from './wait-ready.ts';
import type { ContainerLogLine, LastLines } from './last-lines.ts';
import { planDeployment, type DeploymentPlan } from './plan-units.ts';
import { makeGpuAllotments } from './gpu-allotments.ts';

/** What a deployment's secrets are worth, and what opens its registries. */
export interface DeploymentSecrets {
  /** The values of those of the names that the tenant has. */
  values(tenantId: string, names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Null: nothing is stored for that registry. */
  registryAuth(tenantId: string, kind: RegistryKind): Promise<RegistryAuth | null>;
  /** The registry did not take `auth`, which {@link DeploymentSecrets.registryAuth} gave. */
  noteRefusedAuth(tenantId: string, kind: RegistryKind, auth: RegistryAuth): Promise<void>;
}

/** What bringing up needs. Lengths in milliseconds. */
export interface BringUpDeps extends WaitReadyDeps {
  readonly installation: string;
  readonly registries: Registries;
  readonly secrets: DeploymentSecrets;
  readonly lastLines: LastLines;
  /** Told what of an environment is left out; names, and no values. */
  readonly log: Pick<Log, 'warn'>;
}

/** Of each unit of a deployment that failed; reading them may take so long. */
const LAST_LINES = 100;
const LAST_LINES_MS = 3000;
const HIDDEN = '***';
const SHORTEST_HIDDEN = 4;

/** Faults that end a deployment: trying again would end the same way. */
const FINAL: ReadonlySet<EngineFault['kind']> = new Set(['refused', 'conflict', 'unstartable', 'image_refused', 'firewall']);

/** Faults of a start that may be the unit's own, and gone with it. */
const STUCK: ReadonlySet<EngineFault['kind']> = new Set(['failed', 'in_use']);

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

/** Keeps the last lines of a deployment that failed, as far as its host gives them. */
async function keepLines(
  { log, lastLines }: Pick<BringUpDeps, 'log' | 'lastLines'>,
  planned: DeploymentPlan,
  { container, deployment, host }: BringUpRequest,
  hidden: readonly string[],
): Promise<void> {
  const { id: deploymentId, tag } = deployment;
  const lines: ContainerLogLine[] = [];
  const signal = AbortSignal.timeout(LAST_LINES_MS);
  for (const { name, unit } of planned.units) {
    try {
      const state = await host.engine.inspectUnit(name);
      if (state === null) continue;
      const query = { tail: LAST_LINES, sinceMs: null, follow: false, signal };
      for await (const line of host.engine.logs(state.id, query)) {
        lines.push({ ...line, line: hideSecrets(line.line, hidden), unit, deploymentId, tag });
      }
    } catch (err) {
      log.warn({ err, deploymentId, unit }, 'the last lines of a unit could not be read');
    }
  }
  lastLines.keep(
    container.id,
    lines.toSorted((a, b) => a.atMs - b.atMs),
  );
}

/** Throws what went wrong: as the deployment's failure where it is for good, without the values of secrets. */
function fail(err: unknown, hidden: readonly string[]): never {
  if (err instanceof DeploymentFailed) throw new DeploymentFailed(hideSecrets(err.message, hidden), { cause: err.cause });
  if (err instanceof EngineFault && FINAL.has(err.kind)) throw new DeploymentFailed(hideSecrets(err.publicMessage, hidden), { cause: err });
  throw err;
}

/** Makes the {@link BringUp}. */
export function makeBringUp(deps: BringUpDeps): BringUp {
  const { installation, registries, secrets } = deps;
  const waitReady = makeWaitReady(deps);

  const allotments = makeGpuAllotments({ installation });

  async function plan(
    { container, deployment }: Pick<BringUpRequest, 'container' | 'deployment'>,
    gpus: readonly string[],
  ): Promise<{ plan: DeploymentPlan; hidden: string[] }> {
    const values = await secrets.values(container.tenantId, deployment.secrets);
    try {
      const given = { values: { variables: deployment.variables, secrets: values }, registries, gpus };
      return { plan: planDeployment({ container, deployment, installation }, given), hidden: [...values.values()] };
    } catch (err) {
      throw new DeploymentFailed(err instanceof Error ? err.message : 'the deployment cannot be planned', { cause: err });
    }
  }

  /** One that is there already may be another tenant's: what is new asks the registry with its own tenant's credentials, which costs one look. */
  async function pullImage(image: ImageRef, { container, deployment, host, signal }: Omit<BringUpRequest, 'onStarted'>): Promise<void> {
    if (deployment.state !== 'pending' && (await host.engine.hasImage(image))) return;
    const auth = await secrets.registryAuth(container.tenantId, image.kind);
    try {
      await host.engine.pull({ image, auth, signal });
    } catch (err) {
      if (auth !== null && err instanceof EngineFault && (err.status === 401 || err.status === 403)) {
        await secrets.noteRefusedAuth(container.tenantId, image.kind, auth);
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
      await startUnit(host, id);
    }
    return ids;
  }

  /**
   * Starts a unit. One that its engine tried to start in vain is removed, so that the next try makes it anew: an engine that was killed in the middle of a
   * start refuses that very unit ever after (`task already exists`), and so does one where somebody paused it.
   */
  async function startUnit({ engine, name }: ContainerHost, id: string): Promise<void> {
    try {
      await engine.startUnit(id);
    } catch (err) {
      if (err instanceof EngineFault && STUCK.has(err.kind)) {
        deps.log.warn({ err, unit: id, host: name }, 'a unit that cannot be started is made anew');
        await engine
          .removeUnit(id)
          .catch((fault: unknown) => deps.log.warn({ err: fault, unit: id, host: name }, 'the unit could not be removed'));
      }
      throw err;
    }
  }

  return {
    pull: async (request) => {
      const { plan: planned, hidden } = await plan(request, []);
      await pullAll(planned.images, request).catch((err: unknown) => fail(err, hidden));
    },
    run: async (request) => {
      const { gpus, release } = await allotments.allot(request);
      const { plan: planned, hidden } = await plan(request, gpus);
      try {
        for (const warning of planned.warnings) {
          deps.log.warn({ containerId: request.container.id, deploymentId: request.deployment.id }, warning);
        }
        await pullAll(planned.images, request);
        const ids = await make(planned, request);
        await request.onStarted();
        const started = { ...request, ids, upstream: planned.upstream };
        return await waitReady(started).catch(async (err: unknown) => {
          if (!(err instanceof UnitEnded)) throw err;
          return waitReady({ ...started, ids: await make(planned, request) });
        });
      } catch (err) {
        if (err instanceof DeploymentFailed) await keepLines(deps, planned, request, hidden);
        return fail(err, hidden);
      } finally {
        // What was made says by itself what it has.
        release();
      }
    },
  };
}
