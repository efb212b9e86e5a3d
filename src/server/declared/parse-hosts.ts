import { isIP } from 'node:net';
import { parseEngineAddress, type EngineAddress, type EngineTls } from '../../engine/docker/engine-address.ts';
import type { Field } from './field.ts';
import { refuseDouble } from './named-fields.ts';

/** A container host as the file declares it. */
export interface DeclaredHost {
  readonly name: string;
  readonly engine: EngineAddress;
  /** Where its published ports are reached from here. */
  readonly address: string;
  /** The numbers of GPUs that a container may ask for. */
  readonly gpus: readonly number[];
  readonly isDefault: boolean;
  /** Ranges of addresses that containers may reach though they are not the internet, in CIDR form. */
  readonly egressAllow: readonly string[];
  /** What runs the firewall's commands where the engine's networks are; empty: nothing is put before them. Null: the firewall cannot be managed. */
  readonly firewallVia: readonly string[] | null;
  /** Networks that are open to the internet are refused where the firewall cannot be managed. */
  readonly isStrict: boolean;
}

const NAME = { pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, rule: 'an id of 1 to 64 letters, digits, ".", "_" and "-"' };
const ADDRESS = { pattern: /^[A-Za-z0-9.:-]{1,253}$/, rule: 'a host name or an IP address' };
const MAX_GPUS = 8;

/** Reads the section `hosts`. `readFile` reads the text of a file that it names. */
export function parseHosts(section: Field, readFile: (path: string) => string): DeclaredHost[] {
  const seen = new Set<string>();
  let defaults = 0;
  return section.items().map((item) => {
    const given = item.fields(['name', 'docker', 'tls', 'address', 'gpus', 'default', 'egress_allow', 'firewall']);
    const name = given.name.text(NAME);
    refuseDouble(seen, name, given.name);
    const tls = given.tls.or(null, (field) => readTls(field, readFile));
    const parsed = parseEngineAddress(given.docker.text({ secret: true }), tls);
    if (!parsed.ok) return given.docker.fail(parsed.rule);
    const isDefault = given.default.or(false, (f) => f.boolean());
    defaults += Number(isDefault);
    if (defaults > 1) given.default.fail('must be true for one host only');
    const firewall = given.firewall.fields(['via', 'strict']);
    const isNear = parsed.address.kind === 'unix';
    const via = firewall.via.or(null, (field) => field.items().map((part) => part.text({ maxLength: 256 })));
    return {
      name,
      engine: parsed.address,
      address: given.address.or(defaultAddress(parsed.address), (f) => f.text(ADDRESS)),
      gpus: given.gpus.items().map((f) => f.integer({ min: 1, max: MAX_GPUS })),
      isDefault,
      egressAllow: given.egress_allow.items().map(readCidr),
      firewallVia: via ?? (isNear ? [] : null),
      isStrict: firewall.strict.or(true, (f) => f.boolean()),
    };
  });
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
