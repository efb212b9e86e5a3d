import type { Operations } from '../../_shared/openapi/operation.ts';
import { TenantBulkActionRequest, TenantBulkActionResponse } from '../schemas/bulk.ts';
import { TENANT_STATUSES } from '../schemas/common.ts';
import { CyclesTenant, TenantCreateRequest, TenantListResponse, TenantUpdateRequest } from '../schemas/tenants.ts';
import { answer, choice, EVERYWHERE, page, search, sorting, words } from './shared.ts';

const path = { tenant_id: 'The id of the tenant.' };

/** The operations of tenants. Source: Cycles governance, paths below `/v1/admin/tenants`. */
export const TENANT_OPERATIONS: Operations = {
  'POST /v1/admin/tenants': {
    id: 'createTenant',
    summary: 'Add a tenant',
    description: 'The same id and name once more is answered with the tenant that is there.',
    body: { schema: TenantCreateRequest },
    answers: { 200: answer('The tenant that was there.', CyclesTenant), 201: answer('The new tenant.', CyclesTenant) },
    errors: [...EVERYWHERE, 409],
  },
  'GET /v1/admin/tenants': {
    id: 'listTenants',
    summary: 'List tenants',
    query: {
      status: choice('Only those in this state.', TENANT_STATUSES),
      parent_tenant_id: words('Only those below this tenant.'),
      search,
      ...sorting(['tenant_id', 'name', 'status', 'created_at'], 'created_at'),
      ...page,
    },
    answers: { 200: answer('A page of tenants.', TenantListResponse) },
    errors: EVERYWHERE,
  },
  'GET /v1/admin/tenants/:tenant_id': {
    id: 'getTenant',
    summary: 'Show a tenant',
    path,
    answers: { 200: answer('The tenant.', CyclesTenant) },
    errors: [...EVERYWHERE, 404],
  },
  'PATCH /v1/admin/tenants/:tenant_id': {
    id: 'updateTenant',
    summary: 'Change, suspend, reactivate or close a tenant',
    description: 'Closing ends what the tenant owns: holds go back, budgets close, keys are revoked, webhooks are disabled.',
    path,
    body: { schema: TenantUpdateRequest },
    answers: {
      200: {
        ...answer('The tenant as it is now.', CyclesTenant),
        headers: {
          'X-Cycles-Cascade-Status': '`in_progress` while what a closed tenant owns is still being ended.',
          'Retry-After': 'When to look again, in seconds, while that goes on.',
        },
      },
    },
    errors: [...EVERYWHERE, 404, 409],
  },
  'POST /v1/admin/tenants/bulk-action': {
    id: 'bulkActionTenants',
    summary: 'Suspend, reactivate or close many tenants',
    body: { schema: TenantBulkActionRequest },
    answers: { 200: answer('What became of each.', TenantBulkActionResponse) },
    errors: [...EVERYWHERE, 409],
  },
};
