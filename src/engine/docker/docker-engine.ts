import Docker from 'dockerode';
import type { ContainerInfo, NetworkInspectInfo, VolumeInspectInfo } from 'dockerode';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { inspect } from 'node:util';
import { imageAddress } from '../../core/containers/images.ts';
import { EngineFault, type ContainerEngine, type EngineState, type OwnedObject, type UnitSpec } from '../../ports/container-engine.ts';
import type { EngineAddress } from './engine-address.ts';
import { getJson } from './engine-faults.ts';
import { startExec } from './exec-requests.ts';
import { makeFirewall, type Firewall } from './firewall.ts';
import type { FirewallExceptions } from './firewall-rules.ts';
import { makeImageRequests } from './image-requests.ts';
import { installationFilter, readOwner, type Labels } from './labels.ts';
import { readLogs } from './log-requests.ts';
import { makeNetworkRequests, makeVolumeRequests } from './network-requests.ts';
import { pullImage, type PullLimits } from './pull-image.ts';
import { readListedUnit } from './read-state.ts';
import { makeEngineRequests, type EngineRequests, type RequestLimits } from './requests.ts';
import { SshAgent } from './ssh-agent.ts';
import { makeUnitRequests } from './unit-requests.ts';

/** How a host keeps its containers in. */
export interface FirewallSettings {
  /**
   * `strict`: rules are kept in place, and a network with a way out is refused where they cannot be. `lenient`: then it is made without.
   * `off`: the host's rules are never touched, and every network is made.
   */
  readonly mode: 'strict' | 'lenient' | 'off';
  /** Put before `iptables` and its relatives; null where no command reaches the engine's networks from here. */
  readonly via: readonly string[] | null;
  readonly exceptions: FirewallExceptions;
}

/** Limits of one engine's requests; those not given are below. */
export interface EngineLimits extends RequestLimits, PullLimits {
  /** The log of a unit, in bytes. */
  readonly logBytes: number;
  /** Of one line of a log, at most 16 KiB. */
  readonly logLineBytes: number;
  /** For each command of the firewall. */
  readonly firewallMs: number;
  /** The firewall is looked at by a listing when it was not for so long. */
  readonly firewallEveryMs: number;
}

const MIB = 1024 * 1024;

const DEFAULT_ENGINE_LIMITS: EngineLimits = {
  requestMs: 30_000,
  answerBytes: 64 * MIB,
  stallMs: 120_000,
  totalMs: 3_600_000,
  logBytes: 24 * MIB,
  logLineBytes: 16 * 1024,
  firewallMs: 10_000,
  firewallEveryMs: 10_000,
};

export interface DockerEngineOptions {
  /** Names the host in messages for logs. */
  readonly host: string;
  readonly docker: EngineAddress;
  /** The host's own address, on which ports are published. */
  readonly address: string;
  readonly firewall: FirewallSettings;
  readonly limits?: Partial<EngineLimits>;
  /** Run instead of `ssh`. */
  readonly sshProgram?: readonly string[];
}

const SSH_CONNECT_S = 10;

/** Everything that `dockerode` would take from the environment is given, so that a variable meant for others changes nothing here. */
function connect({ docker, sshProgram }: DockerEngineOptions): { docker: Docker; agent: HttpAgent } {
  const over = (agent: HttpAgent, protocol: 'http' | 'https', where: Docker.DockerOptions): { docker: Docker; agent: HttpAgent } => {
    // The connection layer writes what it is given out in full for its debug log before every request, whether anyone reads that or not.
    Object.assign(agent, { [inspect.custom]: () => 'Agent' });
    // It takes the agent, which the published types do not say.
    const given: Docker.DockerOptions & { agent: HttpAgent } = { ...none, ...where, protocol, agent };
    return { agent, docker: new Docker(given) };
  };
  const none = {
    host: undefined,
    port: undefined,
    socketPath: undefined,
    ca: undefined,
    cert: undefined,
    key: undefined,
    timeout: undefined,
  };
  if (docker.kind === 'unix') {
    const agent = new HttpAgent({ keepAlive: true });
    return over(agent, 'http', { socketPath: docker.path });
  }
  if (docker.kind === 'ssh') {
    const agent = new SshAgent(docker, sshProgram ?? ['ssh'], { connectTimeoutS: SSH_CONNECT_S });
    return over(agent, 'http', { host: docker.host, port: 80 });
  }
  const { host, port, tls } = docker;
  if (tls === null) {
    const agent = new HttpAgent({ keepAlive: true });
    return over(agent, 'http', { host, port });
  }
  const agent = new HttpsAgent({ keepAlive: true, ...tls });
  return over(agent, 'https', { host, port, ...tls });
}

/**
 * Opens a Docker engine, of 20.10 or newer. Nothing is asked of it before the first call.
 *
 * The firewall is for engines whose networks are within reach of commands here: those on this machine.
 */
export function makeDockerEngine(options: DockerEngineOptions): ContainerEngine {
  const { host, address, firewall: settings } = options;
  const limits = { ...DEFAULT_ENGINE_LIMITS, ...options.limits };
  const connection = connect(options);
  const requests = makeEngineRequests({ ...connection, host, limits });
  const hostSide = { address, dns: settings.exceptions.dns, logBytes: limits.logBytes };
  const units = makeUnitRequests({ requests, host, hostSide, requestMs: limits.requestMs });
  const firewall =
    settings.mode === 'off' || settings.via === null
      ? null
      : makeFirewall({ host, via: settings.via, exceptions: settings.exceptions, commandMs: limits.firewallMs });
  const keepIn = makeKeepIn(firewall, { mode: settings.mode, host, everyMs: limits.firewallEveryMs });
  const images = makeImageRequests(requests, host);
  const networks = makeNetworkRequests(requests, host);
  const volumes = makeVolumeRequests(requests, host);

  return {
    ping: async () => readState(requests, host, await keepIn.isManaged()),

    pull: async (request) => {
      await pullImage(request, { requests, host, limits });
      if (await images.has(request.image)) return;
      throw new EngineFault({
        kind: 'image_refused',
        message: `${host}: after pulling ${imageAddress(request.image)} the engine has no such digest`,
        publicMessage: `The image ${request.image.host}/${request.image.repository} is not of the digest that was asked for.`,
      });
    },
    hasImage: images.has,
    removeImage: images.remove,

    ensureNetwork: async (spec) => {
      await keepIn.before(spec.role === 'open');
      await networks.ensure(spec);
    },
    removeNetwork: networks.remove,
    ensureVolume: volumes.ensure,
    removeVolume: volumes.remove,

    createUnit: async (spec) => {
      refuseWrongWayOut(spec);
      if (spec.networks.length > 0) await keepIn.before(spec.networks.some(({ role }) => role === 'open'));
      return units.create(spec);
    },
    startUnit: units.start,
    stopUnit: units.stop,
    removeUnit: units.remove,
    inspectUnit: units.inspect,
    list: async (installation) => {
      const filters = installationFilter(installation);
      const [listed, nets, vols] = await Promise.all([
        getJson<ContainerInfo[]>(requests, host, '/containers/json', { all: true, filters }),
        getJson<NetworkInspectInfo[]>(requests, host, '/networks', { filters }),
        getJson<{ Volumes: VolumeInspectInfo[] | null }>(requests, host, '/volumes', { filters }),
      ]);
      // What the engine started by itself, as after a start of the machine, nobody has asked the firewall about.
      if (nets.length > 0) await keepIn.fromTimeToTime();
      return {
        units: listed.map(readListedUnit),
        networks: nets.map(readOwned),
        volumes: (vols.Volumes ?? []).map(readOwned),
      };
    },

    logs: (id, request) => readLogs({ requests, host, maxLineBytes: limits.logLineBytes }, id, request),
    stats: units.stats,
    exec: (id, spec) => startExec({ requests, host }, id, spec),
    capture: units.capture,
    close: () => {
      requests.close();
      return Promise.resolve();
    },
  };
}

/** The way out of a unit is the network whose name sorts first: a wrong order would send everything into the shim's. */
function refuseWrongWayOut(spec: UnitSpec): void {
  const first = spec.networks.filter(({ role }) => role !== 'closed').toSorted((a, b) => (a.name < b.name ? -1 : 1))[0];
  if (first?.role === 'shim' && spec.networks.some(({ role }) => role === 'open')) {
    throw new Error(`the open network of ${spec.name} must have a name that sorts before ${first.name}`);
  }
}

interface KeepIn {
  /** Puts the firewall in place before something is made; throws for what needs it, in strict mode, where that cannot be. */
  before(hasWayOut: boolean): Promise<void>;
  isManaged(): Promise<boolean>;
  fromTimeToTime(): Promise<void>;
}

function makeKeepIn(firewall: Firewall | null, options: { mode: FirewallSettings['mode']; host: string; everyMs: number }): KeepIn {
  const { mode, host, everyMs } = options;
  let lookedAt = -Infinity;
  const attempt = async (): Promise<unknown> => {
    if (firewall === null) return new Error('no command reaches the networks of this host');
    lookedAt = performance.now();
    try {
      await firewall.ensure();
      return null;
    } catch (error) {
      return error;
    }
  };
  return {
    isManaged: async () => (await attempt()) === null,
    fromTimeToTime: async () => {
      if (firewall !== null && performance.now() - lookedAt >= everyMs) await attempt();
    },
    before: async (hasWayOut) => {
      if (mode === 'off') return;
      const failure = await attempt();
      if (failure === null || mode === 'lenient' || !hasWayOut) return;
      throw new EngineFault({
        kind: 'firewall',
        message: `${host}: a network with a way out is refused: ${failure instanceof Error ? failure.message : 'the firewall is not in place'}`,
        publicMessage: 'The host cannot keep outgoing traffic away from private networks, so it makes no network with `egress: open`.',
        cause: failure,
      });
    },
  };
}

async function readState(requests: EngineRequests, host: string, isManaged: boolean): Promise<EngineState> {
  const [info, version] = await Promise.all([
    getJson<{ NCPU: number; MemTotal: number }>(requests, host, '/info'),
    getJson<{ Version: string; ApiVersion: string }>(requests, host, '/version'),
  ]);
  return {
    version: version.Version,
    apiVersion: version.ApiVersion,
    cpus: info.NCPU,
    memoryBytes: info.MemTotal,
    firewall: isManaged ? 'managed' : 'unmanaged',
  };
}

const readOwned = (listed: { readonly Name: string; readonly Labels?: Labels | null | undefined }): OwnedObject => ({
  name: listed.Name,
  owner: readOwner(listed.Labels ?? {}),
});
