import type { PlainJson } from '../json/plain-json.ts';
import { MAX_CALL_TOKENS } from '../metering/token-usage.ts';
import { parseRfc3339 } from '../rfc3339.ts';

/**
 * One event of a usage report, as it was sent and without its key. Counts are safe integers; `cachedPromptTokens` is a part of
 * `promptTokens`. `requests` is how many requests of a customer it stands for: 0 for a leaf call inside of one that is told by another
 * event. `unknownMeter` names a meter that has no price here; null where there is none. Texts that were not given are empty.
 */
export interface ReportedEvent {
  readonly eventId: string;
  readonly requestId: string;
  readonly occurredAtMs: number;
  readonly operation: string;
  readonly model: string;
  readonly route: string;
  readonly streaming: boolean;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedPromptTokens: number;
  readonly unknownMeter: string | null;
}

/** An event that was read, or the rule that it breaks; `eventId` is null where not even that is good. */
export type ReportedEventRead =
  | { readonly ok: true; readonly event: ReportedEvent; readonly apiKey: string }
  | { readonly ok: false; readonly eventId: string | null; readonly rule: string };

/** Most requests of a customer that one event may stand for. */
export const MAX_REPORTED_REQUESTS = 1_000_000;
/** Most meters of an event. */
export const MAX_METERS = 50;
/** Longest text of an event, in UTF-16 units. */
export const MAX_REPORTED_TEXT_CHARS = 500;
/** What an event's id looks like. */
export const REPORTED_EVENT_ID = /^[\x21-\x7e]{1,128}$/;

/** The meters that are priced, under the names of the usage-reporting client. `requests` is what older reporters send. */
const METERS = {
  input_tokens: 'promptTokens',
  output_tokens: 'completionTokens',
  cached_input_tokens: 'cachedPromptTokens',
  requests: 'requests',
} as const;
type Meter = keyof typeof METERS;

/** Says which rule is broken; caught in this file only. */
class BrokenRule extends Error {}

/**
 * Reads one event of a report. Unknown fields are passed over, as older and newer reporters send some; nothing else is.
 *
 * `customer_requests` that is not given is 0, unless a meter `requests` stands in for it. A meter that is not known is no fault of form:
 * the event tells its name, and cannot be priced. Source: Tinfoil reference section 5, "Usage reports".
 */
export function readReportedEvent(value: unknown): ReportedEventRead {
  const fields = asObject(value) ?? {};
  const eventId = typeof fields['event_id'] === 'string' && REPORTED_EVENT_ID.test(fields['event_id']) ? fields['event_id'] : null;
  try {
    if (asObject(value) === null) throw new BrokenRule('an event must be an object');
    if (eventId === null) throw new BrokenRule('event_id must be a text of 1 to 128 visible ASCII characters');
    return { ok: true, ...readFields(fields, eventId) };
  } catch (error) {
    if (error instanceof BrokenRule) return { ok: false, eventId, rule: error.message };
    throw error;
  }
}

function readFields(fields: Fields, eventId: string): { event: ReportedEvent; apiKey: string } {
  const apiKey = text(fields, 'api_key');
  if (apiKey === '') throw new BrokenRule('api_key is required');
  const occurredAtMs = parseRfc3339(text(fields, 'occurred_at'));
  if (occurredAtMs === null) throw new BrokenRule('occurred_at must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z');
  const operation = objectField(fields, 'operation');
  const attributes = objectField(fields, 'attributes');
  const { counts, unknownMeter } = readMeters(fields['meters'] ?? []);
  const given = fields['customer_requests'];
  const requests = given === undefined || given === null ? null : whole(given, 'customer_requests', MAX_REPORTED_REQUESTS);
  if (requests !== null && counts.requests !== undefined && counts.requests !== requests) {
    throw new BrokenRule('customer_requests must not differ from the meter requests');
  }
  const event: ReportedEvent = {
    eventId,
    requestId: text(fields, 'request_id'),
    occurredAtMs,
    operation: [text(operation, 'service', 'operation.'), text(operation, 'name', 'operation.')].filter((part) => part !== '').join('/'),
    model: text(attributes, 'model', 'attributes.'),
    route: text(attributes, 'route', 'attributes.'),
    streaming: text(attributes, 'streaming', 'attributes.') === 'true',
    requests: requests ?? counts.requests ?? 0,
    promptTokens: counts.promptTokens ?? 0,
    completionTokens: counts.completionTokens ?? 0,
    // More cannot have come from a cache than came in.
    cachedPromptTokens: Math.min(counts.cachedPromptTokens ?? 0, counts.promptTokens ?? 0),
    unknownMeter,
  };
  return { event, apiKey };
}

type Counts = Partial<Record<(typeof METERS)[Meter], number>>;

function readMeters(value: unknown): { counts: Counts; unknownMeter: string | null } {
  if (!Array.isArray(value)) throw new BrokenRule('meters must be a list');
  if (value.length > MAX_METERS) throw new BrokenRule(`meters must hold at most ${MAX_METERS} items`);
  const counts: Counts = {};
  const seen = new Set<string>();
  let unknownMeter: string | null = null;
  for (const [index, item] of (value as unknown[]).entries()) {
    const at = `meters[${index}]`;
    const meter = asObject(item);
    if (meter === null) throw new BrokenRule(`${at} must be an object`);
    const name = text(meter, 'name', `${at}.`);
    if (seen.has(name)) throw new BrokenRule(`${at}.name must not stand twice`);
    seen.add(name);
    const isKnown = Object.hasOwn(METERS, name);
    const quantity = whole(meter['quantity'], `${at}.quantity`, name === 'requests' ? MAX_REPORTED_REQUESTS : MAX_CALL_TOKENS);
    if (isKnown) counts[METERS[name as Meter]] = quantity;
    // Nothing of what nobody prices costs nothing.
    else if (quantity > 0) unknownMeter ??= name;
  }
  return { counts, unknownMeter };
}

type Fields = Readonly<Record<string, unknown>>;

function asObject(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function objectField(fields: Fields, name: string): Fields {
  const value = fields[name];
  if (value === undefined || value === null) return {};
  const object = asObject(value);
  if (object === null) throw new BrokenRule(`${name} must be an object`);
  return object;
}

function text(fields: Fields, name: string, prefix = ''): string {
  const value = fields[name];
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string' || value.length > MAX_REPORTED_TEXT_CHARS) {
    throw new BrokenRule(`${prefix}${name} must be a text of at most ${MAX_REPORTED_TEXT_CHARS} characters`);
  }
  return value;
}

function whole(value: unknown, name: string, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new BrokenRule(`${name} must be a whole number from 0 to ${max}`);
  }
  return value;
}

/** What of a quarantined event is kept. `keyHash` finds its key again; `maskedKey` is for people. */
export interface QuarantinedEvent extends ReportedEvent {
  readonly keyHash: string;
  readonly maskedKey: string;
}

/** The event as a report keeps it. */
export const writeQuarantined = (event: QuarantinedEvent): PlainJson => ({ ...event });

/** Reads what {@link writeQuarantined} wrote; null where the event was not even of a good form, so that nothing of it was kept. */
export const readQuarantined = (body: PlainJson): QuarantinedEvent | null => {
  const fields = asObject(body);
  // Only we write it; what has a hash is whole.
  return typeof fields?.['keyHash'] === 'string' ? (fields as unknown as QuarantinedEvent) : null;
};
