import Type from 'typebox';
import { PERMISSIONS, GUIDE_PERMISSIONS } from '../../../core/cycles/permissions.ts';
import { EVENT_CATEGORIES, EVENT_TYPES } from '../../../core/cycles/event-types.ts';
import { Flag, oneOf, UnsignedInt64 } from '../../_shared/cycles-fields.ts';
import { Amount, errorOf } from '../../_shared/cycles-schemas.ts';

/** The closed set of error codes of the governance plane. Source: Cycles governance, `ErrorCode`. */
const GOVERNANCE_ERROR_CODES = [
  'INVALID_REQUEST',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BUDGET_EXCEEDED',
  'RESERVATION_EXPIRED',
  'RESERVATION_FINALIZED',
  'IDEMPOTENCY_MISMATCH',
  'UNIT_MISMATCH',
  'OVERDRAFT_LIMIT_EXCEEDED',
  'DEBT_OUTSTANDING',
  'INTERNAL_ERROR',
  'TENANT_NOT_FOUND',
  'TENANT_SUSPENDED',
  'TENANT_CLOSED',
  'BUDGET_NOT_FOUND',
  'BUDGET_FROZEN',
  'POLICY_VIOLATION',
  'INSUFFICIENT_PERMISSIONS',
  'KEY_REVOKED',
  'KEY_EXPIRED',
  'DUPLICATE_RESOURCE',
  'BUDGET_CLOSED',
  'WEBHOOK_NOT_FOUND',
  'WEBHOOK_URL_INVALID',
  'EVENT_NOT_FOUND',
  'REPLAY_IN_PROGRESS',
  'COUNT_MISMATCH',
  'LIMIT_EXCEEDED',
] as const;

/** The body of every error of the governance plane. Source: Cycles governance, `ErrorResponse`. */
export const GovernanceError = errorOf(GOVERNANCE_ERROR_CODES, 'GovernanceError');

/** What the answer of a list says of the page that follows. */
export const pageEnd = { next_cursor: Type.Optional(Type.String()), has_more: Flag };

/** An amount, or its bare number in the unit of the budget that the request names, as the admin guide writes it. */
export const LooseAmount = Type.Union([Amount, UnsignedInt64], {
  rule: 'an object with unit and amount, or a whole number from 0 to 9223372036854775807',
});

/** What a key may be allowed, those of the admin guide included. Source: Cycles governance, `Permission`. */
export const PermissionName = oneOf([...PERMISSIONS, ...GUIDE_PERMISSIONS] as const);

/** A registered type of events. Source: Cycles governance, `EventType`. */
export const EventTypeName = oneOf(EVENT_TYPES);

/** A category of events. Source: Cycles governance, `EventCategory`. */
export const EventCategoryName = oneOf(EVENT_CATEGORIES);

/** The states of a tenant. Source: Cycles governance, `Tenant.status`. */
export const TENANT_STATUSES = ['ACTIVE', 'SUSPENDED', 'CLOSED'] as const;

/** The states of a budget. Source: Cycles governance, `BudgetLedger.status`. */
export const BUDGET_STATUSES = ['ACTIVE', 'FROZEN', 'CLOSED'] as const;

/** The states of a tenant's key. Source: Cycles governance, `ApiKey.status`. */
export const KEY_STATUSES = ['ACTIVE', 'REVOKED', 'EXPIRED'] as const;

/** The states of a webhook subscription. Source: Cycles governance, `WebhookSubscription.status`. */
export const WEBHOOK_STATUSES = ['ACTIVE', 'PAUSED', 'DISABLED'] as const;

/** What a funding does to a budget. Source: Cycles governance, `BudgetFundingRequest.operation`. */
export const FUNDING_OPERATIONS = ['CREDIT', 'DEBIT', 'RESET', 'REPAY_DEBT', 'RESET_SPENT'] as const;
