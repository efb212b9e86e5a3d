import type { Effect } from '../effects.ts';
import { keyCapId, TOKENS, USD_MICROCENTS, type Unit } from '../ledger/account.ts';
import { allocateEffects } from '../ledger/allocate.ts';
import { checkRateLimits } from '../policy/minute-limits.ts';
import type { ApiKey } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { DeleteKeyCommand, UpdateKeyCommand } from './commands.ts';
import { checkTenantKey, tenantKeyData, tenantKeyStatus } from '../cycles/tenant-key.ts';
import { isCounted } from './decide-create-key.ts';
import { openTenant } from './decide-tenant.ts';
import { withoutRulesOf } from '../windows/budget-rule.ts';
import { checkKeyLevels } from './subject-levels.ts';
import { checkAmount, checkExpiry, checkKeyName, firstOf, invalid, notFound, type Refusal } from './rules.ts';

/** The key of a command if it may be changed: one of the command's tenant that is not deleted; `not_found`, `tenant_closed` otherwise. */
export function openKey(state: State, command: { readonly tenantId: string; readonly keyId: string }): { readonly key: ApiKey } | Refusal {
  const key = state.record('key', command.keyId);
  if (key === undefined || key.deletedAtMs !== null || key.tenantId !== command.tenantId) return notFound('API key');
  const open = openTenant(state, command.tenantId);
  return 'rejection' in open ? rejected(open.rejection) : { key };
}

/** Sets one limit of a key; a money account that would be unlimited is not made, for a budget nobody set covers nothing. */
function limitEffects(
  state: State,
  command: UpdateKeyCommand,
  limit: { unit: Unit; allocated: bigint | null | undefined; nowMs: number },
): Effect[] {
  const { unit, allocated, nowMs } = limit;
  if (allocated === undefined) return [];
  const id = keyCapId(command.tenantId, command.keyId, unit);
  const account = state.account(id);
  if (account === undefined && allocated === null && unit !== TOKENS) return [];
  return allocateEffects(account, id, allocated, { command: command.id, nowMs });
}

const MAX_ALLOWED_MODELS = 500;

/** Refuses a list of models that is empty, too long, names one twice or one that does not exist: a slip of the pen would lock callers out. */
function refuseAllowedModels(state: State, ids: readonly string[], { kind }: ApiKey): Refusal | null {
  if (kind !== 'inference' && kind !== 'management') return invalid('allowed_models', 'not be given for a key that makes no calls');
  if (ids.length === 0 || ids.length > MAX_ALLOWED_MODELS)
    return invalid('allowed_models', `list 1 to ${MAX_ALLOWED_MODELS} models, or be null for every model`);
  if (new Set(ids).size < ids.length) return invalid('allowed_models', 'name each model once');
  const unknown = ids.find((id) => state.record('model', id) === undefined);
  return unknown === undefined ? null : invalid('allowed_models', `name models by their ids; there is no ${unknown.slice(0, 200)}`);
}

/** The levels of a key as they are after the command: what is not given stays, null and an empty object clear. */
function levelsAfter(command: UpdateKeyCommand, before: ApiKey): Pick<ApiKey, 'levels' | 'callerLevels'> {
  const after = <T extends object>(given: T | null | undefined, kept: T | undefined): T | undefined => {
    const value = given === undefined ? kept : (given ?? undefined);
    return value !== undefined && Object.keys(value).length > 0 ? value : undefined;
  };
  const levels = after(command.levels, before.levels);
  const callerLevels = after(command.callerLevels, before.callerLevels);
  return { ...(levels === undefined ? {} : { levels }), ...(callerLevels === undefined ? {} : { callerLevels }) };
}

function refuseLevels(command: UpdateKeyCommand, before: ApiKey): Refusal | null {
  if (command.levels === undefined && command.callerLevels === undefined) return null;
  if (before.kind !== 'inference' && before.kind !== 'management') {
    return invalid(command.levels === undefined ? 'caller_levels' : 'levels', 'not be given for a key that makes no calls');
  }
  const { levels, callerLevels } = levelsAfter(command, before);
  return checkKeyLevels(levels, callerLevels);
}

function refuseRateLimits({ rateLimits }: UpdateKeyCommand, { kind }: ApiKey): Refusal | null {
  if (rateLimits === undefined) return null;
  return kind === 'inference' || kind === 'management'
    ? checkRateLimits(rateLimits)
    : invalid('rate_limits', 'not be given for a key that makes no calls');
}

const FIELDS = {
  name: 'name',
  disabled: 'disabled',
  expiresAtMs: 'expires_at',
  outputBound: 'output_bound',
  allowedModels: 'allowed_models',
  levels: 'levels',
  callerLevels: 'caller_levels',
  rateLimits: 'rate_limits',
  maxTokens: 'max_tokens',
  moneyBudgetMicrocents: 'money_budget_usd',
} as const;

const fieldsOf = (command: UpdateKeyCommand): string[] =>
  (Object.keys(FIELDS) as (keyof typeof FIELDS)[]).filter((field) => command[field] !== undefined).map((field) => FIELDS[field]);

/**
 * Changes what is given of a key. What it has used and holds stays, also where a limit falls below it. The value is the key.
 *
 * Rejects, in this order: `not_found` (absent, deleted, another tenant's), `tenant_closed`, `invalid_request` (name, expires_at,
 * max_tokens, money_budget_usd, allowed_models, levels, caller_levels, rate_limits, also of an admin key).
 */
export const updateKeyVerb: Verb<UpdateKeyCommand, ApiKey> = {
  needs: ({ tenantId, keyId, allowedModels }) => ({
    tenantLock: 'exclusive',
    accounts: [keyCapId(tenantId, keyId, TOKENS), keyCapId(tenantId, keyId, USD_MICROCENTS)],
    records: [{ kind: 'key', id: keyId }, ...(allowedModels ?? []).map((id) => ({ kind: 'model', id }) as const)],
  }),
  decide: (state, command, nowMs) => {
    const open = openKey(state, command);
    if (!('key' in open)) return refuse(open);
    const before = open.key;
    const bad = firstOf(
      before.kind === 'tenant' ? checkTenantKey({ name: command.name ?? before.name }) : checkKeyName(command.name ?? before.name),
      command.expiresAtMs === undefined ? null : checkExpiry(command.expiresAtMs, nowMs),
      checkAmount('max_tokens', command.maxTokens ?? null),
      checkAmount('money_budget_usd', command.moneyBudgetMicrocents ?? null),
      command.moneyBudgetMicrocents !== undefined && (before.kind === 'admin' || before.kind === 'tenant')
        ? invalid('money_budget_usd', `not be given for ${before.kind === 'admin' ? 'an admin' : 'a tenant'} key, which makes no calls`)
        : null,
      command.allowedModels === undefined || command.allowedModels === null
        ? null
        : refuseAllowedModels(state, command.allowedModels, before),
      refuseLevels(command, before),
      refuseRateLimits(command, before),
    );
    if (bad !== null) return refuse(bad);
    const { levels: _levels, callerLevels: _callerLevels, ...kept } = before;
    const key: ApiKey = {
      ...kept,
      name: command.name ?? before.name,
      disabled: command.disabled ?? before.disabled,
      expiresAtMs: command.expiresAtMs === undefined ? before.expiresAtMs : command.expiresAtMs,
      outputBound: command.outputBound ?? before.outputBound,
      ...(command.allowedModels === undefined ? {} : { allowedModels: command.allowedModels }),
      ...levelsAfter(command, before),
      ...(command.rateLimits === undefined ? {} : { rateLimits: command.rateLimits }),
    };
    const data = { tenant_id: key.tenantId, key_id: key.id, kind: key.kind, name: key.name, fields: fieldsOf(command) };
    return {
      outcome: accepted(key),
      effects: [
        { type: 'record', kind: 'key', id: key.id, record: key },
        ...limitEffects(state, command, { unit: TOKENS, allocated: command.maxTokens, nowMs }),
        ...limitEffects(state, command, { unit: USD_MICROCENTS, allocated: command.moneyBudgetMicrocents, nowMs }),
        ...eventEffects(command, nowMs, [{ type: 'api_key.updated', data }]),
      ],
    };
  },
};

/**
 * Deletes a key for good; its usage, its accounts and its last name stay. The value is the key.
 *
 * Rejects, in this order: `not_found` (absent, deleted before, another tenant's), `tenant_closed`.
 */
export const deleteKeyVerb: Verb<DeleteKeyCommand, ApiKey> = {
  needs: ({ keyId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'key', id: keyId }] }),
  decide: (state, command, nowMs) => {
    const open = openKey(state, command);
    if (!('key' in open)) return refuse(open);
    // What opens a deleted key's value, or knows the one before, is of no use to anybody any more.
    const { rotation: _rotation, ...kept } = open.key;
    const key: ApiKey = { ...kept, sealed: null, deletedAtMs: nowMs };
    const tenant = state.record('tenant', command.tenantId);
    const counted: Effect[] =
      tenant !== undefined && isCounted(key.kind)
        ? [
            {
              type: 'record',
              kind: 'tenant',
              id: tenant.id,
              record: { ...withoutRulesOf(tenant, `key:${key.id}`), keyCount: tenant.keyCount - 1 },
            },
          ]
        : [];
    const plain = { tenant_id: key.tenantId, key_id: key.id, kind: key.kind, name: key.name };
    // Tenant keys are the Cycles surfaces' as well, where to delete is to revoke.
    const happening =
      key.kind === 'tenant'
        ? { type: 'api_key.revoked', data: tenantKeyData(key, { previous: tenantKeyStatus(open.key, nowMs), now: 'REVOKED' }) }
        : { type: 'api_key.deleted', data: plain };
    return {
      outcome: accepted(key),
      effects: [{ type: 'record', kind: 'key', id: key.id, record: key }, ...counted, ...eventEffects(command, nowMs, [happening])],
    };
  },
};
