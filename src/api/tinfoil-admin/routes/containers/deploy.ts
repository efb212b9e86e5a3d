import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { DeploymentRequest } from '../../../../app/containers/deploy-container.ts';
import type { ManageContainers } from '../../../../app/containers/manage-containers.ts';
import { RefusedRequest, valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { containerObject, type ContainerPlaces } from '../../container-object.ts';
import { CreateContainerBody, DeployContainerBody } from '../../container-schemas.ts';
import { actorOf } from '../../principal.ts';

/** Variables may have 256 KiB, more where JSON escapes them. */
const BODY_LIMIT_BYTES = 1024 * 1024;

/** What routes of containers need. */
export interface ContainerRouteDeps extends ContainerPlaces {
  readonly containers: ManageContainers;
}

/** The id in a container's path. */
export const containerIdOf = (request: FastifyRequest): string => (request.params as { readonly id: string }).id;

/** The variables of a body: texts by name. */
function variablesOf(given: Readonly<Record<string, unknown>>): Record<string, string> {
  const bad = Object.entries(given).find(([, value]) => typeof value !== 'string');
  if (bad === undefined) return given as Record<string, string>;
  const field = `variables.${bad[0].slice(0, 100)}`;
  throw new RefusedRequest({ code: 'invalid_request', message: `${field} must be a string`, field });
}

type Wanted = Omit<Static<typeof CreateContainerBody>, 'name' | 'repo' | 'tag'> & { readonly tag?: string | null };

/** What a body asks of a deployment; null counts as not given. */
function requestOf(body: Wanted): DeploymentRequest {
  const { tag, variables, secrets, ssh_keys: sshKeys, gpus, debug, docker_log: dockerLog, custom_domain: customDomain, staging } = body;
  // Clients that know no host send an empty name.
  const hostName = body.host_name === '' ? null : body.host_name;
  const given = { tag, secrets, sshKeys, gpus, debug, dockerLog, customDomain, hostName, staging };
  return {
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null)) as DeploymentRequest),
    ...(variables === undefined || variables === null ? {} : { variables: variablesOf(variables) }),
  };
}

/** `POST /api/containers`: makes a container and begins to deploy it. */
export function mountCreateContainer(app: TypedApp, { containers, ...places }: ContainerRouteDeps): void {
  app.post('/api/containers', { schema: { body: CreateContainerBody }, bodyLimit: BODY_LIMIT_BYTES }, async (request, reply) => {
    const { body } = request;
    const { tenantId, createdBy } = request.tinfoilAdmin.key;
    const view = valueOf(
      await containers.create(actorOf(request), tenantId, {
        ...requestOf(body),
        name: body.name,
        repo: body.repo,
        tag: body.tag,
        place: { groupName: body.group_name ?? null, groupOrder: body.group_order ?? 0, displayOrder: body.display_order ?? 0 },
        replaces: body.replace_container_id ?? null,
        createdBy,
      }),
    );
    return reply.code(201).send(containerObject(view, places));
  });
}

/** `POST /api/containers/:id/relaunch` and `start`: deploy it anew with what the body changes. */
export function mountDeployContainer(app: TypedApp, { containers, ...places }: ContainerRouteDeps): void {
  for (const [path, start] of [
    ['/api/containers/:id/relaunch', false],
    ['/api/containers/:id/start', true],
  ] as const) {
    app.post(path, { schema: { body: DeployContainerBody }, bodyLimit: BODY_LIMIT_BYTES }, async (request) => {
      const { tenantId } = request.tinfoilAdmin.key;
      const wanted = { ...requestOf((request.body as Wanted | null | undefined) ?? {}), start };
      const outcome = await containers.deploy(actorOf(request), tenantId, containerIdOf(request), wanted);
      return containerObject(valueOf(outcome), places);
    });
  }
}
