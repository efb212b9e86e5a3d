import type { FastifyReply } from 'fastify';
import { makeBulkTenants } from '../../../app/cycles/bulk-tenants.ts';
import { makeGovernTenants, type GovernedChanges } from '../../../app/cycles/govern-tenants.ts';
import type { Tenant } from '../../../core/records.ts';
import type { TenantFilter, TenantSort } from '../../../ports/governance-reads.ts';
import { cyclesActorOf } from '../../_shared/cycles-principal.ts';
import { valueOf } from '../../_shared/problem.ts';
import { GOVERNANCE_SOURCE, type GovernanceMount } from '../governance-deps.ts';
import {
  askedPage,
  filterOneOf,
  filterText,
  listAnswer,
  readListPage,
  refuseBlankFilter,
  searchText,
  type ListPosition,
} from '../list-page.ts';
import { present, tenantBody } from '../objects.ts';
import { TenantBulkActionRequest } from '../schemas/bulk.ts';
import { TENANT_STATUSES } from '../schemas/common.ts';
import { TenantCreateRequest, TenantUpdateRequest } from '../schemas/tenants.ts';

type ById = { Params: { tenant_id: string } };

const SORT_KEYS = ['created_at', 'tenant_id', 'name', 'status'] as const satisfies readonly TenantSort[];
const operatorOnly = { credential: 'operator' } as const;

const positionAt = (tenant: Tenant, sortBy: TenantSort): ListPosition => ({
  id: tenant.id,
  value: { created_at: tenant.createdAtMs, tenant_id: tenant.id, name: tenant.name, status: tenant.status }[sortBy],
});

/** Says that what closed tenants own is still being brought to its end. Source: Cycles governance, CASCADE SEMANTICS, mode B. */
function tellProgress(reply: FastifyReply, isClosing: boolean): void {
  if (isClosing) void reply.header('x-cycles-cascade-status', 'in_progress').header('retry-after', '1');
}

/** What a body gives under its names on the wire, as the program calls it. */
const settingsOf = (body: TenantUpdateRequest | TenantCreateRequest): GovernedChanges =>
  present({
    metadata: body.metadata,
    defaultOveragePolicy: body.default_commit_overage_policy,
    defaultTtlMs: body.default_reservation_ttl_ms,
    maxTtlMs: body.max_reservation_ttl_ms,
    maxExtensions: body.max_reservation_extensions,
  }) as GovernedChanges;

/** `/v1/admin/tenants` and below. */
export const mountTenants: GovernanceMount = (app, deps) => {
  const tenants = makeGovernTenants(deps);
  const bulk = makeBulkTenants({ ...deps, elapsedMs: () => performance.now() });

  app.post('/v1/admin/tenants', { config: operatorOnly, schema: { body: TenantCreateRequest } }, async (request, reply) => {
    const { tenant_id: id, name, parent_tenant_id: parent, reservation_expiry_policy: expiry } = request.body;
    const made = valueOf(
      await tenants.ensure(cyclesActorOf(request, GOVERNANCE_SOURCE), {
        id,
        name,
        ...settingsOf(request.body),
        ...(parent === undefined ? {} : { parentTenantId: parent }),
        ...(expiry === undefined ? {} : { reservationExpiryPolicy: expiry }),
      }),
    );
    return reply
      .code(made.isNew ? 201 : 200)
      .header('x-cycles-tenant', id)
      .send(tenantBody(made.tenant));
  });

  app.get('/v1/admin/tenants', { config: operatorOnly }, async (request) => {
    const status = filterOneOf(request, 'status', TENANT_STATUSES);
    const parentTenantId = filterText(request, 'parent_tenant_id');
    const page = readListPage(request, {
      list: 'governed tenants',
      sortKeys: SORT_KEYS,
      cursors: deps.cursors,
      filters: [status, parentTenantId],
    });
    const found = await tenants.page({ ...askedPage(page), ...filterOf(status, parentTenantId, page.search) });
    const { shown, end } = listAnswer(page, found, positionAt);
    return { tenants: shown.map(tenantBody), ...end };
  });

  app.get<ById>('/v1/admin/tenants/:tenant_id', { config: operatorOnly }, async (request, reply) => {
    const tenant = valueOf(await tenants.find(request.params.tenant_id));
    void reply.header('x-cycles-tenant', tenant.id);
    return tenantBody(tenant);
  });

  app.patch('/v1/admin/tenants/:tenant_id', { config: operatorOnly, schema: { body: TenantUpdateRequest } }, async (request, reply) => {
    const { tenant_id: id } = request.params as ById['Params'];
    const { name, status } = request.body;
    const changes = present({ ...settingsOf(request.body), name, status }) as GovernedChanges;
    const actor = cyclesActorOf(request, GOVERNANCE_SOURCE);
    const { tenant, isClosing } = valueOf(await tenants.update(actor, id, { changes, fields: Object.keys(request.body) }));
    tellProgress(reply, isClosing);
    void reply.header('x-cycles-tenant', tenant.id);
    return tenantBody(tenant);
  });

  app.post('/v1/admin/tenants/bulk-action', { config: operatorOnly, schema: { body: TenantBulkActionRequest } }, async (request, reply) => {
    const { action, filter, expected_count: expected, idempotency_key: idempotencyKey } = request.body;
    const search = searchText(filter.search, 'filter.search');
    refuseBlankFilter(filter, search);
    const { result, isClosing } = valueOf(
      await bulk(cyclesActorOf(request, GOVERNANCE_SOURCE), {
        action,
        filter: filterOf(filter.status, filter.parent_tenant_id, search),
        shownFilter: present({ ...filter }) as Readonly<Record<string, string>>,
        expectedCount: expected ?? null,
        idempotencyKey,
      }),
    );
    tellProgress(reply, isClosing);
    return result;
  });
};

const filterOf = (status: TenantFilter['status'] | undefined, parentTenantId: string | undefined, search: string | null): TenantFilter => ({
  search,
  ...(status === undefined ? {} : { status }),
  ...(parentTenantId === undefined ? {} : { parentTenantId }),
});
