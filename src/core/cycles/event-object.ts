import type { DomainEvent } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { exactEventData } from '../events/event-amounts.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import { wireTenantId } from '../webhooks/webhook-rules.ts';
import type { CommandOrigin } from '../command-origin.ts';
import { categoryOf, type EventType } from './event-types.ts';

/** What an event shows where nobody asked for what happened. */
const BY_ITSELF: Pick<CommandOrigin, 'actor' | 'source'> = { actor: { type: 'system' }, source: 'castellan' };

/** The part of the program that tells of these types where no request is behind them. Source: Cycles governance, `Event.source`. */
const SOURCES: Readonly<Partial<Record<EventType, string>>> = {
  'reservation.expired': 'expiry-sweeper',
  'reservation.denial_rate_spike': 'anomaly-detector',
  'reservation.expiry_rate_spike': 'anomaly-detector',
  'budget.burn_rate_anomaly': 'anomaly-detector',
  'api_key.auth_failure_rate_spike': 'anomaly-detector',
};

const OF_ACCOUNT = ['tenant_id', 'key_id', 'kind', 'period', 'threshold_percent', 'limit'];

/** What the data of these types has beside the protocol's fields, for those who read our own events. Source: Cycles governance, `EventData` schemas. */
const OWN_FIELDS: Readonly<Partial<Record<EventType, readonly string[]>>> = {
  'budget.threshold_crossed': OF_ACCOUNT,
  'budget.exhausted': OF_ACCOUNT,
  'budget.burn_rate_anomaly': ['threshold_multiplier'],
  'reservation.expired': ['created_at_ms', 'expired_at_ms'],
  'reservation.denial_rate_spike': ['fraction'],
  'reservation.expiry_rate_spike': ['fraction'],
  'api_key.auth_failure_rate_spike': ['fraction'],
  'api_key.expired': ['kind'],
};

/** The data of an event with the protocol's fields alone. Keys of kinds that the protocol does not know are told of in its words. */
function protocolData({ type, data }: { readonly type: EventType; readonly data: PlainJson }): PlainJson {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return data;
  const fields = data as { readonly [name: string]: PlainJson };
  if (type === 'api_key.created' && fields['kind'] !== undefined)
    return { key_id: fields['key_id'] ?? '', key_name: fields['name'] ?? '', new_status: 'ACTIVE' };
  const own = OWN_FIELDS[type];
  return own === undefined ? data : Object.fromEntries(Object.entries(fields).filter(([name]) => !own.includes(name)));
}

/**
 * An event of a registered type as the Cycles surfaces show it and webhooks are sent it. Empty parts are left out. Write it with
 * `stringifyJson`: its amounts are bigints. Source: Cycles governance, `Event`.
 */
export function cyclesEvent(event: DomainEvent & { readonly type: EventType }): object {
  const { origin, scope, metadata } = event;
  const { actor } = origin ?? BY_ITSELF;
  return {
    event_id: event.id,
    event_type: event.type,
    category: categoryOf(event.type),
    timestamp: formatRfc3339(event.atMs),
    tenant_id: wireTenantId(event.tenantId),
    ...(scope === undefined ? {} : { scope }),
    actor: {
      type: actor.type,
      ...(actor.keyId === undefined ? {} : { key_id: actor.keyId }),
      ...(actor.sourceIp === undefined ? {} : { source_ip: actor.sourceIp }),
    },
    source: origin?.source ?? SOURCES[event.type] ?? BY_ITSELF.source,
    data: exactEventData(protocolData(event)),
    ...(origin?.correlationId === undefined ? {} : { correlation_id: origin.correlationId }),
    ...(origin === undefined || origin.requestId === '' ? {} : { request_id: origin.requestId }),
    ...(origin?.traceId === undefined ? {} : { trace_id: origin.traceId }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}
