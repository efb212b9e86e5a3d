import type { Clock } from '../../ports/clock.ts';
import type { ActivityCount, AttemptResult, DeliveryLease, DeliveryRound, NewDelivery, WebhookStore } from '../../ports/webhook-store.ts';
import {
  ACTIVITY_KEEP_MS,
  ACTIVITY_MINUTE_MS,
  DELIVERY_COLUMNS,
  deliveryFromRow,
  healthFromRow,
  NEW_DELIVERY_COLUMNS,
  newDeliveryValues,
  type DeliveryRow,
  type HealthRow,
} from '../_shared/delivery-row.ts';
import { eventFromRow, type EventRow } from '../_shared/journal-rows.ts';
import { ACCOUNT_ID, arrayText, columnArrays } from './columns.ts';
import { EVENT_FIELDS, makeEventReads } from './event-lists.ts';
import type { Reader } from './reader.ts';
import { SERVER_NOW_MS, type Row, type Statement } from './statement.ts';

/** The server's time, unless the parameter `$n` replaces it. */
const now = (n: number): string => `(SELECT coalesce($${n}::bigint, ${SERVER_NOW_MS}))`;

/** New deliveries as rows, made of the parameters from `$first` on. */
const newRows = (first: number): string => {
  const types = NEW_DELIVERY_COLUMNS.map((column) => (column === 'event_seq' ? 'bigint' : 'text'));
  const arrays = types.map((type, index) => `$${first + index}::${type}[]`);
  return `unnest(${arrays.join(', ')}) AS fresh(${NEW_DELIVERY_COLUMNS.join(', ')})`;
};

/** Makes deliveries and lets them be looked at, where `gate` holds. Locks subscriptions in the order of their ids. */
const makeDeliveries = (options: { first: number; now: number; gate: string }): string => `
  made AS (
    INSERT INTO deliveries (${NEW_DELIVERY_COLUMNS.join(', ')}, status, attempts, created_at_ms, due_at_ms, untold)
    SELECT fresh.*, 'PENDING', 0, ${now(options.now)}, ${now(options.now)}, false FROM ${newRows(options.first)} WHERE ${options.gate}
    ON CONFLICT DO NOTHING
  ),
  woken AS (
    INSERT INTO webhook_health AS h (webhook_id, epoch, failures, due_at_ms, fence)
    SELECT DISTINCT fresh.webhook_id, 0, 0, ${now(options.now)}, 0 FROM ${newRows(options.first)} WHERE ${options.gate} ORDER BY 1
    ON CONFLICT (webhook_id) DO UPDATE SET due_at_ms = least(coalesce(h.due_at_ms, excluded.due_at_ms), excluded.due_at_ms)
  )`;

// Events that another node takes at this moment are waited for, and then found to be taken.
const HAND_OUT: Statement = {
  name: 'webhooks_hand_out',
  text: `
    WITH due AS (SELECT seq FROM events WHERE seq = ANY ($1::bigint[]) AND delivered_at_ms IS NULL ORDER BY seq FOR UPDATE),
    gate AS (SELECT count(*) = cardinality($1::bigint[]) AS ok FROM due),
    marked AS (UPDATE events SET delivered_at_ms = ${now(2)} WHERE seq IN (SELECT seq FROM due) AND (SELECT ok FROM gate)),
    ${makeDeliveries({ first: 3, now: 2, gate: '(SELECT ok FROM gate)' })}
    SELECT ok FROM gate`,
};

// The subscription's row is locked first, so that of two replays at once the second finds what the first has made.
const LOCK_HEALTH = `
  INSERT INTO webhook_health (webhook_id, epoch, failures, fence) VALUES ($1, 0, 0, 0)
  ON CONFLICT (webhook_id) DO UPDATE SET fence = webhook_health.fence`;
const OPEN_REPLAY = "SELECT 1 FROM deliveries WHERE webhook_id = $1 AND due_at_ms IS NOT NULL AND replay_id <> '' LIMIT 1";
const REPLAY = `WITH ${makeDeliveries({ first: 2, now: 1, gate: 'true' })} SELECT 1`;

const ADD_ENDED: Statement = {
  name: 'webhooks_add_ended',
  text: `
    INSERT INTO deliveries (${NEW_DELIVERY_COLUMNS.join(', ')}, status, created_at_ms, attempted_at_ms, completed_at_ms, response_status,
      response_time_ms, error, attempts, untold)
    SELECT ${NEW_DELIVERY_COLUMNS.map((_, index) => `$${index + 6}${index === 1 ? '::bigint' : ''}`).join(', ')}, $2, at_ms, at_ms, at_ms, $3::int,
      $4::int, $5, 1, false FROM (SELECT ${now(1)} AS at_ms) AS moment ON CONFLICT DO NOTHING`,
};

// Index: webhook_health_due. Those that another node leases at this moment are passed over.
const LEASE: Statement = {
  name: 'webhooks_lease',
  text: `
    WITH moment AS (SELECT ${now(1)} AS now_ms),
    due AS (
      SELECT webhook_id FROM webhook_health
      WHERE due_at_ms IS NOT NULL AND due_at_ms <= (SELECT now_ms FROM moment)
        AND (lease_until_ms IS NULL OR lease_until_ms <= (SELECT now_ms FROM moment))
      ORDER BY due_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook_health AS h SET lease_owner = $3, lease_until_ms = (SELECT now_ms FROM moment) + $4::bigint, fence = h.fence + 1
    FROM due WHERE h.webhook_id = due.webhook_id RETURNING h.webhook_id, h.fence`,
};

const RENEW: Statement = {
  name: 'webhooks_renew',
  text: `UPDATE webhook_health SET lease_until_ms = ${now(1)} + $4::bigint WHERE webhook_id = $2 AND fence = $3::bigint AND lease_until_ms > ${now(1)} RETURNING 1`,
};

/** When something of a subscription is due next. Index: deliveries_open. */
const nextDue = (webhook: string): string =>
  `(SELECT min(d.due_at_ms) FROM deliveries AS d WHERE d.webhook_id = ${webhook} AND d.due_at_ms IS NOT NULL)`;

const WAKE: Statement = {
  name: 'webhooks_wake',
  text: `UPDATE webhook_health SET due_at_ms = ${nextDue('$1')} WHERE webhook_id = $1`,
};

// Index: deliveries_open for each subscription, which gives the order as well; then events_pkey.
const DUE: Statement = {
  name: 'webhooks_due',
  text: `
    SELECT ${DELIVERY_COLUMNS.map((column) => `d.${column}`).join(', ')}, ${now(1)} - d.created_at_ms AS age_ms,
      (SELECT row_to_json(e) FROM (SELECT ${EVENT_FIELDS} FROM events WHERE seq = d.event_seq) AS e) AS event
    FROM unnest($2::text[]) AS wanted(webhook_id) CROSS JOIN LATERAL (
      SELECT * FROM deliveries WHERE webhook_id = wanted.webhook_id AND due_at_ms IS NOT NULL AND due_at_ms <= ${now(1)}
      ORDER BY event_seq, replay_id LIMIT $3
    ) AS d ORDER BY d.webhook_id, d.event_seq, d.replay_id`,
};

// Index: deliveries_of_webhook, which gives the order as well, for each status.
const DELIVERIES: Statement = {
  name: 'webhooks_deliveries',
  text: `
    SELECT d.* FROM unnest($2::text[]) AS wanted(status) CROSS JOIN LATERAL (
      SELECT ${DELIVERY_COLUMNS.join(', ')} FROM deliveries
      WHERE webhook_id = $1 AND status = wanted.status AND created_at_ms BETWEEN $3::bigint AND $4::bigint
        AND (created_at_ms, id) < ($5::bigint, $6::text)
      ORDER BY created_at_ms DESC, id DESC LIMIT $7
    ) AS d ORDER BY d.created_at_ms DESC, d.id DESC LIMIT $7`,
};

// Index: deliveries_untold, then webhook_health_pkey.
const UNTOLD: Statement = {
  name: 'webhooks_untold',
  text: `
    SELECT d.*, coalesce(h.failures, 0) AS health_failures, coalesce(h.epoch, 0) AS health_epoch
    FROM (SELECT ${DELIVERY_COLUMNS.join(', ')} FROM deliveries WHERE untold ORDER BY webhook_id, event_seq, replay_id LIMIT $1) AS d
    LEFT JOIN webhook_health AS h ON h.webhook_id = d.webhook_id`,
};

// By the primary key for each row.
const MARK_TOLD: Statement = {
  name: 'webhooks_told',
  text: `
    UPDATE deliveries AS d SET untold = false FROM unnest($1::text[], $2::bigint[], $3::text[]) AS told(webhook_id, event_seq, replay_id)
    WHERE d.webhook_id = told.webhook_id AND d.event_seq = told.event_seq AND d.replay_id = told.replay_id`,
};

const HEALTH: Statement = { name: 'webhooks_health', text: 'SELECT * FROM webhook_health WHERE webhook_id = ANY ($1::text[])' };

const ADD_ACTIVITY: Statement = {
  name: 'activity_add',
  text: `
    WITH moment AS (SELECT ${now(1)} AS now_ms), forgotten AS (DELETE FROM activity WHERE minute_ms < (SELECT now_ms FROM moment) - ${ACTIVITY_KEEP_MS})
    INSERT INTO activity AS a (minute_ms, tenant_id, metric, count)
    SELECT now_ms - now_ms % ${ACTIVITY_MINUTE_MS}, added.tenant_id, added.metric, added.count
    FROM moment, unnest($2::text[], $3::text[], $4::bigint[]) AS added(tenant_id, metric, count) ORDER BY added.tenant_id, added.metric
    ON CONFLICT (minute_ms, tenant_id, metric) DO UPDATE SET count = a.count + excluded.count`,
};

// By the primary key of activity.
const ACTIVITY_SUMS: Statement = {
  name: 'activity_sums',
  text: `SELECT tenant_id, metric, sum(count)::bigint AS count FROM activity WHERE minute_ms > ${now(1)} - $2::bigint GROUP BY tenant_id, metric`,
};

// By the block ranges of the journal, then accounts_pkey.
const SPEND: Statement = {
  name: 'budget_spend',
  text: `
    SELECT ${ACCOUNT_ID} AS account_id, e.at_ms - e.at_ms % ${ACTIVITY_MINUTE_MS} AS minute_ms, sum(e.d_spent)::bigint AS spent
    FROM ledger_entries AS e JOIN accounts AS a ON a.no = e.account_no
    WHERE e.seq > $1::bigint AND e.seq <= $2::bigint AND e.verb IN ('commit', 'debit') AND e.d_spent > 0 AND a.kind = 'budget' GROUP BY 1, 2`,
};
const LAST_ENTRY: Statement = {
  name: 'last_entry',
  text: "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger_entries', 'seq')::regclass), 0)::bigint AS seq",
};

// Index: api_keys_untold_expiry, in whose words the condition stands.
const KEY_EXPIRIES: Statement = {
  name: 'untold_key_expiries',
  text: `
    SELECT id, tenant_id FROM api_keys
    WHERE deleted_at_ms IS NULL AND body ->> 'expiresAtMs' IS NOT NULL AND (body ->> 'expiryToldMs') IS DISTINCT FROM (body ->> 'expiresAtMs')
      AND (body ->> 'expiresAtMs')::bigint <= ${now(1)}
    ORDER BY (body ->> 'expiresAtMs')::bigint LIMIT $2`,
};

type Query = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

const LOCK_HELD = `
  SELECT h.webhook_id FROM webhook_health AS h JOIN unnest($1::text[], $2::bigint[]) AS held(webhook_id, fence)
    ON h.webhook_id = held.webhook_id AND h.fence = held.fence ORDER BY h.webhook_id FOR UPDATE OF h`;

const WRITE_RESULTS = `
  UPDATE deliveries AS d SET status = r.status, attempts = r.attempts,
    due_at_ms = CASE WHEN r.status = 'RETRYING' THEN ${now(1)} + r.retry_in_ms END,
    attempted_at_ms = CASE WHEN r.is_counted THEN ${now(1)} ELSE d.attempted_at_ms END,
    completed_at_ms = CASE WHEN r.status = 'RETRYING' THEN NULL ELSE ${now(1)} END,
    response_status = coalesce(r.response_status, d.response_status), response_time_ms = coalesce(r.response_time_ms, d.response_time_ms),
    error = r.error, untold = r.status = 'FAILED' AND r.is_counted
  FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::int[], $7::bigint[], $8::boolean[], $9::int[], $10::int[], $11::text[])
    AS r(webhook_id, event_seq, replay_id, status, attempts, retry_in_ms, is_counted, response_status, response_time_ms, error)
  WHERE d.webhook_id = r.webhook_id AND d.event_seq = r.event_seq AND d.replay_id = r.replay_id AND d.due_at_ms IS NOT NULL`;

const WRITE_HEALTH = `
  UPDATE webhook_health AS h SET
    failures = CASE WHEN r.begins_anew THEN 0 WHEN h.epoch = r.epoch THEN h.failures ELSE 0 END + r.failures, epoch = r.epoch,
    last_triggered_at_ms = ${now(1)},
    last_success_at_ms = CASE WHEN r.has_success THEN ${now(1)} ELSE h.last_success_at_ms END,
    last_failure_at_ms = CASE WHEN r.has_failure THEN ${now(1)} ELSE h.last_failure_at_ms END
  FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::boolean[], $7::boolean[])
    AS r(webhook_id, epoch, failures, begins_anew, has_success, has_failure)
  WHERE h.webhook_id = r.webhook_id`;

const RELEASE = `
  UPDATE webhook_health AS h SET lease_owner = NULL, lease_until_ms = NULL,
    due_at_ms = CASE WHEN r.park_ms IS NULL OR ${nextDue('h.webhook_id')} IS NULL THEN ${nextDue('h.webhook_id')} ELSE ${now(1)} + r.park_ms END
  FROM unnest($2::text[], $3::bigint[]) AS r(webhook_id, park_ms) WHERE h.webhook_id = r.webhook_id`;

/** What attempts of one round do to the health of their subscription: failures after the last success, and whether there was one. */
function healthOf({ lease, epoch, results }: DeliveryRound): (string | number | boolean)[] | null {
  const counted = results.filter(({ isCounted }) => isCounted);
  if (counted.length === 0) return null;
  const lastSuccess = counted.findLastIndex(({ status }) => status === 'SUCCESS');
  const failures = counted.slice(lastSuccess + 1).filter(({ status }) => status === 'FAILED').length;
  const hasFailure = counted.some(({ status }) => status !== 'SUCCESS');
  return [lease.webhookId, epoch, failures, lastSuccess >= 0, lastSuccess >= 0, hasFailure];
}

/** One array for each column of rows that all have `width` values. */
const arraysOf = (rows: readonly (readonly (string | number | boolean | null)[])[], width: number): string[] =>
  columnArrays(
    rows.map((row) => row.map((value) => (typeof value === 'boolean' ? String(value) : value))),
    width,
  );

const resultRow = ({ lease }: DeliveryRound, result: AttemptResult): (string | number | boolean | null)[] => {
  const { ref, status, attempts, retryInMs, isCounted, responseStatus, responseTimeMs, error } = result;
  return [lease.webhookId, ref.eventSeq, ref.replayId, status, attempts, retryInMs, isCounted, responseStatus, responseTimeMs, error];
};

/** Writes rounds whose leases are good in one transaction. Subscriptions are locked in the order of their ids, as everywhere. */
async function writeRounds(query: Query, rounds: readonly DeliveryRound[], clockMs: number | null): Promise<boolean[]> {
  const leases = rounds.map(({ lease }) => [lease.webhookId, lease.fence]);
  const held = new Set((await query(LOCK_HELD, arraysOf(leases, 2))).map((row) => row['webhook_id']));
  const good = rounds.filter(({ lease }) => held.has(lease.webhookId));
  const results = good.flatMap((round) => round.results.map((result) => resultRow(round, result)));
  if (results.length > 0) await query(WRITE_RESULTS, [clockMs, ...arraysOf(results, 10)]);
  const health = good.flatMap((round) => [healthOf(round)].filter((row) => row !== null));
  if (health.length > 0) await query(WRITE_HEALTH, [clockMs, ...arraysOf(health, 6)]);
  const ended = good.filter(({ release }) => release).map(({ lease, parkMs }) => [lease.webhookId, parkMs ?? null]);
  if (ended.length > 0) await query(RELEASE, [clockMs, ...arraysOf(ended, 2)]);
  return rounds.map(({ lease }) => held.has(lease.webhookId));
}

const FIRST = { createdAtMs: Number.MAX_SAFE_INTEGER, id: '\u{10ffff}' };

/** Makes the store of webhooks. `clock` replaces the server's time. */
export function makeWebhookStore(reader: Reader, clock: Clock | undefined): WebhookStore {
  const clockMs = (): number | null => clock?.nowMs() ?? null;
  const freshArrays = (deliveries: readonly NewDelivery[]): string[] =>
    columnArrays(deliveries.map(newDeliveryValues), NEW_DELIVERY_COLUMNS.length);
  return {
    ...makeEventReads(reader),
    async eventsToHandOut({ limit }) {
      const text = `SELECT ${EVENT_FIELDS} FROM events WHERE delivered_at_ms IS NULL ORDER BY seq LIMIT $1`;
      return (await reader.rows<EventRow>({ name: 'events_to_hand_out', text }, [limit])).map(eventFromRow);
    },
    async handOut({ seqs, deliveries }) {
      const [row] = await reader.rows<{ ok: boolean }>(HAND_OUT, [arrayText(seqs), clockMs(), ...freshArrays(deliveries)]);
      return row?.ok === true;
    },
    startReplay: ({ webhookId, deliveries }) =>
      reader.transaction('BEGIN', async (query) => {
        await query(LOCK_HEALTH, [webhookId]);
        if ((await query(OPEN_REPLAY, [webhookId])).length > 0) return false;
        if (deliveries.length > 0) await query(REPLAY, [clockMs(), ...freshArrays(deliveries)]);
        return true;
      }),
    async addEnded({ delivery, status, responseStatus, responseTimeMs, error }) {
      await reader.rows(ADD_ENDED, [clockMs(), status, responseStatus, responseTimeMs, error, ...newDeliveryValues(delivery)]);
    },
    async leaseDeliveries({ ownerId, limit, leaseMs }) {
      const rows = await reader.rows<{ webhook_id: string; fence: bigint }>(LEASE, [clockMs(), limit, ownerId, leaseMs]);
      return rows.map((row) => ({ webhookId: row.webhook_id, fence: Number(row.fence) }));
    },
    async renewLease({ webhookId, fence, leaseMs }) {
      return (await reader.rows(RENEW, [clockMs(), webhookId, fence, leaseMs])).length > 0;
    },
    async wakeDeliveries(webhookId) {
      await reader.rows(WAKE, [webhookId]);
    },
    async dueDeliveries({ webhookIds, limit }) {
      const rows = await reader.rows<DeliveryRow & { age_ms: bigint; event: string | null }>(DUE, [
        clockMs(),
        arrayText(webhookIds),
        limit,
      ]);
      return rows.map((row) => ({ delivery: deliveryFromRow(row), event: nestedEvent(row.event), ageMs: Number(row.age_ms) }));
    },
    writeRounds: (rounds) =>
      rounds.length === 0 ? Promise.resolve([]) : reader.transaction('BEGIN', (query) => writeRounds(query, rounds, clockMs())),
    dropDeliveries: ({ webhookId, fence }: DeliveryLease) =>
      reader.transaction('BEGIN', async (query) => {
        const held = await query('DELETE FROM webhook_health WHERE webhook_id = $1 AND fence = $2 RETURNING 1', [webhookId, fence]);
        if (held.length > 0) await query('DELETE FROM deliveries WHERE webhook_id = $1 AND due_at_ms IS NOT NULL', [webhookId]);
      }),
    async untoldFailures({ limit }) {
      const rows = await reader.rows<DeliveryRow & { health_failures: bigint; health_epoch: bigint }>(UNTOLD, [limit]);
      return rows.map((row) => ({
        delivery: deliveryFromRow(row),
        failures: Number(row.health_failures),
        epoch: Number(row.health_epoch),
      }));
    },
    async markTold(refs) {
      const rows = refs.map(({ webhookId, eventSeq, replayId }) => [webhookId, eventSeq, replayId]);
      await reader.rows(MARK_TOLD, columnArrays(rows, 3));
    },
    async deliveries({ webhookId, statuses, fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, after, limit }) {
      const { createdAtMs, id } = after ?? FIRST;
      const rows = await reader.rows<DeliveryRow>(DELIVERIES, [webhookId, arrayText(statuses), fromMs, toMs, createdAtMs, id, limit]);
      return rows.map(deliveryFromRow);
    },
    async webhookHealth(ids) {
      const rows = await reader.rows<HealthRow>(HEALTH, [arrayText(ids)]);
      return new Map(rows.map((row) => [row.webhook_id, healthFromRow(row)]));
    },
    async addActivity(counts) {
      await reader.rows(ADD_ACTIVITY, [
        clockMs(),
        ...columnArrays(
          counts.map((each) => [each.tenantId, each.metric, each.count]),
          3,
        ),
      ]);
    },
    async activitySums({ windowMs }) {
      const rows = await reader.rows<{ tenant_id: string; metric: string; count: bigint }>(ACTIVITY_SUMS, [clockMs(), windowMs]);
      // What is counted is of this program's own list of metrics.
      return rows.map((row) => ({ tenantId: row.tenant_id, metric: row.metric, count: Number(row.count) }) as ActivityCount);
    },
    async budgetSpend({ afterSeq, limit }) {
      const [row] = await reader.rows<{ seq: bigint }>(LAST_ENTRY);
      const end = Number(row?.seq ?? 0n);
      if (afterSeq === null) return { spend: [], lastSeq: end };
      const lastSeq = Math.min(end, afterSeq + limit);
      const rows = await reader.rows<{ account_id: string; minute_ms: bigint; spent: bigint }>(SPEND, [afterSeq, lastSeq]);
      return { spend: rows.map((each) => ({ accountId: each.account_id, minuteMs: Number(each.minute_ms), spent: each.spent })), lastSeq };
    },
    async untoldKeyExpiries({ limit }) {
      const rows = await reader.rows<{ id: string; tenant_id: string }>(KEY_EXPIRIES, [clockMs(), limit]);
      return rows.map((row) => ({ id: row.id, tenantId: row.tenant_id }));
    },
  };
}

/** The event of a row that came as JSON, its own JSON parts within. */
function nestedEvent(text: string | null): ReturnType<typeof eventFromRow> | null {
  if (text === null) return null;
  const row = JSON.parse(text) as EventRow & { readonly data: unknown; readonly about: unknown };
  return eventFromRow({ ...row, data: JSON.stringify(row.data), about: row.about === null ? null : JSON.stringify(row.about) });
}
