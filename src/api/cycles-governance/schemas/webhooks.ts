import Type, { type Static } from 'typebox';
import {
  closed,
  Count,
  Flag,
  listOf,
  Metadata,
  Moment,
  number,
  oneOf,
  patterned,
  text,
  textMap,
  Texts,
  whole,
} from '../../_shared/cycles-fields.ts';
import { TraceId } from '../../_shared/cycles-schemas.ts';
import { EventCategoryName, EventTypeName, pageEnd, WEBHOOK_STATUSES } from './common.ts';

const Types = listOf(EventTypeName, 'a list of types of events');
const Categories = Type.Optional(listOf(EventCategoryName, 'a list of categories of events'));
// Which addresses may be called is for the code that calls them to say, with an error of its own.
const Url = Type.String({ rule: 'an address of at most 2048 characters', maxLength: 2048, documentWith: { format: 'uri' } });
const Seconds = Type.Optional(whole(60, 86_400));

/** From when on rates and shares make an event. Source: Cycles governance, `WebhookThresholdConfig`. */
const WebhookThresholdConfig = closed(
  {
    budget_utilization: Type.Optional(listOf(number(0, 1), 'a list of numbers from 0 to 1')),
    burn_rate_multiplier: Type.Optional(Type.Number({ rule: 'a number that is at least 1.5', format: 'double', minimum: 1.5 })),
    burn_rate_window_seconds: Seconds,
    denial_rate_threshold: Type.Optional(number(0, 1)),
    expiry_rate_threshold: Type.Optional(number(0, 1)),
    auth_failure_rate_threshold: Type.Optional(number(0, 1)),
    rate_window_seconds: Seconds,
  },
  'WebhookThresholdConfig',
);
type WebhookThresholdConfig = Static<typeof WebhookThresholdConfig>;

/** How often a delivery is tried again, and after how long. Source: Cycles governance, `WebhookRetryPolicy`. */
const WebhookRetryPolicy = closed(
  {
    max_retries: Type.Optional(whole(0, 10)),
    initial_delay_ms: Type.Optional(whole(100, 60_000)),
    backoff_multiplier: Type.Optional(number(1, 10)),
    max_delay_ms: Type.Optional(whole(1000, 3_600_000)),
  },
  'WebhookRetryPolicy',
);
type WebhookRetryPolicy = Static<typeof WebhookRetryPolicy>;

const settings = {
  name: Type.Optional(text({ max: 256 })),
  description: Type.Optional(text({ max: 1024 })),
  event_categories: Categories,
  scope_filter: Type.Optional(text()),
  thresholds: Type.Optional(WebhookThresholdConfig),
  headers: Type.Optional(textMap()),
  retry_policy: Type.Optional(WebhookRetryPolicy),
  disable_after_failures: Type.Optional(whole(1)),
  metadata: Type.Optional(Metadata),
};

/** A webhook subscription, in answers: never its secret, and the values of its headers masked. Source: Cycles governance, `WebhookSubscription`. */
export const WebhookSubscription = closed(
  {
    subscription_id: Type.String(),
    tenant_id: Type.String(),
    url: Url,
    event_types: Types,
    ...settings,
    status: oneOf(WEBHOOK_STATUSES),
    consecutive_failures: Type.Optional(Count),
    created_at: Moment,
    updated_at: Type.Optional(Moment),
    last_triggered_at: Type.Optional(Moment),
    last_success_at: Type.Optional(Moment),
    last_failure_at: Type.Optional(Moment),
  },
  'WebhookSubscription',
);
export type WebhookSubscription = Static<typeof WebhookSubscription>;

const Secret = Type.Optional(Type.String({ rule: 'a string that is not empty', minLength: 1 }));

/** Body of `POST /v1/admin/webhooks` and `POST /v1/webhooks`. Source: Cycles governance, `WebhookCreateRequest`. */
export const WebhookCreateRequest = closed(
  {
    url: Url,
    event_types: listOf(EventTypeName, 'a list of at least one type of events', { minItems: 1 }),
    ...settings,
    signing_secret: Secret,
  },
  'WebhookCreateRequest',
);
export type WebhookCreateRequest = Static<typeof WebhookCreateRequest>;

/** Body of `PATCH /v1/admin/webhooks/{id}` and `PATCH /v1/webhooks/{id}`. Source: Cycles governance, `WebhookUpdateRequest`. */
export const WebhookUpdateRequest = closed(
  {
    url: Type.Optional(Url),
    event_types: Type.Optional(Types),
    ...settings,
    signing_secret: Secret,
    status: Type.Optional(oneOf(['ACTIVE', 'PAUSED'])),
  },
  'WebhookUpdateRequest',
);
export type WebhookUpdateRequest = Static<typeof WebhookUpdateRequest>;

/** Answer of a creation: the one that holds the secret. Source: Cycles governance, `WebhookCreateResponse`. */
export const WebhookCreateResponse = closed(
  { subscription: WebhookSubscription, signing_secret: Type.Optional(Type.String()) },
  'WebhookCreateResponse',
);
export type WebhookCreateResponse = Static<typeof WebhookCreateResponse>;

/** Answer of a list of subscriptions. Source: Cycles governance, `WebhookListResponse`. */
export const WebhookListResponse = closed({ subscriptions: Type.Array(WebhookSubscription), ...pageEnd }, 'WebhookListResponse');

/** The states of a delivery. Source: Cycles governance, `WebhookDelivery.status`. */
export const DELIVERY_STATUSES = ['PENDING', 'SUCCESS', 'FAILED', 'RETRYING'] as const;

/** One delivery of an event. Source: Cycles governance, `WebhookDelivery`. */
const WebhookDelivery = closed(
  {
    delivery_id: Type.String(),
    subscription_id: Type.String(),
    event_id: Type.String(),
    event_type: Type.Optional(EventTypeName),
    status: oneOf(DELIVERY_STATUSES),
    attempted_at: Moment,
    completed_at: Type.Optional(Moment),
    attempts: Type.Optional(Count),
    response_status: Type.Optional(Count),
    response_time_ms: Type.Optional(Count),
    error_message: Type.Optional(Type.String()),
    next_retry_at: Type.Optional(Moment),
    trace_id: Type.Optional(TraceId),
    trace_flags: Type.Optional(patterned('^[0-9a-f]{2}$', 'two hexadecimal digits in lower case')),
    traceparent_inbound_valid: Type.Optional(Flag),
  },
  'WebhookDelivery',
);
type WebhookDelivery = Static<typeof WebhookDelivery>;

/** Answer of a list of deliveries. Source: Cycles governance, `WebhookDeliveryListResponse`. */
export const WebhookDeliveryListResponse = closed({ deliveries: Type.Array(WebhookDelivery), ...pageEnd }, 'WebhookDeliveryListResponse');

/** Answer of a test of a subscription. Source: Cycles governance, `WebhookTestResponse`. */
export const WebhookTestResponse = closed(
  {
    success: Flag,
    response_status: Type.Optional(Count),
    response_time_ms: Type.Optional(Count),
    error_message: Type.Optional(Type.String()),
    event_id: Type.Optional(Type.String()),
  },
  'WebhookTestResponse',
);
export type WebhookTestResponse = Static<typeof WebhookTestResponse>;

/** Which addresses webhooks may call: body and answer of `/v1/admin/config/webhook-security`. Source: Cycles governance, `WebhookSecurityConfig`. */
export const WebhookSecurityConfig = closed(
  {
    blocked_cidr_ranges: Type.Optional(Texts),
    allowed_url_patterns: Type.Optional(Texts),
    allow_http: Type.Optional(Flag),
  },
  'WebhookSecurityConfig',
);
export type WebhookSecurityConfig = Static<typeof WebhookSecurityConfig>;

/** Body of `POST /v1/admin/webhooks/{id}/replay`. Source: Cycles governance, `replayEvents`. */
export const ReplayRequest = closed(
  {
    from: Type.Optional(Moment),
    to: Type.Optional(Moment),
    event_types: Type.Optional(Types),
    max_events: Type.Optional(whole(1, 1000)),
  },
  'ReplayRequest',
);
export type ReplayRequest = Static<typeof ReplayRequest>;

/** Answer of a replay. Source: Cycles governance, `replayEvents`. */
export const ReplayResponse = closed(
  { replay_id: Type.String(), events_queued: Count, estimated_completion_seconds: Type.Optional(Count) },
  'ReplayResponse',
);
