import Type from 'typebox';
import type { DocumentedSurface, Operation, Operations } from '../api/_shared/openapi/operation.ts';
import { GOVERNANCE_BALANCES } from '../api/cycles-governance/operations/budgets.ts';
import { BalanceListResponse } from '../api/cycles-governance/schemas/budgets.ts';
import { TENANT_EVENTS } from '../api/cycles-governance/operations/events.ts';
import { GovernanceError } from '../api/cycles-governance/schemas/common.ts';
import { RUNTIME_SURFACE } from '../api/cycles-runtime/documented-surface.ts';
import { RUNTIME_BALANCES } from '../api/cycles-runtime/operations.ts';
import { BalanceResponse } from '../api/cycles-runtime/reservation-schemas.ts';
import { RuntimeError } from '../api/cycles-runtime/schemas.ts';

const eitherError = (description: string) => ({ description, schema: Type.Union([RuntimeError, GovernanceError]) });

/** Both planes have this operation: who names a level of a subject, or asks on the data plane, gets the runtime's answer. */
const BALANCES: Operation = {
  ...RUNTIME_BALANCES,
  description: `${RUNTIME_BALANCES.description} On the control plane, whoever names none gets the budgets of the key's tenant, whole.`,
  query: { ...GOVERNANCE_BALANCES.query, ...RUNTIME_BALANCES.query },
  answers: {
    200: { description: 'A page of balances, or of budgets.', schema: Type.Union([BalanceResponse, BalanceListResponse]) },
    400: eitherError('The request breaks a rule; the message names the field and the rule.'),
    401: eitherError('No credential, or one that nobody has.'),
    403: eitherError('The credential is good but may not do this.'),
  },
};

const operations: Operations = { ...RUNTIME_SURFACE.operations, 'GET /v1/balances': BALANCES, 'GET /v1/events': TENANT_EVENTS };

/** The runtime plane with the paths that the governance plane has as well. */
export const SHARED_RUNTIME_SURFACE: DocumentedSurface = { ...RUNTIME_SURFACE, operations };
