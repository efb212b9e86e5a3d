import { accepted, rejected, type Rejection } from '../rejection.ts';
import type { Entitlements, Tenant } from '../records.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { CreateTenantCommand, UpdateTenantCommand } from './commands.ts';
import { checkTenantId, checkText, checkWhole, firstOf, notFound, type Refusal } from './rules.ts';

const COUNTS = { maxGpus: 'max_gpus', maxContainers: 'max_containers', maxKeys: 'max_keys' } as const;
const MAX_COUNT = 1_000_000;

function checkEntitlements(entitlements: Partial<Entitlements>): Refusal | null {
  const names = Object.keys(COUNTS) as (keyof typeof COUNTS)[];
  return firstOf(...names.map((name) => checkWhole(COUNTS[name], entitlements[name] ?? 0, { min: 0, max: MAX_COUNT })));
}

/** The tenant of a command if it may be changed; `not_found`, `tenant_closed` otherwise. */
export function openTenant(state: State, tenantId: string): { readonly tenant: Tenant } | { readonly rejection: Rejection } {
  const tenant = state.record('tenant', tenantId);
  if (tenant === undefined) return notFound(`tenant ${tenantId}`);
  if (tenant.status === 'CLOSED') return { rejection: { code: 'tenant_closed', message: `the tenant ${tenantId} is closed` } };
  return { tenant };
}

/**
 * Makes an ACTIVE tenant without keys. The value is the tenant.
 *
 * Rejects, in this order: `invalid_request` (id, name, entitlements), `conflict`.
 */
export const createTenantVerb: Verb<CreateTenantCommand, Tenant> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'tenant', id: command.tenant.id }] }),
  decide: (state, command, nowMs) => {
    const { id, name, entitlements } = command.tenant;
    const bad = firstOf(checkTenantId(id), checkText('name', name), checkEntitlements(entitlements));
    if (bad !== null) return refuse(bad);
    if (state.record('tenant', id) !== undefined)
      return refuse(rejected({ code: 'conflict', message: `the tenant ${id} exists already`, field: 'id' }));
    const tenant: Tenant = { ...command.tenant, status: 'ACTIVE', keyCount: 0, createdAtMs: nowMs };
    const events = eventEffects(command, nowMs, [{ type: 'tenant.created', data: { tenant_id: id, name } }]);
    return { outcome: accepted(tenant), effects: [{ type: 'record', kind: 'tenant', id, record: tenant }, ...events] };
  },
};

/**
 * Changes what is given of a tenant. The value is the tenant as it is now.
 *
 * Rejects, in this order: `not_found`, `tenant_closed` (for ever), `invalid_request` (name, entitlements).
 */
export const updateTenantVerb: Verb<UpdateTenantCommand, Tenant> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'tenant', id: command.tenantId }] }),
  decide: (state, command, nowMs) => {
    const open = openTenant(state, command.tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const before = open.tenant;
    const { name = before.name, status = before.status, entitlements = {} } = command;
    const bad = firstOf(checkText('name', name), checkEntitlements(entitlements));
    if (bad !== null) return refuse(bad);
    const tenant: Tenant = {
      ...before,
      name,
      status,
      requireBudget: command.requireBudget ?? before.requireBudget,
      allowUnpriced: command.allowUnpriced ?? before.allowUnpriced,
      hideAmounts: command.hideAmounts ?? before.hideAmounts,
      entitlements: { ...before.entitlements, ...entitlements },
    };
    const events = eventEffects(command, nowMs, [{ type: 'tenant.updated', data: { tenant_id: before.id, name, status } }]);
    return { outcome: accepted(tenant), effects: [{ type: 'record', kind: 'tenant', id: before.id, record: tenant }, ...events] };
  },
};
