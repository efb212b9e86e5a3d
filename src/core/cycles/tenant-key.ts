import { checkText, firstOf, invalid, type Refusal } from '../access/rules.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { ApiKey } from '../records.ts';

/** How a tenant's key stands. Source: Cycles governance, `ApiKey.status`. */
export type TenantKeyStatus = 'ACTIVE' | 'REVOKED' | 'EXPIRED';

/** How a key stands at `nowMs`: what is revoked stays so, whatever its expiry. */
export function tenantKeyStatus(key: Pick<ApiKey, 'deletedAtMs' | 'expiresAtMs'>, nowMs: number): TenantKeyStatus {
  if (key.deletedAtMs !== null) return 'REVOKED';
  return key.expiresAtMs !== null && key.expiresAtMs <= nowMs ? 'EXPIRED' : 'ACTIVE';
}

/** What events tell of a tenant's key. Source: Cycles governance, `EventDataApiKey`. */
export const tenantKeyData = (
  key: ApiKey,
  status: { readonly previous?: TenantKeyStatus; readonly now: TenantKeyStatus },
): { readonly [name: string]: PlainJson } => ({
  key_id: key.id,
  key_name: key.name,
  ...(status.previous === undefined ? {} : { previous_status: status.previous }),
  new_status: status.now,
  permissions: key.permissions ?? [],
});

/** When keys count as expiring that never do: the end of what RFC 3339 can write. Milliseconds. */
export const NEVER_MS = 253_402_300_799_000;

const MAX_DESCRIPTION = 1024;
const MAX_ENTRIES = 100;
const LEVEL = '(?:tenant|workspace|app|workflow|agent|toolset):(?:\\*|[A-Za-z0-9_.-]{1,128})';
const FILTER = new RegExp(`^${LEVEL}(?:/${LEVEL})*(?:/\\*)?$`, 'i');

/**
 * Checks what a tenant's key may be given: a name for people, a description of at most 1,024 characters, at most 100 permissions and as
 * many entries of a scope filter: a level such as `workspace:eng`, `agent:*` for every agent, or a path of levels. Permission names are the
 * surface's to check. Source: Cycles governance, `ApiKey`.
 */
export function checkTenantKey(key: Partial<Pick<ApiKey, 'name' | 'description' | 'permissions' | 'scopeFilter'>>): Refusal | null {
  const { name, description = null, permissions = [], scopeFilter = [] } = key;
  const isFilter = scopeFilter.length <= MAX_ENTRIES && scopeFilter.every((entry) => FILTER.test(entry));
  return firstOf(
    name === undefined ? null : checkText('name', name),
    description === null || description.length <= MAX_DESCRIPTION
      ? null
      : invalid('description', `have at most ${MAX_DESCRIPTION} characters`),
    permissions.length <= MAX_ENTRIES ? null : invalid('permissions', `list at most ${MAX_ENTRIES} permissions`),
    isFilter ? null : invalid('scope_filter', `list at most ${MAX_ENTRIES} levels such as workspace:eng or agent:*, or paths of them`),
  );
}
