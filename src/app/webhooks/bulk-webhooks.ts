import type { PlainJson } from '../../core/json/plain-json.ts';
import type { Webhook } from '../../core/records.ts';
import type { Outcome, Rejection } from '../../core/rejection.ts';
import type { Ids } from '../../ports/ids.ts';
import { originOf, type Actor } from '../audited-command.ts';
import { makeBulkAction, MAX_BULK_MATCHES, type BulkResult, type BulkRow } from '../cycles/bulk-action.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { matchesFilter, type WebhookFilter } from './manage-webhooks.ts';
import type { Subscriptions } from './subscriptions.ts';

/** What can be done to many subscriptions. */
export type WebhookBulkAction = 'PAUSE' | 'RESUME' | 'DELETE';

/** An action on all subscriptions that a filter shows. `filter` is as the request wrote it, for the audit. */
export interface WebhookBulkRequest {
  readonly action: WebhookBulkAction;
  readonly filter: PlainJson;
  readonly matches: WebhookFilter;
  readonly idempotencyKey: string;
  readonly expectedCount: number | null;
}

const TARGET = { PAUSE: 'PAUSED', RESUME: 'ACTIVE' } as const;

/** What is told of a row that was refused. Source: Cycles governance, `BulkActionRowOutcome`. */
function failedRow(id: string, { code, message }: Rejection): BulkRow {
  if (code === 'webhook_not_found') return { id, reason: 'ALREADY_DELETED' };
  return { id, error_code: code === 'tenant_closed' ? 'TENANT_CLOSED' : 'INVALID_TRANSITION', message };
}

/**
 * Makes the use case that pauses, resumes or deletes all subscriptions of a filter. One that is DISABLED is not resumed so, and counts as
 * paused. Each that changes is told of; one audit row tells of the whole.
 *
 * Rejects as {@link makeBulkAction} does. Source: Cycles governance, `bulkActionWebhooks`.
 */
export function makeBulkWebhooks(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly subscriptions: Subscriptions;
  readonly ids: Pick<Ids, 'next'>;
  readonly elapsedMs: () => number;
  readonly onResumed: (webhookId: string) => Promise<void>;
}) {
  const { writer, subscriptions, ids } = deps;
  const run = makeBulkAction(deps);

  return (actor: Actor, request: WebhookBulkRequest): Promise<Outcome<BulkResult>> => {
    const { action, filter, idempotencyKey, expectedCount } = request;
    const origin = originOf({ ...actor, correlationId: `webhook_bulk_action:${action.toLowerCase()}:${actor.requestId}` });
    const apply = async ({ id, tenantId, status }: Webhook): Promise<BulkRow> => {
      const base = { id: ids.next('cmd'), tenantId, origin, webhookId: id };
      if (action === 'DELETE') {
        const gone = await writer.execute({ verb: 'delete-webhook', ...base });
        return gone.ok ? { id } : failedRow(id, gone.rejection);
      }
      const isThere = status === TARGET[action] || (action === 'PAUSE' && status === 'DISABLED');
      if (isThere) return { id, reason: 'ALREADY_IN_TARGET_STATE' };
      const changed = await writer.execute({ verb: 'update-webhook', ...base, changes: { status: TARGET[action] }, leavesDisabled: true });
      if (!changed.ok) return failedRow(id, changed.rejection);
      if (action === 'RESUME') await deps.onResumed(id);
      return { id };
    };
    return run(actor, {
      operation: 'bulkActionWebhooks',
      resourceKind: 'webhook',
      action,
      filter,
      idempotencyKey,
      expectedCount,
      match: async () => {
        await subscriptions.refresh();
        const found = subscriptions.all().filter((webhook) => matchesFilter(webhook, request.matches));
        return { total: found.length, things: found.slice(0, MAX_BULK_MATCHES) };
      },
      apply,
    });
  };
}
