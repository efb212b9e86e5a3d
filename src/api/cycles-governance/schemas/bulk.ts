import Type, { type Static, type TProperties } from 'typebox';
import { closed, Flag, number, oneOf, text, whole } from '../../_shared/cycles-fields.ts';
import { Amount, Unit } from '../../_shared/cycles-schemas.ts';
import { BUDGET_STATUSES, EventTypeName, FUNDING_OPERATIONS, TENANT_STATUSES, WEBHOOK_STATUSES } from './common.ts';

const Search = Type.Optional(text({ max: 128 }));

/** A filter that names something: an empty one would be everything. */
const filterOf = <P extends TProperties>(properties: P, title: string) =>
  Type.Object(properties, {
    additionalProperties: false,
    minProperties: 1,
    title,
    rule: `an object with at least one of ${Object.keys(properties).join(', ')}`,
  });

const request = {
  expected_count: Type.Optional(whole(0)),
  idempotency_key: text({ min: 1, max: 128 }),
};

const Row = closed(
  {
    id: Type.String(),
    error_code: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
    reason: Type.Optional(Type.String()),
  },
  'BulkActionRowOutcome',
);

/** What became of the rows of a bulk action. Source: Cycles governance, `TenantBulkActionResponse` and its like. */
const answerOf = <const A extends readonly string[]>(actions: A, title: string) =>
  closed(
    {
      action: oneOf(actions),
      total_matched: whole(0),
      succeeded: Type.Array(Row),
      failed: Type.Array(Row),
      skipped: Type.Array(Row),
      idempotency_key: Type.String(),
    },
    title,
  );

/** What can be done to many tenants. Source: Cycles governance, `TenantBulkActionRequest`. */
const TENANT_BULK_ACTIONS = ['SUSPEND', 'REACTIVATE', 'CLOSE'] as const;

/** Body of `POST /v1/admin/tenants/bulk-action`. Source: Cycles governance, `TenantBulkActionRequest`. */
export const TenantBulkActionRequest = closed(
  {
    filter: filterOf(
      {
        status: Type.Optional(oneOf(TENANT_STATUSES)),
        parent_tenant_id: Type.Optional(text()),
        search: Search,
      },
      'TenantBulkFilter',
    ),
    action: oneOf(TENANT_BULK_ACTIONS),
    ...request,
  },
  'TenantBulkActionRequest',
);
export type TenantBulkActionRequest = Static<typeof TenantBulkActionRequest>;

/** Answer of `POST /v1/admin/tenants/bulk-action`. Source: Cycles governance, `TenantBulkActionResponse`. */
export const TenantBulkActionResponse = answerOf(TENANT_BULK_ACTIONS, 'TenantBulkActionResponse');

/** What can be done to many subscriptions. Source: Cycles governance, `WebhookBulkActionRequest`. */
const WEBHOOK_BULK_ACTIONS = ['PAUSE', 'RESUME', 'DELETE'] as const;

/** Body of `POST /v1/admin/webhooks/bulk-action`. Source: Cycles governance, `WebhookBulkActionRequest`. */
export const WebhookBulkActionRequest = closed(
  {
    filter: filterOf(
      {
        tenant_id: Type.Optional(text()),
        status: Type.Optional(oneOf(WEBHOOK_STATUSES)),
        event_type: Type.Optional(EventTypeName),
        search: Search,
      },
      'WebhookBulkFilter',
    ),
    action: oneOf(WEBHOOK_BULK_ACTIONS),
    ...request,
  },
  'WebhookBulkActionRequest',
);
export type WebhookBulkActionRequest = Static<typeof WebhookBulkActionRequest>;

/** Answer of `POST /v1/admin/webhooks/bulk-action`. Source: Cycles governance, `WebhookBulkActionResponse`. */
export const WebhookBulkActionResponse = answerOf(WEBHOOK_BULK_ACTIONS, 'WebhookBulkActionResponse');

const Share = Type.Optional(number(0, 1));

/** Body of `POST /v1/admin/budgets/bulk-action`: a funding of every budget that the filter finds. Source: Cycles governance, `BudgetBulkActionRequest`. */
export const BudgetBulkActionRequest = closed(
  {
    filter: filterOf(
      {
        tenant_id: text(),
        scope_prefix: Type.Optional(text()),
        unit: Type.Optional(Unit),
        status: Type.Optional(oneOf(BUDGET_STATUSES)),
        over_limit: Type.Optional(Flag),
        has_debt: Type.Optional(Flag),
        utilization_min: Share,
        utilization_max: Share,
        search: Search,
      },
      'BudgetBulkFilter',
    ),
    action: oneOf(FUNDING_OPERATIONS),
    amount: Type.Optional(Amount),
    spent: Type.Optional(Amount),
    reason: Type.Optional(text({ max: 512 })),
    ...request,
  },
  'BudgetBulkActionRequest',
);
export type BudgetBulkActionRequest = Static<typeof BudgetBulkActionRequest>;

/** Answer of `POST /v1/admin/budgets/bulk-action`. Source: Cycles governance, `BudgetBulkActionResponse`. */
export const BudgetBulkActionResponse = answerOf(FUNDING_OPERATIONS, 'BudgetBulkActionResponse');
