import type { FastifyRequest } from 'fastify';
import type { MemberKeys } from '../../../app/manage/member-keys.ts';
import type { ApiKey } from '../../../core/records.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { queryText, refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { managerOf, ownerOf } from '../principal.ts';
import { CreateKeyBody, DeleteKeyBody } from '../schemas.ts';

/** A key as this surface lists it: neither its id nor its value, and its moment in whole seconds. */
const keyObject = ({ name, kind, createdAtMs }: ApiKey): object => ({
  name,
  created_at: Math.floor(createdAtMs / 1000),
  is_management_key: kind === 'management',
});

/** The name that a deletion gives, in its body or in the query; where both are there they must agree. */
function deletedName(request: FastifyRequest, inBody: string | undefined): string {
  const inQuery = queryText(request, 'name');
  const name = inBody ?? inQuery;
  if (name === undefined) throw badName('name is required');
  if (inBody !== undefined && inQuery !== undefined && inBody !== inQuery) throw badName('name must be the same in the body and the query');
  return name;
}

const badName = (message: string): RefusedRequest => new RefusedRequest({ code: 'invalid_request', message, field: 'name' });

/** `{prefix}/api-keys`: the inference and management keys of the member whom the management key belongs to. */
export function mountApiKeys(app: TypedApp, prefix: string, deps: { memberKeys: MemberKeys }): void {
  const { memberKeys } = deps;
  const path = `${prefix}/api-keys`;
  app.get(path, async (request) => {
    refuseUnknownQuery(request, []);
    return { api_keys: (await memberKeys.list(ownerOf(request))).map(keyObject) };
  });
  app.post(path, { schema: { body: CreateKeyBody } }, async (request, reply) => {
    refuseUnknownQuery(request, []);
    const { name, is_management_key: isManagement = false } = request.body;
    const kind = isManagement ? 'management' : 'inference';
    const { key, plaintext } = valueOf(await memberKeys.create(managerOf(request), ownerOf(request), { name, kind }));
    return reply
      .code(201)
      .header('cache-control', 'no-store')
      .send({ api_key: plaintext, ...keyObject(key) });
  });
  app.delete(path, { schema: { body: DeleteKeyBody } }, async (request) => {
    refuseUnknownQuery(request, ['name']);
    const name = deletedName(request, request.body?.name);
    const key = valueOf(await memberKeys.deleteByName(managerOf(request), ownerOf(request), name));
    return { success: true, deleted: key.name };
  });
}
