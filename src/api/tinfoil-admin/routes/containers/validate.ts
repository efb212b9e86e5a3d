import type { Release } from '../../../../app/containers/read-release.ts';
import { declaredNames } from '../../../../core/containers/config/declared-names.ts';
import { valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { ValidateContainerBody, ValidateNameBody } from '../../container-schemas.ts';
import type { ContainerRouteDeps } from './deploy.ts';

/** What a configuration asks for, in its own words. */
function configObject({ config }: Release): object {
  return {
    cvm_version: config.cvmVersion,
    cpus: config.cpus,
    memory_mb: config.memoryMb,
    gpus: config.gpus,
    containers: config.units.map(({ name, image, env, secrets }) => ({
      name,
      image,
      env: env.map((variable) => variable.name),
      secrets,
    })),
    networks: config.networks.map(({ name, egress, allow }) => ({ name, egress, allow })),
    volumes: config.volumes.map(({ name }) => ({ name })),
    shim: { upstream_container: config.shim.upstreamUnit, upstream_port: config.shim.upstreamPort, paths: config.shim.paths },
  };
}

/** What can be checked before a container is made or relaunched. */
export function mountValidateContainer(app: TypedApp, { containers }: ContainerRouteDeps): void {
  app.post('/api/containers/validate-name', { schema: { body: ValidateNameBody } }, async (request) => {
    const { name, debug, custom_domain: customDomain, relaunch_container_id: relaunches } = request.body;
    const wanted = { name, debug: debug ?? false, customDomain: customDomain ?? null, relaunches: relaunches ?? null };
    const { reason } = valueOf(await containers.checkName(request.tinfoilAdmin.key.tenantId, wanted));
    return reason === null ? { available: true, name } : { available: false, name, reason };
  });
  app.post('/api/containers/validate', { schema: { body: ValidateContainerBody } }, async (request) => {
    const { repo, tag, relaunch_container_id: relaunches, replace_container_id: replaces } = request.body;
    const wanted = { repo, tag, inPlaceOf: relaunches ?? replaces ?? null };
    const { release } = valueOf(await containers.checkRelease(request.tinfoilAdmin.key.tenantId, wanted));
    return {
      valid: true,
      repo,
      tag,
      commit: release.commit,
      config: configObject(release),
      ...declaredNames(release.config),
      update_strategy: release.runsTwice && release.config.gpus <= 1 ? 'blue-green' : 'stop-first',
      warnings: release.warnings,
    };
  });
}
