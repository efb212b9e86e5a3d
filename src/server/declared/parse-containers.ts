import { readFileSync } from 'node:fs';
import type { ResourcePrices } from '../../core/containers/container-meter.ts';
import { scaleDecimal } from '../../core/pricing/decimal.ts';
import { DEFAULT_REGISTRIES, type Registries } from '../../core/containers/images.ts';
import { isIP } from 'node:net';
import type { Field } from './field.ts';
import { DEFAULT_DNS, parseDns, type DnsConfig } from './parse-dns.ts';
import { parseHosts, type DeclaredHost } from './parse-hosts.ts';
import { parseSsh, type SshConfig } from './parse-ssh.ts';
import { DEFAULT_SOURCES, parseSources, type DeclaredSources } from './parse-sources.ts';

/** How containers are deployed. Lengths in milliseconds. */
export interface ContainerSettings {
  /** How long what an old deployment serves may take to end after a switch. Source: design section 7, `drain_timeout`. */
  readonly drainMs: number;
  /** The same at a stop. */
  readonly stopDrainMs: number;
  /** From the start of its units until a deployment must answer, beside the time that its health checks ask for. */
  readonly readyTimeoutMs: number;
  /** For how long a deployment is tried again whose host or registry is out of reach. */
  readonly giveUpMs: number;
  /** For how long a container goes on whose tenant has nothing left to pay with. */
  readonly unpaidGraceMs: number;
  /** Repositories of containers that update themselves are looked at that often. */
  readonly autoUpdateMs: number;
}

/** What holds where the file says nothing. */
const DEFAULT_CONTAINERS: ContainerSettings = {
  drainMs: 600_000,
  stopDrainMs: 30_000,
  readyTimeoutMs: 120_000,
  giveUpMs: 600_000,
  unpaidGraceMs: 3_600_000,
  autoUpdateMs: 60_000,
};

/** What containers use costs nothing unless it is declared. */
const NO_PRICES: ResourcePrices = { cpuHourNanos: 0n, memoryGbHourNanos: 0n, gpuHourNanos: 0n };

/** An hour of nothing costs more, in USD. */
const MAX_HOUR_USD = 1000;
const NANO_DECIMALS = 9;

/** Everything that the file says of containers. */
export interface ContainersConfig {
  readonly hosts: readonly DeclaredHost[];
  readonly sources: DeclaredSources;
  readonly registries: Registries;
  readonly baseDomain: string;
  /** Proxies before the ingress, as addresses or networks: what they say of a client is taken for true. */
  readonly trustedProxies: readonly string[];
  /** Null where the file does not speak of the gateway. */
  readonly ssh: SshConfig | null;
  readonly settings: ContainerSettings;
  readonly prices: ResourcePrices;
  readonly dns: DnsConfig;
}

/** The domain below which containers are reached unless another is declared: every name under it leads to this machine. Source: RFC 6761. */
const DEFAULT_BASE_DOMAIN = 'containers.localhost';

/** What holds without a file: no host, so nothing runs. */
export const NO_CONTAINERS: ContainersConfig = {
  hosts: [],
  sources: DEFAULT_SOURCES,
  registries: DEFAULT_REGISTRIES,
  baseDomain: DEFAULT_BASE_DOMAIN,
  trustedProxies: [],
  ssh: null,
  settings: DEFAULT_CONTAINERS,
  prices: NO_PRICES,
  dns: DEFAULT_DNS,
};

const HOUR_MS = 3_600_000;
const DOMAIN = {
  pattern: /^(?=.{1,190}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/,
  rule: 'a domain in lower case',
};
const REGISTRY = {
  pattern: /^[a-z0-9.-]+(?::[0-9]{1,5})?(?:\/[a-z0-9._/-]+)?$/,
  rule: 'a host, with a port and a path where it has them',
};
const REGISTRY_HOST = { pattern: /^[a-z0-9.-]+(?::[0-9]{1,5})?$/, rule: 'a host, with a port where it has one' };

const readText = (path: string): string => readFileSync(path, 'utf8');

/** Reads the sections that are about containers. */
export const parseContainers = (
  sections: Readonly<Record<'hosts' | 'sources' | 'registries' | 'ingress' | 'containers' | 'dns' | 'ssh', Field>>,
): ContainersConfig => ({
  hosts: parseHosts(sections.hosts, readText),
  sources: parseSources(sections.sources, readText),
  registries: parseRegistries(sections.registries),
  ...parseIngress(sections.ingress),
  ssh: parseSsh(sections.ssh),
  ...parseSettings(sections.containers),
  dns: parseDns(sections.dns),
});

function parseSettings(field: Field): Pick<ContainersConfig, 'settings' | 'prices'> {
  const given = field.fields([
    'drain_ms',
    'stop_drain_ms',
    'ready_timeout_ms',
    'give_up_ms',
    'unpaid_grace_ms',
    'auto_update_ms',
    'prices',
  ]);
  const length = (value: Field, fallback: number): number => value.or(fallback, (f) => f.integer({ min: 0, max: 24 * HOUR_MS }));
  const settings = {
    drainMs: length(given.drain_ms, DEFAULT_CONTAINERS.drainMs),
    stopDrainMs: length(given.stop_drain_ms, DEFAULT_CONTAINERS.stopDrainMs),
    readyTimeoutMs: length(given.ready_timeout_ms, DEFAULT_CONTAINERS.readyTimeoutMs),
    giveUpMs: length(given.give_up_ms, DEFAULT_CONTAINERS.giveUpMs),
    unpaidGraceMs: given.unpaid_grace_ms.or(DEFAULT_CONTAINERS.unpaidGraceMs, (f) => f.integer({ min: 0, max: 30 * 24 * HOUR_MS })),
    autoUpdateMs: given.auto_update_ms.or(DEFAULT_CONTAINERS.autoUpdateMs, (f) => f.integer({ min: 200, max: 24 * HOUR_MS })),
  };
  return { settings, prices: parsePrices(given.prices) };
}

function parsePrices(field: Field): ResourcePrices {
  const given = field.fields(['cpu_hour', 'memory_gb_hour', 'gpu_hour']);
  return {
    cpuHourNanos: given.cpu_hour.or(0n, hourPrice),
    memoryGbHourNanos: given.memory_gb_hour.or(0n, hourPrice),
    gpuHourNanos: given.gpu_hour.or(0n, hourPrice),
  };
}

/** A price of an hour in USD, exact in nano-USD. */
function hourPrice(field: Field): bigint {
  const given = field.decimal();
  const nanos = scaleDecimal(given, NANO_DECIMALS);
  const isExact = nanos !== null && scaleDecimal(given, 2 * NANO_DECIMALS) === nanos * 10n ** BigInt(NANO_DECIMALS);
  if (nanos === null || !isExact || nanos < 0n || nanos > BigInt(MAX_HOUR_USD) * 10n ** BigInt(NANO_DECIMALS)) {
    return field.fail(`must be a price of an hour in USD, such as 0.04: from 0 to ${MAX_HOUR_USD}, with at most ${NANO_DECIMALS} decimals`);
  }
  return nanos;
}

function parseRegistries(field: Field): Registries {
  const given = field.fields(['ghcr', 'gcr', 'dockerhub', 'allow']);
  return {
    ghcr: given.ghcr.or(DEFAULT_REGISTRIES.ghcr, (f) => f.text(REGISTRY)),
    gcr: given.gcr.or(DEFAULT_REGISTRIES.gcr, (f) => f.text(REGISTRY)),
    dockerhub: given.dockerhub.or(DEFAULT_REGISTRIES.dockerhub, (f) => f.text(REGISTRY)),
    allow: given.allow.items().map((host) => host.text(REGISTRY_HOST)),
  };
}

function parseIngress(field: Field): Pick<ContainersConfig, 'baseDomain' | 'trustedProxies'> {
  const given = field.fields(['base_domain', 'trusted_proxies']);
  return {
    baseDomain: given.base_domain.or(DEFAULT_BASE_DOMAIN, (f) => f.text(DOMAIN)),
    trustedProxies: given.trusted_proxies.items().map(networkOf),
  };
}

/** An address, or a network such as `10.0.0.0/8`. */
function networkOf(field: Field): string {
  const text = field.text();
  const [, address = '', bits] = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const isNetwork = version !== 0 && Number(bits ?? 0) <= (version === 4 ? 32 : 128);
  return isNetwork ? text : field.fail('must be an IP address or a network, such as 127.0.0.1 or 10.0.0.0/8');
}
