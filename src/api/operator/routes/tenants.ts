import type { RecordStore } from '../../../ports/record-store.ts';
import type { TenantChanges, TenantManagement } from '../../../app/manage-tenants.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import { valueOf } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { ENTITLEMENT_NAMES, givenNames, microcentsOf, renamed, TENANT_NAMES } from '../fields.ts';
import { entitlementsObject, moneyObject, tenantObject } from '../objects.ts';
import { CreateTenantBody, Entitlements, MoneyBudgetBody, UpdateTenantBody } from '../schemas.ts';

type ById = { Params: { id: string } };

/** `/tenants`, with entitlements and money budget. */
export function mountTenants(app: TypedApp, deps: { tenants: TenantManagement; records: Pick<RecordStore, 'records'> }): void {
  const { tenants, records } = deps;
  app.post('/tenants', { schema: { body: CreateTenantBody } }, async (request, reply) => {
    const { id, entitlements = {} } = request.body;
    const changes = {
      ...renamed<TenantChanges>(request.body, TENANT_NAMES),
      entitlements: renamed<object>(entitlements, ENTITLEMENT_NAMES),
    };
    const tenant = valueOf(await tenants.create(operatorOf(request), { id, ...changes }));
    return reply.code(201).send(tenantObject(tenant));
  });
  app.get('/tenants', async (request) => {
    refuseUnknownQuery(request, []);
    return { tenants: (await records.records('tenant')).map(tenantObject) };
  });
  app.get<ById>('/tenants/:id', async (request) => {
    refuseUnknownQuery(request, []);
    return tenantObject(valueOf(await tenants.find(request.params.id)));
  });
  app.patch('/tenants/:id', { schema: { body: UpdateTenantBody } }, async (request) => {
    const { id } = request.params as ById['Params'];
    const declaredAs = givenNames(request.body);
    const changes = renamed<TenantChanges>(request.body, TENANT_NAMES);
    return tenantObject(valueOf(await tenants.update(operatorOf(request), id, { changes, declaredAs })));
  });
}

/** `/tenants/{id}/entitlements` and `/tenants/{id}/money-budget`. */
export function mountTenantLimits(app: TypedApp, deps: { tenants: TenantManagement }): void {
  const { tenants } = deps;
  app.get<ById>('/tenants/:id/entitlements', async (request) => {
    refuseUnknownQuery(request, []);
    return entitlementsObject(valueOf(await tenants.find(request.params.id)).entitlements);
  });
  app.patch('/tenants/:id/entitlements', { schema: { body: Entitlements } }, async (request) => {
    const { id } = request.params as ById['Params'];
    const declaredAs = givenNames(request.body).map((name) => `entitlements.${name}`);
    const changes = { entitlements: renamed<object>(request.body, ENTITLEMENT_NAMES) };
    return entitlementsObject(valueOf(await tenants.update(operatorOf(request), id, { changes, declaredAs })).entitlements);
  });
  app.get<ById>('/tenants/:id/money-budget', async (request) => {
    refuseUnknownQuery(request, []);
    return moneyObject(valueOf(await tenants.moneyBudget(request.params.id)));
  });
  app.put('/tenants/:id/money-budget', { schema: { body: MoneyBudgetBody } }, async (request) => {
    const { id } = request.params as ById['Params'];
    const microcents = microcentsOf(request.body.money_budget_usd);
    return moneyObject(valueOf(await tenants.setMoneyBudget(operatorOf(request), id, microcents)));
  });
}
