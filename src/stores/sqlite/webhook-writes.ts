import type { Database } from 'better-sqlite3';
import type { AttemptResult, DeliveryLease, DeliveryRound, NewDelivery } from '../../ports/webhook-store.ts';
import { ACTIVITY_KEEP_MS, ACTIVITY_MINUTE_MS, NEW_DELIVERY_COLUMNS, newDeliveryValues } from '../_shared/delivery-row.ts';
import type { WebhookWrite } from './messages.ts';

/** Does one write about webhooks, inside a transaction that it commits. */
export type WebhookWriter = (write: WebhookWrite, nowMs: number, commit: () => void) => unknown;

const HOLDER = 'webhook_id = @webhookId AND fence = @fence';
const DUE = '(SELECT min(due_at_ms) FROM deliveries INDEXED BY deliveries_open WHERE webhook_id = @webhookId AND due_at_ms IS NOT NULL)';

/** Prepares the writes on the writing connection. One process writes, so what it reads here stays so until it commits. */
export function makeWebhookWriter(db: Database): WebhookWriter {
  // Whoever held a lease before this process has ended: one process writes, and what it was killed over need not wait.
  db.exec('UPDATE webhook_health SET lease_owner = NULL, lease_until_ms = NULL WHERE lease_until_ms IS NOT NULL');
  const deliveries = makeDeliveryInserter(db);
  const handedOut = db.prepare<[number, number]>('UPDATE events SET delivered_at_ms = ? WHERE seq = ? AND delivered_at_ms IS NULL');
  const openReplay = db.prepare<[string], number>(
    "SELECT 1 FROM deliveries INDEXED BY deliveries_open WHERE webhook_id = ? AND due_at_ms IS NOT NULL AND replay_id <> '' LIMIT 1",
  );
  const wake = db.prepare<[{ webhookId: string }]>(`UPDATE webhook_health SET due_at_ms = ${DUE} WHERE webhook_id = @webhookId`);
  const drop = db.prepare<[DeliveryLease]>(
    'DELETE FROM deliveries WHERE webhook_id = @webhookId AND due_at_ms IS NOT NULL AND EXISTS (SELECT 1 FROM webhook_health WHERE webhook_id = @webhookId AND fence = @fence)',
  );
  const dropHealth = db.prepare<[DeliveryLease]>(`DELETE FROM webhook_health WHERE ${HOLDER}`);
  const told = db.prepare<[string, number, string]>(
    'UPDATE deliveries SET untold = 0 WHERE webhook_id = ? AND event_seq = ? AND replay_id = ?',
  );
  const addActivity = db.prepare<[number, string, string, number]>(
    `INSERT INTO activity (minute_ms, tenant_id, metric, count) VALUES (?, ?, ?, ?)
     ON CONFLICT (minute_ms, tenant_id, metric) DO UPDATE SET count = count + excluded.count`,
  );
  const forgetActivity = db.prepare<[number]>('DELETE FROM activity WHERE minute_ms < ?');
  const ended = db.prepare<(string | number | null)[]>(
    `INSERT INTO deliveries (${NEW_DELIVERY_COLUMNS.join(', ')}, status, created_at_ms, attempted_at_ms, completed_at_ms, response_status,
       response_time_ms, error, attempts, untold) VALUES (${NEW_DELIVERY_COLUMNS.map(() => '?').join(', ')}, ?, ?, ?, ?, ?, ?, ?, 1, 0)`,
  );
  const leases = makeLeases(db);
  const writeRound = makeRoundWriter(db);

  return (write, nowMs, commit) => {
    let answer: unknown;
    switch (write.method) {
      case 'handOut':
        for (const seq of write.arg.seqs) if (handedOut.run(nowMs, seq).changes === 0) return false;
        deliveries(write.arg.deliveries, nowMs);
        answer = true;
        break;
      case 'startReplay':
        if (openReplay.get(write.arg.webhookId) !== undefined) return false;
        deliveries(write.arg.deliveries, nowMs);
        answer = true;
        break;
      case 'addEnded': {
        const { delivery, status, responseStatus, responseTimeMs, error } = write.arg;
        ended.run(...newDeliveryValues(delivery), status, nowMs, nowMs, nowMs, responseStatus, responseTimeMs, error);
        break;
      }
      case 'leaseDeliveries':
        answer = leases.take(write.arg, nowMs);
        break;
      case 'renewLease':
        answer = leases.renew(write.arg, nowMs);
        break;
      case 'wakeDeliveries':
        wake.run({ webhookId: write.arg });
        break;
      case 'writeRounds':
        answer = write.arg.map((round) => writeRound(round, nowMs));
        break;
      case 'dropDeliveries':
        drop.run(write.arg);
        dropHealth.run(write.arg);
        break;
      case 'markTold':
        for (const { webhookId, eventSeq, replayId } of write.arg) told.run(webhookId, eventSeq, replayId);
        break;
      case 'addActivity':
        for (const { tenantId, metric, count } of write.arg) addActivity.run(nowMs - (nowMs % ACTIVITY_MINUTE_MS), tenantId, metric, count);
        forgetActivity.run(nowMs - ACTIVITY_KEEP_MS);
        break;
    }
    commit();
    return answer;
  };
}

function makeDeliveryInserter(db: Database): (deliveries: readonly NewDelivery[], nowMs: number) => void {
  const columns = [...NEW_DELIVERY_COLUMNS, 'created_at_ms', 'due_at_ms'];
  const insert = db.prepare<(string | number | null)[]>(
    `INSERT INTO deliveries (${columns.join(', ')}, status, attempts, untold)
     VALUES (${columns.map(() => '?').join(', ')}, 'PENDING', 0, 0) ON CONFLICT DO NOTHING`,
  );
  const due = db.prepare<[{ webhookId: string; nowMs: number }]>(
    `INSERT INTO webhook_health (webhook_id, epoch, failures, due_at_ms, fence) VALUES (@webhookId, 0, 0, @nowMs, 0)
     ON CONFLICT (webhook_id) DO UPDATE SET due_at_ms = min(coalesce(due_at_ms, @nowMs), @nowMs)`,
  );
  return (deliveries, nowMs) => {
    for (const delivery of deliveries) insert.run(...newDeliveryValues(delivery), nowMs, nowMs);
    for (const webhookId of new Set(deliveries.map((delivery) => delivery.webhookId))) due.run({ webhookId, nowMs });
  };
}

function makeLeases(db: Database) {
  const find = db.prepare<[{ nowMs: number; limit: number }], { webhook_id: string; fence: number }>(
    `SELECT webhook_id, fence FROM webhook_health INDEXED BY webhook_health_due
     WHERE due_at_ms IS NOT NULL AND due_at_ms <= @nowMs AND (lease_until_ms IS NULL OR lease_until_ms <= @nowMs) ORDER BY due_at_ms LIMIT @limit`,
  );
  const take = db.prepare<[string, number, string]>(
    'UPDATE webhook_health SET lease_owner = ?, lease_until_ms = ?, fence = fence + 1 WHERE webhook_id = ?',
  );
  const renew = db.prepare<[DeliveryLease & { untilMs: number; nowMs: number }]>(
    `UPDATE webhook_health SET lease_until_ms = @untilMs WHERE ${HOLDER} AND lease_until_ms > @nowMs`,
  );
  return {
    take: ({ ownerId, limit, leaseMs }: { ownerId: string; limit: number; leaseMs: number }, nowMs: number): DeliveryLease[] =>
      find.all({ nowMs, limit }).map(({ webhook_id: webhookId, fence }) => {
        take.run(ownerId, nowMs + leaseMs, webhookId);
        return { webhookId, fence: fence + 1 };
      }),
    renew: ({ webhookId, fence, leaseMs }: DeliveryLease & { leaseMs: number }, nowMs: number): boolean =>
      renew.run({ webhookId, fence, untilMs: nowMs + leaseMs, nowMs }).changes > 0,
  };
}

/** Writes what was done under one lease; false, and nothing, where it is somebody else's by now. */
function makeRoundWriter(db: Database): (round: DeliveryRound, nowMs: number) => boolean {
  const holds = db.prepare<[DeliveryLease], number>(`SELECT 1 FROM webhook_health WHERE ${HOLDER}`);
  const setDelivery = db.prepare<[Record<string, string | number | null>]>(
    `UPDATE deliveries SET status = @status, attempts = @attempts, due_at_ms = @dueAtMs, attempted_at_ms = coalesce(@attemptedAtMs, attempted_at_ms),
       completed_at_ms = @completedAtMs, response_status = coalesce(@responseStatus, response_status),
       response_time_ms = coalesce(@responseTimeMs, response_time_ms), error = @error, untold = @untold
     WHERE webhook_id = @webhookId AND event_seq = @eventSeq AND replay_id = @replayId AND due_at_ms IS NOT NULL`,
  );
  const succeeded = db.prepare<[{ webhookId: string; nowMs: number; epoch: number }]>(
    `UPDATE webhook_health SET failures = 0, epoch = @epoch, last_triggered_at_ms = @nowMs, last_success_at_ms = @nowMs WHERE webhook_id = @webhookId`,
  );
  const failed = db.prepare<[{ webhookId: string; nowMs: number; epoch: number; counted: number }]>(
    `UPDATE webhook_health SET failures = CASE WHEN epoch = @epoch THEN failures + @counted ELSE @counted END, epoch = @epoch,
       last_triggered_at_ms = @nowMs, last_failure_at_ms = @nowMs WHERE webhook_id = @webhookId`,
  );
  const release = db.prepare<[DeliveryLease]>(
    `UPDATE webhook_health SET lease_owner = NULL, lease_until_ms = NULL, due_at_ms = ${DUE} WHERE ${HOLDER}`,
  );
  const park = db.prepare<[DeliveryLease & { dueAtMs: number }]>(
    `UPDATE webhook_health SET lease_owner = NULL, lease_until_ms = NULL, due_at_ms = CASE WHEN ${DUE} IS NULL THEN NULL ELSE @dueAtMs END WHERE ${HOLDER}`,
  );
  const writeResult = (webhookId: string, result: AttemptResult, at: { nowMs: number; epoch: number }): void => {
    const { ref, status, attempts, retryInMs, responseStatus, responseTimeMs, error, isCounted } = result;
    const { nowMs, epoch } = at;
    setDelivery.run({
      ...ref,
      status,
      attempts,
      dueAtMs: status === 'RETRYING' ? nowMs + (retryInMs ?? 0) : null,
      attemptedAtMs: isCounted ? nowMs : null,
      completedAtMs: status === 'RETRYING' ? null : nowMs,
      responseStatus,
      responseTimeMs,
      error,
      untold: status === 'FAILED' && isCounted ? 1 : 0,
    });
    if (status === 'SUCCESS') succeeded.run({ webhookId, nowMs, epoch });
    else if (isCounted) failed.run({ webhookId, nowMs, epoch, counted: status === 'FAILED' ? 1 : 0 });
  };
  return ({ lease, epoch, results, release: isReleased, parkMs }, nowMs) => {
    if (holds.get(lease) === undefined) return false;
    for (const result of results) writeResult(lease.webhookId, result, { nowMs, epoch });
    if (!isReleased) return true;
    if (parkMs === undefined) release.run(lease);
    else park.run({ ...lease, dueAtMs: nowMs + parkMs });
    return true;
  };
}
