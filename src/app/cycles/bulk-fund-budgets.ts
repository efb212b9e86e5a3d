import { MAX_BULK_ROWS, type FundBudgetsAnswer } from '../../core/budgets/fund-budgets.ts';
import { canonicalJson } from '../../core/json/canonical-json.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import { budgetId, USD_MICROCENTS } from '../../core/ledger/account.ts';
import type { FundOperation } from '../../core/ledger/commands.ts';
import { rejected, type Outcome } from '../../core/rejection.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { visibleBudgets, type WantedBudgets } from './list-budgets.ts';
import { refuseDeclaredBudget, type GivenAmount } from './manage-budgets.ts';

/** A funding of all budgets of one tenant that a filter means. `request` is all that the caller sent, `filter` as it came for the audit. */
export interface BulkFunding {
  readonly tenantId: string;
  readonly wanted: WantedBudgets;
  readonly filter: PlainJson;
  readonly operation: FundOperation;
  readonly amount: GivenAmount | null;
  readonly spent: GivenAmount | null;
  readonly reason?: string;
  readonly expectedCount: number | null;
  readonly idempotencyKey: string;
  readonly request: unknown;
}

/** How long the answer is kept. Source: Cycles governance, the bulk actions' `idempotency_key`. */
const KEEP_MS = 15 * 60_000;

/**
 * Makes the use case that funds all budgets that a filter means, in one transaction with one audit row. The same request under the same key
 * gets the same answer for 15 minutes, and funds once.
 *
 * Rejects, in this order: `invalid_request` (no amount; the filter), then as `fund-budgets`. Source: Cycles governance, bulkActionBudgets.
 */
export function makeBulkFundBudgets(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'budgets' | 'countBudgets'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly hasher: KeyHasher;
  readonly declared: DeclaredFields;
}) {
  const { writer, records, ids, hasher, declared } = deps;
  return async (actor: Actor, bulk: BulkFunding): Promise<Outcome<FundBudgetsAnswer>> => {
    const { tenantId, operation, amount, spent, reason } = bulk;
    if (amount === null) return rejected({ code: 'invalid_request', message: `amount is required for ${operation}`, field: 'amount' });
    const filter = visibleBudgets({ kind: 'operator' }, { ...bulk.wanted, tenantId });
    if (!filter.ok) return filter;
    const found = await records.budgets({ ...filter.value, sortBy: 'scope', descending: false, after: null, limit: MAX_BULK_ROWS + 1 });
    const matched = found.length <= MAX_BULK_ROWS ? found.length : await records.countBudgets(filter.value);
    const asked: Actor = { ...actor, correlationId: `budget_bulk_action:${operation.toLowerCase()}:${actor.requestId}` };
    const named = { name: 'bulkActionBudgets', tenantId, resourceKind: 'budget', resourceId: operation };
    const base = auditedBase(ids, asked, named);
    const money = { tenantId, scope: `tenant:${tenantId}`, unit: USD_MICROCENTS };
    const isDeclared = refuseDeclaredBudget(declared, money) !== null;
    const given = reason === undefined ? {} : { reason };
    return writer.execute({
      verb: 'fund-budgets',
      ...base,
      audit: {
        ...base.audit,
        metadata: { actor_type: 'admin_on_behalf_of', action: operation, filter: bulk.filter, amount: `${amount.amount}`, ...given },
      },
      accountIds: found.slice(0, MAX_BULK_ROWS).map(({ id }) => id),
      declared: isDeclared ? budgetId(tenantId, money.scope, money.unit) : null,
      matched,
      expected: bulk.expectedCount,
      operation,
      unit: amount.unit,
      amount: amount.amount,
      spentUnit: spent?.unit ?? null,
      ...(spent === null ? {} : { spent: spent.amount }),
      ...given,
      idempotency: {
        ref: { tenantId, operation: 'bulkActionBudgets', target: '', key: bulk.idempotencyKey },
        hash: hasher.hash(`bulkActionBudgets ${canonicalJson(bulk.request)}`),
        keepMs: KEEP_MS,
      },
    });
  };
}
