import type { Operations } from '../../_shared/openapi/operation.ts';
import { Policy, POLICY_STATUSES, PolicyCreateRequest, PolicyListResponse, PolicyUpdateRequest } from '../schemas/policies.ts';
import { answer, choice, EITHER, EVERYWHERE, page, words } from './shared.ts';

/** The operations of policies. Source: Cycles governance, paths below `/v1/admin/policies`. */
export const POLICY_OPERATIONS: Operations = {
  'POST /v1/admin/policies': {
    id: 'createPolicy',
    summary: 'Add a policy',
    description: "The operator names the tenant; a tenant's key must not.",
    body: { schema: PolicyCreateRequest },
    answers: { 201: answer('The new policy.', Policy) },
    errors: [...EVERYWHERE, 404, 409],
    security: EITHER,
  },
  'GET /v1/admin/policies': {
    id: 'listPolicies',
    summary: 'List policies',
    query: {
      tenant_id: words('Only those of this tenant.'),
      scope_pattern: words('Only those with exactly this pattern.'),
      status: choice('Only those in this state.', POLICY_STATUSES),
      ...page,
    },
    answers: { 200: answer('A page of policies.', PolicyListResponse) },
    errors: EVERYWHERE,
    security: EITHER,
  },
  'PATCH /v1/admin/policies/:policy_id': {
    id: 'updatePolicy',
    summary: 'Change a policy',
    path: { policy_id: 'The id of the policy.' },
    body: { schema: PolicyUpdateRequest },
    answers: { 200: answer('The policy as it is now.', Policy) },
    errors: [...EVERYWHERE, 404, 409],
    security: EITHER,
  },
};
