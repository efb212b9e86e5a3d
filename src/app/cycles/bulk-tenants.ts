import type { Tenant, TenantStatus } from '../../core/records.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { TenantFilter } from '../../ports/governance-reads.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { refuseDeclared } from '../refuse-declared.ts';
import { makeBulkAction, MAX_BULK_MATCHES, type BulkResult, type BulkRow } from './bulk-action.ts';
import { CLOSE_WAIT_MS, type CloseTenants } from './close-tenant.ts';

/** What can be done to many tenants at once. */
export type TenantAction = 'SUSPEND' | 'REACTIVATE' | 'CLOSE';

const TARGETS: Readonly<Record<TenantAction, TenantStatus>> = { SUSPEND: 'SUSPENDED', REACTIVATE: 'ACTIVE', CLOSE: 'CLOSED' };

/** What to do, to which tenants. `shownFilter` is the filter as it came. */
export interface TenantBulk {
  readonly action: TenantAction;
  readonly filter: TenantFilter;
  readonly shownFilter: Readonly<Record<string, string>>;
  readonly expectedCount: number | null;
  readonly idempotencyKey: string;
}

/**
 * Makes the use case that suspends, reactivates or closes all tenants that a filter matches. Each row's events share the correlation id of
 * the whole. `isClosing` tells that something of a closed tenant is still being ended in the background.
 *
 * Rejects: `idempotency_mismatch`, `too_many_matches`, `count_mismatch`. Source: Cycles governance, bulkActionTenants.
 */
export function makeBulkTenants(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'tenantPage' | 'tenantCount'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly declared: DeclaredFields;
  readonly closeTenants: Pick<CloseTenants, 'run'>;
  readonly elapsedMs: () => number;
}) {
  const { writer, records, ids, declared, closeTenants, elapsedMs } = deps;
  const run = makeBulkAction(deps);

  /** Changes one tenant without an audit row of its own: the whole action has one. */
  async function change(actor: Actor, tenant: Tenant, action: TenantAction): Promise<BulkRow> {
    const { id } = tenant;
    const status = TARGETS[action];
    const declaredHere = refuseDeclared(declared, { kind: 'tenant', id }, ['status']);
    if (declaredHere !== null) return { id, error_code: 'POLICY_VIOLATION', message: declaredHere.message };
    const base = auditedBase(ids, actor, { name: 'bulkActionTenants', tenantId: id, resourceKind: 'tenant', resourceId: id });
    const outcome = await writer.execute({ verb: 'update-tenant', id: base.id, tenantId: id, origin: base.origin, status });
    if (!outcome.ok) return { id, error_code: ROW_CODES[outcome.rejection.code] ?? 'INTERNAL_ERROR', message: outcome.rejection.message };
    return tenant.status === status ? { id, reason: 'ALREADY_IN_TARGET_STATE' } : { id };
  }

  return async (actor: Actor, bulk: TenantBulk): Promise<Outcome<{ result: BulkResult; isClosing: boolean }>> => {
    const { action, filter } = bulk;
    const asked: Actor = { ...actor, correlationId: `tenant_bulk_action:${action.toLowerCase()}:${actor.requestId}` };
    const lastMs = elapsedMs() + CLOSE_WAIT_MS;
    const outcome = await run<Tenant>(asked, {
      operation: 'bulkActionTenants',
      resourceKind: 'tenant',
      action,
      filter: bulk.shownFilter,
      idempotencyKey: bulk.idempotencyKey,
      expectedCount: bulk.expectedCount,
      match: async () => {
        const page = { sortBy: 'tenant_id', descending: false, after: null, limit: MAX_BULK_MATCHES } as const;
        const [total, things] = await Promise.all([records.tenantCount(filter), records.tenantPage({ ...filter, ...page })]);
        return { total, things };
      },
      apply: (tenant) => change(asked, tenant, action),
    });
    if (!outcome.ok) return outcome;
    const closed = action === 'CLOSE' ? [...outcome.value.succeeded, ...outcome.value.skipped] : [];
    const done = await Promise.all(closed.map(({ id }) => closeTenants.run(id, Math.max(0, lastMs - elapsedMs()))));
    return accepted({ result: outcome.value, isClosing: done.includes(false) });
  };
}

/** What the rows of an answer call refusals. */
const ROW_CODES: Readonly<Record<string, string>> = {
  invalid_transition: 'INVALID_TRANSITION',
  tenant_closed: 'TENANT_CLOSED',
  not_found: 'NOT_FOUND',
};
