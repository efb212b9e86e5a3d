import type { UpdateTenantCommand } from '../../core/access/commands.ts';
import { DEFAULT_ENTITLEMENTS } from '../../core/access/defaults.ts';
import type { TenantTerms } from '../../core/access/tenant-rules.ts';
import { closeCorrelationId } from '../../core/cycles/close-mark.ts';
import type { Tenant } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { SortedPage, TenantFilter, TenantSort } from '../../ports/governance-reads.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { answeredAs, auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { refuseDeclared } from '../refuse-declared.ts';
import { CLOSE_WAIT_MS, type CloseTenants } from './close-tenant.ts';

/** What may change of a tenant on the governance surface; what is left out stays. */
export type GovernedChanges = Omit<TenantTerms, 'parentTenantId'> & Pick<UpdateTenantCommand, 'name' | 'status'>;

/** A tenant that was changed. `isClosing`: it is closed, and what it owns is still being brought to its end in the background. */
export interface ChangedTenant {
  readonly tenant: Tenant;
  readonly isClosing: boolean;
}

/** What the governance surface does with single tenants. */
export interface GovernTenants {
  /** Makes a tenant with the entitlements of every new one, or finds the one of this id and name. Rejects as `ensure-tenant`. */
  ensure(actor: Actor, tenant: Pick<Tenant, 'id' | 'name'> & TenantTerms): Promise<Outcome<{ tenant: Tenant; isNew: boolean }>>;
  /**
   * Changes what is given; `fields` are its names on the wire. Closing a tenant, also again, ends what it owns before it answers, or goes
   * on in the background after two seconds. Rejects: `managed_by_file`, then as `update-tenant`, with `tenant_not_found`.
   */
  update(actor: Actor, id: string, change: { changes: GovernedChanges; fields: readonly string[] }): Promise<Outcome<ChangedTenant>>;
  /** Rejects: `tenant_not_found`. */
  find(id: string): Promise<Outcome<Tenant>>;
  /** Tenants in order. */
  page(query: SortedPage<TenantSort> & TenantFilter): Promise<Tenant[]>;
}

/** The refusal of a tenant that is not there, as the governance surface names it. */
const noSuchTenant = (id: string): Outcome<never> =>
  rejected({ code: 'tenant_not_found', message: `there is no tenant ${id}`, field: 'tenant_id' });

/** Makes the {@link GovernTenants}. */
export function makeGovernTenants(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record' | 'tenantPage'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly declared: DeclaredFields;
  readonly closeTenants: Pick<CloseTenants, 'run'>;
}): GovernTenants {
  const { writer, records, ids, declared, closeTenants } = deps;
  return {
    ensure: (actor, tenant) =>
      writer.execute({
        verb: 'ensure-tenant',
        ...auditedBase(ids, actor, { name: 'createTenant', tenantId: tenant.id, resourceKind: 'tenant', resourceId: tenant.id }),
        tenant: { ...tenant, requireBudget: false, allowUnpriced: false, hideAmounts: false, entitlements: DEFAULT_ENTITLEMENTS },
      }),
    update: async (actor, id, { changes, fields }) => {
      const refusal = refuseDeclared(declared, { kind: 'tenant', id }, fields);
      if (refusal !== null) return rejected(refusal);
      const closes = changes.status === 'CLOSED';
      const asked: Actor = closes ? { ...actor, correlationId: closeCorrelationId(id, actor.requestId) } : actor;
      const base = auditedBase(ids, answeredAs(asked, 'not_found', 'tenant_not_found'), {
        name: 'updateTenant',
        tenantId: id,
        resourceKind: 'tenant',
        resourceId: id,
      });
      const outcome = await writer.execute({ verb: 'update-tenant', ...base, ...changes });
      if (!outcome.ok) return outcome.rejection.code === 'not_found' ? noSuchTenant(id) : outcome;
      const isClosing = closes && !(await closeTenants.run(id, CLOSE_WAIT_MS));
      return accepted({ tenant: outcome.value, isClosing });
    },
    find: async (id) => {
      const tenant = await records.record('tenant', id);
      return tenant === undefined ? noSuchTenant(id) : accepted(tenant);
    },
    page: (query) => records.tenantPage(query),
  };
}
