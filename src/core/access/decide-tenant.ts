import { balanceNeeds, changeTerms, type TermsChange } from '../balance/balance-terms.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { closeMarkEffects, closeMarkRef } from '../cycles/close-mark.ts';
import type { Tenant, TenantStatus } from '../records.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { eventEffects, type Happening } from './access-events.ts';
import type { UpdateTenantCommand } from './commands.ts';
import { checkText, firstOf, notFound } from './rules.ts';
import { checkEntitlements, checkTenantTerms } from './tenant-rules.ts';

/** The tenant of a command if it may be changed; `not_found`, `tenant_closed` otherwise. */
export function openTenant(state: State, tenantId: string): { readonly tenant: Tenant } | { readonly rejection: Rejection } {
  const tenant = state.record('tenant', tenantId);
  if (tenant === undefined) return notFound(`tenant ${tenantId}`);
  if (tenant.status === 'CLOSED') return { rejection: { code: 'tenant_closed', message: `the tenant ${tenantId} is closed` } };
  return { tenant };
}

/** What new reservations get from their tenant, by the names that the wire has for it. */
const SETTINGS = {
  defaultOveragePolicy: 'default_commit_overage_policy',
  defaultTtlMs: 'default_reservation_ttl_ms',
  maxTtlMs: 'max_reservation_ttl_ms',
  maxExtensions: 'max_reservation_extensions',
  reservationExpiryPolicy: 'reservation_expiry_policy',
} as const;

/** What else may change, likewise. */
const FIELDS = {
  name: 'name',
  metadata: 'metadata',
  requireBudget: 'require_budget',
  allowUnpriced: 'allow_unpriced',
  hideAmounts: 'hide_amounts',
  entitlements: 'entitlements',
  currency: 'currency',
  requireBalance: 'require_balance',
  ...SETTINGS,
} as const;

type Field = keyof typeof FIELDS;

/** The tenant with what the command gives, its status left alone; and the fields that are other than before. */
function withFields(before: Tenant, command: UpdateTenantCommand): { readonly tenant: Tenant; readonly changed: readonly Field[] } {
  const given = (Object.keys(FIELDS) as Field[]).filter((field) => command[field] !== undefined);
  const after: Tenant = { ...before, ...Object.fromEntries(given.map((field) => [field, command[field]])) };
  const tenant: Tenant = { ...after, entitlements: { ...before.entitlements, ...command.entitlements } };
  return { tenant, changed: given.filter((field) => JSON.stringify(tenant[field]) !== JSON.stringify(before[field])) };
}

/** The tenant in another status, with the moment at which it got there. */
function withStatus(tenant: Tenant, status: TenantStatus, nowMs: number): Tenant {
  const { suspendedAtMs: _suspended, ...rest } = tenant;
  if (status === 'ACTIVE') return { ...rest, status };
  return status === 'SUSPENDED' ? { ...rest, status, suspendedAtMs: nowMs } : { ...tenant, status, closedAtMs: nowMs };
}

const STATUS_EVENTS = { ACTIVE: 'tenant.reactivated', SUSPENDED: 'tenant.suspended', CLOSED: 'tenant.closed' } as const;

/** What a change made happen. Settings are told twice: with everything else that changed, and for those who only want them. */
function happenings(before: Tenant, after: Tenant, changed: readonly Field[]): Happening[] {
  const told = (type: string, fields: readonly string[]): Happening => ({
    type,
    data: { tenant_id: before.id, previous_status: before.status, new_status: after.status, changed_fields: fields },
  });
  const isMoved = before.status !== after.status;
  const names = changed.map((field) => FIELDS[field]);
  const settings = changed.filter((field) => Object.hasOwn(SETTINGS, field)).map((field) => FIELDS[field]);
  return [
    ...(names.length > 0 ? [told('tenant.updated', isMoved ? [...names, 'status'] : names)] : []),
    ...(settings.length > 0 ? [told('tenant.settings_changed', settings)] : []),
    ...(isMoved ? [told(STATUS_EVENTS[after.status], [...names, 'status'])] : []),
  ];
}

/** The tenant with the balance that its new terms need; other changes leave it alone. */
function withBalance(
  state: State,
  change: { readonly before: Tenant; readonly edited: Tenant },
  command: UpdateTenantCommand,
  nowMs: number,
): TermsChange {
  if (command.seen === undefined) return { ok: true, tenant: change.edited, effects: [] };
  return changeTerms(state, { ...change, seen: command.seen }, nowMs);
}

/** A closed tenant may only be closed again; `tenant_closed` and `invalid_transition` tell the other two cases apart. */
function refuseClosed(before: Tenant, { status, id: _id }: UpdateTenantCommand, changed: readonly Field[]): Rejection | null {
  if (before.status !== 'CLOSED') return null;
  if (status !== undefined && status !== 'CLOSED')
    return { code: 'invalid_transition', message: `the tenant ${before.id} is closed for ever`, field: 'status' };
  if (status === 'CLOSED' && changed.length === 0) return null;
  return { code: 'tenant_closed', message: `the tenant ${before.id} is closed` };
}

/**
 * Changes what is given of a tenant. The value is the tenant as it is now. What is as it was leaves no event.
 *
 * ACTIVE and SUSPENDED lead to one another, both to CLOSED, and nothing leads out of it. To close, also what is closed, leaves the mark
 * by which everything that the tenant owns is brought to an end.
 *
 * Rejects, in this order: `not_found`, `invalid_transition` (out of CLOSED), `tenant_closed` (another change of a closed one),
 * `invalid_request` (name, entitlements, terms), then as {@link changeTerms} does. Source: Cycles governance, updateTenant and CASCADE SEMANTICS, mode B.
 */
export const updateTenantVerb: Verb<UpdateTenantCommand, Tenant> = {
  needs: ({ tenantId, status, currency, seen }) => {
    const balance = seen === undefined ? null : balanceNeeds(tenantId, seen, currency ?? seen.currency);
    const records = [{ kind: 'tenant' as const, id: tenantId }, ...(status === 'CLOSED' ? [closeMarkRef(tenantId)] : [])];
    return { tenantLock: 'exclusive', accounts: balance?.accounts ?? [], records: [...records, ...(balance?.records ?? [])] };
  },
  decide: (state, command, nowMs) => {
    const before = state.record('tenant', command.tenantId);
    if (before === undefined) return refuse(notFound(`tenant ${command.tenantId}`));
    const { tenant: edited, changed } = withFields(before, command);
    const closed = refuseClosed(before, command, changed);
    if (closed !== null) return refuse(rejected(closed));
    const bad = firstOf(checkText('name', edited.name), checkEntitlements(command.entitlements ?? {}), checkTenantTerms(command));
    if (bad !== null) return refuse(bad);
    const { status = before.status } = command;
    const balanced = withBalance(state, { before, edited }, command, nowMs);
    if (!balanced.ok) return refuse(balanced.refusal);
    const moved = status === before.status ? balanced.tenant : withStatus(balanced.tenant, status, nowMs);
    const mark = command.status === 'CLOSED' ? closeMarkEffects(state, command) : [];
    if (status === before.status && changed.length === 0) return { outcome: accepted(before), effects: mark };
    const tenant: Tenant = { ...moved, updatedAtMs: nowMs };
    return {
      outcome: accepted(tenant),
      effects: [
        { type: 'record', kind: 'tenant', id: before.id, record: tenant },
        ...balanced.effects,
        ...mark,
        ...eventEffects(command, nowMs, happenings(before, tenant, changed)),
      ],
    };
  },
};
