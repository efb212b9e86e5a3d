import { VARIABLE_NAME } from './check-environment.ts';
import type { ConfigNode, TextRule } from './config-node.ts';
import type { NetworkConfig, VolumeConfig } from './container-config.ts';

const NETWORK_NAME = /^[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?$/;
const SHIM_NETWORK = 'shim-net';
const MAX_NETWORKS = 32;
const NETWORK_FIELDS: readonly string[] = ['egress', 'allow'];
const EGRESS = ['closed', 'allowlist', 'open'] as const;
/** Labels of letters, digits and hyphens; the last one has a letter, which no address of the internet has. */
const HOSTNAME: TextRule = {
  pattern:
    /^(?=[^]{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z])(?!0x[0-9a-f]*$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i,
  words: 'be a plain host name, without a wildcard or port, and no IP address',
};

/** Most entries of `models` and `volumes` together. */
const MAX_DISKS = 24;
const VOLUME_FIELDS: readonly string[] = ['name', 'exec', 'owner', 'overlays'];
const VOLUME_NAME: TextRule = {
  pattern: /^[a-z][a-z0-9-]{0,62}$/,
  words: 'have 1 to 63 lower-case letters, digits and hyphens, and start with a letter',
};
const MAX_OWNER = 65_534;
const MODEL_FIELDS: readonly string[] = ['name', 'repo', 'mpk', 'mwp', 'emwp', 'key-secret', 'schema'];
const MAX_INBOUND_PORTS = 64;
const MAX_PORT = 65_535;

function checkNetwork(name: string, node: ConfigNode): NetworkConfig {
  if (!NETWORK_NAME.test(name)) {
    node.refuse('must have a name of 1 to 15 lower-case letters, digits and hyphens that starts and ends with a letter or digit');
  }
  if (name === SHIM_NETWORK) node.refuse(`must not be called ${SHIM_NETWORK}, which is the network of the shim`);
  node.only(NETWORK_FIELDS);
  const egress = node.field('egress').choice(EGRESS) ?? 'closed';
  const allow = node.field('allow').texts({ rule: HOSTNAME }) ?? [];
  if (egress !== 'allowlist' && node.field('allow').isGiven) node.field('allow').refuse('goes with egress allowlist only');
  if (egress === 'allowlist') {
    node
      .field('egress')
      .warn('an allow list of host names cannot be kept here: the network is closed, and nothing outside of it is reached');
  }
  return { name, egress, allow };
}

/** Reads `networks`: a map of names to what may leave through them. */
export const checkNetworks = (node: ConfigNode): readonly NetworkConfig[] =>
  node.entries(MAX_NETWORKS).map(([name, network]) => checkNetwork(name, network));

function checkVolume(node: ConfigNode): VolumeConfig {
  node.required().only(VOLUME_FIELDS);
  const exec = node.field('exec').boolean();
  if (exec === false) node.field('exec').warn('is not kept: programs on the volume can be run');
  if (node.field('overlays').isFilled) node.field('overlays').refuse('must be left out: volumes are not laid over one another here');
  return {
    name: node.isGiven ? (node.field('name').required().text(VOLUME_NAME) ?? '') : '',
    exec: exec ?? false,
    owner: node.field('owner').integer(0, MAX_OWNER),
  };
}

/** Notes names that two entries of a list have. `names` are those of the entries in order; empty for one that has none. */
export function refuseRepeats(list: ConfigNode, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (name !== '' && seen.has(name)) list.findings.refuse(`${list.path}[${index}].name`, 'is the name of an entry before it');
    seen.add(name);
  }
}

/** Reads `volumes`. */
export function checkVolumes(node: ConfigNode): readonly VolumeConfig[] {
  const volumes = (node.items(MAX_DISKS) ?? []).map(checkVolume);
  refuseRepeats(
    node,
    volumes.map(({ name }) => name),
  );
  return volumes;
}

/** What containers may say of models: names that are declared, and names of keys that none of them may ask for. */
interface Models {
  readonly names: ReadonlySet<string>;
  readonly keySecrets: ReadonlySet<string>;
}

/**
 * Reads `models`, each of which is refused: they are disks that only a confidential machine can open. Their other rules are told as well.
 * Source: Tinfoil reference section 3.
 */
export function checkModels(node: ConfigNode, volumes: ConfigNode): Models {
  const items = node.items(MAX_DISKS) ?? [];
  const count = items.length + (volumes.items(MAX_DISKS)?.length ?? 0);
  if (count > MAX_DISKS && items.length <= MAX_DISKS) node.refuse(`must have at most ${MAX_DISKS} entries together with volumes`);
  const names: string[] = [];
  const keySecrets: string[] = [];
  for (const item of items) {
    item.refuse('cannot be mounted: models (mpk, mwp, emwp) are opened by confidential hardware only; put them into an image or a volume');
    item.only(MODEL_FIELDS);
    names.push(item.field('name').required().text() ?? '');
    const key = item.field('key-secret').text(VARIABLE_NAME);
    if (key !== null) keySecrets.push(key);
  }
  refuseRepeats(node, names);
  return { names: new Set(names), keySecrets: new Set(keySecrets) };
}

/** Reads `cvm-network`, of which nothing comes. */
export function checkMachineNetwork(node: ConfigNode): void {
  if (!node.isGiven) return;
  node.only(['inbound-ports']);
  for (const port of node.field('inbound-ports').items(MAX_INBOUND_PORTS) ?? []) port.required().integer(1, MAX_PORT);
  node.warn('has no effect: there is no machine of its own whose ports could be opened; containers have ports for that');
}
