import type { ConfigViolation, ContainerConfig, UnitConfig } from '../../core/containers/config/container-config.ts';
import type { Container, Deployment } from '../../core/containers/container-records.ts';
import { networkName, unitName, volumeName, type NetworkRole } from '../../core/containers/engine-names.ts';
import { unitGpus } from '../../core/containers/gpu-allotment.ts';
import { resolveImage, type ImageRef, type Registries } from '../../core/containers/images.ts';
import { unitEnvironment, type GivenValues } from '../../core/containers/unit-environment.ts';
import type { EngineOwner, NetworkSpec, UnitSpec, VolumeSpec } from '../../ports/container-engine.ts';

const MIB = 1024 * 1024;

/** What a deployment is made of on its host, in the order in which it is made. */
export interface DeploymentPlan {
  readonly images: readonly ImageRef[];
  readonly networks: readonly NetworkSpec[];
  readonly volumes: readonly VolumeSpec[];
  readonly units: readonly UnitSpec[];
  /** Name of the unit that serves. */
  readonly upstream: string;
  readonly warnings: readonly string[];
}

/** The images of a configuration, by unit; or the rules that they break. */
export function imagesOf(config: ContainerConfig, registries: Registries): Map<string, ImageRef> | readonly ConfigViolation[] {
  const images = new Map<string, ImageRef>();
  const violations: ConfigViolation[] = [];
  for (const [index, unit] of config.units.entries()) {
    const resolved = resolveImage(unit.image, registries);
    if (resolved.ok) images.set(unit.name, resolved.image);
    else violations.push({ path: `containers[${index}].image`, rule: resolved.rule });
  }
  return violations.length === 0 ? images : violations;
}

/** An allow-list of names cannot be kept on a plain engine: such a network is closed. */
const roleOf = (egress: 'closed' | 'allowlist' | 'open'): NetworkRole => (egress === 'open' ? 'open' : 'closed');

/** What a unit may use: its own limit, and never more than the whole deployment. */
const least = (own: number | null, whole: number | null): number | null => {
  if (own === null) return whole;
  return whole === null ? own : Math.min(own, whole);
};

/**
 * Plans a deployment: pure. `gpus` are those of the host that it is given. Names are made of its id, so that a plan made twice is the same. The images were checked when it was asked for; throws where one
 * is not allowed any more.
 */
export function planDeployment(
  of: { readonly container: Pick<Container, 'id' | 'tenantId'>; readonly deployment: Deployment; readonly installation: string },
  given: { readonly values: GivenValues; readonly registries: Registries; readonly gpus: readonly string[] },
): DeploymentPlan {
  const { container, deployment, installation } = of;
  const { config } = deployment;
  const images = imagesOf(config, given.registries);
  if (!(images instanceof Map)) throw new Error(images.map(({ path, rule }) => `${path} ${rule}`).join('; '));
  const owner: EngineOwner = { installation, tenant: container.tenantId, container: container.id, deployment: deployment.id };
  const roles = new Map(config.networks.map(({ name, egress }) => [name, roleOf(egress)]));
  const owners = new Map(config.volumes.map((volume) => [volume.name, volume.owner]));
  const shim: NetworkSpec = { name: networkName(deployment.id, 'shim', ''), role: 'shim', owner };
  const used = new Set(config.units.flatMap(({ networks }) => networks));
  const networks = [...roles]
    .filter(([name]) => used.has(name))
    .map(([name, role]): NetworkSpec => ({ name: networkName(deployment.id, role, name), role, owner }));
  const warnings: string[] = [];

  const unitOf = (unit: UnitConfig): UnitSpec => {
    const environment = unitEnvironment(unit, given.values);
    warnings.push(...environment.warnings);
    const image = images.get(unit.name);
    if (image === undefined) throw new Error(`no image for ${unit.name}`);
    const isUpstream = unit.name === config.shim.upstreamUnit;
    const own = unit.networks.map((name) => {
      const role = roles.get(name) ?? 'closed';
      return { name: networkName(deployment.id, role, name), role };
    });
    return {
      name: unitName(deployment.id, unit.name),
      unit: unit.name,
      owner,
      image,
      command: unit.command,
      entrypoint: unit.entrypoint,
      workingDir: unit.workingDir,
      user: unit.user,
      env: environment.env,
      mounts: unit.volumes.map(({ name, path }) => ({ volume: volumeName(container.id, name), path, ownerId: owners.get(name) ?? null })),
      networks: isUpstream ? [...own, { name: shim.name, role: shim.role }] : own,
      shimPort: isUpstream ? config.shim.upstreamPort : null,
      ports: unit.ports,
      gpus: unitGpus(unit.gpus, given.gpus),
      allottedGpus: given.gpus,
      ipc: unit.ipc,
      capAdd: unit.capAdd,
      shmBytes: unit.shmBytes,
      memoryBytes: least(unit.memoryBytes, config.memoryMb === null ? null : config.memoryMb * MIB),
      cpus: least(unit.cpus, config.cpus),
      tmpfs: unit.tmpfs,
      readOnly: unit.readOnly,
      pidsLimit: unit.pidsLimit,
      restart: unit.restart,
      stopSignal: unit.stopSignal,
      stopTimeoutS: unit.stopTimeoutS,
      healthcheck: unit.healthcheck,
    };
  };
  const units = config.units.map(unitOf);
  const volumes = [...new Set(config.units.flatMap((unit) => unit.volumes.map(({ name }) => name)))].map((name): VolumeSpec => ({
    name: volumeName(container.id, name),
    owner: { ...owner, deployment: null },
  }));
  return {
    images: [...new Set(images.values())],
    networks: [shim, ...networks],
    volumes,
    units,
    upstream: config.shim.upstreamUnit,
    warnings,
  };
}
