import { eventEffects } from '../access/access-events.ts';
import { openTenant } from '../access/decide-tenant.ts';
import { checkMetadata, firstOf, notFound, type Refusal } from '../access/rules.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { ApiKey } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type CommandBase, type State, type Verb } from '../verb.ts';
import { checkTenantKey, tenantKeyData, tenantKeyStatus } from './tenant-key.ts';

/** Changes what is given of a tenant's key; its value stays. */
export interface UpdateTenantKeyCommand extends CommandBase {
  readonly verb: 'update-tenant-key';
  readonly keyId: string;
  readonly changes: {
    readonly name?: string;
    readonly description?: string | null;
    readonly permissions?: readonly string[];
    readonly scopeFilter?: readonly string[];
    readonly metadata?: PlainJson;
  };
}

/** Revokes a tenant's key for good. */
export interface RevokeKeyCommand extends CommandBase {
  readonly verb: 'revoke-key';
  readonly keyId: string;
  readonly reason: string | null;
}

/** Every command on tenants' keys alone. */
export type TenantKeyCommand = UpdateTenantKeyCommand | RevokeKeyCommand;

/** The key of a command, if it is a tenant's of the command's tenant, and that tenant is not closed. */
function openTenantKey(state: State, command: TenantKeyCommand): { readonly key: ApiKey } | Refusal {
  const key = state.record('key', command.keyId);
  if (key === undefined || key.kind !== 'tenant' || key.tenantId !== command.tenantId) return notFound('API key');
  const open = openTenant(state, command.tenantId);
  return 'rejection' in open ? rejected(open.rejection) : { key };
}

const needs = ({ keyId }: TenantKeyCommand): ReturnType<Verb<TenantKeyCommand, ApiKey>['needs']> => ({
  tenantLock: 'exclusive',
  records: [{ kind: 'key', id: keyId }],
});

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/**
 * Changes what is given of a tenant's key. The value is the key. Other permissions or another scope filter are told by an event; what is
 * as it was changes nothing.
 *
 * Rejects, in this order: `not_found` (absent, another tenant's, of another kind), `tenant_closed`, `key_already_revoked`,
 * `key_already_expired`, `invalid_request` (name, description, permissions, scope_filter, metadata). Source: Cycles governance, updateApiKey.
 */
const updateTenantKeyVerb: Verb<UpdateTenantKeyCommand, ApiKey> = {
  needs,
  decide: (state, command, nowMs) => {
    const open = openTenantKey(state, command);
    if (!('key' in open)) return refuse(open);
    const before = open.key;
    const status = tenantKeyStatus(before, nowMs);
    if (status === 'REVOKED') return refuse(rejected({ code: 'key_already_revoked', message: 'a revoked key cannot be changed' }));
    if (status === 'EXPIRED') return refuse(rejected({ code: 'key_already_expired', message: 'an expired key cannot be changed' }));
    const { changes } = command;
    const bad = firstOf(checkTenantKey(changes), changes.metadata === undefined ? null : checkMetadata(changes.metadata));
    if (bad !== null) return refuse(bad);
    const key: ApiKey = { ...before, ...changes };
    if (isSame(key, before)) return { outcome: accepted(before), effects: [] };
    const isAllowedOther = !isSame(key.permissions, before.permissions) || !isSame(key.scopeFilter ?? [], before.scopeFilter ?? []);
    const told = isAllowedOther
      ? [{ type: 'api_key.permissions_changed', data: tenantKeyData(key, { previous: status, now: status }) }]
      : [];
    return {
      outcome: accepted(key),
      effects: [{ type: 'record', kind: 'key', id: key.id, record: key }, ...eventEffects(command, nowMs, told)],
    };
  },
};

/**
 * Revokes a tenant's key, also one that has expired: no request that comes with it is answered any more. The key stays in lists. The value
 * is the key.
 *
 * Rejects, in this order: `not_found` (absent, another tenant's, of another kind), `tenant_closed`, `key_already_revoked`. Source: Cycles
 * governance, revokeApiKey.
 */
const revokeKeyVerb: Verb<RevokeKeyCommand, ApiKey> = {
  needs,
  decide: (state, command, nowMs) => {
    const open = openTenantKey(state, command);
    if (!('key' in open)) return refuse(open);
    const previous = tenantKeyStatus(open.key, nowMs);
    if (previous === 'REVOKED') return refuse(rejected({ code: 'key_already_revoked', message: 'the key is revoked already' }));
    const { rotation: _rotation, ...kept } = open.key;
    const key: ApiKey = { ...kept, sealed: null, deletedAtMs: nowMs, revokedReason: command.reason };
    const data = tenantKeyData(key, { previous, now: 'REVOKED' });
    return {
      outcome: accepted(key),
      effects: [
        { type: 'record', kind: 'key', id: key.id, record: key },
        ...eventEffects(command, nowMs, [{ type: 'api_key.revoked', data }]),
      ],
    };
  },
};

/** The decisions on tenants' keys, by verb. */
export const TENANT_KEY_VERBS = {
  'update-tenant-key': updateTenantKeyVerb,
  'revoke-key': revokeKeyVerb,
} as const satisfies { readonly [K in TenantKeyCommand['verb']]: Verb<Extract<TenantKeyCommand, { verb: K }>, unknown> };
