import type { Database } from 'better-sqlite3';
import type { StoredEvent } from '../../../ports/record-store.ts';
import type { Delivery, DeliveryStatus } from '../../../ports/webhook-store.ts';
import { ACTIVITY_MINUTE_MS, deliveryFromRow, healthFromRow, type DeliveryRow, type HealthRow } from '../../_shared/delivery-row.ts';
import { eventFromRow, type EventRow } from '../../_shared/journal-rows.ts';
import type { Queries, WebhookReadName } from '../messages.ts';
import { LAST_BATCH_MS } from '../store-time.ts';

/** The statements about webhooks, with the index that each relies on. The time is never below that of a batch. */
export const WEBHOOK_SQL = {
  /** By events_undelivered, which gives the order as well. */
  eventsToHandOut: 'SELECT * FROM events WHERE delivered_at_ms IS NULL ORDER BY seq LIMIT ?',
  /** By deliveries_open, which gives the order as well. */
  dueDeliveries: `SELECT *, max(@clockMs, ${LAST_BATCH_MS}) - created_at_ms AS age_ms FROM deliveries INDEXED BY deliveries_open
    WHERE webhook_id = @webhookId AND due_at_ms IS NOT NULL AND due_at_ms <= max(@clockMs, ${LAST_BATCH_MS})
    ORDER BY event_seq, replay_id LIMIT @limit`,
  /** By deliveries_of_webhook, which gives the order as well. */
  deliveries: `SELECT * FROM deliveries WHERE webhook_id = @webhookId AND status = @status AND created_at_ms BETWEEN @fromMs AND @toMs
    AND (created_at_ms, id) < (@afterMs, @afterId) ORDER BY created_at_ms DESC, id DESC LIMIT @limit`,
  /** By deliveries_untold, then webhook_health's primary key. */
  untoldFailures: `SELECT d.*, coalesce(h.failures, 0) AS health_failures, coalesce(h.epoch, 0) AS health_epoch
    FROM deliveries AS d INDEXED BY deliveries_untold LEFT JOIN webhook_health AS h ON h.webhook_id = d.webhook_id
    WHERE d.untold = 1 ORDER BY d.webhook_id, d.event_seq, d.replay_id LIMIT ?`,
  /** By primary key for each id. */
  webhookHealth: 'SELECT * FROM webhook_health WHERE webhook_id IN (SELECT value FROM json_each(?))',
  /** By the primary key of activity. */
  activitySums: `SELECT tenant_id, metric, sum(count) AS count FROM activity WHERE minute_ms > max(?, ${LAST_BATCH_MS}) - ? GROUP BY tenant_id, metric`,
  /** By the journal's own order, then the primary key of accounts. */
  budgetSpend: `SELECT a.tenant_id || '|' || a.kind || '|' || a.scope || '|' || a.unit || '|' || a.period AS account_id,
      e.at_ms - e.at_ms % ${ACTIVITY_MINUTE_MS} AS minute_ms, sum(e.d_spent) AS spent
    FROM ledger_entries AS e JOIN accounts AS a ON a.no = e.account_no
    WHERE e.seq > @afterSeq AND e.seq <= @lastSeq AND e.verb IN ('commit', 'debit') AND e.d_spent > 0 AND a.kind = 'budget' GROUP BY 1, 2`,
  lastEntry: 'SELECT coalesce(max(seq), 0) FROM ledger_entries',
  /** By api_keys_untold_expiry. */
  untoldKeyExpiries: `SELECT id, tenant_id FROM api_keys INDEXED BY api_keys_untold_expiry
    WHERE deleted_at_ms IS NULL AND json_extract(body, '$.expiresAtMs') IS NOT NULL
      AND json_extract(body, '$.expiryToldMs') IS NOT json_extract(body, '$.expiresAtMs') AND json_extract(body, '$.expiresAtMs') <= max(?, ${LAST_BATCH_MS})
    ORDER BY json_extract(body, '$.expiresAtMs') LIMIT ?`,
} as const;

type WebhookQueries = Pick<Queries, Exclude<WebhookReadName, 'listEvents' | 'event'>>;

/** Where a list of deliveries begins where no page came before it: no id is greater. */
const FIRST = { createdAtMs: Number.MAX_SAFE_INTEGER, id: '\u{10ffff}' };

/** Queries of what is delivered, prepared on a reading connection. */
export function makeWebhookQueries(db: Database): WebhookQueries {
  const toHandOut = db.prepare<[number], EventRow>(WEBHOOK_SQL.eventsToHandOut);
  const due = db.prepare<[{ clockMs: number; webhookId: string; limit: number }], DeliveryRow & { age_ms: number }>(
    WEBHOOK_SQL.dueDeliveries,
  );
  const event = db.prepare<[number], EventRow>('SELECT * FROM events WHERE seq = ?');
  const ofStatus = db.prepare<[Record<string, string | number>], DeliveryRow>(WEBHOOK_SQL.deliveries);
  const untold = db.prepare<[number], DeliveryRow & { health_failures: number; health_epoch: number }>(WEBHOOK_SQL.untoldFailures);
  const health = db.prepare<[string], HealthRow>(WEBHOOK_SQL.webhookHealth);
  const sums = db.prepare<[number, number], { tenant_id: string; metric: string; count: number }>(WEBHOOK_SQL.activitySums);
  const spend = db
    .prepare<[{ afterSeq: number; lastSeq: number }], { account_id: string; minute_ms: bigint; spent: bigint }>(WEBHOOK_SQL.budgetSpend)
    .safeIntegers();
  const lastEntry = db.prepare<[], number>(WEBHOOK_SQL.lastEntry).pluck();
  const expiries = db.prepare<[number, number], { id: string; tenant_id: string }>(WEBHOOK_SQL.untoldKeyExpiries);

  const deliveriesOf = (
    { webhookId, fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, after, limit }: Parameters<Queries['deliveries']>[0],
    status: DeliveryStatus,
  ) => {
    const { createdAtMs: afterMs, id: afterId } = after ?? FIRST;
    // The index is entered by the range, so a later page must not begin where the first one did.
    return ofStatus.all({ webhookId, status, fromMs, toMs: Math.min(toMs, afterMs), afterMs, afterId, limit });
  };

  return {
    eventsToHandOut: ({ limit }) => toHandOut.all(limit).map(eventFromRow),
    dueDeliveries: db.transaction(({ webhookIds, limit }: { webhookIds: readonly string[]; limit: number }, clockMs: number) => {
      // One event goes to many: it is read once.
      const events = new Map<number, StoredEvent | null>();
      const eventAt = (seq: number): StoredEvent | null => {
        const known = events.get(seq);
        if (known !== undefined) return known;
        const row = event.get(seq);
        const found = row === undefined ? null : eventFromRow(row);
        events.set(seq, found);
        return found;
      };
      return webhookIds
        .flatMap((webhookId) => due.all({ clockMs, webhookId, limit }))
        .map((row) => ({ delivery: deliveryFromRow(row), event: eventAt(Number(row.event_seq)), ageMs: row.age_ms }));
    }),
    deliveries: db.transaction((query: Parameters<Queries['deliveries']>[0]): Delivery[] =>
      query.statuses
        .flatMap((status) => deliveriesOf(query, status))
        .map(deliveryFromRow)
        .toSorted((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1))
        .slice(0, query.limit),
    ),
    untoldFailures: ({ limit }) =>
      untold.all(limit).map((row) => ({ delivery: deliveryFromRow(row), failures: row.health_failures, epoch: row.health_epoch })),
    webhookHealth: (ids) => new Map(health.all(JSON.stringify(ids)).map((row) => [row.webhook_id, healthFromRow(row)])),
    activitySums: ({ windowMs }, clockMs) =>
      // What is counted is of this program's own list of metrics.
      sums.all(clockMs, windowMs).map(({ tenant_id: tenantId, metric, count }) => ({ tenantId, metric, count }) as never),
    budgetSpend: db.transaction(({ afterSeq, limit }: { afterSeq: number | null; limit: number }) => {
      const end = lastEntry.get() ?? 0;
      if (afterSeq === null) return { spend: [], lastSeq: end };
      const lastSeq = Math.min(end, afterSeq + limit);
      const rows = spend.all({ afterSeq, lastSeq });
      return { spend: rows.map((row) => ({ accountId: row.account_id, minuteMs: Number(row.minute_ms), spent: row.spent })), lastSeq };
    }),
    untoldKeyExpiries: ({ limit }, clockMs) => expiries.all(clockMs, limit).map((row) => ({ id: row.id, tenantId: row.tenant_id })),
  };
}
