import { readImageName } from '../images.ts';
import { checkEnvironment, VARIABLE_NAME } from './check-environment.ts';
import { checkHealthcheck } from './check-healthcheck.ts';
import { checkTmpfs, checkVolumeMounts } from './check-mounts.ts';
import type { ConfigNode, TextRule } from './config-node.ts';
import type { NetworkConfig, UnitConfig, UnitRestart } from './container-config.ts';
import { parseDuration, parseSize } from './sizes-and-lengths.ts';

/** What a container's rules need of the rest of the file. */
export interface Declared {
  readonly networks: ReadonlyMap<string, NetworkConfig>;
  readonly volumes: ReadonlySet<string>;
  readonly models: ReadonlySet<string>;
  /** Names of keys of models, which no container may ask for. */
  readonly keySecrets: ReadonlySet<string>;
  readonly gpus: number;
}

const FIELDS: readonly string[] = [
  ...'name image command entrypoint working_dir user env secrets models volumes networks ports runtime gpus ipc cap_add'.split(' '),
  ...'shm_size memory cpus tmpfs read_only pids_limit restart stop_signal stop_timeout healthcheck'.split(' '),
];
/** Refused whatever they say, also false. Source: Tinfoil reference section 3. */
const NEVER: readonly string[] = ['privileged', 'cap_drop', 'security_opt'];
/** Refused where they say something. */
const EMPTY_ONLY: readonly string[] = ['pid', 'devices'];

const NAME: TextRule = {
  pattern: /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
  words: 'have 1 to 63 letters, digits, `.`, `_` and `-`, and start and end with a letter or digit',
};
const USER: TextRule = {
  pattern: /^[A-Za-z0-9_][\w.-]{0,63}(?::[A-Za-z0-9_][\w.-]{0,63})?$/,
  words: 'be a user, or a user and a group, such as 1000:1000',
};
const WORKING_DIR: TextRule = { pattern: /^\/[^\u0000-\u001f\u007f]{0,4095}$/, words: 'be an absolute path' };
const SIGNALS =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS';
const SIGNAL: TextRule = {
  pattern: new RegExp(`^(?:SIG)?(?:${SIGNALS.replaceAll(' ', '|')}|RTMIN(?:\\+(?:[1-9]|1[0-5]))?|RTMAX(?:-(?:[1-9]|1[0-4]))?)$`),
  words: 'be the name of a signal, such as SIGTERM',
};
const RESTART = /^(?:(no|always|unless-stopped)|(on-failure)(?::([1-9][0-9]{0,3}))?)$/;
const PORTS = /^([1-9][0-9]{0,4}):([1-9][0-9]{0,4})$/;
const GPU_LIST = /^[0-9]{1,2}(?:,[0-9]{1,2})*$/;

const MAX_IMAGE_LENGTH = 512;
const MAX_PORT = 65_535;
const RESERVED_PORTS: readonly number[] = [80, 443, 2222];
const CAPABILITY: TextRule = { pattern: /^(?:IPC_LOCK|NET_BIND_SERVICE|SYS_NICE)$/, words: 'be IPC_LOCK, NET_BIND_SERVICE or SYS_NICE' };
/** The least that Docker takes. */
const MIN_MEMORY_BYTES = 6 * 1024 * 1024;
const MAX_MEMORY_BYTES = 2 ** 46;
const MIN_CPUS = 0.01;
/** Most processors of a container, or of a whole configuration. */
export const MAX_CPUS = 1024;
const DEFAULT_PIDS = 65_536;
/** The most that Linux counts. */
const MAX_PIDS = 4_194_304;
const MAX_STOP_S = 3600;

function checkImage(node: ConfigNode): { image: string; digest: string } {
  const image =
    node.required().text({ pattern: new RegExp(`^[^]{1,${MAX_IMAGE_LENGTH}}$`), words: `have 1 to ${MAX_IMAGE_LENGTH} characters` }) ?? '';
  const named = image === '' ? null : readImageName(image);
  if (named?.ok === false) node.refuse(named.rule);
  return { image, digest: named?.ok === true ? named.digest : '' };
}

function checkSize(node: ConfigNode, minBytes: number, minimum: string): number | null {
  if (!node.isGiven) return null;
  const bytes = parseSize(node.plain);
  if (bytes === null) return node.refuse('must be a size: a number of bytes, or one with a unit such as 512m or 1g');
  return bytes >= minBytes && bytes <= MAX_MEMORY_BYTES
    ? bytes
    : node.refuse(`must be from ${minimum} to 64t, in bytes where no unit is given`);
}

function checkUnitNetworks(node: ConfigNode, declared: Declared): readonly string[] {
  const undeclared = 'must name a network that is declared under networks';
  const names = node.texts({ once: true, refuse: (name) => (declared.networks.has(name) ? null : undeclared) }) ?? [];
  const ways = new Set(names.filter((name) => (declared.networks.get(name)?.egress ?? 'closed') !== 'closed'));
  if (ways.size > 1) node.refuse('must name at most one network whose egress is not closed');
  return names;
}

function checkPorts(node: ConfigNode): UnitConfig['ports'] {
  const ports: { hostPort: number; containerPort: number }[] = [];
  for (const item of node.items() ?? []) {
    const match = typeof item.plain === 'string' ? PORTS.exec(item.plain) : null;
    const [hostPort, containerPort] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
    if (match === null || hostPort > MAX_PORT || containerPort > MAX_PORT) {
      item.refuse(`must be a port of the host and one of the container from 1 to ${MAX_PORT}, in quotes: "9000:9000"`);
    } else if (RESERVED_PORTS.includes(hostPort)) item.refuse(`must not take port ${hostPort} of the host, which is reserved`);
    else ports.push({ hostPort, containerPort });
  }
  return ports;
}

function checkGpus(node: ConfigNode, total: number): UnitConfig['gpus'] {
  const value = node.plain;
  if (!node.isGiven) return null;
  if (total === 0) return node.refuse('needs gpus of the whole configuration, which has none');
  if (value === 'all') return 'all';
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= total) return value;
  if (typeof value !== 'string' || !GPU_LIST.test(value)) {
    return node.refuse(`must be a whole number from 1 to ${total}, all, or numbers of GPUs in quotes, such as "0,1"`);
  }
  const numbers = value.split(',').map((part) => String(Number(part)));
  if (new Set(numbers).size !== numbers.length) return node.refuse('must name each GPU once');
  return numbers.every((number) => Number(number) < total) ? numbers : node.refuse(`must name GPUs from 0 to ${total - 1}`);
}

function checkRestart(node: ConfigNode): UnitRestart {
  const none: UnitRestart = { name: 'no', maximumRetries: 0 };
  if (!node.isGiven) return none;
  const match = typeof node.plain === 'string' ? RESTART.exec(node.plain) : null;
  if (match === null) node.refuse('must be no, always, unless-stopped, on-failure, or on-failure:5 with a number of attempts');
  const [, plain, , count] = match ?? [];
  if (match === null || plain === 'no') return none;
  return plain === undefined
    ? { name: 'on-failure', maximumRetries: Number(count ?? 0) }
    : { name: plain as UnitRestart['name'], maximumRetries: 0 };
}

/** Seconds as a whole number, or as a length of time that is a whole number of seconds. */
function checkStopTimeout(node: ConfigNode): number | null {
  const value = node.plain;
  const seconds = typeof value === 'string' ? (parseDuration(value) ?? Number.NaN) / 1000 : value;
  if (!node.isGiven) return null;
  const isGood = typeof seconds === 'number' && Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_STOP_S;
  return isGood ? seconds : node.refuse(`must be a whole number of seconds from 0 to ${MAX_STOP_S}, or a length of time such as 30s`);
}

function checkFields(node: ConfigNode): void {
  node.only([...FIELDS, ...NEVER, ...EMPTY_ONLY]);
  for (const name of NEVER) {
    if (node.has(name))
      node.field(name).refuse('must be left out: every container runs without privileges, capabilities and ways around that');
  }
  for (const name of EMPTY_ONLY) {
    if (node.field(name).isFilled) node.field(name).refuse('must be left out: containers get nothing of the host');
  }
}

/** The rule that a name breaks which is that of a model's key. */
const refuseKey =
  ({ keySecrets }: Declared) =>
  (name: string): string | null =>
    keySecrets.has(name) ? 'must not be the key-secret of a model' : null;

function checkModels(node: ConfigNode, { models }: Declared): void {
  node.texts({ once: true, refuse: (name) => (models.has(name) ? null : 'must name a model that is declared under models') });
}

/** Reads the GPUs of a container and the runtime that they need. Neither goes without the other. */
function checkRuntime(node: ConfigNode, total: number): UnitConfig['gpus'] {
  const [runtime, gpus] = [node.field('runtime'), node.field('gpus')];
  runtime.choice(['nvidia']);
  if (runtime.isGiven && !gpus.isGiven) gpus.refuse('is required where runtime is nvidia');
  if (gpus.isGiven && !runtime.isGiven) runtime.refuse('must be nvidia where gpus are given');
  return checkGpus(gpus, total);
}

/**
 * Reads one entry of `containers`. Names that are the same as another container's, and ports of the host that two of them take, are seen
 * by whoever has all of them.
 */
export function checkUnit(node: ConfigNode, declared: Declared): UnitConfig {
  checkFields(node);
  const env = checkEnvironment(node.field('env'), refuseKey(declared));
  const secrets = node.field('secrets').texts({ rule: VARIABLE_NAME, once: true, refuse: refuseKey(declared) }) ?? [];
  for (const name of secrets) {
    if (!env.some((variable) => variable.name === name)) continue;
    node.field('secrets').warn(`${name} is in env too: the secret reaches the container only where the variable has no value`);
  }
  checkModels(node.field('models'), declared);
  const volumes = checkVolumeMounts(node.field('volumes'), declared.volumes);
  const networks = checkUnitNetworks(node.field('networks'), declared);
  const ports = checkPorts(node.field('ports'));
  if (ports.length > 0 && networks.length === 0)
    node.field('ports').refuse('needs a network: ports of a container without one cannot be reached');
  return {
    name: node.field('name').required().text(NAME) ?? '',
    ...checkImage(node.field('image')),
    command: node.field('command').texts(),
    entrypoint: node.field('entrypoint').texts(),
    workingDir: node.field('working_dir').text(WORKING_DIR),
    user: node.field('user').text(USER),
    env,
    secrets,
    volumes,
    networks,
    ports,
    gpus: checkRuntime(node, declared.gpus),
    ipc: node.field('ipc').choice(['private', 'none']),
    capAdd: node.field('cap_add').texts({ rule: CAPABILITY, once: true }) ?? [],
    shmBytes: checkSize(node.field('shm_size'), 1, '1'),
    memoryBytes: checkSize(node.field('memory'), MIN_MEMORY_BYTES, '6m'),
    cpus: node.field('cpus').number(MIN_CPUS, MAX_CPUS),
    tmpfs: checkTmpfs(node.field('tmpfs'), volumes),
    readOnly: node.field('read_only').boolean() ?? true,
    pidsLimit: node.field('pids_limit').integer(1, MAX_PIDS) ?? DEFAULT_PIDS,
    restart: checkRestart(node.field('restart')),
    stopSignal: node.field('stop_signal').text(SIGNAL),
    stopTimeoutS: checkStopTimeout(node.field('stop_timeout')),
    healthcheck: checkHealthcheck(node.field('healthcheck')),
  };
}
