import { valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { containerObject, updateObject } from '../../container-object.ts';
import { AutoUpdateBody, GithubConnectionBody } from '../../container-schemas.ts';
import { actorOf } from '../../principal.ts';
import { containerIdOf, type ContainerRouteDeps } from './deploy.ts';

/** Reads of containers. */
export function mountReadContainers(app: TypedApp, { containers, ...places }: ContainerRouteDeps): void {
  app.get('/api/containers', async (request) =>
    (await containers.list(request.tinfoilAdmin.key.tenantId)).map((view) => containerObject(view, places)),
  );
  app.get('/api/containers/hosts', async (request) =>
    (await containers.hosts(request.tinfoilAdmin.key.tenantId)).map(({ name, isDefault, gpus }, index, all) => ({
      id: name,
      name,
      is_default: isDefault || (index === 0 && !all.some((host) => host.isDefault)),
      available_gpu_values: gpus,
    })),
  );
  app.get('/api/containers/:id', async (request) =>
    containerObject(valueOf(await containers.find(request.tinfoilAdmin.key.tenantId, containerIdOf(request))), places),
  );
  app.get('/api/containers/:id/update', async (request) =>
    updateObject(valueOf(await containers.find(request.tinfoilAdmin.key.tenantId, containerIdOf(request)))),
  );
}

/** What ends or settles a deployment. `stop` and `accept` return the container, `delete` and `cancel` nothing. */
export function mountContainerLifecycle(app: TypedApp, { containers, ...places }: ContainerRouteDeps): void {
  app.post('/api/containers/:id/stop', async (request) =>
    containerObject(valueOf(await containers.stop(actorOf(request), request.tinfoilAdmin.key.tenantId, containerIdOf(request))), places),
  );
  app.delete('/api/containers/:id', async (request, reply) => {
    valueOf(await containers.remove(actorOf(request), request.tinfoilAdmin.key.tenantId, containerIdOf(request)));
    return reply.code(204).send();
  });
  // Later clients call it promote.
  for (const path of ['/api/containers/:id/update/accept', '/api/containers/:id/update/promote']) {
    app.post(path, async (request) =>
      containerObject(
        valueOf(await containers.accept(actorOf(request), request.tinfoilAdmin.key.tenantId, containerIdOf(request))),
        places,
      ),
    );
  }
  app.post('/api/containers/:id/update/cancel', async (request, reply) => {
    valueOf(await containers.cancel(actorOf(request), request.tinfoilAdmin.key.tenantId, containerIdOf(request)));
    return reply.code(204).send();
  });
  app.post('/api/containers/:id/auto-update', { schema: { body: AutoUpdateBody } }, async (request) => {
    const changes = { autoUpdate: request.body.auto_update };
    const outcome = await containers.set(actorOf(request), request.tinfoilAdmin.key.tenantId, containerIdOf(request), changes);
    return containerObject(valueOf(outcome), places);
  });
  app.post('/api/containers/:id/github-connection', { schema: { body: GithubConnectionBody } }, async (request) => {
    const changes = { githubAppConnected: request.body.connected };
    const outcome = await containers.set(actorOf(request), request.tinfoilAdmin.key.tenantId, containerIdOf(request), changes);
    return containerObject(valueOf(outcome), places);
  });
}
