import { accepted, rejected } from '../rejection.ts';
import type { Tenant } from '../records.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
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
  const tenant: Tenant = { ...command.tenant, status: 'ACTIVE', keyCount: 0, createdAtMs: nowMs };
  const data = { tenant_id: id, new_status: 'ACTIVE', changed_fields: [] };
  return {
    outcome: accepted(tenant),
    effects: [{ type: 'record', kind: 'tenant', id, record: tenant }, ...eventEffects(command, nowMs, [{ type: 'tenant.created', data }])],
  };
}

/**
 * Makes an ACTIVE tenant without keys. The value is the tenant.
 *
 * Rejects, in this order: `invalid_request` (id, name, entitlements, terms), `conflict`.
 */
export const createTenantVerb: Verb<CreateTenantCommand, Tenant> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'tenant', id: command.tenant.id }] }),
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
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'tenant', id: command.tenant.id }] }),
  decide: (state, command, nowMs) => {
    const existing = state.record('tenant', command.tenant.id);
    if (existing !== undefined && existing.name === command.tenant.name)
      return { outcome: accepted({ tenant: existing, isNew: false }), effects: [], auditStatus: 200 };
    const { outcome, effects } = decideCreate(state, command, nowMs);
    return outcome.ok ? { outcome: accepted({ tenant: outcome.value, isNew: true }), effects } : { outcome, effects };
  },
};
