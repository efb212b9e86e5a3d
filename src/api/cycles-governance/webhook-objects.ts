import type { ProbeResult } from '../../app/webhooks/probe-webhook.ts';
import type { GivenWebhook, WebhookView } from '../../app/webhooks/manage-webhooks.ts';
import { packMetadata } from '../../core/access/rules.ts';
import { isEventType } from '../../core/cycles/event-types.ts';
import { parseJson } from '../../core/json/int64.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import { formatRfc3339 } from '../../core/rfc3339.ts';
import { DEFAULT_WEBHOOK_SECURITY, type WebhookSecurity } from '../../core/webhooks/webhook-security.ts';
import { wireTenantId } from '../../core/webhooks/webhook-rules.ts';
import type { Delivery } from '../../ports/webhook-store.ts';
import { present } from './objects.ts';
import type { WebhookSecurityConfig, WebhookUpdateRequest } from './schemas/webhooks.ts';

/** What stands in the place of a header's value. Source: Cycles governance, `WebhookSubscription.headers`. */
const MASK = '********';

const timeOf = (ms: number | null): string | undefined => (ms === null ? undefined : formatRfc3339(ms));

/** A value that was kept as it came; undefined where it is an empty object, as where nothing was given. */
function given(value: PlainJson): unknown {
  if (typeof value === 'string') return parseJson(value);
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0 ? value : undefined;
}

/** A subscription as the wire has it: never its secret, and the values of its headers masked. */
export const subscriptionBody = ({ webhook, failures, ...health }: WebhookView) =>
  present({
    subscription_id: webhook.id,
    tenant_id: wireTenantId(webhook.tenantId),
    name: webhook.name ?? undefined,
    description: webhook.description ?? undefined,
    url: webhook.url,
    event_types: webhook.eventTypes,
    event_categories: webhook.eventCategories.length === 0 ? undefined : webhook.eventCategories,
    scope_filter: webhook.scopeFilter ?? undefined,
    thresholds: given(webhook.thresholds),
    headers: webhook.headerNames.length === 0 ? undefined : Object.fromEntries(webhook.headerNames.map((name) => [name, MASK])),
    status: webhook.status,
    retry_policy: given(webhook.retryPolicy),
    disable_after_failures: webhook.disableAfterFailures,
    consecutive_failures: failures,
    created_at: formatRfc3339(webhook.createdAtMs),
    updated_at: formatRfc3339(webhook.updatedAtMs),
    last_triggered_at: timeOf(health.lastTriggeredAtMs),
    last_success_at: timeOf(health.lastSuccessAtMs),
    last_failure_at: timeOf(health.lastFailureAtMs),
    metadata: given(webhook.metadata),
  });

/** A delivery as the wire has it. One that nobody has tried yet shows when it was made. */
export const deliveryBody = (delivery: Delivery) =>
  present({
    delivery_id: delivery.id,
    subscription_id: delivery.webhookId,
    event_id: delivery.eventId,
    event_type: isEventType(delivery.eventType) ? delivery.eventType : undefined,
    status: delivery.status,
    attempted_at: formatRfc3339(delivery.attemptedAtMs ?? delivery.createdAtMs),
    completed_at: timeOf(delivery.completedAtMs),
    attempts: delivery.attempts,
    response_status: delivery.responseStatus ?? undefined,
    response_time_ms: delivery.responseTimeMs ?? undefined,
    error_message: delivery.error ?? undefined,
    next_retry_at: delivery.status === 'RETRYING' ? timeOf(delivery.dueAtMs) : undefined,
    trace_id: delivery.traceId ?? undefined,
    trace_flags: delivery.traceFlags ?? undefined,
    traceparent_inbound_valid: delivery.traceId === null ? undefined : delivery.traceFlags !== null,
  });

/** What a test came to, as the wire has it. */
export const probeBody = (result: ProbeResult) =>
  present({
    success: result.success,
    response_status: result.responseStatus ?? undefined,
    response_time_ms: result.responseTimeMs ?? undefined,
    error_message: result.error ?? undefined,
    event_id: result.eventId,
  });

/** Where webhooks may lead, as the wire has it. */
export const securityBody = (security: WebhookSecurity) => ({
  blocked_cidr_ranges: security.blockedCidrRanges,
  allowed_url_patterns: security.allowedUrlPatterns,
  allow_http: security.allowHttp,
});

/** What a body says of where webhooks may lead. It takes the place of everything: what it leaves out is as at first. */
export const securityOf = (body: WebhookSecurityConfig): WebhookSecurity => ({
  blockedCidrRanges: body.blocked_cidr_ranges ?? DEFAULT_WEBHOOK_SECURITY.blockedCidrRanges,
  allowedUrlPatterns: body.allowed_url_patterns ?? DEFAULT_WEBHOOK_SECURITY.allowedUrlPatterns,
  allowHttp: body.allow_http ?? DEFAULT_WEBHOOK_SECURITY.allowHttp,
});

/** What a body gives of a subscription. */
export const givenOf = (body: WebhookUpdateRequest): GivenWebhook => ({
  ...(body.name === undefined ? {} : { name: body.name }),
  ...(body.description === undefined ? {} : { description: body.description }),
  ...(body.url === undefined ? {} : { url: body.url }),
  ...(body.event_types === undefined ? {} : { eventTypes: body.event_types }),
  ...(body.event_categories === undefined ? {} : { eventCategories: body.event_categories }),
  ...(body.scope_filter === undefined ? {} : { scopeFilter: body.scope_filter }),
  ...(body.thresholds === undefined ? {} : { thresholds: body.thresholds }),
  ...(body.signing_secret === undefined ? {} : { secret: body.signing_secret }),
  ...(body.headers === undefined ? {} : { headers: body.headers }),
  ...(body.retry_policy === undefined ? {} : { retryPolicy: body.retry_policy }),
  ...(body.disable_after_failures === undefined ? {} : { disableAfterFailures: body.disable_after_failures }),
  ...(body.status === undefined ? {} : { status: body.status }),
  ...(body.metadata === undefined ? {} : { metadata: packMetadata(body.metadata) }),
});
