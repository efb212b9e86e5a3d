import type { PlainJson } from '../../core/json/plain-json.ts';
import type { QuarantineReason, UsageReport } from '../../core/usage/usage-report.ts';
import type { ColumnValue } from './record-tables.ts';

/** The columns of `usage_reports`, in the order of {@link reportValues}; the first two are its primary key. */
export const REPORT_COLUMNS = ['reporter_id', 'event_id', 'hash', 'reason', 'received_at_ms', 'body'] as const;

/** What of a report changes: those of {@link REPORT_COLUMNS} behind its key. */
export const REPORT_STATE_COLUMNS = REPORT_COLUMNS.slice(2);

/** A row of `usage_reports` as both drivers give it; the moment is a bigint or a number. */
export interface ReportRow {
  readonly reporter_id: string;
  readonly event_id: string;
  readonly hash: string;
  readonly reason: string | null;
  readonly received_at_ms: bigint | number;
  readonly body: string;
}

/** The row of a report. */
export const reportValues = ({ reporterId, eventId, hash, reason, receivedAtMs, body }: UsageReport): ColumnValue[] => [
  reporterId,
  eventId,
  hash,
  reason,
  receivedAtMs,
  JSON.stringify(body),
];

/** The report of a row. */
export const reportFromRow = (row: ReportRow): UsageReport => ({
  reporterId: row.reporter_id,
  eventId: row.event_id,
  hash: row.hash,
  // Only what we wrote stands there.
  reason: row.reason as QuarantineReason | null,
  receivedAtMs: Number(row.received_at_ms),
  body: JSON.parse(row.body) as PlainJson,
});
