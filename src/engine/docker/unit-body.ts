import { createHash } from 'node:crypto';
import type { ContainerCreateOptions, DeviceRequest, HealthConfig, HostConfig } from 'dockerode';
import { imageAddress } from '../../core/containers/images.ts';
import type { HealthcheckSpec, UnitSpec } from '../../ports/container-engine.ts';
import { LABELS, ownerLabels } from './labels.ts';

/** What of a unit is the host's to say. */
export interface HostSide {
  /** Address of the host that ports are published on, as it was declared: an IP address or a name. */
  readonly address: string;
  /** Resolvers of units that have a way out; empty for those that the engine knows. */
  readonly dns: readonly string[];
  /** The log of a unit is at most so long, in bytes, in `LOG_FILES` files. */
  readonly logBytes: number;
}

const LOG_FILES = 3;
const MIB = 1024 * 1024;
const DEFAULT_SHM_BYTES = 64 * MIB;
const MAX_HOST_NAME = 63;
/** No core dumps: they would fill the host's disk outside of any limit. Other limits are the engine's own, which may not be raised here. */
const ULIMITS = [{ Name: 'core', Soft: 0, Hard: 0 }];
/**
 * The resolver of units without a way out: an address of the block that is for documentation, so that nobody answers. Otherwise the engine's
 * own resolver would ask the world for them, and a name is enough to carry a secret out.
 */
const NO_RESOLVER = '192.0.2.1';

const nanoseconds = (ms: number): number => ms * 1_000_000;

const health = (check: HealthcheckSpec): HealthConfig => ({
  Test: [...check.test],
  // 0 is what the engine reads as its own default.
  Interval: nanoseconds(check.intervalMs ?? 0),
  Timeout: nanoseconds(check.timeoutMs ?? 0),
  Retries: check.retries ?? 0,
  StartPeriod: nanoseconds(check.startPeriodMs ?? 0),
});

const gpuRequests = (gpus: readonly string[]): DeviceRequest[] => [{ Driver: 'nvidia', Capabilities: [['gpu']], DeviceIDs: [...gpus] }];

const halfOf = (memoryBytes: number | null): number => (memoryBytes === null ? DEFAULT_SHM_BYTES : Math.floor(memoryBytes / 2));

const tmpfsOptions = (options: string, memoryBytes: number | null): string => {
  const given = options.split(',').filter((option) => option !== '');
  return given.some((option) => option.startsWith('size=')) ? given.join(',') : [...given, `size=${halfOf(memoryBytes)}`].join(',');
};

const portName = (port: number): string => `${port}/tcp`;

/** Every port with where it is published: fixed ones on their own, the shim's on one that the engine chooses. */
function portBindings(spec: UnitSpec, address: string): Record<string, { HostIp: string; HostPort: string }[]> {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  const add = (containerPort: number, hostPort: string): void => {
    (bindings[portName(containerPort)] ??= []).push({ HostIp: address, HostPort: hostPort });
  };
  if (spec.shimPort !== null) add(spec.shimPort, '');
  for (const port of spec.ports) add(port.containerPort, String(port.hostPort));
  return bindings;
}

const hasWayOut = (spec: UnitSpec): boolean => spec.networks.some(({ role }) => role === 'open');

function hostConfig(spec: UnitSpec, host: HostSide): HostConfig {
  return {
    NetworkMode: spec.networks[0]?.name ?? 'none',
    PortBindings: portBindings(spec, host.address),
    PublishAllPorts: false,
    ReadonlyRootfs: spec.readOnly,
    CapDrop: ['ALL'],
    CapAdd: [...spec.capAdd],
    SecurityOpt: ['no-new-privileges:true'],
    Privileged: false,
    IpcMode: spec.ipc ?? 'private',
    PidsLimit: spec.pidsLimit,
    // The same for both means: no swap beyond the memory.
    ...(spec.memoryBytes === null ? {} : { Memory: spec.memoryBytes, MemorySwap: spec.memoryBytes }),
    ...(spec.cpus === null ? {} : { NanoCpus: Math.round(spec.cpus * 1e9) }),
    ShmSize: spec.shmBytes ?? halfOf(spec.memoryBytes),
    Tmpfs: Object.fromEntries(spec.tmpfs.map(({ path, options }) => [path, tmpfsOptions(options, spec.memoryBytes)])),
    Mounts: spec.mounts.map(({ volume, path }) => ({ Type: 'volume', Source: volume, Target: path })),
    Ulimits: ULIMITS,
    RestartPolicy: {
      Name: spec.restart.name === 'no' ? '' : spec.restart.name,
      ...(spec.restart.name === 'on-failure' ? { MaximumRetryCount: spec.restart.maximumRetries } : {}),
    },
    LogConfig: {
      Type: 'json-file',
      Config: { 'max-size': String(Math.floor(host.logBytes / LOG_FILES)), 'max-file': String(LOG_FILES) },
    },
    Dns: hasWayOut(spec) ? [...host.dns] : [NO_RESOLVER],
    DnsOptions: [],
    DnsSearch: [],
    ...(spec.gpus === null || spec.gpus.length === 0 ? {} : { DeviceRequests: gpuRequests(spec.gpus) }),
  };
}

/** The request with the ports on an IP address: what a host is called may be a name, and an engine takes none. */
export const withAddress = (body: ContainerCreateOptions, ip: string): ContainerCreateOptions => ({
  ...body,
  HostConfig: {
    ...body.HostConfig,
    PortBindings: Object.fromEntries(
      Object.entries((body.HostConfig?.PortBindings ?? {}) as Record<string, { HostPort: string }[]>).map(([port, bindings]) => [
        port,
        bindings.map(({ HostPort }) => ({ HostIp: ip, HostPort })),
      ]),
    ),
  },
});

/** Same for the same specification, and for no other; keys are written in a fixed order by `unitBody`. */
const hashOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);

/**
 * The request that makes a unit. Of its networks it names the first: engines before API 1.44 take no more, so the others are joined before the
 * start.
 */
export function unitBody(spec: UnitSpec, host: HostSide): { readonly body: ContainerCreateOptions; readonly specHash: string } {
  const [network] = spec.networks;
  const ports = portBindings(spec, host.address);
  const made: ContainerCreateOptions = {
    Image: imageAddress(spec.image),
    Hostname: spec.unit.slice(0, MAX_HOST_NAME),
    Env: spec.env.map(({ name, value }) => `${name}=${value}`),
    ...(spec.command === null ? {} : { Cmd: [...spec.command] }),
    ...(spec.entrypoint === null ? {} : { Entrypoint: [...spec.entrypoint] }),
    ...(spec.workingDir === null ? {} : { WorkingDir: spec.workingDir }),
    ...(spec.user === null ? {} : { User: spec.user }),
    ...(spec.stopSignal === null ? {} : { StopSignal: spec.stopSignal }),
    ...(spec.stopTimeoutS === null ? {} : { StopTimeout: spec.stopTimeoutS }),
    ...(spec.healthcheck === null ? {} : { Healthcheck: health(spec.healthcheck) }),
    ExposedPorts: Object.fromEntries(Object.keys(ports).map((port) => [port, {}])),
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    HostConfig: hostConfig(spec, host),
    ...(network === undefined ? {} : { NetworkingConfig: { EndpointsConfig: { [network.name]: endpointOf(spec) } } }),
  };
  // The name stands for the deployment's random id: without it, values could be guessed from the hash.
  const specHash = hashOf([spec.name, made, spec.networks, spec.mounts]);
  const labels = {
    ...ownerLabels(spec.owner),
    [LABELS.unit]: spec.unit,
    [LABELS.spec]: specHash,
    [LABELS.image]: imageAddress(spec.image),
    ...(spec.shimPort === null ? {} : { [LABELS.shimPort]: String(spec.shimPort) }),
    ...(spec.allottedGpus.length === 0 ? {} : { [LABELS.gpus]: spec.allottedGpus.join(',') }),
  };
  return { body: { ...made, Labels: labels }, specHash };
}

/** How a unit is on each of its networks: under its own name. */
export const endpointOf = (spec: UnitSpec): { Aliases: string[] } => ({ Aliases: [spec.unit] });
