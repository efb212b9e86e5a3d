import type { ContainerView } from '../../app/containers/container-reads.ts';
import { deploymentWarnings } from '../../core/containers/config/declared-names.ts';
import { generatedDomain } from '../../core/containers/container-names.ts';
import { shellUser } from '../../core/containers/ssh-access.ts';
import { formatRfc3339 } from '../../core/rfc3339.ts';

/** Where containers are reached. */
export interface ContainerPlaces {
  /** The domain below which their own are. */
  readonly baseDomain: string;
  /** The port of the gateway to debug containers; null where there is none. */
  readonly sshPort: () => number | null;
}

/**
 * A container as this surface shows it. Until an update takes over, it is described as what serves. Every container here runs without confidential hardware,
 * and says so. Source: Tinfoil reference section 1.3.
 */
export function containerObject({ container, entry }: ContainerView, { baseDomain, sshPort }: ContainerPlaces): object {
  const { current, update, name, tenantId } = container;
  const internal = generatedDomain({ name, debug: current.debug, tenantId }, baseDomain);
  return {
    id: container.id,
    name,
    repo: container.repo,
    status: container.status,
    domain: current.customDomain ?? internal,
    internal_domain: internal,
    custom_domain: current.customDomain,
    current_tag: current.tag,
    current_commit: current.commit,
    cpus: Math.ceil(current.config.cpus ?? 0),
    gpus: current.gpus,
    memory_mb: current.config.memoryMb ?? 0,
    debug: current.debug,
    docker_log: current.dockerLog,
    staging: container.staging,
    disable_cc_mode: true,
    host_name: current.hostName,
    host_gpu_type: null,
    host_cpu_type: null,
    ssh_port: current.debug ? sshPort() : null,
    ssh_user: current.debug && sshPort() !== null ? shellUser(container) : null,
    variables: current.variables,
    secrets: current.secrets,
    ssh_keys: current.sshKeys,
    warnings: deploymentWarnings(current.config, { variables: Object.keys(current.variables), secrets: current.secrets }),
    stale: entry.staleSinceMs !== null,
    update_tag: update?.tag ?? null,
    update_status: update?.state ?? null,
    update_type: update?.strategy ?? null,
    update_strategy: update?.strategy ?? null,
    held: update?.state === 'ready',
    error_message: update?.errorMessage ?? current.errorMessage,
    group_name: entry.groupName,
    group_order: entry.groupOrder,
    display_order: entry.displayOrder,
    github_app_connected: container.githubAppConnected,
    auto_update: container.autoUpdate,
    created_at: formatRfc3339(container.createdAtMs),
    updated_at: formatRfc3339(container.updatedAtMs),
  };
}

/** What is under way to take a container's place. */
export function updateObject({ container: { update } }: ContainerView): object {
  if (update === null) return { has_update: false };
  return {
    has_update: true,
    update_deployment_id: update.id,
    update_tag: update.tag,
    update_status: update.state,
    update_type: update.strategy,
    error_message: update.errorMessage,
  };
}
