import { EVENT_TYPES } from '../../core/cycles/event-types.ts';
import { SYSTEM_TENANT, type Webhook } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import { selectsType, wantsEvent } from '../../core/webhooks/match-event.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore, StoredEvent } from '../../ports/record-store.ts';
import type { EventPosition, WebhookStore } from '../../ports/webhook-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { newDelivery } from './hand-out-events.ts';
import { refuseClosedOwner } from './probe-webhook.ts';

/** Which events are to be sent again. Moments in milliseconds; both ends belong to the range. Null types: all that the subscription selects. */
export interface ReplayRequest {
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly types: readonly string[] | null;
  readonly maxEvents: number;
}

/** A replay that has begun. */
export interface ReplayStarted {
  readonly replayId: string;
  readonly eventsQueued: number;
  readonly estimatedSeconds: number;
}

/** Events that are looked at for one replay. Source: Cycles governance, `replayEvents`, SCAN LIMIT. */
const MAX_SCANNED = 20_000;
const PAGE = 1000;
/** What one node sends to one subscription in a second, roughly, where the receiver is not slow. */
const SENT_PER_SECOND = 20;

const refuse = (field: string, message: string): Outcome<never> => rejected({ code: 'invalid_request', message, field });

/**
 * Makes the use case that sends events again to one subscription, in their order: all that it asks for in the range, or none.
 *
 * A subscription that is not ACTIVE accepts and queues nothing. Rejects, in this order: `tenant_closed`, `invalid_request` (from after to,
 * more events than are looked at, more that match than `maxEvents`), `replay_in_progress`. Source: Cycles governance, `replayEvents`.
 */
export function makeReplayEvents(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record'>;
  readonly store: Pick<WebhookStore, 'listEvents' | 'startReplay'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly wake: () => void;
}) {
  const { writer, records, store, ids } = deps;

  async function select(webhook: Webhook, request: ReplayRequest): Promise<Outcome<StoredEvent[]>> {
    const { types, fromMs, toMs, maxEvents } = request;
    const wanted = EVENT_TYPES.filter((type) => selectsType(webhook, type) && (types === null || types.includes(type)));
    if (wanted.length === 0) return accepted([]);
    const found: StoredEvent[] = [];
    let scanned = 0;
    for (let after: EventPosition | null = null; ;) {
      const page: StoredEvent[] = await store.listEvents({
        types: wanted,
        ...(webhook.tenantId === SYSTEM_TENANT ? {} : { tenantId: webhook.tenantId }),
        ...(fromMs === undefined ? {} : { fromMs }),
        ...(toMs === undefined ? {} : { toMs }),
        sortBy: 'timestamp',
        descending: false,
        after,
        limit: PAGE,
      });
      scanned += page.length;
      if (scanned > MAX_SCANNED) return refuse('from', `the range holds more than ${MAX_SCANNED} events: narrow from and to`);
      found.push(...page.filter(({ event }) => wantsEvent(webhook, event)));
      if (found.length > maxEvents)
        return refuse(
          'max_events',
          `the range holds more than ${maxEvents} events to deliver: narrow from and to, or raise max_events up to 1000`,
        );
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return accepted(found);
      after = { key: null, atMs: last.event.atMs, seq: last.seq };
    }
  }

  return async (actor: Actor, webhook: Webhook, request: ReplayRequest): Promise<Outcome<ReplayStarted>> => {
    const closed = await refuseClosedOwner(records, webhook);
    if (closed !== null) return closed;
    const { fromMs = -Infinity, toMs = Infinity } = request;
    if (fromMs > toMs) return refuse('from', 'from must not lie after to');
    const replayId = ids.next('rpl');
    const selected = webhook.status === 'ACTIVE' ? await select(webhook, request) : accepted([]);
    if (!selected.ok) return selected;
    const deliveries = selected.value.map((stored) => newDelivery(ids, { stored, webhookId: webhook.id, replayId }));
    if (!(await store.startReplay({ webhookId: webhook.id, deliveries })))
      return rejected({
        code: 'replay_in_progress',
        message: 'events of this webhook are being replayed already: wait until they are delivered',
      });
    const named = { name: 'replayEvents', tenantId: webhook.tenantId, resourceKind: 'webhook', resourceId: webhook.id };
    const base = auditedBase(ids, actor, named);
    const metadata = { replay_id: replayId, events_queued: deliveries.length };
    // Nothing is told by it: it leaves the line of the audit.
    const audited = await writer.execute({ verb: 'tell-events', ...base, audit: { ...base.audit, metadata }, tellings: [] });
    if (!audited.ok) return audited;
    deps.wake();
    return accepted({ replayId, eventsQueued: deliveries.length, estimatedSeconds: Math.ceil(deliveries.length / SENT_PER_SECOND) });
  };
}
