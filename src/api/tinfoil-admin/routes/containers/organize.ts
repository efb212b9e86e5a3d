import type { FastifyRequest } from 'fastify';
import type { OrganizeChange } from '../../../../core/containers/commands.ts';
import { RefusedRequest, valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { containerObject } from '../../container-object.ts';
import { GroupBody, RenameGroupBody, ReorderBody, ReorderGroupsBody } from '../../container-schemas.ts';
import { actorOf } from '../../principal.ts';
import { containerIdOf, type ContainerRouteDeps } from './deploy.ts';

const required = (field: string): RefusedRequest => new RefusedRequest({ code: 'invalid_request', message: `${field} is required`, field });

/** Groups of containers, and the order of both. */
export function mountOrganizeContainers(app: TypedApp, { containers, ...places }: ContainerRouteDeps): void {
  const organize = async (request: FastifyRequest, change: OrganizeChange): Promise<object[]> => {
    const views = valueOf(await containers.organize(actorOf(request), request.tinfoilAdmin.key.tenantId, change));
    return views.map((view) => containerObject(view, places));
  };

  app.put('/api/containers/:id/group', { schema: { body: GroupBody } }, async (request) => {
    const { group_name: groupName, group_order: groupOrder, display_order: displayOrder } = request.body;
    const containerId = containerIdOf(request);
    const place = { groupName: groupName ?? null, groupOrder: groupOrder ?? 0, displayOrder: displayOrder ?? 0 };
    await organize(request, { type: 'place', containerId, place });
    return containerObject(valueOf(await containers.find(request.tinfoilAdmin.key.tenantId, containerId)), places);
  });
  app.put('/api/containers/reorder', { schema: { body: ReorderBody } }, async (request) => {
    const orders = request.body.containers ?? request.body.orders;
    if (orders === undefined) throw required('containers');
    return organize(request, {
      type: 'reorder',
      orders: orders.map(({ id, display_order: displayOrder }) => ({ containerId: id, displayOrder })),
    });
  });
  app.put('/api/containers/groups/rename', { schema: { body: RenameGroupBody } }, async (request) => {
    const { old_name: from, new_name: to } = request.body;
    return organize(request, { type: 'rename-group', from, to });
  });
  app.put('/api/containers/groups/reorder', { schema: { body: ReorderGroupsBody } }, async (request) => {
    const groups = request.body.groups.map(({ name, group_name: groupName, group_order: groupOrder }, index) => {
      const known = name ?? groupName;
      if (known === undefined) throw required(`groups[${index}].name`);
      return { name: known, groupOrder };
    });
    return organize(request, { type: 'reorder-groups', groups });
  });
  app.delete('/api/containers/groups/:name', async (request, reply) => {
    await organize(request, { type: 'delete-group', name: (request.params as { readonly name: string }).name });
    return reply.code(204).send();
  });
}
