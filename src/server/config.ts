import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { NO_CONTAINERS, type ContainersConfig } from './declared/parse-containers.ts';
import { DEFAULT_SSH, type SshConfig } from './declared/parse-ssh.ts';
import { DEFAULT_BILLING, type BillingConfig } from './declared/parse-billing.ts';
import { DEFAULT_RETENTION, type Retention } from '../core/retention/retention.ts';
import { DEFAULT_SEALED_KEYS, type SealedKeyPolicy } from '../core/sealed/key-ring.ts';
import { ConfigError } from './config-error.ts';
import { DEFAULT_GATEWAY, type DeclaredConfig, type GatewayConfig } from './declared/declared-config.ts';
import { editDistance } from './did-you-mean.ts';
import { DEFAULT_METRICS, type MetricsConfig } from './declared/parse-metrics.ts';
import { MASTER_KEY_BYTES } from './secrets/aes-secret-box.ts';
import { readTraceConfig } from './telemetry/read-trace-config.ts';
import type { TraceConfig } from '../telemetry/tracing/trace-config.ts';

/** Where a listener listens. Port 0 takes any free port. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** The levels of the log, most important first. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Everything that the environment and the configuration file say, checked. */
export interface Config {
  readonly dataDir: string;
  readonly databaseUrl: string | null;
  readonly operatorKey: string | null;
  readonly masterKey: Buffer | null;
  /** The master key before `masterKey`, which still opens what it sealed. */
  readonly previousMasterKey: Buffer | null;
  readonly runtime: ListenAddress;
  readonly admin: ListenAddress;
  /** Listened on where container hosts are declared. */
  readonly ingress: ListenAddress;
  /** Listened on where container hosts and the gateway are declared. */
  readonly ssh: ListenAddress;
  /** The gateway to debug containers; null where nobody asked for it. */
  readonly sshGateway: SshConfig | null;
  readonly allowedHosts: readonly string[];
  /** Origins of pages that may send requests to the control plane beside its own. */
  readonly allowedOrigins: readonly string[];
  readonly logLevel: LogLevel;
  readonly gateway: GatewayConfig;
  readonly metrics: MetricsConfig;
  /** Null where the environment asks for no traces. */
  readonly traces: TraceConfig | null;
  readonly retention: Retention;
  readonly sealedKeys: SealedKeyPolicy;
  readonly billing: BillingConfig;
  readonly containers: ContainersConfig;
  readonly declared: DeclaredConfig | null;
}

const SSH_PORT = 7822;

/** Every variable that the program reads, with what it means; the reference in `docs/configuration.md` lists the same. */
export const VARIABLES = [
  'CASTELLAN_DATA_DIR',
  'CASTELLAN_HOST',
  'CASTELLAN_RUNTIME_HOST',
  'CASTELLAN_RUNTIME_PORT',
  'CASTELLAN_ADMIN_HOST',
  'CASTELLAN_ADMIN_PORT',
  'CASTELLAN_INGRESS_HOST',
  'CASTELLAN_INGRESS_PORT',
  'CASTELLAN_SSH_HOST',
  'CASTELLAN_SSH_PORT',
  'CASTELLAN_ALLOWED_HOSTS',
  'CASTELLAN_ALLOWED_ORIGINS',
  'CASTELLAN_LOG_LEVEL',
  'CASTELLAN_MASTER_KEY',
  'CASTELLAN_MASTER_KEY_PREVIOUS',
  'CASTELLAN_CONFIG',
  'CASTELLAN_URL',
  'ADMIN_API_KEY',
  'TINFOIL_ADMIN_KEY',
  'DATABASE_URL',
  'CASTELLAN_SUCCESSOR',
] as const;
type Variable = (typeof VARIABLES)[number];

/** Whether this process was started by a running one, to take over from it. */
export const isSuccessor = (env: NodeJS.ProcessEnv = process.env): boolean => env['CASTELLAN_SUCCESSOR'] === '1';

/** The environment of a process that is to take over from this one. */
export const successorEnvironment = (env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv => ({ ...env, CASTELLAN_SUCCESSOR: '1' });

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const LEAST_KEY_LENGTH = 32;
const LEAST_DISTINCT_CHARACTERS = 8;
/** Keys that stand in documents and examples, which a scanner tries first; any repetition of them is as well known. */
const WELL_KNOWN_KEYS = [
  'admin-bootstrap-key',
  'changeme',
  'change-me',
  'password',
  'secret',
  'admin',
  'test',
  'example',
  'castellan',
  'default',
];

/**
 * Reads and checks the environment and the file that it names. This is the only reader of both.
 *
 * Throws a `ConfigError` with the first thing that is wrong.
 */
export async function readConfig(env: NodeJS.ProcessEnv = process.env): Promise<Config> {
  refuseMisspelled(env);
  const values = new EnvironmentReader(env);
  const host = values.host('CASTELLAN_HOST', '127.0.0.1');
  const config: Config = {
    dataDir: resolve(values.text('CASTELLAN_DATA_DIR') ?? './data'),
    databaseUrl: values.databaseUrl(),
    operatorKey: values.credential('ADMIN_API_KEY'),
    masterKey: values.masterKey('CASTELLAN_MASTER_KEY'),
    previousMasterKey: values.masterKey('CASTELLAN_MASTER_KEY_PREVIOUS'),
    runtime: { host: values.host('CASTELLAN_RUNTIME_HOST', host), port: values.port('CASTELLAN_RUNTIME_PORT', 7878) },
    admin: { host: values.host('CASTELLAN_ADMIN_HOST', host), port: values.port('CASTELLAN_ADMIN_PORT', 7979) },
    ingress: { host: values.host('CASTELLAN_INGRESS_HOST', host), port: values.port('CASTELLAN_INGRESS_PORT', 8080) },
    ssh: { host: values.host('CASTELLAN_SSH_HOST', host), port: values.port('CASTELLAN_SSH_PORT', SSH_PORT) },
    sshGateway: values.text('CASTELLAN_SSH_PORT') === null ? null : DEFAULT_SSH,
    allowedHosts: values.hostNames('CASTELLAN_ALLOWED_HOSTS'),
    allowedOrigins: values.origins('CASTELLAN_ALLOWED_ORIGINS'),
    logLevel: values.logLevel(),
    gateway: DEFAULT_GATEWAY,
    metrics: DEFAULT_METRICS,
    traces: readTraceConfig(env),
    retention: DEFAULT_RETENTION,
    sealedKeys: DEFAULT_SEALED_KEYS,
    billing: DEFAULT_BILLING,
    containers: NO_CONTAINERS,
    declared: null,
  };
  refuseSharedPorts({ RUNTIME: config.runtime, ADMIN: config.admin, INGRESS: config.ingress, SSH: config.ssh });
  if (config.previousMasterKey !== null && config.masterKey === null) {
    throw new ConfigError(
      'CASTELLAN_MASTER_KEY_PREVIOUS is set without CASTELLAN_MASTER_KEY: set the new master key there, or unset the previous one.',
    );
  }
  if (config.operatorKey !== null) refuseWeakOperatorKey(config.operatorKey, [config.runtime, config.admin]);
  const path = values.text('CASTELLAN_CONFIG');
  if (path === null) return config;
  const declared = await readDeclared(path, env);
  const sshGateway = declared.containers.ssh ?? config.sshGateway;
  // What the environment says of a port has the last word, as for the other listeners.
  const ssh = { ...config.ssh, port: values.port('CASTELLAN_SSH_PORT', sshGateway?.port ?? SSH_PORT) };
  refuseSharedPorts({ RUNTIME: config.runtime, ADMIN: config.admin, INGRESS: config.ingress, SSH: ssh });
  return {
    ...config,
    ssh,
    sshGateway,
    gateway: declared.gateway,
    metrics: declared.metrics,
    retention: declared.retention,
    sealedKeys: declared.sealedKeys,
    billing: declared.billing,
    containers: declared.containers,
    declared,
  };
}

/** Where a command finds its server and the operator key, as far as the environment says. `url` is the control plane's address. */
export interface ClientConfig {
  readonly dataDir: string;
  readonly operatorKey: string | null;
  /** The admin key (`admin_...`) of an organization, as the public client of the Tinfoil Admin API takes it. */
  readonly adminKey: string | null;
  readonly url: string | null;
  readonly admin: ListenAddress;
}

/** Reads what a command needs that talks to a server, and nothing else: a mistake elsewhere does not keep it from that. */
export function readClientConfig(env: NodeJS.ProcessEnv): ClientConfig {
  refuseMisspelled(env);
  const values = new EnvironmentReader(env);
  const host = values.host('CASTELLAN_HOST', '127.0.0.1');
  return {
    dataDir: resolve(values.text('CASTELLAN_DATA_DIR') ?? './data'),
    operatorKey: values.credential('ADMIN_API_KEY'),
    adminKey: values.credential('TINFOIL_ADMIN_KEY'),
    url: values.text('CASTELLAN_URL'),
    admin: { host: values.host('CASTELLAN_ADMIN_HOST', host), port: values.port('CASTELLAN_ADMIN_PORT', 7979) },
  };
}

/** The environment of this process, for a command that reads it with options laid over it. */
export const processEnvironment = (): NodeJS.ProcessEnv => process.env;

/** Lays options of a command over the environment, for this process and for those that it starts. */
export const layOverEnvironment = (values: Readonly<Record<string, string>>): void => void Object.assign(process.env, values);

/** Refuses an operator key that can be guessed where a listener can be reached from other machines. */
export function refuseWeakOperatorKey(key: string, listeners: readonly ListenAddress[]): void {
  const open = listeners.find(({ host }) => !isLoopback(host));
  if (open === undefined || !isWeakKey(key)) return;
  throw new ConfigError(
    `ADMIN_API_KEY is weak and the listener on ${open.host} can be reached from other machines: set a random key of at least ${LEAST_KEY_LENGTH} characters (such as from \`openssl rand -base64 33\`), or set CASTELLAN_HOST to 127.0.0.1.`,
  );
}

/** Whether only this machine can reach an address. */
const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

/** Whether an address stands for every address of this machine. */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

function isWeakKey(key: string): boolean {
  if (key.length < LEAST_KEY_LENGTH || new Set(key).size < LEAST_DISTINCT_CHARACTERS) return true;
  const lower = key.toLowerCase();
  return WELL_KNOWN_KEYS.some((known) => lower.replaceAll(known, '').replace(/[^a-z0-9]/g, '').length < LEAST_DISTINCT_CHARACTERS);
}

async function readDeclared(path: string, env: NodeJS.ProcessEnv): Promise<DeclaredConfig> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new ConfigError(`CASTELLAN_CONFIG names ${path}, which cannot be read (${code}): correct the path or unset the variable.`);
  }
  // The YAML parser is loaded only where there is something to parse: it takes a tenth of the time of a start.
  const { loadDeclared } = await import('./declared/load-declared.ts');
  return loadDeclared({ text, path, env });
}

/** Refuses variables that look like a slip of the pen. Others with our prefix are left alone: cluster software sets some of its own. */
function refuseMisspelled(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(env)) {
    if (!name.startsWith('CASTELLAN_') || (VARIABLES as readonly string[]).includes(name)) continue;
    const meant = VARIABLES.find((known) => editDistance(name, known) <= 2);
    if (meant !== undefined) throw new ConfigError(`${name} is not a variable of Castellan: rename it to ${meant}, or unset it.`);
  }
}

function refuseSharedPorts(listeners: Readonly<Record<string, ListenAddress>>): void {
  const seen = new Map<number, string>();
  for (const [name, { port }] of Object.entries(listeners)) {
    const other = seen.get(port);
    if (port !== 0 && other !== undefined) {
      throw new ConfigError(`CASTELLAN_${other}_PORT and CASTELLAN_${name}_PORT are both ${port}: give each listener a port of its own.`);
    }
    seen.set(port, name);
  }
}

/** Reads variables of one environment; an empty variable counts as unset. */
class EnvironmentReader {
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  text(name: Variable): string | null {
    const value = this.#env[name];
    return value === undefined || value === '' ? null : value;
  }

  port(name: Variable, fallback: number): number {
    const text = this.text(name);
    if (text === null) return fallback;
    if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
      throw new ConfigError(
        `${name} is "${text}", which is no port: set a whole number from 0 to 65535 (0 takes any free port), or unset it for ${fallback}.`,
      );
    }
    return Number(text);
  }

  host(name: Variable, fallback: string): string {
    const text = this.text(name);
    if (text === null) return fallback;
    if (isIP(text) === 0 && !HOST_NAME.test(text)) {
      throw new ConfigError(
        `${name} is "${text}", which is no address: set an IP address or host name to listen on, such as 127.0.0.1 or 0.0.0.0.`,
      );
    }
    return text;
  }

  hostNames(name: Variable): string[] {
    const names = (this.text(name) ?? '').split(',').map((part) => part.trim().toLowerCase());
    const given = names.filter((part) => part !== '');
    for (const part of given) {
      if (isIP(part) === 0 && !HOST_NAME.test(part)) {
        throw new ConfigError(
          `${name} holds "${part}", which is no host name: list the names that clients use, without port, separated by commas.`,
        );
      }
    }
    return given;
  }

  origins(name: Variable): string[] {
    const given = (this.text(name) ?? '').split(',').map((part) => part.trim());
    return given.filter((part) => {
      if (part === '') return false;
      const url = URL.parse(part);
      if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.origin === part) return true;
      throw new ConfigError(
        `${name} holds "${part}", which is no origin: list them as browsers send them, such as http://localhost:8080, separated by commas.`,
      );
    });
  }

  logLevel(): LogLevel {
    const text = this.text('CASTELLAN_LOG_LEVEL') ?? 'info';
    const level = LOG_LEVELS.find((known) => known === text);
    if (level === undefined) throw new ConfigError(`CASTELLAN_LOG_LEVEL is "${text}": set it to one of ${LOG_LEVELS.join(', ')}.`);
    return level;
  }

  credential(name: Variable): string | null {
    const text = this.text(name);
    // Other characters cannot be sent in a header as they are, so such a key would lock everyone out.
    if (text !== null && !/^[\x21-\x7e]{1,512}$/.test(text)) {
      throw new ConfigError(
        `${name} holds spaces, control or non-ASCII characters, or is longer than 512: set a key of 1 to 512 visible ASCII characters.`,
      );
    }
    return text;
  }

  masterKey(name: Variable): Buffer | null {
    const text = this.text(name);
    if (text === null) return null;
    const key = Buffer.from(text, 'base64');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length !== MASTER_KEY_BYTES) {
      throw new ConfigError(
        `${name} is not ${MASTER_KEY_BYTES} bytes in base64: set it to the output of \`openssl rand -base64 ${MASTER_KEY_BYTES}\`.`,
      );
    }
    return key;
  }

  databaseUrl(): string | null {
    const text = this.text('DATABASE_URL');
    if (text === null) return null;
    const url = URL.parse(text);
    if (url === null || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:')) {
      // The address itself is not shown: it holds a password as a rule.
      throw new ConfigError(
        'DATABASE_URL is no PostgreSQL address: set it to one such as postgres://user:password@host:5432/database, or unset it for the embedded database.',
      );
    }
    return text;
  }
}
