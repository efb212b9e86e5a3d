import type { Effect } from '../effects.ts';
import { keyCapId, TOKENS, USD_MICROCENTS } from '../ledger/account.ts';
import { allocateEffects } from '../ledger/allocate.ts';
import { checkTenantKey, tenantKeyData } from '../cycles/tenant-key.ts';
import { keyNameId, memberRecordId, type ApiKey, type RecordRef, type Tenant } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { CreateKeyCommand } from './commands.ts';
import { openTenant } from './decide-tenant.ts';
import { checkAmount, checkExpiry, checkKeyName, checkMetadata, firstOf, invalid, type Refusal } from './rules.ts';
import { checkKeyLevels } from './subject-levels.ts';

/** Whether keys of that kind count against the tenant's `max_keys`. */
export const isCounted = (kind: ApiKey['kind']): boolean => kind === 'inference' || kind === 'management';

/** Refuses a key that acts as a member who is not there, or not an admin where the kind demands one. */
function refuseMember(state: State, { key, tenantId }: CreateKeyCommand): Refusal | null {
  if (key.kind !== 'admin' && key.kind !== 'management') return null;
  const member = state.record('member', memberRecordId(tenantId, key.createdBy));
  if (member === undefined || member.removedAtMs !== null) return invalid('member_id', 'name a member of the tenant');
  if (key.kind === 'admin' && member.role !== 'admin') return invalid('member_id', 'name a member whose role is admin');
  return null;
}

function refuseCreate(state: State, command: CreateKeyCommand, at: { tenant: Tenant; nowMs: number }): Refusal | null {
  const { key, maxTokens, moneyBudgetMicrocents } = command;
  const { tenant, nowMs } = at;
  if (tenant.status === 'SUSPENDED') return rejected({ code: 'tenant_suspended', message: `the tenant ${tenant.id} is suspended` });
  const bad = firstOf(
    key.kind === 'tenant' ? checkTenantKey(key) : checkKeyName(key.name),
    checkExpiry(key.expiresAtMs, nowMs),
    checkAmount('max_tokens', maxTokens),
    checkMetadata(key.metadata),
    checkAmount('money_budget_usd', moneyBudgetMicrocents),
    refuseMember(state, command),
    checkKeyLevels(key.levels, key.callerLevels),
  );
  if (bad !== null) return bad;
  if (key.kind === 'inference' && !tenant.entitlements.tokenBilling) {
    return rejected({ code: 'payment_required', message: 'an active token billing subscription is required' });
  }
  if (isCounted(key.kind) && tenant.keyCount >= tenant.entitlements.maxKeys) {
    return rejected({
      code: 'key_limit_reached',
      message: `the organization has reached its limit of ${tenant.entitlements.maxKeys} API keys`,
    });
  }
  if (state.record('key', key.id) !== undefined)
    return rejected({ code: 'conflict', message: `the key ${key.id} exists already`, field: 'id' });
  return refuseName(state, command);
}

/** The record that says who had a name last, where the name is to be the only one. */
const nameRecordId = ({ tenantId, key, onlyName }: CreateKeyCommand): string | null =>
  onlyName === undefined ? null : keyNameId(tenantId, key.createdBy, key.name);

/** Refuses a name that somebody took since the caller looked for it. */
function refuseName(state: State, command: CreateKeyCommand): Refusal | null {
  const id = nameRecordId(command);
  if (id === null) return null;
  const lastKeyId = state.record('key-name', id)?.keyId ?? null;
  return lastKeyId === command.onlyName?.lastKeyId ? null : keyNameTaken(command.key.name);
}

/** Refuses a name that another key of the member has: `conflict`. */
export const keyNameTaken = (name: string): Refusal =>
  rejected({ code: 'conflict', message: `an API key named ${name} exists already`, field: 'name' });

function nameNeeds(command: CreateKeyCommand): RecordRef[] {
  const id = nameRecordId(command);
  return id === null ? [] : [{ kind: 'key-name', id }];
}

function nameEffects(command: CreateKeyCommand): Effect[] {
  const id = nameRecordId(command);
  return id === null ? [] : [{ type: 'record', kind: 'key-name', id, record: { id, keyId: command.key.id } }];
}

/**
 * A key's accounts: its token cap always, from its first moment on; its money budget only where one is given. A tenant key makes no calls
 * and so has neither.
 */
function accountEffects(command: CreateKeyCommand, nowMs: number): Effect[] {
  const { tenantId, key, moneyBudgetMicrocents } = command;
  if (key.kind === 'tenant') return [];
  const at = { command: command.id, nowMs };
  const tokens = allocateEffects(undefined, keyCapId(tenantId, key.id, TOKENS), command.maxTokens, at);
  if (moneyBudgetMicrocents === null) return tokens;
  return [...tokens, ...allocateEffects(undefined, keyCapId(tenantId, key.id, USD_MICROCENTS), moneyBudgetMicrocents, at)];
}

/**
 * Makes a key with its token account and, where it has a money budget, its money account; a tenant key without accounts. The value is
 * the key.
 *
 * Rejects, in this order: `not_found` (the tenant), `tenant_closed`, `tenant_suspended`, `invalid_request` (name, expires_at,
 * max_tokens, metadata, money_budget_usd, member_id, levels, caller_levels), `payment_required` (inference keys without token billing),
 * `key_limit_reached`, `conflict` (the id, the name where it is to be the only one). Source: Tinfoil Admin API, create key; architecture section 5.
 */
export const createKeyVerb: Verb<CreateKeyCommand, ApiKey> = {
  needs: (command) => ({
    tenantLock: 'exclusive',
    accounts: [keyCapId(command.tenantId, command.key.id, TOKENS), keyCapId(command.tenantId, command.key.id, USD_MICROCENTS)],
    records: [
      { kind: 'key', id: command.key.id },
      ...nameNeeds(command),
      ...(command.key.kind === 'admin' || command.key.kind === 'management'
        ? [{ kind: 'member', id: memberRecordId(command.tenantId, command.key.createdBy) } as const]
        : []),
    ],
  }),
  decide: (state, command, nowMs) => {
    const open = openTenant(state, command.tenantId);
    if ('rejection' in open) return refuse(rejected(open.rejection));
    const { tenant } = open;
    const refusal = refuseCreate(state, command, { tenant, nowMs });
    if (refusal !== null) return refuse(refusal);
    const key: ApiKey = { ...command.key, tenantId: command.tenantId, createdAtMs: nowMs, deletedAtMs: null };
    const counted: Effect[] = isCounted(key.kind)
      ? [{ type: 'record', kind: 'tenant', id: tenant.id, record: { ...tenant, keyCount: tenant.keyCount + 1 } }]
      : [];
    const plain = { tenant_id: key.tenantId, key_id: key.id, kind: key.kind, name: key.name };
    const data = key.kind === 'tenant' ? tenantKeyData(key, { now: 'ACTIVE' }) : plain;
    const events = eventEffects(command, nowMs, [{ type: 'api_key.created', data }]);
    return {
      outcome: accepted(key),
      effects: [
        { type: 'record', kind: 'key', id: key.id, record: key },
        ...counted,
        ...nameEffects(command),
        ...accountEffects(command, nowMs),
        ...events,
      ],
    };
  },
};
