import { text } from '../../_shared/cycles-fields.ts';
import type { Operations } from '../../_shared/openapi/operation.ts';
import { ApiKeyCreateRequest, ApiKeyCreateResponse, ApiKeyListResponse, ApiKeyUpdateRequest, CyclesKey } from '../schemas/api-keys.ts';
import { KEY_STATUSES } from '../schemas/common.ts';
import { answer, choice, EVERYWHERE, page, search, sorting, words } from './shared.ts';

const path = { key_id: 'The id of the key; not its value.' };

/** The operations of tenants' keys. Source: Cycles governance, paths below `/v1/admin/api-keys`. */
export const API_KEY_OPERATIONS: Operations = {
  'POST /v1/admin/api-keys': {
    id: 'createApiKey',
    summary: 'Add a key of a tenant',
    description: 'The answer holds the value of the key. It is told this once.',
    body: { schema: ApiKeyCreateRequest },
    answers: { 201: answer('The new key.', ApiKeyCreateResponse) },
    errors: [...EVERYWHERE, 409],
  },
  'GET /v1/admin/api-keys': {
    id: 'listApiKeys',
    summary: "List tenants' keys",
    query: {
      tenant_id: words('Only those of this tenant.'),
      status: choice('Only those in this state.', KEY_STATUSES),
      search,
      ...sorting(['key_id', 'name', 'tenant_id', 'status', 'created_at', 'expires_at'], 'created_at'),
      ...page,
    },
    answers: { 200: answer('A page of keys.', ApiKeyListResponse) },
    errors: EVERYWHERE,
  },
  'PATCH /v1/admin/api-keys/:key_id': {
    id: 'updateApiKey',
    summary: 'Change a key of a tenant',
    path,
    body: { schema: ApiKeyUpdateRequest },
    answers: { 200: answer('The key as it is now.', CyclesKey) },
    errors: [...EVERYWHERE, 404, 409],
  },
  'DELETE /v1/admin/api-keys/:key_id': {
    id: 'revokeApiKey',
    summary: 'Revoke a key of a tenant',
    path,
    query: { reason: { description: 'Why.', schema: text({ max: 512 }) } },
    answers: { 200: answer('The key as it is now.', CyclesKey) },
    errors: [...EVERYWHERE, 404, 409],
  },
};
