import Type, { type TSchema } from 'typebox';
import type { EventType } from '../../../core/cycles/event-types.ts';
import { closed, Count, Flag, Metadata, Moment, oneOf, Ratio, SignedInt64, text } from '../../_shared/cycles-fields.ts';
import { CommitOveragePolicy, Unit } from '../../_shared/cycles-schemas.ts';
import { KEY_STATUSES, PermissionName, TENANT_STATUSES, WEBHOOK_STATUSES } from './common.ts';

const OptionalText = Type.Optional(Type.String());
const OptionalInt64 = Type.Optional(SignedInt64);
const OptionalRatio = Type.Optional(Ratio);
const OptionalCount = Type.Optional(Count);
const Names = Type.Optional(Type.Array(Type.String()));

const budget = { scope: OptionalText, unit: Type.Optional(Unit) };

const BudgetState = closed({
  allocated: OptionalInt64,
  remaining: OptionalInt64,
  debt: OptionalInt64,
  spent: OptionalInt64,
  reserved: OptionalInt64,
  status: OptionalText,
});

/** What was done to a budget. `changed_fields` is ours: an update says what it changed. */
const EventDataBudgetLifecycle = closed(
  {
    ledger_id: OptionalText,
    ...budget,
    operation: Type.Optional(oneOf(['CREDIT', 'DEBIT', 'RESET', 'RESET_SPENT', 'REPAY_DEBT', 'STATUS_CHANGE', 'CREATE', 'UPDATE'])),
    previous_state: Type.Optional(BudgetState),
    new_state: Type.Optional(BudgetState),
    spent_override_provided: Type.Optional(Flag),
    changed_fields: Names,
    reason: OptionalText,
  },
  'EventDataBudgetLifecycle',
);

const EventDataBudgetThreshold = closed(
  {
    ...budget,
    threshold: OptionalRatio,
    utilization: OptionalRatio,
    allocated: OptionalInt64,
    remaining: OptionalInt64,
    spent: OptionalInt64,
    reserved: OptionalInt64,
    direction: Type.Optional(oneOf(['rising', 'falling'])),
  },
  'EventDataBudgetThreshold',
);

const EventDataBudgetOverLimit = closed(
  {
    ...budget,
    debt: OptionalInt64,
    overdraft_limit: OptionalInt64,
    is_over_limit: Type.Optional(Flag),
    debt_utilization: OptionalRatio,
  },
  'EventDataBudgetOverLimit',
);

const EventDataBudgetDebtIncurred = closed(
  {
    ...budget,
    reservation_id: OptionalText,
    debt_incurred: OptionalInt64,
    total_debt: OptionalInt64,
    overdraft_limit: OptionalInt64,
    overage_policy: Type.Optional(CommitOveragePolicy),
  },
  'EventDataBudgetDebtIncurred',
);

const EventDataBurnRateAnomaly = closed(
  {
    ...budget,
    current_rate: OptionalRatio,
    baseline_rate: OptionalRatio,
    multiplier: OptionalRatio,
    window_seconds: OptionalCount,
    projected_exhaustion_minutes: OptionalRatio,
  },
  'EventDataBurnRateAnomaly',
);

/** `count` is ours: how many denials of one kind one event tells of, where they came too fast for one each. */
const EventDataReservationDenied = closed(
  {
    ...budget,
    reason_code: Type.Optional(text({ max: 128 })),
    requested_amount: OptionalInt64,
    remaining: OptionalInt64,
    action: Type.Optional(Metadata),
    subject: Type.Optional(Metadata),
    policy_id: Type.Optional(text({ max: 256 })),
    deny_detail: Type.Optional(Metadata),
    count: OptionalCount,
  },
  'EventDataReservationDenied',
);

const EventDataReservationExpired = closed(
  {
    reservation_id: OptionalText,
    ...budget,
    estimated_amount: OptionalInt64,
    created_at: Type.Optional(Moment),
    expired_at: Type.Optional(Moment),
    ttl_ms: OptionalCount,
    extensions_used: OptionalCount,
  },
  'EventDataReservationExpired',
);

const EventDataRateSpike = closed(
  {
    metric: Type.Optional(oneOf(['denial_rate', 'expiry_rate', 'auth_failure_rate'])),
    current_rate: OptionalRatio,
    threshold_rate: OptionalRatio,
    window_seconds: OptionalCount,
    sample_count: OptionalCount,
  },
  'EventDataRateSpike',
);

const EventDataCommitOverage = closed(
  {
    reservation_id: OptionalText,
    ...budget,
    estimated_amount: OptionalInt64,
    actual_amount: OptionalInt64,
    overage: OptionalInt64,
    overage_policy: Type.Optional(CommitOveragePolicy),
    debt_incurred: OptionalInt64,
  },
  'EventDataCommitOverage',
);

const TenantStatus = Type.Optional(oneOf(TENANT_STATUSES));

const EventDataTenantLifecycle = closed(
  { tenant_id: OptionalText, previous_status: TenantStatus, new_status: TenantStatus, changed_fields: Names },
  'EventDataTenantLifecycle',
);

const WebhookStatus = Type.Optional(oneOf(WEBHOOK_STATUSES));

const EventDataWebhookLifecycle = closed(
  {
    subscription_id: OptionalText,
    tenant_id: OptionalText,
    previous_status: WebhookStatus,
    new_status: WebhookStatus,
    changed_fields: Names,
    disable_reason: OptionalText,
  },
  'EventDataWebhookLifecycle',
);

const KeyStatus = Type.Optional(oneOf(KEY_STATUSES));

/** `count` is ours: how many failures of one source one event tells of, where they came too fast for one each. */
const EventDataApiKey = closed(
  {
    key_id: OptionalText,
    key_name: OptionalText,
    previous_status: KeyStatus,
    new_status: KeyStatus,
    permissions: Type.Optional(Type.Array(PermissionName)),
    failure_reason: OptionalText,
    source_ip: OptionalText,
    count: OptionalCount,
  },
  'EventDataApiKey',
);

const EventDataPolicy = closed(
  { policy_id: OptionalText, name: OptionalText, scope_pattern: OptionalText, changed_fields: Names },
  'EventDataPolicy',
);

const EventDataSystem = closed(
  {
    component: OptionalText,
    message: OptionalText,
    severity: Type.Optional(oneOf(['info', 'warning', 'critical'])),
    details: Type.Optional(Metadata),
  },
  'EventDataSystem',
);

const EventDataTenantCascade = closed(
  {
    ledger_id: OptionalText,
    subscription_id: OptionalText,
    key_id: OptionalText,
    name: OptionalText,
    ...budget,
    prior_status: OptionalText,
    new_status: OptionalText,
    released_amount: OptionalInt64,
    cascade_reason: OptionalText,
  },
  'EventDataTenantCascade',
);

/** What the `data` of each registered type of events holds. Source: Cycles governance, the `EventData` schemas. */
export const EVENT_DATA: Readonly<Record<EventType, TSchema>> = {
  'budget.created': EventDataBudgetLifecycle,
  'budget.updated': EventDataBudgetLifecycle,
  'budget.funded': EventDataBudgetLifecycle,
  'budget.debited': EventDataBudgetLifecycle,
  'budget.reset': EventDataBudgetLifecycle,
  'budget.reset_spent': EventDataBudgetLifecycle,
  'budget.debt_repaid': EventDataBudgetLifecycle,
  'budget.frozen': EventDataBudgetLifecycle,
  'budget.unfrozen': EventDataBudgetLifecycle,
  'budget.closed': EventDataBudgetLifecycle,
  'budget.closed_via_tenant_cascade': EventDataTenantCascade,
  'budget.threshold_crossed': EventDataBudgetThreshold,
  'budget.exhausted': EventDataBudgetThreshold,
  'budget.over_limit_entered': EventDataBudgetOverLimit,
  'budget.over_limit_exited': EventDataBudgetOverLimit,
  'budget.debt_incurred': EventDataBudgetDebtIncurred,
  'budget.burn_rate_anomaly': EventDataBurnRateAnomaly,
  'reservation.denied': EventDataReservationDenied,
  'reservation.denial_rate_spike': EventDataRateSpike,
  'reservation.expired': EventDataReservationExpired,
  'reservation.expiry_rate_spike': EventDataRateSpike,
  'reservation.commit_overage': EventDataCommitOverage,
  'reservation.released_via_tenant_cascade': EventDataTenantCascade,
  'tenant.created': EventDataTenantLifecycle,
  'tenant.updated': EventDataTenantLifecycle,
  'tenant.suspended': EventDataTenantLifecycle,
  'tenant.reactivated': EventDataTenantLifecycle,
  'tenant.closed': EventDataTenantLifecycle,
  'tenant.settings_changed': EventDataTenantLifecycle,
  'webhook.created': EventDataWebhookLifecycle,
  'webhook.updated': EventDataWebhookLifecycle,
  'webhook.paused': EventDataWebhookLifecycle,
  'webhook.resumed': EventDataWebhookLifecycle,
  'webhook.disabled': EventDataWebhookLifecycle,
  'webhook.deleted': EventDataWebhookLifecycle,
  'webhook.disabled_via_tenant_cascade': EventDataTenantCascade,
  'api_key.created': EventDataApiKey,
  'api_key.revoked': EventDataApiKey,
  'api_key.revoked_via_tenant_cascade': EventDataTenantCascade,
  'api_key.expired': EventDataApiKey,
  'api_key.permissions_changed': EventDataApiKey,
  'api_key.auth_failed': EventDataApiKey,
  'api_key.auth_failure_rate_spike': EventDataRateSpike,
  'policy.created': EventDataPolicy,
  'policy.updated': EventDataPolicy,
  'policy.deleted': EventDataPolicy,
  'system.store_connection_lost': EventDataSystem,
  'system.store_connection_restored': EventDataSystem,
  'system.high_latency': EventDataSystem,
  'system.webhook_delivery_failed': EventDataSystem,
  'system.webhook_test': EventDataSystem,
};
