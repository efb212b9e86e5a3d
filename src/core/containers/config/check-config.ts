import type { PlainJson } from '../../json/plain-json.ts';
import { checkMachineNetwork, checkModels, checkNetworks, checkVolumes, refuseRepeats } from './check-declarations.ts';
import { checkShim } from './check-shim.ts';
import { checkUnit, MAX_CPUS } from './check-unit.ts';
import { ConfigNode } from './config-node.ts';
import type { ConfigResult, ContainerConfig, UnitConfig } from './container-config.ts';
import { Findings } from './findings.ts';

const MIB = 1024 * 1024;
const MAX_UNITS = 64;
const MAX_GPUS = 8;
const MAX_MEMORY_MB = 67_108_864;
/** The least that Docker takes for one container. */
const MIN_MEMORY_MB = 6;

const NO_MACHINE = 'has no effect: containers run on a plain Docker engine, and no confidential machine is started';
const WITHOUT_EFFECT: readonly string[] = ['cvm-version', 'shim-version', 'ovmf-version'];
const NEVER: readonly string[] = ['vault-url', 'keyserver-url', 'attested-keys'];
const FIELDS: readonly string[] = [
  ...'cpus memory gpus containers shim networks cvm-network models volumes'.split(' '),
  ...WITHOUT_EFFECT,
  ...NEVER,
];

function checkUnits(root: ConfigNode, config: Pick<ContainerConfig, 'gpus' | 'networks' | 'volumes'>): readonly UnitConfig[] {
  const models = checkModels(root.field('models'), root.field('volumes'));
  const declared = {
    networks: new Map(config.networks.map((network) => [network.name, network])),
    volumes: new Set(config.volumes.map(({ name }) => name)),
    models: models.names,
    keySecrets: models.keySecrets,
    gpus: config.gpus,
  };
  const list = root.field('containers').required();
  const nodes = list.items(MAX_UNITS);
  if (nodes?.length === 0) list.refuse('must have at least one entry');
  const units = (nodes ?? []).map((node) => checkUnit(node, declared));
  refuseRepeats(
    list,
    units.map(({ name }) => name),
  );
  return units;
}

/** Rules about ports that one container alone cannot tell. */
function checkPublished(root: ConfigNode, config: ContainerConfig): void {
  const taken = new Set<number>();
  const open = new Set(config.networks.filter(({ egress }) => egress === 'open').map(({ name }) => name));
  for (const [index, { name, ports, networks }] of config.units.entries()) {
    const path = `containers[${index}].ports`;
    for (const { hostPort } of ports) {
      if (taken.has(hostPort)) root.findings.refuse(path, `must not take port ${hostPort} of the host twice in the configuration`);
      taken.add(hostPort);
    }
    if (ports.length === 0 || networks.length === 0 || name === config.shim.upstreamUnit) continue;
    if (!networks.some((network) => open.has(network))) {
      root.findings.refuse(path, 'cannot be published: a container that is not served needs a network with egress open for it');
    }
  }
}

/** Warns of limits of containers that are above those of the whole configuration, which win. */
function checkShares(root: ConfigNode, { units, cpus, memoryMb }: ContainerConfig): void {
  for (const [index, unit] of units.entries()) {
    const path = `containers[${index}]`;
    if (cpus !== null && (unit.cpus ?? 0) > cpus)
      root.findings.warn(`${path}.cpus`, 'is more than cpus of the configuration, which hold for it');
    if (memoryMb !== null && (unit.memoryBytes ?? 0) > memoryMb * MIB) {
      root.findings.warn(`${path}.memory`, 'is more than memory of the configuration, which holds for it');
    }
  }
}

/** Whether two deployments may run at a time; where not, warnings say why, and what follows. */
function checkRunsTwice(root: ConfigNode, { units }: ContainerConfig): boolean {
  const consequence = 'so that an update stops what runs before it starts the new one: requests are refused meanwhile';
  let runsTwice = true;
  for (const [index, { ports, volumes }] of units.entries()) {
    const path = `containers[${index}]`;
    if (ports.length > 0) root.findings.warn(`${path}.ports`, `ports of the host cannot be taken twice, ${consequence}`);
    if (volumes.length > 0) root.findings.warn(`${path}.volumes`, `a volume is not used by two deployments at a time, ${consequence}`);
    runsTwice = runsTwice && ports.length === 0 && volumes.length === 0;
  }
  return runsTwice;
}

/** What a configuration is checked against beside the schema. */
export interface CheckConfigOptions {
  /** What was found already where the file was read; it is told first. */
  readonly findings?: Findings;
  /** Notes which rules of the operator are broken. Of the configuration, what breaks the schema is left out, empty or nought. */
  readonly checkMore?: (config: ContainerConfig, findings: Findings) => void;
}

/**
 * Checks a `tinfoil-config.yml` that has been read as a plain value, and fills in what it leaves out.
 *
 * Every violation is told, in the order of the file's schema and at most 100 with the number of the others; or, where there is none, the
 * configuration with warnings for each field that is taken and of which nothing, or something else, comes. Never throws. `runsTwice` is false where a
 * container has ports of the host or a volume. Whether the registries of its images are allowed is the operator's to say: `checkMore` does.
 *
 * A field without a value counts as left out. Sizes and lengths of time: `parseSize`, `parseDuration`. Source: Tinfoil reference section 3.
 */
export function checkConfig(value: PlainJson, { findings = new Findings(), checkMore }: CheckConfigOptions = {}): ConfigResult {
  const root = new ConfigNode(value, '', findings);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    root.refuse('must be a map of fields');
    return { ok: false, violations: findings.violations };
  }
  root.only(FIELDS);
  for (const name of NEVER) {
    if (root.field(name).isFilled) root.field(name).refuse('must be left out: secrets come from this server and not from elsewhere');
  }
  for (const name of WITHOUT_EFFECT) {
    if (root.field(name).isGiven) root.field(name).warn(NO_MACHINE);
  }
  root.field('shim-version').text();
  root.field('ovmf-version').text();
  const parts = {
    cvmVersion: root.field('cvm-version').text(),
    cpus: root.field('cpus').integer(1, MAX_CPUS),
    memoryMb: root.field('memory').integer(MIN_MEMORY_MB, MAX_MEMORY_MB),
    gpus: root.field('gpus').integer(0, MAX_GPUS) ?? 0,
    networks: checkNetworks(root.field('networks')),
    volumes: checkVolumes(root.field('volumes')),
  };
  const units = checkUnits(root, parts);
  const shim = checkShim(
    root.field('shim'),
    units.map(({ name }) => name),
  );
  checkMachineNetwork(root.field('cvm-network'));
  const config: ContainerConfig = { ...parts, units, shim };
  checkPublished(root, config);
  checkShares(root, config);
  const runsTwice = checkRunsTwice(root, config);
  checkMore?.(config, findings);
  const { violations, warnings } = findings;
  return violations.length === 0 ? { ok: true, config, warnings, runsTwice } : { ok: false, violations };
}
