import { isIP } from 'node:net';
import type { FirewallSettings } from '../../engine/docker/docker-engine.ts';
import { parseEngineAddress, type EngineAddress, type EngineTls } from '../../engine/docker/engine-address.ts';
import type { Field } from './field.ts';
import { refuseDouble } from './refuse-double.ts';

/** A container host as the file declares it. */
export interface DeclaredHost {
  readonly name: string;
  readonly engine: EngineAddress;
  /** Where its published ports are reached from here. */
  readonly address: string;
  /** The numbers of GPUs that a container may ask for. */
  readonly gpus: readonly number[];
  /** The GPUs that there are for containers, as the engine knows them. */
  readonly gpuDevices: readonly string[];
  readonly isDefault: boolean;
  /** A command that prints what a unit uses of its GPUs. */
  readonly gpuProbe: readonly string[] | null;
  readonly firewall: FirewallSettings;
}

const NAME = { pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, rule: 'an id of 1 to 64 letters, digits, ".", "_" and "-"' };
const ADDRESS = { pattern: /^[A-Za-z0-9.:-]{1,253}$/, rule: 'a host name or an IP address' };
const MAX_GPUS = 8;
const DEVICE = { pattern: /^[A-Za-z0-9._:/-]{1,64}$/, rule: 'the index or the UUID of a GPU, in quotes' };

/** Reads the section `hosts`. `readFile` reads the text of a file that it names. */
export function parseHosts(section: Field, readFile: (path: string) => string): DeclaredHost[] {
  const seen = new Set<string>();
  let defaults = 0;
  return section.items().map((item) => {
    const given = item.fields([
      'name',
      'docker',
      'tls',
      'address',
      'gpus',
      'gpu_devices',
      'default',
      'egress_allow',
      'firewall',
      'gpu_probe',
    ]);
    const name = given.name.text(NAME);
    refuseDouble(seen, name, given.name);
    const tls = given.tls.or(null, (field) => readTls(field, readFile));
    const parsed = parseEngineAddress(given.docker.text({ secret: true }), tls);
    if (!parsed.ok) return given.docker.fail(parsed.rule);
    const isDefault = given.default.or(false, (f) => f.boolean());
    defaults += Number(isDefault);
    if (defaults > 1) given.default.fail('must be true for one host only');
    return {
      name,
      engine: parsed.address,
      address: given.address.or(defaultAddress(parsed.address), (f) => f.text(ADDRESS)),
      ...readGpus(given),
      isDefault,
      gpuProbe: given.gpu_probe.or(null, (list) => list.items().map((part) => part.text({ maxLength: 256 }))),
      firewall: readFirewall(given.firewall, given.egress_allow, parsed.address.kind === 'unix'),
    };
  });
}

/** Without a list, the GPUs are those that the engine counts from 0, as many as one container may have. */
function readGpus(given: { readonly gpus: Field; readonly gpu_devices: Field }): Pick<DeclaredHost, 'gpus' | 'gpuDevices'> {
  const gpus = given.gpus.items().map((f) => f.integer({ min: 1, max: MAX_GPUS }));
  const most = Math.max(0, ...gpus);
  const listed = given.gpu_devices.items().map((f) => f.text(DEVICE));
  if (new Set(listed).size !== listed.length) given.gpu_devices.fail('must name each GPU once');
  if (given.gpu_devices.isGiven && listed.length < most)
    given.gpu_devices.fail(`must name at least ${most}: a container may ask for so many`);
  return { gpus, gpuDevices: given.gpu_devices.isGiven ? listed : Array.from({ length: most }, (_, index) => String(index)) };
}

/** How a host keeps its containers in. Commands reach the networks of an engine on this machine, and others only by what is put before them. */
function readFirewall(field: Field, egressAllow: Field, isNear: boolean): FirewallSettings {
  const given = field.fields(['mode', 'via', 'dns']);
  const via = given.via.or(null, (list) => list.items().map((part) => part.text({ maxLength: 256 })));
  return {
    mode: given.mode.or('strict', (f) => f.oneOf(['strict', 'lenient', 'off'])),
    via: via ?? (isNear ? [] : null),
    exceptions: { allow: egressAllow.items().map(readCidr), dns: given.dns.items().map(readAddress) },
  };
}

function readAddress(field: Field): string {
  const text = field.text({ maxLength: 64 });
  return isIP(text) === 4 ? text : field.fail('must be an IPv4 address');
}

/** Ports of an engine on this machine are published on loopback. */
const defaultAddress = (engine: EngineAddress): string => (engine.kind === 'unix' ? '127.0.0.1' : engine.host);

function readTls(field: Field, readFile: (path: string) => string): EngineTls {
  const given = field.fields(['ca', 'cert', 'key']);
  const read = (file: Field): string => {
    const path = file.text({ maxLength: 4096 });
    try {
      return readFile(path);
    } catch {
      return file.fail(`must name a file that can be read, not ${path}`);
    }
  };
  return { ca: read(given.ca), cert: read(given.cert), key: read(given.key) };
}

function readCidr(field: Field): string {
  const text = field.text({ maxLength: 64 });
  const [address = '', bits = '', ...rest] = text.split('/');
  const isGood = isIP(address) === 4 && rest.length === 0 && /^\d{1,2}$/.test(bits) && Number(bits) <= 32;
  return isGood ? text : field.fail('must be a range of IPv4 addresses such as 10.1.0.0/16');
}
