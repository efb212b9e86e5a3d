import { balanceNeeds, changeTerms } from '../balance/balance-terms.ts';
import { accepted, rejected } from '../rejection.ts';
import type { Tenant } from '../records.ts';
import { refuse, type Decision, type Needs, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { CreateTenantCommand, EnsureTenantCommand } from './commands.ts';
import { checkTenantId, checkText, firstOf } from './rules.ts';
import { checkEntitlements, checkTenantTerms } from './tenant-rules.ts';

function decideCreate(state: State, command: CreateTenantCommand | EnsureTenantCommand, nowMs: number): Decision<Tenant> {
  const { id, name, entitlements } = command.tenant;
  const bad = firstOf(checkTenantId(id), checkText('name', name), checkEntitlements(entitlements), checkTenantTerms(command.tenant));
  if (bad !== null) return refuse(bad);
  if (state.record('tenant', id) !== undefined)
    return refuse(rejected({ code: 'conflict', message: `the tenant ${id} exists already`, field: 'id' }));
  const edited: Tenant = { ...command.tenant, status: 'ACTIVE', keyCount: 0, createdAtMs: nowMs };
  const { seen } = command;
  const balanced =
    seen === undefined
      ? { ok: true as const, tenant: edited, effects: [] }
      : changeTerms(state, { before: undefined, edited, seen }, nowMs);
  if (!balanced.ok) return refuse(balanced.refusal);
  const { tenant } = balanced;
  const data = { tenant_id: id, new_status: 'ACTIVE', changed_fields: [] };
  return {
    outcome: accepted(tenant),
    effects: [
      { type: 'record', kind: 'tenant', id, record: tenant },
      ...balanced.effects,
      ...eventEffects(command, nowMs, [{ type: 'tenant.created', data }]),
    ],
  };
}

function needsOf({ tenant: { id }, seen }: CreateTenantCommand | EnsureTenantCommand): Needs {
  const balance = seen === undefined ? null : balanceNeeds(id, seen, seen.currency);
  return {
    tenantLock: 'exclusive',
    accounts: balance?.accounts ?? [],
    records: [{ kind: 'tenant', id }, ...(balance?.records ?? [])],
  };
}

/**
 * Makes an ACTIVE tenant without keys. The value is the tenant.
 *
 * Rejects, in this order: `invalid_request` (id, name, entitlements, terms), `conflict`, then as `changeTerms` does.
 */
export const createTenantVerb: Verb<CreateTenantCommand, Tenant> = {
  needs: needsOf,
  decide: decideCreate,
};

/**
 * Makes an ACTIVE tenant, or finds the one that has this id and name already, whatever else it is. The value is the tenant, and whether
 * it was made.
 *
 * Rejects, in this order: `invalid_request` (id, name, entitlements, terms), `conflict` (one of another name). Source: Cycles
 * governance, createTenant.
 */
export const ensureTenantVerb: Verb<EnsureTenantCommand, { readonly tenant: Tenant; readonly isNew: boolean }> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const existing = state.record('tenant', command.tenant.id);
    if (existing !== undefined && existing.name === command.tenant.name)
      return { outcome: accepted({ tenant: existing, isNew: false }), effects: [], auditStatus: 200 };
    const { outcome, effects } = decideCreate(state, command, nowMs);
    return outcome.ok ? { outcome: accepted({ tenant: outcome.value, isNew: true }), effects } : { outcome, effects };
  },
};
