import Type, { type Static } from 'typebox';
import { closed, Metadata, Moment, oneOf } from '../../_shared/cycles-fields.ts';
import { TraceId } from '../../_shared/cycles-schemas.ts';
import { EventCategoryName, EventTypeName, pageEnd } from './common.ts';

const OptionalText = Type.Optional(Type.String());

/** An event; what its `data` holds depends on its type. Source: Cycles governance, `Event`. */
export const CyclesEvent = closed(
  {
    event_id: Type.String(),
    event_type: EventTypeName,
    category: EventCategoryName,
    timestamp: Moment,
    tenant_id: Type.String(),
    scope: OptionalText,
    actor: Type.Optional(
      closed({
        type: Type.Optional(oneOf(['admin', 'api_key', 'admin_on_behalf_of', 'system', 'scheduler'])),
        key_id: OptionalText,
        source_ip: OptionalText,
      }),
    ),
    source: Type.String(),
    data: Type.Optional(Metadata),
    correlation_id: OptionalText,
    request_id: OptionalText,
    trace_id: Type.Optional(TraceId),
    metadata: Type.Optional(Metadata),
  },
  'CyclesEvent',
);
export type CyclesEvent = Static<typeof CyclesEvent>;

/** Answer of `GET /v1/admin/events` and `GET /v1/events`. Source: Cycles governance, `EventListResponse`. */
export const EventListResponse = closed({ events: Type.Array(CyclesEvent), ...pageEnd }, 'EventListResponse');
