import type { UpdateTenantCommand } from '../core/access/commands.ts';
import { DEFAULT_ENTITLEMENTS } from '../core/access/defaults.ts';
import { budgetId, USD_MICROCENTS, type Account } from '../core/ledger/account.ts';
import type { Entitlements, Member, Tenant } from '../core/records.ts';
import { memberRecordId } from '../core/records.ts';
import { accepted, rejected, type Outcome } from '../core/rejection.ts';
import type { DeclaredFields } from '../ports/declared-fields.ts';
import type { Ids } from '../ports/ids.ts';
import type { RecordStore } from '../ports/record-store.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import { seenTerms } from './balance/seen-terms.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import { refuseDeclared } from './refuse-declared.ts';

/** What may change of a tenant; what is left out stays. */
export type TenantChanges = Pick<
  UpdateTenantCommand,
  'name' | 'status' | 'requireBudget' | 'allowUnpriced' | 'hideAmounts' | 'entitlements' | 'currency' | 'requireBalance'
>;

/** A tenant to be made. Without entitlements it has those of every new tenant; given ones replace single ones of them. */
export interface NewTenant extends TenantChanges {
  readonly id: string;
}

/** What the operator does with tenants, their members and their money. */
export interface TenantManagement {
  /** Rejects as the command `create-tenant` does. */
  create(actor: Actor, tenant: NewTenant): Promise<Outcome<Tenant>>;
  /** Changes what is given; `declaredAs` are the fields' names in the configuration file. Rejects: `managed_by_file`, then as `update-tenant`. */
  update(
    actor: Actor,
    id: string,
    change: { readonly changes: TenantChanges; readonly declaredAs: readonly string[] },
  ): Promise<Outcome<Tenant>>;
  /** Rejects: `not_found`. */
  find(id: string): Promise<Outcome<Tenant>>;
  /** The members that were not removed, ordered by id. Rejects: `not_found`. */
  members(tenantId: string): Promise<Outcome<Member[]>>;
  /** Rejects as the command `add-member` does. */
  addMember(actor: Actor, tenantId: string, member: Pick<Member, 'id' | 'email' | 'role'>): Promise<Outcome<Member>>;
  /** Rejects: `managed_by_file`, then as `remove-member`. */
  removeMember(actor: Actor, tenantId: string, memberId: string): Promise<Outcome<Member>>;
  /** The money budget, undefined where none was ever set. Rejects: `not_found`. */
  moneyBudget(tenantId: string): Promise<Outcome<Account | undefined>>;
  /** Sets what the tenant may spend in all, null: no limit. Rejects: `not_found`, `managed_by_file`, then as `allocate`. */
  setMoneyBudget(actor: Actor, tenantId: string, microcents: bigint | null): Promise<Outcome<Account | undefined>>;
}

/** The budget over all money of a tenant. Source: architecture section 4. */
export const tenantBudgetId = (tenantId: string) => budgetId(tenantId, `tenant:${tenantId}`, USD_MICROCENTS);

/** Makes the {@link TenantManagement}. */
export function makeTenantManagement(deps: {
  writer: Pick<LedgerWriter, 'execute'>;
  records: Pick<RecordStore, 'record' | 'records' | 'accounts'>;
  ids: Pick<Ids, 'next'>;
  declared: DeclaredFields;
}): TenantManagement {
  const { writer, records, ids, declared } = deps;

  const find = async (id: string): Promise<Outcome<Tenant>> => {
    const tenant = await records.record('tenant', id);
    return tenant === undefined ? rejected({ code: 'not_found', message: `tenant ${id} not found` }) : accepted(tenant);
  };

  const readBudget = async (tenantId: string): Promise<Outcome<Account | undefined>> => {
    const id = tenantBudgetId(tenantId);
    return accepted((await records.accounts([id])).get(id));
  };

  return {
    find,
    create: async (actor, { id, name, requireBudget, allowUnpriced, hideAmounts, entitlements, currency, requireBalance }) =>
      writer.execute({
        verb: 'create-tenant',
        ...auditedBase(ids, actor, { name: 'create-tenant', tenantId: id, resourceKind: 'tenant', resourceId: id }),
        tenant: {
          id,
          name: name ?? id,
          requireBudget: requireBudget ?? false,
          allowUnpriced: allowUnpriced ?? false,
          hideAmounts: hideAmounts ?? false,
          entitlements: { ...DEFAULT_ENTITLEMENTS, ...entitlements } satisfies Entitlements,
          ...(currency === undefined ? {} : { currency }),
          ...(requireBalance === undefined ? {} : { requireBalance }),
        },
        ...(await seenTerms(records, undefined, { currency, requireBalance })),
      }),
    update: async (actor, id, { changes, declaredAs }) => {
      const refusal = refuseDeclared(declared, { kind: 'tenant', id }, declaredAs);
      if (refusal !== null) return rejected(refusal);
      const base = auditedBase(ids, actor, { name: 'update-tenant', tenantId: id, resourceKind: 'tenant', resourceId: id });
      const isTerms = changes.currency !== undefined || changes.requireBalance !== undefined;
      const kept = isTerms ? await records.record('tenant', id) : undefined;
      return writer.execute({ verb: 'update-tenant', ...base, ...changes, ...(await seenTerms(records, kept, changes)) });
    },
    members: async (tenantId) => {
      const tenant = await find(tenantId);
      if (!tenant.ok) return tenant;
      return accepted((await records.records('member', tenantId)).filter(({ removedAtMs }) => removedAtMs === null));
    },
    addMember: (actor, tenantId, member) =>
      writer.execute({
        verb: 'add-member',
        ...auditedBase(ids, actor, { name: 'add-member', tenantId, resourceKind: 'member', resourceId: member.id }),
        member,
      }),
    removeMember: async (actor, tenantId, memberId) => {
      const refusal = refuseDeclared(declared, { kind: 'member', id: memberRecordId(tenantId, memberId) }, ['id']);
      if (refusal !== null) return rejected(refusal);
      const base = auditedBase(ids, actor, { name: 'remove-member', tenantId, resourceKind: 'member', resourceId: memberId });
      return writer.execute({ verb: 'remove-member', ...base, memberId });
    },
    moneyBudget: async (tenantId) => {
      const tenant = await find(tenantId);
      return tenant.ok ? readBudget(tenantId) : tenant;
    },
    setMoneyBudget: async (actor, tenantId, microcents) => {
      const tenant = await find(tenantId);
      if (!tenant.ok) return tenant;
      const refusal = refuseDeclared(declared, { kind: 'tenant', id: tenantId }, ['money_budget_usd']);
      if (refusal !== null) return rejected(refusal);
      const base = auditedBase(ids, actor, {
        name: 'set-money-budget',
        tenantId,
        resourceKind: 'budget',
        resourceId: `tenant:${tenantId}`,
      });
      const outcome = await writer.execute({ verb: 'allocate', ...base, accountId: tenantBudgetId(tenantId), allocated: microcents });
      return outcome.ok ? readBudget(tenantId) : outcome;
    },
  };
}
