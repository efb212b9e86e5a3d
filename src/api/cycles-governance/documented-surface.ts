import { errorCodes } from '../_shared/openapi/error-codes.ts';
import type { DocumentedSurface } from '../_shared/openapi/operation.ts';
import { governanceForm } from './errors.ts';
import { API_KEY_OPERATIONS } from './operations/api-keys.ts';
import { AUDIT_OPERATIONS } from './operations/audit.ts';
import { AUTH_OPERATIONS } from './operations/auth.ts';
import { BUDGET_OPERATIONS } from './operations/budgets.ts';
import { ADMIN_EVENT_OPERATIONS } from './operations/events.ts';
import { EXTENSION_OPERATIONS } from './operations/extensions.ts';
import { OVERVIEW_OPERATIONS } from './operations/overview.ts';
import { POLICY_OPERATIONS } from './operations/policies.ts';
import { TENANT_OPERATIONS } from './operations/tenants.ts';
import { WEBHOOK_OPERATIONS } from './operations/webhooks.ts';
import { GovernanceError } from './schemas/common.ts';
import { GOVERNANCE_PREFIXES } from './surface.ts';

/** Paths that the runtime plane has as well, which tells of them. */
const SHARED_PREFIXES: ReadonlySet<string> = new Set(['/v1/balances', '/v1/events']);

/** The governance plane of the Cycles protocol as the API's document tells of it, and what the operator may do beyond it. */
export const GOVERNANCE_SURFACE: DocumentedSurface = {
  id: 'cycles-governance',
  title: 'Cycles governance',
  description:
    'Tenants, their keys, budgets and policies, events and who is told of them, and the trail of what was done, for the operator and for tenants themselves.',
  idPrefix: 'cycles',
  prefixes: [
    ...GOVERNANCE_PREFIXES.filter((prefix) => !SHARED_PREFIXES.has(prefix)),
    '/v1/x-castellan/budgets',
    '/v1/x-castellan/policies',
  ],
  operations: {
    ...TENANT_OPERATIONS,
    ...API_KEY_OPERATIONS,
    ...AUTH_OPERATIONS,
    ...BUDGET_OPERATIONS,
    ...POLICY_OPERATIONS,
    ...AUDIT_OPERATIONS,
    ...OVERVIEW_OPERATIONS,
    ...WEBHOOK_OPERATIONS,
    ...ADMIN_EVENT_OPERATIONS,
    ...EXTENSION_OPERATIONS,
  },
  security: ['operatorKey'],
  errors: {
    form: GovernanceError,
    always: [400, 401, 403, 421, 500, 503],
    codes: errorCodes((code) => {
      const { status, body } = governanceForm({ code, message: '' }, '');
      return { status, code: (body as { readonly error: string }).error };
    }),
  },
};
