import type { Operations } from '../../_shared/openapi/operation.ts';
import { AdminOverviewResponse } from '../schemas/overview.ts';
import { answer, EVERYWHERE } from './shared.ts';

/** The overview of everything. Source: Cycles governance, `getAdminOverview`. */
export const OVERVIEW_OPERATIONS: Operations = {
  'GET /v1/admin/overview': {
    id: 'getAdminOverview',
    summary: 'Show how tenants, budgets and webhooks do',
    answers: { 200: answer('The overview.', AdminOverviewResponse) },
    errors: EVERYWHERE,
  },
};
