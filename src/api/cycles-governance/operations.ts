import type { Operations } from '../_shared/openapi/operation.ts';
import { API_KEY_OPERATIONS } from './operations/api-keys.ts';
import { AUDIT_OPERATIONS } from './operations/audit.ts';
import { AUTH_OPERATIONS } from './operations/auth.ts';
import { BUDGET_OPERATIONS, GOVERNANCE_BALANCE_OPERATIONS } from './operations/budgets.ts';
import { EVENT_OPERATIONS } from './operations/events.ts';
import { EXTENSION_OPERATIONS } from './operations/extensions.ts';
import { OVERVIEW_OPERATIONS } from './operations/overview.ts';
import { POLICY_OPERATIONS } from './operations/policies.ts';
import { TENANT_OPERATIONS } from './operations/tenants.ts';
import { WEBHOOK_OPERATIONS } from './operations/webhooks.ts';

/** The operations of the Cycles governance plane, as its document and its tests know them. Source: Cycles governance, paths. */
export const GOVERNANCE_OPERATIONS: Operations = {
  ...TENANT_OPERATIONS,
  ...BUDGET_OPERATIONS,
  ...POLICY_OPERATIONS,
  ...API_KEY_OPERATIONS,
  ...AUTH_OPERATIONS,
  ...AUDIT_OPERATIONS,
  ...OVERVIEW_OPERATIONS,
  ...WEBHOOK_OPERATIONS,
  ...EVENT_OPERATIONS,
  ...GOVERNANCE_BALANCE_OPERATIONS,
  ...EXTENSION_OPERATIONS,
};
