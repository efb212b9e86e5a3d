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

/** Keys of kinds that the protocol does not know are told of with more than it has, to those who read our own events. */
function protocolData({ type, data }: DomainEvent): DomainEvent['data'] {
  if (type !== 'api_key.created') return data;
  const { kind, key_id: id = '', name = '' } = data as { readonly [name: string]: PlainJson };
  return kind === undefined ? data : { key_id: id, key_name: name, new_status: 'ACTIVE' };
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
