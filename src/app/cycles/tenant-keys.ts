import { KEY_PREFIXES, KEY_RANDOM_LENGTH, maskOf } from '../../core/access/credentials.ts';
import type { UpdateTenantKeyCommand } from '../../core/cycles/decide-tenant-key.ts';
import { DEFAULT_PERMISSIONS } from '../../core/cycles/permissions.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { ApiKey } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { SortedPage, TenantKeyFilter, TenantKeySort } from '../../ports/governance-reads.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { answeredAs, auditedBase, type Actor } from '../audited-command.ts';
import type { CreatedKey } from '../create-key.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** How long a key is good that does not say. Source: Cycles governance, createApiKey, EXPIRY. */
const DEFAULT_LIFE_MS = 90 * 24 * 60 * 60 * 1000;

/** A tenant's key to be made. Without permissions it gets the default ones, without an expiry 90 days. */
export interface NewTenantKey {
  readonly tenantId: string;
  readonly name: string;
  readonly description?: string;
  readonly permissions?: readonly string[];
  readonly scopeFilter?: readonly string[];
  readonly expiresAtMs?: number;
  readonly metadata?: PlainJson;
}

/** What the governance surface does with tenants' keys. */
export interface TenantKeys {
  /** Makes a key; its plaintext is told this once. Rejects as `create-key`, with `invalid_request` for an unknown tenant. */
  create(actor: Actor, wanted: NewTenantKey): Promise<Outcome<CreatedKey>>;
  /** Rejects: `not_found` (also for keys of other kinds). */
  find(id: string): Promise<Outcome<ApiKey>>;
  /** Rejects: `not_found`, then as `update-tenant-key`. */
  update(actor: Actor, id: string, changes: UpdateTenantKeyCommand['changes']): Promise<Outcome<ApiKey>>;
  /** Rejects: `not_found`, then as `revoke-key`. */
  revoke(actor: Actor, id: string, reason: string | null): Promise<Outcome<ApiKey>>;
  /** Tenants' keys in order, revoked ones too. */
  page(query: SortedPage<TenantKeySort> & Omit<TenantKeyFilter, 'nowMs'>): Promise<ApiKey[]>;
}

/** Makes the {@link TenantKeys}. */
export function makeTenantKeys(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record' | 'tenantKeyPage'>;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly clock: Clock;
}): TenantKeys {
  const { writer, records, ids, hasher, clock } = deps;
  const find = async (id: string): Promise<Outcome<ApiKey>> => {
    const key = await records.record('key', id);
    return key?.kind === 'tenant' ? accepted(key) : rejected({ code: 'not_found', message: 'API key not found' });
  };
  const named = (name: string, { id, tenantId }: Pick<ApiKey, 'id' | 'tenantId'>) => ({
    name,
    tenantId,
    resourceKind: 'api_key',
    resourceId: id,
  });
  return {
    find,
    create: async (actor, wanted) => {
      const { tenantId } = wanted;
      const id = ids.next('key');
      const plaintext = KEY_PREFIXES.tenant + ids.base62(KEY_RANDOM_LENGTH.tenant);
      const outcome = await writer.execute({
        verb: 'create-key',
        ...auditedBase(ids, answeredAs(actor, 'not_found', 'invalid_request'), named('createApiKey', { id, tenantId })),
        key: {
          id,
          kind: 'tenant',
          name: wanted.name,
          hash: hasher.hash(plaintext),
          mask: maskOf(plaintext),
          sealed: null,
          createdBy: 'operator',
          disabled: false,
          expiresAtMs: wanted.expiresAtMs ?? clock.nowMs() + DEFAULT_LIFE_MS,
          metadata: wanted.metadata ?? null,
          outputBound: 'hard',
          permissions: wanted.permissions ?? DEFAULT_PERMISSIONS,
          ...(wanted.scopeFilter === undefined ? {} : { scopeFilter: wanted.scopeFilter }),
          description: wanted.description ?? null,
        },
        maxTokens: null,
        moneyBudgetMicrocents: null,
      });
      if (outcome.ok) return accepted({ key: outcome.value, plaintext });
      if (outcome.rejection.code !== 'not_found') return outcome;
      return rejected({ code: 'invalid_request', message: 'tenant_id must be the id of a tenant', field: 'tenant_id' });
    },
    update: async (actor, id, changes) => {
      const found = await find(id);
      if (!found.ok) return found;
      const base = auditedBase(ids, actor, named('updateApiKey', found.value));
      return writer.execute({ verb: 'update-tenant-key', ...base, keyId: id, changes });
    },
    revoke: async (actor, id, reason) => {
      const found = await find(id);
      if (!found.ok) return found;
      const base = auditedBase(ids, actor, named('revokeApiKey', found.value));
      const audit = reason === null ? base.audit : { ...base.audit, metadata: { reason } };
      return writer.execute({ verb: 'revoke-key', ...base, audit, keyId: id, reason });
    },
    page: (query) => records.tenantKeyPage({ ...query, nowMs: clock.nowMs() }),
  };
}
