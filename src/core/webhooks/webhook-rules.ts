import { checkText, firstOf, invalid, type Refusal } from '../access/rules.ts';
import { isEventCategory, isEventType, isTenantCategory, isTenantEventType } from '../cycles/event-types.ts';
import { SYSTEM_TENANT, type Webhook } from '../records.ts';

/** How the Cycles surfaces name the tenant of what belongs to no tenant. Source: Cycles governance, `Event.tenant_id`. */
const WIRE_SYSTEM_TENANT = '__system__';

/** A tenant's id as the Cycles surfaces write it. */
export const wireTenantId = (tenantId: string): string => (tenantId === SYSTEM_TENANT ? WIRE_SYSTEM_TENANT : tenantId);

/** A tenant's id as the Cycles surfaces read it. */
export const tenantIdOfWire = (text: string): string => (text === WIRE_SYSTEM_TENANT ? SYSTEM_TENANT : text);

const MAX_HEADERS = 32;
const MAX_HEADER_VALUE = 4096;
const MAX_SCOPE_FILTER = 1024;
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers that we send ourselves, and those that belong to the connection. */
const RESERVED = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'traceparent',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'x-request-id',
]);

/** Checks headers that go with every delivery: names, values, and none that we send. */
export function checkWebhookHeaders(headers: Readonly<Record<string, string>>): Refusal | null {
  const names = Object.keys(headers);
  if (names.length > MAX_HEADERS) return invalid('headers', `name at most ${MAX_HEADERS}`);
  if (new Set(names.map((name) => name.toLowerCase())).size < names.length) return invalid('headers', 'name each header once');
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    // A name may be anything that somebody sends, so it is not quoted before it is known to be one.
    if (!HEADER_NAME.test(name)) return invalid('headers', 'hold names of headers');
    if (RESERVED.has(lower) || lower.startsWith('x-cycles-'))
      return invalid(`headers.${name}`, 'be another: this header is sent with every delivery');
    if (value.length > MAX_HEADER_VALUE || !HEADER_VALUE.test(value))
      return invalid(`headers.${name}`, `have at most ${MAX_HEADER_VALUE} characters, none of them control characters`);
  }
  return null;
}

/**
 * Checks what a subscription selects, as it would be kept: at least one type or category, each of them registered and, where a tenant
 * owns it, of those that tenants see. Source: Cycles governance, WEBHOOK SUBSCRIPTION INVARIANTS 1 and 2.
 */
function checkSelectors(webhook: Pick<Webhook, 'tenantId' | 'eventTypes' | 'eventCategories'>): Refusal | null {
  const { eventTypes, eventCategories, tenantId } = webhook;
  if (eventTypes.length === 0 && eventCategories.length === 0)
    return invalid('event_types', 'name at least one type of events, or event_categories a category');
  const isTenants = tenantId !== SYSTEM_TENANT;
  for (const [index, type] of eventTypes.entries()) {
    if (!isEventType(type)) return invalid(`event_types.${index}`, 'be a registered type of events');
    if (isTenants && !isTenantEventType(type))
      return invalid(`event_types.${index}`, `be of budget, reservation or tenant: ${type} is for the operator's own subscriptions`);
  }
  for (const [index, category] of eventCategories.entries()) {
    if (!isEventCategory(category)) return invalid(`event_categories.${index}`, 'be a category of events');
    if (isTenants && !isTenantCategory(category))
      return invalid(`event_categories.${index}`, `be budget, reservation or tenant: ${category} is for the operator's own subscriptions`);
  }
  return null;
}

/** Checks a subscription as it would be kept, but for its address, which needs the operator's configuration. */
export const checkWebhook = (webhook: Omit<Webhook, 'createdAtMs' | 'updatedAtMs' | 'status'>): Refusal | null =>
  firstOf(
    webhook.name === null || webhook.name === '' ? null : checkText('name', webhook.name),
    (webhook.scopeFilter ?? '').length <= MAX_SCOPE_FILTER ? null : invalid('scope_filter', `have at most ${MAX_SCOPE_FILTER} characters`),
    webhook.disableAfterFailures >= 1 && Number.isSafeInteger(webhook.disableAfterFailures)
      ? null
      : invalid('disable_after_failures', 'be a whole number that is at least 1'),
    checkSelectors(webhook),
  );
