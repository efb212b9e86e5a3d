import type { makeCreateKey } from '../../../app/create-key.ts';
import type { TenantManagement } from '../../../app/manage-tenants.ts';
import { formatRfc3339 } from '../../../core/rfc3339.ts';
import { valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { memberObject } from '../objects.ts';
import { AddMemberBody, MemberKeyBody } from '../schemas.ts';

type ById = { Params: { id: string } };

/** `/tenants/{id}/members`. */
export function mountMembers(app: TypedApp, deps: { tenants: TenantManagement }): void {
  const { tenants } = deps;
  app.post('/tenants/:id/members', { schema: { body: AddMemberBody } }, async (request, reply) => {
    const { id, email, role = 'member' } = request.body;
    const tenantId = (request.params as ById['Params']).id;
    const member = valueOf(await tenants.addMember(operatorOf(request), tenantId, { id, email, role }));
    return reply.code(201).send(memberObject(member));
  });
  app.get<ById>('/tenants/:id/members', async (request) => {
    refuseUnknownQuery(request, []);
    return { members: valueOf(await tenants.members(request.params.id)).map(memberObject) };
  });
  app.delete<{ Params: { id: string; memberId: string } }>('/tenants/:id/members/:memberId', async (request, reply) => {
    const { id, memberId } = request.params;
    valueOf(await tenants.removeMember(operatorOf(request), id, memberId));
    return reply.code(204).send();
  });
}

/** `POST /tenants/{id}/admin-keys` and `/management-keys`: keys that act as a member; their values are told this once. */
export function mountMemberKeys(app: TypedApp, deps: { createKey: ReturnType<typeof makeCreateKey> }): void {
  for (const [path, kind] of [
    ['admin-keys', 'admin'],
    ['management-keys', 'management'],
  ] as const) {
    app.post(`/tenants/:id/${path}`, { schema: { body: MemberKeyBody } }, async (request, reply) => {
      const { name, member_id: memberId } = request.body;
      const tenantId = (request.params as ById['Params']).id;
      const wanted = { tenantId, memberId, kind, name, expiresAtMs: null, maxTokens: null, moneyBudgetMicrocents: null, metadata: {} };
      const { key, plaintext } = valueOf(await deps.createKey(operatorOf(request), wanted));
      const body = {
        id: key.id,
        key: plaintext,
        name,
        kind,
        tenant_id: tenantId,
        member_id: memberId,
        created_at: formatRfc3339(key.createdAtMs),
      };
      return reply.code(201).send(body);
    });
  }
}
