import type { Deployment, Endpoint } from '../../core/containers/container-records.ts';
import type { UnitState } from '../../ports/container-engine.ts';
import type { ContainerHost } from '../../ports/container-hosts.ts';

/** A deployment cannot come up: `message` is for its owner. It is not tried again. */
export class DeploymentFailed extends Error {
  override readonly name = 'DeploymentFailed';
}

/** A unit ended that is to run. Its host may have been started anew: it is given a second time. */
export class UnitEnded extends DeploymentFailed {}

/** Whether anything answers HTTP at an endpoint: any status counts. */
export type ProbeEndpoint = (endpoint: Endpoint, signal: AbortSignal) => Promise<boolean>;

const LOOK_EVERY_MS = 100;
/** An engine starts a unit that keeps ending again and again, ever more slowly: after so many times it is given up. */
const MAX_RESTARTS = 3;
/** Health checks may ask for days: a deployment that takes longer than this has failed. */
const MAX_CHECK_MS = 3_600_000;

/** The exit code of what was killed. Engines do not always hear that it was for its memory. */
const KILLED = 137;

/** Ends with an error that tells of the unit what is wrong with it, where something is for good. */
function refuseEnded(name: string, unit: UnitState | null, isUpstream: boolean): void {
  if (unit === null) throw new DeploymentFailed(`the container ${name} is gone from its host`);
  const memory = unit.oomKilled
    ? ': its memory was full'
    : unit.exitCode === KILLED
      ? ': it was killed, maybe since its memory was full'
      : '';
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

/** How long the health checks of a deployment may take before the engine itself gives up on it. */
const checkMs = ({ config }: Deployment): number =>
  Math.max(
    0,
    ...config.units.map(({ healthcheck: check }) =>
      check === null ? 0 : check.startPeriodMs + (check.intervalMs + check.timeoutMs) * (check.retries + 1),
    ),
  );

/** What waiting needs. Lengths in milliseconds. */
export interface WaitReadyDeps {
  readonly probe: ProbeEndpoint;
  /** Lets time pass; rejects with the signal's reason where it is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly elapsedMs: () => number;
  /** From the start of its units until a deployment must answer, beside the time that its health checks ask for. */
  readonly readyTimeoutMs: number;
}

/** Which units are to become well: their ids by name, the one that serves, and whose they are. */
export interface StartedUnits {
  readonly ids: ReadonlyMap<string, string>;
  readonly upstream: string;
  readonly deployment: Deployment;
  readonly host: ContainerHost;
  readonly signal: AbortSignal;
}

/**
 * Makes what waits until a deployment is well and answers: where, is the value. Throws {@link UnitEnded} where a unit ended,
 * {@link DeploymentFailed} where it does not become well, the engine's faults and the signal's reason.
 */
export function makeWaitReady(deps: WaitReadyDeps): (started: StartedUnits) => Promise<Endpoint> {
  /** Where the deployment answers, once it does; null while it does not yet. */
  async function look({ ids, upstream, host, signal }: StartedUnits): Promise<Endpoint | null> {
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

  return async (started) => {
    const { deployment, upstream, signal } = started;
    const limitMs = deps.readyTimeoutMs + Math.min(checkMs(deployment), MAX_CHECK_MS);
    const sinceMs = deps.elapsedMs();
    for (;;) {
      const endpoint = await look(started);
      if (endpoint !== null) return endpoint;
      if (deps.elapsedMs() - sinceMs > limitMs) {
        const { upstreamPort } = deployment.config.shim;
        const limit = `${Math.round(limitMs / 1000)} s`;
        throw new DeploymentFailed(`the container ${upstream} did not answer HTTP on port ${upstreamPort} within ${limit}`);
      }
      await deps.wait(LOOK_EVERY_MS, signal);
    }
  };
}
