import { maskOf } from '../../core/access/credentials.ts';
import { inspectJson, JsonNumberError, parseJson, stringifyJson } from '../../core/json/int64.ts';
import type { ReportItem } from '../../core/ledger/commands.ts';
import type { ReportedOutcome } from '../../core/ledger/report-usage.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { accepted, rejected, type Outcome, type Rejection } from '../../core/rejection.ts';
import { readReportedEvent } from '../../core/usage/reported-event.ts';
import { MAX_REPORT_SKEW_MS } from '../../core/usage/usage-report.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { judgedAnew, makeJudgeReports, type EventToJudge, type JudgeReportsDeps } from './judge-reports.ts';

/** A delivery whose signature was found good. `body` are the bytes that were signed. */
export interface ReportDelivery {
  readonly reporterId: string;
  readonly nonce: string;
  readonly body: Uint8Array;
}

/** An event that was not booked now; `eventId` is null where it has none, `message` says which rule it breaks. */
export interface UnbookedEvent {
  readonly eventId: string | null;
  readonly status: 'duplicate' | 'conflict' | 'quarantined' | 'invalid';
  readonly reason: string | null;
  readonly message: string | null;
}

/** What came of a delivery: how many events were booked now, and what became of each other one, in their order. */
export interface ReportReceipt {
  readonly deliveryId: string;
  readonly booked: number;
  readonly unbooked: readonly UnbookedEvent[];
}

/** Most events of one delivery; the stock client sends half as many. One delivery is one command, which must not hold others up for long. */
export const MAX_REPORT_EVENTS = 2000;

/** For how long a delivery can be sent again before its timestamp is too old, with a margin. */
const NONCE_KEEP_MS = 2 * MAX_REPORT_SKEW_MS + 60_000;

/** A credential shorter than that would be shown by its mask. */
const LEAST_MASKED_CHARS = 20;

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });

type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly rejection: Rejection };

/** An event with its place in the delivery; those that have no id at all are kept nowhere. */
type ReadEvent =
  | { readonly kind: 'good'; readonly toJudge: EventToJudge }
  | { readonly kind: 'broken'; readonly eventId: string; readonly hash: string; readonly rule: string }
  | { readonly kind: 'nameless'; readonly rule: string };

/**
 * Makes the use case that books what another proxy reports, all of a delivery in one transaction.
 *
 * An event that breaks a rule, or cannot be booked, hinders no other. Of a key, only its keyed hash and its mask are kept.
 * Rejects, in this order: `invalid_request` (no JSON, no object, `delivery_id` is not the nonce, `events` is no list or too long), then as
 * the command `report-usage`. Throws a `Fault` where the store did not take it: then nothing was booked, or the whole of it, and the same
 * delivery may be sent again.
 */
export function makeAcceptReport(
  deps: JudgeReportsDeps & { writer: Pick<LedgerWriter, 'execute'>; hasher: KeyHasher; ids: Pick<Ids, 'next'>; log: Log },
): (delivery: ReportDelivery) => Promise<Outcome<ReportReceipt>> {
  const { writer, hasher, ids, log } = deps;
  const judge = makeJudgeReports(deps);

  return async ({ reporterId, nonce, body }) => {
    const read = readBody(body, nonce);
    if (!read.ok) return read;
    const events = read.value.map((value) => readEvent(value, hasher));
    const outcome = await judgedAnew(async () => {
      const judged = await judge(
        reporterId,
        events.flatMap((event) => (event.kind === 'good' ? [event.toJudge] : [])),
      );
      const good = judged[Symbol.iterator]();
      const items = events.flatMap((event): ReportItem[] => {
        if (event.kind === 'nameless') return [];
        return event.kind === 'good' ? [good.next().value as ReportItem] : [brokenItem(event)];
      });
      return writer.execute({
        verb: 'report-usage',
        id: ids.next('cmd'),
        tenantId: SYSTEM_TENANT,
        reporterId,
        nonce,
        nonceKeepMs: NONCE_KEEP_MS,
        items,
      });
    });
    if (!outcome.ok) return outcome;
    const receipt = receiptOf(nonce, events, outcome.value.events);
    tell(log, reporterId, receipt);
    return accepted(receipt);
  };
}

const invalid = (message: string, field?: string): { readonly ok: false; readonly rejection: Rejection } =>
  rejected({ code: 'invalid_request', message, ...(field === undefined ? {} : { field }) });

function readBody(bytes: Uint8Array, nonce: string): Read<readonly unknown[]> {
  let body: unknown;
  try {
    body = parseJson(STRICT_UTF8.decode(bytes));
  } catch (error) {
    // Its message may quote the body, where credentials stand.
    return invalid(error instanceof JsonNumberError ? 'a number in the body is out of range' : 'the body is not valid JSON');
  }
  const defect = inspectJson(body);
  if (defect !== null)
    return invalid(defect.kind === 'too_deep' ? 'the body is nested too deeply' : `the body must not hold the key ${defect.key}`);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return invalid('the body must be a JSON object');
  const { delivery_id: deliveryId, events } = body as { delivery_id?: unknown; events?: unknown };
  if (deliveryId !== nonce) return invalid('delivery_id must be the value of X-Tinfoil-Nonce', 'delivery_id');
  if (!Array.isArray(events)) return invalid('events must be a list', 'events');
  if (events.length > MAX_REPORT_EVENTS) return invalid(`events must hold at most ${MAX_REPORT_EVENTS} events`, 'events');
  return { ok: true, value: events as unknown[] };
}

function readEvent(value: unknown, hasher: KeyHasher): ReadEvent {
  const read = readReportedEvent(value);
  if (!read.ok) {
    if (read.eventId === null) return { kind: 'nameless', rule: read.rule };
    return { kind: 'broken', eventId: read.eventId, hash: hasher.hash(stringifyJson(value)), rule: read.rule };
  }
  const { event, apiKey } = read;
  const keyHash = hasher.hash(apiKey);
  const maskedKey = apiKey.length < LEAST_MASKED_CHARS ? '*'.repeat(apiKey.length) : maskOf(apiKey);
  // The key's own hash takes part, so the same usage of another key is another event.
  return { kind: 'good', toJudge: { event: { ...event, keyHash, maskedKey }, hash: hasher.hash(JSON.stringify([keyHash, event])) } };
}

/** Of an event that breaks a rule only the rule is kept: nobody knows where its key stands. */
const brokenItem = ({ eventId, hash, rule }: ReadEvent & { kind: 'broken' }): ReportItem => ({
  eventId,
  hash,
  occurredAtMs: 0,
  judgement: { kind: 'quarantine', reason: 'invalid' },
  body: { rule },
});

function receiptOf(deliveryId: string, events: readonly ReadEvent[], outcomes: readonly ReportedOutcome[]): ReportReceipt {
  const rest = outcomes[Symbol.iterator]();
  const all = events.map((event): UnbookedEvent | null => {
    if (event.kind === 'nameless') return { eventId: null, status: 'invalid', reason: 'invalid', message: event.rule };
    const { eventId, status, reason } = rest.next().value as ReportedOutcome;
    if (status === 'booked') return null;
    // Whose key it is, is no business of a reporter that does not report for its tenant.
    const told = reason === 'foreign_tenant' ? 'unknown_key' : reason;
    return { eventId, status, reason: told, message: event.kind === 'broken' ? event.rule : null };
  });
  const unbooked = all.filter((event) => event !== null);
  return { deliveryId, booked: all.length - unbooked.length, unbooked };
}

/** Tells the operator of events that were not booked and should have been. A duplicate is as it should be. */
function tell(log: Log, reporterId: string, { deliveryId, booked, unbooked }: ReportReceipt): void {
  const odd = unbooked.filter(({ status }) => status !== 'duplicate');
  if (odd.length === 0) return;
  const counts = Object.fromEntries(
    [...Map.groupBy(odd, ({ status, reason }) => (status === 'conflict' ? status : String(reason)))].map(([name, of]) => [name, of.length]),
  );
  log.warn({ reporterId, deliveryId, booked, unbooked: counts }, 'events of a usage report were not booked');
}
