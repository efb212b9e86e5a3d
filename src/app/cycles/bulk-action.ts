import type { PlainJson } from '../../core/json/plain-json.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { accepted, rejected, type Outcome, type Rejection } from '../../core/rejection.ts';
import type { Ids } from '../../ports/ids.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** Things that one action may be applied to. Source: Cycles governance, bulk actions. */
export const MAX_BULK_MATCHES = 500;

/** What became of one thing. `code` and `message` where it failed, `reason` where nothing had to be done. */
export type BulkRow =
  | { readonly id: string }
  | { readonly id: string; readonly error_code: string; readonly message: string }
  | { readonly id: string; readonly reason: string };

/** What an action on many things came to, as the wire has it. */
export interface BulkResult {
  readonly action: string;
  readonly total_matched: number;
  readonly succeeded: readonly BulkRow[];
  readonly failed: readonly BulkRow[];
  readonly skipped: readonly BulkRow[];
  readonly idempotency_key: string;
}

/** One action on all that a filter matches. `operation` names it for the audit, `filter` is what its row tells of it. */
export interface BulkAction<T> {
  readonly operation: string;
  readonly resourceKind: string;
  readonly action: string;
  readonly filter: PlainJson;
  readonly idempotencyKey: string;
  readonly expectedCount: number | null;
  /** How many match, and those that do, at most {@link MAX_BULK_MATCHES}. */
  readonly match: () => Promise<{ readonly total: number; readonly things: readonly T[] }>;
  /** Applies the action to one of them. */
  readonly apply: (thing: T) => Promise<BulkRow>;
}

/** Makes what runs a {@link BulkAction}. Things are asked for in parallel; `elapsedMs` is a clock that never goes back. */
export function makeBulkAction(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly elapsedMs: () => number;
}) {
  const { writer, ids, elapsedMs } = deps;
  /**
   * The answer is remembered for 15 minutes under the caller's key: the same request gets it again and does nothing. One audit row tells
   * of the whole. What was refused did nothing.
   *
   * Rejects, in this order: `idempotency_mismatch`, `too_many_matches`, `count_mismatch`.
   */
  return async <T>(actor: Actor, bulk: BulkAction<T>): Promise<Outcome<BulkResult>> => {
    const startedMs = elapsedMs();
    const { operation, action, idempotencyKey } = bulk;
    const keep = {
      verb: 'keep-answer',
      ref: { tenantId: SYSTEM_TENANT, operation, target: '', key: idempotencyKey },
      hash: JSON.stringify([action, bulk.filter, bulk.expectedCount]),
    } as const;
    const before = await writer.execute({ ...keep, id: ids.next('cmd'), tenantId: SYSTEM_TENANT, answer: null });
    if (!before.ok) return before;
    if (before.value !== null) return accepted(before.value as unknown as BulkResult);

    const { total, things } = await bulk.match();
    const refusal = refuseMatches(total, bulk.expectedCount);
    if (refusal !== null) return rejected(refusal);
    const rows = await Promise.all(things.map((thing) => bulk.apply(thing)));
    const result: BulkResult = {
      action,
      total_matched: total,
      succeeded: rows.filter((row) => !('error_code' in row) && !('reason' in row)),
      failed: rows.filter((row) => 'error_code' in row),
      skipped: rows.filter((row) => 'reason' in row),
      idempotency_key: idempotencyKey,
    };
    const named = { name: operation, tenantId: SYSTEM_TENANT, resourceKind: bulk.resourceKind, resourceId: action };
    const base = auditedBase(ids, actor, named);
    const metadata = {
      actor_type: 'admin_on_behalf_of',
      action,
      filter: bulk.filter,
      total_matched: total,
      succeeded_ids: result.succeeded.map(({ id }) => id),
      failed_rows: result.failed as unknown as PlainJson,
      skipped_rows: result.skipped as unknown as PlainJson,
      duration_ms: Math.round(elapsedMs() - startedMs),
    };
    const kept = await writer.execute({
      ...keep,
      ...base,
      audit: { ...base.audit, metadata },
      answer: result as unknown as PlainJson,
    });
    return kept.ok ? accepted(kept.value as unknown as BulkResult) : kept;
  };
}

function refuseMatches(total: number, expected: number | null): Rejection | null {
  if (total > MAX_BULK_MATCHES) {
    const message = `the filter matches ${total}, and one request may change ${MAX_BULK_MATCHES} at most`;
    return { code: 'too_many_matches', message, field: 'filter', details: { total_matched: total } };
  }
  if (expected === null || expected === total) return null;
  const message = `the filter matches ${total}, not ${expected}; nothing was changed`;
  return { code: 'count_mismatch', message, field: 'expected_count', details: { total_matched: total } };
}
